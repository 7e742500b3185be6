"""mteb measures the encoder and the whole search of the engine on a small task of its own, with sockets that refuse."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Query, open_index
from engine.errors import EncoderError, NoRecordError, UsageError
from engine.index.generations.folder import IndexFolder
from tests.conftest import TOY_MODEL

pytest.importorskip("mteb", reason="needs the [mteb] extra")

import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from engine.retrievers import MtebEncoder, MtebSearch

BLANK = "the query is blank. Give some words, for example: engine search 'knee pain after running'"


class ToyTask(AbsTaskRetrieval):
    """The toy abstracts; each question is the title of one of them."""

    metadata = TaskMetadata(
        name="EngineToy",
        dataset={"path": "toy", "revision": "1"},
        description="Toys.",
        reference=None,
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation="",
    )

    records: list[Any] = []

    def load_data(self, **_: Any) -> None:
        rows = [{"id": one.record_id, "title": one.title, "text": one.abstract} for one in self.records]
        asked = [{"id": f"q{at}", "text": row["title"]} for at, row in enumerate(rows[:8])]
        judged = {f"q{at}": {row["id"]: 1} for at, row in enumerate(rows[:8])}
        split = {
            "corpus": Dataset.from_list(rows),
            "queries": Dataset.from_list(asked),
            "relevant_docs": judged,
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True


@pytest.fixture
def task(toy: IndexFolder) -> ToyTask:
    with open_index(toy.path) as index:
        ToyTask.records = list(index.abstracts())
    return ToyTask()


def score(task: ToyTask, model: Any, folder: Path) -> dict[str, Any]:
    """What mteb measures."""
    cache = mteb.ResultCache(folder / "mteb")
    results = mteb.evaluate(model, task, cache=cache, encode_kwargs={"batch_size": 16}, show_progress_bar=False)
    (found,) = results.task_results
    return dict(found.scores["test"][0])


def test_the_encoder(toy: IndexFolder, task: ToyTask, tmp_path: Path) -> None:
    with open_index(toy.path) as index:
        found = score(task, MtebEncoder(index), tmp_path)
        places = []
        for record in task.records[:8]:
            ids = [hit.id for hit in index.nearest(record.title, 40)]
            places.append(1 + ids.index(record.record_id))
    assert found["ndcg_at_10"] == pytest.approx(
        np.mean([1 / np.log2(1 + at) if at <= 10 else 0 for at in places]), abs=1e-4
    )
    assert found["recall_at_10"] == pytest.approx(np.mean([at <= 10 for at in places]))


def test_vectors_are_those_of_the_engine(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        model, records = MtebEncoder(index), list(index.abstracts())[:3]
        batch = {"title": [one.title for one in records], "body": [one.abstract for one in records], "text": ["x"] * 3}
        documents = model.encode([batch])
        assert np.allclose(documents, index.vectors([one.record_id for one in records]), atol=1e-6)
        queries = model.encode([{"text": ["gout", "\u200b"]}], prompt_type=mteb.types.PromptType.query)
        assert np.allclose(queries[0], index.encode(["gout"])[0], atol=1e-6) and not queries[1].any()
        assert model.encode([]).shape == (0, 32)
        assert np.allclose(model.similarity(documents, queries), documents @ queries.T)
        assert np.allclose(model.similarity_pairwise(documents, documents), 1, atol=1e-5)


def test_the_whole_search(task: ToyTask, tmp_path: Path) -> None:
    model = MtebSearch(str(TOY_MODEL))
    found = score(task, model, tmp_path)
    assert found["ndcg_at_10"] > 0.9 and found["recall_at_10"] == 1.0  # words of a title find it
    assert model.mteb_model_meta.name == "abstract-engine/toy-model-search-hybrid"
    rows = [{"id": "a", "text": "gout"}, {"id": "b", "text": "knee"}, {"id": "c", "text": " "}]
    got = model.search(rows, top_k=3)
    assert model._index is not None
    titles = {record.record_id: record.title for record in task.records}
    for row in rows[:2]:
        hits = model._index.ask(Query(row["text"], top_k=3), judged=False).hits
        assert [titles[name] for name in got[row["id"]]] == [hit.title for hit in hits]
        assert list(got[row["id"]].values()) == [hit.ranking_score for hit in hits]
    assert got["c"] == {}
    some = model.search(rows[:1], top_k=3, top_ranked={"a": ["toy-02", "toy-07"]})
    assert sorted(some["a"]) == ["toy-02", "toy-07"]


ODD_IDS = [
    "a",
    " sp ace ",
    "https://doi.org/10.1000/x",
    "10.1000/x",
    "PMID:5",
    "5",
    "005",
    "nl\nx",
    "é",
    "e\u0301",
    "x" * 600,
]


def test_documents_keep_their_ids() -> None:
    model = MtebSearch(str(TOY_MODEL))
    model.index({"id": name, "text": f"gout and diet of group {at}"} for at, name in enumerate(ODD_IDS))
    rows = [{"id": "q", "text": "gout and diet"}]
    assert sorted(model.search(rows, top_k=99)["q"]) == sorted(ODD_IDS)
    for some in (["5", "10.1000/x"], ["PMID:5"], [" sp ace ", "e\u0301"]):
        assert sorted(model.search(rows, top_k=99, top_ranked={"q": [*some, "nowhere"]})["q"]) == sorted(some)
    assert model.search(rows, top_k=99, top_ranked={}) == {"q": {}}


def test_results_are_kept_by_mode_and_encoder(toy: IndexFolder, task: ToyTask, tmp_path: Path) -> None:
    with open_index(toy.path) as index:
        fingerprint = index.manifest.encoder.fingerprint
    found = {}
    for mode in ("keyword", "semantic"):
        model = MtebSearch(str(TOY_MODEL), mode)
        before = model.mteb_model_meta  # mteb looks for results before it indexes anything
        assert before.name == f"abstract-engine/toy-model-search-{mode}"
        assert before.revision.endswith(f"-{fingerprint}")
        found[mode] = score(task, model, tmp_path)["ndcg_at_10"]
        assert model.mteb_model_meta == before
    assert found["keyword"] != found["semantic"]


def test_a_new_corpus_takes_the_place_of_the_one_before() -> None:
    model = MtebSearch(str(TOY_MODEL))
    for text in ("gout", "knee"):
        model.index([{"id": text, "text": text}])
        assert model.search([{"id": "q", "text": "gout knee"}], top_k=9)["q"].keys() == {text}
        assert len(list(model._folder.iterdir())) == 1
    with pytest.raises(NoRecordError):
        model.index([{"id": "a", "text": ""}])
    with pytest.raises(UsageError, match="no corpus was indexed"):
        model.search([], top_k=3)


def test_what_cannot_be_used_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UsageError, match="mode is 'bm25', expected one of"):
        MtebSearch(str(TOY_MODEL), mode="bm25")  # type: ignore[arg-type]
    with pytest.raises(EncoderError, match="there is no"):
        MtebSearch("/nowhere/model")
    with pytest.raises(UsageError, match="index is 'indexes/sample', expected an open one: open_index"):
        MtebEncoder("indexes/sample")  # type: ignore[arg-type]
    model = MtebSearch(str(TOY_MODEL))
    model.index([{"id": "a", "text": "gout"}])
    with pytest.raises(UsageError, match="top_k is 0"):
        model.search([{"id": "q", "text": "gout"}], top_k=0)
    assert not caplog.messages
    rows = [{"id": "q", "text": "gout"}, {"id": "blank", "text": " "}, {"id": "long", "text": "gout " * 30_000}]
    assert {name: len(found) for name, found in model.search(rows, top_k=3).items()} == {"q": 1, "blank": 0, "long": 0}
    assert caplog.messages == ["2 of 3 queries can't be answered. The first is blank: " + BLANK]


def test_nothing_indexed() -> None:
    with pytest.raises(UsageError, match="no corpus was indexed, expected one"):
        MtebSearch(str(TOY_MODEL)).search([], top_k=3)
