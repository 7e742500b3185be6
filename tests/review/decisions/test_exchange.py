"""Decisions in and out of an index of the toy abstracts."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.query.opening.corpus import open_corpus
from engine.references.formats import FORMATS, write
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.review.decisions.exchange import Imported, add_decisions, cite_decisions
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import read_state
from tests.conftest import TOY, TOY_MODEL, copy_toy, jsonl, order_of, silent, spare_export
from tests.corpus.selection.test_asreview import make_project

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))
NOTE, REASON = '=1+1 | "b" } <i>', "wrong drug, or dose"  # what the parts of files could be taken for
EXPORTS = Path(__file__).parents[2] / "data" / "reviews"
ROWS = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def review(toy: IndexFolder) -> Review:
    made = Review(toy, "main")
    made.start("ann", ReviewSettings())
    return made


def count(found: Imported) -> int:
    """The records of the files whose fate is told."""
    lists = len(found.rejected) + len(found.unmatched) + len(found.contradictory) + len(found.refused)
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


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if not suffix.endswith((".md", ".txt"))])
def test_an_export_gives_the_same_decisions_to_another_review(
    reviewed: Review, tmp_path: Path, suffix: str, tags: bool
) -> None:
    state = read_state(reviewed)
    path = tmp_path / f"decisions{suffix}"
    with closing(open_corpus(reviewed.folder.open_current())) as corpus:
        as_columns = FORMATS[suffix].has_columns
        write(path, cite_decisions(state, corpus, as_columns=as_columns, as_tags=tags, undecided=True), "review")
    with begin(reviewed.folder, suffix, tags) as other:
        found = add_decisions(other, "zoe", [path])
        assert (found.read, found.decided, found.without) == (41, 4, 37)
        assert told(other) == told(reviewed) == [
            ("toy-01", "ann", IN, "", NOTE, ("labelled",)),
            ("toy-02", "ann", OUT, REASON, "", ("=pilot",)),
            ("toy-03", "ann", IN, "", "", ()),
            ("toy-04", "ann", MAYBE, "", "", ()),
        ]  # fmt: skip


@contextmanager
def begin(folder: IndexFolder, *name: object) -> Iterator[Review]:
    """A review of its own, started."""
    made = Review(folder, "-".join(re.sub(r"\W", "", str(part).lower())[:30] for part in name))
    made.start("ann", ReviewSettings())
    yield made


def told(review: Review) -> list[tuple[str, str, DecisionKind, str, str, tuple[str, ...]]]:
    """The decisions in force, by record."""
    return [
        (each.record.ids[0], one.who, one.kind, one.reason, one.note, one.labels)
        for each in sorted(read_state(review).records, key=lambda each: each.record.ids)
        for one in each.decisions
    ]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Review:
    """A review of the toy index, which has a record with decisions of another tool."""
    place = tmp_path_factory.mktemp("reviewed")
    folder = copy_toy(place / "toy")
    stale = {
        "id": "stale",
        "title": "Stale",
        "label_included": "1",
        "notes": ["ASReview_relevant"],
        "labels": ["excluded"],
    }
    index_sources(folder, order_of(jsonl(place / "stale.jsonl", [stale | {"keywords": ["include"]}])), silent)
    with begin(folder, "main") as made:
        made.decide("ann", ["toy-01"], NewLabel(IN, note=NOTE, labels=("labelled",)))
        made.decide("ann", ["toy-02"], NewLabel(OUT, REASON, labels=("=pilot",)))
        made.decide("ann", ["toy-03"], NewLabel(IN))
        made.decide("ann", ["toy-04"], NewLabel(MAYBE))
    return made


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("rayyan.csv", [
            ("toy-01", "Ann", IN, "", "", ("pilot", "RCT")), ("toy-01", "Bo", IN, "", "", ("pilot", "RCT")),
            ("toy-02", "Ann", OUT, "wrong drug; no control", "see table 2 | page 4", ()),
            ("toy-02", "Bo", OPEN, "", "ask", ()), ("toy-03", "Ann", MAYBE, "", "", ()),
        ]),
        ("review_12345_excluded_csv_20240131120000.csv", [
            ("toy-01", "zoe", OUT, "Wrong study design", "", ("pilot",)), ("toy-02", "zoe", OUT, "", "", ()),
        ]),
        ("distiller.csv", [
            ("toy-01", "Ann", IN, "", "", ()), ("toy-01", "Bo", IN, "", "", ()),
            ("toy-02", "Ann", OUT, "wrong drug", "", ()), ("toy-03", "Ann", MAYBE, "", "", ()),
        ]),
        ("eppi.json", [
            ("toy-01", "zoe", IN, "", "", ("Pilot",)), ("toy-02", "zoe", OUT, "EXCLUDE on design", "", ()),
            ("toy-03", "zoe", OUT, "EXCLUDE on population", "", ()),
        ]),
        ("eppi.ris", [
            ("toy-01", "zoe", IN, "", "", ()), ("toy-02", "zoe", OUT, "EXCLUDE on design", "", ()),
        ]),
        ("zotero.csv", [("toy-01", "zoe", IN, "", "", ()), ("toy-02", "zoe", OUT, "wrong drug", "", ())]),
        ("ids.csv", [("toy-01", "Ann", IN, "", "", ()), ("toy-02", "Ann", OUT, "wrong drug", "", ())]),
    ],
)  # fmt: skip
def test_files_of_other_tools(reviewed: Review, file: str, expected: list[object]) -> None:
    with begin(reviewed.folder, file) as review:
        found = add_decisions(review, "zoe", [EXPORTS / file])
        assert told(review) == expected
        assert count(found) == found.read and not found.contradictory and not found.refused
        again = add_decisions(review, "zoe", [EXPORTS / file])
        assert again.made == [] and again.unchanged == found.decided


def test_rows_of_a_table_of_ids_are_counted(reviewed: Review, tmp_path: Path) -> None:
    with begin(reviewed.folder, "ids") as review:
        found = add_decisions(review, "zoe", [EXPORTS / "ids.csv"])
        assert (found.read, found.decided, found.without) == (5, 2, 1)
        assert found.unmatched == ["ids.csv, line 5: toy-99"]
        assert found.rejected == ["ids.csv, line 6: no PMID, DOI or id"]
        assert found.rules == {"id": 2}
        forced = add_decisions(review, "zoe", [EXPORTS / "ids.csv"], MAYBE)
        assert (forced.read, forced.decided, forced.without) == (5, 3, 0)
        (tmp_path / "plain.csv").write_text("id,year\ntoy-01,1991\n")
        with pytest.raises(UsageError, match=r"A CSV needs a header .* say how: --as"):
            add_decisions(review, "zoe", [tmp_path / "plain.csv"])


def test_texts_that_are_too_long_are_refused_and_the_rest_goes_in(reviewed: Review, tmp_path: Path) -> None:
    rows = [
        ROWS[0] | {"decision": "exclude", "exclusion_reason": "x" * 10_001},
        ROWS[1] | {"decision": "include", "decision_note": "y" * 10_001},
        ROWS[2] | {"decision": "include", "decision_labels": "z" * 10_001},
        ROWS[3] | {"decision": "include", "reviewer": "w" * 10_001},
        ROWS[4] | {"decision": "include"},
    ]
    with begin(reviewed.folder, "long") as review:
        found = add_decisions(review, "zoe", [jsonl(tmp_path / "long.jsonl", rows)])
        assert [line.split(": ", 1)[1].split(" a ", 1)[1] for line in found.refused] == [
            f"{what} of 10,001 characters, expected 10,000 or fewer" for what in ("reason", "note", "label", "name")
        ]  # fmt: skip
        assert (found.decided, count(found)) == (1, found.read) and [row[0] for row in told(review)] == ["toy-05"]


def test_a_note_alone_takes_no_decision_back(reviewed: Review, tmp_path: Path) -> None:
    rows = [ROWS[0] | {"notes": ['USER-NOTES: {"Ann"=>["later"]}']}]
    with begin(reviewed.folder, "note") as review:
        review.decide("Ann", ["toy-01"], NewLabel(IN))
        found = add_decisions(review, "zoe", [jsonl(tmp_path / "a.jsonl", rows)])
        assert (found.unchanged, found.made) == (1, [])


def test_an_export_of_one_kind(reviewed: Review) -> None:
    with closing(open_corpus(reviewed.folder.open_current())) as corpus:
        (cited,) = cite_decisions(read_state(reviewed), corpus, as_columns=False, as_tags=True, only=OUT)
    assert cited.record.record_id == "toy-02" and cited.record.keywords[-1] == f"excluded: {REASON}"


@pytest.mark.parametrize("version", [2, 3])
def test_a_project_of_asreview(reviewed: Review, tmp_path: Path, version: int) -> None:
    rows = [
        (ROWS[0]["title"], 1991, 1, "see table 2", '[{"id": 1, "label": "Design", "values": [{"label": "RCT", "checked": true}, {"label": "odd"}]}]'),
        (ROWS[1]["title"], 1992, 0, None, "[]"),
        (ROWS[2]["title"], 1993, None, None, None),
    ]  # fmt: skip
    path = make_project(tmp_path / "toy.asreview", rows, version)
    with begin(reviewed.folder, "asreview", version) as review:
        found = add_decisions(review, "zoe", [path])
        assert told(review) == [
            ("toy-01", "zoe", IN, "", "see table 2", ("RCT",)),
            ("toy-02", "zoe", OUT, "", "", ()),
        ]  # fmt: skip
        assert (found.read, found.without, count(found)) == (3, 1, 3)


@pytest.mark.slow
def test_decisions_of_real_exports_go_out_and_come_back(shared: Path, tmp_path: Path) -> None:
    files = [
        shared / "formats" / "ris" / "asreview_baseline_zotero.ris",
        shared / "formats" / "ris" / "asreview_baseline_tag-notes_labels.ris",
        shared / "formats" / "csv" / "asreview_generic_labels.csv",
        shared / "formats" / "csv" / "asreview_record_id.csv",
    ]
    folder = spare_export(IndexFolder(tmp_path / "real"))
    index_sources(folder, Order(tuple(files), IndexSettings(model=str(TOY_MODEL), device="cpu")), silent)
    with begin(folder, "main") as review:
        found = add_decisions(review, "zoe", files)
        assert count(found) == found.read == 148 and found.unmatched == found.refused == []
        state, expected = read_state(review), told(review)
        assert len(expected) == found.decided == 12
    for suffix in (".ris", ".csv", ".bib", ".xml"):
        path = tmp_path / f"out{suffix}"
        with closing(open_corpus(folder.open_current())) as corpus:
            as_columns = FORMATS[suffix].has_columns
            write(path, cite_decisions(state, corpus, as_columns=as_columns, undecided=True), "review")
        with begin(folder, suffix) as other:
            assert add_decisions(other, "zoe", [path]).decided == len(expected)
            assert told(other) == expected
