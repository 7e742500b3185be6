import json
from pathlib import Path

import numpy as np
import pytest

from engine.encode.execution.onnx import _SHORT, _TOGETHER, OnnxEncoder, _group_texts, load_session
from engine.encode.texts.tokens import Tokens
from engine.errors import EncoderError
from engine.index.generations.folder import IndexFolder
from tests.conftest import SAMPLE


def tokens(*lengths: int) -> Tokens:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(np.zeros(offsets[-1], np.int32), offsets, np.array(lengths, np.int64))


def test_short_texts_of_one_length_run_together() -> None:
    lengths = [5] * (_TOGETHER + 1) + [7, _SHORT + 1, _SHORT + 1, 7]
    groups = [group.tolist() for group in _group_texts(tokens(*lengths), 1, alone=False)]
    n = _TOGETHER + 1
    assert groups == [[n + 1], [n + 2], [n, n + 3], list(range(_TOGETHER)), [_TOGETHER]]


def test_a_damaged_graph_is_an_error_without_lines_of_the_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph = tmp_path / "encoder.onnx"
    for content in (b"", b"damaged", b"\x08\x07" * 50):
        graph.write_bytes(content)
        with pytest.raises(EncoderError, match="can't be loaded"):
            load_session(graph, 1)
    assert capfd.readouterr() == ("", "")


def test_alone_means_alone() -> None:
    assert [group.tolist() for group in _group_texts(tokens(5, 5, 3), 1, alone=True)] == [[0], [1], [2]]


def test_a_measured_batch_goes_by_length() -> None:
    assert [group.tolist() for group in _group_texts(tokens(3, 9, 5), 2, alone=False)] == [[1, 2], [0]]


@pytest.mark.parametrize("n", [40])
def test_a_text_gets_the_same_vector_alone_and_among_others(sample: IndexFolder, n: int) -> None:
    encoder = OnnxEncoder(next((sample.path / "encoders").iterdir()))
    rows = map(json.loads, (SAMPLE / "abstracts.jsonl").read_text(encoding="utf-8").splitlines())
    texts = [row["title"] for row in rows][:n] + ["gout", "lupus", "knee", "pain"]
    together = encoder.encode(texts).vectors
    assert np.array_equal(together, np.concatenate([encoder.encode([text]).vectors for text in texts]))
