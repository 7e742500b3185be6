"""What the saved questions of an index have been answered on and what they reported: watches.json, replaced as a whole.

It is bounded by what is new: what every kept generation has behind it is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.corpus.history import GenerationKey, read_lineage
from engine.errors import CorruptError
from engine.index.files.durable import replace_text
from engine.index.generations.folder import IndexFolder
from engine.platform import sync_path
from engine.reindex.news.newsfiles import find_last_run

_MEMORY = "watches.json"  # in the folder of an index
_VERSION = 1


@dataclass(slots=True)
class WatchMemory:
    """What one saved question has been answered on and what it reported."""

    answered: set[GenerationKey] = field(default_factory=set)
    reported: dict[str, tuple[int, str, str]] = field(
        default_factory=dict
    )  # record id -> generation, digest of the record

    def find_base(self, lineage: frozenset[GenerationKey]) -> int | None:
        """Return the last generation behind the current one that was answered; None if there is none."""
        return max((number for number, _ in self.answered & lineage), default=None)

    def has_reported(self, record_id: str, digest: str, lineage: frozenset[GenerationKey]) -> bool:
        """Return whether a record was reported as it is now, by a generation that was rolled back."""
        number, created, known = self.reported.get(record_id, (0, "", ""))
        return known == digest and (number, created) not in lineage

    def begin(self, lineage: frozenset[GenerationKey]) -> None:
        """Count everything up to now as known."""
        self.answered |= lineage

    def forget(self, lineages: Sequence[frozenset[GenerationKey]]) -> None:
        """Forget what no rollback to a kept generation can make needed again; lineages: those of the kept ones."""
        behind_all = frozenset.intersection(*lineages) if lineages else frozenset()
        last = max(self.answered & behind_all, default=(0, ""))
        self.answered = {key for key in self.answered if key not in behind_all or key >= last}
        self.reported = {one: entry for one, entry in self.reported.items() if entry[:2] not in behind_all}


@dataclass(slots=True)
class WatchMemories:
    """The memory of all saved questions of an index."""

    n_runs: int = 0  # that reported something
    watches: dict[str, WatchMemory] = field(default_factory=dict)


def read_memories(folder: Path) -> WatchMemories:
    """Return what is remembered in the folder of an index; nothing if there is no file.

    Where the file is lost or older than the news, the numbers of runs go on after those of the news. One folder more
    than there were runs is of a run that was killed.

    Raises:
        CorruptError: the file is not one of this engine.
    """
    path = folder / _MEMORY
    try:
        content = json.loads(path.read_bytes())
        _check_version(content["version"])
        n_runs, last = _read_count(content["runs"]), find_last_run(folder)
        return WatchMemories(
            last if last > n_runs + 1 else n_runs,
            {str(name): _read_memory(one) for name, one in content["watches"].items()},
        )
    except FileNotFoundError:
        return WatchMemories(find_last_run(folder))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as err:
        raise CorruptError(
            f"{path} is damaged: {err}. Copy it from a backup, or delete it: every watch then begins anew"
        ) from err


def _check_version(version: object) -> None:
    """Refuse a file of another engine.

    Raises:
        ValueError: another version.
    """
    if version != _VERSION:
        raise ValueError(f"version {version!r}, expected {_VERSION}")


def _read_count(runs: Any) -> int:
    """Return how many runs there were.

    Raises:
        ValueError: it is less than none.
    """
    if (n_runs := int(runs)) < 0:
        raise ValueError(f"runs {n_runs}, expected a number from 0")
    return n_runs


def _read_memory(content: dict[str, object]) -> WatchMemory:
    """Return the memory of one question from its JSON."""
    memory = WatchMemory()
    for number, created in content["answered"]:  # type: ignore[attr-defined]
        memory.answered.add((int(number), str(created)))
    for record_id, (number, created, digest) in content["reported"].items():  # type: ignore[attr-defined]
        memory.reported[str(record_id)] = (int(number), str(created), str(digest))
    return memory


def write_memories(folder: Path, memories: WatchMemories) -> None:
    """Replace the file: readers and a crash see the old one or the new one."""
    watches = {
        name: {"answered": sorted(memory.answered), "reported": dict(sorted(memory.reported.items()))}
        for name, memory in sorted(memories.watches.items())
    }
    replace_text(
        folder / _MEMORY, json.dumps({"version": _VERSION, "runs": memories.n_runs, "watches": watches}) + "\n"
    )
    sync_path(folder)


def read_kept_lineages(folder: IndexFolder) -> list[frozenset[GenerationKey]]:
    """Return the lineage of each kept generation; an empty one for a damaged one, so that nothing is forgotten."""
    found = []
    for number in folder.list_numbers():
        lineage: frozenset[GenerationKey] = frozenset()
        with suppress(CorruptError):
            lineage = read_lineage(folder.get_generation_path(number) / "state.db")
        found.append(lineage)
    return found
