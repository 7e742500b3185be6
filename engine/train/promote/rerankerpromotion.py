"""Give the searches of an index a reranker, if it helps: test it as it would be used, then name it in index.toml."""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import Settings
from engine.encode.crossencoder.folder import read_reranker_identity
from engine.errors import ConfigError
from engine.files import write_text
from engine.index.generations.folder import IndexFolder
from engine.options import NO_RERANKER, Query
from engine.progress import Progress
from engine.query.index import open_index
from engine.query.opening.rerankers import export_candidate, keep_candidate
from engine.query.question.validation import check_fusion
from engine.records.encoder import EncoderIdentity
from engine.records.reranker import RerankerIdentity
from engine.relevance.scoring.indexrun import evaluate_index
from engine.relevance.scoring.measures import measure_queries, parse
from engine.relevance.sets.testset import TestSet
from engine.train.promote.gate import MEASURE, GateOutcome, check_gain, check_loss, compare_outcomes
from engine.train.promote.promotion import check_items, make_sets
from engine.train.promote.setindex import index_test_set

_TABLE = re.compile(r"(?ms)^\[rerank\][^\n]*\n(?P<body>.*?)(?=^\[|\Z)")
_MODEL = re.compile(r"(?m)^[ \t]*#?[ \t]*model[ \t]*=.*$")


@dataclass(frozen=True, slots=True)
class _RerankerPromotion:
    """The result of testing a reranker."""

    candidate: RerankerIdentity
    primary: GateOutcome  # all known items together, without and with the reranker
    outcomes: tuple[GateOutcome, ...]  # of each set
    reasons: tuple[str, ...]  # why it is refused; empty if it passes
    is_named: bool  # index.toml names it now
    notes: tuple[str, ...] = ()  # on queries that were not answered as asked


def promote_reranker(
    folder: IndexFolder,
    model: str,
    sets: Sequence[TestSet],
    guards: Sequence[TestSet],
    settings: Settings,
    progress: Progress,
    *,
    n_queries: int,
    only_test: bool = False,
) -> _RerankerPromotion:
    """Search test sets without and with a reranker, and name it in index.toml if it helps.

    The documents of each set are indexed by the encoder of the index, and its queries asked in the default mode, as the
    settings of the index say. sets: known items to decide by; if empty, they are made from the index. At most n_queries
    of each set are asked. A reranker that passes is exported into the folder of the index; a refused one changes
    nothing.

    Raises:
        UsageError: there are too few known items to decide by.
        EncoderError: no usable reranker has this name.
        ConfigError: index.toml can't be changed.
    """
    with open_index(folder.path, follow=False) as index:
        encoder, known = index.manifest.encoder, [*sets] or make_sets(index)
    check_items(known)
    progress("exporting the candidate", 0, None)
    with tempfile.TemporaryDirectory() as scratch:
        candidate = export_candidate(folder, model, settings.rerank_precision, Path(scratch))
        identity = read_reranker_identity(candidate)
        models, tests = (folder.get_encoder_path(encoder.fingerprint), candidate), [*known, *guards]
        shown = [_shorten(one, n_queries) for one in tests]
        measured = [_measure(one, encoder, models, settings, progress) for one in shown]
        outcomes = tuple(
            compare_outcomes(one.name, one.sha256, old, new) for one, (old, new, _) in zip(shown, measured, strict=True)
        )
        before, after = (np.concatenate([one[which] for one in measured[: len(known)]]) for which in (0, 1))
        primary = compare_outcomes("known items", "", before, after)
        reasons = (*check_gain(primary), *(reason for outcome in outcomes for reason in check_loss(outcome)))
        is_named = not (only_test or reasons)
        if is_named:
            keep_candidate(folder, candidate)
            _name_reranker(settings, identity)
    notes = tuple(dict.fromkeys(note for *_, found in measured for note in found))
    return _RerankerPromotion(identity, primary, outcomes, reasons, is_named, notes)


def _shorten(test_set: TestSet, n_queries: int) -> TestSet:
    """Return a test set with at most n_queries of its judged queries, at equal distances."""
    judged = list(test_set.judgments.grades)
    if len(judged) <= n_queries:
        return test_set
    chosen = {judged[at] for at in np.linspace(0, len(judged) - 1, n_queries).astype(int)}
    grades = {name: grade for name, grade in test_set.judgments.grades.items() if name in chosen}
    queries = tuple(query for query in test_set.queries if query.id in chosen)
    return replace(test_set, queries=queries, judgments=replace(test_set.judgments, grades=grades))


def _measure(
    test_set: TestSet, encoder: EncoderIdentity, models: Sequence[Path], settings: Settings, progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """Return nDCG@10 of every judged query without and with the reranker, and notes on the answers.

    Both are (n,), in the order of the judgments. models: the folders of the encoder and of the reranker.
    """
    plain = Query(rerank=NO_RERANKER, weight=settings.hybrid_weight, fusion=check_fusion(settings.hybrid_fusion))
    staged = replace(
        plain,
        rerank=models[-1].name,
        rerank_depth=settings.rerank_depth,
        rerank_precision=settings.rerank_precision,
    )
    texts = {query.id: query.text for query in test_set.queries}
    with index_test_set(test_set, encoder, models, settings.device, progress) as (index, judgments):
        measures = [parse(MEASURE)]
        found = [evaluate_index(index, texts, judgments, measures, query, progress) for query in (plain, staged)]
    both = (measure_queries(measures[0], one.run, judgments) for one in found)
    old, new = (np.fromiter(one.values(), np.float64, len(one)) for one in both)
    return old, new, tuple(f"{test_set.name}: {note}" for one in found for note in one.notes)


def _name_reranker(settings: Settings, identity: RerankerIdentity) -> None:
    """Name a reranker under [rerank] of index.toml, by its fingerprint, since a folder may change; keep all else.

    Raises:
        ConfigError: the file can't be read, or has a form that can't be changed safely.
    """
    path = settings.file
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path} can't be read: {err}") from err
    line = f'model = "{identity.fingerprint}"  # {" ".join(identity.short_name.split())}'
    found = _TABLE.search(text)
    if found is None:
        changed = f"{text.rstrip()}\n\n[rerank]\n{line}\n".lstrip()
    else:
        body, n = _MODEL.subn(lambda _: line, found["body"], count=1)
        start, end = found.span("body")
        changed = text[:start] + (body if n else f"{line}\n{body}") + text[end:]
    before = tomllib.loads(text)
    expected = before | {"rerank": {**before.get("rerank", {}), "model": identity.fingerprint}}
    try:
        is_right = tomllib.loads(changed) == expected
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise ConfigError(f"{path} has a form that can't be changed safely. Write under [rerank]: {line}")
    write_text(path, [changed], overwrite=True)
