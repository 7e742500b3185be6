"""What the tests of the GPU encoder share: texts, the reference's vectors, models with other weights. No GPU needed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.encode.texts.probes import TOKEN_PROBES
from tests.conftest import TOY, TOY_MODEL


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Odd texts, titles, and abstracts longer than the toy model reads."""
    rows = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
    return [*TOKEN_PROBES, *(row["title"] for row in rows), *(f"{row['title']}. {row['abstract']}" * 9 for row in rows)]


@pytest.fixture(scope="session")
def wanted(texts: list[str]) -> np.ndarray:
    """The vectors of the texts by sentence-transformers itself."""
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the [cpu] extra")
    model = sentence_transformers.SentenceTransformer(str(TOY_MODEL), device="cpu")
    return model.encode(texts, normalize_embeddings=True)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Copy the toy model with other settings, or with weights multiplied: changed({setting: value}, {part: factor})."""
    from safetensors.torch import load_file, save_file

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
