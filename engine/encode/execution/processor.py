"""The processor of this machine: its name, its instruction sets, and the key under which a measurement is kept."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from engine.config import count_cores


@cache
def read_flags() -> frozenset[str]:
    """Return the instruction sets of this processor, as Linux names them; empty elsewhere."""
    for line in _read_cpuinfo():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(flags.split())
    return frozenset()


@cache
def _read_processor() -> str:
    """Return the name of this processor."""
    for line in _read_cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hash_machine(*facts: str) -> str:
    """Return the key of a measurement: it depends on processor, instruction sets, cores and these facts."""
    every = (_read_processor(), *sorted(read_flags()), str(count_cores()), *facts)
    return hashlib.sha256("\n".join(every).encode()).hexdigest()[:32]


def _read_cpuinfo() -> Sequence[str]:
    """Return the lines of Linux's description of the processors; none elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
