import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.config import Settings, SourcePattern
from engine.corpus.storage.store import open_database
from engine.encode.execution.onnx import OnnxEncoder
from engine.errors import ConfigError, CorruptError, EncoderMismatchError, LockedError, MassChangeError, SourceError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.query.index import get_generation
from engine.records.encoder import Encoded
from engine.reindex.encoding import vectorise as vectorising
from engine.reindex.encoding.shards import count_shards
from engine.reindex.generation.order import Order, Report
from engine.reindex.generation.verify import verify
from engine.reindex.intake.plan import Plan
from engine.reindex.reports.history import format_event, read_history
from engine.reindex.runs import update as updating
from engine.reindex.runs.run import index_sources
from engine.reindex.runs.update import Request, plan_reindex, reindex
from tests.conftest import ROOT, TOY, TOY_MODEL, jsonl, order_of, silent
from tests.warmprocess import find_warm_process

Run = Callable[..., Report]
ARTICLE = (
    '<PubmedArticle><MedlineCitation><PMID Version="{version}">{pmid}</PMID><DateRevised><Year>{year}</Year>'
    "<Month>1</Month><Day>1</Day></DateRevised><Article><ArticleTitle>{title}</ArticleTitle></Article>{more}"
    "</MedlineCitation></PubmedArticle>"
)
RETRACTED = (
    '<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"><PMID>9</PMID></CommentsCorrections>'
    "</CommentsCorrectionsList>"
)


def article(pmid: int, title: str, year: int = 2020, version: int = 1, more: str = "") -> str:
    return ARTICLE.format(pmid=pmid, title=title, year=year, version=version, more=more)


def pubmed(path: Path, *articles: str, deleted: Sequence[int] = ()) -> Path:
    gone = "".join(f"<PMID>{pmid}</PMID>" for pmid in deleted)
    gone = f"<DeleteCitation>{gone}</DeleteCitation>" if gone else ""
    content = f"<PubmedArticleSet>{''.join(articles)}{gone}</PubmedArticleSet>".encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """The watched folder."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(toy: IndexFolder, inbox: Path) -> Settings:
    shutil.copy(TOY, inbox / "toy.jsonl")
    limits = {"max_deleted_share": 1.0, "max_changed_share": 1.0}
    return Settings(toy.path / "index.toml", (SourcePattern(str(inbox)),), device="cpu", **limits)  # type: ignore[arg-type]


@pytest.fixture
def run(toy: IndexFolder, settings: Settings) -> Run:
    def go(*, progress: Callable[..., None] = silent, **request: object) -> Report:
        return reindex(toy, settings, Request(**request), progress)  # type: ignore[arg-type]

    return go


def plan(toy: IndexFolder, settings: Settings, **request: object) -> Plan:
    return plan_reindex(toy, settings, Request(**request), silent)  # type: ignore[arg-type]


def tree(path: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and time of change, and every folder."""
    return {
        str(p.relative_to(path)): (p.read_bytes() if p.is_file() else b"", p.stat().st_mtime_ns)
        for p in path.rglob("*")
    }


def records(folder: IndexFolder) -> dict[str, str]:
    with open_index(folder.path) as index:
        return {hit.id: hit.title for hit in index.search("gout", top_k=1000)}


def vectors(folder: IndexFolder) -> dict[str, bytes]:
    with open_index(folder.path) as index:
        snapshot = get_generation(index)
        ids = snapshot.corpus.read_ids()
        rows = snapshot.corpus.fetch([int(i) for i in ids])
        return {rows[int(i)].record_id: snapshot.vectors.get_points(np.array([i])).tobytes() for i in ids}


def test_only_files_of_a_new_content_are_read(run: Run, inbox: Path, toy: IndexFolder) -> None:
    first = run()
    assert (first.published, first.files, first.known) == (False, (), 1)  # the fixture was made from toy.jsonl
    shutil.copy(inbox / "toy.jsonl", inbox / "copy.jsonl")
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    second = run()
    assert (second.published, second.files, second.known, second.counts.added) == (True, ("more.jsonl",), 2, 1)
    third = run()
    assert (third.published, third.generation, third.files, third.known) == (False, 2, (), 3)


def test_a_new_file_that_changes_no_record_is_remembered_all_the_same(run: Run, inbox: Path, toy: IndexFolder) -> None:
    rows = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
    jsonl(inbox / "again.jsonl", rows[:5])
    before = vectors(toy)
    first = run()
    assert (first.published, first.counts.unchanged, first.counts.encoded) == (True, 5, 0)
    assert vectors(toy) == before
    assert run().files == ()
    with open_index(toy.path) as index:
        assert index.new("gout", since=1) == []


def test_a_dry_run_touches_nothing_and_says_what_the_run_then_does(
    run: Run, inbox: Path, toy: IndexFolder, settings: Settings
) -> None:
    pubmed(inbox / "pubmed26n0001.xml.gz", article(1, "Gout"), article(2, "Lupus"), article(3, "Knee"))
    run()
    pubmed(
        inbox / "pubmed26n0002.xml.gz",
        article(1, "Gout, revised", 2021),
        article(2, "Lupus", 2021, more=RETRACTED),
        article(4, "New"),
        deleted=[3, 99],
    )
    before = tree(toy.path.parent)
    planned = plan(toy, settings)
    assert tree(toy.path.parent) == before
    done = run()
    assert [s.name for s in planned.files.read] == list(done.files) == ["pubmed26n0002.xml.gz"]
    counts = replace(planned.counts, truncated=done.counts.truncated)  # lengths are known after encoding
    assert counts == done.counts
    assert (counts.added, counts.text_changed, counts.metadata_changed, counts.deleted) == (1, 1, 1, 1)
    assert (counts.newly_retracted, counts.encoded) == (1, 2)
    assert dict(planned.examples)["deleted"] == ("PMID:3 (pubmed26n0002.xml.gz)",)


def test_a_dry_run_before_the_first_run_makes_no_folder(tmp_path: Path, settings: Settings) -> None:
    fresh = IndexFolder(tmp_path / "indexes" / "fresh")
    planned = plan(fresh, replace(settings, model=str(TOY_MODEL)))
    assert (planned.n_current, planned.counts.added, planned.counts.encoded) == (0, 40, 40)
    assert not fresh.path.exists()


def test_metadata_never_encodes_and_a_text_encodes_only_itself(
    run: Run, inbox: Path, toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    real = vectorising.encode_checked
    monkeypatch.setattr(vectorising, "encode_checked", lambda e, given: texts.extend(given) or real(e, given))
    before = vectors(toy)
    row = json.loads(TOY.read_text(encoding="utf-8").splitlines()[0])
    jsonl(inbox / "dated.jsonl", [row | {"year": 1800}])
    assert run().counts.metadata_changed == 1
    assert texts == []
    jsonl(inbox / "reworded.jsonl", [row | {"year": 1800, "title": "Reworded"}])
    assert run().counts.text_changed == 1
    assert len(texts) == 1 and texts[0].startswith("Reworded. ")
    after = vectors(toy)
    assert {key for key in before if before[key] != after[key]} == {"toy-01"}


def test_a_new_baseline_year_issues_everything_anew_and_encodes_nothing(run: Run, inbox: Path) -> None:
    rows = [article(n, f"Title {n}") for n in range(1, 9)]
    pubmed(inbox / "pubmed26n0001.xml.gz", *rows)
    pubmed(inbox / "pubmed26n0900.xml.gz", article(8, "Title 8, revised", 2022))
    run()
    pubmed(inbox / "pubmed27n0001.xml.gz", *rows[:7], article(8, "Title 8, revised", 2022))
    done = run()
    assert (done.counts.unchanged, done.counts.encoded, done.counts.text_changed) == (8, 0, 0)


def test_files_in_any_order_lead_to_one_state(tmp_path: Path, settings: Settings, inbox: Path) -> None:
    place = tmp_path / "files"
    place.mkdir()
    files = [
        pubmed(place / "pubmed26n0001.xml", article(1, "One"), article(2, "Two"), article(3, "Three")),
        pubmed(place / "pubmed26n0002.xml", article(1, "One, revised", 2021), deleted=[2]),
        pubmed(place / "pubmed26n0003.xml", article(1, "One, again", 2022), article(2, "Two, anew", 2022)),
        pubmed(place / "pubmed26n0004.xml", article(3, "Three", 2022, more=RETRACTED), deleted=[1]),
    ]
    states = []
    for number, order in enumerate(([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])):
        folder = IndexFolder(tmp_path / "indexes" / f"any{number}")
        for place_in_order in order:
            index_sources(
                folder, Order((files[place_in_order], TOY), IndexSettings(model=str(TOY_MODEL), device="cpu")), silent
            )
        found = records(folder)
        with open_index(folder.path) as index:
            retracted = {key: index.get(key).retracted for key in ("PMID:2", "PMID:3")}
        states.append(({k: v for k, v in found.items() if k.startswith("PMID")}, retracted))
    expected = {"PMID:2": "Two, anew", "PMID:3": "Three"}, {"PMID:2": False, "PMID:3": True}
    assert states == [expected] * 3


def test_the_guard_stops_a_run_that_would_delete_or_change_too_much(
    toy: IndexFolder, inbox: Path, settings: Settings
) -> None:
    strict = replace(settings, max_deleted_share=0.1, max_changed_share=0.1)
    pubmed(inbox / "pubmed26n0001.xml", *(article(n, f"Title {n}") for n in range(1, 11)))
    reindex(toy, strict, Request(), silent)
    pubmed(inbox / "pubmed26n0002.xml", deleted=range(1, 7))
    before = records(toy)
    with pytest.raises(MassChangeError, match=r"6 of 50 records \(12.0 %\) would be deleted.*--allow-mass-change"):
        reindex(toy, strict, Request(), silent)
    assert records(toy) == before and toy.read_current() == 2 and not toy.building.exists()
    assert "would be deleted" in str(plan(toy, strict).refusal)
    done = reindex(toy, strict, Request(allow_mass_change=True), silent)
    assert done.counts.deleted == 6


@pytest.mark.parametrize("vanish", ["the folder", "its files"])
def test_a_source_that_vanished_deletes_nothing(run: Run, inbox: Path, toy: IndexFolder, vanish: str) -> None:
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    run()
    before = tree(toy.path / "generations")
    shutil.rmtree(inbox)
    if vanish == "its files":
        inbox.mkdir()
    for request in ({}, {"full": True}):
        with pytest.raises(SourceError, match=r"Nothing was changed or deleted. Is its disk mounted"):
            run(**request)
    assert tree(toy.path / "generations") == before


def test_a_file_that_is_gone_keeps_its_records_even_in_a_full_run(run: Run, inbox: Path, toy: IndexFolder) -> None:
    more = jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    run()
    more.unlink()
    done = run(full=True)
    assert done.counts.deleted == 0 and "a" in records(toy)
    assert any("1 file read before but no longer present; the records stay" in note for note in done.notes)


def test_a_full_run_lets_go_of_what_a_file_no_longer_holds(run: Run, inbox: Path, toy: IndexFolder) -> None:
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}])
    run()
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    assert run().counts.deleted == 0 and "b" in records(toy)
    done = run(full=True)
    assert (done.counts.deleted, done.published) == (1, True)
    assert "a" in records(toy) and "b" not in records(toy)
    assert not run(full=True).published


def test_a_broken_file_stops_the_run_and_is_read_when_it_is_whole(run: Run, inbox: Path, toy: IndexFolder) -> None:
    whole = pubmed(inbox / "pubmed26n0001.xml.gz", article(1, "Gout"), article(2, "Lupus")).read_bytes()
    (inbox / "pubmed26n0001.xml.gz").write_bytes(whole[:-12])
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    with pytest.raises(SourceError, match=r"pubmed26n0001.xml.gz.* the gzip data ends early"):
        run()
    assert "a" not in records(toy) and toy.read_current() == 1
    (inbox / "pubmed26n0001.xml.gz").write_bytes(whole)
    assert run().counts.added == 3


def test_an_empty_file_stops_the_run(run: Run, inbox: Path) -> None:
    (inbox / "empty.jsonl").touch()
    with pytest.raises(SourceError, match="empty.jsonl is empty"):
        run()


def test_a_file_that_changes_while_it_is_read_stops_the_run(
    run: Run, inbox: Path, toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = jsonl(inbox / "more.jsonl", ({"id": f"a{n}", "title": "A"} for n in range(600)))
    size = path.stat().st_size

    def append(phase: str, done: int, total: int | None) -> None:
        if phase == "reading" and done == 500 and path.stat().st_size == size:
            with path.open("a") as file:
                file.write('{"id": "late", "title": "B"}\n')

    with pytest.raises(SourceError, match=r"more.jsonl was changed while it was read. Nothing was published"):
        run(progress=append)
    assert toy.read_current() == 1
    assert run().counts.added == 601


def test_contradicting_files_are_told_and_the_believed_one_counts(run: Run, inbox: Path, toy: IndexFolder) -> None:
    pubmed(inbox / "pubmed26n0002.xml", article(5, "Newer", 2022))
    pubmed(inbox / "pubmed26n0003.xml", article(5, "Older", 2021))
    done = run()
    assert records(toy)["PMID:5"] == "Newer"
    assert ("older than the version in the index, ignored", 1, "pubmed26n0003.xml, PMID:5") in done.remarks


@pytest.mark.parametrize("moment", ["_look_at_sources", "_plan_changes"])
def test_a_plan_is_made_again_if_a_night_deletes_the_generation_that_it_reads(
    toy: IndexFolder, inbox: Path, settings: Settings, add: Run, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    real, nights = getattr(updating, moment), iter([{"id": "night", "title": "Night"}])

    def publish_meanwhile(*arguments: object) -> object:
        for row in nights:
            add(row, keep_generations=1)
        return real(*arguments)

    monkeypatch.setattr(updating, moment, publish_meanwhile)
    found = plan(toy, settings)
    assert toy.list_numbers() == [2] and (found.n_current, found.counts.added) == (41, 1)


def test_a_plan_names_the_missing_file_if_no_other_generation_came(
    toy: IndexFolder, inbox: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    state, real = toy.open_current().state, updating._plan_changes
    monkeypatch.setattr(updating, "_plan_changes", lambda *arguments: (state.unlink(), real(*arguments))[1])
    with pytest.raises(CorruptError, match=rf"^{state} is missing. .* Run: engine verify$"):
        plan(toy, settings)


def test_since_looks_only_at_files_changed_lately(run: Run, inbox: Path) -> None:
    old = jsonl(inbox / "old.jsonl", [{"id": "a", "title": "A"}])
    os.utime(old, (0, 0))
    jsonl(inbox / "fresh.jsonl", [{"id": "b", "title": "B"}])
    assert run(since=date(2020, 1, 1)).files == ("fresh.jsonl",)
    assert run().files == ("old.jsonl",)


def test_without_sources_the_next_command_is_told(toy: IndexFolder) -> None:
    for function in (reindex, plan_reindex):
        with pytest.raises(ConfigError, match="index.toml does not exist. Create it: engine init toy SOURCE"):
            function(toy, Settings.load(toy.path), Request(), silent)


@pytest.mark.parametrize(
    ("key", "message"),
    [("recipe", "recipe is 'HNSW32', expected one of whole, passages"), ("factory", "factory 'HNSW32' can't")],
)
def test_what_this_engine_does_not_have_is_refused(
    toy: IndexFolder, settings: Settings, key: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        reindex(toy, replace(settings, **{key: "HNSW32"}), Request(), silent)


def test_another_model_is_refused_even_when_no_file_is_new(
    toy: IndexFolder, settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "other-model"
    shutil.copytree(TOY_MODEL, other)
    (other / "config.json").write_text(
        (other / "config.json").read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"')
    )
    for function in (reindex, plan_reindex):
        with pytest.raises(EncoderMismatchError, match="--re-encode"):
            function(toy, replace(settings, model=str(other)), Request(), silent)


def test_the_clock_may_run_backwards(run: Run, inbox: Path, toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime

    from engine.reindex.runs import run as running

    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(1999, 1, 1, tzinfo=UTC)

    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    run()
    monkeypatch.setattr(running, "datetime", Past)
    jsonl(inbox / "most.jsonl", [{"id": "b", "title": "B"}])
    assert run().generation == 3
    with open_index(toy.path) as index:
        assert (index.generation, index.manifest.created[:4]) == (3, "1999")
        assert {row.hit.id for row in index.new("gout", since=2)} == {"b"}
        assert {row.hit.id for row in index.new("gout", since="2026-01-01")} >= {"a", "b"}


class Killed(BaseException):
    """As sudden as a signal: no code of the engine runs after it but what runs for any exception."""


def many(inbox: Path, n: int) -> None:
    jsonl(
        inbox / "many.jsonl", ({"id": f"m{i}", "title": f"Many {i}", "abstract": "gout " * (i % 30)} for i in range(n))
    )


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that the encoder is given from now on, probes and canaries aside."""
    texts: list[str] = []
    real = vectorising.encode_checked
    monkeypatch.setattr(vectorising, "encode_checked", lambda e, given: texts.extend(given) or real(e, given))
    return texts


SLOW = [pytest.param(nth, marks=pytest.mark.slow) for nth in (2, 3, 5, 6, 8, 9)]


@pytest.mark.parametrize("nth", [1, 4, 7, 10, *SLOW])
def test_a_killed_run_is_taken_up_and_ends_as_if_it_had_not_been_killed(
    toy: IndexFolder, inbox: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    monkeypatch.setattr(OnnxEncoder, "page", 8)  # 50 shards of 8 texts
    often = replace(settings, checkpoint_seconds=0.0)
    many(inbox, 400)
    twin = IndexFolder(tmp_path / "indexes" / "twin")
    shutil.copytree(toy.path, twin.path)
    whole = reindex(twin, often, Request(), silent)
    assert whole.counts.encoded == 400
    texts = counting(monkeypatch)

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase == "encoding" and done == nth * 40:
            raise Killed

    with pytest.raises(Killed):
        reindex(toy, often, Request(), kill)
    assert toy.read_current() == 1
    before = len(texts)
    done = reindex(toy, often, Request(), silent)
    assert nth * 40 <= before <= min(400, nth * 40 + 3 * 8)  # what was under way is kept too
    assert len(texts) == 400  # not a text was encoded twice
    assert (done.counts.encoded, done.counts.resumed) == (400 - before, before)
    assert vectors(toy) == vectors(twin)
    assert not toy.shards.exists()
    assert verify(toy, toy.open_current(), deep=True) == []


def test_shards_serve_whatever_the_next_run_reads_and_only_the_same_encoder(
    toy: IndexFolder, inbox: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxEncoder, "page", 8)
    often = replace(settings, checkpoint_seconds=0.0)
    many(inbox, 100)

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase == "encoding" and done >= 80:
            raise Killed

    texts = counting(monkeypatch)
    with pytest.raises(Killed):
        reindex(toy, often, Request(), kill)
    n = len(texts)
    rows = [json.loads(line) for line in (inbox / "many.jsonl").read_text().splitlines()]
    rows[3]["title"] = "Reworded meanwhile"
    rows.reverse()
    jsonl(inbox / "many.jsonl", rows)
    (toy.shards / ("0" * 64)).mkdir()  # of an encoder that is no more
    done = reindex(toy, often, Request(), silent)
    assert (done.counts.added, done.counts.resumed, done.counts.encoded) == (100, n - 1, 101 - n)
    assert verify(toy, toy.open_current(), deep=True) == []


def test_what_no_generation_needs_goes_with_a_run_that_finds_nothing_new(toy: IndexFolder, run: Run) -> None:
    encoders = sorted(path.name for path in (toy.path / "encoders").iterdir())
    for change in ("nothing to read", "nothing new in what is read"):
        shutil.copytree(toy.get_generation_path(1), toy.get_generation_path(7))  # as a kill leaves it
        (toy.path / "encoders" / ("0" * 64)).mkdir()
        if change == "nothing to read":
            assert not run().published
        else:
            assert not index_sources(toy, order_of(TOY), silent).published
        assert toy.list_numbers() == [1], change
        assert sorted(path.name for path in (toy.path / "encoders").iterdir()) == encoders


def test_shards_whose_files_are_gone_go_with_the_next_run(toy: IndexFolder, inbox: Path, settings: Settings) -> None:
    many(inbox, 20)

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase == "encoding" and done:
            raise Killed

    with pytest.raises(Killed):
        reindex(toy, settings, Request(), kill)
    assert toy.shards.exists()
    (inbox / "many.jsonl").unlink()
    assert not reindex(toy, settings, Request(), silent).published
    assert not toy.shards.exists()


def test_a_real_kill_costs_at_most_one_shard(toy: IndexFolder, inbox: Path, settings: Settings, tmp_path: Path) -> None:
    many(inbox, 1500)
    text = f'device = "cpu"\nprecision = "fp32"\ncheckpoint_seconds = 0\nsources = ["{inbox}"]\n'
    (toy.path / "index.toml").write_text(text)
    command = ["reindex", "toy", "--indexes", str(toy.path.parent), "--json"]
    said = tmp_path / "said"
    kills = 0
    deadline = time.monotonic() + 120
    while kills < 2 and time.monotonic() < deadline:
        had = count_shards(toy.shards)
        running = find_warm_process().fork(command, (said, tmp_path / "errors"), os.environ)
        while running.poll() is None and count_shards(toy.shards) < had + 2:
            time.sleep(0.002)
        running.kill()
        running.wait(timeout=60)
        assert toy.read_current() == 1 or running.returncode == 0
        kills += running.returncode == -signal.SIGKILL
        if running.returncode == 0:
            break
    n_shards = count_shards(toy.shards)
    assert find_warm_process().fork(command, (said, tmp_path / "errors"), os.environ).wait(timeout=120) == 0
    counts = json.loads(said.read_text())["counts"]
    assert kills >= 2 and counts["resumed"] >= OnnxEncoder.page * (n_shards - 1) > 0
    assert counts["resumed"] + counts["encoded"] == 1500
    assert verify(toy, toy.open_current(), deep=True) == []


INTERRUPT = pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)


def read_cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far, which does not depend on what else the machine does."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def let_work(pid: int, seconds: float) -> None:
    """Wait until a process has used so much more CPU time."""
    end = read_cpu_seconds(pid) + seconds
    while read_cpu_seconds(pid) < end:
        time.sleep(0.002)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads CPU times from /proc, which is not here")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), INTERRUPT])
def test_a_signal_ends_within_five_seconds_of_work_leaves_no_lock_and_loses_no_vector(
    toy: IndexFolder, inbox: Path, sent: signal.Signals, code: int
) -> None:
    many(inbox, 3_000)
    (toy.path / "index.toml").write_text(f'device = "cpu"\nprecision = "fp32"\nsources = ["{inbox}"]\n')
    command = [sys.executable, "-m", "engine", "reindex", "toy", "--indexes", str(toy.path.parent)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(2):  # twice in a row
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # ignored where tests run in the background
        ) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if line.startswith(b"encoding"):
                    break
            let_work(running.pid, 0.2)
            before = read_cpu_seconds(running.pid)
            running.send_signal(sent)
            os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and can still be asked
            assert read_cpu_seconds(running.pid) - before < 5
            assert running.wait() == code
        assert toy.read_current() == 1 and not toy.building.exists()
        with lock_for_writing(toy.lock):
            pass
        assert count_shards(toy.shards)


def test_a_second_reindex_is_refused_at_once_and_changes_nothing(
    toy: IndexFolder, inbox: Path, settings: Settings, run: Run
) -> None:
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    with lock_for_writing(toy.lock):
        before = tree(toy.path)
        started = time.monotonic()
        with pytest.raises(LockedError, match="is being written by another process"):
            run()
        assert time.monotonic() - started < 1
        assert tree(toy.path) == before
        assert plan(toy, settings).counts.added == 1  # looking is allowed
    toy.lock.write_text("pid 1 on nowhere since ever")  # a stale text locks nothing
    assert run().published


def test_of_two_reindexes_at_one_moment_exactly_one_wins(toy: IndexFolder, inbox: Path, tmp_path: Path) -> None:
    (toy.path / "index.toml").write_text(f'device = "cpu"\nsources = ["{inbox}"]\n')
    command = ["reindex", "toy", "--indexes", str(toy.path.parent)]
    for turn in range(2):
        many(inbox, 300 + turn)
        pair = [find_warm_process().fork(command, (tmp_path / one, tmp_path / one), os.environ) for one in "ab"]
        codes = sorted(process.wait(timeout=60) for process in pair)
        assert codes in ([0, 4], [0, 0]), (
            codes
        )  # [0, 0]: the second came when the first had ended, and found nothing new
        assert toy.read_current() == turn + 2
    assert verify(toy, toy.open_current(), deep=False) == []


def test_a_lock_dies_with_its_holder(toy: IndexFolder, inbox: Path, run: Run) -> None:
    script = (
        "import sys, time; from pathlib import Path; from engine.index.files.lock import lock_for_writing\n"
        "with lock_for_writing(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(toy.lock)], stdout=subprocess.PIPE, env=environment
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=re.escape(f"pid {holder.pid}")):
            run()
        holder.kill()
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    assert run().published


def test_sources_of_a_record_are_kept_and_shown(run: Run, inbox: Path, toy: IndexFolder) -> None:
    jsonl(inbox / "scopus.jsonl", [{"id": "S1", "title": "Gout and diet", "abstract": "Long.", "pmid": "5"}])
    run()
    pubmed(inbox / "pubmed26n0001.xml", article(5, "Gout and diet."))
    done = run()
    assert (done.counts.added, done.counts.text_changed) == (0, 1)
    with open_index(toy.path) as index:
        assert (index.get("PMID:5").record_id, index.get("S1").abstract) == ("S1", "Long.")
        assert [(s.format, s.own_id, s.file) for s in index.get_sources("5")] == [
            ("JSONL", "S1", "scopus.jsonl"),
            ("PubMed XML", "PMID:5", "pubmed26n0001.xml"),
        ]
        assert [(s.format, s.own_id, s.file, s.generation) for s in index.get_sources("toy-01")] == [
            ("JSONL", "toy-01", "toy.jsonl", 1)
        ]


def test_history_survives_the_generations_it_tells_of(run: Run, inbox: Path, toy: IndexFolder) -> None:
    for n in range(5):
        jsonl(inbox / f"more{n}.jsonl", [{"id": f"a{n}", "title": f"A {n}"}])
        run()
    assert toy.list_numbers() == [4, 5, 6]
    found = read_history(toy.path)
    assert [event.generation for event in found] == [1, 2, 3, 4, 5, 6]
    assert found[2].counts is not None and found[2].counts.added == 1
    line = format_event(found[2])
    assert line.startswith("000003  20") and line.endswith("42 abstracts  +1  encoded 1  reindex: 1 file (more1.jsonl)")
    assert format_event(found[0]).endswith("40 abstracts  +40  encoded 40  index: 1 file (toy.jsonl)")


def test_the_applied_files_are_rolled_back_with_their_records(run: Run, inbox: Path, toy: IndexFolder) -> None:
    from engine.reindex.runs.rollback import roll_back

    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    run()
    roll_back(toy, None)
    done = run()
    assert (done.published, done.files, done.counts.added) == (True, ("more.jsonl",), 1)
    with closing(open_database(toy.open_current().segments[0].files.database)) as corpus:
        assert [file.name for file in corpus.read_sources()] == ["toy.jsonl", "more.jsonl"]


def test_the_next_run_after_a_text_without_a_vector_tries_it_no_more(
    run: Run, inbox: Path, toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = OnnxEncoder.encode

    def spoil(self: OnnxEncoder, texts: Sequence[str]) -> Encoded:
        found = real(self, texts)
        for row, text in enumerate(texts):
            if "Unlucky" in text:
                found.vectors[row] = np.nan
        return found

    monkeypatch.setattr(OnnxEncoder, "encode", spoil)
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "Unlucky"}, {"id": "b", "title": "B"}])
    done = run()
    assert (done.counts.added, done.counts.rejected) == (1, 1)
    assert run().files == ()


def test_deletions_of_a_file_that_deletes_nothing_yet_are_kept_by_engine_index(tmp_path: Path) -> None:
    files = [
        pubmed(tmp_path / "pubmed26n1299.xml", article(7, "Gout")),
        pubmed(tmp_path / "pubmed26n1300.xml", deleted=[7]),
    ]
    for number, order in enumerate(((0, 1), (1, 0))):
        folder = IndexFolder(tmp_path / "indexes" / f"any{number}")
        for place in order:
            index_sources(folder, Order((TOY, files[place]), IndexSettings(model=str(TOY_MODEL), device="cpu")), silent)
        assert "PMID:7" not in records(folder)


def test_a_full_run_tells_files_of_one_name_apart(run: Run, inbox: Path, toy: IndexFolder) -> None:
    for name in "ab":
        (inbox / name).mkdir()
        jsonl(inbox / name / "export.jsonl", [{"id": name, "title": f"Export of {name}"}])
    run()
    os.utime(inbox / "b" / "export.jsonl", (0, 0))
    done = run(full=True, since=date(2020, 1, 1))
    assert done.counts.deleted == 0 and {"a", "b"} <= records(toy).keys()
    (inbox / "b" / "export.jsonl").unlink()
    done = run(full=True)
    assert done.counts.deleted == 0 and {"a", "b"} <= records(toy).keys()


def test_a_file_set_back_to_an_earlier_content_is_read(run: Run, inbox: Path, toy: IndexFolder) -> None:
    for title in ("First", "Second", "First"):
        jsonl(inbox / "more.jsonl", [{"id": "a", "title": title}])
        assert run().published
        assert records(toy)["a"] == title
    assert not run().published


def test_a_file_given_by_hand_is_not_called_vanished(run: Run, inbox: Path, toy: IndexFolder, tmp_path: Path) -> None:
    by_hand = jsonl(tmp_path / "by-hand.jsonl", [{"id": "h", "title": "By hand"}])
    index_sources(toy, Order((by_hand,), IndexSettings(device="cpu")), silent)
    assert not any("by-hand" in note for note in run().notes)
    by_hand.unlink()
    assert any("by-hand.jsonl" in note for note in run().notes)


def test_a_file_with_any_name_is_known_the_next_time(run: Run, inbox: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(inbox) + b"/caf\xe9.jsonl"))
    odd.write_text('{"id": "a", "title": "A"}\n')
    assert run().counts.added == 1
    again = run()
    assert (again.files, again.known, again.notes) == ((), 2, ())


def test_a_congress_in_one_file_is_all_there_and_stays(run: Run, inbox: Path, toy: IndexFolder) -> None:
    chunk = "TY  - JOUR\nT1  - {}\nN2  - {}\nDO  - 10.1002/art.41108\nER  - \n\n"
    rows = [("Gout in Japan", "We saw gout."), ("Lupus nephritis in Brazil", "We saw lupus."), ("Knee pain", "Pain.")]
    (inbox / "acr.ris").write_text("".join(chunk.format(*row) for row in rows))
    done = run()
    assert (done.counts.added, done.counts.duplicates) == (3, 0)
    assert any(what.startswith("id already used for another title") for what, _, _ in done.remarks)
    assert not run(full=True).published
