"""The exported reranker against CrossEncoder.predict, for tiny models of several architectures."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.deadline import Deadline, limit_time
from engine.encode.crossencoder import runner
from engine.encode.crossencoder.folder import check_reranker
from engine.encode.crossencoder.model import identify_reranker
from engine.encode.crossencoder.runner import OnnxReranker
from engine.errors import BusyError, CorruptError, EncoderError
from tests.rerankers import ARCHITECTURES, edit_json, make_reranker

pytest.importorskip("torch", reason="needs the [cpu] extra")

QUERY = "does gout hurt"
TEXTS = ["knee pain " * n for n in (1, 2, 60, 9, 2)] + ["Gout hurts. Colchicine helps.", "", "Lupus, and more (n = 9)."]


def exported(folder: Path, target: Path, precision: str = "fp32") -> OnnxReranker:
    """The reranker of a model folder, exported now."""
    from engine.encode.crossencoder.export import export_reranker

    target.mkdir()
    export_reranker(folder, identify_reranker(folder, str(folder), precision), target)
    return OnnxReranker(target)


def predicted(folder: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The scores of sentence-transformers."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu")
    return np.asarray(model.predict([(QUERY, text) for text in TEXTS], show_progress_bar=False))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT; not to be written to."""
    return make_reranker(tmp_path_factory.mktemp("reranker") / "model")


@pytest.fixture(scope="module")
def plain(model: Path) -> OnnxReranker:
    """The same, exported in single precision; not to be written to."""
    return exported(model, model.parent / "exported")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_equal_those_of_sentence_transformers(tmp_path: Path, architecture: str) -> None:
    folder = make_reranker(tmp_path / "model", architecture)
    found, n_cut = exported(folder, tmp_path / "exported").score(QUERY, TEXTS)
    expected = predicted(folder)
    assert expected.std() > 0.001  # else anything would pass
    assert np.abs(found - expected).max() < 1e-4
    assert n_cut == 1  # the pair of more than 48 tokens


def test_another_activation_and_limit(tmp_path: Path) -> None:
    folder = make_reranker(tmp_path / "model")
    sigmoid = predicted(folder)
    edit_json(folder / "config_sentence_transformers.json", activation_fn="torch.nn.modules.linear.Identity")
    assert 1 / (1 + np.exp(-predicted(folder))) == pytest.approx(sigmoid, abs=1e-5)
    edit_json(folder / "tokenizer_config.json", model_max_length=12)
    reranker = exported(folder, tmp_path / "exported")
    (found, n_cut), expected = reranker.score(QUERY, TEXTS), predicted(folder)
    assert np.abs(found - expected).max() < 1e-4
    assert (reranker.identity.max_length, n_cut) == (12, 7)


def test_a_score_does_not_depend_on_company_or_order(plain: OnnxReranker) -> None:
    together = plain.score(QUERY, TEXTS)[0]
    alone = np.concatenate([plain.score(QUERY, [text])[0] for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-6)
    assert np.array_equal(together, plain.score(QUERY, TEXTS[::-1])[0][::-1])


def test_int8_differs_little_and_is_another_reranker(model: Path, plain: OnnxReranker, tmp_path: Path) -> None:
    small = exported(model, tmp_path / "int8", "int8")
    assert plain.identity.fingerprint != small.identity.fingerprint
    a, b = plain.score(QUERY, TEXTS)[0], small.score(QUERY, TEXTS)[0]
    assert 0 < np.abs(a - b).max() < 0.2
    assert np.corrcoef(a, b)[0, 1] > 0.95
    assert np.array_equal(b, np.concatenate([small.score(QUERY, [text])[0] for text in TEXTS]))


def test_an_export_that_scores_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_reranker(tmp_path / "model")
    monkeypatch.setattr(runner, "_compute_scores", lambda outputs, activation: outputs)
    with pytest.raises(EncoderError, match="the exported reranker differs from the original by"):
        exported(folder, tmp_path / "exported")


def test_a_full_disk_is_no_fault_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = make_reranker(tmp_path / "model")
    monkeypatch.setattr("engine.encode.crossencoder.export.build_graph", fail)
    with pytest.raises(OSError, match="No space left"):
        exported(folder, tmp_path / "exported")


@pytest.mark.usefixtures("plain")
def test_a_damaged_export_is_noticed(model: Path, tmp_path: Path) -> None:
    target = Path(shutil.copytree(model.parent / "exported", tmp_path / "exported"))
    check_reranker(target)
    with (target / "encoder.data").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(CorruptError, match="encoder.data was changed or damaged"):
        check_reranker(target)
    edit_json(target / "reranker.json", format_version=9)
    with pytest.raises(CorruptError, match="reranker.json was changed or damaged"):
        OnnxReranker(target)


def test_scoring_stops_at_the_deadline(plain: OnnxReranker) -> None:
    with limit_time(Deadline(0.0)), pytest.raises(BusyError, match="the time for this answer is over"):
        plain.score(QUERY, TEXTS)
    assert len(plain.score(QUERY, TEXTS)[0]) == len(TEXTS)


def test_pairs_of_the_same_length_run_together_if_they_are_short() -> None:
    lengths = [3, 100, 3, 5, 100] + [3] * 8
    assert runner._group_pairs(lengths, alone=False) == [[1], [4], [3], [0, 2, 5, 6, 7, 8, 9, 10], [11, 12]]
    assert runner._group_pairs(lengths, alone=True) == [[i] for i in (1, 4, 3, 0, 2, *range(5, 13))]


def test_sigmoid() -> None:
    found = runner._compute_scores(np.array([0.0, 2.0, -2.0, 1e4, -1e4]), "sigmoid")
    assert found == pytest.approx([0.5, 0.880797, 0.119203, 1.0, 0.0], abs=1e-6)
