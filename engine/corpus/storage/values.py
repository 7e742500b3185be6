"""Values as SQLite compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence


def _replace_surrogates(text: str) -> str:
    """Return text that SQLite can compare: lone surrogates from a broken terminal become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def bind_text(value: str) -> str:
    """Return text that SQLite compares as a whole: it reads no further than a NUL, which no record holds."""
    return _replace_surrogates(value).replace("\0", "\ufffd")


def dump_json_array(values: Sequence[str]) -> str:
    """Return one JSON array, for json_each."""
    return json.dumps(values, ensure_ascii=False)
