"""Groups for a reranker: a text, its own document, and others that the hybrid ranking puts near it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import open_index
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.query.index import Index
from engine.records.abstract import Abstract
from engine.reindex.runs.run import index_sources
from engine.relevance.sets.holdout import DEV, hash_position
from engine.train.pairs.corpuspairs import CorpusPairs, build_pairs
from engine.train.pairs.rankedgroups import _say_plainly, mine_groups
from tests.conftest import TOY_MODEL, jsonl, order_of, silent, spare_export


@pytest.fixture
def index(corpus: list[Abstract], tmp_path: Path) -> Iterator[Index]:
    rows = [{"id": r.record_id, "title": r.title, "abstract": r.abstract} for r in corpus[:120]]
    folder = spare_export(IndexFolder(tmp_path / "indexes" / "small"))
    index_sources(folder, order_of(jsonl(tmp_path / "rows.jsonl", rows), model=str(TOY_MODEL)), silent)
    with open_index(folder.path, follow=False) as opened:
        yield opened


@pytest.fixture
def pairs(index: Index) -> CorpusPairs:
    return build_pairs(index.abstracts())


def test_each_text_has_its_own_document_first_and_others_of_the_same_kind(index: Index, pairs: CorpusPairs) -> None:
    groups = mine_groups(index, pairs, 20, 3, 42, silent)
    own = dict(pairs.titles) | dict(pairs.conclusions)
    held_out = {r.abstract for r in index.abstracts() if hash_position(r) < DEV}
    assert len(groups.train) + groups.n_short == 20 and len(groups.train) >= 16
    assert groups.n_pairs == len(pairs.titles) + len(pairs.conclusions)
    for group in groups.train:
        first, *others = group.documents
        assert first == own[group.anchor]
        assert len(set(group.documents)) == 4
        assert not held_out & set(others)
        is_title = (group.anchor, first) in pairs.titles
        assert all(text.startswith("OBJECTIVE:") == is_title for text in group.documents)
    assert {group.anchor for group in groups.dev} <= {title for title, _ in pairs.dev}


def test_the_same_seed_gives_the_same_groups(index: Index, pairs: CorpusPairs) -> None:
    one, two, three = (mine_groups(index, pairs, 8, 2, seed, silent) for seed in (1, 1, 2))
    assert one == two != three


def test_no_negatives_are_refused(index: Index, pairs: CorpusPairs) -> None:
    with pytest.raises(UsageError, match="a reranker learns from documents that don't belong to a text"):
        mine_groups(index, pairs, 8, 0, 1, silent)


def test_a_title_is_searched_without_signs_of_a_search_language() -> None:
    assert _say_plainly('Gout: "acute" (-like) +pain -- end*') == "Gout acute like pain end"
