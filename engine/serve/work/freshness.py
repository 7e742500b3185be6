"""Which answer a client holds already: an answer stays what it is as long as its generation does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from starlette.requests import Request

from engine import __version__
from engine.query.index import Index, get_generation


def compute_tag(request: Request, indexes: Sequence[Index], names: Sequence[str]) -> str:
    """The ETag of an answer: of what is asked, the generations, index.toml, all that are served, and the engine."""
    parts = [__version__, _hash_templates(), request.url.path, request.url.query, *names]
    for index in indexes:
        snapshot = get_generation(index)
        parts += [str(snapshot.folder.path), snapshot.pointer.decode("ascii", "replace"), _read_settings_state(index)]
        parts += [str(snapshot.manifest.generation), snapshot.manifest.created]
    return f'"{hashlib.sha256(chr(0).join(parts).encode("utf-8", "replace")).hexdigest()[:32]}"'


@cache
def _hash_templates() -> str:
    """SHA-256 over all templates: pages that a browser keeps are of them too."""
    files = sorted((Path(__file__).parent.parent / "pages" / "templates").glob("*.html"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _read_settings_state(index: Index) -> str:
    """What tells one state of index.toml, which has a say in hybrid search, from another."""
    try:
        found = (index.path / "index.toml").stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns} {found.st_size}"


def is_held(request: Request, tag: str) -> bool:
    """Whether the client says that it holds this answer; never where the file of the MeSH tree has a say in it."""
    if "mesh_tree=" in request.url.query:
        return False
    given = request.headers.get("if-none-match", "")
    return any(one.strip().removeprefix("W/") == tag for one in given.split(","))
