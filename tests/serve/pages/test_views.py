from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from engine import Query, open_index
from engine.records.abstract import Abstract, Notice
from engine.records.answer import Answer, AnswerVerdict, Hit, ValueCount, Why
from engine.serve.pages.links import State
from engine.serve.pages.marks import MarkedPiece
from engine.serve.pages.views import (
    _build_hit_view,
    _format_ordinal,
    _list_numbers,
    _list_scores,
    _name_strength,
    build_chips,
    build_group_views,
    build_headline,
    build_hidden_views,
    build_hit_views,
    build_paging,
    build_tries,
    format_byline,
    list_badges,
    list_kinds,
)
from engine.serve.request.parameters import FILTERS, SEARCH, RequestValues
from engine.serve.request.queries import read_query
from tests.conftest import CURRENT

HIT = Hit(1, "PMID:12", 0.5, "Gout & knees", "", 2001, "Lancet", ("Smith J", "Beck A"), "12", "10.1000/x", False)
RECORD = Abstract("PMID:12", "Gout & knees", "")
STATE = State(
    (
        ("i", "toy"),
        ("q", "gout"),
        ("mode", "hybrid"),
        ("year", "2000-"),
        ("mesh", "Gout"),
        ("n", "20"),
        ("offset", "20"),
        ("hide", "7"),
    )
)


def why(percentile: float | None = None, title: tuple[tuple[int, int], ...] = ()) -> Why:
    return Why(percentile, (), (), title, ())


def read(address: str) -> tuple[str, list[tuple[str, str]]]:
    path, _, query = address.partition("?")
    return path, parse_qsl(query)


def test_a_hit_leads_to_its_page_its_like_and_the_same_search_without_it() -> None:
    found = _build_hit_view(HIT, RECORD, STATE)
    assert read(found.page) == ("/record", [("i", "toy"), ("id", "PMID:12")])
    assert read(found.similar) == (
        "/", [("i", "toy"), ("year", "2000-"), ("mesh", "Gout"), ("n", "20"), ("hide", "7"), ("like", "PMID:12")],
    )  # fmt: skip
    kept = [pair for pair in STATE.pairs if pair[0] != "offset"]
    assert read(found.hide) == ("/", [*kept, ("hide", "PMID:12")])
    assert (found.pubmed, found.doi) == ("https://pubmed.ncbi.nlm.nih.gov/12/", "https://doi.org/10.1000/x")


def test_every_filter_but_a_list_of_ids_goes_along_to_what_is_like_a_hit() -> None:
    pairs = tuple((parameter.name, "1") for parameter in FILTERS)
    _, found = read(_build_hit_view(HIT, RECORD, State(pairs)).similar)
    assert {name for name, _ in found} == {parameter.name for parameter in FILTERS} - {"ids"} | {"like"}


def test_the_words_of_a_query_are_marked_in_a_title() -> None:
    found = _build_hit_view(replace(HIT, why=why(title=((0, 4),))), RECORD, STATE)
    assert found.title == [MarkedPiece("Gout", is_word=True), MarkedPiece(" & knees")]
    assert _build_hit_view(HIT, RECORD, STATE).title == [MarkedPiece("Gout & knees")]


def test_a_hit_without_a_title_says_so() -> None:
    found = _build_hit_view(replace(HIT, title="", why=why(title=((0, 4),))), RECORD, STATE)
    assert found.title == [MarkedPiece("[no title]")]


def test_the_first_authors_are_named() -> None:
    assert format_byline(()) == ""
    assert format_byline("ABCDEF") == "A, B, C, D, E, F"
    assert format_byline("ABCDEFG") == "A, B, C, D, E, F, et al."
    assert _build_hit_view(HIT, RECORD, STATE).byline == "Smith J, Beck A"


def test_badges_say_what_a_reader_must_know() -> None:
    assert list(list_badges(RECORD)) == []
    told = replace(RECORD, retracted=True, notices=tuple(sorted(Notice)))
    assert list(list_badges(told)) == [
        "retracted", "partly retracted", "has an expression of concern", "has an erratum", "corrected and republished", "is a retraction notice",
    ]  # fmt: skip
    assert list(list_badges(replace(RECORD, notices=(Notice.IS_ERRATUM,)))) == []
    assert _build_hit_view(HIT, replace(RECORD, retracted=True), STATE).badges == ["retracted"]


def test_a_score_is_put_into_a_word_where_it_was_measured() -> None:
    assert _name_strength(HIT, None) == ""
    assert [_name_strength(HIT, share) for share in (99.99, 99.0, 98.99, 95.0, 94.99, 0.0)] == [
        "strong", "strong", "fair", "fair", "weak", "weak",
    ]  # fmt: skip
    assert [_name_strength(replace(HIT, bm25=bm25), 12.0) for bm25 in (3.1, 0.0)] == ["by words", "weak"]
    assert _name_strength(replace(HIT, bm25=3.1), 95.0) == "fair"


def test_the_numbers_of_a_hit_say_what_its_cosine_means() -> None:
    assert list(_list_numbers(HIT, None)) == ["cosine 0.500"]
    found = replace(HIT, semantic_rank=2, bm25=1.5)
    assert list(_list_numbers(found, 99.9)) == [
        "cosine 0.500", "nearer than 99.9 % of unrelated pairs", "2nd by meaning", "BM25 1.50",
    ]  # fmt: skip
    assert list(_list_numbers(HIT, 0.0))[1] == "nearer than 0 % of unrelated pairs"


def test_the_kind_of_a_publication_is_a_short_word() -> None:
    def kinds(*types: str) -> list[str]:
        return list_kinds(replace(RECORD, publication_types=types))

    assert (
        kinds()
        == kinds("Journal Article", "Research Support, Non-U.S. Gov't", "English Abstract", "Retracted Publication")
        == []
    )
    assert kinds("Randomized Controlled Trial", "Clinical Trial") == ["RCT"]
    assert kinds("Review", "Meta-Analysis", "Systematic Review") == ["meta-analysis", "systematic review"]
    assert kinds("editorial", "Comment", "EDITORIAL") == ["editorial", "comment"]
    assert kinds("Clinical Trial, Phase III", "Journal: Conference Abstract") == ["trial, phase III", "conference"]


def test_what_else_ranked_a_hit() -> None:
    assert list(_list_scores(HIT)) == []
    found = replace(HIT, semantic_rank=2, keyword_rank=11, bm25=0.0)
    assert _build_hit_view(found, RECORD, STATE).numbers == "cosine 0.500; 2nd by meaning; 11th by words; BM25 0.00"
    assert list(_list_scores(replace(HIT, semantic_rank=1000))) == ["1,000th by meaning"]


def test_numbers_in_a_row() -> None:
    names = {
        1: "1st",
        2: "2nd",
        3: "3rd",
        4: "4th",
        10: "10th",
        11: "11th",
        12: "12th",
        13: "13th",
        14: "14th",
        21: "21st",
    }
    names |= {
        22: "22nd",
        23: "23rd",
        100: "100th",
        101: "101st",
        111: "111th",
        113: "113th",
        1012: "1,012th",
        1021: "1,021st",
    }
    assert {n: _format_ordinal(n) for n in names} == names


def test_each_filter_has_a_chip_that_leads_away_from_it() -> None:
    pairs = (
        ("q", "gout"),
        ("journal", "A"),
        ("offset", "10"),
        ("journal", "B"),
        ("year", "2000-"),
        ("retracted", "false"),
    )
    found = build_chips(State(pairs))
    assert [(chip.label, chip.value) for chip in found] == [
        ("journal", "A"),
        ("journal", "B"),
        ("year", "2000-"),
        ("", "retracted hidden"),
    ]
    assert [read(chip.href)[1] for chip in found] == [
        [("q", "gout"), ("journal", "B"), ("year", "2000-"), ("retracted", "false")],
        [("q", "gout"), ("journal", "A"), ("year", "2000-"), ("retracted", "false")],
        [("q", "gout"), ("journal", "A"), ("journal", "B"), ("retracted", "false")],
        [("q", "gout"), ("journal", "A"), ("journal", "B"), ("year", "2000-")],
    ]


def test_what_is_hidden_is_listed_by_title_and_shown_again_one_by_one() -> None:
    state = State((("hide", "toy-01"), ("q", "gout"), ("hide", "nope")))
    assert build_chips(state) == []
    with open_index(CURRENT) as index:
        first, second = build_hidden_views(index, state)
        assert (first.title, second.title) == (index.get("toy-01").title, "nope")
    assert read(first.href) == ("/", [("q", "gout"), ("hide", "nope")])
    assert read(second.href) == ("/", [("hide", "toy-01"), ("q", "gout")])


def test_what_is_no_filter_has_no_chip() -> None:
    assert build_chips(State((("q", "gout"), ("mode", "hybrid"), ("n", "20"), ("i", "toy"), ("explain", "true")))) == []


@pytest.mark.parametrize("name", [parameter.name for parameter in FILTERS if parameter.name != "hide"])
def test_no_filter_is_without_a_chip(name: str) -> None:
    (chip,) = build_chips(State(((name, "true"),)))
    assert chip.href == "/" and (chip.label or chip.value)


@pytest.mark.parametrize("name", ["retracted", "has_abstract"])
@pytest.mark.parametrize("value", ["true", "false", "1", "0", "on", "TRUE", " false "])
def test_a_flag_has_a_chip_however_it_is_said(name: str, value: str) -> None:
    wanted = RequestValues([(name, value)], SEARCH).get_flag(name)
    (chip,) = build_chips(State(((name, value),)))
    (plain,) = build_chips(State(((name, str(wanted).lower()),)))
    assert (chip.value, chip.href) == (plain.value, "/")


def answer(n_hits: int, n_qualified: int, *, offset: int = 0, top_k: int = 10) -> Answer:
    return Answer(Query("gout", top_k=top_k, offset=offset), 1, (HIT,) * n_hits, n_qualified)


def test_the_first_page_has_none_before_it() -> None:
    found = build_paging(answer(10, 25), State((("q", "gout"),)))
    assert (found.first, found.last, found.before) == (1, 10, "")
    assert read(found.after) == ("/", [("q", "gout"), ("offset", "10")])


def test_a_page_in_the_middle_has_one_on_either_side() -> None:
    state = State((("q", "gout"), ("offset", "20"), ("tick", "x")))
    found = build_paging(answer(10, 31, offset=20), state)
    assert (found.first, found.last) == (21, 30)
    assert read(found.before) == ("/", [("q", "gout"), ("offset", "10")])
    assert read(found.after) == ("/", [("q", "gout"), ("offset", "30")])


def test_the_way_back_to_the_first_page_has_no_offset() -> None:
    state = State((("q", "gout"), ("offset", "10")))
    for offset in (10, 4):
        assert read(build_paging(answer(10, 31, offset=offset), state).before) == ("/", [("q", "gout")])


def test_the_last_page_has_none_after_it() -> None:
    for found in (
        build_paging(answer(5, 25, offset=20), STATE),
        build_paging(answer(10, 30, offset=20), STATE),
        build_paging(answer(7, 99), STATE),
    ):
        assert found.after == ""
    assert (
        build_paging(answer(5, 25, offset=20), STATE).first,
        build_paging(answer(5, 25, offset=20), STATE).last,
    ) == (21, 25)


def test_no_page_reaches_below_what_may_be_asked_for() -> None:
    found = build_paging(answer(10, 50_000, offset=9980), STATE)
    assert read(found.after)[1][-1] == ("offset", "9990")
    assert build_paging(answer(10, 50_000, offset=9990), STATE).after == ""
    assert build_paging(answer(10, 50_000, offset=9985), STATE).after == ""


def test_the_pages_of_a_real_search_follow_one_another_to_its_end() -> None:
    seen: list[str] = []
    pairs = [("q", "gout"), ("n", "20")]
    with open_index(CURRENT) as index:
        for page in range(3):
            found = index.ask(read_query(RequestValues(pairs, SEARCH)))
            where = build_paging(found, State(tuple(pairs)))
            assert (where.first, bool(where.before)) == (20 * page + 1, page > 0)
            seen += [hit.id for hit in found.hits]
            pairs = read(where.after)[1]
    assert where.after == "" and where.last == len(seen) == len(set(seen)) == 43


def test_the_hits_of_a_real_search_are_shown_with_their_records() -> None:
    with open_index(CURRENT) as index:
        found = index.ask(Query("retracted colchicine in gout", top_k=43, explain=True))
        views = build_hit_views(index, found, State((("q", "gout"),)))
        assert [view.hit for view in views] == list(found.hits)
        assert [view.record.record_id for view in views] == [hit.id for hit in found.hits]
        by_id = {view.hit.id: view for view in views}
    assert by_id["PMID:102"].badges == ["retracted"] and by_id["toy-01"].badges == []
    assert by_id["PMID:101"].pubmed == "https://pubmed.ncbi.nlm.nih.gov/101/" and by_id["toy-01"].pubmed == ""
    assert "".join(piece.text for piece in by_id["toy-01"].shown.extract) == by_id["toy-01"].record.abstract
    assert any(piece.is_word for piece in by_id["toy-01"].title)
    assert any(piece.is_best for piece in by_id["toy-01"].shown.extract)


def test_a_hit_leads_to_its_full_text() -> None:
    def fulltext(**fields: object) -> str:
        return _build_hit_view(HIT, replace(RECORD, **fields), STATE).fulltext  # type: ignore[arg-type]

    assert fulltext() == fulltext(urls=("javascript:alert(1)", "ftp://a.org/x", "https:///x")) == ""
    assert fulltext(pmcid="PMC12", urls=("https://a.org/",)) == "https://pmc.ncbi.nlm.nih.gov/articles/PMC12/"
    assert fulltext(pmcid="../x", urls=('http://a.org/b c?d="e"',)) == "http://a.org/b%20c?d=%22e%22"


def headline(**fields: object) -> list[str]:
    fields = {"hits": (HIT,) * 10, "n_qualified": 2262, **fields}
    with open_index(CURRENT) as index:
        found = build_headline(index, Answer(Query("gout", **fields.pop("query", {})), 1, **fields))  # type: ignore[arg-type]
    return [part for part in (found.count, found.order, found.holding, found.verdict, found.warning) if part]


def verdict(level: str | None = "clear", n: int = 143, missing: tuple[str, ...] = (), **more: bool) -> AnswerVerdict:
    return AnswerVerdict(level, "told so", n, missing, 0.5, 1.0, **more)  # type: ignore[arg-type]


def test_the_headline_says_how_many_there_are_of_how_many() -> None:
    assert headline() == ["Nearest 10 of 2,262"]
    assert headline(query={"offset": 10}) == ["Hits 11 to 20 of 2,262"]
    assert headline(query={"mode": "keyword"}) == ["First 10 of 2,262"]
    assert headline(query={"sort": "year"}) == ["First 10 of 2,262", "by year, newest first"]
    assert headline(n_qualified=10) == ["All 10 records that qualify"]
    assert headline(hits=(HIT,), n_qualified=1) == ["The only record that qualifies"]
    assert headline(hits=(), n_qualified=0) == ["No hits"]
    assert headline(hits=(), n_qualified=1, query={"min_score": 0.9}) == ["No hits among 1 record"]


def test_the_headline_says_how_many_hold_the_words_and_what_the_verdict_is() -> None:
    assert headline(verdict=verdict())[1:] == ["143 contain your words", "Clearly about this"]
    assert headline(verdict=verdict("related", 1))[1:] == ["1 contains your words", "Related to this"]
    assert headline(verdict=verdict("related", 0))[1] == "none contains all your words"
    assert headline(verdict=verdict("related", 0, ("abc", "def")))[1] == "no record holds abc, def"
    assert headline(verdict=verdict("related", 1, is_search=True))[1] == "1 matches the search"
    assert headline(verdict=verdict("nothing", 2))[1:] == [
        "2 contain your words", "Nothing here is clearly about this. These records are the nearest.",
    ]  # fmt: skip
    assert headline(verdict=verdict("nothing", 0), hits=(), n_qualified=0) == ["No hits"]


def test_titles_of_the_index_are_examples_of_questions() -> None:
    with open_index(CURRENT) as index:
        found = build_tries(index, State((("i", "toy"), ("year", "2000"))))
        assert found == build_tries(index, State((("i", "toy"),))) and 0 < len(found) <= 3
        for text, href in found:
            assert 40 <= len(text) <= 120 and read(href) == ("/", [("i", "toy"), ("q", text)])
            assert index.search(text)[0].title.rstrip(".") == text


def test_the_address_of_a_group_never_widens_the_search() -> None:
    def hrefs(group_by: str, *pairs: tuple[str, str]) -> list[list[tuple[str, str]] | str]:
        found = Answer(Query("gout", group_by=group_by), 1, (), 5, (ValueCount("2001", 0, 3), ValueCount("", 0, 2)))
        return [read(view.href)[1] if view.href else "" for view in build_group_views(found, State(pairs))]

    assert hrefs("year", ("q", "gout"), ("offset", "10")) == [[("q", "gout"), ("year", "2001")], ""]
    assert hrefs("year", ("q", "gout"), ("year", "2000-")) == [[("q", "gout"), ("year", "2001")], ""]
    assert hrefs("year", ("q", "gout"), ("year", "2001")) == ["", ""]
    assert hrefs("mesh", ("q", "gout"), ("mesh", "Pain")) == ["", ""]
    assert hrefs("first_author", ("q", "gout")) == [[("q", "gout"), ("author", "2001")], ""]
