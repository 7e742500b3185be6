"""The corpus of a published generation."""

from contextlib import closing

import pytest

from engine.corpus.filters import qualified
from engine.corpus.store import Corpus
from engine.errors import UsageError
from engine.queries import Filters
from tests.conftest import V5

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_query_that_takes_too_long_is_given_up_and_the_next_one_is_answered() -> None:
    (path,) = V5.glob("generations/*/abstracts.db")
    with closing(Corpus(path)) as corpus:
        corpus.patience = 0.05
        with pytest.raises(UsageError, match=r"the filters take longer than 0\.05 seconds. Ask for fewer patterns"):
            corpus.rows(ENDLESS)
        assert len(qualified(corpus, Filters(where="title ~ 'gout'")).doc_ids) == 8
