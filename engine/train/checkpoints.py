"""Checkpoints that are whole or not used, and that hold everything that learns: adapters and projections too."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
from torch import no_grad
from torch.nn import Module, Parameter
from transformers import TrainerCallback

WEIGHTS = "learned.safetensors"  # written last, whole or not at all: a checkpoint with it is complete


def learned(model: Module, losses: Iterable[Module]) -> dict[str, Parameter]:
    """Every parameter that learns, of a model and of its losses, once each, by a name that is the same every time."""
    found: dict[str, Parameter] = {}
    seen: set[int] = set()
    for place, module in enumerate((model, *losses)):
        for name, parameter in module.named_parameters():
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{place}.{name}"] = parameter
    return found


class Keep(TrainerCallback):
    """Complete every checkpoint with what learns."""

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        self.parameters = parameters

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The library has written its part."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / WEIGHTS
        part = path.with_suffix(".part")
        save_file({name: one.detach().cpu().contiguous() for name, one in self.parameters.items()}, part)
        part.rename(path)


class ResumingTrainer(SentenceTransformerTrainer):
    """The library's trainer, which goes on from what learns as Keep wrote it.

    The library builds the model of a checkpoint anew, without the adapters put into it, and forgets what a loss learns.
    """

    kept: dict[str, Parameter]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Module | None = None) -> None:
        found = load_file(Path(resume_from_checkpoint) / WEIGHTS)
        with no_grad():
            for name, parameter in self.kept.items():
                parameter.copy_(found[name])


def last_complete(folder: Path) -> Path | None:
    """The newest complete checkpoint of a work folder; incomplete ones, of a run that was killed, are deleted."""
    complete = []
    for one in folder.glob("checkpoint-*"):
        if (one / WEIGHTS).is_file():
            complete.append(one)
        else:
            shutil.rmtree(one)
    return max(complete, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.rsplit("-", 1)[1])
