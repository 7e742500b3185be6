"""Give an index a new encoder, if it is better: test it beside the current one, then encode everything again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from engine.config import Settings
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.recipe import OWN_TEMPLATE
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.placement import Placement
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.index import Index, open_index
from engine.records.abstract import Abstract
from engine.records.encoder import EncoderIdentity
from engine.reindex.encoding.encoders import Choice, choose, export
from engine.reindex.generation.order import Order, Report
from engine.reindex.runs.run import index_sources
from engine.relevance.sets.holdout import TEST, hash_position
from engine.relevance.sets.knownitems import KINDS, Items, Kind
from engine.relevance.sets.testset import TestSet
from engine.train.promote.gate import Verdict, judge_candidate

_MIN_ITEMS = 100  # known items to decide by
_MIN_OF_KIND = 10  # known items of a kind; a kind with fewer is left out
_MAX_OF_KIND = 3000  # known items of a kind: they resolve a difference of 0.009


@dataclass(frozen=True, slots=True)
class Promotion:
    """The result of a promotion."""

    current: EncoderIdentity
    candidate: EncoderIdentity
    verdict: Verdict
    report: Report | None  # of the new generation; None: the candidate was refused, or only tested
    notes: tuple[str, ...] = ()  # on what of the candidate is used in another way than it may seem


def promote_encoder(
    folder: IndexFolder,
    model: str,
    sets: Sequence[TestSet],
    guards: Sequence[TestSet],
    settings: Settings,
    progress: Progress,
    *,
    only_test: bool = False,
    placement: Placement | None = None,
) -> Promotion:
    """Test a model beside the encoder of an index, and publish a generation encoded by it if it passes the gate.

    The candidate has its own prompts, and the precision, recipe and template of the index, unless the settings name
    others. sets: known items to decide by; if empty, they are made from the index. A refused model changes nothing.

    Raises:
        UsageError: it is the index's encoder already, or there are too few known items to decide by.
        EncoderError: no usable model has this name.
    """
    if settings.model is not None:
        raise UsageError(
            f"index.toml of {folder.path.name} names a model ({settings.model}), so the next reindex would refuse "
            "another. Remove that line (an index keeps its encoder) and run this again"
        )
    with open_index(folder.path, follow=False) as index, tempfile.TemporaryDirectory() as scratch:
        current = index.manifest.encoder
        as_tested = _complete_settings(settings, model, current)
        choice = choose(current, as_tested, re_encode=True)
        if choice.identity.fingerprint == current.fingerprint:
            raise UsageError(f"{folder.path.name} has the encoder {model} already: there is nothing to promote")
        known = [*sets] or make_sets(index)
        check_items(known)
        progress("exporting the candidate", 0, None)
        with closing(_export_candidate(choice, Path(scratch))) as candidate:
            verdict = judge_candidate(index.load_encoder(), candidate, known, guards, progress)
    if only_test or not verdict.is_passed:
        return Promotion(current, choice.identity, verdict, None, choice.notes)
    order = Order(settings=as_tested, re_encode=True, republish=True, verb="promote", placement=placement)
    return Promotion(current, choice.identity, verdict, index_sources(folder, order, progress), choice.notes)


def _complete_settings(settings: Settings, model: str, current: EncoderIdentity) -> Settings:
    """Return the settings of a candidate: what they leave open about the texts of records is as in the index."""
    template = current.template if settings.template is None else settings.template
    return replace(
        settings, model=model, precision=current.precision, recipe=current.recipe, template=template or OWN_TEMPLATE
    )


def _export_candidate(choice: Choice, folder: Path) -> OnnxEncoder:
    """Export the candidate as it would encode queries."""
    export(choice, folder)
    return OnnxEncoder(folder)


def make_sets(index: Index) -> list[TestSet]:
    """Make known items from the held-out tenth of an index, by kind."""
    records = [record for record in index.abstracts() if hash_position(record) < TEST]
    records.sort(key=lambda record: (hash_position(record), record.record_id))
    return [items for kind in KINDS if (items := _make_items(records, kind)) is not None]


def check_items(known: Sequence[TestSet]) -> None:
    """Check that known items can decide anything.

    Raises:
        UsageError: there are too few.
    """
    n = sum(len(test_set.judgments.grades) for test_set in known)
    if n < _MIN_ITEMS:
        raise UsageError(
            f"there are {pluralize(n, 'known item')} held out for testing, expected {_MIN_ITEMS} or more to decide by. "
            "Make them from a larger corpus: engine known-items FILE -o FOLDER, then --known-items FOLDER"
        )


def _make_items(records: Sequence[Abstract], kind: Kind) -> TestSet | None:
    """Make at most 3,000 known items of one kind; None if there are fewer than 10."""
    items = Items(kind)
    for record in records:
        if items.counts.taken < _MAX_OF_KIND:
            items.take(record)
    return items.build_test_set(kind) if items.counts.taken >= _MIN_OF_KIND else None
