"""Saved questions as they are saved, changed and removed, and what was reported for each, for programs and pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.config import SavedQuestion, Settings, read_watches
from engine.errors import ConfigError, UnknownWatchError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.options import BY_FIELD, FILTERS, Filters, Query, ValueKind, format_years
from engine.query.index import Index
from engine.reindex.news.newsfiles import read_runs
from engine.reindex.news.newsrun import describe_question
from engine.reindex.news.watches import begin_watches, forget_watch
from engine.reindex.news.watchmemory import read_memories
from engine.reindex.news.watchtable import add_table, change_table, remove_table

CHANGES = ("saved", "changed", "removed")  # what may be done with a question
_FILE, _LOCK = "index.toml", "TABLE.lock"


def list_filter_values(filters: Filters) -> dict[str, object]:
    """Return the filters that are set as index.toml has them."""
    found: dict[str, object] = {}
    for option in FILTERS:
        value = getattr(filters, option.field)
        if value != option.default:
            found[option.name] = [format_years(*span) for span in value] if option.kind is ValueKind.YEARS else value
    return found


def build_entry(name: str, query: Query) -> dict[str, object]:
    """Return the [[watch]] of a query; what is as usual is left out."""
    entry: dict[str, object] = {"name": name, "question": query.text}
    entry |= {"mode": str(query.mode)} if query.mode != BY_FIELD["mode"].default else {}
    entry |= {"min_score": query.min_score} if query.min_score is not None else {}
    return entry | list_filter_values(query.filters)


def build_search(watch: SavedQuestion) -> dict[str, object]:
    """Return the parameters of the search of a saved question; what is as usual is left out."""
    entry = build_entry(watch.name, watch.query)
    return {"q": entry.pop("question")} | {name: value for name, value in entry.items() if name != "name"}


@contextmanager
def _open_watches(folder: IndexFolder) -> Iterator[list[SavedQuestion]]:
    """Lend the saved questions, which nobody else changes meanwhile.

    Raises:
        LockedError: another process changes them.
        ConfigError: index.toml is not valid.
    """
    with lock_for_writing(folder.path / _LOCK):
        yield list(Settings.load(folder.path).watches)


def add_watch(folder: IndexFolder, index: Index, entry: dict[str, Any], since: str | None = None) -> int:
    """Save a question under a new name; return the generation after which records are new to it, 0 for all.

    since: a generation or date from which on records count as new; by default only those that come from now on do.

    Raises:
        ConfigError: there is one of this name, or index.toml can't be changed safely.
        UsageError: the name or the question is not valid, or since is no such generation or date.
        LockedError: another process changes the saved questions, or answers them.
    """
    path = folder.path / _FILE
    watch = _read_entry(entry, path)
    index.ask(watch.query, judged=False)  # an invalid question is refused now
    with _open_watches(folder) as watches:
        if watch.name in [one.name for one in watches]:
            again = f"Remove it first: engine watch remove {watch.name}"
            raise ConfigError(f"{path} has a [[watch]] {watch.name!r} already. {again}")
        return _begin_watch(folder, watch, entry, since) or 0


def _read_entry(entry: dict[str, Any], path: Path) -> SavedQuestion:
    """Return the question of an entry that is to be saved.

    Raises:
        UsageError: its name, a key or a value is not valid.
    """
    try:
        (watch,) = read_watches([entry], path)
    except ConfigError as err:  # which would be the fault of the file if it stood there
        raise UsageError(str(err).removeprefix(f"{path}: ")) from err
    return watch


def _begin_watch(folder: IndexFolder, watch: SavedQuestion, entry: dict[str, Any], since: str | None) -> int | None:
    """Write a new question, and remember from where on records are new to it; return the generation."""
    forget_watch(folder, watch.name)
    last = begin_watches(folder, (watch,), since)
    add_table(folder.path / _FILE, entry)
    return last


def keep_watch(folder: IndexFolder, index: Index, entry: dict[str, Any]) -> bool:
    """Save a question, or change the one of this name, which continues where it was; return whether it is new.

    Raises:
        UsageError: the name or the question is not valid.
        LockedError: another process changes the saved questions, or answers them.
        ConfigError: index.toml can't be changed safely.
    """
    path = folder.path / _FILE
    watch = _read_entry(entry, path)
    index.ask(watch.query, judged=False)  # an invalid question is refused now
    with _open_watches(folder) as watches:
        before = next((one for one in watches if one.name == watch.name), None)
        if before is None:
            _begin_watch(folder, watch, entry, None)
        else:
            change_table(path, list_unshown(before) | entry)
    return before is None


def list_unshown(watch: SavedQuestion) -> dict[str, Any]:
    """Return what a question has that no form shows: its most records, and lists of records."""
    found: dict[str, Any] = {"top_k": watch.most} if watch.most else {}
    shown = list_filter_values(watch.query.filters)
    return found | {one.name: shown[one.name] for one in FILTERS if one.kind is ValueKind.IDS and one.name in shown}


def delete_watch(folder: IndexFolder, name: str) -> None:
    """Undo the saving of a question; its news is kept.

    Raises:
        UnknownWatchError: there is no such question.
        LockedError: another process changes the saved questions, or answers them.
        ConfigError: index.toml can't be changed safely.
    """
    with _open_watches(folder) as watches:
        if name not in (names := [one.name for one in watches]):
            raise UnknownWatchError(f"no question is saved as {name[:80]!r}: found {', '.join(names) or 'none'}")
        remove_table(folder.path / _FILE, name)
        forget_watch(folder, name)


def list_watches(folder: IndexFolder) -> list[tuple[SavedQuestion, dict[str, Any]]]:
    """Return the saved questions, each with a dictionary of what was reported for it, the newest first.

    Raises:
        ConfigError: index.toml is not valid.
        CorruptError: what is remembered is damaged.
    """
    runs = read_runs(folder.path, read_memories(folder.path).n_runs)
    found = []
    for watch in Settings.load(folder.path).watches:
        reports = [
            {"run": run["number"], "created": run["created"], "more": one["more"], "records": one["records"]}
            for run in runs
            for one in run["watches"]
            if one["name"] == watch.name and one["records"]
        ]
        found.append((watch, {"name": watch.name, "question": describe_question(watch), "reports": reports}))
    return found
