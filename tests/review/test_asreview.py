"""ASReview itself reads what a review exports, and a review takes in a project that ASReview wrote."""

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engine.collect.source import read_source
from engine.corpus.storage.journal import DecisionKind
from engine.index.generations.folder import IndexFolder
from engine.query.opening.corpus import open_corpus
from engine.records.abstract import Abstract
from engine.references.formats import FORMATS, write
from engine.review.decisions.exchange import add_decisions, cite_decisions
from engine.review.decisions.marks import read_marks
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import read_state

IN, OUT, MAYBE = (DecisionKind(kind) for kind in ("include", "exclude", "maybe"))
LABELS = {IN: 1, OUT: 0}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("asreview") is None, reason="needs ASReview 3: pip install asreview"),
]


@pytest.fixture
def review(toy: IndexFolder) -> Review:
    made = Review(toy, "main")
    made.start("ann", ReviewSettings())
    made.decide("ann", ["toy-01", "toy-03"], NewLabel(IN, note="see table 2"))
    made.decide("ann", ["toy-02"], NewLabel(OUT, "wrong drug", labels=("pilot",)))
    made.decide("ann", ["toy-04"], NewLabel(MAYBE))
    return made


def export(review: Review, path: Path) -> Path:
    """A file of all records of the index with the decisions of the review."""
    with closing(open_corpus(review.folder.open_current())) as corpus:
        as_columns = FORMATS[path.suffix].has_columns
        cited = cite_decisions(read_state(review), corpus, as_columns=as_columns, undecided=True)
        write(path, cited, "review")
    return path


@pytest.mark.parametrize("suffix", [".ris", ".csv", ".tsv", ".xlsx"])
def test_asreview_reads_every_record_with_its_label(review: Review, tmp_path: Path, suffix: str) -> None:
    from asreview.data.loader import load_records  # type: ignore[import-not-found]

    records: list[Any] = load_records(export(review, tmp_path / f"all{suffix}"), dataset_id="toy")
    with closing(open_corpus(review.folder.open_current())) as corpus:
        stored = list(corpus.read_abstracts())
    assert [record.title for record in records] == [one.title for one in stored]
    assert [record.abstract or "" for record in records] == [one.abstract for one in stored]
    assert [record.included for record in records] == [1, 0, 1, *[None] * 37]


def test_a_project_that_asreview_exported_is_taken_in(review: Review, tmp_path: Path) -> None:
    from asreview.project.api import Project

    path = export(review, tmp_path / "all.ris")
    with Project.create(tmp_path / "project", project_id="toy") as project:
        project.add_dataset(path)
        project.label_priors()
        project.export(tmp_path / "toy.asreview")
    other = Review(review.folder, "other")
    other.start("zoe", ReviewSettings())
    found = add_decisions(other, "zoe", [tmp_path / "toy.asreview"])
    assert (found.read, found.decided, found.without) == (40, 3, 37)
    assert {each.record.ids[0]: each.kind for each in read_state(other).records} == {
        "toy-01": IN, "toy-02": OUT, "toy-03": IN,
    }  # fmt: skip


def test_labels_of_real_exports_are_those_that_asreview_reads(shared: Path) -> None:
    from asreview.data.loader import load_records

    n_files = 0
    for path in sorted([*(shared / "formats" / "csv").iterdir(), *(shared / "formats" / "ris").iterdir()]):
        try:
            labels = [record.included for record in load_records(path, dataset_id="a")]
        except ValueError:  # ASReview reads fewer files
            continue
        if set(labels) == {None}:
            continue
        records = [entry for entry in read_source(path) if isinstance(entry, Abstract)]
        marks = [read_marks(record, path.name) for record in records]
        assert [LABELS[found[0].kind] if found else None for found in marks] == labels, path.name
        n_files += 1
    assert n_files >= 12
