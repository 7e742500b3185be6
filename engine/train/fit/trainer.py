"""Run one training with checkpoints: a run that was stopped resumes from the last one, to the same weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.base import model_card
from sentence_transformers.sentence_transformer import model as encoding
from sentence_transformers.sentence_transformer.training_args import (
    BatchSamplers,
    MultiDatasetBatchSamplers,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.util import disabled_tqdm, hard_negatives
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from engine.errors import EncoderError
from engine.progress import Progress
from engine.train.fit.checkpoints import (
    CheckpointCompleter,
    ResumingTrainer,
    choose_work_folder,
    collect_parameters,
    find_checkpoint,
)
from engine.train.fit.settings import TrainingSettings

_CHECKPOINTS = 20  # in a run, so that at most a twentieth of it is repeated


@dataclass(frozen=True, slots=True)
class _LoggedLoss:
    """One line of a training log: the mean loss since the line before."""

    epoch: float
    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What the trainer did."""

    steps: int
    log: tuple[_LoggedLoss, ...]
    seconds: float


class _StepReporter(TrainerCallback):
    """Reports every step to the caller."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report that one more step is done."""
        self.progress("training", state.global_step, state.max_steps)


def run_trainer(
    model: SentenceTransformer,
    data: Mapping[str, Dataset],
    losses: Mapping[str, torch.nn.Module],
    settings: TrainingSettings,
    progress: Progress,
) -> TrainingRun:
    """Train a model in place with AdamW and a linear schedule, on each data set with the loss of the same name.

    Deterministic on a CPU: the same data, settings, thread count and library versions give the same weights. An
    interrupted run resumes from the last complete checkpoint in the work folder, which must be claimed before.

    Raises:
        EncoderError: the weights are no longer finite.
    """
    checkpoint = find_checkpoint(choose_work_folder(settings.output))
    parameters = collect_parameters(model, losses.values())
    several = len(data) > 1
    trainer = ResumingTrainer(
        model=model,
        args=_build_arguments(settings, sum(map(len, data.values()))),
        train_dataset=dict(data) if several else next(iter(data.values())),
        loss=dict(losses) if several else next(iter(losses.values())),
        callbacks=[CheckpointCompleter(parameters), _StepReporter(progress)],
    )
    trainer.parameters = parameters
    for printing in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(printing)
    with _explain_memory(settings):
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    rows = [row for row in trainer.state.log_history if "loss" in row]
    log = tuple(_LoggedLoss(float(row["epoch"]), int(row["step"]), float(row["loss"])) for row in rows)
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        raise EncoderError("training left weights that are not finite. Use a lower learning rate: --learning-rate 1e-5")
    model.eval()
    return TrainingRun(trainer.state.global_step, log, float(result.metrics["train_runtime"]))


@contextmanager
def _explain_memory(settings: TrainingSettings) -> Iterator[None]:
    """Turn an error about memory into one that says what to do.

    Raises:
        EncoderError: memory ran out.
        RuntimeError: torch failed for another reason.
    """
    try:
        yield
    except RuntimeError as err:
        # On a CPU torch has no class of its own for this.
        if not isinstance(err, torch.OutOfMemoryError) and "allocate memory" not in str(err):
            raise
        raise EncoderError(
            f"memory ran out at batches of {settings.batch_size} texts of up to {settings.max_length or 'all'} tokens. "
            f"Use smaller parts: --mini-batch {max(1, settings.mini_batch_size // 2)}, or a smaller --batch-size"
        ) from err


def _build_arguments(settings: TrainingSettings, n_rows: int) -> SentenceTransformerTrainingArguments:
    """Translate the settings for the library. Defaults that changed between its versions are set explicitly.

    A run shorter than logging_steps logs its first and its last step.
    """
    steps = settings.count_steps(n_rows)
    contrastive = settings.method == "adapt"
    n_parts = _count_parts(settings)
    return SentenceTransformerTrainingArguments(
        output_dir=str(choose_work_folder(settings.output)),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size // n_parts,
        per_device_eval_batch_size=settings.batch_size // n_parts,
        gradient_accumulation_steps=n_parts,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup if settings.warmup < 1 else int(settings.warmup),
        lr_scheduler_type="linear",
        optim="adamw_torch",
        max_grad_norm=1.0,
        seed=settings.seed,
        data_seed=settings.seed,
        use_cpu=settings.device == "cpu",
        bf16=bool(settings.mixed),
        batch_sampler=BatchSamplers.NO_DUPLICATES if contrastive else BatchSamplers.BATCH_SAMPLER,
        multi_dataset_batch_sampler=MultiDatasetBatchSamplers.PROPORTIONAL
        if contrastive
        else MultiDatasetBatchSamplers.ROUND_ROBIN,
        logging_steps=min(settings.logging_steps, steps),
        logging_first_step=steps < settings.logging_steps,
        save_steps=max(1, steps // _CHECKPOINTS),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=settings.device == "cuda",
        average_tokens_across_devices=False,
    )


def _count_parts(settings: TrainingSettings) -> int:
    """Return into how many equal parts a batch is split, the fewest with mini_batch_size rows or fewer each.

    The gradients of the parts are added up. A contrastive loss needs its whole batch, and caches instead.
    """
    if settings.method == "adapt":
        return 1
    batch, most = settings.batch_size, settings.mini_batch_size
    return next(n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= most)


def silence_libraries() -> None:
    """Keep the progress bars and advice of the libraries off the terminal: progress belongs to the caller."""
    for name in ("sentence_transformers", "transformers", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    for module in (hard_negatives, model_card, encoding):  # their bars have no switch
        for name in ("tqdm", "trange"):
            if hasattr(module, name):
                setattr(module, name, disabled_tqdm if name == "tqdm" else _make_plain_range)


def _make_plain_range(*args: int, **kwargs: Any) -> disabled_tqdm:
    """Return a range with a progress bar that is never drawn."""
    return disabled_tqdm(range(*args), **kwargs)  # type: ignore[no-untyped-call]
