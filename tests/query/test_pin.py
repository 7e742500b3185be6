from collections.abc import Callable

import pytest

from engine import Query, open_index
from engine.errors import GenerationError
from engine.index.generations.folder import IndexFolder
from engine.query.index import get_generation
from engine.reindex.generation.order import Report

Add = Callable[..., Report]
NEW = {"id": "new", "title": "Gout", "abstract": "Gout in knees."}


@pytest.mark.parametrize("follow", [True, False])
def test_a_pinned_index_stays_whatever_is_published(toy: IndexFolder, add: Add, follow: bool) -> None:
    with open_index(toy.path, follow=follow) as index:
        still = index.pin()
        before = still.ask(Query("gout"))
        add(NEW)
        assert still.ask(Query("gout")) == before
        assert not still.refresh() and (still.generation, len(still)) == (1, 40)
        assert index.refresh() and (index.generation, len(index)) == (2, 41)
        assert (still.generation, len(still), still.ask(Query("gout"))) == (1, 40, before)
        assert (index.pin().generation, index.pin().get("new").title) == (2, "Gout")


def test_it_stays_at_what_the_index_held_and_does_not_move_it(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path) as index:
        add(NEW)
        assert index.pin().generation == 1 == index.generation
        index.ask(Query("gout"))
        assert index.pin().generation == 2


def test_nothing_is_opened_for_it(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert get_generation(index.pin()) is get_generation(index)
        (toy.path / "CURRENT").unlink()
        assert index.pin().ask(Query("gout")).generation == 1


def test_the_index_itself_goes_on_following(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path) as index:
        still = index.pin()
        assert (index._follow, index._is_pinned, still._follow, still._is_pinned) == (True, False, False, True)
        add(NEW)
        assert index.ask(Query("gout")).generation == 2


def test_closing_it_leaves_the_index_open(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        with index.pin() as still:
            assert len(still) == 40
        with pytest.raises(GenerationError, match="was closed. Open it again"):
            still.ask(Query("gout"))
        assert len(index.search("gout")) == 10


def test_closing_the_index_lets_it_finish(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        still = index.pin()
    assert len(still.search("gout")) == 10
    with pytest.raises(GenerationError, match="was closed. Open it again"):
        index.pin()


def test_a_pinned_index_may_be_pinned(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        still = index.pin().pin()
        assert still.generation == 1 and not still.refresh()
