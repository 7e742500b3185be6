"""Run one training with checkpoints: what stops half-way goes on from the last checkpoint, to the same weights."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.training_args import (
    BatchSamplers,
    MultiDatasetBatchSamplers,
    SentenceTransformerTrainingArguments,
)
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from engine.encode.model import identify, locate
from engine.errors import EncoderError, UsageError
from engine.progress import Progress
from engine.train.base import mixed_for
from engine.train.checkpoints import Keep, ResumingTrainer, last_complete, learned, step_of
from engine.train.settings import Settings

CHECKPOINTS = 20  # in a run, so that at most a twentieth of it is done again
SEALED = "training.json"


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of a training log: the mean loss since the line before."""

    epoch: float
    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run did."""

    steps: int
    log: tuple[Logged, ...]
    resumed_at: int | None  # step of the checkpoint that it went on from
    seconds: float


class Steps(TrainerCallback):
    """Tell the caller of every step."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One more step is done."""
        self.progress("training", state.global_step, state.max_steps)


def fit(
    model: SentenceTransformer,
    data: Mapping[str, Dataset],
    losses: Mapping[str, torch.nn.Module],
    settings: Settings,
    progress: Progress,
) -> Trained:
    """Train a model in place with AdamW and a linear schedule, on each data set with the loss of the same name.

    Deterministic on a CPU: the same data, settings, thread count and library versions give the same weights. An
    interrupted run goes on from the last complete checkpoint in the work folder, which must be claimed before.

    Raises:
        EncoderError: the weights are not numbers any more.
    """
    folder = work_folder(settings.output)
    found, kept = last_complete(folder), learned(model, losses.values())
    several = len(data) > 1
    with without_bars():
        trainer = ResumingTrainer(
            model=model,
            args=arguments(settings, folder, model.device.type, sum(map(len, data.values()))),
            train_dataset=dict(data) if several else next(iter(data.values())),
            loss=dict(losses) if several else next(iter(losses.values())),
            callbacks=[Keep(kept), Steps(progress)],
        )
    trainer.kept = kept
    for printing in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printing)
    with memory_told(settings):
        done = trainer.train(resume_from_checkpoint=str(found) if found else None)
    rows = [row for row in trainer.state.log_history if "loss" in row]
    log = tuple(Logged(float(row["epoch"]), int(row["step"]), float(row["loss"])) for row in rows)
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        raise EncoderError(
            "training left weights that are not numbers. Use a lower learning rate: --learning-rate 1e-5"
        )
    model.eval()
    return Trained(
        trainer.state.global_step, log, step_of(found) if found else None, float(done.metrics["train_runtime"])
    )


@contextmanager
def memory_told(settings: Settings) -> Iterator[None]:
    """Say what to do when memory runs out.

    Raises:
        EncoderError: it did.
        RuntimeError: anything else that torch says.
    """
    try:
        yield
    except RuntimeError as err:
        if not is_out_of_memory(err):
            raise
        raise EncoderError(
            f"memory ran out at batches of {settings.batch_size} texts of up to {settings.max_length or 'all'} tokens. "
            f"Take smaller parts: --mini-batch {max(1, settings.mini_batch_size // 2)}, or a smaller --batch"
        ) from err


def is_out_of_memory(err: RuntimeError) -> bool:
    """Whether an error says that memory ran out: on a CPU torch has no class for it."""
    return isinstance(err, torch.OutOfMemoryError) or "allocate memory" in str(err)


def arguments(settings: Settings, folder: Path, device: str, n_rows: int) -> SentenceTransformerTrainingArguments:
    """The settings in the library's words; what moved between its versions is named, not left to a default."""
    steps = settings.max_steps if settings.max_steps > 0 else n_steps(n_rows, settings)
    contrastive = settings.recipe == "adapt"
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size // parts(settings),
        per_device_eval_batch_size=settings.batch_size // parts(settings),
        gradient_accumulation_steps=parts(settings),
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup if settings.warmup < 1 else int(settings.warmup),
        lr_scheduler_type="linear",
        optim="adamw_torch",
        max_grad_norm=1.0,
        seed=settings.seed,
        data_seed=settings.seed,
        use_cpu=device == "cpu",
        bf16=mixed_for(settings, device),
        batch_sampler=BatchSamplers.NO_DUPLICATES if contrastive else BatchSamplers.BATCH_SAMPLER,
        multi_dataset_batch_sampler=MultiDatasetBatchSamplers.PROPORTIONAL
        if contrastive
        else MultiDatasetBatchSamplers.ROUND_ROBIN,
        logging_steps=settings.logging_steps,
        save_steps=max(1, steps // CHECKPOINTS),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        average_tokens_across_devices=False,
    )


def parts(settings: Settings) -> int:
    """Equal parts of a batch whose gradients are added up, as few as have mini_batch_size rows or fewer.

    A contrastive loss needs its whole batch, and caches instead.
    """
    if settings.recipe == "adapt":
        return 1
    batch, most = settings.batch_size, settings.mini_batch_size
    return next(n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= most)


def n_steps(n_rows: int, settings: Settings) -> int:
    """Steps of a whole run: batches of an epoch, the last one short, times epochs."""
    return max(1, int(-(-n_rows // settings.batch_size) * settings.epochs))


def work_folder(output: Path) -> Path:
    """Where checkpoints lie until the encoder is finished."""
    return output.with_name(output.name + ".training")


def claim(folder: Path, settings: Settings, data: Mapping[str, Dataset]) -> None:
    """Make the work folder, or check that the training in it is this one: settings, weights and every row.

    Raises:
        UsageError: it is another.
    """
    told = {name: str(value) for name, value in asdict(settings).items() if name != "output"}
    models = {
        name: name and identify(locate(name), name).fingerprint
        for name in (settings.base, settings.guide or "", settings.teacher or "")
    }
    # The fingerprint of a Dataset made from lists is drawn at random, so the rows themselves are hashed.
    content = {"settings": told, "models": models, "data": {name: digest(rows) for name, rows in data.items()}}
    sealed = json.dumps(content, indent=1, sort_keys=True) + "\n"
    path = folder / SEALED
    if folder.exists():
        if not path.is_file() or path.read_text(encoding="utf-8") != sealed:
            raise UsageError(
                f"{folder} holds the checkpoints of another training (other data or settings). "
                f"To give it up: rm -r {folder}; or choose another folder: -o FOLDER"
            )
        return
    folder.mkdir(parents=True)
    path.write_text(sealed, encoding="utf-8")


def digest(rows: Dataset) -> str:
    """SHA-256 of a data set, column by column."""
    found = hashlib.sha256()
    for name in rows.column_names:
        found.update(name.encode())
        for value in rows[name]:
            found.update(json.dumps(value).encode() + b"\n")
    return found.hexdigest()


@contextmanager
def without_bars() -> Iterator[None]:
    """Drop what a library draws on the terminal without being asked."""
    with redirect_stderr(io.StringIO()):
        yield


def quiet() -> None:
    """Keep the libraries' progress bars and advice off the terminal: progress belongs to the caller."""
    for name in ("sentence_transformers", "transformers", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
