"""Whole queries on the toy index: 40 records, one per drug and disease, years 1991 to 2019."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Filters, Index, Query, open_index
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import parse_wording
from engine.deadline import CURRENT, Deadline, limit_time
from engine.encode.execution.encoder import Encoder
from engine.encode.texts.sentences import split_sentences
from engine.errors import AbstractNotFoundError, BusyError, EncoderError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import DEFAULT_MODE, MODES, Mode
from engine.query.index import get_generation
from engine.query.question.plan import BETA, GAMMA, read_question
from engine.query.ranks import ranking
from engine.query.ranks.ranking import _choose_weight, _fuse_rankings
from engine.records.answer import Answer
from engine.reindex.generation.order import Report

Add = Callable[..., Report]
ANY_MODE = pytest.mark.parametrize("mode", MODES)


def ids(answer: Answer) -> list[str]:
    return [hit.id for hit in answer.hits]


def test_keyword_ranks_by_words_and_shows_the_cosine(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("colchicine lupus", mode="keyword", top_k=40))
        cosine = {hit.id: hit.score for hit in index.search("colchicine lupus", top_k=40)}
        assert ids(answer)[0] == "toy-03"
        assert answer.n_qualified == 12  # 5 of colchicine, 8 of lupus, one of both
        assert len(answer.hits) == 12
        assert {hit.id: hit.score for hit in answer.hits} == {i: pytest.approx(cosine[i]) for i in ids(answer)}
        scores = [hit.bm25 for hit in answer.hits]
        assert None not in scores and scores == sorted(scores, reverse=True)  # type: ignore[type-var]
        assert [hit.keyword_rank for hit in answer.hits] == list(range(1, 13))
        assert answer.hits[0].fused is None and answer.hits[0].semantic_rank is None


def test_operators_hold_in_keyword_and_hybrid(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        for mode in ("keyword", "hybrid"):
            phrase = index.ask(Query('pain +"giant cell arteritis"', mode=mode, top_k=40))
            assert len(phrase.hits) == phrase.n_qualified == 8
            assert all("giant cell arteritis" in hit.title for hit in phrase.hits)
            without = index.ask(Query("gout -colchicine", mode=mode, top_k=40))
            assert "toy-01" not in ids(without)
            titled = index.ask(Query("pain title:lupus", mode=mode, top_k=40))
            assert all("lupus" in hit.title for hit in titled.hits) and len(titled.hits) == 8


def test_hybrid_is_both_legs_fused(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        for fusion, weight in (("convex", 0.5), ("convex", 0.9), ("rrf", 0.5)):
            query = Query("colchicine gout", mode="hybrid", fusion=fusion, weight=weight, top_k=40)
            found = index.ask(query)
            corpus = get_generation(index).corpus
            semantic = [(corpus.find_doc_id(h.id), h.score) for h in index.nearest("colchicine gout", 40)]
            words = index.ask(Query("colchicine gout", mode="keyword", top_k=40))
            keyword = [(corpus.find_doc_id(h.id), h.bm25 or 0.0) for h in words.hits]
            wanted = _fuse_rankings(semantic, keyword, fusion, weight)
            assert [(corpus.find_doc_id(h.id), h.fused) for h in found.hits] == wanted
            ranks = {h.id: h.rank for h in words.hits}
            assert all(hit.keyword_rank == ranks.get(hit.id) for hit in found.hits)
            assert found.n_qualified == 40


def test_hybrid_is_the_default_and_examples_alone_are_compared_by_meaning(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        asked = index.ask(Query("colchicine gout"))
        assert asked.query.mode == "hybrid" and asked.hits == index.ask(Query("colchicine gout", mode="hybrid")).hits
        assert list(asked.hits) == index.search("colchicine gout")
        for mode in (DEFAULT_MODE, "semantic"):
            answer = index.ask(Query(like=("toy-01",), mode=mode))
            assert answer.query.mode == "semantic" and list(answer.hits) == index.similar("toy-01")


def test_hybrid_prefers_a_quotation_that_keyword_requires_and_says_how_many_hold_it(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        text = 'what is known about pain in "giant cell arteritis" and "no such thing"'
        answer = index.ask(Query(text, top_k=40))
        by_words = [hit for hit in answer.hits if hit.keyword_rank and hit.keyword_rank <= 8]
        assert len(by_words) == 8 and all("giant cell arteritis" in hit.title for hit in by_words)
        assert len(answer.hits) == answer.n_qualified == 40
        assert answer.notes == (
            '8 records hold "giant cell arteritis", which is preferred but not required. To require it, write '
            '+"giant cell arteritis"',
            '0 records hold "no such thing", which is preferred but not required. To require it, write '
            '+"no such thing"',
        )
        assert index.search(text, mode="keyword") == []
        many = index.ask(Query(" ".join(f'"pain {n}"' for n in range(7)))).notes
        assert len(many) == 6 and many[5] == "2 further phrases in quotation marks: preferred but not required"


def test_hybrid_reads_signs_by_meaning_alone_and_says_so(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("\U0001f600", top_k=40))
        assert ids(answer) == [hit.id for hit in index.nearest("\U0001f600", 40)] and len(answer.hits) == 40
        assert answer.notes == (
            "the query has no word that could be looked up, so records are ranked by meaning alone",
        )


def test_hybrid_without_operators_leaves_nothing_out_to_explain(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert index.ask(Query("gout", top_k=50)).notes == ()
        assert index.ask(Query("+gout", top_k=50)).notes == ("8 records qualify, and all of them are shown",)


def test_few_words_count_more_as_words(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        for text, weight in (
            ("gout", 0.4),
            ("the colchicine of the gout", 0.4),
            ("colchicine gout knee osteoarthritis", 0.6),
        ):
            answer = index.ask(Query(text))
            assert answer.query.weight is None and answer.hits == index.ask(Query(text, weight=weight)).hits
        (toy.path / "index.toml").write_text("[hybrid]\nweight = 0.7\n", encoding="utf-8")
        assert index.ask(Query("gout")).query.weight == 0.7
        assert index.ask(Query("gout", weight=0.6)).query.weight == 0.6


def test_words_that_find_little_of_a_question_weigh_little(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        snapshot = get_generation(index)
        lay = "swollen toe after beer, seafood and wine with gout"  # no record has more than one of these words
        for text, least, most in ((lay, 0.99, 1.0), ("colchicine gout knee osteoarthritis", 0.6, 0.6)):
            question = read_question(snapshot, Query(text))
            keyword, _ = snapshot.get_words().rank(question.wording, 40)
            assert least <= _choose_weight(snapshot, question, keyword) <= most


def test_hybrid_takes_weight_and_fusion_from_index_toml(toy: IndexFolder) -> None:
    (toy.path / "index.toml").write_text("[hybrid]\nweight = 0.25\nfusion = 'rrf'\n", encoding="utf-8")
    with open_index(toy.path) as index:
        query = index.ask(Query("gout", mode="hybrid")).query
        assert (query.weight, query.fusion) == (0.25, "rrf")
        assert (
            index.ask(Query("gout", mode="semantic", weight=0.3)).query.weight is None
        )  # no part in a search by meaning


@ANY_MODE
def test_an_order_does_not_depend_on_how_much_is_wanted(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        whole = index.ask(Query("colchicine for pain", mode=mode, top_k=40)).hits
        for offset, top_k in ((0, 3), (3, 5), (10, 100), (39, 1), (40, 5)):
            part = index.ask(Query("colchicine for pain", mode=mode, top_k=top_k, offset=offset))
            assert [(h.rank, h.id, h.score, h.fused) for h in part.hits] == [
                (h.rank, h.id, h.score, h.fused) for h in whole[offset : offset + top_k]
            ]


@ANY_MODE
def test_filters_come_before_ranking(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        filters = Filters(years=((2000, 2005),))
        answer = index.ask(Query("colchicine pain", mode=mode, top_k=40, filters=filters))
        every = index.ask(Query("colchicine pain", mode=mode, top_k=40))
        allowed = [hit.id for hit in every.hits if hit.year and 2000 <= hit.year <= 2005]
        assert sorted(ids(answer)) == sorted(allowed) and answer.n_qualified == len(allowed) == 7
        if mode != "hybrid":  # whose scores are stretched over those that qualify
            assert ids(answer) == allowed
        assert answer.notes == ("7 records qualify, and all of them are shown",)
        assert len(index.ask(Query("colchicine pain", mode=mode, top_k=7, filters=filters)).hits) == 7


def test_unknown_ids_of_a_list_are_told(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("gout", filters=Filters(ids=("toy-05", "nope", "toy-07", "toy-05")), top_k=2))
        assert sorted(ids(answer)) == ["toy-05", "toy-07"]
        assert answer.notes == ("1 listed id not in this index: nope",)
        nothing = index.ask(Query("gout", filters=Filters(ids=("nope",))))
        assert nothing.hits == () and nothing.n_qualified == 0
        left_out = index.ask(Query("gout", filters=Filters(hide=("toy-05",)), top_k=40))
        assert "toy-05" not in ids(left_out) and len(left_out.hits) == 39


@ANY_MODE
def test_a_least_score_leaves_out_what_is_below(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        every = index.ask(Query("colchicine pain", mode=mode, top_k=40)).hits
        least = sorted(hit.score for hit in every)[20]
        found = index.ask(Query("colchicine pain", mode=mode, top_k=40, min_score=least))
        assert ids(found) == [hit.id for hit in every if hit.score >= least]
        top = index.ask(Query("colchicine pain", mode=mode, top_k=3, min_score=least))
        assert ids(top) == ids(found)[:3]
        none = index.ask(Query("colchicine pain", mode=mode, min_score=1.5))
        assert none.hits == () and none.notes == ("40 records qualify, 0 of them with a score of 1.5 or more",)
        one = index.ask(Query("colchicine pain", mode=mode, filters=Filters(ids=("toy-01",)), min_score=-1.0))
        assert one.notes == ("1 record qualifies, and it is shown",)


def test_examples(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        stored = {hit.id: index.encode([hit_text(index, hit.id)])[0] for hit in index.search("x", top_k=40)}
        like, unlike = ("toy-01", "toy-02"), ("toy-40",)
        point = BETA * (stored["toy-01"] + stored["toy-02"]) / 2 - GAMMA * stored["toy-40"]
        point = point / np.linalg.norm(point)
        wanted = sorted((-float(v @ point), i) for i, v in stored.items() if i not in like + unlike)
        answer = index.ask(Query(like=like, unlike=unlike, top_k=40))
        assert len(answer.hits) == 37
        assert [hit.score for hit in answer.hits] == pytest.approx([-score for score, _ in wanted], abs=1e-5)
        assert answer.hits == tuple(index.ask(Query(like=(*like, "toy-01"), unlike=unlike, top_k=40)).hits)
        assert [hit.id for hit in index.similar(like, unlike=unlike, top_k=5)] == ids(answer)[:5]
        with pytest.raises(AbstractNotFoundError, match="no record 'nope'"):
            index.ask(Query(like=("nope",)))
        filtered = index.ask(Query("pain", like=like, filters=Filters(ids=("toy-01", "toy-03")), mode="hybrid"))
        assert ids(filtered) == ["toy-03"] and filtered.n_qualified == 1


def hit_text(index: Index, record_id: str) -> str:
    record = index.get(record_id)
    return f"{record.title}. {record.abstract}"


def test_diversify(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        plain = index.ask(Query("gout", top_k=10))
        assert ids(index.ask(Query("gout", top_k=10, diversify=0.0))) == ids(plain)
        varied = index.ask(Query("gout", top_k=10, diversify=0.9))
        assert varied.hits[0].id == plain.hits[0].id and ids(varied) != ids(plain)
        assert [hit.rank for hit in varied.hits] == list(range(1, 11))
        assert ids(index.ask(Query("gout", top_k=5, offset=5, diversify=0.9))) == ids(varied)[5:]


@ANY_MODE
def test_a_batch_is_as_single_queries(toy: IndexFolder, mode: Mode) -> None:
    texts = ["gout", "colchicine and lupus", "knee pain", "gout"]
    with open_index(toy.path) as index:
        for extra in ({}, {"filters": Filters(years=((2000, None),))}, {"explain": True, "min_score": 0.0}):
            queries = [Query(text, mode=mode, top_k=7, **extra) for text in texts]  # type: ignore[arg-type]
            assert index.ask_batch(queries) == [index.ask(query) for query in queries]
        assert index.ask_batch([]) == []


def test_a_batch_of_different_queries(toy: IndexFolder) -> None:
    queries = [Query("gout"), Query("lupus", top_k=3), Query("pain", mode="hybrid"), Query("pain", like=("toy-01",))]
    with open_index(toy.path) as index:
        assert index.ask_batch(queries) == [index.ask(query) for query in queries]
        with pytest.raises(UsageError, match="a query of a batch has no text"):
            index.ask_batch([Query(like=("toy-01",))])


def test_explain(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("colchicine pain", mode="hybrid", explain=True, top_k=40))
        why = answer.hits[0].why
        assert why is not None and answer.hits[0].id == "toy-01" or why
        for hit in answer.hits:
            assert hit.why is not None
            for start, end in hit.why.abstract_spans:
                assert hit.abstract[start:end].lower() in ("colchicine", "pain")
            for start, end in hit.why.title_spans:
                assert hit.title[start:end].lower() == "colchicine"
            assert set(hit.why.words) <= {"colchicine", "pain"}
            scores = [sentence.score for sentence in hit.why.sentences]
            assert scores == sorted(scores, reverse=True) and len(scores) == 2
            for sentence in hit.why.sentences:
                text = hit.abstract[slice(*sentence.span)]
                vector = index.encode(["colchicine pain"])[0]
                assert sentence.score == pytest.approx(float(index.encode([text])[0] @ vector), abs=1e-5)
            assert hit.why.percentile is not None and 0 <= hit.why.percentile < 100
        order = [hit.why.percentile or 0 for hit in sorted(answer.hits, key=lambda hit: hit.score) if hit.why]
        assert order == sorted(order)


def test_explain_examples_and_an_index_without_words(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        (hit,) = index.ask(Query(like=("toy-01",), explain=True, top_k=1)).hits
        assert hit.why is not None and hit.why.words == () and len(hit.why.sentences) == 2


def test_a_query_longer_than_the_encoder_reads_is_told(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("gout " * 100))
        assert answer.notes == ("the query is longer than the encoder reads: the last 38 tokens had no effect",)
        assert index.ask_batch([Query("gout " * 100), Query("gout")])[0].notes == answer.notes


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(""), "the query is blank"),
        (Query(" \x00\u2009"), "the query is blank"),
        (Query(unlike=("toy-01",)), "the query is blank"),
        (Query("gout", top_k=0), "top_k is 0, expected a whole number from 1"),
        (Query("gout", top_k=-1), "top_k is -1"),
        (Query("gout", top_k=1.5), "top_k is 1.5"),  # type: ignore[arg-type]
        (Query("gout", offset=-1), "offset is -1, expected a whole number from 0"),
        (Query("gout", min_score=float("nan")), "min_score is nan"),
        (Query("gout", weight=1.5), "weight is 1.5, expected a number from 0 to 1"),
        (Query("gout", diversify=float("nan")), "diversify is nan"),
        (Query("gout", mode="best"), "mode is 'best', expected one of semantic, keyword, hybrid"),  # type: ignore[arg-type]
        (Query("gout", fusion="sum"), "fusion is 'sum', expected one of convex, rrf"),  # type: ignore[arg-type]
        (Query("gout", group_by="title"), "group_by is 'title', expected one of year, journal, type, mesh"),
        (Query("gout", sort="title"), "sort is 'title', expected one of relevance, year, year:asc, year:desc, author"),
        (Query("gout", sort="year", diversify=0.5), "diversify and sort were given, expected one of them"),
        (Query("gout", mode="keyword", like=("toy-01",)), "keyword mode can't use examples"),
        (Query(like=("toy-01",), mode="keyword"), "examples hold no words for keyword mode"),
        (Query("-gout", mode="keyword"), "has no word to look for"),
        (Query("-gout -(((", mode="hybrid"), "has no word to look for"),
        (Query("x" * 100_001), "the query has 100,001 characters, expected at most 100,000"),
        (Query(7), "7 was given, expected a string"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused(toy: IndexFolder, query: Query, message: str) -> None:
    with open_index(toy.path) as index, pytest.raises(UsageError, match=re.escape(message)):
        index.ask(query)


def test_a_hundred_million_hits_wanted(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        for mode in MODES:
            assert len(index.ask(Query("pain", mode=mode, top_k=10**8, offset=5)).hits) == 35


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40), mode=st.sampled_from(MODES))
def test_any_text_is_answered_or_refused_in_words(toy: IndexFolder, text: str, mode: Mode) -> None:
    with open_index(toy.path) as index:
        try:
            answer = index.ask(Query(text, mode=mode, top_k=3, explain=True))
        except EncoderError as err:
            assert "no word that the encoder can read" in str(err)
        except UsageError:
            assert (
                mode != "semantic" and not parse_wording(text).has_words or not text.strip() or not text.isprintable()
            )
        else:
            assert len(answer.hits) == min(3, answer.n_qualified)
            assert answer.n_qualified == 40 or mode != "semantic"


def test_new_with_filters_and_modes(toy: IndexFolder, add: Add) -> None:
    add({"id": "n1", "title": "Colchicine again", "year": 2025}, {"id": "n2", "title": "Gout again", "year": 2020})
    with open_index(toy.path) as index:
        assert {row.hit.id for row in index.new("gout", since=1)} == {"n1", "n2"}
        assert [row.hit.id for row in index.new("gout", since=1, mode="keyword")] == ["n2"]
        assert index.new("gout", since=date(2126, 1, 1)) == index.new("gout", since="2126-01-01") == []
        assert len(index.new("gout", since=date(2000, 1, 1), top_k=50)) == len(index)
        assert len(index.new("gout", since=datetime(2000, 1, 1, 12, tzinfo=UTC), top_k=50)) == len(index)
        assert [row.hit.id for row in index.new("gout", since=1, filters=Filters(years=((2021, None),)))] == ["n1"]


def test_below_what_is_fused_hits_go_by_cosine(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "DEPTH", 5)
    monkeypatch.setattr(ranking, "DEPTH", 5)
    with open_index(toy.path) as index:
        query = Query("colchicine pain", mode="hybrid", top_k=40)
        whole = index.ask(query).hits
        n_fused = sum(hit.fused is not None for hit in whole)
        assert 5 <= n_fused <= 10 and len(whole) == 40
        assert [hit.fused is None for hit in whole] == [False] * n_fused + [True] * (40 - n_fused)
        tail = [hit.score for hit in whole[n_fused:]]
        assert tail == sorted(tail, reverse=True)
        assert sorted(hit.semantic_rank for hit in whole if hit.semantic_rank) == [1, 2, 3, 4, 5]
        for top_k in (3, 12, 30):
            assert index.ask(replace(query, top_k=top_k)).hits == whole[:top_k]
        varied = index.ask(replace(query, diversify=0.5)).hits
        assert {hit.id for hit in varied[:n_fused]} == {hit.id for hit in whole[:n_fused]}
        assert [hit.id for hit in varied[n_fused:]] == [hit.id for hit in whole[n_fused:]]


@ANY_MODE
def test_pages_of_diversified_hits_hold_every_record_once(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        query = Query("colchicine pain", mode=mode, diversify=0.8)
        pages = [index.ask(replace(query, top_k=10, offset=offset)).hits for offset in (0, 10, 20, 30)]
        whole = index.ask(replace(query, top_k=40)).hits
        assert [hit.id for page in pages for hit in page] == [hit.id for hit in whole]
        assert len({hit.id for hit in whole}) == 40
        assert index.ask(replace(query, top_k=40, min_score=-1.0)).hits == whole


def test_lists_are_taken_for_tuples_and_odd_values_refused(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        listed = Query("gout", like=["toy-01"], filters=Filters(ids=["toy-02", "toy-03"], years=[[1990, None]]))  # type: ignore[arg-type,list-item]
        assert {hit.id for hit in index.ask(listed).hits} == {"toy-02", "toy-03"}
        assert index.ask(Query("gout", min_score=np.float32(0.0))).query.min_score == 0.0  # type: ignore[arg-type]
        for query, message in (
            (Query("gout", like="toy-01"), "like is 'toy-01', expected a list of ids"),  # type: ignore[arg-type]
            (Query("gout", filters=None), "filters is NoneType, expected engine.Filters"),  # type: ignore[arg-type]
            (Query("gout", min_score="0.3"), "min_score is '0.3', expected a cosine"),  # type: ignore[arg-type]
        ):
            with pytest.raises(UsageError, match=message):
                index.ask(query)
        with pytest.raises(UsageError, match="unlike is 'toy-02', expected a list of ids"):
            index.similar("toy-01", unlike="toy-02")


def test_an_id_that_is_an_address_is_found_as_it_is(toy: IndexFolder, add: Add) -> None:
    address = "https://doi.org/10.1000/abc"
    add({"id": address, "title": "Gout at an address", "year": 2050})
    with open_index(toy.path) as index:
        (hit,) = index.ask(Query("gout", filters=Filters(ids=(address,)))).hits
        assert hit.id == address and index.get(address).title == "Gout at an address"
        assert index.get_records([hit])[0].record_id == address
        assert [row.hit.id for row in index.new("gout", since=1)] == [address]


def test_sentences_encoded_in_several_goes_are_the_same(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(toy.path) as index:
        query = Query("gout in old age", explain=True, top_k=40)
        whole = index.ask(query)
        monkeypatch.setattr("engine.query.answers.explanation._TOGETHER", 7)
        get_generation(index).sentences.clear()
        parts = index.ask(query)
    assert sum(len(hit.why.sentences) for hit in whole.hits if hit.why) > 14
    for one, other in zip(whole.hits, parts.hits, strict=True):
        assert one.why is not None and other.why is not None
        assert [s.span for s in one.why.sentences] == [s.span for s in other.why.sentences]
        assert [s.score for s in one.why.sentences] == pytest.approx([s.score for s in other.why.sentences], abs=1e-5)


def _stub_encoder(encoder: Encoder, encode: Callable[[list[str]], object]) -> SimpleNamespace:
    """An encoder that goes by another function, for queries and for texts."""
    return SimpleNamespace(identity=encoder.identity, encode=encode, encode_queries=encode)


def test_of_a_very_long_abstract_the_beginning_is_explained(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(toy.path) as index:
        query = Query("gout", explain=True, top_k=40)
        assert not any("nearest sentences" in note for note in index.ask(query).notes)
        most = sorted(len(hit.abstract) for hit in index.ask(query).hits)[-1] - 1
    monkeypatch.setattr("engine.encode.texts.sentences.MOST_READ", most)
    monkeypatch.setattr("engine.query.answers.explanation.MOST_READ", most)
    with open_index(toy.path) as index:
        answer = index.ask(query)
        n_long = sum(len(hit.abstract) > most for hit in answer.hits)
        of = "1 abstract" if n_long == 1 else f"{n_long} abstracts"
        assert f"the nearest sentences of {of} are of the first {most} characters only" in answer.notes
        ends = [sentence.span[1] for hit in answer.hits if hit.why for sentence in hit.why.sentences]
        assert max(ends) <= most


def test_sentences_explained_lately_are_not_encoded_again(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(toy.path) as index:
        few = index.ask(Query("gout", explain=True, top_k=3))
        encoder, encoded = get_generation(index).get_encoder(), list[str]()

        def noted(texts: list[str]) -> object:
            encoded.extend(texts)
            return encoder.encode(texts)

        monkeypatch.setattr(get_generation(index), "loaded", _stub_encoder(encoder, noted))
        assert index.ask(Query("gout", explain=True, top_k=3)).hits == few.hits
        assert encoded == ["gout"]
        index.ask(Query("gout", explain=True, top_k=5))
        n_sentences = sum(len(split_sentences(hit.abstract)) for hit in index.search("gout", top_k=5)[3:])
        assert len(encoded) == 3 + n_sentences
        monkeypatch.setattr("engine.query.opening.generation._EXPLAINED", 4)
        index.ask(Query("gout", explain=True, top_k=40))
        assert len(get_generation(index).sentences) == 35  # of the last answer alone


def test_sentences_are_no_longer_encoded_when_nobody_waits(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(toy.path) as index:
        index.search("gout")
        encoder, n = get_generation(index).get_encoder(), 0
        monkeypatch.setattr("engine.query.answers.explanation._TOGETHER", 7)

        def slow(texts: list[str]) -> object:
            nonlocal n
            n += 1
            time.sleep(0.2)
            return encoder.encode(texts)

        monkeypatch.setattr(get_generation(index), "loaded", _stub_encoder(encoder, slow))
        with (
            limit_time(Deadline(time.monotonic() + 0.3)),
            pytest.raises(BusyError, match="the time for this answer is over"),
        ):
            index.ask(Query("gout", explain=True, top_k=40))
        assert n == 2


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_words_are_looked_up_under_the_deadline_of_the_answer(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    seen: list[Deadline] = []
    original = WordIndex.rank

    def noted(*given: object, **options: object) -> object:
        seen.append(CURRENT.get())
        return original(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(WordIndex, "rank", noted)
    deadline = Deadline(time.monotonic() + 60)
    with open_index(toy.path) as index, limit_time(deadline):
        assert index.ask(Query("gout", mode=mode)).hits
    assert seen == [deadline] and seen[0] is deadline


def test_so_many_hits_are_explained_as_are_wanted(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        whole, three = (index.ask(Query("gout", explain=True, top_k=5), n_explained=n) for n in (5, 3))
        assert whole.notes == () and three.notes == ("only the first 3 hits are explained",)
        assert three.hits == (*whole.hits[:3], *(replace(hit, why=None) for hit in whole.hits[3:]))


def test_what_makes_no_sense_is_refused_though_nothing_is_new(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert index.new("gout", since=1) == []
        with pytest.raises(UsageError, match="colour"):
            index.new("gout", since=1, filters=Filters(where="colour = red"))
        with pytest.raises(UsageError, match="neither a generation's number nor a date"):
            index.new("gout", since="9" * 5000)


def test_a_page_beyond_the_least_score_says_how_many_reach_it(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        least = index.ask(Query("gout", mode="semantic", top_k=40)).hits[9].score
        answer = index.ask(Query("gout", mode="semantic", min_score=least, offset=20))
        assert answer.hits == () and answer.notes == (
            f"40 records qualify, 10 of them with a score of {least:g} or more",
        )
