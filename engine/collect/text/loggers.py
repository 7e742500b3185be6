"""Loggers of the libraries that read source files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def silence_loggers(*names: str) -> Iterator[None]:
    """Limit these loggers and their children to critical messages inside the block; then restore their levels.

    What they would warn about is reported as a Rejection or a Remark.
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
