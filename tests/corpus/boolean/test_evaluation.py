"""The records of Boolean searches, against a plain evaluator and by hand."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.corpus.boolean.evaluation import find_matches
from engine.corpus.boolean.strategy import read_search
from tests.corpus.boolean.oracle import Built, Maker, build, random_records


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with build(tmp_path_factory.mktemp("drawn"), random_records(7)) as built:
        yield built


def check(drawn: Built, seed: int) -> bool:
    """Compare one random search; return whether it was read as one."""
    corpus, words, records = drawn
    dialect = ("pubmed", "ovid", "embase")[seed % 3]
    asked = Maker(random.Random(seed), dialect).make()
    search = read_search(asked.written)
    if search is None or search.expression.dialect.lower() != dialect:  # no tag tells whose language it is
        return False
    found = find_matches(corpus, words, search).doc_ids.tolist()
    assert found == [doc_id for doc_id, record in records.items() if asked.test(record)], asked.written
    return True


def test_random_searches_find_what_a_plain_evaluator_finds(drawn: Built) -> None:
    assert sum(check(drawn, seed) for seed in range(120)) > 100


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 12_000, 1_000))
def test_ten_thousand_random_searches(tmp_path: Path, first: int) -> None:
    with build(tmp_path, random_records(first)) as built:
        assert sum(check(built, seed) for seed in range(first, first + 1_000)) > 950
