"""Verdicts: whether the best hits of a question are about it, by what unrelated questions reach on the same corpus.

The nearness of a hit is its cosine, stretched so that 0 is what questions of other fields reach and 1 what sentences
reach with the record that they are of. The strength of a hit is the share of the question's words that it holds, rare
words weighing more, times a mean of its nearness and of the share that one of its sentences holds; but no less than a
part of its nearness, for hits in other words.

An answer is related to the question if its strongest hit is stronger than what questions of other fields reach. It is
clearly about it in one of three ways: one hit is much stronger than the next ones; or all hits are nearer than a
random title is to its nearest records, and strong; or a title holds all of a few words. Both kinds of texts are
searched when a generation is made (engine.reindex.measures.standards), and what they reach is kept in its manifest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.options import Mode
from engine.query.answers.abbreviations import find_abbreviations
from engine.query.answers.doubt import find_doubt
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import Question, encode_texts, intersect_ids
from engine.query.ranks.evidence import BEST, Evidence, HitEvidence, WordWeights, measure_evidence, weigh_words
from engine.query.ranks.ranking import Candidate
from engine.records.answer import SCORE_DECIMALS, AnswerVerdict, Level
from engine.records.generation import Calibration, Manifest, Reach, Standards

_ReadHit = tuple[float, str, str]  # cosine, title, abstract

VERSION = 2  # of the rule; standards of another version are not used
_LEVELS: dict[Level | None, str] = {
    "clear": "clearly about this",
    "related": "related",
    "nothing": "nothing here is clearly about this",
    None: "no verdict, since nothing was measured on this index to compare with (to measure it: engine compact)",
}
_INDISTINCT = "no verdict, since the records are too few, or the encoder can't tell them from those of other fields"
# Chosen on four corpora, each left out in turn; docs/quality.md has the curves.
_NEARNESS, _WORDS = 0.7, 0.3  # weights in the strength of a hit
_ALONE = 0.4  # weight of the nearness of a hit in other words
_NEXT = 4  # hits after the strongest one, whose mean strength it must exceed
_EXCESS = 0.3  # by so much
_FEW, _EXCESS_EACH = 5, 0.05  # words of a question, and so much more for each word fewer
_MANY, _STRONG = 5, 0.36  # strongest hits, and the mean strength that they have if all hits are about the question
_STRONG_FEW = 0.65  # the same for a question of at most _TITLED words, whose nearness tells little
_NEAR = 1.05  # times the cosine of the nearest records of a random title
_TITLED, _TITLE_NEAR = 3, 0.3  # words of a question, at most, that a title answers, and its nearness for several
_SEARCHED = 0.62  # strength of the best match of a Boolean search
_RELATED = (0.15, 0.3)  # the least and the greatest bound of related answers
_FEW_UNRELATED = 0.95  # share of the questions of other fields below the bound
_MARGIN = 1.75  # times what they reach


@dataclass(frozen=True, slots=True)
class Support:
    """What speaks for an answer, each as a share of what is needed: 1 or more is enough."""

    clear: float
    related: float

    @property
    def level(self) -> Level:
        """The level of the answer."""
        if self.clear >= 1:
            return "clear"
        return "related" if self.related >= 1 else "nothing"


def judge_answer(snapshot: OpenGeneration, question: Question, best: Sequence[Candidate]) -> AnswerVerdict | None:
    """Return the verdict on the ten best hits by relevance, best first; None for a question without a text.

    It depends on these hits and on the text: not on how many are asked for or shown, nor on their order there, nor on
    examples or feedback.
    """
    if not question.text:
        return None
    hits = _read_hits(snapshot, question, best)
    evidence, words = _measure_hits(snapshot, question, hits)
    level = _choose_level(snapshot, evidence, question.query.mode)
    text = _LEVELS[level] if level or not has_standards(snapshot.manifest) else _INDISTINCT
    if level == "nothing" and (doubt := find_doubt(snapshot.get_words(), question.text, words.missing)):
        level, text = None, f"no verdict, since {doubt}"
    return AnswerVerdict(
        level=level,
        text=text,
        n_holding=_count_holding(snapshot, question, words),
        missing=words.missing,
        cosine=round(evidence.cosine, SCORE_DECIMALS),
        share=round(evidence.share, SCORE_DECIMALS),
        is_search=question.is_search,
        abbreviations=()
        if question.is_search
        else find_abbreviations(snapshot.get_words(), question.text, [hit[1:] for hit in hits]),
    )


def _count_holding(snapshot: OpenGeneration, question: Question, words: WordWeights) -> int:
    """Count the records that qualify and hold all words, or match the search."""
    if question.is_search and question.among is not None:
        return len(question.among)
    index, among = snapshot.get_words(), question.among
    if question.query.mode == "keyword":  # hybrid has restricted `among` by these terms
        among = intersect_ids(among, index.find_allowed(question.wording))
    n = index.count_holding(words.stems, sorted(words.prefixes), among)
    if among is not None or not question.examples:
        return n
    examples = np.array(sorted(question.examples), np.int64)
    return n - index.count_holding(words.stems, sorted(words.prefixes), examples)


def measure_answer(
    snapshot: OpenGeneration, question: Question, best: Sequence[Candidate]
) -> tuple[Evidence, WordWeights]:
    """Measure the evidence of the best hits of a ranking; return it with the words of the question."""
    return _measure_hits(snapshot, question, _read_hits(snapshot, question, best))


def _read_hits(snapshot: OpenGeneration, question: Question, best: Sequence[Candidate]) -> list[_ReadHit]:
    """Return the cosine, the title and the abstract of the best hits, best first."""
    cosines = _find_cosines(snapshot, question, best)
    rows = snapshot.corpus.fetch(list(cosines))
    return [(cosines[doc_id], rows[doc_id].title, rows[doc_id].abstract) for doc_id in cosines if doc_id in rows]


def _measure_hits(
    snapshot: OpenGeneration, question: Question, hits: Sequence[_ReadHit]
) -> tuple[Evidence, WordWeights]:
    """Measure the evidence of hits; return it with the words of the question."""
    words = weigh_words(snapshot.get_words(), question.wording)
    evidence = measure_evidence(words, hits)
    return (_complete_shares(evidence) if question.is_search else evidence), words


def _complete_shares(evidence: Evidence) -> Evidence:
    """Return the evidence of hits of a Boolean search: each holds the words that it needs."""
    hits = tuple(replace(hit, share=1.0, sentence_share=1.0) for hit in evidence.hits)
    return replace(evidence, hits=hits, is_search=True)


def _find_cosines(snapshot: OpenGeneration, question: Question, best: Sequence[Candidate]) -> dict[int, float]:
    """Return the cosine of each hit with the text of the question alone, by doc id, best hit first."""
    if not best or not (question.examples or question.query.feedback):
        return {one.doc_id: one.score for one in best}
    ids = np.array([one.doc_id for one in best], np.int64)
    scores = snapshot.vectors.score_ids(encode_texts(snapshot, [question.text])[0][0], ids)
    return dict(zip(ids.tolist(), map(float, scores), strict=True))


def _choose_level(snapshot: OpenGeneration, evidence: Evidence, mode: Mode) -> Level | None:
    """Return the level of some evidence; None if the index has nothing to compare it with."""
    if not evidence.hits:
        return "nothing"
    support = weigh_evidence(evidence, snapshot.manifest.calibration, mode)
    return support.level if support else None


def weigh_evidence(evidence: Evidence, calibration: Calibration | None, mode: Mode) -> Support | None:
    """Weigh some evidence; None if there is nothing to compare it with."""
    standards = calibration.standards if calibration else None
    reach = _find_reach(standards, mode)
    if calibration is None or standards is None or reach is None:
        return None
    strengths = _compute_strengths(evidence, standards)
    related = max(strengths, default=0.0) / _compute_bound(standards, reach)
    if evidence.is_search:
        return Support(max(strengths, default=0.0) / _SEARCHED, related)
    ways = (
        _weigh_best(strengths, evidence.n_words),
        _weigh_many(strengths, evidence, calibration),
        float(_is_titled(evidence, standards)),
    )
    return Support(max(ways), related)


def _weigh_best(strengths: Sequence[float], n_words: int) -> float:
    """Weigh by how much the strongest hit exceeds the next ones; hits that are missing have no strength."""
    best, *others = [*strengths[: _NEXT + 1], *[0.0] * (_NEXT + 1 - len(strengths))]
    return (best - sum(others) / _NEXT) / (_EXCESS + _EXCESS_EACH * max(0, _FEW - n_words))


def _weigh_many(strengths: Sequence[float], evidence: Evidence, calibration: Calibration) -> float:
    """Weigh by how near all hits are, and how strong the strongest ones."""
    if len(strengths) < _MANY:
        return 0.0
    strength = sum(strengths[:_MANY]) / _MANY
    if evidence.n_words <= _TITLED:
        return strength / _STRONG_FEW
    cosine, near = sum(hit.cosine for hit in evidence.hits) / len(evidence.hits), _NEAR * find_near(calibration)
    return min(cosine / near if near > 0 else math.inf, strength / _STRONG)


def _is_titled(evidence: Evidence, standards: Standards) -> bool:
    """Return whether the question has few words and a title holds all of them; of several words, one that is near."""
    if not 1 <= evidence.n_words <= _TITLED:
        return False
    least = standards.low + _TITLE_NEAR * (standards.high - standards.low) if evidence.n_words > 1 else -1.0
    return any(hit.title_share == 1 and hit.cosine >= least for hit in evidence.hits)


def find_near(calibration: Calibration) -> float:
    """Return the cosine of a random title with the last of its BEST nearest records, from those of random pairs.

    Where the records are so many that no pair measured is that near, it is continued by the logarithm of the share.
    """
    beyond = min(1.0, BEST / calibration.n_records)
    shares, cosines = np.array(calibration.shares), np.array(calibration.texts)
    if beyond >= 1 - shares[-1]:
        return float(np.interp(1 - beyond, shares, cosines))
    decade = np.interp(1 - 10 * (1 - shares[-1]), shares, cosines)
    return float(cosines[-1] + (cosines[-1] - decade) * np.log10((1 - shares[-1]) / beyond))


def has_standards(manifest: Manifest) -> bool:
    """Return whether a generation holds what verdicts need, as this engine measures it, or has too few records."""
    if manifest.calibration is None:
        return True
    standards = manifest.calibration.standards
    return standards is not None and standards.version == VERSION


def _find_reach(standards: Standards | None, mode: Mode) -> Reach | None:
    """Return what questions reach in a mode; None if that was not measured by this rule."""
    if standards is None or standards.version != VERSION:
        return None
    return next((reach for reach in standards.reaches if reach.mode == mode), None)


def _compute_bound(standards: Standards, reach: Reach) -> float:
    """Compute the strength from which an answer is related, from what questions of other fields reach in a mode."""
    related = _MARGIN * reach.unrelated[standards.shares.index(_FEW_UNRELATED)]
    return min(max(related, _RELATED[0]), _RELATED[1])


def compute_strength(evidence: Evidence, standards: Standards) -> float:
    """Compute the strength of the strongest hit, 0 or more."""
    return max(_compute_strengths(evidence, standards), default=0.0)


def _compute_strengths(evidence: Evidence, standards: Standards) -> list[float]:
    """Compute the strength of each hit, the strongest first."""
    reach = standards.high - standards.low
    return sorted((_weigh_hit(hit, (hit.cosine - standards.low) / reach) for hit in evidence.hits), reverse=True)


def _weigh_hit(hit: HitEvidence, nearness: float) -> float:
    """Compute the strength of a hit from its nearness and the shares of the words that it holds."""
    nearness = max(nearness, 0.0)
    by_words = hit.share * (_NEARNESS * nearness + _WORDS * hit.sentence_share**2)
    return max(by_words, _ALONE * nearness)
