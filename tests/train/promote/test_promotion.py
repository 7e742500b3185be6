"""A better encoder is promoted into the next generation; a refused one changes nothing."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from engine.config import Settings
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.recipe import fill_template
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.query.index import open_index
from engine.records.abstract import Abstract
from engine.records.encoder import Encoded
from engine.reindex.generation.order import Order
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetText, TestSet
from engine.train.promote.promotion import promote_encoder
from tests.conftest import TOY_MODEL, jsonl, silent
from tests.encode.kinds import with_settings
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


TEMPLATE = "{title} / {abstract}"


@pytest.mark.parametrize(("given", "kept"), [(None, TEMPLATE), ("{abstract}", "{abstract}")])
def test_records_and_test_documents_get_the_template_of_the_index_or_the_one_given(
    corpus: list[Abstract],
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    kept: str,
) -> None:
    monkeypatch.setenv("ENGINE_CACHE", str(exported))
    rows = [{"id": r.record_id, "title": r.title, "abstract": r.abstract} for r in corpus[:30]]
    folder, settings = IndexFolder(tmp_path / "indexes" / "small"), {"model": str(TOY_MODEL), "device": "cpu"}
    order = Order((jsonl(tmp_path / "rows.jsonl", rows),), IndexSettings(**settings, template=TEMPLATE))
    index_sources(folder, order, silent)
    with_settings(prompts={"query": "q: ", "document": "d: "})(tmp_path / "prompted")
    seen = list[tuple[str, str]]()
    real = OnnxEncoder.encode

    def note(self: OnnxEncoder, texts: Sequence[str]) -> Encoded:
        seen.extend((Path(self.identity.model).name, text) for text in texts)
        return real(self, texts)

    monkeypatch.setattr(OnnxEncoder, "encode", note)
    items = [SetText(r.record_id, r.abstract, r.title) for r in corpus[:100]]
    queries = tuple(SetText(r.record_id, r.title) for r in corpus[:100])
    known = TestSet("k", tuple(items), queries, Judgments({r.record_id: {r.record_id: 1} for r in corpus[:100]}))
    settings = Settings.load(folder.path, device="cpu")
    done = promote_encoder(folder, str(tmp_path / "prompted"), [known], [], settings, silent)
    new = done.candidate
    assert (new.template, new.query_prompt, new.document_prompt) == (TEMPLATE, "q: ", "d: ")
    for name in ("toy-model", "prompted"):
        texts = {text for model, text in seen if model == name}
        assert fill_template(TEMPLATE, corpus[0].title, corpus[0].abstract) in texts
        assert items[0].text not in texts


def test_what_of_a_candidate_is_used_in_another_way_than_it_may_seem_is_said(
    corpus: list[Abstract], index: IndexFolder, tmp_path: Path
) -> None:
    with_settings(prompts={"sts": "sts: "}, default_prompt_name="sts")(tmp_path / "sts")
    sets = [make_known_items(corpus, held_out_only=False)]
    settings = Settings.load(index.path, device="cpu", document_prompt="of: ", template="{abstract}")
    done = promote_encoder(index, str(tmp_path / "sts"), sets, [], settings, silent)
    assert (done.candidate.document_prompt, done.candidate.template) == ("of: ", "{abstract}")
    assert any("default prompt 'sts' is not used" in note for note in done.notes)
