"""A whole training: read, check, estimate, train, average, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.errors import EncoderError, SourceError
from engine.progress import Progress
from engine.records import many
from engine.relevance.testset import SourceFile
from engine.train.adapt import adapt
from engine.train.base import device_for, load, mixed_for, shorten
from engine.train.collapse import SAMPLE
from engine.train.corpuspairs import CorpusPairs
from engine.train.estimate import Estimate, estimate
from engine.train.findings import Report
from engine.train.finish import Finished, check_output, finish
from engine.train.fit import quiet
from engine.train.pairs import PairTable
from engine.train.settings import Settings, Sources
from engine.train.supervised import distill, seed

Told = Callable[[Estimate], None]


def train_on_pairs(table: PairTable, report: Report, settings: Settings, progress: Progress, told: Told) -> Finished:
    """Train on labelled pairs, by the recipe seed; the linter's report on them goes into the card.

    told is handed the estimate before the first step.
    """
    quiet()
    check_output(settings.output)
    device = begun(settings, table.texts, told)
    tuned = seed(table, settings, device, progress)
    sample = list(dict.fromkeys(text for text in table.texts[-1] if text.strip()))[:SAMPLE]
    sources = Sources((SourceFile(table.name, table.sha256),))
    return finish(tuned, settings, sample, sources, [one.message for one in report.findings])


def train_without_labels(
    pairs: CorpusPairs, sources: Sources, settings: Settings, progress: Progress, told: Told
) -> Finished:
    """Train on pairs without labels, by the recipe adapt or distill.

    Raises:
        SourceError: there are fewer pairs than a batch has.
    """
    quiet()
    check_output(settings.output)
    if len(pairs.titles) < settings.batch_size:
        raise SourceError(
            f"{many(pairs.n_records, 'record')} gave {many(len(pairs.titles), 'pair')} of title and body to train on "
            f"({pairs.n_held_out:,} are held out), expected at least one batch of {settings.batch_size:,}. "
            "Give more records, or take a smaller --batch"
        )
    device = begun(settings, columns_of(pairs, settings), told)
    tuned = (distill if settings.recipe == "distill" else adapt)(pairs, settings, device, progress)
    return finish(tuned, settings, [text for _, text in pairs.titles[:SAMPLE]], sources, ())


def begun(settings: Settings, columns: Sequence[Sequence[str]], told: Told) -> str:
    """The device, after the estimate was told.

    Raises:
        EncoderError: the training needs more memory than is free.
    """
    device = device_for(settings)
    model = load(settings.base, device)
    shorten((model,), settings.max_length)
    expected = estimate(model, columns, settings, mixed_for(settings, device))
    told(expected)
    if expected.n_bytes > expected.free_bytes:
        smaller = max(1, settings.mini_batch_size // 4)
        raise EncoderError(f"{expected}: that is not enough. Take smaller parts of a batch: --mini-batch {smaller}")
    return device


def columns_of(pairs: CorpusPairs, settings: Settings) -> list[list[str]]:
    """The columns of text that a step encodes."""
    both = (*pairs.titles, *pairs.conclusions)
    if settings.recipe == "distill":
        return [[text for pair in both for text in pair]]
    anchors, positives = [one for one, _ in both], [other for _, other in both]
    return [anchors, *([positives] * (1 + settings.negatives))]
