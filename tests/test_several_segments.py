"""One history written as several segments and as one: every question must have the same answer.

The index of one segment is the oracle: it has no dead records and one file of each kind.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine import Filters, Query, open_index
from engine.errors import AbstractNotFoundError
from engine.index.generations.folder import IndexFolder
from engine.options import MODES, Mode
from engine.query.index import Index
from engine.reindex.generation.verify import verify
from engine.reindex.runs.rollback import roll_back
from engine.serve.work.drawing import draw_map_of
from engine.serve.work.facets import read_facets
from tests.conftest import TOY, TOY_MODEL, Command, command_environment, jsonl, spare_export
from tests.reindex.runs.test_update import RETRACTED, article, pubmed
from tests.serve.conftest import client_of

TEXTS = ("gout", "colchicine in gout", "knee pain and prednisone", "lupus")
MORE = (
    '<MeshHeadingList><MeshHeading><DescriptorName UI="D1">Gout</DescriptorName></MeshHeading></MeshHeadingList>'
    '<PublicationTypeList><PublicationType UI="D2">Review</PublicationType></PublicationTypeList>'
)
FILTERS = {
    "years": Filters(years=("1995-2010", "2024-")),
    "journal": Filters(journals=("*toys", "Gut")),
    "mesh": Filters(mesh=("gout",)),
    "authors": Filters(authors=("exam b", "doe")),
    "keywords": Filters(keywords=("urate",)),
    "languages": Filters(languages=("eng",)),
    "source": Filters(sources=("PubMed*", "second.jsonl")),
    "retracted": Filters(retracted=True),
    "not retracted": Filters(retracted=False),
    "abstract": Filters(has_abstract=True),
    "expression": Filters(where="year >= 2000 AND NOT journal = 'gut'"),
    "nothing": Filters(years=("1700",)),
}
SUFFIXES = ("ris", "nbib", "bib", "csv", "jsonl")
MASKED = (
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([+\d:.]*Z?| UTC)",  # when a generation was made
    r'(?<=nonce=")[^"]+',
    r"\d+(\.\d+)? (ms|s)\b",
)


@dataclass(frozen=True)
class Side:
    """An index of the same history."""

    place: Path  # where commands run
    folder: IndexFolder
    run: Callable[..., str]  # a command, as its output


def write_history(place: Path) -> list[tuple[str | Path, ...]]:
    """Write the files of the history; return the commands that read them, one for each generation."""
    place.mkdir()
    first = pubmed(
        place / "pubmed26n0001.xml",
        article(1, "Gout and beer", more=MORE),
        article(2, "Gout and wine", more=RETRACTED),
        article(3, "Knee pain"),
    )
    second = jsonl(
        place / "second.jsonl",
        [
            {"id": "toy-01", "title": "Colchicine in gout, revised", "abstract": "Anew.", "year": 2025},
            {"pmid": 1, "title": "Gout and beer", "abstract": "From another source.", "doi": "10.1000/a"},
            {
                "id": "new",
                "title": "A new trial in lupus",
                "journal": "Gut",
                "keywords": ["urate"],
                "languages": ["eng"],
            },
        ],
    )
    third = pubmed(
        place / "pubmed26n0002.xml",
        article(1, "Gout and stout", 2022, more=MORE),
        article(4, "Lupus nephritis"),
        deleted=[3],
    )
    fourth = jsonl(
        place / "fourth.jsonl",
        [
            {"id": "twin-a", "title": "Febuxostat in the gouty knee: a trial", "year": 2020, "authors": ["Doe, Ann"]},
            {"id": "twin-b", "title": "Febuxostat in the gouty knee: a trial.", "year": 2020, "authors": ["Doe, A"]},
        ],
    )
    fifth = jsonl(
        place / "fifth.jsonl",
        [{"id": "new", "title": "A new trial in lupus", "journal": "The Lancet", "authors": ["Doe, Ann"]}],
    )
    start = ("index", TOY, "-i", "toy", "-m", TOY_MODEL)
    return [start, *(("index", path, "-i", "toy") for path in (first, second, third, fourth, fifth))]


def make_side(engine: Command, place: Path, commands: list[tuple[str | Path, ...]], one_segment_below: int) -> Side:
    """Run the commands on a new index."""
    folder = spare_export(IndexFolder(place / "indexes" / "toy"))
    (folder.path / "index.toml").write_text(f"one_segment_below = {one_segment_below}\nkeep_generations = 20\n")

    def run(*arguments: str | Path) -> str:
        done = engine(*arguments, env=command_environment(place), cwd=place)
        assert done.returncode == 0, done.stderr
        return mask(done.stdout, place)

    for command in commands:
        run(*command)
    run("duplicates", "--merge", "all", "--who", "ann")
    return Side(place, folder, run)


def mask(text: str, place: Path) -> str:
    """Return a text without times, the days of reading, and places."""
    now = datetime.now(UTC)
    for pattern in (*MASKED, *(f"{day:%Y-%m-%d}" for day in (now, now - timedelta(days=1)))):
        text = re.sub(pattern, "*", text)
    return text.replace(str(place), "PLACE")


@pytest.fixture
def commands(tmp_path: Path) -> list[tuple[str | Path, ...]]:
    """The commands that write the history."""
    return write_history(tmp_path / "files")


@pytest.fixture
def several(tmp_path: Path, engine: Command, commands: list[tuple[str | Path, ...]]) -> Side:
    """The history as several segments."""
    return make_side(engine, tmp_path / "several", commands, 0)


@pytest.fixture
def one(tmp_path: Path, engine: Command, commands: list[tuple[str | Path, ...]]) -> Side:
    """The history as one segment."""
    return make_side(engine, tmp_path / "one", commands, 50_000)


def list_ids(index: Index) -> list[str]:
    """List the ids of all records."""
    return [record.record_id for record in index.abstracts()]


def ask_everything(index: Index, modes: Sequence[Mode] = MODES) -> dict[str, object]:
    """Ask an index everything through the public API."""
    ids = list_ids(index)
    found: dict[str, object] = {"records": list(index.abstracts()), "length": len(index), "repr": repr(index)}
    for mode in modes:
        for text in TEXTS:
            query = Query(text, mode=mode, top_k=60)
            answer = index.ask(query)
            found[f"{mode} {text}"] = answer.hits
            found[f"{mode} {text} words"] = answer.verdict and (answer.verdict.n_holding, answer.verdict.missing)
            found[f"{mode} {text} evidence"] = answer.verdict and (answer.verdict.cosine, answer.verdict.share)
            found[f"{mode} {text} explained"] = index.ask(Query(text, mode=mode, top_k=5, offset=3, explain=True)).hits
            found[f"{mode} {text} diverse"] = index.ask(Query(text, mode=mode, top_k=8, diversify=0.5)).hits
            found[f"{mode} {text} new"] = index.new(text, since=3, mode=mode)
            located = index.locate(query, ids)
            found[f"{mode} {text} located"] = (located.answer.hits, located.absent, located.left_out)
            found[f"{mode} {text} known"] = index.recall(query, ids[::5])
            for name, filters in FILTERS.items():
                answer = index.ask(Query(text, mode=mode, filters=filters, top_k=60))
                found[f"{mode} {text} {name}"] = (answer.hits, answer.n_qualified)
        if mode != "keyword":  # which reads no examples
            asked = Query("gout", mode=mode, like=("toy-02", "PMID:1"), unlike=("new",), top_k=60)
            found[f"{mode} examples"] = index.ask(asked).hits
        found[f"{mode} batch"] = index.search_batch(TEXTS, top_k=7, mode=mode)
    for name, filters in FILTERS.items():
        found[f"records {name}"] = list(index.abstracts(filters))
    for record_id in ids:
        found[f"record {record_id}"] = (index.get(record_id), index.get_sources(record_id))
        found[f"similar {record_id}"] = index.similar(record_id, top_k=60)
    found["facets"] = read_facets(index)
    drawing = draw_map_of(index)
    points = drawing.dump_points(np.zeros(len(drawing.years), np.uint16))
    found["map"] = (points, drawing.names, drawing.map.doc_ids.tolist())
    return found


def list_word_hits(index: Index) -> dict[str, list[str]]:
    """List the ids of the records with words, without an order: BM25 counts dead records until they are merged away."""
    return {text: sorted(hit.id for hit in index.search(text, top_k=60, mode="keyword")) for text in TEXTS}


def run_everything(side: Side) -> dict[str, str]:
    """Run the commands that read an index."""
    commands: list[tuple[str, ...]] = [
        ("log", "--json"),
        ("log", "-n", "2"),
        *(("diff", str(old), str(new), "--json") for old in range(1, 8) for new in range(1, 8)),
        ("export", *(part for suffix in SUFFIXES for part in ("-o", f"all.{suffix}"))),
        ("export", "--mesh", "gout", "-o", "gout.jsonl"),
        ("flow", "--json"),
        ("flow",),
        ("duplicates", "--json", "--min-score", "0.1"),
        ("duplicates",),
        ("status", "--sources"),
        ("new", "gout", "--since", "1", "--nl"),
        ("show", "PMID:1"),
        ("show", "toy-01", "--json"),
        ("similar", "twin-a", "--nl"),
        ("verify", "--deep"),
    ]
    found = {" ".join(command): side.run(*command) for command in commands}
    found |= {path.name: path.read_text(encoding="utf-8") for path in side.place.glob("*.*")}
    found["status --sources"] = found["status --sources"].partition("  newest source")[2]  # the sizes differ
    return found


def read_pages(side: Side) -> dict[str, str]:
    """Read the pages that show records."""
    pages = ["/?q=gout&i=toy", "/?q=gout&mesh=gout", "/record?id=PMID:1&i=toy", "/?q=lupus&year=2000-"]
    pages += [f"/?q=gout&mode={mode}" for mode in MODES]
    with client_of(side.folder.path) as client:
        found = {page: client.get(page) for page in [*pages, "/api/v1/search?q=gout&n=50", "/map?i=toy"]}
    return {page: f"{answer.status_code} {mask(answer.text, side.place)}" for page, answer in found.items()}


def assert_same(several: Mapping[str, object], one: Mapping[str, object]) -> None:
    """Compare answers one by one, so that a failure names the question."""
    assert several.keys() == one.keys()
    assert [name for name in one if several[name] != one[name]] == []


def test_several_segments_answer_as_one(several: Side, one: Side) -> None:
    entries = several.folder.open_current().manifest.segments
    assert len(entries) >= 4 and any(entry.n_dead for entry in entries)
    (only,) = one.folder.open_current().manifest.segments
    assert only.n_dead == 0
    with open_index(several.folder.path) as first, open_index(one.folder.path) as second:
        assert_same(ask_everything(first), ask_everything(second))
        for index in (first, second):
            with pytest.raises(AbstractNotFoundError):
                index.get("PMID:3")
    assert_same(run_everything(several), run_everything(one))
    assert_same(read_pages(several), read_pages(one))


@pytest.mark.slow  # of 25 s, and `tests/reindex/test_histories.py` goes back, too
def test_every_generation_of_several_segments_answers_as_that_of_one(several: Side, one: Side) -> None:
    for number in reversed(one.folder.list_numbers()):
        for side in (several, one):
            roll_back(side.folder, number)
            assert verify(side.folder, side.folder.open_current(), deep=True) == []
        with open_index(several.folder.path) as first, open_index(one.folder.path) as second:
            assert first.generation == number
            assert list(first.abstracts()) == list(second.abstracts())
            for text in TEXTS:
                assert first.search(text, top_k=60) == second.search(text, top_k=60)
            for record in first.abstracts():
                assert first.get_sources(record.record_id) == second.get_sources(record.record_id)


def test_a_compacted_index_answers_as_before(several: Side) -> None:
    with open_index(several.folder.path) as index:
        before, words = ask_everything(index, ("semantic",)), list_word_hits(index)
        deleted = index.ask(Query("gout beer", mode="semantic")).verdict
        assert deleted is not None and deleted.missing == ("beer",)  # a word of a record that was changed
        assert "published" in several.run("compact", "toy")
        (only,) = several.folder.open_current().manifest.segments
        assert only.n_dead == 0 and index.refresh()
        assert_same(ask_everything(index, ("semantic",)) | {"repr": before["repr"]}, before)
        assert list_word_hits(index) == words
        verdict = index.ask(Query("gout beer", mode="semantic")).verdict
        assert verdict is not None and (verdict.missing, verdict.share) == (deleted.missing, deleted.share)
