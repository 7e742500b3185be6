"""What is left, estimated from records drawn at random: it needs no ranking that is better than chance.

The bounds are a confidence sequence for drawing without replacement (Waudby-Smith and Ramdas, "Confidence sequences for
sampling without replacement", NeurIPS 2020). A number k of good records is ruled out once the draws are less likely
with it than `error` times what they are on average, where k weighs 1 / ((k + 1) (k + 2)). One may look after each
record: the chance that the true number is ever ruled out is at most the error.
"""

from __future__ import annotations

import math

import numpy as np

from engine.relevance.screening.hypergeometric import Hypergeometric


def estimate_left(n: int, n_drawn: int, n_found: int, error: float) -> tuple[int, int]:
    """Return the fewest and the most good records among those not drawn.

    n records were unread when the first was drawn, n_drawn of them were drawn one after another, and n_found of these
    were good. Whatever happens, the chance that the true number is ever outside the bounds is at most the error.
    """
    n_good = np.arange(n + 1)
    likely = Hypergeometric(n).compute_log_chance(n_found, n, n_good, n_drawn)
    thought = -np.log((n_good + 1.0) * (n_good + 2.0)) - math.log(1 - 1 / (n + 2))
    together = thought + likely
    highest = float(together.max())
    mean = highest + math.log(float(np.exp(together - highest).sum()))
    kept = n_good[likely > mean + math.log(error)]
    return int(kept[0]) - n_found, int(kept[-1]) - n_found
