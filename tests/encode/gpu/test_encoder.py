"""The encoder for GPUs, run on a CPU with the same code; what needs CUDA is skipped without it."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from sentence_transformers import SentenceTransformer  # noqa: E402

from engine.encode.execution.encoder import Encoder  # noqa: E402
from engine.encode.gpu.encoder import _GpuEncoder, open_gpu_encoder  # noqa: E402
from engine.encode.gpu.library import LibraryRunner  # noqa: E402
from engine.encode.models.model import identify  # noqa: E402
from engine.encode.original.packedmodel import PackedRunner  # noqa: E402
from engine.encode.texts.tokens import TextTokenizer  # noqa: E402
from engine.errors import EncoderError  # noqa: E402
from tests.conftest import TOY_MODEL  # noqa: E402

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def open_toy(dtype: Any = torch.float32, folder: Path = TOY_MODEL) -> _GpuEncoder:
    return _GpuEncoder(folder, identify(folder, "toy"), ["cpu"], dtype)


@pytest.fixture(autouse=True)
def decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packed model counts as faster: times are measured in the tests of the self-check."""
    monkeypatch.setattr("engine.encode.gpu.selfcheck._measure_seconds", lambda *given: (1.0, 2.0))


class Small:
    """A runner with memory for batches of so many."""

    def __init__(self, runner: Any, room: int, smallest: int = 1) -> None:
        self.runner, self.room, self.size, self.smallest = runner, room, 2000, smallest
        self.tried: list[int] = []

    def encode(self, texts: Any, tokens: Any) -> Any:
        self.tried.append(self.size)
        if self.size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.runner.encode(texts, tokens)

    def close(self) -> None: ...


class Failing:
    """A runner that fails in another way than by memory."""

    size = smallest = 1
    closed = False

    def encode(self, texts: Any, tokens: Any) -> Any:
        raise RuntimeError("an illegal memory access\nwas encountered")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("packed_s", "kind"), [(1.0, PackedRunner), (3.0, LibraryRunner)])
def test_vectors_are_those_of_sentence_transformers_either_way(
    texts: list[str], wanted: np.ndarray, packed_s: float, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.encode.gpu.selfcheck._measure_seconds", lambda *given: (packed_s, 2.0))
    encoder = open_toy()
    assert isinstance(encoder._runner, kind)
    as_encoder: Encoder = encoder
    encoded = as_encoder.encode(texts)
    assert np.abs(encoded.vectors - wanted).max() < 1e-5
    assert encoded.vectors.dtype == np.float32
    assert np.array_equal(encoded.n_tokens, TextTokenizer(TOY_MODEL / "tokenizer.json", 64).tokenise(texts).n_tokens)
    assert (encoder.page, encoder.ahead) == (8192, 2)
    assert encoder.identity == identify(TOY_MODEL, "toy")


def test_half_precision_keeps_the_identity_and_the_vectors(texts: list[str], wanted: np.ndarray) -> None:
    encoder = open_toy(torch.float16)
    assert encoder._runner._model.words.dtype is torch.float16  # type: ignore[attr-defined]
    assert (encoder.encode(texts).vectors * wanted).sum(axis=1).min() >= 0.9999
    assert encoder.identity.fingerprint == identify(TOY_MODEL, "toy").fingerprint


def test_no_texts_give_no_vectors() -> None:
    encoded = open_toy().encode([])
    assert (encoded.vectors.shape, encoded.n_tokens.shape) == ((0, 32), (0,))


def test_calls_from_many_threads_do_not_mix(texts: list[str], wanted: np.ndarray) -> None:
    encoder = open_toy()
    runner = encoder._runner
    inside: list[int] = []
    most: list[int] = []

    class Watched(Small):
        def encode(self, texts: Any, tokens: Any) -> Any:
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()
            return runner.encode(texts, tokens)

    encoder._runner = Watched(runner, 1)
    with ThreadPoolExecutor(6) as pool:
        orders = [np.random.default_rng(i).permutation(len(texts)) for i in range(12)]
        results = list(pool.map(lambda order: encoder.encode([texts[i] for i in order]).vectors, orders))
    for order, vectors in zip(orders, results, strict=True):
        assert np.abs(vectors - wanted[order]).max() < 1e-5
    assert max(most) == 1  # one at a time has the device


def test_one_call_tokenises_while_another_has_the_device(texts: list[str]) -> None:
    encoder, tokenised = open_toy(), Event()
    tokenizer = encoder._tokenizer

    class Watched:
        def tokenise(self, texts: Any) -> Any:
            tokens = tokenizer.tokenise(texts)
            tokenised.set()
            return tokens

    encoder._tokenizer = Watched()
    with ThreadPoolExecutor(1) as pool:
        with encoder._lock:
            call = pool.submit(encoder.encode, texts)
            assert tokenised.wait(30)
            assert not call.done()
        assert call.result().vectors.shape == (len(texts), 32)


def test_out_of_memory_halves_the_batches(
    texts: list[str], wanted: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = open_toy()
    encoder._runner = small = Small(encoder._runner, room=700)
    caplog.clear()
    assert np.abs(encoder.encode(texts).vectors - wanted).max() < 1e-5
    assert small.tried == [2000, 1000, 500]
    assert caplog.messages == [f"cpu ran out of memory: batches of {n} from now on" for n in (1000, 500)]
    encoder.encode(texts)
    assert small.tried[3:] == [500]  # the smaller size stays


def test_too_little_memory_is_an_error() -> None:
    encoder = open_toy()
    encoder._runner = encoder._library = small = Small(encoder._library, room=10, smallest=500)
    with pytest.raises(EncoderError, match=r"^toy failed on cpu: CUDA out of memory\. Use --device cpu$"):
        encoder.encode(["knee pain"])
    assert small.tried == [2000, 1000, 500]
    assert not encoder._lock.locked()


def test_a_packed_model_that_fails_later_is_replaced_by_the_library(
    texts: list[str], wanted: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = open_toy()
    encoder._runner = failing = Failing()
    caplog.clear()
    assert np.abs(encoder.encode(texts).vectors - wanted).max() < 1e-5
    assert encoder._runner is encoder._library
    assert failing.closed
    (line,) = caplog.messages
    assert line.startswith("the packed model failed (an illegal memory access")


def test_a_library_that_fails_is_an_error() -> None:
    encoder = open_toy()
    encoder._runner = encoder._library = Failing()
    with pytest.raises(EncoderError, match=r"^toy failed on cpu: an illegal memory access\. Use --device cpu$"):
        encoder.encode(["knee pain"])


def test_what_half_precision_spoils_is_encoded_in_full(
    texts: list[str], wanted: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = open_toy(torch.float16)
    half = encoder._runner

    class Spoiling(Small):
        def encode(self, texts: Any, tokens: Any) -> Any:
            vectors = half.encode(texts, tokens)
            vectors[1] = float("nan")
            vectors[-1, 3] = float("inf")
            return vectors

    encoder._runner = Spoiling(half, 1)
    caplog.clear()
    vectors = encoder.encode(texts).vectors
    exact = np.abs(vectors - wanted).max(axis=1) < 1e-6
    assert list(np.flatnonzero(exact)) == [1, len(texts) - 1]
    assert np.abs(vectors - wanted).max() < 1e-2
    assert caplog.messages == ["2 vectors were not finite: encoding these texts again in fp32"]


def test_what_no_precision_can_encode_is_returned_as_it_is() -> None:
    encoder = open_toy()

    class Broken(Small):
        def encode(self, texts: Any, tokens: Any) -> Any:
            return np.full((len(texts), 32), np.nan, np.float32)

    encoder._runner = encoder._exact = Broken(None, 1)
    assert np.isnan(encoder.encode(["knee", "pain"]).vectors).all()


def test_a_model_that_can_not_be_packed_runs_by_the_library(
    changed: Callable[..., Path], caplog: pytest.LogCaptureFixture, texts: list[str]
) -> None:
    folder = changed({"hidden_act": "gelu_new"}, {})
    caplog.set_level(logging.INFO, "engine.encode.gpu")
    encoder = open_toy(folder=folder)
    assert isinstance(encoder._runner, LibraryRunner)
    assert caplog.messages == [
        "using sentence-transformers, not the packed model: its hidden_act is gelu_new, not gelu"
    ]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts, normalize_embeddings=True)
    assert np.abs(encoder.encode(texts).vectors - theirs).max() < 1e-5


def test_several_devices_have_the_librarys_pool(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    """The pool itself is tested with the library's runner; here it is replaced by what it is called with."""
    started: list[list[str]] = []

    def start(self: Any, devices: list[str]) -> None:
        started.append(devices)

    monkeypatch.setattr(SentenceTransformer, "start_multi_process_pool", start)
    encoder = _GpuEncoder(TOY_MODEL, identify(TOY_MODEL, "toy"), ["cpu", "cpu"], torch.float32)
    assert started == [["cpu", "cpu"]]
    assert isinstance(encoder._runner, LibraryRunner)
    assert encoder.page == 2 * 8192
    assert encoder.encode(texts[:3]).vectors.shape == (3, 32)


def test_close_closes_every_runner_once() -> None:
    encoder = open_toy()
    closed: list[Any] = []

    class Closing(Small):
        def close(self) -> None:
            closed.append(self)

    packed, library = Closing(None, 1), Closing(None, 1)
    encoder._runner, encoder._library, encoder._exact = packed, library, library
    encoder.close()
    encoder.close()
    assert closed == [packed, library]
    with pytest.raises(EncoderError, match=r"^the encoder toy was closed\. Open it again to encode more texts$"):
        encoder.encode(["knee pain"])


def test_weights_saved_in_half_precision_are_loaded_in_full(changed: Callable[..., Path]) -> None:
    encoder = open_toy(folder=changed({"dtype": "float16"}, {}))
    assert encoder._exact._model.dtype is torch.float32  # type: ignore[attr-defined]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(EncoderError, match=r"no CUDA device is available here. Use --device cpu"):
        open_gpu_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"))


@pytest.fixture
def on_gpu(model_folder: Path) -> Iterator[_GpuEncoder]:
    encoder = open_gpu_encoder(model_folder, identify(model_folder, "minilm"))
    yield encoder
    encoder.close()


@NO_CUDA
def test_a_gpu_gives_the_vectors_of_fp32(on_gpu: _GpuEncoder, model_folder: Path, texts: list[str]) -> None:
    theirs = SentenceTransformer(str(model_folder), device="cpu").encode(texts, normalize_embeddings=True)
    for runner in (on_gpu._runner, on_gpu._library, on_gpu._exact):
        on_gpu._runner = runner
        assert (on_gpu.encode(texts).vectors * theirs).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize("kind", ["prompt left out of pooling", "router"])
def test_other_kinds_have_the_vectors_of_documents(kind: str, texts: list[str], tmp_path: Path) -> None:
    from tests.encode.kinds import KINDS

    folder = tmp_path / "model"
    KINDS[kind](folder)
    identity = identify(folder, kind)
    encoder = _GpuEncoder(folder, identity, ["cpu"], torch.float32)
    theirs = SentenceTransformer(str(folder), device="cpu").encode_document(texts[:9], normalize_embeddings=True)
    found = encoder.encode(texts[:9])
    assert found.vectors.shape == (9, identity.dim)
    assert (found.vectors * theirs).sum(axis=1).min() >= 0.9999
    with pytest.raises(EncoderError, match="encodes documents only"):
        encoder.encode_queries(texts[:1])


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A Mac's GPU that is really the CPU; the list says on which device each model was loaded, and what was freed."""
    from engine.encode.original import transformer

    load, asked = transformer._load, []

    def load_on_cpu(folder: Path, layout: Any, device: str) -> SentenceTransformer:
        asked.append(device)
        return load(folder, layout, "cpu")

    monkeypatch.setattr(transformer, "_load", load_on_cpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: asked.append("freed"))
    return asked


def test_a_mac_encodes_on_its_gpu_with_the_vectors_of_the_cpu(apple: list[str], texts: list[str]) -> None:
    encoder = open_gpu_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "mps", exact=True)
    theirs = SentenceTransformer(str(TOY_MODEL), device="cpu").encode(texts, normalize_embeddings=True)
    done = encoder.encode(texts)
    assert (done.vectors * theirs).sum(axis=1).min() >= 0.9999
    assert done.made_by == "torch float32, sentence-transformers, on mps"
    encoder.close()
    assert apple == ["mps", "cpu", "freed"]


def test_a_mac_gets_smaller_batches_when_its_memory_is_full(apple: list[str], texts: list[str]) -> None:
    encoder = open_gpu_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "mps", exact=True)
    real, tried = encoder._library.encode, []

    def run_out(texts: Any, tokens: Any) -> Any:
        tried.append(encoder._library.size)
        if encoder._library.size > 64:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB)")
        return real(texts, tokens)

    encoder._library.encode = run_out  # type: ignore[method-assign]
    assert len(encoder.encode(texts).vectors) == len(texts)
    assert tried == [256, 128, 64] and apple.count("freed") == 2


def test_a_mac_whose_gpu_gives_other_vectors_is_refused(apple: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.encode.original.transformer import TransformerEncoder

    right = TransformerEncoder.encode_reference
    monkeypatch.setattr(
        TransformerEncoder, "encode_reference", lambda self, texts: right(self, texts)[:: -1 if apple[1:] else 1]
    )
    with pytest.raises(EncoderError, match=r"toy failed on mps: other vectors than on the CPU: .* Use --device cpu"):
        open_gpu_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "mps")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is a GPU of a Mac")
def test_a_missing_gpu_of_a_mac_is_an_error() -> None:
    with pytest.raises(EncoderError, match=r"no GPU of a Mac is available here \(device mps\). Use --device cpu"):
        open_gpu_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "mps")
