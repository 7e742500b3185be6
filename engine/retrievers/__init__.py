"""An index as a part of other people's programs, each module for one of them and in an extra of its own.

In: their questions. Out: their documents. ``documents`` makes a text and plain metadata of a hit; ``langchain``,
``llamaindex`` and ``haystack`` are retrievers; ``benchmark`` lets mteb measure the encoder and the whole search. No
module sends anything to other machines.

The names below are resolved when first used, so that one library is enough.
"""

from __future__ import annotations

from importlib import import_module

from engine.errors import MissingExtraError

_HOME = {
    "HaystackRetriever": ("haystack", "haystack"),
    "LangChainRetriever": ("langchain", "langchain"),
    "LlamaIndexRetriever": ("llamaindex", "llamaindex"),
    "MtebEncoder": ("benchmark", "mteb"),
    "MtebSearch": ("benchmark", "mteb"),
}  # -> module, extra
__all__ = ["HaystackRetriever", "LangChainRetriever", "LlamaIndexRetriever", "MtebEncoder", "MtebSearch"]  # noqa: F822


def __getattr__(name: str) -> object:
    """Import the module that holds a public name.

    Raises:
        AttributeError: not a public name.
        MissingExtraError: its library is not installed.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'engine.retrievers' has no attribute {name!r}")
    module, extra = _HOME[name]
    try:
        return getattr(import_module(f"engine.retrievers.{module}"), name)
    except ModuleNotFoundError as err:
        extras = f"[cpu,{extra}], [gpu,{extra}] or [lite,{extra}]"
        raise MissingExtraError(f"{err.name} (needed for {name})", extras) from err


def __dir__() -> list[str]:
    return sorted(__all__)
