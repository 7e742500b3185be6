"""Saved questions as they are saved, changed and removed, and what was reported for each, for programs and pages."""

from __future__ import annotations

from typing import Any

from engine.config import SavedQuestion, Settings, read_watches
from engine.errors import ConfigError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.options import BY_FIELD, FILTERS, Filters, Query, ValueKind, format_years
from engine.query.index import Index
from engine.reindex.news.newsfiles import read_runs
from engine.reindex.news.newsrun import describe_question
from engine.reindex.news.watches import begin_watches, forget_watch
from engine.reindex.news.watchmemory import read_memories
from engine.reindex.news.watchtable import add_table, change_table, remove_table

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


def keep_watch(folder: IndexFolder, index: Index, entry: dict[str, Any]) -> bool:
    """Save a question, or change the one of this name, which continues where it was; return whether it is new.

    Raises:
        UsageError: the name or the question is not valid.
        LockedError: another process changes the saved questions, or answers them.
        ConfigError: index.toml can't be changed safely.
    """
    path = folder.path / _FILE
    try:
        (watch,) = read_watches([entry], path)
    except ConfigError as err:
        raise UsageError(str(err).removeprefix(f"{path}: ")) from None
    index.ask(watch.query, judged=False)  # an invalid question is refused now
    with lock_for_writing(folder.path / _LOCK):
        before = next((one for one in Settings.load(folder.path).watches if one.name == watch.name), None)
        if before is None:
            forget_watch(folder, watch.name)
            begin_watches(folder, (watch,))
            add_table(path, entry)
        else:
            change_table(path, _list_unshown(before) | entry)
    return before is None


def _list_unshown(watch: SavedQuestion) -> dict[str, object]:
    """Return what a question has that no form shows: its most records, and lists of records."""
    found: dict[str, object] = {"top_k": watch.most} if watch.most else {}
    shown = list_filter_values(watch.query.filters)
    return found | {one.name: shown[one.name] for one in FILTERS if one.kind is ValueKind.IDS and one.name in shown}


def delete_watch(folder: IndexFolder, name: str) -> None:
    """Undo the saving of a question; its news is kept.

    Raises:
        UsageError: there is no such question.
        LockedError: another process changes the saved questions, or answers them.
        ConfigError: index.toml can't be changed safely.
    """
    with lock_for_writing(folder.path / _LOCK):
        if name not in [one.name for one in Settings.load(folder.path).watches]:
            raise UsageError(f"no question is saved as {name[:80]!r}. It may have been removed meanwhile")
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
