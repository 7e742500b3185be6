"""The callback that long work reports its progress to."""

from __future__ import annotations

from collections.abc import Callable

# Called with a phase, how much of it is done, and the total where it is known.
Progress = Callable[[str, int, int | None], None]
