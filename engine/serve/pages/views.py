"""Template values of hits, active filters and paging."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.corpus.storage.resolution import resolve_ids
from engine.identifiers import build_doi_url, build_pmc_url, build_pubmed_url, find_web_url
from engine.options import BY_FIELD, FILTERS, RELEVANCE
from engine.phrases import pluralize
from engine.query.answers.explanation import find_percentile
from engine.query.answers.verdict import has_standards
from engine.query.index import Index, get_generation
from engine.query.question.ordering import describe_sort
from engine.records.abstract import Abstract, Notice
from engine.records.answer import Answer, AnswerVerdict, Hit
from engine.references.values.citation import format_locator
from engine.references.values.names import format_people
from engine.references.writers.bibliography import format_reference
from engine.serve.http.limits import MAX_DEPTH
from engine.serve.pages.links import State
from engine.serve.pages.marks import AbstractView, MarkedPiece, mark_abstract, split_pieces
from engine.serve.request.decisions import OWN
from engine.serve.request.parameters import FLAGS

_WARNING = (Notice.PARTLY_RETRACTED, Notice.HAS_CONCERN, Notice.HAS_ERRATUM, Notice.REPUBLISHED)
_HIDE = BY_FIELD["hide"].name
_STYLE = "vancouver"  # of the reference beside a hit; the page of a record has all styles
_NAMED = 6  # authors shown before "et al."
_TRIED, _SHOWN = 12, 3  # titles that are looked at, and shown as examples
_LENGTHS = range(40, 121)  # characters of a title that is a good example
_WORDS_NAMED = 5  # that no record holds
_STRENGTHS = (
    (99.0, "strong"),
    (95.0, "fair"),
    (0.0, "weak"),
)  # least share of unrelated pairs that a hit is nearer than
_BY_WORDS = "by words"  # a hit that is weak by meaning, but holds words of the question
_KINDS = {  # publication types that a reader wants to see at a glance, folded, and how they are shown
    "randomized controlled trial": "RCT",
    "equivalence trial": "RCT",
    "pragmatic clinical trial": "trial",
    "adaptive clinical trial": "trial",
    "controlled clinical trial": "trial",
    "clinical trial": "trial",
    "clinical trial protocol": "protocol",
    "systematic review": "systematic review",
    "meta analysis": "meta-analysis",
    "network meta analysis": "meta-analysis",
    "review": "review",
    "scoping review": "review",
    "guideline": "guideline",
    "practice guideline": "guideline",
    "observational study": "observational",
    "case reports": "case report",
    "case report": "case report",
    "editorial": "editorial",
    "letter": "letter",
    "comment": "comment",
    "news": "news",
    "preprint": "preprint",
    "conference abstract": "conference",
    "conference paper": "conference",
    "published erratum": "erratum",
    "erratum": "erratum",
}
_VERDICTS = {"clear": "Clearly about this", "related": "Related to this"}
_PHASE = re.compile(r"clinical trial, (phase [ivx/]+)")
_COVERED = {"systematic review": "review", "meta-analysis": "review", "RCT": "trial"}  # kinds that say more than others
_CHIPS = {option.name: option for option in BY_FIELD.values() if option.chip or any(option.chip_values)}
_SINGLE = ("year", "journal")  # a record has one value of them
_OWN = {one.name: one.name.replace("_", " ") for one in OWN}
_CARRIED = tuple(option.name for option in FILTERS if option.name != "ids")  # filters kept by the link "Similar"


@dataclass(frozen=True, slots=True)
class _HitView:
    """A hit, ready to display."""

    hit: Hit
    record: Abstract
    title: list[MarkedPiece]
    shown: AbstractView
    badges: list[str]  # warnings
    kinds: list[str]  # of publication: "RCT", "review"
    strength: str  # how good a match the hit is, in a word; "" if nothing was measured to tell it by
    numbers: str  # what the hit was ranked by
    locator: str  # volume, issue and pages
    pubmed: str
    doi: str
    reference: str  # how to cite it
    fulltext: str  # URL of the full text: in PubMed Central, else as the source gives it
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
class _Hidden:
    """A record that is hidden from the hits."""

    title: str
    href: str  # URL of the search that shows it again


@dataclass(frozen=True, slots=True)
class _Headline:
    """What stands above the hits; each "" where there is nothing to say."""

    count: str  # which hits are shown, of how many records
    order: str  # if it is not by relevance
    holding: str  # how many records hold the words
    level: str  # of the verdict: "clear" or "related"
    verdict: str  # the same in words
    warning: str  # that nothing is clearly about the question, or why there is no verdict


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
    """Return the first authors of a record in one style, with "et al." if there are more."""
    return format_people(authors, _NAMED)


def build_hit_views(index: Index, answer: Answer, state: State) -> list[_HitView]:
    """Return the hits of an answer, ready to display, in their order."""
    records, calibration = index.get_records(answer.hits), index.manifest.calibration
    shares = [find_percentile(calibration, hit.score, of_records=not answer.query.text) for hit in answer.hits]
    return [
        _build_hit_view(hit, record, state, share)
        for hit, record, share in zip(answer.hits, records, shares, strict=True)
    ]


def _build_hit_view(hit: Hit, record: Abstract, state: State, share: float | None = None) -> _HitView:
    """Return one hit, ready to display; share is the percentage of unrelated pairs that it is nearer than."""
    where = state.keep_names(("i",))
    similar = state.keep_names(("i", "n", "view", *_CARRIED))  # a search by example has no text
    return _HitView(
        hit=hit,
        record=record,
        title=split_pieces(hit.title or "[no title]", words=hit.why.title_spans if hit.why and hit.title else ()),
        shown=mark_abstract(hit),
        badges=list(list_badges(record)),
        kinds=list_kinds(record),
        strength=_name_strength(hit, share),
        numbers="; ".join(_list_numbers(hit, share)),
        locator=format_locator(record),
        pubmed=build_pubmed_url(hit.pmid),
        doi=build_doi_url(hit.doi),
        reference=format_reference(record, _STYLE),
        fulltext=build_pmc_url(record.pmcid) or find_web_url(record.urls),
        page=where.set_value("id", hit.id).build_address("/record"),
        similar=similar.set_value("like", hit.id).build_address("/"),
        hide=state.add_value(_HIDE, hit.id).build_address("/"),
    )


def list_kinds(record: Abstract) -> list[str]:
    """Return the kinds of publication of a record that a reader wants to see at a glance.

    >>> list_kinds(Abstract("a", "T", "", publication_types=("Journal Article", "Review", "Meta-Analysis")))
    ['meta-analysis']
    """
    found = dict.fromkeys(filter(None, map(_name_kind, record.publication_types)))
    covered = {_COVERED[kind] for kind in found if kind in _COVERED}
    return [kind for kind in found if kind not in covered]


def _name_kind(publication_type: str) -> str:
    """Return the short name of a publication type; "" for one that tells little."""
    folded = publication_type.casefold().rpartition(":")[2].strip()  # "Journal: Conference Abstract"
    if phase := _PHASE.fullmatch(folded):
        return f"trial, phase {phase[1].removeprefix('phase ').upper()}"
    return _KINDS.get(folded.replace("-", " "), "")


def list_badges(record: Abstract) -> Iterator[str]:
    """Yield the warnings about a record: retracted, and its notices."""
    if record.retracted:
        yield "retracted"
    yield from (notice for notice in _WARNING if notice in record.notices)
    if Notice.IS_RETRACTION in record.notices:
        yield Notice.IS_RETRACTION


def _name_strength(hit: Hit, share: float | None) -> str:
    """Return how good a match a hit is, in a word; "" if unknown."""
    if share is None:
        return ""
    word = next(word for least, word in _STRENGTHS if share >= least)
    return _BY_WORDS if word == _STRENGTHS[-1][1] and hit.bm25 else word


def _list_numbers(hit: Hit, share: float | None) -> Iterator[str]:
    """Yield the cosine of a hit, what it means, its ranks and its other scores."""
    yield f"cosine {hit.score:.3f}"
    if share is not None:
        yield f"nearer than {share:g} % of unrelated pairs"
    yield from _list_scores(hit)


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
    """Return the active filters, each with the URL without it; those that are hidden have a list of their own."""
    chips = []
    for name, value in state.pairs:
        if name in _OWN:
            chips.append(_Chip(_OWN[name], value, state.drop_value(name, value).build_address("/")))
        option = _CHIPS.get(name)
        if option is None or name == _HIDE:
            continue
        if option.chip:
            chips.append(_Chip(option.chip, value, state.drop_value(name, value).build_address("/")))
        elif (flag := FLAGS.get(value.strip().lower())) is not None:
            chips.append(_Chip("", option.chip_values[flag], state.drop_value(name).build_address("/")))
    return chips


def build_headline(index: Index, answer: Answer) -> _Headline:
    """Return how many hits there are of how many records, how many hold the words, and the verdict on the answer."""
    query, verdict = answer.query, answer.verdict
    warning = level = ""
    if verdict and verdict.level == "nothing" and answer.hits:
        warning = "Nothing here is clearly about this. These records are the nearest."
    elif verdict and verdict.level:
        level = verdict.level
    elif verdict and has_standards(index.manifest):
        warning = f"{verdict.text[:1].upper()}{verdict.text[1:]}"
    return _Headline(
        _count_hits(answer),
        describe_sort(query.sort) if query.sort != RELEVANCE and answer.hits else "",
        _count_holding(verdict) if verdict and answer.hits else "",
        level,
        _VERDICTS.get(level, ""),
        warning,
    )


def _count_hits(answer: Answer) -> str:
    """Return which hits are shown, of how many records."""
    query, shown, n = answer.query, len(answer.hits), answer.n_qualified
    if not shown:
        return f"No hits among {pluralize(n, 'record')}" if n else "No hits"
    if shown == n:
        return "The only record that qualifies" if n == 1 else f"All {n:,} records that qualify"
    if query.offset:
        return f"Hits {query.offset + 1:,} to {query.offset + shown:,} of {n:,}"
    first = "Nearest" if query.mode != "keyword" and query.sort == RELEVANCE else "First"
    return f"{first} {shown:,} of {n:,}"


def _count_holding(verdict: AnswerVerdict) -> str:
    """Return how many records hold the words of a question, or match a search."""
    n = verdict.n_holding
    if verdict.is_search:
        return f"{n:,} match{'es' if n == 1 else ''} the search"
    if verdict.missing:
        return f"no record holds {', '.join(verdict.missing[:_WORDS_NAMED])}"
    return f"{n:,} contain{'s' if n == 1 else ''} your words" if n else "none contains all your words"


def build_hidden_views(index: Index, state: State) -> list[_Hidden]:
    """Return the hidden records, each with its title and the URL of the search that shows it again."""
    hidden = [value for name, value in state.pairs if name == _HIDE]
    corpus = get_generation(index).corpus
    doc_ids = resolve_ids(corpus, hidden)
    rows = corpus.fetch([doc_id for doc_id in doc_ids if doc_id is not None])
    return [
        _Hidden(
            rows[doc_id].title or record_id if doc_id is not None else record_id,
            state.drop_value(_HIDE, record_id).build_address("/"),
        )
        for record_id, doc_id in zip(hidden, doc_ids, strict=True)
    ]


def build_tries(index: Index, state: State) -> list[tuple[str, str]]:
    """Return a few titles of the index as examples of questions, each with the URL of its search."""
    corpus = get_generation(index).corpus
    ids = corpus.read_ids()
    places = [len(ids) * n // (_TRIED + 1) for n in range(1, _TRIED + 1)] if len(ids) > _TRIED else []
    rows = corpus.fetch([int(ids[place]) for place in places])
    titles = dict.fromkeys(row.title.strip().rstrip(".") for row in rows.values() if len(row.title) in _LENGTHS)
    where = state.keep_names(("i",))
    return [(title, where.set_value("q", title).build_address("/")) for title in titles][:_SHOWN]


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
