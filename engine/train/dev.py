"""How well an encoder in training finds known items of the dev pairs: each body by its title."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from engine.records import Vectors
from engine.train.corpuspairs import Pair

CUTOFF = 10


def score(model: SentenceTransformer, dev: Sequence[Pair], mixed: bool) -> float:
    """Mean nDCG@10 in [0, 1] of the first of each pair as a query for the second; 0 when there are none."""
    if not dev:
        return 0.0
    queries, documents = (vectors(model, texts, mixed) for texts in zip(*dev, strict=True))
    return float(known_item_ndcg(queries, documents).mean())


def known_item_ndcg(queries: Vectors, documents: Vectors) -> NDArray[np.float64]:
    """Give nDCG@10 of each query, float64 (n,), where row i of documents is the one that row i of queries is to find.

    1 / log2(rank + 1) down to rank 10, else 0; documents with an equal score count as ranked before it.
    """
    scores = queries @ documents.T
    ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)
    return np.where(ranks <= CUTOFF, 1.0 / np.log2(ranks + 1.0), 0.0)


def vectors(model: SentenceTransformer, texts: Sequence[str], mixed: bool) -> Vectors:
    """Encode texts in the order given: float32 (n, dim), unit length."""
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed):
        found = model.encode(list(texts), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False)
    made: Vectors = found.float().cpu().numpy()
    return made
