"""Semantic search over abstracts: abstracts in, top-k cosine matches out.

The tree is the pipeline; a stage imports only stages above it:

    collect    files    -> Abstract, Deletion, Rejection
    corpus     Abstracts -> rows in SQLite
    encode     texts    -> unit-length float32 vectors
    index      vectors  -> FAISS, and the published generation
    query      text     -> list of Hit
    references Hits     -> files of reference managers
    reindex    sources vs the current generation -> the next generation
    relevance  rankings + judgments -> measures
    retrievers an index as a part of other programs
    scale      an index on the nodes of a cluster
    serve      pages and an API over HTTP, tools for assistants
    train      pairs -> a better encoder

Names below are resolved when first used, so that ``import engine`` loads no heavy library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.errors import EngineError
    from engine.options import Filters, Query
    from engine.query.index import Index
    from engine.records.abstract import Abstract
    from engine.records.answer import Answer, ChangedHit, Hit
    from engine.scale.opening import open_index

__version__ = "0.1.0"
__all__ = [
    "Abstract",
    "Answer",
    "ChangedHit",
    "EngineError",
    "Filters",
    "Hit",
    "Index",
    "Query",
    "__version__",
    "open_index",
]

_HOME = {
    "Abstract": "engine.records.abstract",
    "Answer": "engine.records.answer",
    "ChangedHit": "engine.records.answer",
    "EngineError": "engine.errors",
    "Filters": "engine.options",
    "Hit": "engine.records.answer",
    "Query": "engine.options",
    "Index": "engine.query.index",
    "open_index": "engine.scale.opening",
}


def __getattr__(name: str) -> object:
    """Import the module that holds a public name.

    Raises:
        AttributeError: not a public name.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
