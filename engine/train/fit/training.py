"""Run a whole training: check, load, estimate, train, average, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sentence_transformers import SentenceTransformer

from engine.errors import EncoderError, SourceError
from engine.files import check_new_folder
from engine.phrases import pluralize
from engine.progress import Progress
from engine.relevance.sets.testset import SetSource
from engine.train.fit.basemodel import encode_texts, limit_length, load_model, resolve_device
from engine.train.fit.collapse import SAMPLE_SIZE, ScoreSpread, measure_spread
from engine.train.fit.encoderfolder import WrittenEncoder, write_encoder
from engine.train.fit.estimate import TrainingEstimate, estimate_training
from engine.train.fit.methods import train_adapt, train_distill, train_seed
from engine.train.fit.settings import TrainingSettings, TrainingSources
from engine.train.fit.trainer import silence_libraries
from engine.train.pairs.corpuspairs import CorpusPairs
from engine.train.pairs.findings import PairReport
from engine.train.pairs.pairtable import PairTable

_EstimateShower = Callable[[TrainingEstimate], None]


def train_on_pairs(
    table: PairTable, report: PairReport, settings: TrainingSettings, progress: Progress, show: _EstimateShower
) -> WrittenEncoder:
    """Train on labelled pairs by the method seed; the findings of the report go into the card.

    show is called with the estimate before the first step.
    """
    sample = list(dict.fromkeys(text for text in table.texts[-1] if text.strip()))[:SAMPLE_SIZE]
    start = _prepare(settings, table.texts, sample, show)
    trained = train_seed(table, start.model, start.settings, progress)
    sources = TrainingSources((SetSource(table.name, table.sha256),))
    notes = [finding.message for finding in report.findings]
    return write_encoder(trained, start.settings, start.measure(trained.model), sources, notes)


def train_without_labels(
    pairs: CorpusPairs,
    sources: TrainingSources,
    settings: TrainingSettings,
    progress: Progress,
    show: _EstimateShower,
) -> WrittenEncoder:
    """Train on pairs without labels, by the method adapt or distill.

    Raises:
        SourceError: there are fewer pairs than a batch has.
    """
    if len(pairs.titles) < settings.batch_size:
        raise SourceError(
            f"{pluralize(pairs.n_records, 'record')} gave {pluralize(len(pairs.titles), 'pair')} of title and body to "
            f"train on ({pairs.n_held_out:,} are held out), expected at least one batch of {settings.batch_size:,}. "
            "Give more records, or use a smaller --batch-size"
        )
    sample = [text for _, text in pairs.titles[:SAMPLE_SIZE]]
    start = _prepare(settings, _list_columns(pairs, settings), sample, show)
    train = train_distill if settings.method == "distill" else train_adapt
    trained = train(pairs, start.model, start.settings, progress)
    return write_encoder(trained, start.settings, start.measure(trained.model), sources, ())


@dataclass(frozen=True, slots=True)
class _Start:
    """The base model, ready to be trained."""

    settings: TrainingSettings  # with the device that is used
    model: SentenceTransformer
    sample: Sequence[str]  # texts on which encoders are measured
    base_spread: ScoreSpread

    def measure(self, model: SentenceTransformer) -> tuple[ScoreSpread, ScoreSpread]:
        """Return the spread of a trained model and of the base."""
        return _measure(model, self.sample, self.settings), self.base_spread


def _prepare(
    settings: TrainingSettings, columns: Sequence[Sequence[str]], sample: Sequence[str], show: _EstimateShower
) -> _Start:
    """Load the base model, and check the output folder and the memory.

    Raises:
        EncoderError: the training needs more memory than is free.
    """
    silence_libraries()
    check_new_folder(settings.output)
    settings = resolve_device(settings)
    model = load_model(settings.base, settings.device)
    with limit_length((model,), settings.max_length):
        expected = estimate_training(model, columns, settings)
    show(expected)
    if expected.n_bytes > expected.free_bytes:
        size = expected.mini_batch_size
        remedy = f"Use smaller parts of a batch: --mini-batch {size}" if size else "Use a smaller model, or free memory"
        raise EncoderError(f"{expected}: that is not enough. {remedy}")
    return _Start(settings, model, sample, _measure(model, sample, settings))


def _measure(model: SentenceTransformer, sample: Sequence[str], settings: TrainingSettings) -> ScoreSpread:
    """Measure how a model spreads the sample."""
    return measure_spread(lambda texts: encode_texts(model, texts, bool(settings.mixed)), sample)


def _list_columns(pairs: CorpusPairs, settings: TrainingSettings) -> list[list[str]]:
    """Return the columns of text that a step encodes."""
    both = (*pairs.titles, *pairs.conclusions)
    if settings.method == "distill":
        return [[text for pair in both for text in pair]]
    anchors, positives = [anchor for anchor, _ in both], [positive for _, positive in both]
    return [anchors, *([positives] * (1 + settings.negatives))]
