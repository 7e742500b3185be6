"""A better encoder is promoted into the next generation; a refused one changes nothing."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from engine.config import Settings
from engine.errors import UsageError
from engine.index.folder import IndexFolder
from engine.options import IndexSettings
from engine.query.index import open_index
from engine.records.abstract import Abstract
from engine.reindex.order import Order
from engine.reindex.rollback import roll_back
from engine.reindex.run import index_sources
from engine.train.promote.promotion import promote_encoder
from tests.conftest import TOY_MODEL, jsonl, silent
from tests.relevance.items import make_known_items


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of this module, so that the real weights are exported once."""
    return tmp_path_factory.mktemp("exported")


@pytest.fixture
def corpus(corpus: list[Abstract]) -> list[Abstract]:
    """Just enough records to decide by."""
    return corpus[:120]


@pytest.fixture
def index(corpus: list[Abstract], exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexFolder:
    """The corpus as an index of the toy encoder."""
    monkeypatch.setenv("ENGINE_CACHE", str(exported))
    rows = [{"id": r.record_id, "title": r.title, "abstract": r.abstract} for r in corpus]
    folder = IndexFolder(tmp_path / "indexes" / "small")
    index_sources(
        folder,
        Order((jsonl(tmp_path / "rows.jsonl", rows),), IndexSettings(model=str(TOY_MODEL), device="cpu")),
        silent,
    )
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_better_encoder_becomes_the_next_generation_and_can_be_taken_back(
    corpus: list[Abstract], index: IndexFolder, model_folder: Path
) -> None:
    sets = [make_known_items(corpus, held_out_only=False)]
    done = promote_encoder(index, str(model_folder), sets, [], Settings.load(index.path, device="cpu"), silent)
    assert done.verdict.is_passed and done.report is not None and done.report.counts.encoded == len(corpus)
    with open_index(index.path) as found:
        assert found.manifest.encoder == done.candidate and found.generation == done.report.generation == 2
        assert found.search(corpus[5].title, top_k=1)[0].id == corpus[5].record_id
    roll_back(index, None)
    with open_index(index.path) as found:
        assert found.manifest.encoder == done.current


@pytest.mark.slow
def test_a_refused_encoder_and_a_test_change_nothing(
    corpus: list[Abstract], index: IndexFolder, model_folder: Path, tmp_path: Path
) -> None:
    before = everything(index.path)
    sets = [make_known_items(corpus, held_out_only=False)]
    tested = promote_encoder(
        index, str(model_folder), sets, [], Settings.load(index.path, device="cpu"), silent, only_test=True
    )
    assert tested.verdict.is_passed and tested.report is None and everything(index.path) == before
    with pytest.raises(UsageError, match="held out for testing, expected 100 or more"):
        promote_encoder(index, str(model_folder), [], [], Settings.load(index.path, device="cpu"), silent)
    few = [make_known_items(corpus[:99], held_out_only=False)]
    with pytest.raises(UsageError, match=r"there are \d\d known items .* expected 100 or more"):
        promote_encoder(index, str(model_folder), few, [], Settings.load(index.path, device="cpu"), silent)
    assert everything(index.path) == before


def test_a_worse_encoder_is_refused_and_changes_nothing(
    corpus: list[Abstract], index: IndexFolder, tmp_path: Path
) -> None:
    worse = Path(shutil.copytree(TOY_MODEL, tmp_path / "worse"))
    weights = load_file(worse / "model.safetensors")
    (words,) = (name for name in weights if name.endswith("word_embeddings.weight"))
    weights[words][:, 2:] = 0
    save_file(weights, worse / "model.safetensors", {"format": "pt"})
    sets = [make_known_items(corpus, held_out_only=False)]
    before = everything(index.path)
    done = promote_encoder(index, str(worse), sets, [], Settings.load(index.path, device="cpu"), silent)
    assert done.report is None and "known items gain -" in done.verdict.reasons[0]
    assert everything(index.path) == before


def test_there_is_nothing_to_promote(index: IndexFolder) -> None:
    with pytest.raises(UsageError, match="already: there is nothing to promote"):
        promote_encoder(index, str(TOY_MODEL), [], [], Settings.load(index.path, device="cpu"), silent)


def test_a_model_named_in_index_toml_is_in_the_way(index: IndexFolder, model_folder: Path) -> None:
    with pytest.raises(UsageError, match=r"index\.toml of small names a model"):
        promote_encoder(index, str(model_folder), [], [], Settings.load(index.path, model=str(TOY_MODEL)), silent)
