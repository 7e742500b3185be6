"""FAISS, or a clear error when it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import MissingExtraError

try:
    import faiss as installed
except ImportError as missing:
    raise MissingExtraError("FAISS", "[cpu], [gpu] or [lite]") from missing

faiss: Any = installed  # its stubs are incomplete


@contextmanager
def use_threads(n_queries: int) -> Iterator[None]:
    """Use one thread for one query and all threads for several. Applies to the calling thread only.

    On a busy machine, threads that share one query wait for each other longer than the query takes.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if n_queries == 1 else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


__all__ = ["faiss", "use_threads"]
