"""The layout of texts over the cores of a CPU: measured on this machine, then remembered."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from engine import stamps
from engine.config import count_cores
from engine.encode.execution.processor import hash_machine
from engine.errors import EngineError

_log = logging.getLogger(__name__)

_ROUNDS = 3
_GAIN = 1.05  # another layout is used only if it is faster than the default by this factor; less is noise
TEXTS_PER_CORE = 8  # texts of a measurement; it takes a second or two
_CACHE = "cpu-threads.json"


@dataclass(frozen=True, slots=True)
class ThreadLayout:
    """A layout of texts over cores: each worker runs `batch` texts at a time on `threads` threads."""

    workers: int
    threads: int
    batch: int


def get_default_layout(n_cores: int) -> ThreadLayout:
    """Return the layout that runs each text alone on one thread: it stays in cache, and nothing is padded."""
    return ThreadLayout(n_cores, 1, 1)


def _list_layouts(n_cores: int, *, alone: bool) -> list[ThreadLayout]:
    """List the layouts to measure, the default first; alone: texts must not share a run."""
    layouts = [get_default_layout(n_cores), ThreadLayout(1, n_cores, 1)]
    if not alone:
        layouts += [ThreadLayout(n_cores, 1, 4), ThreadLayout(1, n_cores, 8)]
    return list(dict.fromkeys(layouts))


def _find_fastest_layout(seconds: Callable[[ThreadLayout], float], among: Sequence[ThreadLayout]) -> ThreadLayout:
    """Return the layout with the least median time; the first one unless another is clearly faster.

    The layouts take turns.
    """
    times: dict[ThreadLayout, list[float]] = {layout: [] for layout in among}
    for _ in range(_ROUNDS):
        for layout in among:
            times[layout].append(seconds(layout))
    medians = {layout: float(np.median(measured)) for layout, measured in times.items()}
    best = min(among, key=lambda layout: medians[layout])
    return best if medians[best] * _GAIN < medians[among[0]] else among[0]


def measure_layout(
    seconds: Callable[[ThreadLayout], float], fingerprint: str, library: str, *, alone: bool
) -> ThreadLayout:
    """Return the fastest layout for an encoder on this machine: remembered, or measured now and remembered."""
    among = _list_layouts(count_cores(), alone=alone)
    known, key = stamps.load_entries(_CACHE), hash_machine(library, fingerprint)
    for layout in among:
        if known.get(key) == asdict(layout):
            return layout
    layout = _find_fastest_layout(seconds, among)
    _log.info("measured on this machine: %s is the fastest of %d", layout, len(among))
    with contextlib.suppress(OSError, EngineError):  # if it can't be remembered, it is measured again
        stamps.keep(known | {key: asdict(layout)}, _CACHE)
    return layout
