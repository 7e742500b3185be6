"""Files of hits, of one record, and of a search."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from engine import Filters, Index, open_index
from engine.collect.source import read_source
from engine.index.generations.folder import IndexFolder
from engine.options import MODES, Mode, Query
from engine.query.rerun import rerun
from engine.query.searchlog import read_record
from engine.records.abstract import Abstract
from engine.records.answer import Hit
from engine.references.formats import FORMATS, render_records
from engine.references.values.citation import Cited
from engine.references.values.fields import COLUMNS
from tests.serve.pages.test_handlers import exported, ids, only, page, sent_by, texts


def cited(index: Index, query: Query) -> list[Cited]:
    """The hits of a query with their records."""
    hits = index.ask(query).hits
    return [Cited(hit, record) for hit, record in zip(hits, index.get_records(hits), strict=True)]


def read_back(tmp_path: Path, raw: bytes, name: str) -> list[str]:
    """The titles in a file, read with the engine's own reader."""
    (tmp_path / name).write_bytes(raw)
    return [entry.title for entry in read_source(tmp_path / name, None) if isinstance(entry, Abstract)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_holds_the_hits_of_the_page(client: TestClient, index: Index, tmp_path: Path, suffix: str) -> None:
    raw, name = exported(client, f"/export?q=gout&n=20&offset=3&year=1991-&format={suffix[1:]}")
    query = Query("gout", top_k=20, offset=3, filters=Filters(years=((1991, None),)))
    hits = cited(index, query)
    assert name == f"toy-000003{suffix}" and len(hits) == 20
    if suffix != ".xlsx":  # which notes when it was made
        assert raw == b"".join(render_records(suffix, hits, f"gout (generation {index.generation:06d})"))
    titles = [one.record.title for one in hits]
    if suffix == ".xlsx":
        import openpyxl

        (tmp_path / name).write_bytes(raw)
        book = openpyxl.load_workbook(tmp_path / name)
        assert [row[COLUMNS.index("title")] for row in book.active.values][1:] == titles
        book.close()
    elif suffix == ".md":
        assert raw.decode().startswith("# gout (generation 000003)\n") and all(
            title in raw.decode() for title in titles
        )
    elif suffix in (".vancouver.txt", ".apa.txt"):
        assert all(title in line for title, line in zip(titles, raw.decode().splitlines(), strict=True))
    elif suffix == ".json":
        assert [row["title"] for row in json.loads(raw)] == titles
    else:
        assert read_back(tmp_path, raw, name) == titles


def test_each_kind_of_file_says_what_it_is(client: TestClient) -> None:
    kinds = {"ris": "application/x-research-info-systems; charset=utf-8", "bib": "application/x-bibtex; charset=utf-8",
             "nbib": "application/nbib; charset=utf-8", "csv": "text/csv; charset=utf-8",
             "tsv": "text/tab-separated-values; charset=utf-8", "json": "application/json",
             "jsonl": "application/jsonl", "md": "text/markdown; charset=utf-8",
             "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}  # fmt: skip
    for name, kind in kinds.items():
        response = client.get(f"/export?q=gout&format={name}")
        assert response.status_code == 200 and response.headers["content-type"] == kind
    shown = page(client, "/", ("q", "gout"))
    assert shown.xpath("//select[@id='format']/option/@value") == [suffix[1:] for suffix in FORMATS]
    told = texts(shown, "//select[@id='format']/option")
    assert told[0] == "RIS: Zotero, EndNote, Rayyan, Covidence" and all(": " in one for one in told)


def test_ticked_hits_and_the_first_ones_can_be_had_alone(client: TestClient) -> None:
    def rows(path: str) -> list[str]:
        return [json.loads(line)["id"] for line in exported(client, path)[0].splitlines()]

    ranked = rows("/export?q=gout&n=46&format=jsonl")
    assert rows(f"/export?q=gout&format=jsonl&offset=20&tick={ranked[30]}&tick={ranked[2]}") == [ranked[2], ranked[30]]
    assert rows(f"/export?q=gout&format=jsonl&n=5&offset=20&top=30&tick={ranked[2]}") == ranked[:30]
    assert rows("/export?q=gout&format=jsonl&n=5&offset=20") == ranked[20:25]
    ticks = "".join(f"&tick={one}" for one in ranked)
    assert rows(f"/export?q=gout&format=jsonl{ticks}") == ranked


def test_the_form_below_the_hits_exports_the_same_search(client: TestClient, index: Index) -> None:
    shown = page(client, "/", ("q", "gout <b>"), ("year", "1991-2010"), ("mode", "hybrid"), ("n", 5), ("offset", 5))
    form = only(shown, "//form[@id='export']")
    assert form.get("action") == "/export"
    values = [pair for pair in sent_by(form) if pair[0] != "format"] + [("format", "jsonl")]
    raw, _ = exported(client, f"/export?{urlencode(values)}")
    query = Query("gout <b>", mode="hybrid", top_k=5, offset=5, filters=Filters(years=((1991, 2010),)))
    assert [json.loads(line)["id"] for line in raw.splitlines()] == [hit.id for hit in index.ask(query).hits]
    sizes = [one.get("value") for one in shown.xpath("//select[@id='top']/option")]
    assert sizes == ["", "100", "500", "1000"]
    assert texts(page(client, "/", ("q", "gout"), ("n", 100)), "//select[@id='top']/option") == [
        "ticked, or all 46 shown"
    ]


def test_an_export_that_makes_no_sense_is_refused(client: TestClient) -> None:
    for query in ("q=gout", "q=gout&format=doc", "q=gout&format=.ris", "format=ris", "q=gout&format=ris&top=0",
                  "q=gout&format=ris&top=1001", "q=gout&format=ris&zzz=1", "q=gout&format=ris&format=bib",
                  "q=gout&format=ris" + "&tick=a" * 1001):  # fmt: skip
        assert texts(page(client, f"/export?{query}", status=400), "//p[@role='alert']") != [""]


def test_a_file_that_is_held_is_not_made_again(client: TestClient) -> None:
    first = client.get("/export?q=gout&format=ris")
    held = client.get("/export?q=gout&format=ris", headers={"If-None-Match": first.headers["etag"]})
    assert (held.status_code, held.content) == (304, b"")
    assert client.get("/export?q=gout&format=bib").headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("more", [{}, {"diversify": 0.5}, {"filters": Filters(years=((1991, None),))}])
def test_ticked_hits_keep_the_ranks_and_scores_of_the_page(
    client: TestClient, index: Index, mode: Mode, more: dict[str, object]
) -> None:
    query = replace(Query("gout pain", mode=mode, top_k=40), **more)  # type: ignore[arg-type]
    hits = index.ask(query).hits
    chosen = [hits[place] for place in (len(hits) - 1, 2, len(hits) // 2)]
    asked = f"/export?q=gout+pain&mode={mode}&format=jsonl&n=5&offset=5"
    asked += "&diversify=0.5" * ("diversify" in more) + "&year=1991-" * ("filters" in more)
    rows = jsonl(client, asked + "".join(f"&tick={hit.id}" for hit in chosen))
    assert [stated(row) for row in rows] == [scored(hit) for hit in sorted(chosen, key=lambda hit: hit.rank)]


def jsonl(client: TestClient, path: str) -> list[dict[str, object]]:
    """The rows of a file."""
    return [json.loads(line) for line in exported(client, path)[0].splitlines()]


SCORES = ("score", "fused", "bm25", "semantic_rank", "keyword_rank")


def stated(row: dict[str, object]) -> tuple[object, ...]:
    """What a row says of rank and scores."""
    return (row["id"], row["rank"], *(row.get(name) for name in SCORES))


def scored(hit: Hit) -> tuple[object, ...]:
    """What it should say."""
    found = (getattr(hit, name) for name in SCORES)
    return (hit.id, hit.rank, *(pytest.approx(one, abs=1e-6) if isinstance(one, float) else one for one in found))


def test_ticks_that_are_no_hits_are_told_and_the_others_can_be_had(client: TestClient, index: Index) -> None:
    one, two, three = [hit.id for hit in index.ask(Query("gout", top_k=3)).hits]
    path = f"/export?q=gout&format=jsonl&n=20&offset=20&top=&tick={two}&tick=nope&tick={one}&hide={one}"
    shown = page(client, path, status=404)
    said = only(shown, "//p[@role='alert']").text_content()
    assert said == (
        "No file was made: 2 of the 3 ticked records are not hits of this search in generation 000003: "
        f"nope (no longer in the index); {one} (left out by a filter, a required word or the minimum score, or as an "
        "example, or ranked below the first 10,000)."
    )
    others, unfiltered, back = shown.xpath("//p[@class='ways']/a")
    assert (others.text, back.text) == ("Export the other", "Back to the hits")
    assert [row["id"] for row in jsonl(client, others.get("href"))] == [two]
    assert unfiltered.text == "Export without the filters"
    assert [(row["id"], row["rank"]) for row in jsonl(client, unfiltered.get("href"))] == [(one, 1), (two, 2)]
    gone = page(client, f"/export?q=gout&format=ris&min_score=0.1&tick={one}&tick=nope", status=404)
    assert texts(gone, "//p[@class='ways']/a") == ["Export the other", "Back to the hits"]
    path = f"/export?q=gout&format=jsonl&tick={one}&tick={two}&hide={one}&min_score=0.999"
    unfiltered = page(client, path, status=404).xpath("//p[@class='ways']/a")[0]
    assert [row["rank"] for row in jsonl(client, unfiltered.get("href"))] == [1, 2]
    assert ids(page(client, back.get("href"))) == [hit.id for hit in index.ask(
        Query("gout", top_k=20, offset=20, filters=Filters(hide=(one,)))).hits]  # fmt: skip
    (alone,) = page(client, "/export?q=gout&format=ris&tick=nope", status=404).xpath("//p[@class='ways']/a")
    assert alone.get("href") == "/?q=gout"
    many = "".join(f"&tick=gone-{n}" for n in range(9)) + f"&tick={two}&tick={three}"
    shown = page(client, f"/export?q=gout&format=ris{many}", status=404)
    assert (
        "9 of the 11 ticked records are not hits of this search in generation 000003: "
        "gone-0, gone-1, gone-2, gone-3, gone-4, … (no longer in the index)."
        in only(shown, "//p[@role='alert']").text_content()
    )
    assert shown.xpath("//p[@class='ways']/a")[0].text == "Export the 2 others"


def test_the_record_of_a_later_page_is_of_that_page(client: TestClient) -> None:
    shown = page(client, "/?q=gout&n=10&offset=20&explain=false")
    raw, name = exported(client, only(shown, "//details[@class='record']//a[@download]").get("href"))
    record = json.loads(raw)
    assert name == "search.json" and record["ids"] == ids(shown)
    assert (record["query"]["offset"], record["query"]["explain"]) == (20, False)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_file_of_a_record_holds_it_alone(client: TestClient, index: Index, tmp_path: Path, suffix: str) -> None:
    raw, name = exported(client, f"/record/export?id=10.1000/gut.1&format={suffix[1:]}")
    assert name == f"toy-000003{suffix}"
    (hit,) = [one for one in index.ask(Query("gout", mode="semantic", top_k=46)).hits if one.id == "gut"]
    whole = [Cited(replace(hit, rank=1, score=1.0), index.get("gut"))]
    if suffix != ".xlsx":  # which notes when it was made
        assert raw == b"".join(render_records(suffix, whole, "gut (generation 000003)"))
    if suffix not in (".xlsx", ".md", ".json", ".vancouver.txt", ".apa.txt"):
        assert read_back(tmp_path, raw, name) == ["Gout of the gut"]


def test_the_file_of_a_record_that_makes_no_sense_is_refused(client: TestClient) -> None:
    for query, status in (
        ("id=gut", 400),
        ("format=ris", 400),
        ("id=nope&format=ris", 404),
        ("id=gut&format=doc", 400),
    ):
        page(client, f"/record/export?{query}", status=status)


@pytest.mark.parametrize("more", ["", "&mode=hybrid&weight=0.3&year=1991-2010&hide=toy-01", "&min_score=0.5&n=7"])
def test_the_record_of_a_search_is_read_and_repeated_by_the_command_line(
    client: TestClient, library: IndexFolder, tmp_path: Path, more: str
) -> None:
    shown = page(client, f"/?q=gout{more}")
    address = only(shown, "//details[@class='record']//a[@download]").get("href")
    assert address == f"/search-record.json?q=gout{more}"
    raw, name = exported(client, address)
    (tmp_path / name).write_bytes(raw)
    record = read_record(tmp_path / name)
    assert (record.index, record.generation, list(record.ids)) == ("toy", 3, ids(shown))
    with open_index(library.path) as index:
        compared = rerun(record, index)
        assert compared.same and not compared.entered and not compared.left
    assert texts(page(client, "/search-record.json", status=400), "//p[@role='alert']")[0]
