"""The choice among ways to run the model, with fakes; and packs in fixed shapes."""

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from transformers import BertConfig, BertModel  # noqa: E402

from engine.encode.forward import Candidate, Fixed, candidates, constant_longest, fastest, full_pack  # noqa: E402
from engine.encode.link import CudaLink, HostLink  # noqa: E402
from engine.encode.packed import PackedBert, varlen  # noqa: E402
from engine.encode.packing import most_texts, packs  # noqa: E402
from engine.encode.tokens import Tokens  # noqa: E402

SENT = HostLink().send(full_pack(256, 64, 99))


class Fake:
    """A forward that takes a while and gives vectors of one kind."""

    def __init__(self, seconds: float = 0.0, sign: float = 1.0, fails: bool = False) -> None:
        self.seconds, self.sign, self.fails = seconds, sign, fails

    def __call__(self, ids: Any, position_ids: Any, cu: Any, longest: int) -> Any:
        if self.fails:
            raise RuntimeError("no kernel image is available")
        time.sleep(self.seconds)
        return torch.eye(len(cu) - 1, 8) * self.sign + 0.01


def chosen(*others: Fake, plain: Fake) -> Any:
    ways = [Candidate(f"way {i}", lambda other=other: other) for i, other in enumerate(others)]
    return fastest(plain, ways, SENT, lambda: None)


def test_the_fastest_is_chosen() -> None:
    plain, slow, fast, middling = Fake(0.01), Fake(0.03), Fake(0.0), Fake(0.005)
    assert chosen(slow, fast, middling, plain=plain) is fast
    assert chosen(slow, plain=plain) is plain
    assert chosen(plain=plain) is plain


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (Fake(fails=True), "no kernel image is available"),
        (Fake(sign=-1.0), "its vectors differ, cosine -0.9"),
        (Fake(sign=float("nan")), "its vectors differ, cosine nan"),
    ],
)
def test_a_candidate_that_fails_is_dropped_and_noted(bad: Fake, line: str, caplog: pytest.LogCaptureFixture) -> None:
    plain = Fake(0.005)
    assert chosen(bad, plain=plain) is plain
    assert line in caplog.text
    good = Fake()
    assert chosen(bad, good, plain=plain) is good


def test_a_candidate_that_can_not_be_made_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    def make() -> Any:
        raise ImportError

    plain = Fake()
    assert fastest(plain, [Candidate("unmade", make)], SENT, lambda: None) is plain
    assert "'unmade' is not used: ImportError()" in caplog.text


def test_the_device_is_waited_for_in_every_run() -> None:
    done: list[int] = []
    fastest(Fake(), [Candidate("other", Fake)], SENT, lambda: done.append(1))
    assert len(done) == 2 * 7


@pytest.fixture(scope="module")
def bert() -> BertModel:
    torch.manual_seed(3)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return BertModel(BertConfig(**shape, vocab_size=99, max_position_embeddings=64)).eval()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_fixed_shapes_give_the_vectors_of_the_plain_forward(bert: BertModel, pooling: str) -> None:
    model = PackedBert(bert, torch.float32, pooling)
    seen: list[int] = []

    def watched(ids: Any, position_ids: Any, cu: Any, longest: int) -> Any:
        seen.append(len(ids))
        assert len(cu) == most_texts(512) + 1
        return model(ids, position_ids, cu, longest)

    fixed = Fixed(watched, model, 512, 64, "cpu")
    for lengths in ([64] * 8, [40] * 7, [64, 60, 60, 60, 20], [10, 5], [9] * 50, [64] * 9):  # after a full one, less
        offsets = np.cumsum([0, *lengths])
        random = np.random.default_rng(len(lengths))
        ids = random.integers(0, 99, offsets[-1], dtype=np.int32)
        (pack,) = packs(Tokens(ids, offsets, np.array(lengths)), 10**5)
        sent = HostLink().send(pack)
        assert torch.allclose(fixed(*sent), model(*sent), atol=1e-6)
    assert seen == [512] * 3  # the others were too small, of too many texts, too large


def test_a_full_pack_fills_the_budget() -> None:
    for budget in (8192, 131_072):
        pack = full_pack(budget, 256, 1000)
        assert 0.98 * budget <= len(pack.ids) <= budget
        assert pack.ids.min() >= 0
        assert pack.ids.max() < 1000
        assert pack.longest <= 256


def test_the_longest_length_is_always_the_same() -> None:
    assert constant_longest(lambda *args: args[3], 256)(None, None, None, 7) == 256  # type: ignore[arg-type,return-value]


@pytest.mark.slow  # compiles
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_what_does_not_work_here_is_dropped_and_what_does_may_win(
    bert: BertModel, caplog: pytest.LogCaptureFixture
) -> None:
    """The real candidates on a CPU: no CUDA graphs, but torch.compile."""
    caplog.set_level(logging.INFO)
    model = PackedBert(bert, torch.float32, "mean")
    sent = HostLink().send(full_pack(512, 64, 99))
    with torch.inference_mode():
        forward = fastest(model, candidates(model, 512, 64, torch.device("cpu")), sent, lambda: None)
        assert torch.allclose(forward(*sent), model(*sent), atol=1e-5)
    assert "'graph' is not used" in caplog.text
    assert "forward 'compiled':" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_way_works_on_a_gpu(model_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = PackedBert(BertModel.from_pretrained(model_folder), torch.float16, "mean", varlen).to("cuda").eval()
    link = CudaLink("cuda")
    ways = candidates(model, 16_384, 256, link.device)
    with torch.inference_mode():
        forward = fastest(model, ways, link.send(full_pack(16_384, 256, 30_000)), link.finish)
        for budget in (16_384, 12_000, 1000):
            sent = link.send(full_pack(budget, 256, 30_000))
            assert torch.cosine_similarity(forward(*sent), model(*sent)).min() >= 0.9999
    assert "is not used" not in caplog.text
