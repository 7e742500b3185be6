"""pyarrow, or a clear error when it is not installed."""

from __future__ import annotations

from typing import Any

from engine.errors import MissingExtraError


def load_arrow() -> tuple[Any, Any]:
    """Return pyarrow and its module for Parquet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as err:
        raise MissingExtraError("pyarrow (needed for Parquet)", "[cpu,arrow], [gpu,arrow] or [lite,arrow]") from err
    return pyarrow, parquet
