"""The processor of this machine: its name, its instruction sets, and the key under which a measurement is kept."""

from __future__ import annotations

import hashlib
import platform
from functools import cache

from engine.config import count_cores
from engine.platform import read_processor_lines


@cache
def read_flags() -> frozenset[str]:
    """Return the instruction sets of this processor, as Linux names them; empty elsewhere."""
    for line in read_processor_lines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(flags.split())
    return frozenset()


@cache
def _read_processor() -> str:
    """Return the name of this processor."""
    for line in read_processor_lines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hash_machine(*facts: str) -> str:
    """Return the key of a measurement: it depends on processor, instruction sets, cores and these facts."""
    every = (_read_processor(), *sorted(read_flags()), str(count_cores()), *facts)
    return hashlib.sha256("\n".join(every).encode()).hexdigest()[:32]
