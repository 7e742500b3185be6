"""Averages of weights, and what dev says of them."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from engine.train.fit.averaging import _score_known_items, copy_weights, set_best_average
from tests.conftest import TOY_MODEL


def test_the_best_average_is_set_and_the_smallest_share_of_equals() -> None:
    model = SentenceTransformer(str(TOY_MODEL), device="cpu")
    base = copy_weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    name = next(name for name, tensor in base.items() if tensor.is_floating_point())

    def moved(one: SentenceTransformer) -> float:
        return float((one.state_dict()[name] - base[name]).mean())

    tried = set_best_average(model, base, (1.0, 0.5, 0.25), lambda one: -abs(moved(one) - 0.4))
    assert [one.alpha for one in tried] == [0.0, 0.25, 0.5, 1.0]
    assert moved(model) == pytest.approx(0.5, abs=1e-5)
    set_best_average(model, base, (1.0, 0.5), lambda one: 0.5)
    assert moved(model) == pytest.approx(0.25, abs=1e-5)  # half of what it was


def test_known_item_ndcg_by_hand() -> None:
    documents = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0, 0], [0.9, 0.1, 0], [0.5, 0.4, 0.3]], np.float32)
    assert _score_known_items(queries, documents) == pytest.approx([1, 1 / np.log2(3), 1 / np.log2(4)])
    same = np.ones((12, 2), np.float32)
    assert _score_known_items(same, same).tolist() == [0.0] * 12  # an encoder that gives all one vector finds nothing
