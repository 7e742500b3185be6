"""The work folder of a training and its checkpoints: complete or not used, with adapters and projections too."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
from torch import no_grad
from torch.nn import Module, Parameter
from transformers import TrainerCallback

from engine.encode.models.model import identify, locate
from engine.errors import UsageError
from engine.files import write_path_whole, write_text
from engine.phrases import quote_word
from engine.train.fit.settings import RECORD, TrainingSettings

_WEIGHTS = "learned.safetensors"  # written last and whole: a checkpoint that has it is complete


def choose_work_folder(output: Path) -> Path:
    """Return the folder of the checkpoints, used until the encoder is finished."""
    return output.with_name(output.name + ".training")


def claim_work_folder(settings: TrainingSettings, data: Mapping[str, Dataset]) -> None:
    """Make the work folder, or check that it belongs to this training: same settings, weights and rows.

    Raises:
        UsageError: it belongs to another training.
    """
    folder = choose_work_folder(settings.output)
    values = {name: str(value) for name, value in asdict(settings).items() if name != "output"}
    models = {
        name: name and identify(locate(name), name).fingerprint
        for name in (settings.base, settings.guide or "", settings.teacher or "")
    }
    # The fingerprint of a Dataset made from lists is random, so the rows themselves are hashed.
    content = {"settings": values, "models": models, "data": {name: _hash_rows(rows) for name, rows in data.items()}}
    sealed = json.dumps(content, indent=1, sort_keys=True) + "\n"
    path = folder / RECORD
    if folder.exists():
        if not path.is_file() or path.read_text(encoding="utf-8") != sealed:
            raise UsageError(
                f"{folder} has the checkpoints of another training (other data or settings). "
                f"Remove it: rm -r {quote_word(folder)}; or choose another folder: -o FOLDER"
            )
        return
    folder.mkdir(parents=True)
    write_text(path, [sealed], overwrite=False)


def _hash_rows(rows: Dataset) -> str:
    """Hash a data set with SHA-256, column by column."""
    digest = hashlib.sha256()
    for name in rows.column_names:
        digest.update(name.encode())
        for value in rows[name]:
            digest.update(json.dumps(value).encode() + b"\n")
    return digest.hexdigest()


def collect_parameters(model: Module, losses: Iterable[Module]) -> dict[str, Parameter]:
    """Return every trainable parameter of a model and of its losses, once each, under a name that does not change."""
    parameters: dict[str, Parameter] = {}
    seen: set[int] = set()
    for place, module in enumerate((model, *losses)):
        for name, parameter in module.named_parameters():
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                parameters[f"{place}.{name}"] = parameter
    return parameters


class CheckpointCompleter(TrainerCallback):
    """Adds the trainable parameters to every checkpoint."""

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        self.parameters = parameters

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the parameters, after the library has written its part."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WEIGHTS
        learned = {name: parameter.detach().cpu().contiguous() for name, parameter in self.parameters.items()}
        with write_path_whole(path, overwrite=True) as part:
            save_file(learned, part)


class ResumingTrainer(SentenceTransformerTrainer):
    """The library's trainer, resuming from the parameters that CheckpointCompleter wrote.

    The library builds the model of a checkpoint anew, without the adapters added to it, and forgets what a loss learns.
    """

    parameters: dict[str, Parameter]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Module | None = None) -> None:
        saved = load_file(Path(resume_from_checkpoint) / _WEIGHTS)
        with no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(saved[name])


def find_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint of a work folder; delete incomplete ones, left by a killed run."""
    complete = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / _WEIGHTS).is_file():
            complete.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(complete, key=lambda checkpoint: int(checkpoint.name.rsplit("-", 1)[1]), default=None)
