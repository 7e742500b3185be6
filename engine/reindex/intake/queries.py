"""Fetch of the queries among the sources of an index: what changed since the last time, and now and then everything.

What a service sends is kept in a folder of the query, which is read like any other watched folder. A file beside the
folder tells what was fetched when.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.collect.fetch.europepmc import connect_europepmc, fetch_europepmc
from engine.collect.fetch.eutilities import connect_pubmed
from engine.collect.fetch.pubmedquery import fetch_pubmed
from engine.collect.fetch.service import Service
from engine.collect.fetch.task import FetchReport, FetchTask
from engine.collect.fetch.updates import DownloadResult
from engine.config import SourcePattern
from engine.errors import EngineError, NoRecordError
from engine.files import write_text
from engine.phrases import pluralize
from engine.progress import Progress
from engine.receipts import FileReceipt
from engine.reindex.intake.sources import resolve_pattern

_FULL_EVERY = timedelta(days=30)  # a service may have changed a record without changing its date
_OVERLAP = timedelta(days=2)  # with the last fetch, since dates of services are those of their time zone
_STALE = timedelta(days=7)  # an interrupted fetch that is older begins anew
_N_NAMED = 5  # records that did not come
_ENOUGH = 0.9  # of the records of the last full fetch, for a new one to replace it
_FOLDER = "queries"  # of an index, with a folder for each query


@dataclass(frozen=True, slots=True)
class _Kind:
    """How queries to one service are fetched."""

    suffix: str  # of the files
    changed: str  # the query for what changed since a day
    day: str  # how the service writes a day
    fetch: Callable[[FetchTask, Progress], FetchReport]


_KINDS = {
    "pubmed": _Kind(
        ".xml.gz",
        '({query}) AND (("{day}"[lr] : "3000/12/31"[lr]) OR ("{day}"[edat] : "3000/12/31"[edat]))',
        "%Y/%m/%d",
        fetch_pubmed,
    ),
    "europepmc": _Kind(
        ".jsonl.gz",
        "({query}) AND (UPDATE_DATE:[{day} TO 3000-12-31] OR CREATION_DATE:[{day} TO 3000-12-31])",
        "%Y-%m-%d",
        fetch_europepmc,
    ),
}


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """How services are asked."""

    api_key: str
    email: str
    timeout: float
    back_off: float

    def connect(self, source: SourcePattern) -> Service:
        """Return the service that a source names.

        Raises:
            UsageError: the address of the source is not one.
        """
        is_pubmed = source.service == "pubmed"
        made = connect_pubmed(source.url, self.api_key, self.email) if is_pubmed else connect_europepmc(source.url)
        return replace(made, mirror=replace(made.mirror, timeout=self.timeout, back_off=self.back_off))


@dataclass(frozen=True, slots=True)
class _Fetched:
    """One fetch that is done."""

    name: str  # of the file; "" where nothing had changed
    n_bytes: int
    sha256: str
    is_full: bool
    started: str  # ISO 8601
    n_counted: int
    n_records: int
    missing: tuple[str, ...]


def fetch_queries(
    base: Path,
    sources: Sequence[SourcePattern],
    connection: ServiceAccess,
    say: Callable[[str], None],
    progress: Progress,
) -> DownloadResult:
    """Fetch the queries among the sources. One that fails does not stop the others; the next run tries it again.

    Args:
        base: the folder of the index.
        sources: those of index.toml.
        connection: how services are asked.
        say: receives a line for each query.
        progress: receives how many records came.
    """
    names, failures = [], []
    for source in dict.fromkeys(source for source in sources if source.service):
        folder = resolve_pattern(base, source)
        if problem := next(_find_problems(folder, _read_state(folder, source)), ""):
            say(f"{source.describe()}: {problem}, so everything is fetched again")
        try:
            done = _fetch_query(base, source, connection, progress)
        except (EngineError, OSError) as err:
            failures.append(f"{source.describe()}: {err}")
            continue
        names += [done.name] if done.name else []
        lacks = f", {len(done.missing):,} did not come: {', '.join(done.missing[:_N_NAMED])}" if done.missing else ""
        lacks += f", {done.n_counted:,} were counted" if done.n_counted > done.n_records + len(done.missing) else ""
        kind = "all records" if done.is_full else "new and changed records"
        say(f"{source.describe()}: {kind}: {pluralize(done.n_records, 'record')}{lacks}")
        if done.is_full:
            note = _replace_older(resolve_pattern(base, source), source)
            if note:
                say(f"{source.describe()}: {note}")
    return DownloadResult((), tuple(names), tuple(failures))


def _fetch_query(base: Path, source: SourcePattern, connection: ServiceAccess, progress: Progress) -> _Fetched:
    """Fetch one query, whole or what changed; note it beside the folder.

    Raises:
        NoRecordError: the service has no record at all.
        EngineError: the service failed, or the disk is full.
        OSError: the folder can't be made.
    """
    folder = resolve_pattern(base, source)
    folder.mkdir(parents=True, exist_ok=True)
    before = _read_state(folder, source)
    now = datetime.now(UTC)
    is_full = _is_full_due(folder, before, now)
    since = None if is_full else datetime.fromisoformat(before[-1].started).date() - _OVERLAP
    kind = _KINDS[str(source.service)]
    query = source.query if since is None else kind.changed.format(query=source.query, day=f"{since:{kind.day}}")
    task = FetchTask(connection.connect(source), _choose_path(folder, since, kind, now), query)
    _remove_other_parts(folder, task)
    try:
        report = kind.fetch(task, progress)
    except NoRecordError:
        if is_full:
            raise
        done = _Fetched("", 0, "", False, now.isoformat(timespec="seconds"), 0, 0, ())
    else:
        receipt = FileReceipt.of(task.path)
        counts = (report.n_counted, report.n_records, report.missing)
        done = _Fetched(receipt.name, receipt.n_bytes, receipt.sha256, is_full, report.started, *counts)
    _write_state(folder, source, [*before, done])
    return done


def _is_full_due(folder: Path, before: Sequence[_Fetched], now: datetime) -> bool:
    """Return whether everything is to be fetched: never done, long ago, the file is gone, or one is damaged."""
    last = next((one for one in reversed(before) if one.is_full), None)
    if last is None or not (folder / last.name).exists() or any(_find_problems(folder, before)):
        return True
    return now - datetime.fromisoformat(last.started) > _FULL_EVERY


def _find_problems(folder: Path, fetches: Sequence[_Fetched]) -> Iterator[str]:
    """Yield what is wrong with the fetched files that are there: one is not as it was written."""
    for one in {one.name: one for one in fetches}.values():  # of fetches into the same file, the last
        is_there = bool(one.name) and (folder / one.name).exists()
        if is_there and (problem := FileReceipt(one.name, one.n_bytes, one.sha256).find_problem(folder, quick=True)):
            yield problem


def find_fetched_problems(base: Path) -> Iterator[str]:
    """Yield what is wrong with the files that were fetched for the queries of an index.

    base: the folder of the index.
    """
    for path in sorted((base / _FOLDER).glob("*.json")):
        yield from _find_problems(path.with_suffix(""), _parse_fetches(_parse_state(path)))


def _choose_path(folder: Path, since: date | None, kind: _Kind, now: datetime) -> Path:
    """Return the file for a fetch: that of an interrupted one, or a new one."""
    stem = f"changed-since-{since}" if since else "all"
    for number in range(1, 10_000):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}{kind.suffix}"
        part = path.with_name(f"{path.name}.part")
        if part.exists() and now - datetime.fromtimestamp(part.stat().st_mtime, UTC) > _STALE:
            part.unlink()
        if not path.exists():
            break
    return path


def _remove_other_parts(folder: Path, task: FetchTask) -> None:
    """Delete the work of interrupted fetches that no run would resume."""
    for part in folder.glob("*.part"):
        if part != task.work_path:
            part.unlink(missing_ok=True)


def _replace_older(folder: Path, source: SourcePattern) -> str:
    """Delete the files that the last fetch, which was of everything, makes superfluous; return what was done, or "".

    If the last fetch lacks records, or has far fewer than the one of everything before it, that one and the files that
    followed it are kept: a record that neither of the two has is gone.
    """
    *before, last = _read_state(folder, source)
    kind = _KINDS[str(source.service)]
    made = {path for stem in ("all", "changed-since-") for path in folder.glob(f"{stem}*{kind.suffix}")}
    n_full = next((n for n in reversed(range(len(before))) if before[n].is_full), None)
    full = last if n_full is None else before[n_full]
    lacks = last.missing or last.n_records < last.n_counted or last.n_records < _ENOUGH * full.n_records
    if lacks and n_full is None:  # nothing tells what the files are
        return (
            f"{pluralize(len(made) - 1, 'older file')} kept, since not everything came again" if len(made) > 1 else ""
        )
    stay = [*before[n_full:], last] if lacks else [last]
    older = sorted(path for path in made if path.name not in {one.name for one in stay})
    _write_state(folder, source, stay)
    for path in older:
        path.unlink(missing_ok=True)
    return _describe_older(len(older), len(made) - len(older) - 1, last.name)


def _describe_older(n_removed: int, n_kept: int, newest: str) -> str:
    """Return what was done with the files before a fetch of everything; "" where there were none."""
    removed = f"{pluralize(n_removed, 'older file')} removed"
    if n_kept:
        kept = f"{pluralize(n_kept, 'older file')} kept, since not everything came again"
        return f"{kept}; {removed}" if n_removed else kept
    return f"{removed}, since {newest} holds all that the query finds now" if n_removed else ""


def list_fetched_files(base: Path) -> Iterator[Path]:
    """Yield what was fetched for the queries of an index and is whole, each after the file that tells about it.

    base: the folder of the index.
    """
    for path in sorted((base / _FOLDER).glob("*.json")):
        yield path
        yield from sorted(one for one in path.with_suffix("").glob("*") if one.is_file() and one.suffix != ".part")


def set_fetch_times(base: Path) -> None:
    """Give the files of queries that were copied the times of their fetches, by which sources are read in order.

    base: the folder of the index. A file that nothing tells about keeps its time.
    """
    for path in (base / _FOLDER).glob("*.json"):
        for row in _parse_state(path).get("fetches", ()):
            with suppress(OSError, ValueError, KeyError, TypeError):
                moment = datetime.fromisoformat(row["started"]).timestamp()
                os.utime(path.with_suffix("") / Path(row["name"]).name, (moment, moment))


def _get_state_path(folder: Path) -> Path:
    """Return the file that tells what was fetched into a folder."""
    return folder.with_name(f"{folder.name}.json")


def _read_state(folder: Path, source: SourcePattern) -> list[_Fetched]:
    """Return what was fetched, the oldest first; none if nothing was, or the file is damaged."""
    state = _parse_state(_get_state_path(folder))
    return _parse_fetches(state) if state.get("query") == source.query else []


def _parse_fetches(state: dict[str, Any]) -> list[_Fetched]:
    """Return the fetches of a state; none if it is damaged."""
    try:
        return [_Fetched(**(row | {"missing": tuple(row["missing"])})) for row in state["fetches"]]
    except (KeyError, TypeError):
        return []


def _parse_state(path: Path) -> dict[str, Any]:
    """Return the content of a file that tells what was fetched; {} if there is none, or it is damaged."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(folder: Path, source: SourcePattern, fetches: Sequence[_Fetched]) -> None:
    """Write what was fetched.

    Raises:
        EngineError: the disk is full.
    """
    state = {"service": source.service, "query": source.query, "fetches": [asdict(one) for one in fetches]}
    text = json.dumps(state, indent=1, ensure_ascii=False) + "\n"
    write_text(_get_state_path(folder), [text], overwrite=True)
