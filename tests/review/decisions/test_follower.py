"""A review that is read again and again is what it is when it is read at once."""

from engine.corpus.storage.journal import DecisionKind
from engine.index.generations.folder import IndexFolder
from engine.query.index import get_generation, open_index
from engine.review.decisions.follower import ReviewFollower
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import read_state


def test_only_what_is_new_is_read_again(toy: IndexFolder) -> None:
    review = Review(toy, "main")
    review.start("ann", ReviewSettings("criteria"))
    follower = ReviewFollower(Review(toy, "main"))
    with open_index(toy.path) as index:
        snapshot = get_generation(index)
        for step in (
            lambda: None,
            lambda: review.decide("ann", ["toy-01", "toy-02"], NewLabel(DecisionKind.INCLUDE)),
            lambda: review.decide("bob", ["toy-02"], NewLabel(DecisionKind.EXCLUDE, "wrong population")),
            lambda: review.undo("ann"),
            lambda: review.start("ann", ReviewSettings("other criteria")),
        ):
            step()
            assert follower.read(snapshot) == read_state(review)
        assert follower.read(snapshot) is follower.read(snapshot)
