"""Average the weights of a trained encoder with those of its base: the cheapest cure against forgetting.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (arXiv 2109.01903). How much of the training is kept is
decided on dev pairs: each title as a query for its body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from engine.records.encoder import Vectors
from engine.relevance.scoring.measures import measure_query, parse
from engine.train.fit.basemodel import encode_texts
from engine.train.pairs.corpuspairs import TextPair

_MEASURE = parse("nDCG@10")


@dataclass(frozen=True, slots=True)
class WeightAverage:
    """One share of the trained weights, and the score of the average on dev."""

    alpha: float
    score: float


def copy_weights(model: SentenceTransformer) -> dict[str, torch.Tensor]:
    """Copy the weights of a model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def set_best_average(
    model: SentenceTransformer,
    base: Mapping[str, torch.Tensor],
    alphas: Sequence[float],
    score: Callable[[SentenceTransformer], float],
) -> tuple[WeightAverage, ...]:
    """Set the model to (1 - alpha) base + alpha trained for the alpha that scores best; return all tried, in order.

    Of equal scores the smallest alpha wins: the nearest to the base. alpha 0 is the base itself and is tried first.
    """
    trained = copy_weights(model)
    averages = []
    for alpha in (0.0, *sorted(alphas)):
        _set_average(model, base, trained, alpha)
        averages.append(WeightAverage(alpha, score(model)))
    _set_average(model, base, trained, find_best(averages).alpha)
    return tuple(averages)


def find_best(averages: Sequence[WeightAverage]) -> WeightAverage:
    """Return the best average but the first, the base; of equal scores the one with the smallest alpha."""
    return max(averages[1:], key=lambda average: (average.score, -average.alpha))


def _set_average(
    model: SentenceTransformer, base: Mapping[str, torch.Tensor], trained: Mapping[str, torch.Tensor], alpha: float
) -> None:
    """Set the model's weights to (1 - alpha) base + alpha trained; tensors of integers are taken from trained."""
    model.load_state_dict(
        {
            name: torch.lerp(base[name], tensor, alpha) if tensor.is_floating_point() else tensor
            for name, tensor in trained.items()
        }
    )


def score_dev(model: SentenceTransformer, dev: Sequence[TextPair], mixed: bool) -> float:
    """Return the mean nDCG@10 in [0, 1] with the first of each pair as a query for the second; 0 without pairs."""
    if not dev:
        return 0.0
    queries, documents = (encode_texts(model, texts, mixed) for texts in zip(*dev, strict=True))
    return float(_score_known_items(queries, documents).mean())


def _score_known_items(queries: Vectors, documents: Vectors) -> NDArray[np.float64]:
    """Return nDCG@10 of each query, float64 (n,), where row i of documents is the one relevant to row i of queries.

    Documents with an equal score are ranked before the relevant one, so that an encoder that gives all texts one vector
    scores 0.
    """
    scores = queries @ documents.T
    ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)
    return np.array([measure_query(_MEASURE, [(int(rank), 1)], [1]) for rank in ranks])
