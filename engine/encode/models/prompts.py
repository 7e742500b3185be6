"""The prompts that a model wants before its texts, chosen as by sentence-transformers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.encode.models.layout import LIBRARY_SETTINGS, read_object
from engine.errors import EncoderError

QUERY, DOCUMENT = "query", "document"  # names of the prompts that are used by themselves
_ALSO_DOCUMENT = ("passage", "corpus")  # names that older folders have
_NAME = re.compile(r"[\w.-]+")  # a prompt is a text, which ends with a blank or a colon


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a model folder."""

    texts: Mapping[str, str]  # by name; blank ones are left out
    default: str | None  # name of the one that sentence-transformers' encode uses

    @property
    def query(self) -> str:
        """The prompt of a query; "" for none."""
        return self.texts.get(QUERY, "")

    @property
    def document(self) -> str:
        """The prompt of a text to be found; "" for none."""
        return self.texts.get(DOCUMENT, "")

    def resolve(self, given: str) -> str:
        """Return the prompt that a user gave: a name of this model's, or a text; "" for none.

        Raises:
            EncoderError: it looks like a name, and the model has no such prompt.
        """
        if given in self.texts:
            return self.texts[given]
        if _NAME.fullmatch(given) and given not in (QUERY, DOCUMENT):
            known = ", ".join(self.texts) or "none"
            raise EncoderError(
                f"{given!r} is not a prompt of this model (it has {known}). A text to put before every text ends with "
                f"a blank or a colon: --query-prompt {given + ': '!r}"
            )
        return "" if given in (QUERY, DOCUMENT) else given

    def list_unused(self, query: str, document: str) -> Iterator[str]:
        """Yield notes on prompts that are not used for search though the folder suggests it."""
        if self.default and self.texts.get(self.default) not in (None, query, document):
            name = self.default
            yield (
                f"the model's default prompt {name!r} is not used, as in encode_query and encode_document of "
                f"sentence-transformers. To use it: --query-prompt {name} --document-prompt {name}"
            )
        for name in _ALSO_DOCUMENT:
            if not document and name in self.texts and name != self.default:
                yield (
                    f"the model's prompt {name!r} is not used for documents, as in encode_document of "
                    f"sentence-transformers. To use it: --document-prompt {name}"
                )


def read_library_settings(folder: Path) -> dict[str, Any]:
    """Read the settings of sentence-transformers: prompts, default prompt, similarity, truncation and any other.

    What is missing has the library's default, so that folders saved by different releases agree. Blank prompts are left
    out, since they change nothing.

    Raises:
        EncoderError: the file is not JSON, or its prompts are no texts.
    """
    path = folder / LIBRARY_SETTINGS
    content = read_object(path) if path.is_file() else {}
    prompts = content.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise EncoderError(
            f"{path}: prompts is {str(prompts)[:60]}, expected texts by name. Copy the model folder again"
        )
    known = {
        "prompts": {name: text for name, text in prompts.items() if text},
        "default_prompt_name": content.get("default_prompt_name"),
        "similarity_fn_name": content.get("similarity_fn_name") or "cosine",
        "truncate_dim": content.get("truncate_dim"),
    }
    return {name: value for name, value in content.items() if name not in _NO_SETTINGS} | known


_NO_SETTINGS = ("__version__", "model_type")  # of the library that saved the folder; they change no vector


def read_prompts(folder: Path) -> Prompts:
    """Read the prompts of a model folder.

    Raises:
        EncoderError: they can't be read, or the default prompt is none of them.
    """
    settings = read_library_settings(folder)
    path, default = folder / LIBRARY_SETTINGS, settings["default_prompt_name"]
    named = (read_object(path).get("prompts") or {}) if path.is_file() else {}
    if default is not None and default not in (*named, QUERY, DOCUMENT):
        raise EncoderError(
            f"{path}: default_prompt_name is {default!r}, expected one of {', '.join(named) or 'no prompts'}. Copy the "
            "model folder again"
        )
    return Prompts(settings["prompts"], default)
