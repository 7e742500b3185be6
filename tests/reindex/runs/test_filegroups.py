"""Publishing as a run goes: the same index, counts and report as those of one run, whatever stops it in between."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import ConfigError, NoRecordError, SourceError
from engine.index.generations.folder import IndexFolder
from engine.options import Filters, Query, parse_duration
from engine.query.index import open_index
from engine.records.generation import Counts
from engine.reindex.generation.order import Order, Report, RunStart
from engine.reindex.generation.verify import verify
from engine.reindex.intake.plan import Limits
from engine.reindex.runs import filegroups
from engine.reindex.runs.filegroups import make_generations
from engine.reindex.runs.run import index_sources
from tests.conftest import CURRENT, TOY_MODEL, Command, jsonl, order_of, silent

QUERIES = (
    *(Query("gout in the knee", mode=mode, top_k=20) for mode in ("semantic", "keyword", "hybrid")),
    Query("pain", filters=Filters(years=((2001, None),)), top_k=20),
    Query("+gout -knee", mode="keyword", top_k=20),
)
# Of the tables, what does not say when something was read.
TABLES = {
    "abstracts": "id, record_id, title, abstract, year, journal, pmid, doi, mesh, retracted, text_sha256",
    "contributions": "id, doc_id, own_id, format, source_id, spoken, version, revised, release, record",
    "sightings": "doc_id, file_id, reading, outcome, rule, n, origin",
    "terms": "kind, value",
}
LEDGER = (
    "id, name, path, sha256, format, file_id, n_records, rejected, repeated, merged, unchanged, added, text_changed, "
    "metadata_changed, outdated, withdrawn, deletions"
)


def write_files(place: Path) -> list[Path]:
    """Files with records of each other: new, repeated, merged by PMID, DOI and text, changed, deleted and rejected."""
    rows: list[list[dict[str, Any]]] = [
        [{"id": "empty"}],
        [{"id": f"a{n}", "pmid": str(n), "title": f"Gout {n}", "year": 2000 + n} for n in range(1, 5)]
        + [{"id": "a1", "pmid": "1", "title": "Gout 1", "year": 2001}, {"id": "none"}],
        [
            {"id": "b1", "pmid": "1", "title": "Gout 1, revised", "abstract": "Knee pain.", "retracted": True},
            {"id": "b2", "doi": "10.1000/x", "title": "Knee", "abstract": "Pain of the knee in an old trial."},
        ],
        [
            {"id": "c2", "doi": "10.1000/X", "pmid": "22", "title": "Knee", "mesh": ["Knee"], "journal": "Gut"},
            {"id": "c3", "title": "Lupus", "abstract": "Colchicine for lupus."},
            {"id": "c4", "title": "Gout 4", "pmid": "4", "doi": "10.1000/x"},
        ],
        [{"id": "d", "title": ""}],
    ]
    files = [jsonl(place / f"{n}.jsonl", each) for n, each in enumerate(rows)]
    article = "<PubmedArticle><MedlineCitation><PMID Version='{v}'>{pmid}</PMID><Article><ArticleTitle>{title}"
    article += "</ArticleTitle><Abstract><AbstractText>Gout and pain.</AbstractText></Abstract></Article>"
    article += "</MedlineCitation></PubmedArticle>"
    contents = (
        article.format(v=2, pmid=3, title="Gout 3, second version") + article.format(v=1, pmid=77, title="New"),
        "<DeleteCitation><PMID>2</PMID><PMID>99</PMID></DeleteCitation>" + article.format(v=1, pmid=3, title="Gout 3"),
        article.format(v=1, pmid=77, title="New, corrected") + article.format(v=1, pmid=78, title="Newer"),
        article.format(v=1, pmid=77, title="New") + "<DeleteCitation><PMID>78</PMID></DeleteCitation>",
    )
    updates = [place / f"pubmed26n{n:04}.xml" for n in range(1, 5)]
    for path, content in zip(updates, contents, strict=True):
        path.write_text(f"<PubmedArticleSet>{content}</PubmedArticleSet>")
    again = jsonl(place / "6.jsonl", [{"id": "a2", "pmid": "2", "title": "Gout 2"}, {"id": "e", "title": "Gout e"}])
    return [*files, *updates, again]


def build(folder: IndexFolder, files: list[Path], every: str | None) -> Report:
    if not folder.path.exists():
        shutil.copytree(CURRENT / "encoders", folder.path / "encoders")  # spares the export
    order = order_of(*files, model=str(TOY_MODEL), publish_every=every, keep_generations=99, one_segment_below=99)
    return index_sources(folder, order, silent, make_generations)


def describe(folder: IndexFolder) -> dict[str, Any]:
    """What an index holds and answers, but for the generations in which that came about."""
    generation = folder.open_current()
    assert verify(folder, generation, deep=True) == []
    found: dict[str, Any] = {}
    (segment,) = generation.segments
    for path, tables in ((segment.files.database, TABLES), (generation.state, {"sources": LEDGER, "deletions": "*"})):
        with closing(sqlite3.connect(path)) as connection:
            for table, columns in tables.items():
                rows = connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
                found[table] = [row[:2] for row in rows] if table == "deletions" else rows
            if path == generation.state:
                sql = "SELECT source, place, reason FROM rejections"
                found["rejections"] = connection.execute(sql).fetchall()
    with open_index(folder.path) as index:
        for query in QUERIES:
            hits = index.ask(query).hits
            # Scores of words count records that died meanwhile, until the words are merged.
            found[repr(query)] = sorted((hit.id, hit.title, hit.score) for hit in hits)
        found["similar"] = [(hit.id, hit.score) for hit in index.ask(Query(like=("a3",), top_k=9)).hits]
    return found


def flatten(report: Report) -> Report:
    """A report without what depends on time and on the number of generations."""
    readings = tuple(replace(reading, generation=1) for reading in report.readings)
    encodings = tuple(replace(each, last=1, texts_per_s=None, texts=0) for each in report.encodings)
    counts = replace(report.counts, encoded=0)  # a text that a later file changes was encoded in between
    return replace(report, generation=1, seconds=0, readings=readings, encodings=encodings, counts=counts, notes=())


def test_groups_of_files_give_the_index_and_the_report_of_one_run(tmp_path: Path) -> None:
    files = write_files(tmp_path)
    plain, parts = IndexFolder(tmp_path / "plain"), IndexFolder(tmp_path / "parts")
    whole = build(plain, files, None)
    joined = build(parts, files, "0s")  # each file alone; the first one waits for the second
    assert (plain.list_numbers(), parts.list_numbers()) == ([1], list(range(1, 10)))
    assert flatten(joined) == flatten(whole)
    assert joined.counts.encoded > whole.counts.encoded
    assert whole.counts.added == whole.counts.abstracts > 6 and whole.counts.rejected == 3
    assert describe(parts) == describe(plain)
    sizes = [parts.check(number).manifest.counts.abstracts for number in parts.list_numbers()]
    assert sizes[0] == 4 and sizes[-1] == whole.counts.abstracts


@pytest.mark.parametrize("every", ["0s", None])
def test_a_run_stopped_between_groups_continues_to_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str | None
) -> None:
    files = write_files(tmp_path)
    plain, parts = IndexFolder(tmp_path / "plain"), IndexFolder(tmp_path / "parts")
    build(plain, files, None)
    made, real = [], filegroups.make_generation

    def stop(*args: Any) -> Report:
        if len(made) == 4:  # the first waited
            raise KeyboardInterrupt
        made.append(args)
        return real(*args)

    monkeypatch.setattr(filegroups, "make_generation", stop)
    with pytest.raises(KeyboardInterrupt):
        build(parts, files, "0s")
    assert parts.list_numbers() == [1, 2, 3]
    with open_index(parts.path) as index:
        assert [hit.id for hit in index.ask(Query("gout", mode="keyword")).hits]
    monkeypatch.undo()
    resumed = build(parts, files, every)
    assert describe(parts) == describe(plain)
    assert (resumed.known, [reading.counts.read for reading in resumed.readings]) == (4, [1, 2, 1, 2, 1, 2])
    assert resumed.counts.abstracts == plain.open_current().manifest.counts.abstracts
    later = build(parts, [jsonl(tmp_path / "later.jsonl", [{"id": "later", "title": "Later"}])], every)
    assert (later.known, later.counts.added) == (0, 1)


def test_as_many_files_as_the_time_allows_are_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [jsonl(tmp_path / f"{n}.jsonl", [{"id": str(n), "title": "Gout"}]) for n in range(9)]
    now, groups = [0.0], list[int]()

    def make(folder: IndexFolder, order: Order, current: object, progress: object) -> Report:
        groups.append(len(order.everything))
        now[0] += 10 * groups[-1]
        counts = Counts(sum(groups), 0, 0, 0, 0, added=groups[-1], text_changed=1, encoded=groups[-1])
        return Report(len(groups), True, counts, (), (("odd", 2, f"place {len(groups)}"),), 1.5)

    monkeypatch.setattr(filegroups, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(filegroups, "make_generation", make)
    monkeypatch.setattr(filegroups, "open_current", lambda folder: None)
    monkeypatch.setattr(filegroups, "_read_readings", lambda generation: ())
    order = order_of(*files, publish_every="30s")
    report = make_generations(IndexFolder(tmp_path), order, None, silent)
    assert groups == [1, 3, 3, 2]
    assert (report.generation, report.seconds, report.remarks) == (4, 6.0, (("odd", 8, "place 1"),))
    assert (report.counts.abstracts, report.counts.added, report.counts.text_changed) == (9, 9, 0)
    groups.clear()
    current: Any = SimpleNamespace()  # an index that was there before: sums
    monkeypatch.setattr(filegroups, "_find_start", lambda order, current: (RunStart(5, 9), order.everything))
    assert make_generations(IndexFolder(tmp_path), order, current, silent).counts.text_changed == 4
    for whole in (replace(order, limits=Limits(0.1, 0.1, "")), replace(order, re_encode=True)):
        groups.clear()
        make_generations(IndexFolder(tmp_path), whole, current, silent)
        assert groups == [9]


def test_an_error_says_what_was_published_before(tmp_path: Path) -> None:
    files = write_files(tmp_path)[1:3]
    broken = tmp_path / "broken.xml"
    broken.write_text("<PubmedArticleSet><PubmedArticle>")
    folder = IndexFolder(tmp_path / "parts")
    with pytest.raises(
        SourceError, match=r"broken.xml.*\. The first 2 files of this run are published; the same command"
    ):
        build(folder, [*files, broken], "0s")
    assert folder.list_numbers() == [1, 2]
    with pytest.raises(
        NoRecordError, match=r"^0.jsonl, 4.jsonl: no record that can be indexed, so nothing was published"
    ):
        build(IndexFolder(tmp_path / "none"), [tmp_path / "0.jsonl", tmp_path / "4.jsonl"], "0s")


@pytest.mark.parametrize("text", ["10", "m", "-1m", "1.5h", "10 m", ""])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^publish_every is '{text}', expected a whole number with s, m or h"):
        parse_duration(text, "publish_every")


def test_the_option_is_of_both_commands(tmp_path: Path, engine: Command) -> None:
    files = write_files(tmp_path)[1:3]
    shutil.copytree(CURRENT / "encoders", tmp_path / "indexes" / "a" / "encoders")
    shutil.copytree(CURRENT / "encoders", tmp_path / "indexes" / "b" / "encoders")
    done = engine("index", *files, "-i", "a", "-m", TOY_MODEL, "--publish-every", "0s", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["generation"] == 2, done.stderr
    assert engine("init", "b", *files).returncode == 0
    done = engine("reindex", "b", "-m", TOY_MODEL, "--publish-every", "0s", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["generation"] == 2, done.stderr
    refused = engine("index", *files, "-i", "a", "--publish-every", "soon")
    assert refused.returncode == 1 and "publish_every is 'soon'" in refused.stderr
