"""Give an index a new encoder, if it is better: test it beside the current one, then encode everything again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from engine.config import Settings
from engine.encode.onnx import OnnxEncoder
from engine.errors import UsageError
from engine.index.folder import IndexFolder
from engine.progress import Progress
from engine.query.index import Index, open_index
from engine.records import Abstract, EncoderIdentity, many
from engine.reindex.encoders import Choice, choose, export
from engine.reindex.order import Order, Report
from engine.reindex.run import index_sources
from engine.relevance.holdout import TEST, position
from engine.relevance.knownitems import KINDS, Items, Kind
from engine.relevance.testset import TestSet
from engine.train.gate import Verdict, judge

LEAST = 100  # known items; fewer decide nothing
FEW = 10  # a set with fewer is left out
MOST = 3000  # known items of a kind: they resolve a difference of 0.009


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a candidate."""

    current: EncoderIdentity
    candidate: EncoderIdentity
    verdict: Verdict
    report: Report | None  # of the generation that it made; None: it was refused, or only tested


def promote(
    folder: IndexFolder,
    model: str,
    sets: Sequence[TestSet],
    guards: Sequence[TestSet],
    settings: Settings,
    progress: Progress,
    *,
    only_test: bool = False,
) -> Promotion:
    """Test a model beside the encoder of an index, and publish a generation encoded by it if it passes the gate.

    sets: known items to decide by; none: they are made from the index. A refused model changes nothing.

    Raises:
        UsageError: it is the index's encoder already, or there are too few known items to decide by.
        EncoderError: no usable model by this name.
    """
    if settings.model is not None:
        raise UsageError(
            f"index.toml of {folder.path.name} names a model ({settings.model}), so the next reindex would not accept "
            "another. Take that line out (an index keeps the encoder it has) and run this again"
        )
    with open_index(folder.path, follow=False) as index, tempfile.TemporaryDirectory() as scratch:
        held = index.manifest.encoder
        choice = choose(held, model, held.precision, held.recipe, re_encode=True)
        if choice.identity.fingerprint == held.fingerprint:
            raise UsageError(f"{model} is the encoder that {folder.path.name} has already: there is nothing to promote")
        known = [*sets] or index_sets(index)
        check_enough(known)
        progress("exporting the candidate", 0, None)
        with closing(exported(choice, Path(scratch))) as candidate:
            verdict = judge(index.load_encoder(), candidate, known, guards, progress)
    if only_test or not verdict.passed:
        return Promotion(held, choice.identity, verdict, None)
    order = Order.of(settings, re_encode=True, republish=True, verb="promote")
    order = replace(order, model=model, precision=held.precision, recipe=held.recipe)  # as the candidate was tested
    return Promotion(held, choice.identity, verdict, index_sources(folder, order, progress))


def exported(choice: Choice, folder: Path) -> OnnxEncoder:
    """The candidate as it would encode queries."""
    export(choice, folder)
    return OnnxEncoder(folder)


def index_sets(index: Index) -> list[TestSet]:
    """Known items of the held-out tenth of an index, by kind."""
    records = [one for one in index.abstracts() if position(one) < TEST]
    records.sort(key=lambda one: (position(one), one.record_id))
    return [one for kind in KINDS if (one := items_of(records, kind)) is not None]


def check_enough(known: Sequence[TestSet]) -> None:
    """Check that known items can decide anything.

    Raises:
        UsageError: there are too few.
    """
    n = sum(len(one.judgments.grades) for one in known)
    if n < LEAST:
        raise UsageError(
            f"there are {many(n, 'known item')} held out for testing, expected {LEAST} or more to decide by. "
            "Make them of a larger corpus: engine known-items FILE -o FOLDER, then --known-items FOLDER"
        )


def items_of(records: Sequence[Abstract], kind: Kind) -> TestSet | None:
    """The first known items of one kind, as many as are needed; None where there are next to none."""
    items = Items(kind)
    for record in records:
        if items.counts.taken < MOST:
            items.take(record)
    return items.test_set(kind) if items.counts.taken >= FEW else None
