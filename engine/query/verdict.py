"""Verdicts: whether the best hits of a question are about it, by what unrelated questions reach on the same corpus.

The nearness of a hit is its cosine, stretched so that 0 is what questions of other fields reach and 1 what sentences
reach with the record that they are of. Its strength is the share of the question's words that it holds, rare words
weighing more, times a mean of nearness and share; but no less than a part of its nearness, for hits in other words. The
strength of an answer is that of the strongest of its ten best hits. Both kinds of texts are searched when a generation
is made (engine.reindex.standards), and what they reach is kept in its manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.options import Mode
from engine.query.evidence import Evidence, WordWeights, measure_evidence, weigh_words
from engine.query.generation import OpenGeneration
from engine.query.plan import Question, encode_texts, intersect_ids
from engine.query.ranking import Candidate
from engine.records.answer import SCORE_DECIMALS, AnswerVerdict, Level
from engine.records.generation import Manifest, Reach, Standards

VERSION = 1  # of the rule; standards of another version are not used
_LEVELS: dict[Level | None, str] = {
    "clear": "clearly about this",
    "related": "related",
    "nothing": "nothing here is clearly about this",
    None: "no verdict, since nothing was measured on this index to compare with (to measure it: engine compact)",
}
_INDISTINCT = "no verdict, since the records are too few, or the encoder can't tell them from those of other fields"
# Chosen by scripts/bench_verdict.py on four corpora at once.
_NEARNESS, _WORDS = 0.7, 0.3  # weights in the strength of a hit
_ALONE = 0.4  # weight of the nearness of a hit in other words
_CLEAR = (0.46, 0.65)  # the least and the greatest bound of clear answers, however alike or unlike the records are
_RELATED = (0.15, 0.3)  # of related answers
_FEW_NEIGHBOURS, _FEW_UNRELATED = 0.9, 0.95  # shares of the texts below a bound
_OF_NEIGHBOURS = 0.9  # times what all but a few sentences reach without their own record
_MARGIN = 1.75  # times what all but a few questions of other fields reach


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The least strength of a clear answer, and of a related one."""

    clear: float
    related: float

    def choose_level(self, strength: float) -> Level:
        """Return the level of an answer of this strength."""
        if strength >= self.clear:
            return "clear"
        return "related" if strength >= self.related else "nothing"


def judge_answer(snapshot: OpenGeneration, question: Question, best: Sequence[Candidate]) -> AnswerVerdict | None:
    """Return the verdict on the ten best hits by relevance, best first; None for a question without a text.

    It depends on these hits and on the text: not on how many are asked for or shown, nor on their order there, nor on
    examples or feedback.
    """
    if not question.text:
        return None
    evidence, words = measure_answer(snapshot, question, best)
    level = _choose_level(snapshot, evidence, question.query.mode)
    return AnswerVerdict(
        level=level,
        text=_LEVELS[level] if level or not has_standards(snapshot.manifest) else _INDISTINCT,
        n_holding=_count_holding(snapshot, question, words),
        missing=words.missing,
        cosine=round(evidence.cosine, SCORE_DECIMALS),
        share=round(evidence.share, SCORE_DECIMALS),
        is_search=question.is_search,
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
    words = weigh_words(snapshot.get_words(), question.wording)
    cosines = _find_cosines(snapshot, question, best)
    rows = snapshot.corpus.fetch(list(cosines))
    hits = [(cosines[doc_id], rows[doc_id].title, rows[doc_id].abstract) for doc_id in cosines if doc_id in rows]
    evidence = measure_evidence(words, hits)
    return (_complete_shares(evidence) if question.is_search else evidence), words


def _complete_shares(evidence: Evidence) -> Evidence:
    """Return the evidence of hits of a Boolean search: each holds the words that it needs."""
    return replace(evidence, hits=tuple(replace(hit, share=1.0) for hit in evidence.hits))


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
    calibration = snapshot.manifest.calibration
    standards = calibration.standards if calibration else None
    reach = find_reach(standards, mode)
    if standards is None or reach is None:
        return None
    return compute_bounds(standards, reach).choose_level(compute_strength(evidence, standards))


def has_standards(manifest: Manifest) -> bool:
    """Return whether a generation holds what verdicts need, as this engine measures it, or has too few records."""
    if manifest.calibration is None:
        return True
    standards = manifest.calibration.standards
    return standards is not None and standards.version == VERSION


def find_reach(standards: Standards | None, mode: Mode) -> Reach | None:
    """Return what questions reach in a mode; None if that was not measured by this rule."""
    if standards is None or standards.version != VERSION:
        return None
    return next((reach for reach in standards.reaches if reach.mode == mode), None)


def compute_bounds(standards: Standards, reach: Reach) -> _Bounds:
    """Compute the bounds of a mode from what questions reach in it."""
    clear = _OF_NEIGHBOURS * reach.neighbours[standards.shares.index(_FEW_NEIGHBOURS)]
    related = _MARGIN * reach.unrelated[standards.shares.index(_FEW_UNRELATED)]
    return _Bounds(min(max(clear, _CLEAR[0]), _CLEAR[1]), min(max(related, _RELATED[0]), _RELATED[1]))


def compute_strength(evidence: Evidence, standards: Standards) -> float:
    """Compute the strength of an answer: that of its strongest hit, 0 or more.

    A single word is found if it is in a title.
    """
    if evidence.n_words == 1 and any(hit.title_share == 1 for hit in evidence.hits):
        return 1.0
    reach = standards.high - standards.low
    strengths = [_weigh_hit((hit.cosine - standards.low) / reach, hit.share) for hit in evidence.hits]
    return max(strengths, default=0.0)


def _weigh_hit(nearness: float, share: float) -> float:
    """Compute the strength of a hit from its nearness and the share of the words that it holds."""
    nearness = max(nearness, 0.0)
    return max(share * (_NEARNESS * nearness + _WORDS * share * share), _ALONE * nearness)
