"""The encoder of the next generation: the index's own, or a model named by the user, exported when first used."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.config import cache_folder
from engine.encode.encoder import Encoder
from engine.encode.model import DEFAULT_MODEL, identify, locate
from engine.encode.onnx import OnnxEncoder
from engine.encode.receipt import check_encoder
from engine.encode.recipe import RECIPE, RECIPE_NAMES, RECIPES
from engine.errors import ConfigError, EncoderError, EncoderMismatchError, EngineError, MissingExtraError
from engine.index import durable
from engine.index.folder import IndexFolder
from engine.index.publish import install_encoder
from engine.progress import Progress
from engine.records.encoder import EncoderIdentity

NEEDED = "torch with sentence-transformers (needed to export a model the first time it is used)"


@dataclass(frozen=True, slots=True)
class Choice:
    """The encoder asked for."""

    identity: EncoderIdentity
    model: Path | None  # its sentence-transformers folder; None when only the exported one is known


def choose(
    current: EncoderIdentity | None,
    model: str | None,
    precision: str | None,
    recipe: str | None = None,
    *,
    re_encode: bool,
) -> Choice:
    """Settle which encoder the next generation has; what is None stays as it is, or is the default.

    Raises:
        ConfigError: no such recipe.
        EncoderMismatchError: the model is not the one that the index was built with.
        EncoderError: no usable model by this name.
    """
    recipe = RECIPE_NAMES.get(recipe or "", recipe)
    if recipe not in (None, *RECIPES):
        raise ConfigError(f"recipe is {recipe!r}, expected one of {', '.join(RECIPE_NAMES)}")
    held, text = (current.precision, current.recipe) if current else ("fp32", RECIPE)
    if model is None and current is not None and precision in (None, held) and recipe in (None, text):
        return Choice(current, None)
    name = model or (current.model if current else DEFAULT_MODEL)
    folder = locate(name)
    identity = identify(folder, name, precision or held, recipe or text)
    if current is not None and identity.fingerprint != current.fingerprint and not re_encode:
        raise EncoderMismatchError(
            f"the index was built with {current}, but {name} is now {identity}. Vectors of the two can't be compared. "
            "To keep the index's own encoder leave out -m, --precision and --recipe; or encode everything again with "
            "the new one: --re-encode"
        )
    return Choice(identity, folder)


def prepare_encoders(
    folder: IndexFolder, choice: Choice, device: str, progress: Progress
) -> tuple[Encoder, OnnxEncoder]:
    """The encoder for the corpus and the one for queries, which lies beside the index from now on.

    They are the same object on a CPU. device is "auto", "cpu" or "cuda".

    Raises:
        EncoderError: the model can't be used or exported, or not on this device.
        EngineError: the encoder here is damaged, or a library is missing.
    """
    queries = OnnxEncoder(_prepare_query_encoder(folder, choice, progress))
    if choice.identity.precision == "int8" and device == "cuda":
        raise EncoderError("an int8 encoder runs on a CPU only. Use --device cpu, or --precision fp32 --re-encode")
    if choice.identity.precision == "int8" or device == "cpu" or (device == "auto" and not _has_nvidia()):
        return queries, queries
    try:
        return _open_on_cuda(choice), queries
    except EngineError:
        if device == "cuda":
            raise
        return queries, queries


def _has_nvidia() -> bool:
    """Whether an NVIDIA driver is there; asking torch would cost seconds on machines without one."""
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def _open_on_cuda(choice: Choice) -> Encoder:
    """Open the original model on every GPU here.

    It runs in half precision and keeps the fingerprint of fp32, whose vectors it gives: this is checked when it is
    loaded.

    Raises:
        MissingExtraError: torch is not installed.
        EncoderMismatchError: the model by this name has changed since the index was built.
        EncoderError: no GPU, or the model can't be loaded.
    """
    folder = choice.model or locate(choice.identity.model)
    found = identify(folder, choice.identity.model, choice.identity.precision, choice.identity.recipe)
    if found.fingerprint != choice.identity.fingerprint:
        raise EncoderMismatchError(
            f"{folder} is now {found}, the index was built with {choice.identity}. Use --device cpu"
        )
    try:
        from engine.encode.gpu.encoder import open_gpu_encoder
    except ImportError as err:
        raise MissingExtraError("torch with sentence-transformers (needed for --device cuda)", "[gpu]") from err
    return open_gpu_encoder(folder, choice.identity)


def _prepare_query_encoder(folder: IndexFolder, choice: Choice, progress: Progress) -> Path:
    """Folder of the exported encoder: the one here, a copy of a sibling index's, or exported now.

    Raises:
        EngineError: it is damaged and no model is at hand to export it again, or the export failed.
    """
    here = folder.get_encoder_path(choice.identity.fingerprint)
    try:
        check_encoder(here, choice.identity)
        return here
    except EngineError:  # missing or damaged: made again from the model, if there is one
        if choice.model is None:
            raise
    made = folder.building / "encoder"
    made.mkdir()
    if not _copy_from_sibling(folder, choice.identity, made):
        progress("exporting the encoder", 0, None)
        export(choice, made)
    return install_encoder(folder, made, choice.identity.fingerprint)


def _copy_from_sibling(folder: IndexFolder, identity: EncoderIdentity, made: Path) -> bool:
    """Copy the same encoder from another index in the same indexes folder; False when there is none."""
    for sibling in sorted(folder.path.parent.glob(f"*/encoders/{identity.fingerprint}")):
        with contextlib.suppress(EngineError):
            check_encoder(sibling, identity)
            for path in sibling.iterdir():
                durable.copy_file(path, made / path.name)
            return True
    return False


@contextlib.contextmanager
def open_model_encoder(model: str, progress: Progress) -> Iterator[OnnxEncoder]:
    """Open the encoder of a model folder or hub id, which is exported the first time and kept in the user's cache.

    Raises:
        EngineError: the model can't be used or exported.
    """
    choice = choose(None, model, None, re_encode=False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = _provide_export(choice, _find_encoder_cache() or Path(scratch), progress)
        with contextlib.closing(OnnxEncoder(folder)) as encoder:
            yield encoder


def _find_encoder_cache() -> Path | None:
    """Return the folder of exported encoders in the user's cache; None where nothing can be kept."""
    cache = cache_folder()
    if cache is None:
        return None
    with contextlib.suppress(OSError):
        (cache / "encoders").mkdir(parents=True, exist_ok=True)
        if os.access(cache / "encoders", os.W_OK):
            return cache / "encoders"
    return None


def _provide_export(choice: Choice, parent: Path, progress: Progress) -> Path:
    """Return the folder of the exported encoder below parent; export it if it is missing or damaged."""
    folder = parent / choice.identity.fingerprint
    with contextlib.suppress(EngineError):
        check_encoder(folder, choice.identity, quick=True)
        return folder
    progress(f"exporting the encoder of {choice.identity.model}, which is done once", 0, None)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        made = Path(scratch, "encoder")
        made.mkdir()
        export(choice, made)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was quicker
            made.rename(folder)
    check_encoder(folder, choice.identity)
    return folder


def export(choice: Choice, made: Path) -> None:
    """Export the chosen model.

    Raises:
        MissingExtraError: torch is not installed.
        EncoderError: the export failed.
    """
    try:
        from engine.encode.export import export_encoder
    except ImportError as err:
        raise MissingExtraError(NEEDED, "[cpu] or [gpu]") from err
    if choice.model is not None:
        export_encoder(choice.model, choice.identity, made)
