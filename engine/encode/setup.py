"""How texts are spread over the cores of a CPU: measured on the machine itself, remembered, never guessed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from engine import stamps
from engine.config import cores
from engine.errors import EngineError

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
    medians = {setup: float(np.median(found)) for setup, found in times.items()}
    best = min(among, key=lambda setup: medians[setup])
    return best if medians[best] * GAIN < medians[among[0]] else among[0]


def measured_setup(seconds: Callable[[Setup], float], fingerprint: str, library: str, *, alone: bool) -> Setup:
    """The fastest setup for an encoder on this machine: remembered from before, or measured now and remembered."""
    among = candidates(cores(), alone=alone)
    known, key = stamps.known(CACHE), machine_key(fingerprint, library)
    for setup in among:
        if known.get(key) == asdict(setup):
            return setup
    setup = fastest_setup(seconds, among)
    log.info("measured on this machine: %s is the fastest of %d", setup, len(among))
    with contextlib.suppress(OSError, EngineError):  # where nothing can be kept it is measured again
        stamps.keep(known | {key: asdict(setup)}, CACHE)
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
