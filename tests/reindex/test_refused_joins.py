"""Records that a decision joins although the joined text gets no vector: none of them is lost."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision, RecordIdentity
from engine.encode.execution.onnx import OnnxEncoder
from engine.index.generations.folder import IndexFolder
from engine.query.index import open_index
from engine.records.encoder import Encoded
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.runs.run import index_sources
from tests.conftest import jsonl, order_of, silent

Add = Callable[..., Report]
OLD = {"id": "old", "title": "Gout and diet", "abstract": "Meat was named."}


@pytest.fixture(autouse=True)
def unlucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that gives a text with the word Unlucky no vector."""
    real = OnnxEncoder.encode

    def spoil(self: OnnxEncoder, texts: Sequence[str]) -> Encoded:
        found = real(self, texts)
        found.vectors[[row for row, text in enumerate(texts) if "Unlucky" in text]] = np.nan
        return found

    monkeypatch.setattr(OnnxEncoder, "encode", spoil)


def join(folder: IndexFolder, *names: str) -> None:
    """Decide that the records with these ids are one."""
    records = tuple(RecordIdentity((name,), None, None, "", None, "") for name in names)
    Journal(folder.decisions).append("someone", [NewDecision(DecisionKind.MERGE, records, {})])


def titles(folder: IndexFolder) -> dict[str, str]:
    """The titles of the records that this module adds, by id."""
    with open_index(folder.path) as index:
        return {row.record_id: row.title for row in index.abstracts() if row.record_id in ("old", "new", "third")}


def check(folder: IndexFolder, report: Report, **counts: int) -> None:
    """Check that an index is whole, and the counts of the file of a run."""
    assert verify(folder, folder.open_current(), deep=True) == []
    (reading,) = report.readings
    found = {
        name: getattr(reading.counts, name) for name in ("rejected", "added", "text_changed", "merged", "unchanged")
    }
    assert found == dict.fromkeys(found, 0) | counts and reading.counts.read == sum(counts.values())


@pytest.mark.parametrize("below", [0, 50_000])
def test_a_new_record_joined_with_one_whose_new_text_gets_no_vector_is_kept(
    toy: IndexFolder, add: Add, below: int
) -> None:
    add(OLD, one_segment_below=below)
    join(toy, "old", "new")
    report = add(OLD | {"title": "Unlucky"}, {"id": "new", "title": "Gout and meat"}, one_segment_below=below)
    assert titles(toy) == {"old": "Gout and diet", "new": "Gout and meat"}
    assert (report.counts.added, report.counts.rejected, report.counts.merged) == (1, 1, 0)
    check(toy, report, rejected=1, added=1)
    assert not add(
        OLD | {"title": "Unlucky"}, {"id": "new", "title": "Gout and meat"}, one_segment_below=below
    ).published
    add(OLD | {"title": "Gout, diet"}, {"id": "new", "title": "Gout and meat"}, one_segment_below=below)
    assert titles(toy) == {"old": "Gout, diet"}  # joined, as soon as the text can be encoded


@pytest.mark.parametrize("below", [0, 50_000])
def test_new_records_that_a_decision_joins_are_encoded_alone_if_they_must(
    toy: IndexFolder, add: Add, below: int
) -> None:
    join(toy, "old", "new")
    report = add(OLD | {"title": "Unlucky"}, {"id": "new", "title": "Gout and meat"}, one_segment_below=below)
    assert titles(toy) == {"new": "Gout and meat"}
    assert (report.counts.added, report.counts.rejected) == (1, 1)
    check(toy, report, rejected=1, added=1)


@pytest.mark.parametrize("re_encode", [False, True])
def test_a_published_record_keeps_its_own_change_if_the_joined_text_gets_no_vector(
    toy: IndexFolder, add: Add, re_encode: bool
) -> None:
    third = {"id": "third", "title": "Gout and wine", "abstract": "Wine was named."}
    add(OLD, third)
    join(toy, "old", "third")
    rows = OLD | {"title": "Unlucky"}, third | {"title": "Gout and beer"}
    report = add(*rows, re_encode=re_encode)
    assert titles(toy) == {"old": "Gout and diet", "third": "Gout and beer"}
    check(toy, report, rejected=1, text_changed=1)
    assert report.counts.merged == 0 and report.counts.text_changed == 1


def test_what_was_published_as_one_record_stays_one(toy: IndexFolder, add: Add) -> None:
    third = {"id": "third", "title": "Gout and wine"}
    add(OLD, third)
    join(toy, "old", "third")
    index_sources(toy, order_of(), silent)
    assert titles(toy) == {"old": "Gout and diet"}
    join(toy, "third", "new")
    report = add(OLD | {"title": "Unlucky"}, third, {"id": "new", "title": "Gout and meat"})
    assert titles(toy) == {"old": "Gout and diet", "new": "Gout and meat"}
    check(toy, report, rejected=1, unchanged=1, added=1)


def test_a_part_that_another_decision_took_away_comes_back_with_its_record(toy: IndexFolder, add: Add) -> None:
    third = {"id": "third", "title": "Gout and wine"}
    add(OLD, third)
    join(toy, "old", "third")
    index_sources(toy, order_of(), silent)
    Journal(toy.decisions).undo("someone", None)
    join(toy, "third", "new")
    report = add(OLD | {"title": "Unlucky"}, third, {"id": "new", "title": "Gout and meat"})
    assert titles(toy) == {"old": "Gout and diet", "new": "Gout and meat"}
    check(toy, report, rejected=1, unchanged=1, added=1)


def test_it_is_said_that_a_decision_could_not_be_applied(toy: IndexFolder, add: Add) -> None:
    join(toy, "old", "new")
    report = add(OLD | {"title": "Unlucky"}, {"id": "new", "title": "Gout and meat"})
    assert [(what, n) for what, n, _ in report.remarks] == [
        ("records that a decision joins, kept apart because their joined text gets no vector", 1)
    ]


@pytest.mark.parametrize("undone", [False, True])
def test_a_part_that_a_new_pmid_makes_one_with_an_older_record_comes_back(
    toy: IndexFolder, add: Add, tmp_path: Path, undone: bool
) -> None:
    early, third = {"id": "new", "title": "Gout and meat", "pmid": "777"}, {"id": "third", "title": "Gout and wine"}
    index_sources(toy, order_of(jsonl(tmp_path / "early.jsonl", [early])), silent)
    add(OLD, third)
    join(toy, "old", "third")
    index_sources(toy, order_of(), silent)
    assert titles(toy) == {"old": "Gout and diet", "new": "Gout and meat"}
    if undone:
        Journal(toy.decisions).undo("someone", None)
    report = add(OLD, third | {"title": "Unlucky", "pmid": "777"})
    assert titles(toy) == {"old": "Gout and diet", "new": "Gout and meat"}
    assert (report.counts.abstracts, report.counts.merged) == (42, 0)
    check(toy, report, rejected=1, unchanged=1)
    report = add(OLD, third | {"pmid": "777"})
    assert titles(toy).keys() == ({"old", "new"} if undone else {"new"})  # one with it, once its text can be read
    assert (report.counts.abstracts, report.counts.merged) == ((42, 0) if undone else (41, 1))
    assert verify(toy, toy.open_current(), deep=True) == []
