"""Saved questions: each record is reported once, whatever is published, rolled back, pruned or killed in between."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from lxml import etree

from engine.config import SavedQuestion, read_watches
from engine.errors import ConfigError, CorruptError, EngineError, LockedError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.reindex.news import newsfiles
from engine.reindex.news.newsfiles import _NEWS, read_runs
from engine.reindex.news.newsrun import NewsRun, describe_news
from engine.reindex.news.watches import answer_watches, begin_watches, forget_watch
from engine.reindex.news.watchmemory import _MEMORY, read_memories
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.update import prune
from tests.conftest import add_rows, copy_toy, examples

NOW = "2026-12-02T03:00:00+00:00"


def saved(*entries: dict[str, object]) -> tuple[SavedQuestion, ...]:
    return read_watches(list(entries), Path("index.toml"))


ZORB, ANY = {"name": "zorb", "question": "zorbing[tiab]"}, {"name": "any", "question": "gout", "top_k": 2}


def reported(run: NewsRun) -> dict[str, list[tuple[str, str]]]:
    return {one.watch.name: [(item.record.record_id, item.change) for item in one.items] for one in run.news}


def test_a_question_tells_what_is_new_once(toy: IndexFolder, tmp_path: Path) -> None:
    watches = saved(ZORB, ANY)
    assert begin_watches(toy, watches) == 1
    assert begin_watches(toy, watches) is None
    nothing = answer_watches(toy, watches, NOW)
    assert reported(nothing) == {"zorb": [], "any": []} and nothing.number is None and not (toy.path / _NEWS).exists()
    assert describe_news(nothing.news[0]) == "no record is new or changed"
    rows = [{"id": f"z{n}", "title": f"Zorbing {n}", "year": 2000 + n} for n in range(3)]
    add_rows(toy, tmp_path, *rows, {"id": "k", "title": "Knee"})
    first = answer_watches(toy, watches, NOW)
    assert sorted(reported(first)["zorb"]) == [("z0", "added"), ("z1", "added"), ("z2", "added")]
    assert len(reported(first)["any"]) == 2 and first.number == 1
    assert [describe_news(one) for one in first.news] == [
        "3 of 4 new or changed records", "2 of 4 new or changed records; 2 more answer it less well",
    ]  # fmt: skip
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [], "any": []}
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing anew", "year": 2001}, rows[2], {"id": "z0", "title": "Knee"})
    second = answer_watches(toy, watches, NOW)
    assert reported(second)["zorb"] == [("z1", "text changed")]
    names = sorted(path.name for path in (toy.path / _NEWS / "000002").iterdir())
    assert names == ["any.ris", "news.html", "news.json", "news.txt", "zorb.ris"]
    assert [run["number"] for run in read_runs(toy.path, 2)] == [2, 1]


def test_a_question_that_cannot_be_answered_stops_no_other(toy: IndexFolder, tmp_path: Path) -> None:
    watches = saved(
        ZORB, {"name": "bad", "question": "(gout[tiab] AND"}, {**ZORB, "name": "tree", "mesh_tree": ["Knee"]}
    )
    begin_watches(toy, watches)
    add_rows(toy, tmp_path, {"id": "z", "title": "Zorbing"})
    run = answer_watches(toy, watches, NOW)
    assert reported(run) == {"zorb": [("z", "added")], "bad": [], "tree": []}
    assert [error.split(":")[0] for error in run.errors] == ["bad", "tree"]
    mended = saved({**ZORB, "name": "bad"})
    assert reported(answer_watches(toy, mended, NOW)) == {"bad": [("z", "added")]}  # nothing was lost meanwhile


def test_a_question_begins_now_or_since(toy: IndexFolder, tmp_path: Path) -> None:
    add_rows(toy, tmp_path, {"id": "z", "title": "Zorbing"})
    (run,) = answer_watches(toy, saved(ZORB), NOW).news
    assert run.is_begun and describe_news(run) == "watched from now on"
    forget_watch(toy, "zorb")
    assert begin_watches(toy, saved(ZORB), "1") == 1
    assert reported(answer_watches(toy, saved(ZORB), NOW)) == {"zorb": [("z", "added")]}
    forget_watch(toy, "zorb")
    begin_watches(toy, saved(ZORB), "0")
    assert reported(answer_watches(toy, saved(ZORB), NOW)) == {"zorb": [("z", "added")]}
    with pytest.raises(UsageError, match="there is no generation 000009 yet"):
        begin_watches(toy, saved(ANY), "9")
    assert "any" not in read_memories(toy.path).watches


def test_a_rollback_repeats_and_loses_nothing(toy: IndexFolder, tmp_path: Path) -> None:
    watches = saved(ZORB)
    begin_watches(toy, watches)
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing"})
    add_rows(toy, tmp_path, {"id": "z1", "title": "Knee"})
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": []}
    roll_back(toy, 2)  # which was never answered: only its successor was
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [("z1", "added")]}
    roll_back(toy, 1)
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": []}
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing"}, {"id": "z2", "title": "Zorbing too"})
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [("z2", "added")]}
    roll_back(toy, 1)
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing, revised"}, {"id": "z2", "title": "Zorbing too"})
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [("z1", "added")]}


def test_what_stands_in_the_way_is_reported(toy: IndexFolder) -> None:
    with pytest.raises(ConfigError, match=r"has no \[\[watch\]\]. Add one: engine watch add"):
        answer_watches(toy, (), NOW)
    with lock_for_writing(toy.path / "WATCH.lock"), pytest.raises(LockedError, match="another process"):
        answer_watches(toy, saved(ZORB), NOW)
    (toy.path / _MEMORY).write_text('{"version": 9}')
    with pytest.raises(CorruptError, match=r"watches.json is damaged: version 9, expected 1. Copy it from a backup"):
        answer_watches(toy, saved(ZORB), NOW)
    for runs in ("-1", "1e999"):
        (toy.path / _MEMORY).write_text(f'{{"version": 1, "runs": {runs}, "watches": {{}}}}')
        with pytest.raises(CorruptError, match=r"watches.json is damaged: .*\. Copy it from a backup"):
            answer_watches(toy, saved(ZORB), NOW)


class Kill(BaseException):
    """The end of a process."""


@contextmanager
def kill_at(n: int) -> Iterator[None]:
    """End the block before its n-th change of a file; files are renamed, synced and removed by these calls."""
    left = n

    def count(call):  # type: ignore[no-untyped-def]
        def run(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal left
            left -= 1
            if left < 0:
                raise Kill
            return call(*args, **kwargs)

        return run

    names = ("rename", "replace", "fsync", "link", "unlink", "mkdir", "rmdir")
    with patch.multiple(os, **{name: count(getattr(os, name)) for name in names}):
        try:
            yield
        except Kill:
            pass


def list_reported(folder: IndexFolder) -> list[str]:
    """The records of all runs that are remembered, in the order in which they were reported."""
    runs = reversed(read_runs(folder.path, read_memories(folder.path).n_runs))
    return [one["id"] for run in runs for watch in run["watches"] for one in watch["records"]]


def test_a_run_that_was_killed_is_repeated_and_tells_each_record_once(toy: IndexFolder, tmp_path: Path) -> None:
    begin_watches(toy, saved(ZORB))
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing"}, {"id": "z2", "title": "Zorbing too"})
    place, n, outcomes = tmp_path / "killed", 0, set()
    while True:
        shutil.rmtree(place, ignore_errors=True)
        folder = IndexFolder(Path(shutil.copytree(toy.path, place)))
        finished = []
        with kill_at(n):
            finished.append(answer_watches(folder, saved(ZORB), NOW))
        outcomes.add(len(list_reported(folder)))
        answer_watches(folder, saved(ZORB), NOW)
        assert sorted(list_reported(folder)) == ["z1", "z2"], n
        assert (place / _NEWS / "feed.atom").read_text().count("<entry>") == 2
        assert sorted(path.name for path in (place / _NEWS).iterdir()) == ["000001", "feed.atom"], n
        if finished:
            break
        n += 1
    assert n > 10 and outcomes == {0, 2}


@pytest.mark.parametrize("left", [None, 1])
def test_no_news_is_overwritten_when_the_memory_is_lost_or_old(
    toy: IndexFolder, tmp_path: Path, left: int | None
) -> None:
    begin_watches(toy, saved(ZORB))
    memories = []
    for n in range(1, 4):
        add_rows(toy, tmp_path, {"id": f"z{n}", "title": "Zorbing"})
        assert answer_watches(toy, saved(ZORB), NOW).number == n
        memories.append((toy.path / _MEMORY).read_bytes())
    before = [(toy.path / _NEWS / f"{n:06d}" / "news.json").read_bytes() for n in (1, 2, 3)]
    (toy.path / _MEMORY).unlink()
    if left is not None:
        (toy.path / _MEMORY).write_bytes(memories[left - 1])
    answer_watches(toy, saved(ZORB), NOW)
    add_rows(toy, tmp_path, {"id": "z4", "title": "Zorbing"})
    answer_watches(toy, saved(ZORB), NOW)
    assert before == [(toy.path / _NEWS / f"{n:06d}" / "news.json").read_bytes() for n in (1, 2, 3)]
    assert {"z1", "z2", "z3", "z4"} == set(list_reported(toy))


WORDS = ("gout", "knee", "zorb")
ROWS = st.dictionaries(st.integers(1, 5), st.tuples(st.sampled_from(WORDS), st.integers(1, 2)), min_size=1, max_size=3)
MACHINE = saved({"name": "gout", "question": "gout[ti]"}, {"name": "two", "question": "knee[ti] OR zorb[ti]"},
                {"name": "best", "question": "a knee", "top_k": 2})  # fmt: skip
Content = tuple[str, int]


@dataclass
class Node:
    """A generation: what it holds, when that changed, and the generations that led to it, each by a name of its own.

    The number of a generation may be used again when it was rolled back and deleted.
    """

    lineage: tuple[str, ...]
    rows: dict[str, Content] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)


@dataclass
class Reader:
    """A question that remembers everything for ever."""

    answered: set[str]
    reported: dict[str, tuple[Content, str]] = field(default_factory=dict)


class Watching(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = copy_toy(self.place / "toy")
        self.nodes = {1: Node(("1",))}  # the kept ones, by number
        self.now, self.n_made = 1, 1
        self.readers: dict[str, Reader] = {}

    def teardown(self) -> None:
        shutil.rmtree(getattr(self, "place", Path("absent")), ignore_errors=True)

    @rule(rows=ROWS)
    def publish(self, rows: dict[int, Content]) -> None:
        lines = [{"id": f"r{n}", "title": f"A {word} {version}"} for n, (word, version) in rows.items()]
        add_rows(self.folder, self.place, *lines)
        number, node = self.folder.read_pointer(), self.nodes[self.now]
        if number == self.now:
            return
        self.n_made += 1
        fresh = Node((*node.lineage, f"{number}/{self.n_made}"), dict(node.rows), dict(node.changed))
        for n, content in rows.items():
            if fresh.rows.get(f"r{n}") != content:
                fresh.rows[f"r{n}"], fresh.changed[f"r{n}"] = content, len(fresh.lineage)
        self.nodes[number], self.now = fresh, number

    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        self.now = data.draw(st.sampled_from(self.folder.list_numbers()))
        roll_back(self.folder, self.now)

    @rule(keep=st.integers(1, 3))
    def delete_old(self, keep: int) -> None:
        prune(self.folder, keep)

    @rule(n_watches=st.integers(1, len(MACHINE)), kill=st.none() | st.integers(0, 30))
    def answer(self, n_watches: int, kill: int | None) -> None:
        watches = MACHINE[:n_watches]
        before = self.read_memory()
        with kill_at(10_000 if kill is None else kill):
            answer_watches(self.folder, watches, NOW)
        if self.read_memory() == before and kill is not None:
            return  # killed before it was remembered: nothing was reported yet
        memories = read_memories(self.folder.path)
        runs = {run["number"]: run for run in read_runs(self.folder.path, memories.n_runs)}
        was = json.loads(before)["runs"] if before else 0
        news = runs[memories.n_runs]["watches"] if memories.n_runs > was else []
        for watch in watches:
            records = next((one["records"] for one in news if one["name"] == watch.name), [])
            self.check(watch, [one["id"] for one in records])

    def read_memory(self) -> str:
        path = self.folder.path / _MEMORY
        return path.read_text() if path.exists() else ""

    def check(self, watch: SavedQuestion, found: list[str]) -> None:
        node = self.nodes[self.now]
        reader = self.readers.get(watch.name)
        if reader is None:
            assert not found
            self.readers[watch.name] = Reader(set(node.lineage))
            return
        base = max(n for n, name in enumerate(node.lineage, 1) if name in reader.answered)  # the length up to it
        due = {
            name for name, content in node.rows.items()
            if node.changed[name] > base
            and not (name in reader.reported and reader.reported[name][0] == content and reader.reported[name][1] not in node.lineage)
        }  # fmt: skip
        words = {"gout": ("gout",), "two": ("knee", "zorb"), "best": WORDS}[watch.name]
        due = {name for name in due if node.rows[name][0] in words}
        assert len(found) == len(set(found)) and set(found) <= due
        assert len(found) == (min(2, len(due)) if watch.name == "best" else len(due))
        reader.answered.add(node.lineage[-1])
        reader.reported |= {name: (node.rows[name], node.lineage[-1]) for name in found}


TestWatching = Watching.TestCase
TestWatching.settings = settings(examples(0.08), stateful_step_count=12)


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"number": 1',
        "[]",
        "{}",
        '{"number": 1, "created": 5, "watches": {}}',
        '{"number": 1, "created": "", "watches": [5]}',
        '{"number": 1, "created": "", "watches": [{"name": "zorb", "more": 0, "records": [{"id": "z1"}]}]}',
    ],
)
def test_old_news_that_are_damaged_keep_nobody_from_new_ones(toy: IndexFolder, tmp_path: Path, content: str) -> None:
    watches = saved(ZORB)
    begin_watches(toy, watches)
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing one"})
    answer_watches(toy, watches, NOW)
    (toy.path / _NEWS / "000001" / "news.json").write_text(content)
    add_rows(toy, tmp_path, {"id": "z2", "title": "Zorbing two"})
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [("z2", "added")]}
    assert [run["number"] for run in read_runs(toy.path, 2)] == [2]


@pytest.mark.parametrize("name", [".000001.part", "000001"])
def test_a_file_in_the_place_of_a_folder_of_news_is_replaced(toy: IndexFolder, tmp_path: Path, name: str) -> None:
    watches = saved(ZORB)
    begin_watches(toy, watches)
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing one"})
    (toy.path / _NEWS).mkdir()
    (toy.path / _NEWS / name).touch()
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [("z1", "added")]}
    assert sorted(path.name for path in (toy.path / _NEWS).iterdir()) == ["000001", "feed.atom"]


def test_news_that_cannot_be_written_are_told_again(toy: IndexFolder, tmp_path: Path) -> None:
    watches = saved(ZORB)
    begin_watches(toy, watches)
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing one"})
    (toy.path / _NEWS).touch()
    with pytest.raises(
        EngineError, match=r"to .*000001: Not a directory\. Nothing is lost: .* engine watch run -i toy"
    ):
        answer_watches(toy, watches, NOW)
    (toy.path / _NEWS).unlink()
    assert reported(answer_watches(toy, watches, NOW)) == {"zorb": [("z1", "added")]}


def test_news_whose_feed_cannot_be_written_are_told_again(
    toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches = saved(ZORB)
    begin_watches(toy, watches)
    add_rows(toy, tmp_path, {"id": "z1", "title": "Zorbing one"})
    with monkeypatch.context() as full:
        full.setattr(newsfiles, "replace_text", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            answer_watches(toy, watches, NOW)
    again = answer_watches(toy, watches, NOW)
    assert (reported(again), again.number) == ({"zorb": [("z1", "added")]}, 1)


def test_each_entry_of_the_feed_has_what_atom_requires(toy: IndexFolder, tmp_path: Path) -> None:
    watches = saved(ZORB)
    begin_watches(toy, watches)
    rows = [{"id": "l", "title": "Zorbing <b> & more", "doi": "10.1000/z"}, {"id": "n", "abstract": "zorbing\x01"}]
    add_rows(toy, tmp_path, *rows)
    answer_watches(toy, watches, NOW)
    feed = etree.parse(toy.path / _NEWS / "feed.atom").getroot()
    names = {"a": "http://www.w3.org/2005/Atom"}
    assert feed.xpath("count(a:entry)", namespaces=names) == 2
    assert feed.xpath("//a:entry[not(a:id and a:title and a:updated)]", namespaces=names) == []
    assert feed.xpath("//a:entry[not(a:content) and not(a:link[not(@rel)])]", namespaces=names) == []
