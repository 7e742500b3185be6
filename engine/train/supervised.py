"""The recipes seed and distill: a text's vector is moved to where a label says."""

from __future__ import annotations

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CosineSimilarityLoss, EmbedDistillLoss

from engine.encode.recipe import cleaned
from engine.errors import UsageError
from engine.progress import Progress
from engine.records import Vectors
from engine.train.averaging import best_average, kept_weights
from engine.train.base import load, mixed_for, shorten, without_dropout
from engine.train.corpuspairs import CorpusPairs
from engine.train.dev import score, vectors
from engine.train.fit import claim, fit, work_folder
from engine.train.pairs import PairTable
from engine.train.settings import Settings
from engine.train.tuned import Tuned

TEACHER = "teacher.npy"


def seed(table: PairTable, settings: Settings, device: str, progress: Progress) -> Tuned:
    """Move the cosine of each pair towards its label: mean squared error, as the seed's card says.

    Raises:
        UsageError: the table has no labels, or another number of columns than two.
    """
    if table.labels is None or len(table.columns) != 2:
        raise UsageError(f"{table.name}: expected two columns of text and a label, found {', '.join(table.columns)}")
    names = ("sentence_0", "sentence_1")
    columns = {name: [cleaned(text) for text in texts] for name, texts in zip(names, table.texts, strict=True)}
    rows = {"pairs": Dataset.from_dict(columns | {"label": table.labels.tolist()})}
    model = load(settings.base, device)
    reads = model.max_seq_length
    claim(work_folder(settings.output), settings, rows)
    shorten((model,), settings.max_length)
    trained = fit(model, rows, {"pairs": CosineSimilarityLoss(model)}, settings, progress)
    model.max_seq_length = reads
    return Tuned(model, trained, (), {"pairs": len(rows["pairs"])})


def distill(pairs: CorpusPairs, settings: Settings, device: str, progress: Progress) -> Tuned:
    """Move the vectors of a corpus's titles and bodies to where a teacher has them, then average as dev says.

    Raises:
        UsageError: no teacher is named, or it has another dimension and no projection is wanted.
    """
    if settings.teacher is None:
        raise UsageError("the recipe distill needs an encoder to learn from: --teacher FOLDER")
    mixed = mixed_for(settings, device)
    model, teacher = load(settings.base, device), load(settings.teacher, device)
    base, reads = kept_weights(model), model.max_seq_length
    small, large = (int(one.get_embedding_dimension() or 0) for one in (model, teacher))
    if small != large and not settings.project:
        raise UsageError(
            f"the teacher {settings.teacher} has {large} dimensions, the base {small}: expected the same. "
            "Choose another teacher, or have a projection learnt between them: --project"
        )
    texts = [text for pair in (*pairs.titles, *pairs.conclusions) for text in pair]
    rows = Dataset.from_dict({"sentence": list(dict.fromkeys(texts))})
    claim(work_folder(settings.output), settings, {"texts": rows})
    labelled = Dataset.from_dict(
        {"sentence": rows["sentence"], "label": taught(rows, teacher, settings, mixed, progress)}
    )
    shorten((model,), settings.max_length)
    if not settings.dropout:
        without_dropout(model)
    torch.manual_seed(settings.seed)  # a projection begins at random
    loss = EmbedDistillLoss(model, projection_dim=large if small != large else None)
    trained = fit(model, {"texts": labelled}, {"texts": loss}, settings, progress)
    model.max_seq_length = reads
    tried = best_average(model, base, settings.alphas, lambda one: score(one, pairs.dev, mixed))
    return Tuned(model, trained, tried, {"texts": len(rows)})


def taught(rows: Dataset, teacher: SentenceTransformer, settings: Settings, mixed: bool, progress: Progress) -> Vectors:
    """The teacher's vectors of the texts, float32 (n, teacher's dim), kept beside the checkpoints."""
    path = work_folder(settings.output) / TEACHER
    if not path.is_file():
        progress("encoding with the teacher", 0, None)
        shorten((teacher,), settings.max_length)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, vectors(teacher, rows["sentence"], mixed), allow_pickle=False)
        part.rename(path)
    found: Vectors = np.load(path, allow_pickle=False)
    return found
