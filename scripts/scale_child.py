"""One operation of the engine, in a process that notes what it uses; `scale_usage.measure` starts it.

    python scripts/scale_child.py REPORT command ARGUMENT…     a command line of the engine
    python scripts/scale_child.py REPORT ask QUESTIONS.json    questions to an open index

Writes REPORT, a JSON file. The engine is the one that PYTHONPATH names: of it, only the command line and the public
Python API are used, so that any version can be measured. Phases are those of the engine's own progress.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BEFORE, AFTER = "start", "end"  # of a process: until the engine first tells its progress; the last mark
COUNTERS = ("cpu_s", "read", "written", "read_disk", "written_disk")
_IO = {"rchar": "read", "wchar": "written", "read_bytes": "read_disk", "write_bytes": "written_disk"}


def read_counters() -> dict[str, float]:
    """Return what this process and its finished children have used: COUNTERS."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found: dict[str, float] = {"cpu_s": sum(each.ru_utime + each.ru_stime for each in spent)}
    for line in Path("/proc/self/io").read_text().splitlines():
        name, _, value = line.partition(": ")
        if name in _IO:
            found[_IO[name]] = int(value)
    return found


class Marks:
    """The moments at which a phase began, with the counters at that moment."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.begin(BEFORE)

    def begin(self, phase: str) -> None:
        """Note that a phase begins, unless it is the one that runs."""
        if not self.found or self.found[-1]["phase"] != phase:
            self.found.append({"phase": phase, "at": time.monotonic(), **read_counters()})

    @contextmanager
    def listen(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """Yield a callback for the engine's progress."""
        yield lambda phase, done, total: self.begin(phase.split(" (")[0])


def run_command(marks: Marks, arguments: list[str]) -> dict[str, Any]:
    """Run a command line of the engine; its progress is noted instead of shown.

    Raises:
        SystemExit: the command failed.
    """
    import engine.terminal

    engine.terminal.show_progress = marks.listen  # before the commands import it
    from engine.cli import main

    try:
        main(arguments, prog_name="engine")
    except SystemExit as end:
        if end.code:
            raise
    return {}


def ask(marks: Marks, arguments: list[str]) -> dict[str, Any]:
    """Open an index, warm up, and ask questions one by one: medians of CPU ms, wall ms and bytes read of a question."""
    from engine import Filters, open_index

    asked = json.loads(Path(arguments[0]).read_text())
    marks.begin("opening")
    with open_index(asked["index"], follow=False) as index:
        marks.begin("warming up")
        calls = [
            {**asked["options"], **({"filters": Filters(**own)} if own else {}), "query": text}
            for text, own in asked["questions"]
        ]
        if "since" in asked["options"]:
            calls = [{**call, "since": index.generation - 1} for call in calls]
        method = getattr(index, asked["method"])
        for call in calls[: asked["warm"]]:
            method(**call)
        marks.begin("asking")
        return _measure_calls(method, calls[asked["warm"] :])


def _measure_calls(method: Callable[..., Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    spent: dict[str, list[float]] = {"cpu_ms": [], "wall_ms": [], "read": []}
    for call in calls:
        before, started = read_counters(), time.perf_counter()
        method(**call)
        wall, after = time.perf_counter() - started, read_counters()
        spent["wall_ms"].append(1000 * wall)
        spent["cpu_ms"].append(1000 * (after["cpu_s"] - before["cpu_s"]))
        spent["read"].append(after["read"] - before["read"])
    return {"question": {name: round(statistics.median(found), 3) for name, found in spent.items() if found}}


def main() -> None:
    report, kind, *arguments = sys.argv[1:]
    marks = Marks()
    found = {"command": run_command, "ask": ask}[kind](marks, arguments)
    marks.begin(AFTER)
    Path(report).write_text(json.dumps({"marks": marks.found, **found}))
    sys.stdout.flush()
    os._exit(0)  # so that nothing is used after the last mark


if __name__ == "__main__":
    main()
