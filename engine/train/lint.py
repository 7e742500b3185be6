"""A look at pairs before a step is run: can anything be learned from them, and is it what is meant to be learned?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.records import many
from engine.train.columns import constant_findings, counted, empty_findings, length_findings, row_findings
from engine.train.findings import ColumnFacts, Finding, Report, Severity, share, text_lines
from engine.train.leakage import best_told, held_out_findings, label_findings
from engine.train.pairs import PairTable

__all__ = ["Finding", "Report", "Severity", "floor", "lint", "text_lines"]

GRAVEST_FIRST = (Severity.REFUSE, Severity.WARN, Severity.NOTE)


def lint(
    table: PairTable,
    tokenizer_folder: Path | None,
    batch_size: int,
    held_out: PairTable | None = None,
    epochs: float = 1.0,
) -> Report:
    """Look at pairs for what makes a training useless, and say so in plain words.

    tokenizer_folder: an encoder's, for counting tokens; None: not counted. held_out: rows that the result is to be
    tested on. Fails with EncoderError where the tokenizer can't be read.
    """
    facts = tuple(map(looked_at, table.columns, table.texts, [table.labels] * len(table.columns)))
    steps = -(-table.n_rows // batch_size)
    findings = [
        *(found for column in facts for found in constant_findings(column, table.n_rows)),
        *label_notes(facts, table.labels),
        *(found for column in facts for found in empty_findings(column, table.n_rows)),
        *row_findings(table),
        *(held_out_findings(table, held_out) if held_out is not None else ()),
        *length_findings(table, tokenizer_folder),
        *step_findings(table.n_rows, batch_size, steps, epochs),
    ]
    return Report(
        name=table.name,
        n_rows=table.n_rows,
        steps_per_epoch=steps,
        floor=None if table.labels is None else floor(table.labels),
        columns=facts,
        findings=tuple(sorted(findings, key=lambda finding: GRAVEST_FIRST.index(finding.severity))),
    )


def looked_at(name: str, texts: Sequence[str], labels: NDArray[np.float32] | None) -> ColumnFacts:
    """A column in numbers."""
    facts = counted(name, texts)
    if labels is None:
        return facts
    told = best_told(texts, labels)
    return replace(facts, label_auc=told.auc, told_by=told.what, floor=told.floor)


def floor(labels: NDArray[np.float32]) -> float:
    """The mean squared error of the best constant: the variance of the labels. 0.25 for as many 0 as 1.

    A model that has learned nothing but the mean of the labels reaches it.
    """
    return float(np.var(labels, dtype=np.float64))


def label_notes(facts: Sequence[ColumnFacts], labels: NDArray[np.float32] | None) -> Iterator[Finding]:
    """Yield what the labels are, what loss means nothing, and which columns tell them by themselves."""
    if labels is None:
        return
    yield from label_findings(facts, labels)
    mean = float(labels.mean(dtype=np.float64))
    ends = ", ".join(f"{share(float(np.mean(labels == end)))} are {end}" for end in (0, 1))
    yield Finding(
        "loss-floor",
        Severity.NOTE,
        f"labels have the mean {mean:.2f} ({ends}). A model that gives every pair "
        f"this cosine has a mean squared error of {floor(labels):.4f}: a loss of CosineSimilarityLoss that is not "
        "clearly below means that nothing was learned",
    )


def step_findings(n_rows: int, batch_size: int, steps: int, epochs: float) -> Iterator[Finding]:
    """Yield how long a training is."""
    if n_rows < batch_size:
        yield Finding(
            "few-rows",
            Severity.WARN,
            f"{many(n_rows, 'row')}, fewer than one batch of {batch_size:,}: an epoch is one step. "
            "Add rows, or take smaller batches: --batch",
        )
    in_all = max(1, int(steps * epochs))
    yield Finding(
        "steps",
        Severity.NOTE,
        f"{many(steps, 'step')} an epoch, {many(in_all, 'step')} in all ({epochs:g} x {many(n_rows, 'row')}, "
        f"batches of {batch_size:,})",
    )
