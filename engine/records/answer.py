"""Answers: hits, their explanations, groups and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.options import Query
from engine.records.notebook import format_table
from engine.records.reranker import RerankerIdentity

_SHOWN = 60  # characters of a title in repr
_WORDS_NAMED = 20  # that no record holds, in a verdict

SCORE_DECIMALS = 6  # of a score where it is written or compared; float32 holds no more

Span = tuple[int, int]  # start and end of a piece of a text, in characters of the text as stored


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
    rerank_score: float | None = None  # that the second stage ranks by; None below its depth, and without one
    why: Why | None = None  # where it was asked for

    def __repr__(self) -> str:
        title = self.title if len(self.title) <= _SHOWN else f"{self.title[: _SHOWN - 1]}…"
        return f"Hit(rank={self.rank}, id={self.id!r}, score={self.score:.4f}, year={self.year}, title={title!r})"

    def _repr_html_(self) -> str:
        return format_table([self])

    @property
    def ranking_score(self) -> float:
        """The score that ranks the hit: that of a reranker, fused in hybrid, BM25 by words, else the cosine."""
        return next(score for score in (self.rerank_score, self.fused, self.bm25, self.score) if score is not None)


class Hits(list[Hit]):
    """A list of hits, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        return format_table(self)


@dataclass(frozen=True, slots=True)
class ChangedHit:
    """One ranked result among the records that are new or changed."""

    change: str  # "added", "text changed" or "metadata changed", since the generation asked for
    hit: Hit


Level = Literal["clear", "related", "nothing"]


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """An abbreviation that a record defines, of which the question has one form only."""

    short: str  # "SLE"
    long: str  # "systemic lupus erythematosus"
    other: str  # the one of them that is not in the question
    n_records: int  # of the index that hold the other form

    def __str__(self) -> str:
        """Return what it stands for, and how many records hold the other form."""
        holding = "1 record" if self.n_records == 1 else f"{self.n_records:,} records"
        says = "may stand for" if self.other == self.long else "is short for"
        return f"{self.short} {says} {self.long}; {holding} of the index hold{'s' * (self.n_records == 1)} {self.other}"


@dataclass(frozen=True, slots=True)
class AnswerVerdict:
    """Whether the best hits are about the question: what they reach, beside what unrelated questions reach here."""

    level: Level | None  # None: the index has no measurements to compare with
    text: str  # for people
    n_holding: int  # records that hold all words of the question, among those that qualify
    missing: tuple[str, ...]  # words of the question that no record of the index holds
    cosine: float  # the highest of the ten best hits
    share: float  # of the question's words, by weight, that one of the ten best hits holds, the highest; 0 to 1
    is_search: bool = False  # the question is a Boolean search, and n_holding counts its matches
    abbreviations: tuple[Abbreviation, ...] = ()  # that the ten best records define; () for a Boolean search

    def __str__(self) -> str:
        """Return the verdict in one line: what it says, and how many records hold the words."""
        if self.is_search:
            matching = "1 record matches" if self.n_holding == 1 else f"{self.n_holding:,} records match"
            return f"{self.text}; {matching} the search"
        if self.missing:  # so no record holds all words either
            more = len(self.missing) - _WORDS_NAMED
            named = ", ".join(self.missing[:_WORDS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            return f"{self.text}; no record holds: {named}"
        if not self.n_holding and self.level in ("clear", "related"):
            held = "hold some words of the question" if self.share else "say it in other words"
            return f"{self.text}: the best hits {held}, but no record holds all its words"
        one_or_none = {0: "no record holds", 1: "1 record holds"}
        holding = one_or_none.get(self.n_holding, f"{self.n_holding:,} records hold")
        return f"{self.text}; {holding} all words of the question"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A condition of a question that no record meets as a whole: what it lets through, and what is left without it."""

    name: str  # of its parameter: "year", "q"
    condition: str  # for people
    n_alone: int  # records that meet it
    n_without: int  # records that meet all other conditions


@dataclass(frozen=True, slots=True)
class ValueCount:
    """The records with one value of a field."""

    value: str  # "" for records without a value
    hits: int  # of them among the hits of the answer
    records: int  # of them among all that qualify


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of an index to a query, from one generation."""

    query: Query
    generation: int
    hits: tuple[Hit, ...]
    n_qualified: int  # records that could be hits: pass the filters and, in keyword mode, hold the words
    groups: tuple[ValueCount, ...] = ()  # most frequent first, where groups were asked for
    reranker: RerankerIdentity | None = None  # of the second stage, if there was one
    verdict: AnswerVerdict | None = None  # None: not asked for, or the question has no text
    notes: tuple[str, ...] = ()  # for people: ids that are not there, why there are fewer hits than wanted
    obstacles: tuple[Obstacle, ...] = ()  # the conditions of the question, where no record meets them all

    def _repr_html_(self) -> str:
        verdict = [str(self.verdict)] if self.verdict else []
        return format_table(self.hits, [*verdict, *self.notes])
