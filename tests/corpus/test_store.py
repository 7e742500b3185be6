"""The corpus of a published generation."""

import time
from contextlib import closing

import pytest

from engine.corpus.filters import qualified
from engine.corpus.store import Corpus
from engine.deadline import Deadline, wanted_until
from engine.errors import BusyError, UsageError
from engine.queries import Filters
from tests.conftest import V5

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_query_that_takes_too_long_is_given_up_and_the_next_one_is_answered() -> None:
    (path,) = V5.glob("generations/*/abstracts.db")
    with closing(Corpus(path)) as corpus:
        corpus.patience = 0.05
        with pytest.raises(
            UsageError, match=r"words and filters take longer than 0\.05 seconds. Ask with fewer of them"
        ):
            corpus.rows(ENDLESS)
        assert len(qualified(corpus, Filters(where="title ~ 'gout'")).doc_ids) == 8


def test_a_query_that_is_no_longer_wanted_is_given_up_and_not_begun() -> None:
    (path,) = V5.glob("generations/*/abstracts.db")
    with closing(Corpus(path)) as corpus:
        began = time.monotonic()
        with wanted_until(Deadline(began + 0.1)), pytest.raises(BusyError, match="the time for this answer is over"):
            corpus.rows(ENDLESS)
        assert time.monotonic() - began < 5
        corpus.patience = 60.0
        with wanted_until(Deadline(began)), pytest.raises(BusyError, match="the time for this answer is over"):
            corpus.ids()
        assert len(corpus.ids()) == 43
