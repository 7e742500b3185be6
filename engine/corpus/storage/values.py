"""Conversion of values and paths for SQLite."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote


def _replace_surrogates(text: str) -> str:
    """Return text with lone surrogates, as from a broken terminal, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def bind_text(value: str) -> str:
    """Return text that SQLite compares as a whole: without surrogates and NUL, at which it would stop reading."""
    return _replace_surrogates(value).replace("\0", "\ufffd")


def dump_json_array(values: Sequence[str]) -> str:
    """Return one JSON array, for json_each."""
    return json.dumps(values, ensure_ascii=False)


def format_uri(path: Path) -> str:
    """Return the URI by which SQLite opens a published database: read-only, without locks and files beside it."""
    return f"file:{quote(os.fsencode(path.resolve()))}?mode=ro&immutable=1"
