"""Template values of hits, active filters and paging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.identifiers import build_doi_url, build_pubmed_url
from engine.options import BY_FIELD, FILTERS
from engine.query.index import Index
from engine.records.abstract import Abstract, Notice
from engine.records.answer import Answer, Hit
from engine.serve.http.limits import MAX_DEPTH
from engine.serve.pages.links import State
from engine.serve.pages.marks import AbstractView, MarkedPiece, mark_abstract, split_pieces
from engine.serve.request.parameters import FLAGS

_WARNING = (Notice.PARTLY_RETRACTED, Notice.HAS_CONCERN, Notice.HAS_ERRATUM, Notice.REPUBLISHED)
_NAMED = 6  # authors shown before "et al."
_CHIPS = {option.name: option for option in BY_FIELD.values() if option.chip or any(option.chip_values)}
_SINGLE = ("year", "journal")  # a record has one value of them
_CARRIED = tuple(option.name for option in FILTERS if option.name != "ids")  # filters kept by the link "Similar"


@dataclass(frozen=True, slots=True)
class _HitView:
    """A hit, ready to display."""

    hit: Hit
    record: Abstract
    title: list[MarkedPiece]
    shown: AbstractView
    badges: list[str]
    worth: str  # meaning of the score, in words
    scores: str  # ranks and scores of hybrid and keyword mode
    pubmed: str
    doi: str
    page: str  # URL of its record page
    similar: str
    hide: str

    @property
    def byline(self) -> str:
        """The first authors, as text."""
        return format_byline(self.hit.authors)


@dataclass(frozen=True, slots=True)
class _Chip:
    """An active filter, and the URL without it."""

    label: str
    value: str
    href: str


@dataclass(frozen=True, slots=True)
class _GroupView:
    """The records with one value of a field, and the URL of the search limited to them; "" if there is no such."""

    value: str
    records: int
    hits: int
    href: str


@dataclass(frozen=True, slots=True)
class _Paging:
    """The ranks of the first and last hit of a page, and the URLs of the pages before and after."""

    first: int
    last: int
    before: str
    after: str


def format_byline(authors: Sequence[str]) -> str:
    """Return the first authors of a record, with "et al." if there are more."""
    more = " et al." if len(authors) > _NAMED else ""
    return "; ".join(authors[:_NAMED]) + more


def build_hit_views(index: Index, answer: Answer, state: State) -> list[_HitView]:
    """Return the hits of an answer, ready to display, in their order."""
    records = index.get_records(answer.hits)
    return [_build_hit_view(hit, record, state) for hit, record in zip(answer.hits, records, strict=True)]


def _build_hit_view(hit: Hit, record: Abstract, state: State) -> _HitView:
    """Return one hit, ready to display."""
    where = state.keep_names(("i",))
    similar = state.keep_names(("i", "n", *_CARRIED))  # a search by example has no text
    return _HitView(
        hit=hit,
        record=record,
        title=split_pieces(hit.title or "[no title]", words=hit.why.title_spans if hit.why and hit.title else ()),
        shown=mark_abstract(hit),
        badges=list(list_badges(record)),
        worth=_describe_score(hit),
        scores=", ".join(_list_scores(hit)),
        pubmed=build_pubmed_url(hit.pmid),
        doi=build_doi_url(hit.doi),
        page=where.set_value("id", hit.id).build_address("/record"),
        similar=similar.set_value("like", hit.id).build_address("/"),
        hide=state.add_value("hide", hit.id).build_address("/"),
    )


def list_badges(record: Abstract) -> Iterator[str]:
    """Yield the warnings about a record: retracted, and its notices."""
    if record.retracted:
        yield "retracted"
    yield from (notice for notice in _WARNING if notice in record.notices)
    if Notice.IS_RETRACTION in record.notices:
        yield Notice.IS_RETRACTION


def _describe_score(hit: Hit) -> str:
    """Return the meaning of a score in words; "" if unknown."""
    share = hit.why.percentile if hit.why else None
    return "" if share is None else f"higher than {share:g} % of unrelated pairs"


def _list_scores(hit: Hit) -> Iterator[str]:
    """Yield the score of a hit by a reranker, its ranks in the merged rankings, and its BM25 score."""
    if hit.rerank_score is not None:
        yield f"reranker {hit.rerank_score:.3f}"
    if hit.semantic_rank is not None:
        yield f"{_format_ordinal(hit.semantic_rank)} by meaning"
    if hit.keyword_rank is not None:
        yield f"{_format_ordinal(hit.keyword_rank)} by words"
    if hit.bm25 is not None:
        yield f"BM25 {hit.bm25:.2f}"


def _format_ordinal(n: int) -> str:
    """Return an ordinal number.

    >>> [_format_ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{n:,}{'th' if 10 < n % 100 < 14 else endings.get(n % 10, 'th')}"


def build_chips(state: State) -> list[_Chip]:
    """Return the active filters, each with the URL without it; hidden records share one entry."""
    chips = []
    for name, value in state.pairs:
        option = _CHIPS.get(name)
        if option is None or name == "hide":
            continue
        if option.chip:
            chips.append(_Chip(option.chip, value, state.drop_value(name, value).build_address("/")))
        elif (flag := FLAGS.get(value.strip().lower())) is not None:
            chips.append(_Chip("", option.chip_values[flag], state.drop_value(name).build_address("/")))
    if hidden := [value for name, value in state.pairs if name == "hide"]:
        chips.append(_Chip(_CHIPS["hide"].chip, f"{len(hidden):,}", state.drop_value("hide").build_address("/")))
    return chips


def build_group_views(answer: Answer, state: State) -> list[_GroupView]:
    """Return the groups of an answer, each with the URL of the search limited to it.

    Values of one filter are alternatives, so another one would widen the search: a year or journal takes the place of
    those given, of which a record has one; any other field that is filtered already has no URLs.
    """
    name = {"first_author": "author"}.get(answer.query.group_by or "", answer.query.group_by or "")
    given, is_filtered = set(state.pairs), any(key == name for key, _ in state.pairs)
    is_open = name in _SINGLE or not is_filtered
    return [
        _GroupView(
            group.value or "(none)",
            group.records,
            group.hits,
            state.set_value(name, group.value).build_address("/")
            if group.value and is_open and (name, group.value) not in given
            else "",
        )
        for group in answer.groups
    ]


def build_paging(answer: Answer, state: State) -> _Paging:
    """Return the ranks of the hits of an answer, and the URLs of the pages before and after."""
    query, n = answer.query, min(answer.n_qualified, MAX_DEPTH)
    first, last = query.offset + 1, query.offset + len(answer.hits)
    earlier, later = max(0, query.offset - query.top_k), query.offset + query.top_k
    before = state.set_value("offset", earlier) if earlier else state.start_over()
    fits = len(answer.hits) == query.top_k and later < n and later + query.top_k <= MAX_DEPTH
    return _Paging(
        first,
        last,
        before.build_address("/") if query.offset else "",
        state.set_value("offset", later).build_address("/") if fits else "",
    )
