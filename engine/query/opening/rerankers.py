"""The rerankers of an index: found among the exported ones by name, or exported into its folder on first use."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.config import Settings
from engine.encode.crossencoder.folder import RERANKER, check_reranker, read_reranker_identity
from engine.encode.crossencoder.model import identify_reranker
from engine.encode.models.model import find_model_folder, locate
from engine.errors import ConfigError, EncoderError, EngineError, MissingExtraError, UnknownRerankerError
from engine.index.files import durable
from engine.index.generations.folder import IndexFolder
from engine.index.generations.publish import install_encoder
from engine.options import NO_RERANKER
from engine.records.reranker import RerankerIdentity

_FINGERPRINT = re.compile("[0-9a-f]{12,64}")
_GRACE = 86_400.0  # seconds in which a search that has just found a reranker still loads it
_NEEDED = "torch with sentence-transformers (needed to export a reranker the first time it is used)"


def list_rerankers(folder: IndexFolder) -> list[RerankerIdentity]:
    """List the rerankers that were exported into an index, the newest first; a damaged one is left out."""
    found = []
    for path in (folder.path / "encoders").glob(f"[!.]*/{RERANKER}"):
        with contextlib.suppress(EngineError, OSError):
            found.append((-path.stat().st_mtime, path.parent.name, read_reranker_identity(path.parent)))
    return [identity for _, _, identity in sorted(found, key=lambda one: one[:2])]


def find_reranker_problems(folder: IndexFolder, settings: Settings) -> Iterator[str]:
    """Yield what is wrong with the rerankers of an index: damage, and one that index.toml names but is not there."""
    known = list_rerankers(folder)
    for path in sorted((folder.path / "encoders").glob(f"[!.]*/{RERANKER}")):
        try:
            identity = check_reranker(path.parent)
        except EngineError as err:
            yield str(err)
            continue
        if identity.fingerprint != path.parent.name:
            yield f"{path.parent} holds {identity}, expected the reranker that it is named by. Delete this folder"
    named = settings.rerank_model or ""
    if _FINGERPRINT.fullmatch(named) and not find_named(known, named, settings.rerank_precision):
        yield (
            f"{settings.file} names the reranker with fingerprint {named[:12]}, which {folder.path} does not hold. "
            f"Search once with its model: engine search gout -i {folder.name} --rerank MODEL"
        )


def prune_rerankers(folder: IndexFolder) -> list[str]:
    """Delete rerankers whose name a newer one has had for a day, and return their fingerprints.

    So a name finds the same reranker as before. One stays if index.toml names it, a damaged one for `verify` to name,
    and all if index.toml can't be read. What can't be deleted stays.
    """
    try:
        named = Settings.load(folder.path).rerank_model or NO_RERANKER
    except ConfigError:
        return []
    newest: dict[tuple[str, str], float] = {}
    deleted = []
    for identity in list_rerankers(folder):
        path = folder.get_encoder_path(identity.fingerprint)
        with contextlib.suppress(OSError):
            written = (path / RERANKER).stat().st_mtime
            replaced = newest.setdefault((identity.model, identity.precision), written)
            is_old = replaced > written and time.time() - replaced > _GRACE
            if is_old and not _is_fingerprint(identity, named):
                durable.remove_folder(path, RERANKER)
                deleted.append(identity.fingerprint)
    return deleted


def find_named(known: Sequence[RerankerIdentity], model: str, precision: str) -> list[RerankerIdentity]:
    """Return those of known rerankers that a name means: the beginning of a fingerprint, or a name at a precision."""
    exact = [one for one in known if _is_fingerprint(one, model)]
    return exact or [one for one in known if model in (one.model, one.short_name) and one.precision == precision]


def _is_fingerprint(identity: RerankerIdentity, model: str) -> bool:
    """Return whether a name is the beginning of the fingerprint of a reranker, of twelve digits or more."""
    return _FINGERPRINT.fullmatch(model) is not None and identity.fingerprint.startswith(model)


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
    wanted = find_named(known, model, precision)
    is_folder = may_export and find_model_folder(model) is not None
    if wanted and (not is_folder or _is_fingerprint(wanted[0], model)):
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
    try:
        source = locate(model)
    except EncoderError as err:
        there = ", ".join(dict.fromkeys(one.short_name for one in known))
        raise (EncoderError(f"{err}. {folder.name} holds the rerankers {there}") if there else err) from err
    return _provide_export(folder, source, identify_reranker(source, model, precision))


def export_candidate(folder: IndexFolder, model: str, precision: str, scratch: Path) -> Path:
    """Return the folder of an exported reranker, named by its fingerprint: that of the index, or a new one in scratch.

    Raises:
        EncoderError: no usable reranker has this name, or it can't be exported.
        MissingExtraError: torch is not installed.
    """
    source = locate(model)
    identity = identify_reranker(source, model, precision)
    installed = folder.get_encoder_path(identity.fingerprint)
    with contextlib.suppress(EngineError):
        check_reranker(installed, quick=True)
        return installed
    made = scratch / identity.fingerprint
    _make_export(folder, source, identity, made)
    return made


def keep_candidate(folder: IndexFolder, candidate: Path) -> None:
    """Copy an exported reranker into an index, unless it is there already.

    Raises:
        OSError: the folder of the index can't be written.
    """
    installed = folder.get_encoder_path(candidate.name)
    if installed == candidate:
        return
    with tempfile.TemporaryDirectory(dir=installed.parent, prefix=".") as scratch:
        made = Path(scratch, "reranker")
        durable.copy_folder(candidate, made)
        install_encoder(folder, made, candidate.name)


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
            _make_export(folder, source, identity, made)
            install_encoder(folder, made, identity.fingerprint)
    except OSError as err:
        if not installed.exists():  # else another process was faster
            raise EncoderError(
                f"the reranker {identity.model} can't be exported to {installed.parent}: {err.strerror}. Search once "
                "with it as a user who may write there"
            ) from err
    check_reranker(installed)
    return installed


def _make_export(folder: IndexFolder, source: Path, identity: RerankerIdentity, target: Path) -> None:
    """Make a new folder of an exported reranker: a copy of that of another index in the same folder, or an export.

    Raises:
        MissingExtraError: torch is not installed.
        EncoderError: the export failed.
    """
    for neighbour in sorted(folder.path.parent.glob(f"*/encoders/{identity.fingerprint}")):
        with contextlib.suppress(EngineError):
            check_reranker(neighbour)
            durable.copy_folder(neighbour, target)
            return
    target.mkdir()
    _export(source, identity, target)


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
