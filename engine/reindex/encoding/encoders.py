"""The encoder of the next generation: that of the index, or a model named by the user, exported on first use."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from engine.config import cache_folder
from engine.encode.cpu.encoder import CpuEncoder
from engine.encode.execution.encoder import Encoder
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.folder import check_encoder, write_receipt
from engine.encode.models.model import Adjustment, check_template, identify, list_notes, locate
from engine.encode.models.prompts import read_prompts
from engine.encode.models.recipe import RECIPE, RECIPES
from engine.errors import ConfigError, EncoderError, EncoderMismatchError, EngineError, MissingExtraError
from engine.index.files import durable
from engine.index.generations.folder import IndexFolder
from engine.index.generations.publish import install_encoder
from engine.options import DEFAULT_MODEL, RECIPE_NAMES, IndexSettings
from engine.platform import has_apple_gpu, replace_path
from engine.progress import Progress
from engine.records.encoder import EncoderIdentity

_NEEDED = "torch with sentence-transformers (needed to export a model the first time it is used)"


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen encoder."""

    identity: EncoderIdentity
    model: Path | None  # its sentence-transformers folder; None to use the exported encoder
    is_exact: bool = False  # compute in fp32, whatever would be faster
    notes: tuple[str, ...] = ()  # on what of the model is used in another way than it may seem


OpenEncoder = Callable[[Choice, Path, str], Encoder]  # of the folder of the exported encoder, and the device


def choose(current: EncoderIdentity | None, settings: IndexSettings, *, re_encode: bool) -> Choice:
    """Choose the encoder of the next generation; what the settings leave out is as it was, or has its default.

    Raises:
        ConfigError: unknown recipe.
        EncoderMismatchError: the model is not the one that the index was built with.
        EncoderError: no usable model with this name.
    """
    recipe = RECIPE_NAMES.get(settings.recipe or "", settings.recipe)
    if recipe not in (None, *RECIPES):
        raise ConfigError(f"recipe is {recipe!r}, expected one of {', '.join(RECIPE_NAMES)}")
    is_exact, precision = settings.precision == "fp32", "fp32" if settings.precision == "auto" else settings.precision
    current_precision, current_recipe = (current.precision, current.recipe) if current else ("fp32", RECIPE)
    same = precision in (None, current_precision) and recipe in (None, current_recipe)
    if settings.model is None and current is not None and same and _is_as_given(current, settings):
        return Choice(current, None, is_exact)
    name = settings.model or (current.model if current else DEFAULT_MODEL)
    folder = locate(name)
    adjusted = _adjust(folder, current, settings)
    identity = identify(folder, name, precision or current_precision, recipe or current_recipe, adjusted)
    if current is not None and identity.fingerprint != current.fingerprint and not re_encode:
        raise EncoderMismatchError(
            f"the index was built with {current}, but {name} is now {identity}. Their vectors can't be compared. "
            "To keep the encoder of the index, leave out -m, --precision, --recipe and the settings of prompts and "
            "texts. To encode everything again with the new one, add --re-encode"
        )
    return Choice(identity, folder, is_exact, list_notes(folder, identity))


def _is_as_given(current: EncoderIdentity, settings: IndexSettings) -> bool:
    """Return whether an encoder has the prompts, the template and the models that the settings name, if any."""
    tower = current.query_tower
    return all(
        given in (None, has)
        for given, has in (
            (settings.query_prompt, current.query_prompt),
            (settings.document_prompt, current.document_prompt),
            (settings.template and check_template(settings.template), current.template),
            (settings.pooling, current.pooling),
            (settings.query_model, tower.model if tower else None),
        )
    )


def _adjust(folder: Path, current: EncoderIdentity | None, settings: IndexSettings) -> Adjustment:
    """Return what the settings change of a model; where they say nothing, the same model stays as it was adjusted.

    Raises:
        EncoderError: a prompt is named that the model does not have.
    """
    asked = locate(settings.query_model) if settings.query_model else folder
    given = Adjustment(
        query_prompt=_resolve_prompt(asked, settings.query_prompt),
        document_prompt=_resolve_prompt(folder, settings.document_prompt),
        template=settings.template,
        pooling=settings.pooling,
        query_model=settings.query_model,
    )
    if current is None:
        return given
    before = _get_adjustment(current)
    kept = replace(before, **{name: value for name, value in asdict(given).items() if value is not None})
    with contextlib.suppress(EncoderError):  # another model: what suited the one before says nothing about it
        found = identify(folder, current.model, current.precision, current.recipe, kept)
        same = ("weights_sha256", "tokenizer_sha256", "config_sha256")
        if all(getattr(found, name) == getattr(current, name) for name in same):
            return kept
    return given


def _get_adjustment(identity: EncoderIdentity) -> Adjustment:
    """Return the adjustment with which a model has this identity."""
    return Adjustment(
        query_prompt=identity.query_prompt,
        document_prompt=identity.document_prompt,
        template=identity.template,
        pooling=identity.pooling if identity.modules == "" else None,
        query_model=(identity.query_tower.model or None) if identity.query_tower else None,
    )


def _resolve_prompt(folder: Path, given: str | None) -> str | None:
    """Return the text of a prompt that is given by its name or as a text; None if none is given.

    Raises:
        EncoderError: it looks like a name, and the model has no such prompt.
    """
    return None if given is None else read_prompts(folder).resolve(given)


def prepare_encoders(
    folder: IndexFolder, choice: Choice, device: str, progress: Progress, elsewhere: OpenEncoder | None = None
) -> tuple[Encoder, OnnxEncoder]:
    """Return the encoder for the corpus and the one for queries; the latter is installed in the index folder.

    The first one is to be closed. device is "auto", "cpu", "cuda" or "mps".
    elsewhere: opens the first one on other machines than this one.

    Raises:
        EncoderError: the model can't be exported, or can't be used on this device.
        EngineError: the installed encoder is damaged, or a library is missing.
    """
    queries = OnnxEncoder(_prepare_query_encoder(folder, choice, progress))
    if elsewhere is not None:
        return elsewhere(choice, queries.folder, device), queries
    on_cpu = CpuEncoder(queries, partial(_find_model, choice), exact=choice.is_exact)
    kind = _choose_gpu(device)
    if choice.identity.precision == "int8" and device in ("cuda", "mps"):
        raise EncoderError("an int8 encoder runs on a CPU only. Use --device cpu, or --precision fp32 --re-encode")
    if choice.identity.precision == "int8" or kind is None:
        return on_cpu, queries
    try:
        return open_on_gpu(choice, kind), queries
    except EngineError:
        if device == kind:
            raise
        return on_cpu, queries


def _choose_gpu(device: str) -> str | None:
    """Return the kind of GPU to encode on, "cuda" or "mps"; None for the CPU."""
    if device != "auto":
        return None if device == "cpu" else device
    return "cuda" if _has_nvidia() else "mps" if has_apple_gpu() else None


def _has_nvidia() -> bool:
    """Return whether an NVIDIA driver is installed. Importing torch to ask it would take seconds."""
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def open_on_gpu(choice: Choice, kind: str) -> Encoder:
    """Open the original model on every GPU of a kind: "cuda" or "mps".

    It runs in half precision under the fingerprint of fp32. That the vectors match is checked when it is loaded.

    Raises:
        MissingExtraError: torch is not installed.
        EncoderMismatchError: the model with this name has changed since the index was built.
        EncoderError: no GPU, or the model can't be loaded.
    """
    folder = _find_model(choice)
    try:
        from engine.encode.gpu.encoder import open_gpu_encoder
    except ImportError as err:
        raise MissingExtraError(
            f"torch with sentence-transformers (needed for --device {kind})", "[gpu]" if kind == "cuda" else "[cpu]"
        ) from err
    return open_gpu_encoder(folder, choice.identity, kind, exact=choice.is_exact)


def _find_model(choice: Choice) -> Path:
    """Return the folder of the original model.

    Raises:
        EncoderMismatchError: the model with this name has changed since the index was built.
        EncoderError: there is none.
    """
    folder = choice.model or locate(choice.identity.model)
    wanted = choice.identity
    identity = identify(folder, wanted.model, wanted.precision, wanted.recipe, _get_adjustment(wanted))
    if identity.fingerprint != choice.identity.fingerprint:
        raise EncoderMismatchError(
            f"{folder} is now {identity}, the index was built with {choice.identity}. Use --device cpu"
        )
    return folder


def _prepare_query_encoder(folder: IndexFolder, choice: Choice, progress: Progress) -> Path:
    """Return the folder of the exported encoder: installed already, copied from a sibling index, or exported now.

    Raises:
        EngineError: it is damaged and there is no model to export again, or the export failed.
    """
    installed = folder.get_encoder_path(choice.identity.fingerprint)
    try:
        check_encoder(installed, choice.identity)
        return installed
    except EngineError:  # missing or damaged: exported again if there is a model
        if choice.model is None:
            raise
    target = folder.building / "encoder"
    target.mkdir()
    if not _copy_from_sibling(folder, choice.identity, target):
        progress("exporting the encoder", 0, None)
        export(choice, target)
    return install_encoder(folder, target, choice.identity.fingerprint)


def _copy_from_sibling(folder: IndexFolder, identity: EncoderIdentity, target: Path) -> bool:
    """Copy the encoder from another index in the same indexes folder; return False if none has it."""
    for sibling in sorted(folder.path.parent.glob(f"*/encoders/{identity.fingerprint}")):
        with contextlib.suppress(EngineError):
            check_encoder(sibling, identity)
            durable.copy_folder(sibling, target)
            write_receipt(target, identity)  # the sibling's may name another folder
            return True
    return False


@contextlib.contextmanager
def open_model_encoder(model: str | IndexSettings, progress: Progress) -> Iterator[OnnxEncoder]:
    """Open the encoder of a model folder or hub id, which is exported on first use and kept in the user's cache.

    model: its name, or settings that name it and what is changed of it.

    Raises:
        EngineError: the model can't be used or exported.
    """
    settings = IndexSettings(model=model) if isinstance(model, str) else model
    choice = choose(None, settings, re_encode=False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = _provide_export(choice, _find_encoder_cache() or Path(scratch), progress)
        with contextlib.closing(OnnxEncoder(folder)) as encoder:
            yield encoder


def _find_encoder_cache() -> Path | None:
    """Return the folder of exported encoders in the user's cache; None if it can't be written."""
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
    progress(f"exporting the encoder of {choice.identity.model} (only once)", 0, None)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        target = Path(scratch, "encoder")
        target.mkdir()
        export(choice, target)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was faster
            replace_path(target, folder)
    check_encoder(folder, choice.identity)
    return folder


def export(choice: Choice, target: Path) -> None:
    """Export the chosen model to an empty folder.

    Raises:
        MissingExtraError: torch is not installed.
        EncoderError: the export failed.
    """
    try:
        from engine.encode.original.export import export_encoder
    except ImportError as err:
        raise MissingExtraError(_NEEDED, "[cpu] or [gpu]") from err
    if choice.model is not None:
        export_encoder(choice.model, choice.identity, target)
