"""The methods of training: seed moves cosines to labels, adapt learns from a corpus, distill from a better encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CoSENTLoss, CosineSimilarityLoss, EmbedDistillLoss
from sentence_transformers.util import mine_hard_negatives

from engine.encode.models.recipe import clean_text
from engine.errors import UsageError
from engine.files import write_path_whole
from engine.progress import Progress
from engine.records.encoder import Vectors
from engine.train.fit.averaging import WeightAverage, copy_weights, score_dev, set_best_average
from engine.train.fit.basemodel import (
    add_adapters,
    disable_dropout,
    encode_texts,
    limit_length,
    load_model,
    merge_adapters,
)
from engine.train.fit.checkpoints import choose_work_folder, claim_work_folder
from engine.train.fit.losses import build_ranking_loss
from engine.train.fit.settings import TrainingSettings
from engine.train.fit.trainer import TrainingRun, run_trainer
from engine.train.pairs.corpuspairs import CorpusPairs, TextPair
from engine.train.pairs.pairtable import PairTable

_TEACHER = "teacher.npy"
_NEAREST = 50  # candidates for the negatives of a pair
_SKIPPED = 3  # the very nearest are most often true positives that nobody marked


@dataclass(frozen=True, slots=True)
class TrainedEncoder:
    """An encoder after training, before it is written."""

    model: SentenceTransformer
    run: TrainingRun
    averages: tuple[WeightAverage, ...]  # with the base; empty if the method has none
    rows: Mapping[str, int]  # of each data set


def train_seed(
    table: PairTable, model: SentenceTransformer, settings: TrainingSettings, progress: Progress
) -> TrainedEncoder:
    """Move the cosine of each pair towards its label: mean squared error, as the seed's card says.

    Raises:
        UsageError: the table has no labels, or not two columns.
    """
    if table.labels is None or len(table.columns) != 2:
        raise UsageError(f"{table.name}: expected two columns of text and a label, found {', '.join(table.columns)}")
    names = ("sentence_0", "sentence_1")
    columns = {name: [clean_text(text) for text in texts] for name, texts in zip(names, table.texts, strict=True)}
    rows = {"pairs": Dataset.from_dict(columns | {"label": table.labels.tolist()})}
    claim_work_folder(settings, rows)
    with limit_length((model,), settings.max_length):
        run = run_trainer(model, rows, {"pairs": CosineSimilarityLoss(model)}, settings, progress)
    return TrainedEncoder(model, run, (), {"pairs": len(rows["pairs"])})


def train_adapt(
    pairs: CorpusPairs, model: SentenceTransformer, settings: TrainingSettings, progress: Progress
) -> TrainedEncoder:
    """Train on the pairs of a corpus without labels, then average with the base by the score on dev."""
    guide = load_model(settings.guide or settings.base, settings.device)
    base = copy_weights(model)
    _check_dimensions(settings, int(model.get_embedding_dimension() or 0))
    rows = {name: part for name, part in _build_rows(pairs).items() if len(part)}
    claim_work_folder(settings, rows)
    with limit_length((model, guide), settings.max_length):
        rows = _mine_negatives(rows, guide, settings, progress)
        if not settings.dropout:
            disable_dropout(model)
        torch.manual_seed(settings.seed)  # adapters start at random
        if settings.lora:
            add_adapters(model, settings.lora)
        ranking = build_ranking_loss(model, guide, settings)
        losses = {name: CoSENTLoss(model) if name == "mesh" else ranking for name in rows}
        run = run_trainer(model, rows, losses, settings, progress)
        if settings.lora:
            merge_adapters(model)
    averages = _average(model, base, pairs.dev, settings, progress)
    return TrainedEncoder(model, run, averages, {name: len(part) for name, part in rows.items()})


def train_distill(
    pairs: CorpusPairs, model: SentenceTransformer, settings: TrainingSettings, progress: Progress
) -> TrainedEncoder:
    """Move the vectors of a corpus's titles and bodies to those of a teacher, then average by the score on dev.

    Raises:
        UsageError: no teacher is given, or it has another dimension and no projection is wanted.
    """
    if settings.teacher is None:
        raise UsageError("the method distill needs an encoder to learn from: --teacher FOLDER")
    teacher = load_model(settings.teacher, settings.device)
    base = copy_weights(model)
    small, large = (int(encoder.get_embedding_dimension() or 0) for encoder in (model, teacher))
    if small != large and not settings.project:
        raise UsageError(
            f"the teacher {settings.teacher} has {large} dimensions, the base {small}: expected the same. "
            "Choose another teacher, or learn a projection between them: --project"
        )
    texts = [text for pair in (*pairs.titles, *pairs.conclusions) for text in pair]
    rows = Dataset.from_dict({"sentence": list(dict.fromkeys(texts))})
    claim_work_folder(settings, {"texts": rows})
    labels = _encode_with_teacher(rows, teacher, settings, progress)
    labelled = Dataset.from_dict({"sentence": rows["sentence"], "label": labels})
    if not settings.dropout:
        disable_dropout(model)
    torch.manual_seed(settings.seed)  # a projection starts at random
    loss = EmbedDistillLoss(model, projection_dim=large if small != large else None)
    with limit_length((model,), settings.max_length):
        run = run_trainer(model, {"texts": labelled}, {"texts": loss}, settings, progress)
    return TrainedEncoder(model, run, _average(model, base, pairs.dev, settings, progress), {"texts": len(rows)})


def _average(
    model: SentenceTransformer,
    base: Mapping[str, torch.Tensor],
    dev: Sequence[TextPair],
    settings: TrainingSettings,
    progress: Progress,
) -> tuple[WeightAverage, ...]:
    """Set a trained model to its best average with the base, reporting the score of each."""

    def score(candidate: SentenceTransformer) -> float:
        value = score_dev(candidate, dev, bool(settings.mixed))
        progress(f"averaging with the base, dev nDCG@10 {value:.4f}", 0, None)
        return value

    return set_best_average(model, base, settings.alphas, score)


def _check_dimensions(settings: TrainingSettings, full: int) -> None:
    """Check the shorter dimensions to be trained.

    Raises:
        UsageError: one is not between 1 and the model's own.
    """
    if odd := [dim for dim in settings.matryoshka if not 0 < dim <= full]:
        raise UsageError(f"--matryoshka names {odd[0]} dimensions, the base has {full}: expected from 1 to {full}")


def _build_rows(pairs: CorpusPairs) -> dict[str, Dataset]:
    """Return the pairs as data sets of the trainer, by name."""
    return {
        "titles": _build_pair_rows(pairs.titles),
        "conclusions": _build_pair_rows(pairs.conclusions),
        "mesh": Dataset.from_dict(
            {
                "sentence1": [pair.one for pair in pairs.mesh],
                "sentence2": [pair.other for pair in pairs.mesh],
                "score": [pair.grade for pair in pairs.mesh],
            }
        ),
    }


def _build_pair_rows(pairs: Sequence[TextPair]) -> Dataset:
    """Return pairs as the columns anchor and positive."""
    return Dataset.from_dict({"anchor": [anchor for anchor, _ in pairs], "positive": [other for _, other in pairs]})


def _mine_negatives(
    rows: Mapping[str, Dataset], guide: SentenceTransformer, settings: TrainingSettings, progress: Progress
) -> dict[str, Dataset]:
    """Return the data sets with hard negatives, mined once and kept beside the checkpoints.

    A data set stays as it is if no row has enough negatives.
    """
    folder = choose_work_folder(settings.output)
    mined = dict(rows)
    for name in [name for name in rows if name != "mesh" and settings.negatives]:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            progress(f"mining hard negatives for {name}", 0, None)
            with torch.autocast(guide.device.type, dtype=torch.bfloat16, enabled=bool(settings.mixed)):
                data = _add_negatives(rows[name], guide, settings.negatives, settings.margin) or rows[name]
            with write_path_whole(path, overwrite=True) as part:
                data.to_parquet(part)
        mined[name] = Dataset.from_parquet(str(path), cache_dir=str(folder / "cache"))
    return mined


def _add_negatives(rows: Dataset, guide: SentenceTransformer, n_negatives: int, margin: float) -> Dataset:
    """Return rows (anchor, positive, negative_1 …), with negatives that the guide finds less similar than the positive.

    margin is the share of the positive's similarity by which they are less similar. Rows with too few such negatives
    are left out. The order is kept. Few rows get fewer negatives each, a single one none.
    """
    n = min(n_negatives, len(rows) - 1)
    if n < 1:
        return rows
    return mine_hard_negatives(
        rows,
        guide,
        anchor_column_name="anchor",
        positive_column_name="positive",
        range_min=min(_SKIPPED, max(0, len(rows) - n - 1)),
        range_max=min(_NEAREST, len(rows)),
        relative_margin=margin,
        num_negatives=n,
        sampling_strategy="top",
        output_format="n-tuple",
        batch_size=32,
        verbose=False,
    )


def _encode_with_teacher(
    rows: Dataset, teacher: SentenceTransformer, settings: TrainingSettings, progress: Progress
) -> Vectors:
    """Return the teacher's vectors of the texts, float32 (n, teacher's dim), kept beside the checkpoints."""
    path = choose_work_folder(settings.output) / _TEACHER
    if not path.is_file():
        progress("encoding with the teacher", 0, None)
        with limit_length((teacher,), settings.max_length):
            encoded = encode_texts(teacher, rows["sentence"], bool(settings.mixed))
        with write_path_whole(path, overwrite=True) as part, part.open("xb") as file:
            np.save(file, encoded, allow_pickle=False)
    vectors: Vectors = np.load(path, allow_pickle=False)
    return vectors
