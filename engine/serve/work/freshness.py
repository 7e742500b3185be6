"""ETags: whether a client already has the current answer, which depends on the generation served."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from starlette.requests import Request

from engine import __version__
from engine.query.index import Index, get_generation
from engine.serve.http.prefix import link


def compute_tag(request: Request, indexes: Sequence[Index], names: Sequence[str]) -> str:
    """Return the ETag of an answer: a hash of the request, generations, index.toml, names served and engine version."""
    parts = [__version__, _hash_templates(), link(request.url.path), request.url.query, *names]
    for index in indexes:
        snapshot = get_generation(index)
        parts += [str(snapshot.folder.path), snapshot.pointer.decode("ascii", "replace"), _read_settings_state(index)]
        parts += [str(snapshot.manifest.generation), snapshot.manifest.created]
    return f'"{hashlib.sha256(chr(0).join(parts).encode("utf-8", "replace")).hexdigest()[:32]}"'


@cache
def _hash_templates() -> str:
    """Return the SHA-256 over all templates: cached pages depend on them, too."""
    files = sorted((Path(__file__).parent.parent / "pages" / "templates").glob("*.html"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _read_settings_state(index: Index) -> str:
    """Return time and size of index.toml, which holds settings of hybrid search; "" without such a file."""
    try:
        status = (index.path / "index.toml").stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"


def has_tag(request: Request, tag: str) -> bool:
    """Return whether a client has the answer with this tag; False if the answer depends on the MeSH tree file."""
    if "mesh_tree=" in request.url.query:
        return False
    tags = request.headers.get("if-none-match", "").split(",")
    return any(each.strip().removeprefix("W/") == tag for each in tags)
