"""An index of several segments is written anew as one."""

from collections.abc import Callable

from engine import open_index
from engine.config import Settings
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.runs.compaction import compact_index
from tests.conftest import forget_standards, silent

Add = Callable[..., Report]


def compact(folder: IndexFolder) -> Report:
    return compact_index(folder, Settings(folder.path / "index.toml", device="cpu", one_segment_below=0), silent)


def rows(folder: IndexFolder) -> list[object]:
    with open_index(folder.path) as index:
        return [(hit.id, hit.score, index.get(hit.id)) for hit in index.search("gout", top_k=100)]


def test_segments_become_one_with_the_same_records_and_no_dead(toy: IndexFolder, add: Add) -> None:
    add({"id": "new", "title": "New"}, one_segment_below=0)
    add({"id": "newer", "title": "Newer"}, {"id": "toy-03", "title": "Revised"}, one_segment_below=0)
    before, old = rows(toy), toy.open_current().manifest
    report = compact(toy)
    generation = toy.open_current()
    (segment,) = generation.segments
    assert (report.published, report.generation, generation.manifest.parent) == (True, 4, 3)
    assert (segment.entry.n_records, segment.entry.n_dead, segment.entry.dead) == (42, 0, None)
    assert report.notes[0] == "merged 3 segments, dropped 1 dead record"
    assert rows(toy) == before
    assert generation.manifest.id_sum == old.id_sum
    assert (generation.manifest.last_id, generation.manifest.last_contribution) == (old.last_id, old.last_contribution)
    assert verify(toy, generation, deep=True) == []


def test_one_segment_without_dead_records_is_left_alone(toy: IndexFolder) -> None:
    forget_standards(toy)
    first = compact(toy)
    assert (first.published, first.generation, first.notes[0]) == (True, 2, "measured for verdicts")
    report = compact(toy)
    assert (report.published, report.generation, toy.list_numbers()) == (False, 2, [1, 2])
    assert report.notes == ("the index is one segment without dead records: there is nothing to compact",)


def test_an_id_that_was_given_is_not_given_again(toy: IndexFolder, add: Add) -> None:
    add({"pmid": 7, "title": "Seven"}, one_segment_below=0)
    add({"id": "more", "title": "More"}, one_segment_below=0)
    compact(toy)
    last = toy.open_current().manifest.last_id
    add({"id": "most", "title": "Most"}, one_segment_below=0)
    assert (last, toy.open_current().manifest.last_id) == (42, 43)
