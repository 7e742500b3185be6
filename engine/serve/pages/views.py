"""What pages show of hits, filters and records, ready to be laid out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.identifiers import build_doi_url, build_pubmed_url
from engine.options import BY_FIELD, FILTERS
from engine.query.index import Index
from engine.records.abstract import Abstract, Notice
from engine.records.answer import Answer, Hit
from engine.references.citation import cite_hits
from engine.serve.http.limits import MAX_DEPTH
from engine.serve.pages.links import State
from engine.serve.pages.marks import MarkedPiece, Shown, mark_abstract, split_pieces
from engine.serve.request.parameters import FLAGS

_WARNING = (Notice.PARTLY_RETRACTED, Notice.HAS_CONCERN, Notice.HAS_ERRATUM, Notice.REPUBLISHED)
_NAMED = 6  # authors of a hit before "et al."
_CHIPS = {option.name: option for option in BY_FIELD.values() if option.chip or any(option.chip_values)}
_CARRIED = tuple(option.name for option in FILTERS if option.name != "ids")  # to what is like a hit


@dataclass(frozen=True, slots=True)
class _HitView:
    """A hit as it is shown."""

    hit: Hit
    record: Abstract
    title: list[MarkedPiece]
    shown: Shown
    badges: list[str]
    worth: str  # what the score means, in words
    scores: str  # what else ranked it
    pubmed: str
    doi: str
    page: str  # its own page
    similar: str
    exclude: str

    @property
    def byline(self) -> str:
        """The first authors."""
        return _format_byline(self.hit.authors)


@dataclass(frozen=True, slots=True)
class _Chip:
    """A filter in force, and the address without it."""

    label: str
    value: str
    href: str


@dataclass(frozen=True, slots=True)
class _Paging:
    """Where the hits of a page stand among all."""

    first: int
    last: int
    before: str
    after: str


def _format_byline(authors: Sequence[str]) -> str:
    """The first authors of a record."""
    more = " et al." if len(authors) > _NAMED else ""
    return "; ".join(authors[:_NAMED]) + more


def build_hit_views(index: Index, answer: Answer, state: State) -> list[_HitView]:
    """The hits of an answer."""
    return [_build_hit_view(one.hit, one.record, state) for one in cite_hits(index, answer)]


def _build_hit_view(hit: Hit, record: Abstract, state: State) -> _HitView:
    """One hit."""
    where = state.keep_names(("i",))
    similar = state.keep_names(("i", "n", *_CARRIED))  # examples have no words
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
        exclude=state.add_value("exclude", hit.id).build_address("/"),
    )


def list_badges(record: Abstract) -> Iterator[str]:
    """Yield what a reader must know of a record."""
    if record.retracted:
        yield "retracted"
    yield from (notice for notice in _WARNING if notice in record.notices)
    if Notice.IS_RETRACTION in record.notices:
        yield Notice.IS_RETRACTION


def _describe_score(hit: Hit) -> str:
    """What a score is worth, in words."""
    share = hit.why.percentile if hit.why else None
    return "" if share is None else f"higher than {share:g} % of unrelated pairs"


def _list_scores(hit: Hit) -> Iterator[str]:
    """Yield what else a hit is ranked by."""
    if hit.semantic_rank is not None:
        yield f"{_format_ordinal(hit.semantic_rank)} by meaning"
    if hit.keyword_rank is not None:
        yield f"{_format_ordinal(hit.keyword_rank)} by words"
    if hit.bm25 is not None:
        yield f"BM25 {hit.bm25:.2f}"


def _format_ordinal(n: int) -> str:
    """A number in a row.

    >>> [format_ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{n:,}{'th' if 10 < n % 100 < 14 else endings.get(n % 10, 'th')}"


def build_chips(state: State) -> list[_Chip]:
    """The filters in force, each with the address without it; the excluded records share one."""
    found = []
    for name, value in state.pairs:
        option = _CHIPS.get(name)
        if option is None or name == "exclude":
            continue
        if option.chip:
            found.append(_Chip(option.chip, value, state.drop_value(name, value).build_address("/")))
        elif (flag := FLAGS.get(value.strip().lower())) is not None:
            found.append(_Chip("", option.chip_values[flag], state.drop_value(name).build_address("/")))
    if excluded := [value for name, value in state.pairs if name == "exclude"]:
        found.append(
            _Chip(_CHIPS["exclude"].chip, f"{len(excluded):,}", state.drop_value("exclude").build_address("/"))
        )
    return found


def build_paging(answer: Answer, state: State) -> _Paging:
    """The place of the hits of an answer among all, and the pages beside."""
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
