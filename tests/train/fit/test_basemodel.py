from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [cpu] extra")

from engine.errors import EncoderError
from engine.train.fit.basemodel import load_model
from tests.encode.kinds import KINDS


@pytest.mark.parametrize(
    ("kind", "message"),
    [("prompts", "puts prompts before its texts"), ("static", "found StaticEmbedding"), ("max", "found max")],
)
def test_a_base_that_would_be_trained_in_another_way_than_it_encodes_is_refused(
    kind: str, message: str, tmp_path: Path
) -> None:
    KINDS[kind](tmp_path / "model")
    with pytest.raises(EncoderError, match=message):
        load_model(str(tmp_path / "model"), "cpu")
