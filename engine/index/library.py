"""FAISS, or a clear word that it is not installed."""

from __future__ import annotations

from typing import Any

from engine.errors import MissingExtraError

try:
    import faiss as installed
except ImportError as missing:
    raise MissingExtraError("FAISS", "[cpu], [gpu] or [lite]") from missing

faiss: Any = installed  # its stubs cover little of what it has

__all__ = ["faiss"]
