from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.relevance.scoring import exhaustive
from engine.relevance.scoring.exhaustive import search_documents
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetText, TestSet
from tests.relevance.letters import LettersEncoder

DOCUMENTS = (
    SetText("d2", "ab"),
    SetText("d1", "ba"),
    SetText("d3", "b"),
    SetText("d4", "..."),
    SetText("d5", ""),
    SetText("d6", "cc"),
)
QUERIES = (SetText("q1", "a"), SetText("q2", "?"), SetText("q3", " "), SetText("q4", "c b"))
SET = TestSet("s", DOCUMENTS, QUERIES, Judgments({"q1": {"d3": 1, "d4": 1}, "q4": {"d6": 2, "d2": 0}}))


def ids(run: exhaustive.Run, query_id: str) -> list[str]:
    return [one.record_id for one in run.rankings[query_id]]


def test_by_hand() -> None:
    found = search_documents(LettersEncoder(), SET, name="letters")
    assert ids(found.run, "q1") == ["d1", "d2", "d3", "d6"]  # d1 and d2 score the same, so the id decides
    scores = [one.score for one in found.run.rankings["q1"]]
    assert scores[0] == scores[1] == pytest.approx(1 / np.sqrt(2)) and scores[2:] == [0, 0]
    assert ids(found.run, "q2") == ids(found.run, "q3") == []
    assert ids(found.run, "q4") == ["d3", "d6", "d1", "d2"]
    assert found.places == {"q1": [(3, 1)], "q2": [], "q3": [], "q4": [(2, 2), (4, 0)]}
    assert (found.n_unread, found.n_unread_queries, found.n_truncated) == (2, 2, 0)
    assert found.run.name == "letters"


def test_a_cut_run_has_the_best_and_the_places_of_all() -> None:
    found = search_documents(LettersEncoder(), SET, top_k=1)
    assert ids(found.run, "q1") == ["d1"] and found.places["q1"] == [(3, 1)]


def test_equal_texts_are_encoded_once_and_long_ones_counted() -> None:
    encoder = LettersEncoder(max_length=2)
    same = TestSet(
        "s", (SetText("x", "aab"), SetText("y", " aab "), SetText("z", "ab")), (SetText("q", "b"),), Judgments({})
    )
    assert search_documents(encoder, same).n_truncated == 2
    assert sorted(encoder.encoded) == ["aab", "ab", "b"]


def test_a_template_is_filled_for_documents_alone() -> None:
    encoder = LettersEncoder()
    encoder.identity = replace(encoder.identity, template="{title}[SEP]{abstract}")
    titled = TestSet("s", (SetText("x", "b", "a"), SetText("y", "b")), (SetText("q", "b c"),), Judgments({}))
    search_documents(encoder, titled)
    assert sorted(encoder.encoded) == ["[SEP]b", "a[SEP]b", "b c"]
    plain = LettersEncoder()
    search_documents(plain, titled)
    assert sorted(plain.encoded) == ["a. b", "b", "b c"]


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int | None]] = []
    search_documents(LettersEncoder(), SET, progress=lambda *row: told.append(row))
    assert told == [("encoding documents", 3, 5), ("encoding documents", 5, 5), ("encoding queries", 3, 3)]


def test_nothing_to_rank() -> None:
    empty = TestSet("s", (SetText("d", "!"),), (SetText("q", "a"),), Judgments({}))
    assert search_documents(LettersEncoder(), empty).run.rankings == {"q": ()}
    with pytest.raises(UsageError, match="top_k is 0"):
        search_documents(LettersEncoder(), SET, 0)


TEXTS = st.text("abcd .", max_size=6)


@settings(deadline=None)
@given(
    st.lists(TEXTS, min_size=1, max_size=12),
    st.lists(TEXTS, min_size=1, max_size=5),
    st.integers(1, 14),
    st.integers(1, 3),
)
def test_rankings_are_those_of_a_plain_loop(documents: list[str], queries: list[str], top_k: int, block: int) -> None:
    made = TestSet(
        "s",
        tuple(SetText(f"d{n}", text) for n, text in enumerate(documents)),
        tuple(SetText(f"q{n}", text) for n, text in enumerate(queries)),
        Judgments({"q0": {f"d{n}": n % 3 for n in range(len(documents))}}),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exhaustive, "QUERIES", block)
        patch.setattr(exhaustive, "_DOCUMENTS", block + 1)
        found = search_documents(LettersEncoder(), made, top_k)

    def vector(text: str) -> np.ndarray | None:
        encoded = LettersEncoder().encode([text])
        return encoded.vectors[0].astype(np.float64) if encoded.n_tokens[0] else None

    for query in made.queries:
        point, expected = vector(query.text), []
        for one in made.documents:
            other = vector(one.text)
            if point is not None and other is not None:
                expected.append((-np.float32(min(1.0, sum(a * b for a, b in zip(point, other, strict=True)))), one.id))
        expected.sort()
        ranking = found.run.rankings[query.id]
        assert [one.record_id for one in ranking] == [record_id for _, record_id in expected[:top_k]]
        assert [one.score for one in ranking] == pytest.approx([-score for score, _ in expected[:top_k]], abs=1e-6)
        if query.id == "q0":
            places = [(n, int(record_id[1:]) % 3) for n, (_, record_id) in enumerate(expected, 1)]
            assert found.places["q0"] == places
