import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from engine.corpus.draft import Draft, SourceFile
from engine.corpus.history import (
    ADDED,
    METADATA,
    REMOVED,
    TEXT,
    RecordDifference,
    find_changed,
    find_differences,
    find_generation_before,
    read_events,
)
from engine.corpus.storage.store import open_database
from engine.records.abstract import Abstract
from engine.records.generation import Counts
from tests.corpus.drafts import opened, origin

A = [Abstract(f"r{n}", f"Title {n}", "Body", 2000) for n in range(6)]


def three(place: Path) -> list[Path]:
    """Build three generations: r0-r3; r0 reworded, r1 re-dated, r2 deleted, r4 added; r1 reworded."""
    paths = [place / f"{n}.db" for n in (1, 2, 3)]
    with opened(paths[0], 1) as draft:
        draft.note_source(SourceFile("one.jsonl", "/one.jsonl", 1, "01", "JSONL"))
        for row in A[:4]:
            draft.intake.put(row, origin(1))
        note_cause(draft, None, "index: 1 file", Counts(4, 0, 0, 0, 0, added=4))
    paths[1].write_bytes(paths[0].read_bytes())
    with opened(paths[1], 2) as draft:
        draft.intake.put(replace(A[0], title="Other"), origin(2))
        draft.intake.put(replace(A[1], year=2001), origin(2))
        draft.ledger.discard(3)
        draft.intake.put(A[4], origin(2))
        note_cause(draft, 1, "reindex: 1 file", Counts(4, 0, 0, 0, 0, added=1, deleted=1))
    paths[2].write_bytes(paths[1].read_bytes())
    with opened(paths[2], 3) as draft:
        draft.intake.put(replace(A[1], year=2001, abstract="Other"), origin(3))
        note_cause(draft, 2, "index: 1 file", Counts(4, 0, 0, 0, 0, text_changed=1))
    return paths


def note_cause(draft: Draft, parent: int | None, cause: str, counts: Counts) -> None:
    draft.note_cause(parent, cause, json.dumps(asdict(counts)))


def differences(old: Path, new: Path) -> list[RecordDifference]:
    with closing(open_database(old)) as before, closing(open_database(new)) as after:
        return list(find_differences(before, after))


def test_changes_since_a_generation(tmp_path: Path) -> None:
    with closing(open_database(three(tmp_path)[2])) as corpus:
        assert find_changed(corpus, 0) == {1: ADDED, 2: ADDED, 4: ADDED, 5: ADDED}
        assert find_changed(corpus, 1) == {1: TEXT, 2: TEXT, 5: ADDED}
        assert find_changed(corpus, 2) == {2: TEXT}
        assert find_changed(corpus, 3) == {}


def test_metadata_changes_differ_from_text_changes_even_after_re_encoding(tmp_path: Path) -> None:
    path = three(tmp_path)[1]
    with opened(path, 3) as draft:
        draft.note_lengths([(9, False, n) for n in (1, 2, 4, 5)])  # what --re-encode does
    with closing(open_database(path)) as corpus:
        assert find_changed(corpus, 1) == {1: TEXT, 2: METADATA, 5: ADDED}


def test_a_date_means_the_last_generation_before_it(tmp_path: Path) -> None:
    with closing(open_database(three(tmp_path)[2])) as corpus:  # made on the 1st, 2nd and 3rd of January, at 0:00
        assert [find_generation_before(corpus, f"2026-01-0{day}") for day in (1, 2, 3, 4)] == [0, 1, 2, 3]
        assert find_generation_before(corpus, "2026-01-02T00:00:01+00:00") == 2


def test_more_counts_as_new_if_the_clock_ran_backwards(tmp_path: Path) -> None:
    path = three(tmp_path)[2]
    with opened(path, 4) as draft:
        draft.connection.execute("UPDATE generation SET created = '2020-01-01T00:00:00+00:00' WHERE number IN (3, 4)")
    with closing(open_database(path)) as corpus:
        assert find_generation_before(corpus, "2026-01-02") == 1
        assert find_generation_before(corpus, "2026-01-05") == 4


def test_events_have_a_cause_and_a_parent(tmp_path: Path) -> None:
    with closing(open_database(three(tmp_path)[2])) as corpus:
        events = read_events(corpus)
    assert [event.generation for event in events] == [1, 2, 3]
    assert (events[0].cause, events[0].files, events[0].counts) == (
        "index: 1 file",
        ("one.jsonl",),
        Counts(4, 0, 0, 0, 0, added=4),
    )
    assert [event.parent for event in events] == [None, 1, 2]
    assert (events[1].cause, events[1].counts.deleted) == ("reindex: 1 file", 1)


def test_differences_of_two_generations(tmp_path: Path) -> None:
    one, two, three_ = three(tmp_path)
    assert differences(one, two) == [
        RecordDifference(REMOVED, "r2", "Title 2"),
        RecordDifference(TEXT, "r0", "Other", ("title",)),
        RecordDifference(METADATA, "r1", "Title 1", ("year",)),
        RecordDifference(ADDED, "r4", "Title 4"),
    ]
    assert differences(two, one)[0] == RecordDifference(REMOVED, "r4", "Title 4")
    assert differences(two, three_) == [RecordDifference(TEXT, "r1", "Title 1", ("abstract",))]
    assert differences(two, two) == []


def test_a_second_source_of_the_same_values_is_a_difference_in_sources(tmp_path: Path) -> None:
    one, two = tmp_path / "1.db", tmp_path / "2.db"
    with opened(one, 1) as draft:
        draft.intake.put(replace(A[0], pmid="1"), origin(1))
    two.write_bytes(one.read_bytes())
    with opened(two, 2) as draft:
        draft.intake.put(replace(A[0], record_id="x", pmid="1"), origin(2, "RIS"))
    assert differences(one, two) == [RecordDifference(METADATA, "r0", "Title 0", ("sources",))]
