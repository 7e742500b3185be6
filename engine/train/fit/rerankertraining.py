"""Train a reranker: the document that belongs to a text must score higher than those that rank near it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine import __version__
from engine.encode.crossencoder.model import identify_reranker
from engine.encode.models.model import identify, locate
from engine.errors import EncoderError, SourceError
from engine.files import check_new_folder
from engine.phrases import pluralize
from engine.platform import replace_path
from engine.progress import Progress
from engine.records.reranker import RerankerIdentity
from engine.train.fit.basemodel import format_model_name, resolve_device
from engine.train.fit.settings import RECORD, TrainingSettings, TrainingSources
from engine.train.fit.trainer import silence_libraries
from engine.train.pairs.rankedgroups import RankedGroup, RankedGroups

_BEFORE = "## Model Details"  # our part of the card precedes the library's
_TIMED = 2  # steps that are timed, after one that warms up


@dataclass(frozen=True, slots=True)
class _WrittenReranker:
    """A trained reranker in its folder, with its measurements."""

    folder: Path
    identity: RerankerIdentity
    steps: int
    seconds: float
    first_loss: float  # mean of the first tenth of the steps
    last_loss: float  # mean of the last tenth
    dev: float  # share of the held-out groups whose own document scores highest
    n_dev: int


def train_reranker(
    groups: RankedGroups,
    sources: TrainingSources,
    settings: TrainingSettings,
    progress: Progress,
    show: Callable[[str], None],
) -> _WrittenReranker:
    """Train a cross-encoder on groups, and write it to its folder, whole or not at all.

    show is called with the estimate before the first step. The loss is the cross-entropy of the softmax over a group
    (Cao et al., ICML 2007, ListNet with one relevant document). A run that was stopped starts anew.

    Raises:
        SourceError: there are fewer groups than a batch has.
        EncoderError: the base can't be used, or the weights are no longer finite.
    """
    if len(groups.train) < settings.batch_size:
        raise SourceError(
            f"the corpus gave {pluralize(len(groups.train), 'group')} to train on, expected at least one batch of "
            f"{settings.batch_size:,}. Give more records, or use a smaller --batch-size"
        )
    silence_libraries()
    check_new_folder(settings.output)
    settings = resolve_device(settings)
    torch.manual_seed(settings.seed)  # the last layer starts at random
    model = _load_base(settings)
    longest = int(model.max_seq_length or 0)
    model.max_seq_length = min(settings.max_length or longest, longest)
    show(_estimate(model, groups.train, settings))
    began = time.perf_counter()
    losses = _run(model, groups.train, settings, progress)
    seconds = time.perf_counter() - began
    if not all(bool(torch.isfinite(one).all()) for one in model.parameters()):
        raise EncoderError("training left weights that are not finite. Use a lower learning rate: --learning-rate 1e-5")
    dev = _measure_dev(model, groups.dev, settings)
    model.max_seq_length = longest
    tenth = max(1, len(losses) // 10)
    first, last = (sum(part) / len(part) for part in (losses[:tenth], losses[-tenth:]))
    facts = {
        "steps": len(losses),
        "seconds": round(seconds, 1),
        "dev": dev,
        "n_dev": len(groups.dev),
        "losses": [first, last],
    }
    identity = _write(model, settings, sources, groups, facts)
    return _WrittenReranker(settings.output, identity, len(losses), seconds, first, last, dev, len(groups.dev))


def _load_base(settings: TrainingSettings) -> CrossEncoder:
    """Load an encoder or a reranker as a cross-encoder with one label, in float32.

    Raises:
        EncoderError: it is neither, or can't be loaded safely.
    """
    folder = locate(settings.base)
    try:
        base = identify(folder, settings.base)
    except EncoderError:
        longest = identify_reranker(folder, settings.base).max_length
    else:
        longest = base.max_length
    weights = {"use_safetensors": True, "dtype": torch.float32}
    model: CrossEncoder = CrossEncoder(
        str(folder), num_labels=1, device=settings.device, local_files_only=True, model_kwargs=weights
    )
    model.max_seq_length = longest
    if not settings.dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    return model


def _run(
    model: CrossEncoder, groups: Sequence[RankedGroup], settings: TrainingSettings, progress: Progress
) -> list[float]:
    """Take all steps: AdamW, a linear warm-up and decay, gradients of parts of a batch added up. Returns the losses."""
    n_steps = settings.count_steps(len(groups))
    warmup = settings.warmup * n_steps if settings.warmup < 1 else settings.warmup
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    model.train()
    losses = []
    for step, batch in enumerate(_iterate_batches(groups, settings, n_steps)):
        rate = min((step + 1) / max(1.0, warmup), (n_steps - step) / max(1.0, n_steps - warmup), 1.0)
        for part in optimizer.param_groups:
            part["lr"] = settings.learning_rate * rate
        losses.append(_add_gradients(model, batch, settings))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        progress(f"training, loss {losses[-1]:.3f}", step + 1, n_steps)
    model.eval()
    return losses


def _iterate_batches(
    groups: Sequence[RankedGroup], settings: TrainingSettings, n_steps: int
) -> Iterator[list[RankedGroup]]:
    """Yield n_steps batches, in another order in each epoch; groups of similar length are in one part of a batch."""
    chance = random.Random(settings.seed)
    step = 0
    while step < n_steps:
        order = list(range(len(groups)))
        chance.shuffle(order)
        for start in range(0, len(order), settings.batch_size):
            if step == n_steps:
                return
            batch = [groups[at] for at in order[start : start + settings.batch_size]]
            yield sorted(batch, key=lambda group: max(map(len, group.documents)))
            step += 1


def _add_gradients(model: CrossEncoder, batch: Sequence[RankedGroup], settings: TrainingSettings) -> float:
    """Add the gradients of a batch, in parts that fit into memory; return its mean loss."""
    size = max(1, settings.mini_batch_size // len(batch[0].documents))
    total = 0.0
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        scores = _score(model, part, mixed=bool(settings.mixed))
        targets = torch.zeros(len(part), dtype=torch.long, device=scores.device)
        loss = cross_entropy(scores, targets, reduction="sum") / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _score(model: CrossEncoder, groups: Sequence[RankedGroup], *, mixed: bool) -> Tensor:
    """Return the outputs of each group's documents: float32 (groups, documents)."""
    pairs = [(group.anchor, document) for group in groups for document in group.documents]
    features = {name: _move(value, model) for name, value in model.preprocess(pairs).items()}
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed):
        outputs: Tensor = model(features)["scores"]
    return outputs.float().view(len(groups), -1)


def _move(value: object, model: CrossEncoder) -> object:
    """Return a tensor on the model's device, and anything else as it is."""
    return value.to(model.device) if isinstance(value, Tensor) else value


def _measure_dev(model: CrossEncoder, groups: Sequence[RankedGroup], settings: TrainingSettings) -> float:
    """Return the share of groups whose own document scores highest; 0 without groups."""
    with torch.inference_mode():
        first = [int(_score(model, [group], mixed=bool(settings.mixed)).argmax()) == 0 for group in groups]
    return sum(first) / len(first) if first else 0.0


def _estimate(model: CrossEncoder, groups: Sequence[RankedGroup], settings: TrainingSettings) -> str:
    """Say what a training will take, by running a few steps; changes neither model nor random state."""
    with torch.random.fork_rng(devices=[]):
        sample = list(groups[: settings.batch_size])
        began = 0.0
        for turn in range(_TIMED + 1):
            if turn == 1:
                began = time.perf_counter()
            _add_gradients(model, sample, settings)
        seconds = (time.perf_counter() - began) / _TIMED
    model.zero_grad(set_to_none=True)
    steps = settings.count_steps(len(groups))
    minutes = max(1, round(seconds * steps / 60))
    n = len(groups[0].documents) - 1
    return f"{len(groups):,} groups with {pluralize(n, 'negative')} each, {steps:,} steps, about {minutes:,} min"


def _write(
    model: CrossEncoder,
    settings: TrainingSettings,
    sources: TrainingSources,
    groups: RankedGroups,
    facts: dict[str, object],
) -> RerankerIdentity:
    """Write the reranker with a card and a file that say what ran, and return its identity."""
    part = settings.output.with_name(settings.output.name + ".training")
    check_new_folder(part)
    model.save_pretrained(str(part))
    shown = asdict(replace(settings, output=Path())) | {"base": format_model_name(settings.base)}
    del shown["output"]
    counts = {"groups": len(groups.train), "pairs": groups.n_pairs, "held_out": groups.n_held_out}
    record = {"engine_version": __version__, "settings": shown, "sources": asdict(sources), **counts, **facts}
    (part / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = (
        "## What Ran",
        "",
        f"Made by `engine train --method rerank` (abstract-engine {__version__}) from "
        f"`{format_model_name(settings.base)}` on {len(groups.train):,} texts, each with its own document and "
        f"{settings.negatives} that rank near it; `{RECORD}` has every setting.",
        "",
        "",
    )
    card = part / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace(_BEFORE, "\n".join(lines) + _BEFORE, 1), encoding="utf-8")
    identity = identify_reranker(part, settings.output.name)
    replace_path(part, settings.output)
    return identity
