"""The ways to compute in bfloat16, against sentence-transformers. They are slow but right on any processor."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.encode.cpu import contestants
from engine.encode.cpu.contestants import list_contestants, list_half
from engine.encode.models.folder import read_identity
from engine.encode.models.model import identify
from engine.encode.texts.probes import CHECK_TEXTS, TOKEN_PROBES, find_difference
from engine.encode.texts.tokens import TextTokenizer, Tokens
from engine.errors import EncoderError
from tests.conftest import CURRENT, ROOT, TOY_MODEL

(EXPORTED,) = (CURRENT / "encoders").iterdir()
NAMES = ("OpenVINO bfloat16", "torch bfloat16")


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    texts = [text for text in (*CHECK_TEXTS, *TOKEN_PROBES) if text.strip("\u200b ")]
    return TextTokenizer(EXPORTED / "tokenizer.json", 64).tokenise(texts)


@pytest.fixture(scope="module")
def expected(tokens: Tokens) -> np.ndarray:
    from engine.encode.execution.onnx import OnnxEncoder

    return OnnxEncoder(EXPORTED).run(tokens)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_gives_the_vectors_of_fp32(name: str, tokens: Tokens, expected: np.ndarray) -> None:
    (contestant,) = (
        one for one in list_half(EXPORTED, read_identity(EXPORTED), lambda: TOY_MODEL, 2) if one.name == name
    )
    runner = contestant.open()
    found = runner.encode(tokens)
    assert found.dtype == np.float32 and np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert find_difference(found, expected, mean=0.99995) is None
    assert np.abs(found - expected).max() > 0  # it is not fp32
    shuffled = Tokens(tokens.get_row(3), np.array([0, len(tokens.get_row(3))]), tokens.n_tokens[3:4])
    assert float(runner.encode(shuffled)[0] @ found[3]) > 0.9999  # alone as in company
    runner.close()


def test_a_bert_of_another_kind_is_padded(tokens: Tokens, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch = pytest.importorskip("torch", reason="needs the [cpu] extra")
    from transformers import DistilBertConfig, DistilBertModel

    from engine.encode.cpu.torchrunner import open_torch_runner

    torch.manual_seed(0)
    shape = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "vocab_size": int(tokens.ids.max()) + 1}
    model = DistilBertModel(DistilBertConfig(**shape, max_position_embeddings=64)).eval()
    model.save_pretrained(tmp_path)
    caplog.set_level("INFO")
    found = open_torch_runner(tmp_path, read_identity(EXPORTED), 2).encode(tokens)
    assert "texts are padded: its model_type is distilbert, not bert" in caplog.text
    for i in (0, 5, len(tokens.n_tokens) - 1):
        ids = torch.from_numpy(tokens.get_row(i).astype(np.int64))[None]
        with torch.inference_mode():
            state = model(input_ids=ids).last_hidden_state[0].mean(0)
        assert float(torch.nn.functional.normalize(state, dim=0).numpy() @ found[i]) > 0.9995


def test_only_processors_that_compute_in_bfloat16_try_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def list_names(flags: set[str], precision: str = "fp32") -> list[str]:
        monkeypatch.setattr(contestants, "read_flags", lambda: frozenset(flags))
        monkeypatch.setattr(contestants, "read_library_version", lambda library: "1")
        identity = identify(TOY_MODEL, "toy", precision)
        return [one.name for one in list_contestants(EXPORTED, identity, lambda: TOY_MODEL, 2)]

    assert list_names({"avx2", "fma"}) == []
    for flag in ("amx_bf16", "avx512_bf16", "bf16"):
        assert list_names({"avx2", flag}) == list(NAMES)
    assert list_names({"amx_bf16"}, "int8") == []
    monkeypatch.setattr(contestants, "read_library_version", lambda library: None)
    assert list_contestants(EXPORTED, identify(TOY_MODEL, "toy"), lambda: TOY_MODEL, 2) == []


def test_a_missing_model_is_reported_before_torch_is_imported() -> None:
    def find() -> Path:
        raise EncoderError("the model is gone")

    (_, torch) = list_half(EXPORTED, read_identity(EXPORTED), find, 2)
    with pytest.raises(EncoderError, match="the model is gone"):
        torch.open()


def test_openvino_reports_nothing_home() -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*given, **named): print('CONNECTED'); raise OSError\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\n"
        "from engine.encode.cpu.contestants import list_half\n"
        "from engine.encode.models.folder import read_identity\n"
        "from engine.encode.texts.tokens import TextTokenizer\n"
        "folder = Path(sys.argv[1])\n"
        "runner = list_half(folder, read_identity(folder), None, 1)[0].open()\n"
        "runner.encode(TextTokenizer(folder / 'tokenizer.json', 64).tokenise(['knee pain']))\n"
        "import time; time.sleep(1)\n"
        "assert 'torch' not in sys.modules and sys.modules['openvino_telemetry'] is None\n"
    )
    done = subprocess.run([sys.executable, "-c", program, EXPORTED], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "CONNECTED" not in done.stdout
