"""Hard negatives for pairs: near in meaning, but surely not the positive."""

from __future__ import annotations

from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives

NEAREST = 50  # candidates a pair
SKIPPED = 3  # the very nearest are most often true positives that nobody marked


def with_negatives(rows: Dataset, guide: SentenceTransformer, n_negatives: int, margin: float) -> Dataset:
    """Rows (anchor, positive, negative_1 …): negatives that the guide finds less similar than the positive by a margin.

    margin is the share of the positive's similarity that must lie between. Rows for which there are not enough are left
    out. Order as given. Of few rows fewer negatives a row are mined, of a single one none.
    """
    n = min(n_negatives, len(rows) - 1)
    if n < 1:
        return rows
    return mine_hard_negatives(
        rows,
        guide,
        anchor_column_name="anchor",
        positive_column_name="positive",
        range_min=min(SKIPPED, max(0, len(rows) - n - 1)),
        range_max=min(NEAREST, len(rows)),
        relative_margin=margin,
        num_negatives=n,
        sampling_strategy="top",
        output_format="n-tuple",
        batch_size=32,
        verbose=False,
    )
