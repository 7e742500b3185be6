"""The log of the nightly runs of an index: one line of JSON per run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from engine.platform import sync_file

NIGHTS = "nightly.jsonl"  # in the folder of an index
_MAX_READ = 4 << 20  # bytes read from its end; the first run of a year lists thousands of files


@dataclass(frozen=True, slots=True)
class Night:
    """The record of a nightly run."""

    index: str
    started: str  # UTC, ISO 8601
    status: str = "failed"  # updated, nothing new, incomplete, download failed, failed, interrupted
    exit_code: int = 1
    seconds: float = 0.0
    generation: int | None = None  # the current one after the run
    downloaded: tuple[str, ...] = ()  # names of fetched files
    download_errors: tuple[str, ...] = ()  # one per file that could not be fetched
    gaps: tuple[str, ...] = ()  # missing update files between those that the index or the mirror has
    verified: bool = False
    pruned: tuple[int, ...] = ()  # generations that were deleted
    news: dict[str, Any] | None = None  # of the saved questions: folder, and how much each reports; None without any
    watch_errors: tuple[str, ...] = ()  # why saved questions could not be answered
    error: str | None = None  # what stopped the run
    report: dict[str, Any] | None = None  # report of the reindex: files, counts, remarks

    @property
    def problem(self) -> str:
        """The errors of the run as one text; "" if there were none."""
        return self.error or "; ".join((*self.download_errors, *self.watch_errors))


def format_night(night: Night, hide: Callable[[str], str]) -> str:
    """Return a run as one line of JSON in ASCII; hide: removes secrets from a text."""
    return json.dumps(_map_texts(asdict(night), hide))


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a nested value with all texts in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_texts(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_map_texts(inner, change) for inner in value]
    return value


def append_night(path: Path, line: str) -> None:
    """Append one line to a file, durably.

    Raises:
        OSError: it can't be written.
    """
    with path.open("a", encoding="ascii", newline="\n") as file:
        file.write(line + "\n")
        file.flush()
        sync_file(file.fileno())


def read_last_night(path: Path) -> Night | None:
    """Return the last nightly run of the index in a folder; None if there is none that can be read."""
    try:
        with (path / NIGHTS).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _MAX_READ))
            row = json.loads(file.read().splitlines()[-1], parse_constant=_refuse_constant)
        return Night(
            index=str(row.get("index", "")),
            started=str(row["started"]),
            status=str(row["status"]),
            exit_code=int(row.get("exit_code", 0)),
            seconds=float(row["seconds"]),
            generation=row.get("generation"),
            downloaded=tuple(map(str, row.get("downloaded") or ())),
            download_errors=tuple(map(str, row.get("download_errors") or ())),
            gaps=tuple(map(str, row.get("gaps") or ())),
            verified=bool(row.get("verified")),
            pruned=tuple(map(int, row.get("pruned") or ())),
            news=row.get("news"),
            watch_errors=tuple(map(str, row.get("watch_errors") or ())),
            error=str(row["error"]) if row.get("error") else None,
            report=row.get("report"),
        )
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity, which are not JSON.

    Raises:
        ValueError: always.
    """
    raise ValueError(text)
