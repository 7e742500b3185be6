"""The processor of this machine: its name and its instruction sets."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def read_flags() -> frozenset[str]:
    """Return the instruction sets of this processor, as Linux names them; empty elsewhere."""
    for line in _read_cpuinfo():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(flags.split())
    return frozenset()


@cache
def read_processor() -> str:
    """Return the name of this processor."""
    for line in _read_cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read_cpuinfo() -> Sequence[str]:
    """Return the lines of Linux's description of the processors; none elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
