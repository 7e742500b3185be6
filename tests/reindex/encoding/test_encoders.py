"""Indexes of models with prompts, with templates and with two towers, from end to end."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [cpu] extra")

from engine import open_index
from engine.encode.models.recipe import fill_template, prepare_text
from engine.errors import EncoderError, EncoderMismatchError
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.query.index import Index, get_generation
from engine.reindex.encoding import encoders
from engine.reindex.generation.order import Order, Report
from engine.reindex.reports.summary import format_status
from engine.reindex.runs.run import index_sources
from engine.relevance.screening.labels import look_up_labels
from engine.relevance.screening.ranking import screen
from tests.conftest import TOY, TOY_MODEL, silent
from tests.encode.kinds import KINDS, LIBRARY, PROMPTS, edit, plain, with_settings

SETTINGS = IndexSettings(device="cpu", precision="fp32")


def build(folder: Path, model: Path | None, re_encode: bool = False, **settings: object) -> Report:
    own = dataclasses.replace(SETTINGS, model=model and str(model), **settings)  # type: ignore[arg-type]
    return index_sources(IndexFolder(folder), Order((TOY,), own, re_encode=re_encode), silent)


def stored(index: Index) -> tuple[list[str], list[str], np.ndarray]:  # type: ignore[type-arg]
    records = list(index.abstracts())
    ids = [get_generation(index).corpus.find_doc_id(record.record_id) for record in records]
    points = get_generation(index).vectors.get_points(np.array(ids))
    return [record.title for record in records], [record.abstract for record in records], points


def cosines(ours: np.ndarray, theirs: np.ndarray) -> float:  # type: ignore[type-arg]
    return float((ours * theirs).sum(axis=1).min())


def test_prompts_are_put_before_documents_and_queries(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model, folder = tmp_path / "model", tmp_path / "indexes" / "toy"
    with_settings(prompts=PROMPTS)(model)
    build(folder, model)
    original = SentenceTransformer(str(model), device="cpu")
    with open_index(folder) as index:
        titles, abstracts, points = stored(index)
        texts = [prepare_text(title, abstract) for title, abstract in zip(titles, abstracts, strict=True)]
        assert cosines(points, original.encode_document(texts)) >= 0.9999
        assert cosines(points, original.encode(texts)) < 0.9999  # without the prompt they are others
        assert cosines(index.encode(titles), original.encode_query(titles)) >= 0.9999
        scores = original.similarity(original.encode_query(titles[:1]), original.encode_document(texts))[0].numpy()
        assert index.search(titles[0], top_k=1, mode="semantic")[0].score == pytest.approx(scores.max(), abs=1e-5)
        corpus = get_generation(index).corpus  # criteria are queries as well, and what is screened are documents
        screened = screen(get_generation(index), look_up_labels(corpus, (), ()), titles[0], top_k=len(titles))
        assert screened.cosines == pytest.approx(np.sort(scores)[::-1], abs=1e-5)
        like = index.similar(next(iter(index.abstracts())).record_id, top_k=1)[0]  # by stored vectors of documents
        assert like.score == pytest.approx(float(np.sort(points[0] @ points[1:].T)[-1]), abs=1e-5)
    assert [line.strip() for line in format_status(IndexFolder(folder)) if " prompt: " in line] == [
        "query prompt: 'query: '", "document prompt: 'passage: '"
    ]  # fmt: skip


def test_an_encoder_copied_from_a_sibling_names_the_model_that_was_used(tmp_path: Path) -> None:
    other = Path(shutil.copytree(TOY_MODEL, tmp_path / "other"))
    build(tmp_path / "indexes" / "one", TOY_MODEL)
    build(tmp_path / "indexes" / "two", other)
    models = [IndexFolder(tmp_path / "indexes" / name).open_current().manifest.encoder.model for name in ("one", "two")]
    assert models == [str(TOY_MODEL), str(other)]


def test_other_prompts_and_templates_are_another_encoder(tmp_path: Path) -> None:
    model, folder = tmp_path / "model", tmp_path / "indexes" / "toy"
    with_settings(prompts=PROMPTS | {"web": "web: "})(model)
    build(folder, model, query_prompt="web", document_prompt="", template="{title}[SEP]{abstract}")
    with open_index(folder) as index:
        encoder = index.manifest.encoder
        assert (encoder.query_prompt, encoder.document_prompt) == ("web: ", "")
        titles, abstracts, points = stored(index)
        texts = [fill_template("{title}[SEP]{abstract}", *pair) for pair in zip(titles, abstracts, strict=True)]
        assert cosines(points, index.load_encoder().encode(texts).vectors) >= 0.999999
    assert not build(folder, None).published  # what is not said stays as it was
    assert not build(folder, model).published
    assert not build(folder, model, query_prompt="web: ", template="{title}[SEP]{abstract}").published
    for other in ({"query_prompt": ""}, {"document_prompt": "document"}, {"template": "{title}. {abstract}"}):
        with pytest.raises(EncoderMismatchError, match="add --re-encode"):
            build(folder, model, **other)
    with pytest.raises(EncoderError, match="'nope' is not a prompt of this model"):
        build(folder, model, query_prompt="nope")
    other = tmp_path / "other"  # another model brings its own prompts
    with_settings(prompts={"query": "find: "})(other)
    build(folder, other, re_encode=True)
    with open_index(folder) as index:
        encoder = index.manifest.encoder
        assert (encoder.query_prompt, encoder.document_prompt, encoder.template) == ("find: ", "", "")


def test_a_folder_that_gains_a_prompt_is_another_encoder(tmp_path: Path) -> None:
    model, folder = tmp_path / "model", tmp_path / "indexes" / "toy"
    with_settings()(model)
    build(folder, model)
    edit(model / LIBRARY, prompts={"query": "query: "})
    with pytest.raises(EncoderMismatchError, match="Their vectors can't be compared"):
        build(folder, model)
    build(folder, model, re_encode=True)
    with open_index(folder) as index:
        assert index.manifest.encoder.query_prompt == "query: "


def test_a_pair_of_plain_models_reads_documents_with_one_and_queries_with_the_other(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    articles, questions, folder = tmp_path / "articles", tmp_path / "questions", tmp_path / "indexes" / "pair"
    plain(articles)
    plain(questions)
    edit(questions / "tokenizer_config.json", model_max_length=16)
    with pytest.raises(EncoderError, match="plain Hugging Face model"):
        build(folder, articles)
    assert not folder.exists()
    report = build(folder, articles, query_model=str(questions), pooling="cls", template="{title}[SEP]{abstract}")
    assert "the model's vectors are not of unit length" in report.notes[0]
    original = SentenceTransformer(modules=[Transformer(str(questions)), Pooling(32, "cls")], device="cpu")
    with open_index(folder) as index:
        titles, _, _ = stored(index)
        assert cosines(index.encode(titles), original.encode(titles, normalize_embeddings=True)) >= 0.9999
        assert index.manifest.encoder.query_length == 16
        assert any("longer than the encoder reads" in note for note in index.ask(query("gout " * 30)).notes)
        assert index.ask(query("gout", explain=True)).hits[0].why is not None  # sentences by the other tower
    assert any("queries by weights of their own" in line for line in format_status(IndexFolder(folder)))
    assert not build(folder, articles).published


def query(text: str, **options: object) -> object:
    from engine import Query

    return Query(text, mode="semantic", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["static", "router"])
def test_searching_other_kinds_loads_no_torch(kind: str, tmp_path: Path) -> None:
    import subprocess
    import sys

    model, folder = tmp_path / "model", tmp_path / "indexes" / "kind"
    KINDS[kind](model)
    build(folder, model, document_prompt="d: ")
    shutil.rmtree(model)
    script = (
        "import sys, engine\n"
        f"index = engine.open_index({str(folder)!r})\n"
        "hits = index.search('gout and knee pain', top_k=3)\n"
        "print(len(hits), [name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3 []"


def test_blank_queries_stay_blank_behind_a_prompt(tmp_path: Path) -> None:
    from engine.errors import UnreadableQueryError

    model, folder = tmp_path / "model", tmp_path / "indexes" / "toy"
    with_settings(prompts=PROMPTS)(model)
    build(folder, model)
    with open_index(folder) as index, pytest.raises(UnreadableQueryError, match="no word that the encoder can read"):
        index.search("\u200b", mode="semantic")
    manifest = json.loads(next(folder.glob("generations/*/manifest.json")).read_text())
    assert manifest["encoder"]["query_prompt"] == "query: "


@pytest.mark.parametrize(
    ("device", "nvidia", "apple", "chosen"),
    [
        ("auto", True, True, "cuda"),
        ("auto", False, True, "mps"),
        ("auto", False, False, None),
        ("cpu", True, True, None),
        ("cuda", False, True, "cuda"),
        ("mps", True, False, "mps"),
    ],
)
def test_auto_takes_an_nvidia_gpu_then_that_of_a_mac(
    device: str, nvidia: bool, apple: bool, chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "_has_nvidia", lambda: nvidia)
    monkeypatch.setattr(encoders, "has_apple_gpu", lambda: apple)
    assert encoders._choose_gpu(device) == chosen


def test_a_mac_whose_torch_has_no_gpu_encodes_on_its_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_has_nvidia", lambda: False)
    monkeypatch.setattr("engine.platform._IS_MAC", True)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert build(tmp_path / "toy", TOY_MODEL, device="auto").counts.encoded == 40
    with pytest.raises(EncoderError, match=r"no GPU of a Mac is available here \(device mps\). Use --device cpu"):
        build(tmp_path / "other", TOY_MODEL, device="mps")
    with pytest.raises(EncoderError, match="an int8 encoder runs on a CPU only"):
        build(tmp_path / "third", TOY_MODEL, device="mps", precision="int8")
