"""A review that is served is ready before the first request, whatever of it can't be read."""

import sys

import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.errors import EncoderError
from engine.index.generations.folder import IndexFolder
from engine.query.index import open_index
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.desk.reading import RecordReader
from engine.serve.work.openreview import OpenReview, ReviewRules


def test_what_the_first_decisions_need_is_loaded_before(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    Review(toy, "main").start("ann", ReviewSettings("Gout"))
    with open_index(toy.path) as index:
        review = OpenReview(toy, ReviewRules("main", "ann"), lambda: index)
        monkeypatch.delitem(sys.modules, "sklearn.svm", raising=False)
        review.prepare()
        assert "sklearn.svm" in sys.modules
        queue = review.get_queue()
        assert queue._reader is not None
        assert queue._reader._vectors is not None  # of the criteria
        assert queue._shown == {}  # nobody was shown a record
        log = toy.decisions.with_name("decisions.db-wal")
        review.decide("ann", "toy-01", NewLabel(DecisionKind.INCLUDE))
        assert log.stat().st_size  # a decision is written to the log alone
        review.close()
        assert not log.exists()
        assert len(review.review.journal.read()) == 2


def test_a_review_without_its_encoder_is_served_all_the_same(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(reader: RecordReader, doc_id: int, **_: object) -> None:
        raise EncoderError("no encoder")

    monkeypatch.setattr(RecordReader, "read", fail)
    Review(toy, "main").start("ann", ReviewSettings("Gout"))
    with open_index(toy.path) as index:
        review = OpenReview(toy, ReviewRules("main", "ann"), lambda: index)
        review.prepare()
        with pytest.raises(EncoderError, match="no encoder"):
            review.get_queue().read_record(1)
        review.close()
