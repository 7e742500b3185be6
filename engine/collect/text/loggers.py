"""The loggers of the libraries that read for us."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def silence_loggers(*names: str) -> Iterator[None]:
    """Let these loggers and those below them report only critical faults inside the block; then restore their levels.

    What they warn of is reported as a Rejection or a Remark.
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
