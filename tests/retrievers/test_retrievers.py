"""The retrievers of LangChain, LlamaIndex and Haystack, each with its real package, and with sockets that refuse."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import Filters, open_index, retrievers
from engine.errors import MissingExtraError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.retrievers.documents import build_metadata, build_text

QUERY = "gout and diet"
PLAIN = (str, int, float, bool, list, type(None))


@pytest.fixture
def hits(toy: IndexFolder) -> list[Any]:
    with open_index(toy.path) as index:
        return index.search(QUERY, top_k=5, filters=Filters(years=["1995-"]))


def test_text_and_metadata(hits: list[Any]) -> None:
    assert build_text(hits[0]) == f"{hits[0].title}\n\n{hits[0].abstract}"
    found = build_metadata(hits[0])
    assert found["id"] == hits[0].id and found["title"] == hits[0].title and found["authors"] == list(hits[0].authors)
    assert found["score"] == pytest.approx(hits[0].score, abs=1e-6) and "abstract" not in found and "why" not in found
    assert all(isinstance(value, PLAIN) for value in found.values())


def test_langchain(toy: IndexFolder, hits: list[Any]) -> None:
    pytest.importorskip("langchain_core", reason="needs the [langchain] extra")
    from langchain_core.runnables import RunnableLambda

    from engine.retrievers import LangChainRetriever

    with open_index(toy.path) as index:
        retriever = LangChainRetriever(index=index, top_k=5, filters=Filters(years=["1995-"]))
        found = retriever.invoke(QUERY)
        assert [one.id for one in found] == [hit.id for hit in hits]
        assert [one.page_content for one in found] == [build_text(hit) for hit in hits]
        assert [one.metadata for one in found] == [build_metadata(hit) for hit in hits]
        assert retriever.batch([QUERY, QUERY]) == [found, found]
        assert asyncio.run(retriever.ainvoke(QUERY)) == found
        assert (retriever | RunnableLambda(len)).invoke(QUERY) == 5


def test_options_of_langchain(toy: IndexFolder) -> None:
    pytest.importorskip("langchain_core", reason="needs the [langchain] extra")
    from pydantic import ValidationError

    from engine.retrievers import LangChainRetriever

    with open_index(toy.path) as index:
        retriever = LangChainRetriever(index=index, top_k=5)
        late = Filters(years=["1995-"])
        expected = [hit.id for hit in index.search(QUERY, top_k=2, mode="keyword", filters=late)]
        options: dict[str, Any] = {"top_k": 2, "mode": "keyword", "filters": late}
        for found in (
            retriever.invoke(QUERY, **options),
            retriever.bind(**options).invoke(QUERY),
            asyncio.run(retriever.ainvoke(QUERY, **options)),
            retriever.batch([QUERY], **options)[0],
        ):
            assert [one.id for one in found] == expected
        with pytest.raises(UsageError, match="k was given, expected top_k, mode or filters"):
            retriever.invoke(QUERY, k=2)
        with pytest.raises(UsageError, match="k was given, expected top_k, mode or filters"):
            asyncio.run(retriever.ainvoke(QUERY, k=2))
        with pytest.raises(ValidationError, match="search_kwargs\n  Extra inputs are not permitted"):
            LangChainRetriever(index=index, search_kwargs={"k": 2})
        with pytest.raises(UsageError, match="index is 'indexes/sample', expected an open one: open_index"):
            LangChainRetriever(index="indexes/sample")


def test_llamaindex(toy: IndexFolder, hits: list[Any]) -> None:
    pytest.importorskip("llama_index.core", reason="needs the [llamaindex] extra")
    from engine.retrievers import LlamaIndexRetriever

    with open_index(toy.path) as index:
        retriever = LlamaIndexRetriever(index, top_k=5, filters=Filters(years=["1995-"]))
        found = retriever.retrieve(QUERY)
        assert [one.node.node_id for one in found] == [hit.id for hit in hits]
        assert [one.text for one in found] == [build_text(hit) for hit in hits]
        assert [one.metadata for one in found] == [build_metadata(hit) for hit in hits]
        assert [one.score for one in found] == [hit.ranking_score for hit in hits]
        again = asyncio.run(retriever.aretrieve(QUERY))
        assert [one.node.node_id for one in again] == [hit.id for hit in hits]
        with pytest.raises(UsageError, match="index is 'indexes/sample', expected an open one: open_index"):
            LlamaIndexRetriever("indexes/sample")  # type: ignore[arg-type]


def test_what_a_model_reads_of_a_node(toy: IndexFolder) -> None:
    pytest.importorskip("llama_index.core", reason="needs the [llamaindex] extra")
    from llama_index.core.schema import MetadataMode

    from engine.retrievers import LlamaIndexRetriever

    with open_index(toy.path) as index:
        found = LlamaIndexRetriever(index, top_k=1).retrieve(QUERY)[0].node
        (hit,) = index.search(QUERY, top_k=1)
    assert found.get_content(MetadataMode.EMBED) == build_text(hit)
    head, _, text = found.get_content(MetadataMode.LLM).partition("\n\n")
    assert text == build_text(hit)
    names = ["id", "year", "journal", "authors", "pmid", "doi", "retracted"]
    assert [line.partition(":")[0] for line in head.splitlines()] == names


def test_haystack(toy: IndexFolder, hits: list[Any]) -> None:
    pytest.importorskip("haystack", reason="needs the [haystack] extra")
    from engine.retrievers import HaystackRetriever  # isort: skip
    from haystack import Pipeline  # isort: skip

    pipeline = Pipeline()
    pipeline.add_component("retriever", HaystackRetriever(str(toy.path), top_k=5))
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["engine.retrievers.haystack"])
    for each in (pipeline, again):
        found = each.run({"retriever": {"query": QUERY, "years": ["1995-"]}})["retriever"]["documents"]
        assert [one.id for one in found] == [hit.id for hit in hits]
        assert [one.content for one in found] == [build_text(hit) for hit in hits]
        assert [one.meta for one in found] == [build_metadata(hit) for hit in hits]
        assert [one.score for one in found] == [hit.ranking_score for hit in hits]
    retriever = HaystackRetriever(str(toy.path))
    assert asyncio.run(retriever.run_async(QUERY, 5, ["1995-"]))["documents"] == found
    assert len(retriever.run(QUERY, top_k=2)["documents"]) == 2


def test_filters_and_paths_of_haystack(toy: IndexFolder) -> None:
    pytest.importorskip("haystack", reason="needs the [haystack] extra")
    from engine.retrievers import HaystackRetriever  # isort: skip
    from haystack import Pipeline  # isort: skip

    pipeline = Pipeline()
    pipeline.add_component("retriever", HaystackRetriever(toy.path))
    asked = {"query": QUERY, "where": "year < 1995"}
    found = Pipeline.loads(pipeline.dumps(), allowed_modules=["engine.retrievers.haystack"]).run({"retriever": asked})
    with open_index(toy.path) as index:
        hits = index.search(QUERY, filters=Filters(where="year < 1995"))
    assert [one.id for one in found["retriever"]["documents"]] == [hit.id for hit in hits] != []
    again = asyncio.run(HaystackRetriever(toy.path).run_async(QUERY, where="year < 1995"))
    assert again == found["retriever"]
    with pytest.raises(UsageError, match="years is the single text '2015-', expected a list of them"):
        HaystackRetriever(toy.path).run(QUERY, years="2015-")  # type: ignore[arg-type]


@pytest.mark.parametrize("first", ["engine.retrievers.haystack", "haystack"])
def test_haystack_reports_nothing(first: str, tmp_path: Path) -> None:
    pytest.importorskip("haystack", reason="needs the [haystack] extra")
    code = f"import {first}, engine.retrievers.haystack, haystack.telemetry._telemetry as t; print(t.telemetry)"
    environment = {name: value for name, value in os.environ.items() if name != "HAYSTACK_TELEMETRY_ENABLED"}
    environment["HOME"] = str(tmp_path)  # where Haystack keeps an id of the user
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "None\n", done.stderr


def test_the_public_names_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dir(retrievers) == sorted(retrievers.__all__) == sorted(retrievers._HOME)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        retrievers.Nothing  # noqa: B018
    for module in ("langchain_core", "langchain_core.callbacks"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "engine.retrievers.langchain", raising=False)
    with pytest.raises(MissingExtraError, match=r"langchain_core.* \(needed for LangChainRetriever\) is not installed"):
        retrievers.LangChainRetriever  # noqa: B018
