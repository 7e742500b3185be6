"""Give the searches of an index a reranker, if it is better: test it behind the encoder, then name it in index.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.config import Settings
from engine.encode.crossencoder.runner import OnnxReranker
from engine.encode.encoder import Encoder
from engine.errors import ConfigError
from engine.files import write_text
from engine.index.folder import IndexFolder
from engine.progress import Progress
from engine.query.index import Index, open_index
from engine.query.rerankers import provide_reranker
from engine.records.reranker import RerankerIdentity
from engine.relevance.scoring.exhaustive import search_documents
from engine.relevance.scoring.measures import measure_queries, parse
from engine.relevance.sets.runs import Ranked, Run
from engine.relevance.sets.testset import TestSet
from engine.train.promote.gate import MEASURE, GateOutcome, check_gain, check_loss, compare_outcomes
from engine.train.promote.promotion import check_items, make_sets

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
    """Rank test sets by the encoder of an index, without and with a reranker, and name it in index.toml if it helps.

    sets: known items to decide by; if empty, they are made from the index. At most n_queries of each set are asked.
    The reranker is exported into the folder of the index. A refused one changes nothing else.

    Raises:
        UsageError: there are too few known items to decide by.
        EncoderError: no usable reranker has this name.
        ConfigError: index.toml can't be changed.
    """
    progress("exporting the candidate", 0, None)
    exported = provide_reranker(folder, model, settings.rerank_precision, may_export=True)
    with closing(OnnxReranker(exported)) as candidate, open_index(folder.path, follow=False) as index:
        known = [*sets] or make_sets(index)
        check_items(known)
        outcomes, before, after = [], list[NDArray[np.float64]](), list[NDArray[np.float64]]()
        for place, test_set in enumerate(_shorten(one, n_queries) for one in (*known, *guards)):
            old, new = _measure(index, candidate, test_set, settings.rerank_depth, progress)
            outcomes.append(compare_outcomes(test_set.name, test_set.sha256, old, new))
            if place < len(known):
                before.append(old)
                after.append(new)
    primary = compare_outcomes("known items", "", np.concatenate(before), np.concatenate(after))
    reasons = (*check_gain(primary), *(reason for outcome in outcomes for reason in check_loss(outcome)))
    is_named = not (only_test or reasons)
    if is_named:
        _name_reranker(settings, candidate.identity)
    return _RerankerPromotion(candidate.identity, primary, tuple(outcomes), reasons, is_named)


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
    index: Index, candidate: OnnxReranker, test_set: TestSet, depth: int, progress: Progress
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nDCG@10 of every judged query without and with the reranker: (n,) each, in the order of the judgments."""
    encoder: Encoder = index.load_encoder()
    run = search_documents(encoder, test_set, depth).run
    both = run, Run(run.name, _rerank_run(run.rankings, candidate, test_set, progress))
    values = (measure_queries(parse(MEASURE), one, test_set.judgments) for one in both)
    old, new = (np.fromiter(one.values(), np.float64, len(one)) for one in values)
    return old, new


def _rerank_run(
    rankings: Mapping[str, tuple[Ranked, ...]], candidate: OnnxReranker, test_set: TestSet, progress: Progress
) -> dict[str, tuple[Ranked, ...]]:
    """Order each ranking anew by the score of the reranker, of equal ones in the old order."""
    texts = {document.id: document.text for document in test_set.documents}
    found: dict[str, tuple[Ranked, ...]] = {}
    for query in test_set.queries:
        hits = rankings.get(query.id, ())
        if hits:
            scores, _ = candidate.score(query.text, [texts[hit.record_id] for hit in hits])
            order = np.argsort(-scores, kind="stable")
            hits = tuple(Ranked(hits[at].record_id, float(scores[at])) for at in order)
        found[query.id] = hits
        progress(f"reranking {test_set.name}", len(found), len(test_set.queries))
    return found


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
