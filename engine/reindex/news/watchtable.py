"""The [[watch]] tables of an index.toml, added and removed as text, so that comments stay."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.config import parse_toml, read_toml_text, read_watches
from engine.errors import ConfigError
from engine.index.files.durable import replace_text

_HEADER = re.compile(r"\s*\[\[\s*watch\s*\]\]\s*(?:#.*)?")
_ANY_HEADER = re.compile(r"\s*\[.*\]\s*(?:#.*)?")


def add_table(path: Path, entry: Mapping[str, object]) -> None:
    """Append a [[watch]] to an index.toml, which is made if it is missing.

    Raises:
        ConfigError: there is one of this name, or the file is not TOML.
    """
    text = read_toml_text(path)
    _replace(path, *_append(path, text, entry))


def change_table(path: Path, entry: Mapping[str, object]) -> None:
    """Put a [[watch]] in the place of the one of its name; it comes last.

    Raises:
        ConfigError: there is none, or it can't be separated from the text around it.
    """
    text = read_toml_text(path)
    _replace(path, *_append(path, _cut(path, text, str(entry["name"])), entry))


def _append(path: Path, text: str, entry: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return the text of an index.toml with a [[watch]] more, and what it must mean.

    Raises:
        ConfigError: there is one of this name, or the text is not TOML.
    """
    content = parse_toml(text, path)
    entry = {key: _make_storable(value) for key, value in entry.items()}
    before = content.get("watch", [])
    entries = before if isinstance(before, list) else []
    read_watches([*entries, entry] if entries == before else before, path)
    lines = [f"{key} = {_write_value(value)}\n" for key, value in entry.items()]
    fresh = "".join(
        [text, "" if not text or text.endswith("\n") else "\n", "\n" if text else "", "[[watch]]\n", *lines]
    )
    return fresh, {**content, "watch": [*entries, entry]}


def remove_table(path: Path, name: str) -> None:
    """Remove the [[watch]] of a name.

    Raises:
        ConfigError: there is none, or it can't be separated from the text around it.
    """
    text = read_toml_text(path)
    fresh = _cut(path, text, name)
    _replace(path, fresh, parse_toml(fresh, path))


def _cut(path: Path, text: str, name: str) -> str:
    """Return the text of an index.toml without the [[watch]] of a name.

    Raises:
        ConfigError: there is none, or it can't be separated from the text around it.
    """
    content = parse_toml(text, path)
    names = [watch.name for watch in read_watches(content.get("watch", []), path)]
    if name not in names:
        found = ", ".join(names) or "none"
        raise ConfigError(f"{path} has no [[watch]] with the name {name[:80]!r}: found {found}")
    lines = text.splitlines(keepends=True)
    headers = [n for n, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip("\r\n"))]
    if len(headers) != len(names):
        raise ConfigError(_explain(path, name))
    first = headers[names.index(name)]
    after = (n for n in range(first + 1, len(lines)) if _ANY_HEADER.fullmatch(lines[n].rstrip("\r\n")))
    last = next(after, len(lines))
    kept = [entry for entry, one in zip(content["watch"], names, strict=True) if one != name]
    wanted = {**content, "watch": kept} if kept else {key: value for key, value in content.items() if key != "watch"}
    fresh = "".join(lines[:first] + lines[last:])
    try:
        is_same = parse_toml(fresh, path) == wanted
    except ConfigError as err:
        raise ConfigError(_explain(path, name)) from err
    if not is_same:
        raise ConfigError(_explain(path, name))
    return fresh


def _replace(path: Path, text: str, wanted: Mapping[str, object]) -> None:
    """Replace an index.toml by a text that must mean what is wanted.

    Raises:
        ConfigError: it means something else; the file stays.
    """
    if parse_toml(text, path) != wanted:
        raise ConfigError(f"{path} can't be changed safely. Edit it: engine config shows what it says")
    target = Path(os.path.realpath(path))  # what a link leads to; the link stays
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    replace_text(target, text)
    if mode is not None and target.stat().st_mode & 0o7777 != mode:
        with suppress(PermissionError):  # FAT refuses to change them
            target.chmod(mode)


def _explain(path: Path, name: str) -> str:
    """Return why a table can't be removed as text."""
    return f"the [[watch]] {name!r} can't be removed safely from {path}. Delete its lines in an editor"


def _make_storable(value: object) -> object:
    """Return a value as TOML can hold it: a list, and "?" for bytes of the command line that are no text."""
    if isinstance(value, list | tuple):
        return [_make_storable(one) for one in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _write_value(value: object) -> str:
    """Return a value as TOML: text, number, flag, or a list of texts."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_write_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
