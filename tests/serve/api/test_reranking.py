"""A second stage over HTTP: only a reranker that the index holds already is used."""

import time
from pathlib import Path

import pytest

from engine import Query, open_index
from engine.index.generations.folder import IndexFolder
from tests.rerankers import make_reranker
from tests.serve.conftest import client_of, serving
from tests.serve.test_follow import PATCH, SOON


def test_a_server_uses_only_rerankers_that_its_index_holds(toy: IndexFolder, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    model = make_reranker(tmp_path / "tiny")
    with client_of(toy.path) as client:
        refused = client.get("/api/v1/search", params={"q": "gout", "rerank": str(model)})
        assert refused.status_code == 400 and "toy has no reranker" in refused.json()["error"]["message"]
        assert client.get("/", params={"q": "gout", "rerank": str(model)}).status_code == 400
    with open_index(toy.path) as index:
        expected = index.ask(Query("gout", rerank=str(model), rerank_depth=4))
    with client_of(toy.path) as client:
        found = client.get("/api/v1/search", params={"q": "gout", "rerank": "tiny", "rerank_depth": "4"}).json()
        assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in expected.hits]
        assert [hit.get("rerank_score") for hit in found["hits"]][:5] == [
            *(round(hit.rerank_score or 0, 6) for hit in expected.hits[:4]),
            None,
        ]
        assert found["reranker"] == {
            "model": "tiny",
            "fingerprint": expected.reranker and expected.reranker.fingerprint,
        }
        page = client.get("/", params={"q": "gout", "rerank": "tiny"})
        assert page.status_code == 200 and "reranker 0." in page.text


def test_a_reranker_of_index_toml_that_is_not_there_is_no_mistake_of_the_client(toy: IndexFolder) -> None:
    with client_of(toy.path) as client:
        (toy.path / "index.toml").write_text('[rerank]\nmodel = "/no/such/model"\n')
        failed = client.get("/api/v1/search", params={"q": "gout"})
        assert (failed.status_code, failed.json()["error"]["code"]) == (500, "settings")
        page = client.get("/", params={"q": "gout"})
        assert page.status_code == 500 and "/no/such" not in failed.text + page.text
        assert client.get("/api/v1/search", params={"q": "gout", "rerank": "none"}).status_code == 200


def test_a_reranker_that_is_changed_below_the_server_is_reported(toy: IndexFolder, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    model = make_reranker(tmp_path / "tiny")
    with open_index(toy.path) as index:
        index.ask(Query("gout", rerank=str(model)))
    (toy.path / "index.toml").write_text('[rerank]\nmodel = "tiny"\n')
    (path,) = toy.path.glob("encoders/*/reranker.json")
    data = path.with_name("encoder.data")
    data.chmod(0o644)
    good = data.read_bytes()
    with serving(toy.path.parent, patch=PATCH) as server:
        assert server.get("/readyz")[0] == 200
        data.write_bytes(bytes(len(good)))
        for _ in range(2):  # also after a search has tried to load it
            assert server.get("/readyz")[0] == 503
            assert server.get("/api/v1/search?q=gout")[0] == 500
        data.write_bytes(good)
        began = time.monotonic()
        while server.get("/readyz")[0] != 200:
            assert time.monotonic() - began < SOON
            time.sleep(0.02)
        assert server.get("/api/v1/search?q=gout")[0] == 200
