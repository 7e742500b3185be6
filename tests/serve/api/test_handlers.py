"""The API: the same answers as the Python API gives, over HTTP."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.testclient import TestClient

from engine import Filters, Index, Query, deadline
from engine.config import count_cores
from engine.encode.models.recipe import clean_text
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import MODES
from engine.query.answers import answer
from engine.records.answer import Answer, Hit
from engine.references.writers.bibliography import format_reference
from engine.serve.api import bodies
from engine.serve.app import build_app
from engine.serve.http.access import build_access
from engine.serve.http.limits import MAX_TEXT
from engine.serve.request import queries
from engine.serve.work import shelf as shelving
from engine.serve.work.desk import Desk
from tests.conftest import CURRENT, TOY_MODEL, segment_of
from tests.serve.conftest import BASE, PORT, client_of, error_of, indexed, parsed

Pairs = list[tuple[str, str]]
QUICKLY = 10.0  # seconds; nothing that hangs


def ok(client: TestClient, path: str, *pairs: tuple[str, object], **given: object) -> dict:
    """The content of an answer."""
    response = client.get(f"/api/v1/{path}", params=[*pairs, *given.items()])  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return parsed(response.text)


def refused(client: TestClient, path: str, *pairs: tuple[str, object], **given: object) -> str:
    """The message of a request that makes no sense."""
    began = time.monotonic()
    response = client.get(f"/api/v1/{path}", params=[*pairs, *given.items()])  # type: ignore[arg-type]
    assert time.monotonic() - began < QUICKLY
    return error_of(response, 400, "bad_request")


def check_same(found: dict, answer: Answer, name: str = "toy") -> None:
    """A JSON answer holds what the Python API says."""
    assert found["index"] == name
    assert found["query"] == json.loads(json.dumps(asdict(answer.query)))
    assert (found["generation"], found["n_qualified"]) == (answer.generation, answer.n_qualified)
    assert found["notes"] == list(answer.notes)
    assert found["groups"] == [asdict(group) for group in answer.groups]
    assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in answer.hits]
    for got, hit in zip(found["hits"], answer.hits, strict=True):
        for name in ("rank", "title", "abstract", "year", "journal", "pmid", "doi", "retracted"):
            assert got[name] == getattr(hit, name)
        assert got["authors"] == list(hit.authors)
        for name in ("score", "fused", "bm25", "semantic_rank", "keyword_rank"):
            value = getattr(hit, name)
            assert got.get(name) == (round(value, 6) if isinstance(value, float) else value)
        assert ("why" in got) == (hit.why is not None)


FILTERS = (
    ([("year", "2031")], Filters(years=((2031, 2031),))),
    ([("year", "1995-1998"), ("year", "2031-")], Filters(years=((1995, 1998), (2031, None)))),
    ([("journal", "gut"), ("journal", "*lancet")], Filters(journals=("gut", "*lancet"))),
    ([("mesh", "Gout")], Filters(mesh=("Gout",))),
    ([("type", "review")], Filters(types=("review",))),
    ([("keyword", "urate")], Filters(keywords=("urate",))),
    ([("author", "smith j")], Filters(authors=("smith j",))),
    ([("language", "French")], Filters(languages=("French",))),
    ([("source", "rows.jsonl")], Filters(sources=("rows.jsonl",))),
    ([("retracted", "true")], Filters(retracted=True)),
    ([("retracted", "FALSE")], Filters(retracted=False)),
    ([("has_abstract", "0")], Filters(has_abstract=False)),
    ([("has_abstract", "on")], Filters(has_abstract=True)),
    ([("ids", "gut"), ("ids", "77"), ("ids", "10.1000/gut.1")], Filters(ids=("gut", "77", "10.1000/gut.1"))),
    ([("hide", "gut"), ("hide", "toy-01")], Filters(hide=("gut", "toy-01"))),
    ([("where", "year >= 2031 and not journal = Gut")], Filters(where="year >= 2031 and not journal = Gut")),
    ([("year", "-2000"), ("has_abstract", "1"), ("hide", "toy-02")],
     Filters(years=((None, 2000),), has_abstract=True, hide=("toy-02",))),
)  # fmt: skip


@pytest.mark.parametrize(("pairs", "filters"), FILTERS, ids=lambda value: str(value)[:40])
def test_every_filter_reaches_the_index(client: TestClient, index: Index, pairs: Pairs, filters: Filters) -> None:
    found = ok(client, "search", ("q", "gout"), ("n", 50), *pairs)
    answer = index.ask(Query("gout", top_k=50, filters=filters))
    assert 0 < answer.n_qualified < len(index)
    check_same(found, answer)


RANKINGS: tuple[tuple[dict[str, str], Query], ...] = (
    ({}, Query("gout pain")),
    ({"n": "3", "offset": "2"}, Query("gout pain", top_k=3, offset=2)),
    ({"mode": "keyword"}, Query("gout pain", mode="keyword")),
    ({"mode": "hybrid"}, Query("gout pain", mode="hybrid")),
    ({"mode": "hybrid", "weight": "0.9"}, Query("gout pain", mode="hybrid", weight=0.9)),
    ({"mode": "hybrid", "fusion": "rrf"}, Query("gout pain", mode="hybrid", fusion="rrf")),
    ({"min_score": "0.5"}, Query("gout pain", min_score=0.5)),
    ({"diversify": "0.7"}, Query("gout pain", diversify=0.7)),
    ({"explain": "true"}, Query("gout pain", explain=True)),
    ({"group_by": "journal"}, Query("gout pain", group_by="journal")),
    ({"like": "toy-01"}, Query("gout pain", like=("toy-01",))),
    ({"like": "toy-01", "unlike": "toy-02"}, Query("gout pain", like=("toy-01",), unlike=("toy-02",))),
)


@pytest.mark.parametrize(("given", "query"), RANKINGS, ids=lambda value: str(value)[:40])
def test_every_way_of_ranking_reaches_the_index(
    client: TestClient, index: Index, given: dict[str, str], query: Query
) -> None:
    check_same(ok(client, "search", q="gout pain", **given), index.ask(query))


def test_a_hit_says_why_and_has_all_that_is_stored(client: TestClient, index: Index) -> None:
    found = ok(client, "search", q="gout gut", ids="gut", explain="true")["hits"][0]
    (hit,) = index.ask(Query("gout gut", explain=True, filters=Filters(ids=("gut",)))).hits
    assert hit.why is not None and hit.why.words
    assert found["why"]["words"] == list(hit.why.words)
    assert found["why"]["title_spans"] == [list(span) for span in hit.why.title_spans]
    assert found["why"]["sentences"][0]["span"] == list(hit.why.sentences[0].span)
    assert found["why"]["sentences"][0]["score"] == round(hit.why.sentences[0].score, 6)
    stored = index.get("gut")
    assert (found["mesh"], found["keywords"]) == (list(stored.mesh), ["urate"])
    assert (found["publication_types"], found["languages"]) == (list(stored.publication_types), ["fre"])


def test_a_search_that_finds_nothing_says_what_qualifies(client: TestClient) -> None:
    found = ok(client, "search", q="gout", year="1700")
    assert found["hits"] == [] and found["n_qualified"] == 0 and found["next"] is None


def test_a_value_without_ink_is_not_given(client: TestClient, index: Index) -> None:
    check_same(ok(client, "search", ("q", "gout"), ("n", " "), ("year", ""), ("i", "")), index.ask(Query("gout")))


def test_the_index_is_chosen_by_its_name(client: TestClient) -> None:
    assert ok(client, "search", q="gout")["index"] == "toy"
    assert ok(client, "search", q="gout", i="old")["index"] == "old"
    message = error_of(client.get("/api/v1/search?q=gout&i=nope"), 404, "unknown_index")
    assert message == "no index named 'nope'. Indexes served: toy, old"


def test_similar_is_near_the_records_and_leaves_them_out(client: TestClient, index: Index) -> None:
    found = ok(client, "similar", ("id", "toy-01"), ("id", "77"), ("unlike", "toy-09"), ("n", 7))
    check_same(found, index.ask(Query(like=("toy-01", "77"), unlike=("toy-09",), mode="semantic", top_k=7)))
    assert not {hit["id"] for hit in found["hits"]} & {"toy-01", "PMID:77", "toy-09"}
    both = ok(client, "similar", ("id", "toy-01"), ("q", "gout"), ("year", "2000-"))
    check_same(
        both, index.ask(Query("gout", like=("toy-01",), mode="semantic", filters=Filters(years=((2000, None),))))
    )
    assert refused(client, "similar").startswith("id is missing")
    assert "nope" in error_of(client.get("/api/v1/similar?id=nope"), 404, "record_not_found")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("toy-01", "toy-01"), ("77", "PMID:77"), ("PMID:77", "PMID:77"), ("10.1000/gut.1", "gut")],
)
def test_a_record_is_found_by_id_pmid_and_doi(client: TestClient, index: Index, given: str, wanted: str) -> None:
    found = ok(client, "record", id=given)
    stored = asdict(index.get(wanted))
    assert stored.pop("record_id") == wanted
    del stored["version"], stored["revised"]
    assert found["record"] == json.loads(json.dumps({"id": wanted, **stored}))
    assert (found["index"], found["generation"]) == ("toy", index.generation)
    assert found["sources"] == [asdict(said) for said in index.get_sources(wanted)] and found["sources"]
    assert ok(client, "record", id=given, cite="apa") == found | {
        "citation": format_reference(index.get(wanted), "apa")
    }


def test_an_unknown_record_is_404(client: TestClient) -> None:
    response = client.get("/api/v1/record?id=nope")
    assert "nope" in error_of(response, 404, "record_not_found")
    assert refused(client, "record") == "id is missing: A record id, PMID or DOI."


def test_what_is_new_says_what_has_changed(client: TestClient, index: Index) -> None:
    found = ok(client, "new", q="gout", since="2", n=5)
    rows, answer = index.ask_new(Query("gout", top_k=5), since=2)
    check_same(found, answer)
    assert [hit["change"] for hit in found["hits"]] == [row.change for row in rows]
    assert {hit["id"] for hit in found["hits"]} == {"gut", "lancet", "PMID:77"}
    assert {hit["change"] for hit in found["hits"]} == {"added"}
    assert ok(client, "new", q="gout", since="3")["hits"] == []
    assert len(ok(client, "new", q="gout", since="2000-01-01", n=50)["hits"]) == len(index)
    assert refused(client, "new", q="gout").startswith("since is missing")
    for odd in ("yesterday", "-1", "9" * 30, "\udcff".encode("utf-8", "replace").decode(), "1e3", "0x2"):
        assert client.get("/api/v1/new", params={"q": "gout", "since": odd}).status_code in (400, 404)


def walked(client: TestClient, path: str) -> list[str]:
    """The ids of all hits, by following `next`."""
    ids: list[str] = []
    step: str | None = path
    for _ in range(100):
        if step is None:
            return ids
        response = client.get(step)
        assert response.status_code == 200, response.text
        content = response.json()
        assert content["hits"]
        ids += [hit["id"] for hit in content["hits"]]
        step = content["next"]
    pytest.fail("no end")


@pytest.mark.parametrize("n", [1, 7, 23, 46, 50])
@pytest.mark.parametrize(
    "path", ["search?q=gout", "search?q=gout&mode=hybrid&hide=toy-01", "similar?id=toy-02&q=a%26b"]
)
def test_next_leads_through_every_record_once_and_in_order(client: TestClient, index: Index, path: str, n: int) -> None:
    whole = client.get(f"/api/v1/{path}&n=1000").json()
    assert whole["next"] is None and len(whole["hits"]) == whole["n_qualified"] >= len(index) - 1
    assert walked(client, f"/api/v1/{path}&n={n}") == [hit["id"] for hit in whole["hits"]]


def test_next_keeps_every_other_parameter(client: TestClient) -> None:
    response = client.get("/api/v1/search", params=[("q", "a&b=ü"), ("hide", "x"), ("hide", "y"), ("n", "2")])
    parts = urlsplit(response.json()["next"])
    assert parts.path == "/api/v1/search"
    assert parse_qsl(parts.query) == [("q", "a&b=ü"), ("hide", "x"), ("hide", "y"), ("n", "2"), ("offset", "2")]
    new = client.get("/api/v1/new?q=gout&since=2&n=2").json()
    assert new["next"] == "/api/v1/new?q=gout&since=2&n=2&offset=2"
    assert client.get(new["next"]).json()["next"] is None


def test_the_last_page_that_may_be_asked_for_is_as_long_as_is_left(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (queries, bodies):
        monkeypatch.setattr(module, "MAX_DEPTH", 30)
    second = ok(client, "search", q="gout", n=20)["next"]
    assert second == "/api/v1/search?q=gout&n=10&offset=20"
    last = client.get(second).json()
    assert [hit["rank"] for hit in last["hits"]] == list(range(21, 31)) and last["next"] is None


def test_a_hit_cannot_be_further_down_than_the_limit(client: TestClient) -> None:
    assert ok(client, "search", q="gout", n=1, offset=9_999)["hits"] == []
    assert "reach rank 10,001, expected 10,000 at most" in refused(client, "search", q="gout", n=2, offset=9_999)


# Caching


def tag(client: TestClient, path: str) -> str:
    """The ETag of an answer."""
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "private, no-cache"
    found = response.headers["etag"]
    assert found.startswith('"') and found.endswith('"') and len(found) == 34
    return str(found)


PATHS = ("search?q=gout", "similar?id=toy-01", "record?id=toy-01", "new?q=gout&since=2")


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_that_is_held_is_not_given_again(client: TestClient, index: Index, path: str) -> None:
    mine = tag(client, f"/api/v1/{path}")
    assert mine == tag(client, f"/api/v1/{path}")
    for given in (mine, f"W/{mine}", f'"a", {mine}', f'"a",W/{mine} , "b"'):
        response = client.get(f"/api/v1/{path}", headers={"If-None-Match": given})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == mine and response.headers["cache-control"] == "private, no-cache"
        assert response.headers["engine-generation"] == f"{index.generation:06d}"
    for given in ('"a"', mine.strip('"'), f'"W/{mine}"', ""):
        assert client.get(f"/api/v1/{path}", headers={"If-None-Match": given}).status_code == 200


def test_what_is_held_is_answered_without_work(library: IndexFolder) -> None:
    with client_of(library.path, desk=Desk(workers=1, waiting=-1)) as client:  # no place for any work
        refusal = client.get("/api/v1/search?q=gout")
        error_of(refusal, 503, "busy")
        assert "etag" not in refusal.headers
        with client_of(library.path) as other:
            mine = tag(other, "/api/v1/search?q=gout")
        assert client.get("/api/v1/search?q=gout", headers={"If-None-Match": mine}).status_code == 304


def test_another_question_has_another_tag(client: TestClient) -> None:
    asked = ("q=gout", "q=gout&n=10", "q=gout&n=11", "q=Gout", "q=gout&i=old", "q=gout&i=toy", "q=gout&year=2000")
    tags = [tag(client, f"/api/v1/search?{one}") for one in asked] + [
        tag(client, "/?q=gout"),
        tag(client, "/map?q=gout"),
    ]
    assert len(set(tags)) == len(tags)


def test_another_generation_has_another_tag(fresh: IndexFolder, publish: Callable[..., None]) -> None:
    with client_of(fresh.path) as client:
        first = client.get("/api/v1/search?q=gout&n=50")
        publish({"id": "new", "title": "New"})
        client.app.app.app.state.site.shelf.look()
        second = client.get("/api/v1/search?q=gout&n=50", headers={"If-None-Match": first.headers["etag"]})
        assert second.status_code == 200 and second.headers["etag"] != first.headers["etag"]
        assert (first.headers["engine-generation"], second.headers["engine-generation"]) == ("000002", "000003")
        assert "new" in {hit["id"] for hit in second.json()["hits"]}


def test_an_answer_is_of_the_generation_at_which_it_was_asked(
    fresh: IndexFolder, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "FOLLOW_SECONDS", 60.0)  # it looks when it is told to
    desk, free = Desk(workers=1), threading.Event()
    with client_of(fresh.path, desk=desk) as client, ThreadPoolExecutor(4) as pool:
        desk.pool.submit(free.wait)
        paths = ("/api/v1/search?q=gout&n=100", "/?q=gout&n=100", "/record?id=toy-01")
        waiting = [pool.submit(client.get, path) for path in paths]
        batch = pool.submit(client.post, "/api/v1/batch", json={"queries": ["gout"], "n": 100})
        while desk.n_inside < 4:
            time.sleep(0.01)
        publish({"id": "new", "title": "New"})
        client.app.app.app.state.site.shelf.look()
        free.set()
        for one in (*waiting, batch):
            response = one.result(timeout=30)
            assert (response.status_code, response.headers["engine-generation"]) == (200, "000002")
            assert "000003" not in response.text and '"generation": 3' not in response.text
        assert client.get(paths[0]).json()["generation"] == 3


def test_a_change_of_the_settings_changes_the_tag_and_the_answer(fresh: IndexFolder) -> None:
    with client_of(fresh.path) as client:
        path = "/api/v1/search?q=colchicine+gout&mode=hybrid"
        first = client.get(path)
        (fresh.path / "index.toml").write_text("[hybrid]\nweight = 0.1\n", encoding="utf-8")
        second = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert second.status_code == 200 and second.json()["query"]["weight"] == 0.1
        (fresh.path / "index.toml").write_text("[hybrid]\nweight = 0.2\n", encoding="utf-8")
        third = client.get(path)
        assert len({first.headers["etag"], second.headers["etag"], third.headers["etag"]}) == 3


def test_one_index_at_another_place_has_another_tag(library: IndexFolder, tmp_path: Path) -> None:
    shutil.copytree(library.path, tmp_path / "toy")
    with client_of(library.path) as one, client_of(tmp_path / "toy") as other:
        assert tag(one, "/api/v1/search?q=gout") != tag(other, "/api/v1/search?q=gout")


def test_where_files_lie_is_told_to_nobody(tmp_path: Path) -> None:
    fresh = IndexFolder(tmp_path / "indexes" / "toy")
    fresh.path.parent.mkdir()
    indexed(fresh, ({"id": "new", "title": "New"}, {"id": "gout", "title": "Gout"}), model=str(TOY_MODEL))
    night = {"started": "2026-11-24T01:00:00+00:00", "status": "failed", "seconds": 1.5, "generation": None}
    (fresh.path / "nightly.jsonl").write_text(json.dumps(night | {"error": f"{fresh.path}/x.ris: no RIS"}) + "\n")
    with client_of(fresh.path) as client:
        assert str(TOY_MODEL) in fresh.path.joinpath("generations/000001/manifest.json").read_text()
        (fresh.path / "index.toml").write_text("[hybrid]\nweight = 7\n", encoding="utf-8")
        asked = ("/api/v1/status", "/status", "/api/v1/search?q=gout&mode=hybrid", "/?q=gout&mode=hybrid",
                 "/?q=gout", "/search-record.json?q=gout", "/api/v1/record?id=new", "/metrics", "/api/v1/search?q=a&mesh_tree=Gout")  # fmt: skip
        for path in asked:
            text = client.get(path).text
            assert str(fresh.path.parent) not in text and str(TOY_MODEL.parent) not in text, path
        error_of(client.get("/api/v1/search?q=gout&mode=hybrid"), 500, "settings")
        (one,) = client.get("/api/v1/status").json()["indexes"]
        assert one["encoder"]["model"] == TOY_MODEL.name
        assert one["last_night"] == night | {
            "error": "the last line of nightly.jsonl, in the folder of the index, says why"
        }


def test_status_is_never_kept(client: TestClient, index: Index) -> None:
    response = client.get("/api/v1/status")
    assert response.headers["cache-control"] == "no-store" and "etag" not in response.headers
    toy, old = response.json()["indexes"]
    manifest = index.manifest
    assert (toy["index"], old["index"]) == ("toy", "old")
    assert (toy["generation"], toy["created"]) == (manifest.generation, manifest.created)
    assert (toy["abstracts"], toy["newest_source"]) == (len(index), "rows.jsonl")
    assert (toy["retracted"], toy["without_abstract"]) == (manifest.counts.retracted, manifest.counts.without_abstract)
    assert (toy["truncated"], toy["problem"]) == (manifest.counts.truncated, "") and toy["truncated"] > 0
    assert toy["encoder"]["fingerprint"] == manifest.encoder.fingerprint and toy["encoder"]["dim"] == 32
    assert (toy["recall"], old["recall"]) == (manifest.ann.recall if manifest.ann else None, None)
    assert [one["index"] for one in ok(client, "status", i="old")["indexes"]] == ["old"]
    error_of(client.get("/api/v1/status?i=nope"), 404, "unknown_index")


# Batches


def batch(client: TestClient, content: object) -> dict:
    """The answers to a batch."""
    response = client.post("/api/v1/batch", json=content)
    assert response.status_code == 200, response.text
    found = parsed(response.text)
    assert response.headers["engine-generation"] == f"{found['generation']:06d}"
    return found


def test_a_batch_answers_as_single_searches_do(client: TestClient, index: Index) -> None:
    queries: list[object] = [
        "gout",
        {"q": "pain", "n": 3, "offset": 1},
        {"q": "gout", "mode": "hybrid", "weight": 0.25, "retracted": False},
        {"q": "gout", "year": ["2031", "1995-1998"], "explain": True, "mode": None},
        {"q": "gout", "hide": []},
    ]
    found = batch(client, {"queries": queries, "n": 4, "has_abstract": True, "i": "toy"})
    assert (found["index"], found["generation"]) == ("toy", index.generation)
    filters = Filters(has_abstract=True)
    wanted = [
        Query("gout", top_k=4, filters=filters),
        Query("pain", top_k=3, offset=1, filters=filters),
        Query("gout", top_k=4, mode="hybrid", weight=0.25, filters=replace(filters, retracted=False)),
        Query("gout", top_k=4, explain=True, filters=replace(filters, years=((2031, 2031), (1995, 1998)))),
        Query("gout", top_k=4, filters=filters),
    ]
    for got, query in zip(found["answers"], wanted, strict=True):
        check_same(got, index.ask(query))
        assert "next" not in got


def test_null_in_a_query_of_a_batch_leaves_what_the_batch_says(client: TestClient) -> None:
    found = batch(client, {"queries": [{"q": "gout", "n": None, "mode": None}], "n": 4, "mode": "hybrid"})
    assert (found["answers"][0]["query"]["top_k"], found["answers"][0]["query"]["mode"]) == (4, "hybrid")


def bad_batch(client: TestClient, content: object) -> str:
    """The message of a batch that is refused."""
    began = time.monotonic()
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = client.post("/api/v1/batch", content=raw)
    assert time.monotonic() - began < QUICKLY
    return error_of(response, 400, "bad_request")


def test_a_bad_query_of_a_batch_is_named_by_its_number(client: TestClient) -> None:
    def message(bad: object) -> str:
        return bad_batch(client, {"queries": ["gout", {"q": "pain"}, bad, "last"]})

    for bad, said in (
        ({"q": "x", "n": 0}, "n is '0', expected a whole number from 1 to 1,000"),
        ({"q": "x", "modus": "a"}, "unknown parameter 'modus' (did you mean mode?)"),
        ({"n": 3}, "q is missing or blank"),
        ("", "q is missing or blank"),
        ("   ", "q is missing or blank"),
        (7, "expected a text or an object"),
        (None, "expected a text or an object"),
        (["a"], "expected a text or an object"),
        ({"q": {"a": 1}}, "q contains dict, expected texts, numbers, true or false"),
        ({"q": ["a", "b"]}, "q has 2 values, expected 1 at most"),
        ({"q": "x", "year": [["2000"]]}, "year contains list"),
        ({"q": "x", "i": "toy"}, "unknown parameter 'i'"),
        ({"q": "x", "year": "then"}, "'then' is not a range of years"),
        ({"q": "x", "weight": float("nan")}, "weight is 'nan'"),
        ({"q": "x", "n": 2**70}, "n is '1180591620717411303424'"),
        ({"q": "x", "n": 10.5}, "n is '10.5'"),
        ({"q": "x" * (MAX_TEXT + 1)}, f"q has {MAX_TEXT + 1:,} characters, expected {MAX_TEXT:,} at most"),
    ):
        assert message(bad).startswith(f"query 3 of the batch: {said}")


@pytest.mark.parametrize(
    ("bad", "status"),
    [({"q": "x", "where": "year >"}, 400), ({"q": "\x00"}, 400), ({"q": "+", "mode": "keyword"}, 400),
     ({"q": "x", "like": "nope"}, 404)],
)  # fmt: skip
def test_a_query_of_a_batch_that_the_index_refuses_is_named_by_its_number(
    client: TestClient, bad: object, status: int
) -> None:
    response = client.post("/api/v1/batch", json={"queries": ["gout", bad, "pain"]})
    assert response.status_code == status
    assert "query 2 of the batch" in response.json()["error"]["message"]


def test_a_body_that_is_no_batch_is_refused(client: TestClient) -> None:
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 30_000, b"{}", b"[]", b"null", b'"a"', b'{"queries": []}',
                b'{"queries": "gout"}', b'{"queries": {"q": "gout"}}', b'{"queries": null}'):  # fmt: skip
        assert 'expected {"queries": [' in bad_batch(client, raw)
    assert "unknown parameter 'quries'" in bad_batch(client, {"queries": ["a"], "quries": 3})
    assert "unknown parameter 'q'" in bad_batch(client, {"queries": ["a"], "q": "b"})
    assert "n is '0'" in bad_batch(client, {"queries": ["a"], "n": 0})
    error_of(client.post("/api/v1/batch", json={"queries": ["a"], "i": "nope"}), 404, "unknown_index")


def test_a_batch_has_limits(client: TestClient) -> None:
    assert len(batch(client, {"queries": ["gout"] * 64})["answers"]) == 64
    assert "has 65 queries, expected 64 at most" in bad_batch(client, {"queries": ["gout"] * 65})
    assert len(batch(client, {"queries": ["gout"] * 10, "n": 1000})["answers"]) == 10
    assert "ask for 10,001 hits in total, expected 10,000 at most" in bad_batch(
        client, {"queries": ["gout"] * 10 + [{"q": "a", "n": 1}], "n": 1000}
    )
    many = {"queries": ["gout"] * 10, "n": 10, "explain": True}
    assert all(hit["why"] for answer in batch(client, many)["answers"] for hit in answer["hits"])
    assert "ask for 101 explained hits in total, expected 100 at most" in bad_batch(
        client, {**many, "queries": [*["gout"] * 9, {"q": "pain", "n": 11}, {"q": "a", "explain": False, "n": 50}]}
    )
    response = client.post("/api/v1/batch", content=b" " * (64 * 1024 + 1))
    error_of(response, 413, "body_too_long")
    padded = b'{"queries": ["gout"]}'.ljust(64 * 1024)
    assert client.post("/api/v1/batch", content=padded).status_code == 200


def test_half_a_character_in_a_body_stops_nothing(client: TestClient) -> None:
    for raw, status in (
        (rb'{"queries": ["gout \ud800"]}', 200),
        (rb'{"queries": ["gout \udcff"], "mode": "keyword"}', 200),
        (rb'{"queries": [{"q": "gout", "hide": "\udfff", "explain": true}]}', 200),
        (rb'{"queries": ["gout"], "ids": ["\ud800", "toy-01"]}', 200),
        (rb'{"queries": ["gout"], "where": "journal = \ud800"}', 200),
        (rb'{"queries": ["gout"], "journal": "\ud800", "author": "\ud800", "source": "\ud800"}', 200),
        (rb'{"queries": ["\ud800"], "\ud800": 1}', 400),
        (rb'{"queries": [{"q": "a", "\ud800": 1}]}', 400),
        (rb'{"queries": [{"q": "a", "mode": "\ud800"}]}', 400),
        (rb'{"queries": [{"q": "a", "where": "\ud800"}]}', 400),
        (rb'{"queries": [{"q": "a", "year": "\ud800"}]}', 400),
        (rb'{"queries": [{"q": "a", "n": "\ud800"}]}', 400),
        (rb'{"queries": [{"q": "a", "like": "\ud800"}]}', 404),
        (rb'{"queries": ["a"], "i": "\ud800"}', 404),
    ):
        response = client.post("/api/v1/batch", content=raw)
        assert response.status_code == status, (raw, response.text)
        parsed(response.content.decode("utf-8"))


# Refusals


def test_an_unknown_parameter_is_refused_with_the_nearest_known_one(client: TestClient) -> None:
    message = refused(client, "search", q="gout", jurnal="Gut")
    assert message.startswith("unknown parameter 'jurnal' (did you mean journal?). Known parameters: i, q, like")
    assert "did you mean" not in refused(client, "search", q="gout", zzzzzz="1")
    for path in ("search", "similar", "record", "new", "status"):
        assert "unknown parameter 'zzz'" in refused(client, path, zzz="1")
    assert "unknown parameter 'since'" in refused(client, "search", q="gout", since="2")
    assert refused(client, "search", ("a" * 5000, "1")).startswith(f"unknown parameter {'a' * 80!r}.")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("n", ("0", "-1", "1001", "1000000000", str(2**63), str(2**64 + 1), "NaN", "x", "1e3", "1.0", "0x10", "١")),
        ("offset", ("-1", "10000", str(2**63), "1e3", "NaN", "inf")),
        ("weight", ("-0.1", "1.1", "NaN", "inf", "-inf", "1e400", "x")),
        ("diversify", ("2", "nan", "half")),
        ("min_score", ("-1.5", "NaN", "1e3", "Infinity")),
        ("mode", ("Semantic", "x", " keyword", "\x00")),
        ("fusion", ("x",)),
        ("group_by", ("x", "Mesh", "year:asc")),
        ("sort", ("x", "pmid", "year:up", "relevance:asc")),
        ("explain", ("yes", "2", "NaN")),
        ("retracted", ("maybe", "None")),
        ("year", ("x", "20", "2003-1998", "1e3", "NaN", "-", str(2**63), "1998--2003")),
        ("where", ("(", "year >", "nonsense = 3", "year >= 99999999999999999999999", "(" * 4000)),
        ("journal", ("x" * 501,)),
        ("q", ("x" * (MAX_TEXT + 1),)),
    ],
)
def test_a_value_that_can_not_be_is_refused_at_once(client: TestClient, name: str, values: tuple[str, ...]) -> None:
    for value in values:
        pairs = [("q", "gout"), (name, value)] if name != "q" else [(name, value)]
        assert refused(client, "search", *pairs)


def test_a_refusal_says_what_was_found_and_what_was_expected(client: TestClient) -> None:
    assert refused(client, "search", q="a", n="0") == "n is '0', expected a whole number from 1 to 1,000"
    assert refused(client, "search", q="a", weight="x") == "weight is 'x', expected a number from 0 to 1"
    assert refused(client, "search", q="a", mode="x") == "mode is 'x', expected one of semantic, keyword, hybrid"
    assert refused(client, "search", q="a", explain="x") == "explain is 'x', expected true or false"
    assert refused(client, "search", ("q", "a"), ("q", "b")) == "q has 2 values, expected 1 at most"
    assert len(refused(client, "search", q="a", n="9" * 400)) < 200


def test_too_many_values_are_refused(client: TestClient) -> None:
    for name, most in (("year", 100), ("journal", 100), ("like", 100), ("ids", 1000), ("hide", 1000)):
        value = "2000" if name == "year" else "toy-01"
        assert client.get("/api/v1/search", params=[("q", "a")] + [(name, value)] * most).status_code == 200
        message = refused(client, "search", ("q", "a"), *[(name, value)] * (most + 1))
        assert message == f"{name} has {most + 1:,} values, expected {most:,} at most"
    # 10,000 of them
    response = client.get("/api/v1/search?" + "q=&" * 10_000)
    assert error_of(response, 400, "bad_request").startswith(
        "the request has too many parameters, expected 1,200 at most"
    )
    few = [("ids", "toy-01")] * 1000 + [("hide", "toy-02")] * 199
    assert client.get("/api/v1/search", params=[("q", "a"), *few]).status_code == 200
    assert "has too many parameters, expected 1,200 at most" in refused(client, "search", ("q", "a"), *few, ("n", "3"))
    assert "expected 100 at most" in bad_batch(
        client, {"queries": [{"q": "a", "year": ["1"] * 10}], "mesh": ["a"] * 101}
    )
    assert "'1' is not a range" in bad_batch(client, {"queries": ["a"], "year": ["1"] * 100})
    assert "has too many parameters, expected 1,200 at most" in bad_batch(
        client, {"queries": ["a"], "year": ["1999"] * 7_000}
    )


def test_nothing_asked_is_refused(client: TestClient) -> None:
    for pairs in ((), (("q", ""),), (("q", "  "),), (("year", "2000"),), (("unlike", "toy-01"),)):
        assert refused(client, "search", *pairs)


def test_odd_texts_are_searched_like_any_other(client: TestClient) -> None:
    for text in ("<script>", "a\x00b", "a\ufffd", "\u202eab", '"a', "'; DROP TABLE abstracts; --", "title:a", "a*",
                 "-a b", "NEAR(a b)", "{{7*7}}", "a AND OR NOT", "a\n\tb", "a" * MAX_TEXT, "a " * (MAX_TEXT // 2)):  # fmt: skip
        for mode in ("semantic", "keyword", "hybrid"):
            response = client.get("/api/v1/search", params={"q": text, "mode": mode})
            assert response.status_code == 200, (text, mode, response.text)
            assert parsed(response.text)["query"]["text"] == text  # type: ignore[index]
    for raw in ("q=a%ED%A0%80", "q=a%FF%FE", "q=a%", "q=%zz", "q=a&hide=%ED%A0%80", "q=a&journal=%FF"):
        assert client.get(f"/api/v1/search?{raw}").status_code == 200


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ["\ufffd", "\u200b", "\u202e", "\xad", "\x00", "\n\t", "\x7f"])
def test_a_text_without_a_word_is_a_bad_request_and_no_failure(client: TestClient, text: str, mode: str) -> None:
    code = "unreadable_query" if mode != "keyword" and clean_text(text) else "bad_request"
    error_of(client.get("/api/v1/search", params={"q": text, "mode": mode}), 400, code)
    told = error_of(client.post("/api/v1/batch", json={"queries": ["gout", text], "mode": mode}), 400, code)
    assert told.startswith("query 2 of the batch: ")


def test_a_tree_of_headings_that_is_not_there_is_told(client: TestClient) -> None:
    message = error_of(client.get("/api/v1/search?q=gout&mesh_tree=Gout"), 400, "no_mesh_tree")
    assert "MeSH tree" in message


ROUTES = ("/", "/record", "/status", "/watch", "/watch/feed.atom", "/map", "/map/points", "/map/at", "/export", "/search-record.json",
          "/api/v1/search", "/api/v1/similar", "/api/v1/record", "/api/v1/new", "/api/v1/status",
          "/api/v1/openapi.json", "/healthz", "/readyz", "/metrics", "/static/page.js")  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
def test_nothing_can_be_written(client: TestClient, path: str) -> None:
    for method in ("PUT", "DELETE", "PATCH", "POST", "OPTIONS", "TRACE", "PROPFIND"):
        response = client.request(method, path, content=b"" if method == "OPTIONS" else b"x")
        assert response.status_code == 405, (method, response.text)
        if not path.startswith("/static"):
            assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
        if path.startswith("/api/"):
            error_of(response, 405, "method_not_allowed")


def test_a_batch_is_posted_and_nothing_else(client: TestClient) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        response = client.request(method, "/api/v1/batch")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_what_is_not_there_is_404_in_json(client: TestClient) -> None:
    for path in ("/api/v1/nope", "/api/v1/", "/api/v2/search", "/api/v1/search/", "/api/v1/record/toy-01"):
        error_of(client.get(path), 404, "not_found")


def test_the_server_says_that_it_lives_and_is_ready(client: TestClient, index: Index) -> None:
    assert (client.get("/healthz").status_code, client.get("/healthz").text) == (200, "ok\n")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.text) == (200, f"toy {index.generation:06d}\nold 000001\n")


def test_a_server_whose_files_were_cut_off_is_not_ready_and_says_so(fresh: IndexFolder) -> None:
    with client_of(fresh.path) as client:
        assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "toy 000002\n")
        vectors = segment_of(fresh, 2).vectors
        vectors.chmod(0o644)
        vectors.write_bytes(b"")
        assert (client.get("/readyz").status_code, client.get("/readyz").text) == (503, "toy 000002 damaged\n")
        error_of(client.get("/api/v1/search?q=gout"), 500, "damaged")


def test_head_has_the_headers_of_get_and_no_body(client: TestClient) -> None:
    for path in ("/api/v1/search?q=gout", "/", "/healthz"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers.get("etag") == get.headers.get("etag")


def test_a_full_queue_is_503_and_says_when_to_ask_again(library: IndexFolder) -> None:
    with client_of(library.path, desk=Desk(workers=1, waiting=-1)) as client:
        for response in (
            client.get("/api/v1/search?q=gout"),
            client.post("/api/v1/batch", json={"queries": ["gout"]}),
        ):
            error_of(response, 503, "busy")
            assert response.headers["retry-after"] == "1"
        page = client.get("/?q=gout")
        assert (page.status_code, page.headers["retry-after"]) == (503, "1")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert client.get("/healthz").status_code == 200 and client.get("/api/v1/status").status_code == 200


def test_what_has_waited_too_long_is_given_up(library: IndexFolder) -> None:
    desk, free = Desk(workers=1, wait_seconds=0.05), threading.Event()
    with client_of(library.path, desk=desk) as client:
        desk.pool.submit(free.wait)
        try:
            assert "no worker was free within 0.05 seconds" in error_of(
                client.get("/api/v1/search?q=gout"), 503, "busy"
            )
        finally:
            free.set()
        assert client.get("/api/v1/search?q=gout").status_code == 200


def test_searches_go_on_beside_batches(library: IndexFolder) -> None:
    free, app = threading.Event(), build_app([library.path], build_access("127.0.0.1", PORT))
    with TestClient(app, base_url=BASE) as client, ThreadPoolExecutor(20) as pool:
        site = client.app.app.app.state.site
        n = site.batches.places
        assert (n, site.batches.workers) == (max(1, count_cores() // 2) + 4, max(1, count_cores() // 2))
        for _ in range(site.batches.workers):
            site.batches.pool.submit(free.wait)
        body = {"queries": ["gout"]}
        waiting = [pool.submit(client.post, "/api/v1/batch", json=body) for _ in range(n)]
        while site.batches.n_inside < n:
            time.sleep(0.01)
        assert client.get("/api/v1/search?q=gout").status_code == 200
        error_of(client.post("/api/v1/batch", json=body), 503, "busy")
        assert f"engine_requests_inside {n}.0" in client.get("/metrics").text
        free.set()
        assert [one.result().status_code for one in waiting] == [200] * n


def test_an_answer_that_nobody_waits_for_is_not_worked_out_to_its_end(
    library: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    fetch_hits = answer.fetch_hits

    def fetch_slowly(*args: Any, **more: Any) -> list[Hit]:
        begun.append("hits")
        time.sleep(max(0.0, deadline.CURRENT.get().latest - time.monotonic()) + 0.05)
        return fetch_hits(*args, **more)

    monkeypatch.setattr(answer, "fetch_hits", fetch_slowly)
    desk = Desk(workers=1, answer_seconds=1.5)  # the hits are reached within it, on a busy machine too
    with client_of(library.path, desk=desk) as client:
        response = client.post("/api/v1/batch", json={"queries": ["gout", "pain"] * 10, "explain": True, "n": 5})
        assert response.status_code == 503 and response.headers["retry-after"] == "1"
        while desk.n_inside:
            time.sleep(0.01)
    assert begun == ["hits"]


def test_there_are_as_many_workers_as_cores() -> None:
    desk = Desk()
    try:
        assert (desk.workers, desk.places) == (count_cores(), count_cores() + 64)
    finally:
        desk.close()


def test_two_indexes_of_one_name_are_refused(library: IndexFolder, tmp_path: Path) -> None:
    shutil.copytree(CURRENT, tmp_path / "toy")
    with (
        pytest.raises(UsageError, match=r"two indexes are named toy\. Serve them from two servers"),
        client_of(library.path, tmp_path / "toy"),
    ):
        pytest.fail("served")


def test_styles_and_scripts_are_kept_and_asked_about(client: TestClient) -> None:
    first = client.get("/static/style.css")
    assert first.headers["cache-control"] == "no-cache"
    assert client.get("/static/style.css", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
