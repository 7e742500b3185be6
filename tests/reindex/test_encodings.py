"""How the vectors of an index were made: recorded, also over a crash, and equal to those of fp32 within the tolerance."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.encode.cpu import contest, encoder
from engine.encode.cpu.contestants import Contestant
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.recipe import prepare_text
from engine.encode.texts.tokens import Tokens
from engine.index.generations.folder import IndexFolder
from engine.index.search.flat import FlatIndex
from engine.query.index import open_index
from engine.records.encoder import Vectors
from engine.records.generation import Encoding, join_encodings
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.reports.summary import format_status, summarise_report
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY, TOY_MODEL, order_of, silent

Use = Callable[[str | None], None]
PAGE = 8  # texts


class Turned:
    """ONNX Runtime, with every vector turned a little: a cosine of 0.99997."""

    def __init__(self, exported: OnnxEncoder) -> None:
        self.exported = exported

    def encode(self, tokens: Tokens) -> Vectors:
        vectors = self.exported.run(tokens)
        turned = vectors + 0.0077 * np.roll(vectors[:, ::-1], 1, axis=1)
        return (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32)

    def close(self) -> None: ...


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Let a way with this name win every contest; None: there is none."""
    monkeypatch.setattr(encoder, "_MANY", 1)
    monkeypatch.setattr(encoder, "_PAGE", PAGE)
    monkeypatch.setattr(OnnxEncoder, "page", PAGE)
    monkeypatch.setattr(encoder, "choose_layout", lambda *_: None)
    monkeypatch.setattr(contest, "_find_slowness", lambda *_: None)
    monkeypatch.setattr(contest, "_MEAN_COSINE", 0.9999)
    monkeypatch.setattr(
        contest, "_measure", lambda ways, _: {name: 1.0 / (1 + (name != contest.DEFAULT)) for name in ways}
    )

    def choose(name: str | None) -> None:
        def list_contestants(folder: Path, *_: object) -> list[Contestant]:
            return [Contestant(name, f"library of {name}", lambda: Turned(OnnxEncoder(folder)))] if name else []

        monkeypatch.setattr(encoder, "list_contestants", list_contestants)

    return choose


@pytest.fixture
def index(tmp_path: Path) -> Callable[..., Report]:
    """Index the toy corpus with the toy model."""

    def run(**given: object) -> Report:
        progress = given.pop("progress", silent)
        return index_sources(folder(tmp_path), order_of(TOY, model=str(TOY_MODEL), **given), progress)  # type: ignore[arg-type]

    return run


def folder(place: Path) -> IndexFolder:
    return IndexFolder(place / "indexes" / "made")


def test_status_and_report_say_how_the_vectors_were_made(
    use: Use, index: Callable[..., Report], tmp_path: Path
) -> None:
    use("way A")
    report = index()
    assert report.encodings == (Encoding("way A", 1, 1, 40, None),)
    assert "  encoded with way A: 40" in list(summarise_report("made", report))
    assert "  encoded by: way A" in list(format_status(folder(tmp_path)))
    manifest = folder(tmp_path).open_current().manifest
    assert manifest.encodings == report.encodings and manifest.encoder.precision == "fp32"
    assert verify(folder(tmp_path), folder(tmp_path).open_current(), deep=True) == []


def test_fp32_is_forced_and_shares_the_fingerprint(use: Use, index: Callable[..., Report], tmp_path: Path) -> None:
    use("way A")
    index(precision="fp32")
    before = folder(tmp_path).open_current().manifest
    assert before.encodings == (Encoding("ONNX Runtime fp32", 1, 1, 40, None),)
    index(precision="auto", re_encode=True)
    after = folder(tmp_path).open_current().manifest
    assert after.encodings == (Encoding("way A", 2, 2, 40, None),)  # of the new vectors only
    assert after.encoder.fingerprint == before.encoder.fingerprint


def test_a_stopped_run_goes_on_with_another_winner(use: Use, index: Callable[..., Report], tmp_path: Path) -> None:
    def stop(step: str, done: int, total: int | None) -> None:
        if step == "encoding" and done >= 2 * PAGE:
            raise KeyboardInterrupt

    use("way A")
    with pytest.raises(KeyboardInterrupt):
        index(progress=stop)
    use(None)
    report = index()
    by_name = {encoding.made_by: encoding.texts for encoding in report.encodings}
    assert set(by_name) == {"way A", "ONNX Runtime fp32"} and sum(by_name.values()) == 40
    assert by_name["way A"] >= 2 * PAGE and report.counts.resumed == by_name["way A"]
    assert verify(folder(tmp_path), folder(tmp_path).open_current(), deep=True) == []
    current = folder(tmp_path).open_current()
    exact = OnnxEncoder(folder(tmp_path).get_encoder_path(current.manifest.encoder.fingerprint))
    with open_index(folder(tmp_path).path) as opened:
        rows = [opened.get(f"toy-{n:02d}") for n in range(1, 41)]
        expected = exact.encode([prepare_text(row.title, row.abstract) for row in rows]).vectors
    stored = FlatIndex(current.segments[0].files.vectors, 32).vectors
    assert np.einsum("ij,ij->i", stored, expected).min() >= 0.9999


def test_equal_neighbours_become_one() -> None:
    a, b, c = Encoding("x", 1, 1, 10, 5.0), Encoding("x", 2, 2, 3, None), Encoding("y", 3, 3, 4, 7.0)
    assert join_encodings((), (a,)) == (a,)
    assert join_encodings((a,), (b,)) == (Encoding("x", 1, 2, 13, 5.0),)
    assert join_encodings((a,), (b, c)) == (Encoding("x", 1, 2, 13, 5.0), c)
    assert join_encodings((a, c), (Encoding("x", 4, 4, 1, 2.0),)) == (a, c, Encoding("x", 4, 4, 1, 2.0))
