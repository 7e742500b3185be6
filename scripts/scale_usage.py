"""What a process used, by phase, and how that grows with the size of an index. Linux only: it reads /proc."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from scale_child import COUNTERS

CHILD = Path(__file__).with_name("scale_child.py")
_EVERY = 0.02  # seconds between two looks at the memory of a process


@dataclass(slots=True)
class Usage:
    """What a process and its children used.

    read and written count the bytes of all read and write calls, also those that the page cache answers: they are the
    same on a busy machine and with a warm cache. read_disk and written_disk count what went through to the block device
    (read) or made pages dirty (written); read_disk depends on what the cache holds. Bytes of mapped files are in none
    but the last two.
    """

    cpu_s: float = 0.0
    read: float = 0
    written: float = 0
    read_disk: float = 0
    written_disk: float = 0
    anonymous: int = 0  # bytes at their peak, of the process and its children; sampled
    wall_s: float = 0.0
    phases: dict[str, dict[str, float]] = field(default_factory=dict)  # the same, by phase
    question: dict[str, float] = field(default_factory=dict)  # medians of one question: cpu_ms, wall_ms, read

    def show(self) -> dict[str, Any]:
        """Return the figures as JSON takes them."""
        return {name: value for name, value in asdict(self).items() if value or name not in ("phases", "question")}


def measure(arguments: Sequence[str], environment: Mapping[str, str], kind: str = "command") -> Usage:
    """Run one operation in a process of its own, see scale_child; return what it used.

    Raises:
        SystemExit: it failed; the message has the end of what it printed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report, said = Path(scratch, "report.json"), Path(scratch, "said")
        started = time.monotonic()
        with said.open("wb") as file:
            child = subprocess.Popen(
                [sys.executable, str(CHILD), str(report), kind, *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            samples = _watch_memory(child)
        if child.returncode:
            tail = "\n".join(said.read_text(errors="replace").splitlines()[-20:])
            raise SystemExit(f"{' '.join(arguments)} ended with {child.returncode}:\n{tail}")
        found = json.loads(report.read_text())
    usage = summarise(found["marks"], samples)
    usage.wall_s = round(time.monotonic() - started, 3)
    usage.question = found.get("question", {})
    return usage


def summarise(marks: Sequence[Mapping[str, Any]], samples: Sequence[tuple[float, int]]) -> Usage:
    """Return the usage between the first and the last mark, by phase; samples are (moment, bytes of memory)."""
    last = marks[-1]
    usage = Usage(**{name: last[name] for name in COUNTERS})
    usage.anonymous = max((size for _, size in samples), default=0)
    for begun, ended in pairwise(marks):
        phase = usage.phases.setdefault(begun["phase"], dict.fromkeys((*COUNTERS, "anonymous"), 0))
        for name in COUNTERS:
            phase[name] = round(phase[name] + ended[name] - begun[name], 4)
        within = [size for at, size in samples if begun["at"] <= at < ended["at"]]
        phase["anonymous"] = max([phase["anonymous"], *within])
    usage.cpu_s = round(usage.cpu_s, 4)
    return usage


def _watch_memory(child: "subprocess.Popen[bytes]") -> list[tuple[float, int]]:
    """Wait for a process; return (moment, anonymous bytes of it and its children)."""
    samples = []
    while child.poll() is None:
        samples.append((time.monotonic(), sum(_read_anonymous(pid) for pid in _list_family(child.pid))))
        time.sleep(_EVERY)
    return samples


def _read_anonymous(pid: int) -> int:
    """Return the anonymous bytes of a process; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def _list_family(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(found) for task in tasks for found in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from _list_family(child)


def fit_exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of log y over log x by least squares, for (x, y); None with fewer than two points or a y of 0.

    A cost that does not grow has 0, one in proportion to the size 1.
    """
    if len({x for x, _ in points}) < 2 or any(y <= 0 for _, y in points):
        return None
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return float(round(sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread, 3))
