"""Whatever segments hold the records of a corpus, every reader answers as from one database."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.draft import Draft
from engine.corpus.duplicates.groups import find_duplicates
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.facets import count_names, count_years, read_years_and_journals
from engine.corpus.flow import count_flow
from engine.corpus.history import find_changed, find_differences, find_generation_before, read_events
from engine.corpus.schema import KINDS
from engine.corpus.selection import arrays
from engine.corpus.selection.filters import find_qualified
from engine.corpus.storage import store as store_module
from engine.corpus.storage.idsets import NO_IDS
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus, SegmentDatabase, open_database
from engine.errors import AbstractNotFoundError, CorruptError
from engine.index.generations.folder import IndexFolder
from engine.options import Filters
from engine.query.opening.corpus import open_corpus
from engine.records.abstract import Abstract
from engine.reindex.generation.order import Report
from tests.conftest import examples
from tests.corpus import random_records as drawn
from tests.corpus import segments
from tests.corpus.drafts import opened
from tests.corpus.merging.test_sightings import read

Files = list[tuple[str, str, list[Abstract]]]
FILTERS = (
    Filters(),
    Filters(years=((2000, None),), retracted=False),
    Filters(journals=("*a*",), has_abstract=True),
    Filters(mesh=("gout*",), types=("*",)),
    Filters(authors=("smith j",), sources=("*a*",)),
    Filters(has_fulltext=False, hide=("r1", "PMID:5")),
    Filters(where="not (title ~ gout or source = none) or year < 2001 or doi ~ 10 or note = gout"),
    Filters(where="mesh = none or pmid = none or doi != none and author != none", years=((2001, 2003), (None, 1999))),
    Filters(where="year = none or year >= 40000 or keyword ~ a", languages=("eng",)),
    Filters(where="id in (r1, r2, r3) or retracted", ids=("r1", "r2", "r4", "7", "PMID:5", "10.1/a", "unknown")),
)
COUNTS = '{"abstracts": 1, "retracted": 0, "without_abstract": 0, "without_title": 0, "truncated": 0}'
ROWS = [
    Abstract("a", "Gout and diet", "Beer.", 2001, "Lancet", pmid="1", doi="10.1/a", mesh=("Gout", "Beer")),
    Abstract("b", "Gout and diet", "Beer.", 2001, "lancet", pmid="2", mesh=("gout",)),
    Abstract("c", "Lupus in men", "", 2003, "BMJ", mesh=("Lupus",)),
    Abstract("d", "Uric acid", "High.", None, "", pmid="4", retracted=True),
]


def build(place: Path, files: Files, random: Random) -> Path:
    """Build a database in three generations: files, changes and a joined record, deletions."""
    path = place / "whole.db"
    with opened(path, 1) as draft:
        for name, kind, abstracts in files:
            read(draft, name, abstracts, kind)
        list(draft.write_counts({}))
        draft.note_cause(None, "index", COUNTS)
    with opened(path, 2) as draft:
        ids = draft.read_ids().tolist()
        draft.note_lengths([(9, random.random() < 0.3, doc_id) for doc_id in ids])
        for name, kind, abstracts in files[:1]:
            read(draft, name, [replace(row, year=2002) for row in abstracts if random.random() < 0.5], kind)
        draft.parts.join([random.sample(ids, 2)] if len(ids) > 1 else [])
        list(draft.write_counts({}))
        draft.note_cause(1, "reindex", COUNTS)
    with opened(path, 3) as draft:
        delete_some(draft, random)
        draft.note_cause(2, "reindex", COUNTS)
    return path


def delete_some(draft: Draft, random: Random) -> None:
    """Delete a record as PubMed does, so that its sightings stay."""
    joined = {row[0] for row in draft.connection.execute("SELECT joined FROM parts")}
    for doc_id in draft.read_ids().tolist():
        if doc_id not in joined and random.random() < 0.2:
            draft.ledger.discard(doc_id)


def fold(names: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    return [(name.lower() if name.isascii() else name, n) for name, n in names]


def compare(one: Corpus, many: Corpus) -> None:
    """Compare the answers of all readers but those that depend on filters or ids."""
    ids = one.read_ids()
    assert many.read_ids().tolist() == ids.tolist() == many.read_ids().tolist()
    everything = ids.tolist()
    assert list(many.fetch([*everything, 10**6]).items()) == list(one.fetch(everything).items())
    assert many.find_example_id() == one.find_example_id()
    assert list(many.read_texts()) == list(one.read_texts())
    assert list(many.read_abstracts()) == list(one.read_abstracts())
    assert many.count_totals() == one.count_totals()
    assert many.read_generation() == one.read_generation()
    assert many.read_sources() == one.read_sources()
    assert many.find_problems() == one.find_problems() == []
    for doc_id in [*everything, 10**6]:
        assert many.read_claims(doc_id) == one.read_claims(doc_id)
    assert read_events(many) == read_events(one)
    for generation in range(4):
        assert list(find_changed(many, generation).items()) == list(find_changed(one, generation).items())
        date = f"2026-01-0{generation + 1}"
        assert find_generation_before(many, date) == find_generation_before(one, date)
    assert list(find_differences(one, many)) == [difference for difference in find_differences(one, one) if difference]
    assert count_years(many) == count_years(one)
    assert read_years_and_journals(many) == read_years_and_journals(one)
    for kind in KINDS:
        assert fold(count_names(many, kind, 100)) == fold(count_names(one, kind, 100))
        assert fold(count_names(many, kind, 2)) == fold(count_names(one, kind, 2))
    assert count_flow(many) == count_flow(one)
    assert find_duplicates(many) == find_duplicates(one)
    compare_identities(one, many)


def compare_identities(one: Corpus, many: Corpus) -> None:
    """Compare what finders recognise: in a corpus of one database, of several, and over a plain connection."""
    with closing(sqlite3.connect(one.path)) as connection:
        finders = [IdentityFinder(source) for source in (one, many, connection)]
        joined, *others = [finder.read_joined() for finder in finders]
        assert others == [joined, joined]
        keys = {key for finder in finders for _, key in finder._read_keys()}
        first, *rest = [{key: finder.list_alike(key) for key in keys} for finder in finders]
        assert rest == [first, first]
        for doc_id in sorted(doc_id for doc_ids in first.values() for doc_id in doc_ids):
            identity, *same = [finder.identify(doc_id) for finder in finders]
            assert same == [identity, identity]
            found, *again = [finder.find(identity) for finder in finders]
            assert again == [found, found]
            for name in (*identity.ids, identity.pmid or "", identity.doi or ""):
                named, *alike = [finder.find_named(name) for finder in finders]
                assert alike == [named, named]


def compare_lookups(one: Corpus, many: Corpus, keys: list[str], filters: Filters) -> None:
    assert resolve_ids(many, keys) == resolve_ids(one, keys)
    expected, found = find_qualified(one, filters), find_qualified(many, filters)
    assert (found.doc_ids.tolist(), found.unknown) == (expected.doc_ids.tolist(), expected.unknown), filters
    assert found.doc_ids.dtype == np.int64


@given(drawn.files(), st.integers(1, 4), st.randoms(), st.lists(drawn.keys, max_size=12), st.integers(1, 4))
@examples(0.5)
def test_every_reader_answers_from_segments_as_from_one_database(
    files: Files, n: int, random: Random, keys: list[str], least: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = build(Path(place), files, random)
        with pytest.MonkeyPatch.context() as patch:  # segments of as many records have arrays, and as frequent terms
            patch.setattr(arrays, "_LEAST", least)
            patch.setattr(arrays, "_FREQUENT", least)
            parts, state = segments.divide(path, Path(place), n, random)
            with closing(Corpus(parts, state)) as many:
                assert list(arrays.find_array_problems(many)) == []
        with closing(open_database(path)) as one, closing(Corpus(parts, state)) as many:
            compare(one, many)
            for filters in FILTERS:
                compare_lookups(one, many, keys, filters)


@pytest.fixture
def divided(tmp_path: Path) -> Iterator[tuple[Corpus, Corpus]]:
    """Four records in one database, and in two segments: record 2 is live in the second and dead in the first."""
    path = tmp_path / "whole.db"
    with opened(path, 1) as draft:
        read(draft, "a.ris", ROWS)
        draft.note_lengths([(9, doc_id == 2, doc_id) for doc_id in (1, 2, 3, 4)])
        draft.note_cause(None, "index", COUNTS)
    for number, (live, dead) in enumerate((([1, 3], [2]), ([2, 4], []))):
        segments.write_segment(path, tmp_path / f"{number}.db", live, dead, number)
    parts = [SegmentDatabase(tmp_path / f"{n}.db", np.array(dead, np.int64)) for n, dead in ((0, [2]), (1, []))]
    state = segments.write_state(path, tmp_path / "state.db")
    with closing(open_database(path)) as one, closing(Corpus(parts, state)) as many:
        yield one, many


def test_four_records_in_two_segments(divided: tuple[Corpus, Corpus]) -> None:
    one, many = divided
    compare(one, many)
    assert many.read_ids().tolist() == [1, 2, 3, 4]
    assert many.fetch([4, 2])[2].title == "Gout and diet"
    assert resolve_ids(many, ["b", "PMID:2", "10.1/A", "x"]) == [2, 2, 1, None]
    assert count_names(many, "journal", 9) == (("Lancet", 2), ("BMJ", 1))
    assert count_years(many) == ((2001, 2), (2003, 1))
    assert find_qualified(many, Filters(journals=("stale*",))).doc_ids.tolist() == []
    with pytest.raises(AbstractNotFoundError, match="no record 'x'.*'a'"):
        many.find_doc_id("x")


def test_what_is_open_is_not_opened_again_and_stays_open_for_the_newer_corpus(tmp_path: Path) -> None:
    path = tmp_path / "whole.db"
    with opened(path, 1) as draft:
        read(draft, "a.ris", ROWS)
    segments.write_segment(path, tmp_path / "0.db", [1, 2], [], 0)
    segments.write_segment(path, tmp_path / "1.db", [3, 4], [], 1)
    state = segments.write_state(path, tmp_path / "state.db")
    first, second = (SegmentDatabase(tmp_path / f"{n}.db", np.empty(0, np.int64)) for n in (0, 1))
    older = Corpus([first], state)
    older.widen(3)
    newer = Corpus([replace(first, dead=np.array([2])), second], state, older.open_shared)
    assert newer.segments[0].database is older.segments[0].database
    assert (older.read_ids().tolist(), newer.read_ids().tolist()) == ([1, 2], [1, 3, 4])
    assert (older.count_totals().abstracts, newer.count_totals().abstracts, older.count_totals().abstracts) == (2, 3, 2)
    assert list(find_differences(older, newer))[0].record_id == "b"
    first.path.unlink()
    older.close()
    assert newer.fetch([1])[1].record_id == "a"
    newer.close()
    with pytest.raises(CorruptError, match="closed"):
        newer.count_totals()


def test_a_file_in_the_place_of_an_open_one_is_opened(tmp_path: Path) -> None:
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    for n, database in ((2, path), (3, other)):
        with opened(database, 1) as draft:
            read(draft, "a.ris", ROWS[:n])
    with closing(open_database(path)) as older:
        shutil.move(other, path)
        with (
            closing(older.open_again()) as same,
            closing(Corpus([SegmentDatabase(path, np.empty(0, np.int64))], path, older.open_shared)) as newer,
        ):
            assert [len(corpus.read_ids()) for corpus in (older, same, newer)] == [2, 2, 3]


def test_many_databases_get_fewer_connections_each(
    divided: tuple[Corpus, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, many = divided
    monkeypatch.setattr(store_module, "_MOST", 7)
    many.widen(5)
    assert [len(database.connections) for database in many.databases.values()] == [2, 2, 2]


def test_differences_read_only_what_is_not_shared(
    divided: tuple[Corpus, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, many = divided
    with closing(many.open_again()) as same:
        monkeypatch.setattr(Corpus, "read_stored_ids", lambda *_: pytest.fail("reads a shared segment"))
        assert list(find_differences(many, same)) == []


def test_the_ids_beside_another_generation_are_those_of_what_it_does_not_share(
    toy: IndexFolder, add: Callable[..., Report]
) -> None:
    changes = {"id": "toy-03", "title": "Revised"}, {"id": "new", "title": "New"}
    add(*changes, one_segment_below=0)  # toy-03 dies in the first segment; the second has it and the new one
    add({"id": "toy-04", "title": "Revised"}, one_segment_below=50_000)  # all in one segment
    first, second, third = (open_corpus(toy.check(number)) for number in (1, 2, 3))
    with closing(first), closing(second), closing(third):
        assert first.list_ids_beside(second).tolist() == [3]
        assert second.list_ids_beside(first).tolist() == [3, 41]
        assert second.list_ids_beside(second).tolist() == []
        assert second.list_ids_beside(third).tolist() == third.list_ids_beside(second).tolist() == list(range(1, 42))
        again = open_corpus(toy.check(2))
        with closing(again):  # other connections to the same files
            assert second.list_ids_beside(again).tolist() == []
        moved = Corpus([SegmentDatabase(part.database.path, NO_IDS) for part in second.segments[:1]], second.state.path)
        with closing(moved):  # without tombstones, toy-03 is live in the first segment
            assert moved.list_ids_beside(second).tolist() == [3]
            assert second.list_ids_beside(moved).tolist() == [3, 41]
