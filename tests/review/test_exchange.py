"""Decisions in and out of an index of the toy abstracts."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.errors import UsageError
from engine.index.folder import IndexFolder
from engine.query.opening import open_corpus
from engine.references.formats import FORMATS, write
from engine.review.exchange import Imported, add_decisions, cite_decisions
from engine.review.reviews import NewLabel, Review, ReviewSettings
from engine.review.state import read_state
from tests.conftest import TOY, jsonl

IN, OUT, MAYBE = (DecisionKind(kind) for kind in ("include", "exclude", "maybe"))
ROWS = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def review(toy: IndexFolder) -> Review:
    made = Review(toy, "main")
    made.start("ann", ReviewSettings())
    return made


def count(found: Imported) -> int:
    """The records of the files whose fate is told."""
    lists = len(found.rejected) + len(found.unmatched) + len(found.contradictory)
    return lists + found.without + found.repeated + found.unchanged + found.decided


def kinds(review: Review) -> dict[str, DecisionKind | None]:
    return {each.record.ids[0]: each.kind for each in read_state(review).records}


def test_every_record_of_a_file_is_counted_once(review: Review, tmp_path: Path) -> None:
    title = ROWS[4]["title"].upper()
    rows: list[dict[str, object]] = [
        ROWS[0] | {"label_included": "1"},
        ROWS[1] | {"label_included": "0"},
        ROWS[1] | {"label_included": "0"},  # again
        ROWS[2] | {"label_included": ""},  # not read
        ROWS[3] | {"label_included": "1"},
        ROWS[3] | {"label_included": "0"},  # contradicts
        {"id": "x9", "title": title, "abstract": "", "year": ROWS[4]["year"], "decision": "maybe"},  # by its title
        {"id": "x8", "title": "Not in the index", "abstract": "", "decision": "include"},
        {"id": "x7", "decision": "include"},  # neither title nor abstract
    ]
    found = add_decisions(review, "ann", [jsonl(tmp_path / "rows.jsonl", rows)])
    assert (found.read, found.decided, found.repeated, found.without) == (9, 3, 1, 1)
    assert found.unmatched == ["rows.jsonl: x8 Not in the index"]
    assert len(found.contradictory) == 2 and len(found.rejected) == 1
    assert count(found) == found.read
    assert kinds(review) == {"toy-01": IN, "toy-02": OUT, "toy-05": MAYBE}
    assert found.rules == {"id or title": 5, "title": 1}
    again = add_decisions(review, "ann", [tmp_path / "rows.jsonl"])
    assert (again.decided, again.unchanged, count(again)) == (0, 3, 9)
    review.undo("ann")
    assert kinds(review) == {}


def test_a_list_of_ids_needs_a_decision(review: Review, tmp_path: Path) -> None:
    ids = tmp_path / "in.txt"
    ids.write_text("toy-01\ntoy-02\nnope\n")
    with pytest.raises(UsageError, match=r"To decide about a list of ids, say how: --as include"):
        add_decisions(review, "ann", [ids])
    found = add_decisions(review, "ann", [ids], IN)
    assert (found.read, found.decided, found.unmatched) == (3, 2, ["in.txt: nope"])
    assert kinds(review) == {"toy-01": IN, "toy-02": IN}


def test_what_is_asked_for_counts_more_than_what_the_file_says(review: Review, tmp_path: Path) -> None:
    add_decisions(review, "ann", [jsonl(tmp_path / "a.jsonl", [ROWS[0] | {"decision": "exclude"}])], IN)
    assert kinds(review) == {"toy-01": IN}


def test_reviewers_whom_a_file_names_decide_for_themselves(review: Review, tmp_path: Path) -> None:
    note = 'RAYYAN-INCLUSION: {"Bo"=>"Included", "Cy"=>"Excluded"} | RAYYAN-EXCLUSION-REASONS: wrong drug'
    found = add_decisions(review, "ann", [jsonl(tmp_path / "a.jsonl", [ROWS[0] | {"notes": [note]}])])
    assert found.decided == 1 and len(found.made) == 2
    (record,) = read_state(review).records
    assert [(each.who, each.kind, each.reason) for each in record.decisions] == [
        ("Bo", IN, ""), ("Cy", OUT, "wrong drug"),
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix not in (".md", ".csl.json")])
def test_an_export_gives_the_same_decisions_to_another_review(review: Review, tmp_path: Path, suffix: str) -> None:
    review.decide("ann", ["toy-01", "toy-03"], NewLabel(IN))
    review.decide("ann", ["toy-02"], NewLabel(OUT, "wrong drug", labels=("pilot",)))
    review.decide("ann", ["toy-04"], NewLabel(MAYBE))
    path, state = tmp_path / f"decisions{suffix}", read_state(review)
    as_columns = suffix in (".csv", ".tsv", ".xlsx", ".json", ".jsonl")
    with closing(open_corpus(review.folder.open_current())) as corpus:
        write(path, cite_decisions(state, corpus, as_columns=as_columns, undecided=True), "review")
    other = Review(review.folder, "other")
    other.start("ann", ReviewSettings())
    found = add_decisions(other, "zoe", [path])
    assert (found.read, found.decided, found.without) == (40, 4, 36)
    told = [
        (each.record.ids, [(one.who, one.kind, one.reason) for one in each.decisions])
        for each in sorted(read_state(other).records, key=lambda each: each.record.ids)
    ]
    assert told == [
        (("toy-01",), [("ann", IN, "")]),
        (("toy-02",), [("ann", OUT, "wrong drug")]),
        (("toy-03",), [("ann", IN, "")]),
        (("toy-04",), [("ann", MAYBE, "")]),
    ]
