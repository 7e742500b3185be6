import json
from pathlib import Path

import pytest

from engine.encode.execution import onnx, threads
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.execution.threads import (
    _CACHE,
    ThreadLayout,
    _find_fastest_layout,
    _list_layouts,
    get_default_layout,
    measure_layout,
)
from engine.index.generations.folder import IndexFolder

DEFAULT, OTHER = ThreadLayout(2, 1, 1), ThreadLayout(1, 2, 8)


def test_the_default_runs_each_text_alone_and_texts_that_must_stay_alone_do() -> None:
    assert _list_layouts(2, alone=False)[0] == get_default_layout(2) == DEFAULT
    assert all(found.batch == 1 for found in _list_layouts(2, alone=True))
    assert len(_list_layouts(1, alone=True)) == 1  # on one core they are the same
    for found in _list_layouts(6, alone=False):
        assert found.workers * found.threads == 6


@pytest.mark.parametrize(("ratio", "wanted"), [(0.5, OTHER), (0.94, OTHER), (0.96, DEFAULT), (1.5, DEFAULT)])
def test_another_layout_must_be_clearly_faster(ratio: float, wanted: ThreadLayout) -> None:
    assert _find_fastest_layout(lambda tried: ratio if tried == OTHER else 1.0, [DEFAULT, OTHER]) == wanted


def test_one_slow_round_decides_nothing() -> None:
    times = {DEFAULT: iter([1.0, 9.0, 1.0]), OTHER: iter([2.0, 2.0, 0.1])}
    assert _find_fastest_layout(lambda tried: next(times[tried]), [DEFAULT, OTHER]) == DEFAULT


def test_a_measurement_is_made_once_for_each_encoder_and_library(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count_cores", lambda: 4)
    asked: list[ThreadLayout] = []

    def seconds(tried: ThreadLayout) -> float:
        asked.append(tried)
        return 0.1 if tried.batch == 8 else 1.0

    def measure(fingerprint: str, library: str) -> ThreadLayout:
        return measure_layout(seconds, fingerprint, library, alone=False)

    assert measure("f", "1.32") == measure("f", "1.32") == ThreadLayout(1, 4, 8)
    assert len(asked) == 3 * len(_list_layouts(4, alone=False))
    measure("f", "1.33")
    measure("g", "1.32")
    assert len(asked) == 9 * len(_list_layouts(4, alone=False))
    assert len(json.loads((cache / _CACHE).read_text())) == 3


@pytest.mark.parametrize("content", ["", "[]", "{", '{"k": 1}', '{"k": {"workers": "x"}}'])
def test_a_damaged_memory_is_no_memory(cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / _CACHE).write_text(content)
    assert measure_layout(lambda tried: 1.0, "f", "1", alone=True) == get_default_layout(threads.count_cores())
    assert json.loads((cache / _CACHE).read_text())


def test_where_nothing_can_be_kept_it_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / "file" / "within"))
    (tmp_path / "file").write_text("no folder")
    assert measure_layout(lambda tried: 1.0, "f", "1", alone=True) == get_default_layout(threads.count_cores())


def test_every_layout_gives_the_same_vectors(sample: IndexFolder) -> None:
    folder = next((sample.path / "encoders").iterdir())
    texts = ["knee pain", "", "gout " * 300, "\u200b", *(f"arthritis of the {n} joint " * n for n in range(1, 12))]
    wanted = OnnxEncoder(folder).encode(texts)
    for tried in (ThreadLayout(2, 1, 4), ThreadLayout(1, 2, 8), ThreadLayout(3, 1, 1), ThreadLayout(1, 2, 1)):
        found = OnnxEncoder(folder, tried).encode(texts)
        assert abs(found.vectors - wanted.vectors).max() < 1e-5, tried
        assert (found.n_tokens == wanted.n_tokens).all()


def test_an_encoder_settles_on_what_was_measured(sample: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = OnnxEncoder(next((sample.path / "encoders").iterdir()))
    texts = ["knee pain after running", "gout"]
    before = encoder.encode(texts).vectors
    monkeypatch.setattr(
        onnx, "measure_layout", lambda seconds, *_, alone: OTHER if seconds(OTHER) > 0 and not alone else None
    )
    onnx.choose_layout(encoder, texts)
    assert encoder.layout == OTHER
    assert abs(encoder.encode(texts).vectors - before).max() < 1e-5
