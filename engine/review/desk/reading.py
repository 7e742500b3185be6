"""One record as a reviewer reads it: its sections, the sentence nearest to each criterion, and the words looked for.

Everything is given as spans of the stored title and abstract.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.corpus.words.folding import get_stemmer, split_words
from engine.corpus.words.keywords import find_occurrences
from engine.corpus.words.wording import Term, Wording, parse_wording
from engine.encode.models.recipe import clean_text
from engine.encode.texts.sentences import split_sentences
from engine.errors import UnreadableQueryError
from engine.query.answers.explanation import encode_sentences
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import encode_texts
from engine.records.abstract import Abstract
from engine.records.answer import SCORE_DECIMALS, Sentence, Span
from engine.records.encoder import Vectors
from engine.relevance.sets.sections import Section, locate_sections
from engine.review.decisions.reviews import ReviewSettings

_MOST_CRITERIA = 30  # that a sentence is looked for
_COMMON = 0.1  # share of the records; a word of the criteria that more of them hold tells little, and is not marked


@dataclass(frozen=True, slots=True)
class WordMark:
    """A place of a word that the reviewers look for."""

    span: Span
    is_wanted: bool  # it speaks for the record, otherwise against it


@dataclass(frozen=True, slots=True)
class _CriterionEvidence:
    """A criterion, and the sentence of an abstract that is nearest to it."""

    text: str
    nearest: Sentence | None  # None: the abstract has no sentence that the encoder can read


@dataclass(frozen=True, slots=True)
class RecordReading:
    """A record, and where to look in it."""

    record: Abstract
    sections: tuple[Section, ...]  # of the abstract, in order
    title_marks: tuple[WordMark, ...]  # ascending, not overlapping
    abstract_marks: tuple[WordMark, ...]
    criteria: tuple[_CriterionEvidence, ...]  # in the order of the criteria


class RecordReader:
    """Reads records of one generation for a review with certain settings. Safe to use from several threads."""

    def __init__(self, snapshot: OpenGeneration, settings: ReviewSettings) -> None:
        """Prepare; criteria are encoded when they are first compared.

        Raises:
            GenerationError: the words of the generation can't be read.
        """
        self.snapshot = snapshot
        self.settings = settings
        self._wanted = _build_wording(settings.wanted, *_choose_rare(snapshot, settings.criteria))
        self._unwanted = _build_wording(settings.unwanted)
        self._vectors: list[Vectors | None] | None = None  # of each criterion; None: the encoder can't read it

    def read(self, doc_id: int, *, evidence: bool = True) -> RecordReading:
        """Return a record; without evidence, the criteria are left out, which spares the encoding of its sentences.

        Raises:
            KeyError: there is no such record.
            EncoderError: the encoder is missing or can't be used.
        """
        record = self.snapshot.corpus.fetch([doc_id])[doc_id]
        title, abstract = self._mark_words(record)
        criteria = tuple(self._compare_criteria(doc_id, record.abstract)) if evidence else ()
        return RecordReading(record, tuple(locate_sections(record.abstract)), title, abstract, criteria)

    def _mark_words(self, record: Abstract) -> tuple[tuple[WordMark, ...], tuple[WordMark, ...]]:
        """Return the marks in title and abstract. Where a wanted and an unwanted word overlap, the latter is marked."""
        texts = {0: (record.title, record.abstract)}
        wanted, unwanted = (find_occurrences(wording, texts)[0] for wording in (self._wanted, self._unwanted))
        return _join_marks(wanted.title, unwanted.title), _join_marks(wanted.abstract, unwanted.abstract)

    def _compare_criteria(self, doc_id: int, abstract: str) -> Iterator[_CriterionEvidence]:
        """Yield each criterion with the sentence of an abstract that is nearest to it; of equal ones the first."""
        criteria = _split_criteria(self.settings.criteria)
        if not criteria:
            return
        if self._vectors is None:
            self._vectors = [_encode_criterion(self.snapshot, text) for text in criteria]
        (sentences,) = encode_sentences(self.snapshot, [doc_id], [abstract])
        for text, vector in zip(criteria, self._vectors, strict=True):
            nearest = None
            if vector is not None and sentences.spans:
                scores = (sentences.vectors.astype(np.float64) @ vector.astype(np.float64)).clip(-1, 1)
                best = int(scores.argmax())
                nearest = Sentence(sentences.spans[best], round(float(scores[best]), SCORE_DECIMALS))
            yield _CriterionEvidence(text, nearest)


def _split_criteria(criteria: str) -> list[str]:
    r"""Return the criteria of a review one by one: its lines, or the sentences of a single line; 30 at most.

    >>> _split_criteria("Inclusion:\\n- adults with gout\\n- trials")
    ['Inclusion:', 'adults with gout', 'trials']
    >>> _split_criteria("Adults with gout. Trials only.")
    ['Adults with gout.', 'Trials only.']
    """
    lines = [text for line in criteria.splitlines() if (text := clean_text(line).lstrip("-*•–— ").strip())]
    if len(lines) == 1:
        lines = [lines[0][start:end] for start, end in split_sentences(lines[0])]
    return [line for line in lines if any(map(str.isalnum, line))][:_MOST_CRITERIA]


def _encode_criterion(snapshot: OpenGeneration, text: str) -> Vectors | None:
    """Return the vector of a criterion (dim,), None if the encoder can read no word of it."""
    try:
        vector: Vectors = encode_texts(snapshot, [clean_text(text)])[0][0]
    except UnreadableQueryError:
        return None
    return vector


def _build_wording(words: Sequence[str], rare: Sequence[Term] = (), whole: Sequence[Term] = ()) -> Wording:
    """Return a wording of words, which may be phrases or end in a star, and of the words of criteria.

    A single word occurs with any ending, as the rare words of the criteria; a phrase as it is written.
    """
    given = [_build_term(word) for word in words if any(map(str.isalnum, word))]
    singles = [term for term in given if not term.prefix and len(term.text.split()) == 1]
    exact = [term for term in given if term not in singles]
    return Wording((*singles, *rare), (*exact, *whole), (), "")


def _choose_rare(snapshot: OpenGeneration, criteria: str) -> tuple[list[Term], list[Term]]:
    """Return the words of criteria that few records hold with any ending, and those that count as a whole only.

    The latter are joined or quoted words of which many records hold one, as "placebo-controlled". Other words that many
    records hold, and stop words, are left out.
    """
    rare: list[Term] = []
    whole: list[Term] = []
    for term in parse_wording(criteria, prefer_phrases=True).wanted:
        stems = [get_stemmer().stem_word(word) for word in split_words(term.text)]
        if term.in_title or not stems:
            continue
        words = snapshot.get_words()
        if all(words.weigh_stem(stem) > words.weigh_share(_COMMON) for stem in stems):
            rare.append(term)
        elif len(stems) > 1:
            whole.append(term)
    return rare, whole


def _build_term(word: str) -> Term:
    """Return a word or phrase as a term; a star at its end stands for any ending."""
    text = " ".join(word.split())
    return Term(text.rstrip("*"), prefix=text.endswith("*"))


def _join_marks(wanted: Sequence[Span], unwanted: Sequence[Span]) -> tuple[WordMark, ...]:
    """Return the marks of both, ascending; a wanted span that overlaps an unwanted one is left out."""
    free = [span for span in wanted if not any(span[0] < end and start < span[1] for start, end in unwanted)]
    marks = [WordMark(span, is_wanted=True) for span in free] + [WordMark(span, is_wanted=False) for span in unwanted]
    return tuple(sorted(marks, key=lambda mark: mark.span))
