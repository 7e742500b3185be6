"""Feedback: the question moves towards its nearest records, as the formula says, and every interface says so."""

from dataclasses import replace

import numpy as np
import pytest

from engine import Filters, Query, open_index
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import Mode
from engine.query.index import get_generation
from engine.query.prisma import write_paragraph
from engine.query.question.plan import FED_BACK
from engine.query.rerun import rerun
from engine.query.searchlog import dump_record, make_record, read_record

NOTE = "feedback: compared with the question and the 10 records nearest to it"


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
@pytest.mark.parametrize("filters", [Filters(), Filters(years=((2000, None),))])
def test_the_score_is_the_cosine_with_the_moved_question(toy: IndexFolder, filters: Filters, mode: Mode) -> None:
    with open_index(toy.path) as index:
        query = Query("gout in the knee", top_k=40, filters=filters, mode=mode)
        plain, moved = index.ask(query), index.ask(replace(query, feedback=True))
        corpus, vectors = get_generation(index).corpus, get_generation(index).vectors
        nearest = index.ask(replace(query, mode="semantic")).hits[:FED_BACK]  # by meaning in every mode
        near = np.array([corpus.find_doc_id(hit.id) for hit in nearest])
        point = index.encode([query.text])[0] + vectors.get_points(near).mean(axis=0)
        point /= np.linalg.norm(point)
        own = vectors.get_points(np.array([corpus.find_doc_id(hit.id) for hit in moved.hits]))
        assert np.allclose([hit.score for hit in moved.hits], own @ point, atol=1e-6)
        assert {hit.id for hit in moved.hits} == {hit.id for hit in plain.hits}
        assert NOTE in moved.notes and NOTE not in plain.notes


def test_examples_are_never_fed_back(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        query = Query(like=("toy-01",), top_k=39)
        near = [hit.id for hit in index.ask(query).hits]
        moved = index.ask(replace(query, feedback=True))
        assert sorted(near) == sorted(hit.id for hit in moved.hits) and "toy-01" not in near


def test_a_batch_is_as_one_query(toy: IndexFolder) -> None:
    queries = [Query(text, feedback=True) for text in ("gout", "knee pain")]
    with open_index(toy.path) as index:
        assert index.ask_batch(queries) == [index.ask(query) for query in queries]


def test_a_filter_that_nothing_passes(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("gout", feedback=True, filters=Filters(years=((1500, 1501),))))
        assert answer.hits == () and not [note for note in answer.notes if "feedback" in note]


def test_the_note_counts_what_is_fed_back(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        for n, told in ((1, "the record"), (3, "the 3 records"), (12, "the 10 records")):
            ids = tuple(f"toy-{i:02}" for i in range(1, n + 1))
            notes = index.ask(Query("gout", feedback=True, top_k=1, filters=Filters(ids=ids))).notes
            assert notes[0] == f"feedback: compared with the question and {told} nearest to it"


def test_refused(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        with pytest.raises(UsageError, match="keyword mode can't use feedback"):
            index.ask(Query("gout", mode="keyword", feedback=True))
        with pytest.raises(UsageError, match="feedback is 'yes', expected True or False"):
            index.ask(Query("gout", feedback="yes"))  # type: ignore[arg-type]


def test_a_record_repeats_it(toy: IndexFolder) -> None:
    path = toy.path.parent / "record.json"
    with open_index(toy.path) as index:
        record = make_record(index, index.ask(Query("gout", mode="hybrid", feedback=True)))
        path.write_bytes(dump_record(record))
        assert read_record(path).query.feedback and rerun(read_record(path), index).same
    assert "moved towards those of the 10 records nearest to it (Rocchio feedback)" in write_paragraph(record)
