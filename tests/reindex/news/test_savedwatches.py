"""Saved questions while several processes change them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.config import Settings
from engine.errors import ConfigError, LockedError, UnknownWatchError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.query.index import open_index
from engine.reindex.news.savedwatches import _LOCK, add_watch, delete_watch, keep_watch
from engine.reindex.news.watchmemory import read_memories
from tests.conftest import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]
ENTRY: dict[str, Any] = {"name": "gout", "question": "gout[tiab]"}
# A writer that pauses between reading index.toml and replacing it, as a busy disk makes it do.
SLOW = """
import sys, time
from engine.reindex.news import watchtable
from engine.cli import main
replace = watchtable.replace_text
def wait(path, text):
    print("ready", flush=True)
    sys.stdin.readline()
    replace(path, text)
watchtable.replace_text = wait
main(sys.argv[1:])
"""


def names(folder: IndexFolder) -> list[str]:
    return [one.name for one in Settings.load(folder.path).watches]


def test_a_question_that_two_processes_save_at_once_is_not_lost(toy: IndexFolder, engine: Run) -> None:
    place = ["-i", toy.name, "--indexes", str(toy.path.parent)]
    command = [sys.executable, "-c", SLOW, "watch", "add", "first", "gout[tiab]", *place]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as first:
        assert first.stdout and first.stdout.readline() == "ready\n"
        second = engine("watch", "add", "second", "pain[tiab]", *place)
        assert second.returncode == 4 and "is being written by another process" in second.stderr
        assert engine("watch", "remove", "first", *place).returncode == 4
        assert names(toy) == []
        _, said = first.communicate("\n")
    assert first.returncode == 0, said
    assert engine("watch", "add", "second", "pain[tiab]", *place).returncode == 0
    assert names(toy) == ["first", "second"] and set(read_memories(toy.path).watches) == {"first", "second"}


def test_whoever_changes_the_questions_waits_for_no_other(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert add_watch(toy, index, ENTRY) == 1
        with lock_for_writing(toy.path / _LOCK):
            for change in (
                lambda: add_watch(toy, index, ENTRY | {"name": "pain"}),
                lambda: keep_watch(toy, index, ENTRY | {"question": "pain"}),
                lambda: delete_watch(toy, "gout"),
            ):
                with pytest.raises(LockedError, match="is being written by another process"):
                    change()
        with pytest.raises(ConfigError, match="has a .* 'gout' already. Remove it first: engine watch remove gout"):
            add_watch(toy, index, ENTRY)
    assert names(toy) == ["gout"]
    with pytest.raises(UnknownWatchError, match="no question is saved as 'pain': found gout"):
        delete_watch(toy, "pain")
    delete_watch(toy, "gout")
    assert names(toy) == []


def test_a_question_that_is_not_valid_leaves_no_trace(toy: IndexFolder, engine: Run) -> None:
    before = sorted(path.name for path in toy.path.iterdir())
    assert engine("watch", "add", "a/b", "gout", "-i", toy.name).returncode == 2
    assert engine("watch", "add", "gout", "gout", "--since", "never", "-i", toy.name).returncode == 2
    assert [name for name in sorted(path.name for path in toy.path.iterdir()) if name not in before] in (
        [],
        ["TABLE.lock", "WATCH.lock"],
    )
    assert not Path(toy.path / "index.toml").exists()
