from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from engine.corpus import ordering
from engine.corpus.ordering import order_ids
from engine.corpus.storage.store import Corpus
from engine.query.opening.corpus import open_corpus
from tests.conftest import Lasting

# Ids 41 to 45 of the toy index; the first two are written again in a later generation.
ROWS = (
    {"id": "a", "title": "A", "year": 2020, "journal": "Öl", "authors": ["von Zorn, A", "Abel, B"]},
    {"id": "b", "title": "B", "year": 1999, "journal": "BMJ", "authors": ["ábel, B"]},
    {"id": "c", "title": "C", "year": 2020, "journal": "oil", "authors": ["Abel, A"]},
    {"id": "d", "title": "D", "journal": "  ", "authors": []},
    {"id": "e", "title": "E", "year": 2001},
)


@pytest.fixture(scope="module")
def corpus(lasting: Lasting) -> Iterator[Corpus]:
    """Build the toy index with a few more records, in two generations and two segments."""
    toy, add = lasting()
    add(*ROWS[:2])
    add(*ROWS[2:], {**ROWS[1], "title": "B anew"}, one_segment_below=0)
    with closing(open_corpus(toy.open_current())) as opened:
        yield opened


@pytest.mark.parametrize("few", [50_000, 0])
@pytest.mark.parametrize(
    ("field", "descending", "order"),
    [
        ("year", True, "aceb d"),  # a and c are equal: by id
        ("year", False, "beac d"),
        ("author", False, "cba de"),  # abel a, abel b, von zorn a; then the missing
        ("author", True, "abc de"),
        ("journal", False, "bca de"),  # bmj, oil, ol
        ("added", False, "ab cde"),
        ("added", True, "cde ab"),
    ],
)
def test_missing_values_come_last_and_equal_ones_by_id(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, few: int, field: str, descending: bool, order: str
) -> None:
    monkeypatch.setattr(ordering, "_FEW", few)
    ids = {name: corpus.find_doc_id(name) for name in "abcde"}
    names = {doc_id: name for name, doc_id in ids.items()}
    asked = np.array([ids[name] for name in "ecadb"], np.int64)
    found = order_ids(corpus, asked, field, descending=descending)
    assert "".join(names[doc_id] for doc_id in found.tolist()) == order.replace(" ", "")


def test_no_record_gives_none(corpus: Corpus) -> None:
    assert order_ids(corpus, np.empty(0, np.int64), "year", descending=True).tolist() == []
