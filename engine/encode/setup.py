"""How texts are spread over the cores of a CPU: measured on the machine itself, remembered, never guessed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.config import cache_folder, cores

log = logging.getLogger(__name__)

ROUNDS = 3
GAIN = 1.05  # another setup must be so many times as fast as the default to be taken; less is noise
TEXTS_PER_CORE = 8  # measured on; a second or two in all
CACHE = "cpu-setups.json"


@dataclass(frozen=True, slots=True)
class Setup:
    """Workers take texts, `batch` at a time, and run them with `threads` threads each."""

    workers: int
    threads: int
    batch: int


def default_setup(n_cores: int) -> Setup:
    """Each text alone and un-padded on one thread: what stays in cache, with nothing computed for padding."""
    return Setup(n_cores, 1, 1)


def candidates(n_cores: int, *, alone: bool) -> list[Setup]:
    """The setups worth a measurement, the default first; alone: texts must not share a run."""
    found = [default_setup(n_cores), Setup(1, n_cores, 1)]
    if not alone:
        found += [Setup(n_cores, 1, 4), Setup(1, n_cores, 8)]
    return list(dict.fromkeys(found))


def fastest_setup(seconds: Callable[[Setup], float], among: Sequence[Setup]) -> Setup:
    """The setup of the least median time, the first one unless another is clearly faster. They take turns."""
    times: dict[Setup, list[float]] = {setup: [] for setup in among}
    for _ in range(ROUNDS):
        for setup in among:
            times[setup].append(seconds(setup))
    medians = {setup: statistics.median(found) for setup, found in times.items()}
    best = min(among, key=lambda setup: medians[setup])
    return best if medians[best] * GAIN < medians[among[0]] else among[0]


def measured_setup(seconds: Callable[[Setup], float], fingerprint: str, library: str, *, alone: bool) -> Setup:
    """The fastest setup for an encoder on this machine: remembered from before, or measured now and remembered."""
    among = candidates(cores(), alone=alone)
    folder, key = cache_folder(), machine_key(fingerprint, library)
    known = remembered(folder / CACHE) if folder else {}
    if (found := known.get(key)) in among:
        return found or among[0]
    setup = fastest_setup(seconds, among)
    log.info("measured on this machine: %s is the fastest of %d", setup, len(among))
    if folder:
        remember(folder / CACHE, known | {key: setup})
    return setup


def machine_key(fingerprint: str, library: str) -> str:
    """What the measurement depends on: processor, cores, library and encoder."""
    facts = (processor(), str(cores()), library, fingerprint)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def remembered(path: Path) -> dict[str, Setup]:
    """What was measured before; nothing when the file can't be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(key): Setup(**{name: int(value[name]) for name in ("workers", "threads", "batch")})
            for key, value in content.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def remember(path: Path, known: dict[str, Setup]) -> None:
    """Keep what was measured; where that is not possible it is measured again."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{time.monotonic_ns()}.tmp")
        beside.write_text(json.dumps({key: asdict(setup) for key, setup in known.items()}, indent=1), encoding="utf-8")
        beside.replace(path)
