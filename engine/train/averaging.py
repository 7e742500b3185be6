"""Average the weights of a tuned encoder with those of its base: the cheapest cure against forgetting.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (arXiv 2109.01903).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from sentence_transformers import SentenceTransformer

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Tried:
    """One share of the tuned weights, and what the average scored on dev."""

    alpha: float
    score: float


def kept_weights(model: SentenceTransformer) -> dict[str, torch.Tensor]:
    """A copy of the weights."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def best_average(
    model: SentenceTransformer,
    base: Weights,
    alphas: Sequence[float],
    score: Callable[[SentenceTransformer], float],
) -> tuple[Tried, ...]:
    """Set the model to (1 - alpha) base + alpha tuned for the alpha that scores best; all that were tried, in order.

    Of equal scores the smallest alpha wins: the nearest to the base. alpha 0 is the base itself and is tried first.
    """
    tuned = kept_weights(model)
    tried = []
    for alpha in (0.0, *sorted(alphas)):
        set_average(model, base, tuned, alpha)
        tried.append(Tried(alpha, score(model)))
    best = max(tried[1:], key=lambda one: (one.score, -one.alpha))
    set_average(model, base, tuned, best.alpha)
    return tuple(tried)


def set_average(model: SentenceTransformer, base: Weights, tuned: Weights, alpha: float) -> None:
    """Set the model's weights to (1 - alpha) base + alpha tuned; what is no float is taken from tuned."""
    model.load_state_dict(
        {
            name: torch.lerp(base[name], tensor, alpha) if tensor.is_floating_point() else tensor
            for name, tensor in tuned.items()
        }
    )
