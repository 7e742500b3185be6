"""The rerankers of an index: found among the exported ones by name, or exported into its folder on first use."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

from engine.encode.crossencoder.folder import RERANKER, check_reranker, read_reranker_identity
from engine.encode.crossencoder.model import identify_reranker
from engine.encode.model import locate
from engine.errors import EncoderError, EngineError, MissingExtraError, UnknownRerankerError
from engine.index import durable
from engine.index.folder import IndexFolder
from engine.index.publish import install_encoder
from engine.records.reranker import RerankerIdentity

_FINGERPRINT = re.compile("[0-9a-f]{12,64}")
_NEEDED = "torch with sentence-transformers (needed to export a reranker the first time it is used)"


def list_rerankers(folder: IndexFolder) -> list[RerankerIdentity]:
    """List the rerankers that were exported into an index, the newest first; a damaged one is left out."""
    found = []
    for path in (folder.path / "encoders").glob(f"[!.]*/{RERANKER}"):
        with contextlib.suppress(EngineError, OSError):
            found.append((-path.stat().st_mtime, path.parent.name, read_reranker_identity(path.parent)))
    return [identity for _, _, identity in sorted(found, key=lambda one: one[:2])]


def provide_reranker(folder: IndexFolder, model: str, precision: str, *, may_export: bool) -> Path:
    """Return the folder of an exported reranker, checked.

    model is the beginning of a fingerprint, of twelve digits or more, or the name of an exported reranker, or, where
    one may be exported, a folder or a hub id. A folder is always looked at again, since it may have changed.

    Raises:
        UnknownRerankerError: the index has no such reranker, and may not get one.
        EncoderError: no usable reranker has this name, or it can't be exported.
        CorruptError: the exported one was changed or damaged.
        MissingExtraError: torch is not installed.
    """
    known = list_rerankers(folder)
    wanted = [one for one in known if _FINGERPRINT.fullmatch(model) and one.fingerprint.startswith(model)]
    if not wanted and not (may_export and Path(model).expanduser().is_dir()):
        named = (one for one in known if model in (one.model, one.short_name))
        wanted = [one for one in named if one.precision == precision]
    if wanted:
        path = folder.get_encoder_path(wanted[0].fingerprint)
        check_reranker(path, quick=True)
        return path
    if not may_export:
        names = ", ".join(dict.fromkeys(one.short_name for one in known)) or "none"
        raise UnknownRerankerError(
            f"{folder.name} has no reranker {model[:80]!r} at {precision}: found {names}. To add one, search once from "
            f"the command line: engine search gout -i {folder.name} --rerank MODEL"
        )
    if _FINGERPRINT.fullmatch(model):
        raise UnknownRerankerError(
            f"{folder.path} does not hold the reranker with fingerprint {model[:12]}. Search once with its model to "
            f"export it again: engine search gout -i {folder.name} --rerank MODEL"
        )
    source = locate(model)
    return _provide_export(folder, source, identify_reranker(source, model, precision))


def _provide_export(folder: IndexFolder, source: Path, identity: RerankerIdentity) -> Path:
    """Return the folder of an exported reranker; one that is missing or damaged is copied from a neighbour or exported.

    Raises:
        EncoderError: it can't be exported, or the folder of the index can't be written.
    """
    installed = folder.get_encoder_path(identity.fingerprint)
    with contextlib.suppress(EngineError):
        check_reranker(installed, quick=True)
        return installed
    try:
        installed.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=installed.parent, prefix=".") as scratch:
            made = Path(scratch, "reranker")
            made.mkdir()
            if not _copy_from_neighbour(folder, identity, made):
                _export(source, identity, made)
            install_encoder(folder, made, identity.fingerprint)
    except OSError as err:
        if not installed.exists():  # else another process was faster
            raise EncoderError(
                f"the reranker {identity.model} can't be exported to {installed.parent}: {err.strerror}. Search once "
                "with it as a user who may write there"
            ) from err
    check_reranker(installed)
    return installed


def _copy_from_neighbour(folder: IndexFolder, identity: RerankerIdentity, target: Path) -> bool:
    """Copy the reranker from another index in the same indexes folder; return False if none has it."""
    for neighbour in sorted(folder.path.parent.glob(f"*/encoders/{identity.fingerprint}")):
        with contextlib.suppress(EngineError):
            check_reranker(neighbour)
            for path in neighbour.iterdir():
                durable.copy_file(path, target / path.name)
            return True
    return False


def _export(source: Path, identity: RerankerIdentity, target: Path) -> None:
    """Export a model folder to an empty folder.

    Raises:
        MissingExtraError: torch is not installed.
        EncoderError: the export failed.
    """
    try:
        from engine.encode.crossencoder.export import export_reranker
    except ImportError as err:
        raise MissingExtraError(_NEEDED, "[cpu] or [gpu]") from err
    export_reranker(source, identity, target)
