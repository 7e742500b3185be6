"""The encoder for GPUs, run on a CPU with the same code; what needs CUDA is skipped without it."""

import json
import logging
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from safetensors.torch import load_file, save_file  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

from engine.encode.cuda import TUNE_AFTER, CudaEncoder, open_cuda  # noqa: E402
from engine.encode.encoder import Encoder  # noqa: E402
from engine.encode.model import identify  # noqa: E402
from engine.encode.packed import PackedBert  # noqa: E402
from engine.encode.padded import PaddedModel  # noqa: E402
from engine.encode.probes import PROBES, TOKEN_PROBES  # noqa: E402
from engine.encode.tokens import TextTokenizer  # noqa: E402
from engine.errors import EncoderError  # noqa: E402
from tests.conftest import TOY, TOY_MODEL  # noqa: E402

ROWS = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
TEXTS = [*TOKEN_PROBES, *(row["title"] for row in ROWS), *(f"{row['title']}. {row['abstract']}" * 9 for row in ROWS)]
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def toy_encoder(half: Any = None, folder: Path = TOY_MODEL) -> CudaEncoder:
    return CudaEncoder(folder, identify(folder, "toy"), "cpu", half)


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    return SentenceTransformer(str(TOY_MODEL), device="cpu").encode(TEXTS, normalize_embeddings=True)


class Small:
    """A forward with memory for so many tokens only."""

    def __init__(self, forward: Any, room: int, rounded: int | None = None) -> None:
        self.forward, self.room, self.rounded = forward, room, rounded
        self.tried: list[int] = []

    def __call__(self, ids: Any, position_ids: Any, cu: Any, longest: int) -> Any:
        self.tried.append(len(ids))
        if len(ids) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.forward(ids, position_ids, cu, longest)


def test_vectors_are_those_of_sentence_transformers_in_the_order_given(wanted: np.ndarray) -> None:
    encoder: Encoder = toy_encoder()
    encoded = encoder.encode(TEXTS)
    assert np.abs(encoded.vectors - wanted).max() < 1e-5
    assert encoded.vectors.dtype == np.float32
    assert np.array_equal(encoded.n_tokens, TextTokenizer(TOY_MODEL / "tokenizer.json", 64).tokenise(TEXTS).n_tokens)
    assert (encoder.page, encoder.ahead) == (8192, 2)
    assert encoder.identity == identify(TOY_MODEL, "toy")


def test_no_texts_give_no_vectors() -> None:
    assert toy_encoder().encode([]).vectors.shape == (0, 32)


def test_many_small_packs_give_the_same(wanted: np.ndarray) -> None:
    encoder = toy_encoder()
    encoder.budget = 130
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5


def test_calls_from_many_threads_do_not_mix(wanted: np.ndarray) -> None:
    encoder = toy_encoder()
    inside: list[int] = []
    most: list[int] = []

    def watched(*sent: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return encoder.strategy(*sent)

    encoder.forward = watched
    with ThreadPoolExecutor(6) as pool:
        orders = [np.random.default_rng(i).permutation(len(TEXTS)) for i in range(24)]
        found = list(pool.map(lambda order: encoder.encode([TEXTS[i] for i in order]).vectors, orders))
    for order, vectors in zip(orders, found, strict=True):
        assert np.abs(vectors - wanted[order]).max() < 1e-5
    assert max(most) == 1  # one at a time has the device


def test_one_call_tokenises_while_another_has_the_device() -> None:
    encoder, tokenised = toy_encoder(), Event()
    tokenizer = encoder.tokenizer

    class Watched:
        def tokenise(self, texts: Any) -> Any:
            found = tokenizer.tokenise(texts)
            tokenised.set()
            return found

    encoder.tokenizer = Watched()
    with ThreadPoolExecutor(1) as pool:
        with encoder.lock:
            call = pool.submit(encoder.encode, TEXTS)
            assert tokenised.wait(30)
            assert not call.done()
        assert call.result().vectors.shape == (len(TEXTS), 32)


def test_out_of_memory_halves_the_packs(wanted: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    encoder = toy_encoder()
    small = Small(encoder.strategy, room=700)
    encoder.strategy = encoder.forward = small
    encoder.budget = 2000
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5
    assert encoder.budget == 500
    assert "cpu ran out of memory: packs of 1000 tokens from now on, not 2000" in caplog.text
    assert "packs of 500 tokens from now on, not 1000" in caplog.text
    caplog.clear()
    small.tried.clear()
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5  # the lower budget stays
    assert max(small.tried) <= 500
    assert not caplog.text


def test_what_was_encoded_before_the_memory_ran_out_is_not_done_again(wanted: np.ndarray) -> None:
    encoder = toy_encoder()
    failing = Small(encoder.strategy, room=10**6)

    def once(*sent: Any) -> Any:
        if len(failing.tried) == 4:
            failing.tried.append(0)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return failing(*sent)

    encoder.forward = once
    encoder.budget = 500
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5
    assert encoder.forward is encoder.strategy
    total = int(TextTokenizer(TOY_MODEL / "tokenizer.json", 64).tokenise(TEXTS).offsets[-1])
    assert sum(failing.tried) < total  # the rest went to the plain forward, in smaller packs


def test_too_little_memory_for_two_texts_is_an_error() -> None:
    encoder = toy_encoder()
    encoder.strategy = encoder.forward = Small(encoder.strategy, room=10)
    encoder.budget = 500
    with pytest.raises(EncoderError, match=r"cpu has too little memory for toy.*128 at least.*--device cpu"):
        encoder.encode(TEXTS)
    assert not encoder.lock.locked()


def test_what_half_precision_spoils_is_encoded_in_full(wanted: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    encoder = toy_encoder(torch.float16)
    half = encoder.strategy

    class Spoiling:
        rounded = None

        def __call__(self, ids: Any, position_ids: Any, cu: Any, longest: int) -> Any:
            found = half(ids, position_ids, cu, longest)
            found[1] = float("nan")
            found[-1, 3] = float("inf")
            return found

    encoder.strategy = encoder.forward = Spoiling()
    vectors = encoder.encode(TEXTS).vectors
    exact = np.abs(vectors - wanted).max(axis=1) < 1e-6
    assert exact.sum() == 2
    assert np.abs(vectors - wanted).max() < 1e-2
    assert "2 vectors were not finite on cpu: encoded again in fp32" in caplog.text


def test_what_no_precision_can_encode_is_returned_as_it_is() -> None:
    encoder = toy_encoder()

    def broken(*sent: Any) -> Any:
        return encoder.strategy(*sent) * float("nan")

    encoder.forward = encoder.exact = broken
    assert np.isnan(encoder.encode(TEXTS).vectors).all()


def test_half_precision_is_used_where_it_is_good_enough(wanted: np.ndarray) -> None:
    encoder = toy_encoder(torch.float16)
    assert encoder.strategy.words.dtype is torch.float16  # type: ignore[attr-defined]
    assert (encoder.encode(TEXTS).vectors * wanted).sum(axis=1).min() >= 0.9999


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the toy model with other settings, or with weights multiplied."""

    def make(settings: dict[str, Any], factors: dict[str, float]) -> Path:
        folder = Path(shutil.copytree(TOY_MODEL, tmp_path / "model"))
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | settings))
        weights = load_file(folder / "model.safetensors")
        for name in weights:
            for part, factor in factors.items():
                if part in name:
                    weights[name] = weights[name] * factor
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


def test_a_model_that_overflows_half_precision_runs_in_full(
    changed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = changed({}, {"embeddings.word_embeddings": 1e6})
    encoder = toy_encoder(torch.float16, folder)
    assert "toy can't run packed in float16 on cpu: its vectors differ" in caplog.text
    assert "toy runs packed in float32 on cpu" in caplog.text
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    assert np.abs(encoder.encode(TEXTS).vectors - theirs).max() < 1e-4


@pytest.mark.parametrize(("half", "cosine"), [(None, 0.999999), (torch.float16, 0.9999)])
def test_a_model_that_can_not_be_packed_is_padded(
    changed: Callable[..., Path], caplog: pytest.LogCaptureFixture, half: Any, cosine: float
) -> None:
    caplog.set_level(logging.INFO)
    folder = changed({"hidden_act": "gelu_new"}, {})
    encoder = toy_encoder(half, folder)
    assert isinstance(encoder.strategy, PaddedModel)
    assert "its hidden_act is gelu_new, not gelu" in caplog.text
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    small = Small(encoder.strategy, room=300, rounded=encoder.strategy.rounded)
    encoder.strategy = encoder.forward = small
    encoder.budget = 1024
    assert (encoder.encode(TEXTS).vectors * theirs).sum(axis=1).min() >= cosine
    assert encoder.budget < 1024  # its memory ran out too


def test_a_kernel_that_fails_on_the_first_try_means_padding(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wanted: np.ndarray
) -> None:
    def missing(*args: Any) -> Any:
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr("engine.encode.strategy.per_text", missing)
    encoder = toy_encoder()
    assert isinstance(encoder.strategy, PaddedModel)
    assert "toy can't run packed in float32 on cpu: no kernel image" in caplog.text
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5


def test_a_tuned_forward_that_fails_later_is_dropped(wanted: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    encoder = toy_encoder()

    def failing(*sent: Any) -> Any:
        raise RuntimeError("recompilation failed")

    encoder.forward = failing
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5
    assert "the tuned forward failed on cpu (recompilation failed)" in caplog.text
    encoder.forward = encoder.strategy = Small(failing, room=10**6)
    with pytest.raises(EncoderError, match=r"toy failed on cpu: recompilation failed. Try --device cpu"):
        encoder.encode(TEXTS)


def test_tuning_waits_until_it_pays(monkeypatch: pytest.MonkeyPatch, wanted: np.ndarray) -> None:
    encoder = toy_encoder()
    seen: list[str] = []

    def no_candidates(*args: Any) -> list[Any]:
        seen.append("tuned")
        return []

    monkeypatch.setattr("engine.encode.cuda.candidates", no_candidates)
    encoder.untuned, encoder.budget = True, 512
    encoder.encode(TEXTS)
    assert not seen
    encoder.n_done = TUNE_AFTER
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5
    encoder.encode(TEXTS)
    assert seen == ["tuned"]


def test_no_room_for_tuning_is_no_error(wanted: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    encoder = toy_encoder()
    encoder.strategy = encoder.forward = Small(encoder.strategy, room=700)
    encoder.untuned, encoder.n_done, encoder.budget = True, TUNE_AFTER, 2000
    assert np.abs(encoder.encode(TEXTS).vectors - wanted).max() < 1e-5
    assert "cpu has no room for measuring" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_gpu_is_said() -> None:
    with pytest.raises(EncoderError, match=r"no CUDA device is available here. Use --device cpu"):
        open_cuda(TOY_MODEL, identify(TOY_MODEL, "toy"))


def test_weights_saved_in_half_precision_are_loaded_in_full(changed: Callable[..., Path]) -> None:
    folder = changed({"dtype": "float16"}, {})
    assert {p.dtype for p in toy_encoder(folder=folder).exact.parameters()} == {torch.float32}  # type: ignore[attr-defined]


@NO_CUDA
def test_half_precision_on_a_gpu_gives_the_vectors_of_fp32(model_folder: Path) -> None:
    encoder = CudaEncoder(model_folder, identify(model_folder, "minilm"), "cuda")
    assert isinstance(encoder.strategy, PackedBert)
    reference = SentenceTransformer(str(model_folder), device="cpu")
    theirs = reference.encode(TEXTS, normalize_embeddings=True)
    for budget in (encoder.budget, 512):
        encoder.budget = budget
        assert (encoder.encode(TEXTS).vectors * theirs).sum(axis=1).min() >= 0.9999


@NO_CUDA
def test_tuning_on_a_gpu_keeps_the_vectors(model_folder: Path) -> None:
    encoder = CudaEncoder(model_folder, identify(model_folder, "minilm"), "cuda")
    before = encoder.encode(TEXTS * 40).vectors
    encoder.n_done = TUNE_AFTER
    after = encoder.encode(TEXTS * 40).vectors
    assert not encoder.untuned
    assert (before * after).sum(axis=1).min() >= 0.9999
    assert np.array_equal(after, encoder.encode(TEXTS * 40).vectors)


@NO_CUDA
def test_a_full_gpu_halves_the_packs(model_folder: Path) -> None:
    encoder = CudaEncoder(model_folder, identify(model_folder, "minilm"), "cuda")
    before = encoder.encode(PROBES * 200).vectors
    encoder.budget = 1 << 40
    free, total = torch.cuda.mem_get_info()
    used = torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction((used + 64e6) / total)
    try:
        encoder.link.release()
        after = encoder.encode(PROBES * 2000).vectors[: len(before)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert encoder.budget < 1 << 40
    assert (before * after).sum(axis=1).min() >= 0.9999
