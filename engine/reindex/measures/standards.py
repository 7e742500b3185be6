"""Standards for verdicts: what the best hits of questions of other fields, and of sentences of records, reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.corpus.storage.store import Corpus
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import parse_wording
from engine.encode.execution.encoder import Encoder, encode_checked
from engine.encode.models.recipe import clean_text
from engine.encode.texts.sentences import MOST_READ, split_sentences
from engine.index.search.parts import SegmentedIndex
from engine.options import MODES, Mode
from engine.query.answers.verdict import VERSION, compute_strength
from engine.query.ranks.evidence import BEST, Evidence, measure_evidence, weigh_words
from engine.records.abstract import Abstract
from engine.records.answer import SCORE_DECIMALS
from engine.records.encoder import Vectors
from engine.records.generation import DocIds, Reach, Standards
from engine.reindex.measures.otherfields import QUESTIONS

_RECORDS = 200  # of which a sentence is searched
_LEAST_REACH = 0.05  # cosine between a question of another field and a sentence of a record, to tell them apart
_FEWEST = 10  # records, and unrelated questions, that the encoder can read
_SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98)


@dataclass(frozen=True, slots=True)
class SearchedParts:
    """The parts of a generation that are searched."""

    corpus: Corpus
    vectors: SegmentedIndex
    words: WordIndex


@dataclass(frozen=True, slots=True)
class _Probe:
    """A text to search for, and the record that it is of; None: of none."""

    text: str
    own: int | None


@dataclass(frozen=True, slots=True)
class _Found:
    """The evidence for one text in each mode, its own record left out, and the cosine with that record."""

    evidence: Mapping[Mode, Evidence]
    own: float | None


def measure_standards(parts: SearchedParts, doc_ids: DocIds, encoder: Encoder) -> Standards:
    """Measure what the best hits of questions of other fields, and of sentences of records, reach; doc_ids: of all.

    The number of texts is fixed, so that the work grows with the index only as a search does. There are no reaches if
    too few texts can be read, or if the encoder tells no record from a question of another field.
    """
    unrelated = _search_probes(parts, [_Probe(text, None) for text in QUESTIONS], encoder)
    records = _search_probes(parts, _draw_sentences(parts.corpus, doc_ids), encoder)
    if min(len(unrelated), len(records)) < _FEWEST:
        return Standards(VERSION, 0.0, 0.0, _SHARES, ())
    low = float(np.median([found.evidence["semantic"].cosine for found in unrelated]))
    high = float(np.median([found.own for found in records if found.own is not None]))
    plain = Standards(VERSION, round(low, SCORE_DECIMALS), round(high, SCORE_DECIMALS), _SHARES, ())
    if plain.high - plain.low < _LEAST_REACH:
        return plain
    reaches = tuple(
        Reach(mode, _compute_quantiles(unrelated, mode, plain), _compute_quantiles(records, mode, plain))
        for mode in MODES
    )
    return replace(plain, reaches=reaches)


def _draw_sentences(corpus: Corpus, doc_ids: DocIds) -> list[_Probe]:
    """Return the last sentences of at most _RECORDS records spread over the corpus; without an abstract, the title."""
    spread = np.unique(np.linspace(0, len(doc_ids) - 1, min(_RECORDS, len(doc_ids)), dtype=np.int64))
    rows = corpus.fetch(doc_ids[spread].tolist())
    probes = [_Probe(_choose_text(rows[doc_id]), doc_id) for doc_id in doc_ids[spread].tolist() if doc_id in rows]
    return [probe for probe in probes if probe.text]


def _choose_text(row: Abstract) -> str:
    """Return the last sentence of an abstract, or the title if it has no two sentences."""
    abstract = row.abstract[-MOST_READ:]
    spans = split_sentences(abstract)
    start, end = spans[-1] if len(spans) > 1 else (0, 0)
    return clean_text(abstract[start:end]) or clean_text(row.title) or clean_text(row.abstract)


def _search_probes(parts: SearchedParts, probes: Sequence[_Probe], encoder: Encoder) -> list[_Found]:
    """Search for each text that the encoder can read."""
    checked = encode_checked(encoder, [probe.text for probe in probes], as_query=True)
    if not len(checked.kept):
        return []
    readable = [probes[at] for at in checked.kept.tolist()]
    nearest = parts.vectors.search(np.ascontiguousarray(checked.vectors), BEST + 1)
    return [
        _measure_probe(parts, probe, vector, [doc_id for doc_id, _ in found])
        for probe, vector, found in zip(readable, checked.vectors, nearest, strict=True)
    ]


def _measure_probe(parts: SearchedParts, probe: _Probe, vector: Vectors, nearest: Sequence[int]) -> _Found:
    """Measure the evidence for a text in each mode; in hybrid the hits of both kinds count."""
    wording = parse_wording(probe.text)
    matching = [doc_id for doc_id, _ in parts.words.rank(wording, BEST + 1, count=False)[0]]
    best = {
        "semantic": [doc_id for doc_id in nearest if doc_id != probe.own][:BEST],
        "keyword": [doc_id for doc_id in matching if doc_id != probe.own][:BEST],
    }
    best["hybrid"] = list(dict.fromkeys(best["semantic"] + best["keyword"]))
    ids = [*best["hybrid"], *([] if probe.own is None else [probe.own])]
    cosines = dict(zip(ids, map(float, parts.vectors.score_ids(vector, np.array(ids, np.int64))), strict=True))
    rows = {row["id"]: row for row in parts.corpus.read_by_ids("title, abstract", best["hybrid"])}
    every = measure_evidence(
        weigh_words(parts.words, wording), [(cosines[i], rows[i]["title"], rows[i]["abstract"]) for i in best["hybrid"]]
    )
    hits = dict(zip(best["hybrid"], every.hits, strict=True))
    evidence = {mode: replace(every, hits=tuple(hits[i] for i in best[mode])) for mode in MODES}
    return _Found(evidence, None if probe.own is None else cosines[probe.own])


def _compute_quantiles(found: Sequence[_Found], mode: Mode, plain: Standards) -> tuple[float, ...]:
    """Compute quantiles of the strength of the evidence found in a mode."""
    strengths = [compute_strength(each.evidence[mode], plain) for each in found]
    return tuple(np.quantile(strengths, _SHARES).round(SCORE_DECIMALS).tolist())
