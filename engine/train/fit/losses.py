"""The loss of the method adapt: contrastive in both directions, guided, regularised, with cached gradients."""

from __future__ import annotations

from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedGISTEmbedLoss,
    GlobalOrthogonalRegularizationLoss,
    MatryoshkaLoss,
)
from torch import Tensor

from engine.train.fit.settings import TrainingSettings


class _GuidedRankingLoss(CachedGISTEmbedLoss):
    """In-batch negatives in both directions, without those that a frozen guide takes for positives.

    The mean of two losses, each a multiple negatives ranking loss (Henderson et al. 2017, arXiv 1705.00652) with cached
    gradients (Gao et al. 2021, arXiv 2101.06983): anchor to positives and negatives, and positive to anchors. A guide
    (GISTEmbed, Solatorio 2024, arXiv 2402.16829) removes probable false negatives. The global orthogonal regularisation
    (Zhang et al. 2017, arXiv 1708.06320) of anchors and of positives is added, which keeps the cosine of unrelated
    texts near 0.
    """

    def __init__(self, model: SentenceTransformer, guide: SentenceTransformer, settings: TrainingSettings) -> None:
        super().__init__(
            model,
            guide.eval().requires_grad_(False),
            temperature=settings.temperature,
            mini_batch_size=settings.mini_batch_size,
            margin_strategy="relative",
            margin=settings.margin,
            contrast_anchors=False,
            contrast_positives=False,
        )
        self.orthogonal = GlobalOrthogonalRegularizationLoss(model)
        self.orthogonal_weight = settings.orthogonal
        self.mixed = bool(settings.mixed)

    def embed_minibatch(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None, Any]:
        """Embed a part of a batch with the model and the guide: float32 (mini_batch_size, dim) each.

        The trainer does not know the guide, which would otherwise run outside of its mixed precision.
        """
        with torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=self.mixed):
            embedded, guided, state = super().embed_minibatch(*args, **kwargs)
        return embedded.float(), None if guided is None else guided.float(), state

    def calculate_loss(
        self, reps: list[list[Tensor]], reps_guided: list[list[Tensor]], *, with_backward: bool = False
    ) -> Tensor:
        """Return the mean of the two directions plus the weighted regularisation, over the parts of one batch."""
        forward = super().calculate_loss(reps, reps_guided)
        backward = super().calculate_loss(reps[1::-1], reps_guided[1::-1])
        spread = self.orthogonal.compute_loss_from_embeddings([torch.cat(column) for column in reps[:2]])
        loss = (forward + backward) / 2 + self.orthogonal_weight * sum(spread.values())
        if with_backward:
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """Return the parameters of the loss for the model card."""
        return {
            "directions": "anchor to positive, positive to anchor",
            "temperature": self.temperature,
            "mini_batch_size": self.mini_batch_size,
            "guide": "frozen encoder",
            "margin_strategy": self.margin_strategy,
            "margin": self.margin,
            "orthogonal_weight": self.orthogonal_weight,
        }


def build_ranking_loss(
    model: SentenceTransformer, guide: SentenceTransformer, settings: TrainingSettings
) -> torch.nn.Module:
    """Return the loss for pairs, over several dimensions if the settings name some."""
    loss = _GuidedRankingLoss(model, guide, settings)
    if not settings.matryoshka:
        return loss
    full = int(model.get_embedding_dimension() or 0)
    return MatryoshkaLoss(model, loss, sorted({full, *settings.matryoshka}, reverse=True))
