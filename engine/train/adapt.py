"""The recipe adapt: make an encoder better on a corpus without labels, from what its own records say twice."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CoSENTLoss

from engine.errors import UsageError
from engine.progress import Progress
from engine.train.averaging import best_average, kept_weights
from engine.train.base import load, mixed_for, shorten, without_dropout
from engine.train.corpuspairs import CorpusPairs
from engine.train.dev import score
from engine.train.fit import claim, fit, without_bars, work_folder
from engine.train.losses import ranking_loss
from engine.train.lowrank import merge_adapters, with_adapters
from engine.train.mining import with_negatives
from engine.train.settings import Settings
from engine.train.tuned import Tuned


def adapt(pairs: CorpusPairs, settings: Settings, device: str, progress: Progress) -> Tuned:
    """Train on the pairs of a corpus, then average with the base as dev says."""
    mixed = mixed_for(settings, device)
    model, guide = load(settings.base, device), load(settings.guide or settings.base, device)
    base, reads = kept_weights(model), model.max_seq_length
    check_dimensions(settings, int(model.get_embedding_dimension() or 0))
    rows = {name: found for name, found in rows_of(pairs).items() if len(found)}
    claim(work_folder(settings.output), settings, rows)
    shorten((model, guide), settings.max_length)
    rows = mined(rows, guide, settings, mixed, progress)
    if not settings.dropout:
        without_dropout(model)
    torch.manual_seed(settings.seed)  # adapters begin at random
    if settings.lora:
        with_adapters(model, settings.lora)
    ranking = ranking_loss(model, guide, settings, mixed)
    losses = {name: CoSENTLoss(model) if name == "mesh" else ranking for name in rows}
    trained = fit(model, rows, losses, settings, progress)
    if settings.lora:
        merge_adapters(model)
    model.max_seq_length = reads
    tried = best_average(model, base, settings.alphas, lambda one: told(score(one, pairs.dev, mixed), progress))
    return Tuned(model, trained, tried, {name: len(found) for name, found in rows.items()})


def check_dimensions(settings: Settings, full: int) -> None:
    """Check the shorter dimensions that are to be trained.

    Raises:
        UsageError: one is not between 1 and the model's own.
    """
    if odd := [dim for dim in settings.matryoshka if not 0 < dim <= full]:
        raise UsageError(f"--matryoshka names {odd[0]} dimensions, the base has {full}: expected from 1 to {full}")


def told(value: float, progress: Progress) -> float:
    """The same value, after a word to the caller."""
    progress(f"averaging with the base, dev nDCG@10 {value:.4f}", 0, None)
    return value


def rows_of(pairs: CorpusPairs) -> dict[str, Dataset]:
    """The pairs as the trainer's data sets, by name."""
    return {
        "titles": two_columns(pairs.titles),
        "conclusions": two_columns(pairs.conclusions),
        "mesh": Dataset.from_dict(
            {
                "sentence1": [one.one for one in pairs.mesh],
                "sentence2": [one.other for one in pairs.mesh],
                "score": [one.grade for one in pairs.mesh],
            }
        ),
    }


def two_columns(pairs: tuple[tuple[str, str], ...]) -> Dataset:
    """Columns anchor and positive."""
    return Dataset.from_dict({"anchor": [one for one, _ in pairs], "positive": [other for _, other in pairs]})


def mined(
    rows: Mapping[str, Dataset], guide: SentenceTransformer, settings: Settings, mixed: bool, progress: Progress
) -> dict[str, Dataset]:
    """The data sets with hard negatives, mined once and kept beside the checkpoints; without, where no row has any."""
    found = dict(rows)
    for name in [name for name in rows if name != "mesh" and settings.negatives]:
        path = work_folder(settings.output) / f"{name}.parquet"
        if not path.is_file():
            progress(f"mining hard negatives for {name}", 0, None)
            with without_bars(), torch.autocast(guide.device.type, dtype=torch.bfloat16, enabled=mixed):
                made = with_negatives(rows[name], guide, settings.negatives, settings.margin) or rows[name]
            made.to_parquet(path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        found[name] = Dataset.from_parquet(str(path), cache_dir=str(work_folder(settings.output) / "cache"))
    return found
