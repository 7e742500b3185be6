"""What is asked of an index, and what it answers: the frozen records of the query layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Span = tuple[int, int]  # start and end of a piece of a text, in characters of the text as stored


class Mode(StrEnum):
    """How abstracts are ranked."""

    SEMANTIC = "semantic"  # cosine of the vectors
    KEYWORD = "keyword"  # BM25 of the words
    HYBRID = "hybrid"  # both, fused


class Fusion(StrEnum):
    """How hybrid makes one ranking of two."""

    CONVEX = "convex"  # sum of the two scores, each stretched to [0, 1]
    RRF = "rrf"  # reciprocal rank fusion


@dataclass(frozen=True, slots=True)
class Filters:
    """What a record must be to be ranked at all. Values of one field are alternatives; all fields given must hold.

    Names (journals, mesh, types, keywords) are compared whole, without regard to case; * stands for any characters.
    """

    years: tuple[tuple[int | None, int | None], ...] = ()  # ranges, both ends included, None where open
    journals: tuple[str, ...] = ()
    mesh: tuple[str, ...] = ()  # headings, as records have them
    mesh_trees: tuple[str, ...] = ()  # headings or tree numbers, with everything below them in the MeSH tree
    types: tuple[str, ...] = ()  # of publication
    keywords: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()  # each word given begins a word of the name: "smith j"
    languages: tuple[str, ...] = ()  # "eng", "en" and "English" are the same
    sources: tuple[str, ...] = ()  # names of files or formats; * stands for any characters
    retracted: bool | None = None
    has_abstract: bool | None = None
    ids: tuple[str, ...] | None = None  # record ids, PMIDs, DOIs; None: no list was given
    exclude: tuple[str, ...] = ()
    where: str = ""  # an expression: 'year >= 2015 and not journal = "Lancet"'

    @property
    def any(self) -> bool:
        """Whether anything is filtered."""
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Query:
    """One question to an index: a text, records as examples, or both."""

    text: str = ""
    like: tuple[str, ...] = ()  # ids of records that hits should be like; they are not hits themselves
    unlike: tuple[str, ...] = ()
    mode: Mode = Mode.SEMANTIC
    filters: Filters = field(default_factory=Filters)
    top_k: int = 10
    offset: int = 0  # hits left out at the beginning
    min_score: float | None = None  # cosine; hits below it are left out
    weight: float | None = None  # of the cosine in hybrid, from 0 to 1; None: as index.toml says
    fusion: Fusion | None = None  # None: as index.toml says
    diversify: float | None = None  # from 0, by score alone, to 1, by difference from the hits above
    explain: bool = False
    group_by: str | None = None  # "journal" or "year": count the hits


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an abstract and how near it is to the query."""

    span: Span  # in Hit.abstract
    score: float  # cosine


@dataclass(frozen=True, slots=True)
class Why:
    """Why a record is a hit."""

    percentile: float | None  # share in percent of random pairs with a lower cosine; None: not measured for this index
    sentences: tuple[Sentence, ...]  # the nearest of the abstract, best first
    words: tuple[str, ...]  # words and phrases of the query that occur in title or abstract
    title_spans: tuple[Span, ...]  # where they occur
    abstract_spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked result. rank counts from 1; score is the cosine, in [-1, 1], in every mode."""

    rank: int
    id: str
    score: float
    title: str
    abstract: str
    year: int | None
    journal: str
    authors: tuple[str, ...]
    pmid: str | None
    doi: str | None
    retracted: bool
    fused: float | None = None  # the score that hybrid ranks by
    bm25: float | None = None  # the score that keyword ranks by, 0 or more; None where no word occurs
    semantic_rank: int | None = None  # in hybrid, among all that qualify; None below the depth that is fused
    keyword_rank: int | None = None
    why: Why | None = None  # where it was asked for

    @property
    def ranking_score(self) -> float:
        """The score that ranks the hit: fused in hybrid, BM25 by words, else the cosine."""
        return next(score for score in (self.fused, self.bm25, self.score) if score is not None)


@dataclass(frozen=True, slots=True)
class ChangedHit:
    """One ranked result among the records that are new or changed."""

    change: str  # "added", "text changed" or "metadata changed", since the generation asked for
    hit: Hit


@dataclass(frozen=True, slots=True)
class Answer:
    """What an index says to a query, all of one generation."""

    query: Query
    generation: int
    hits: tuple[Hit, ...]
    n_qualified: int  # records that could be hits: pass the filters and, in keyword mode, hold the words
    groups: tuple[tuple[str, int], ...] = ()  # (value, hits), most frequent first, where groups were asked for
    notes: tuple[str, ...] = ()  # for people: ids that are not there, why there are fewer hits than wanted
