"""What a check of pairs found: findings in plain words, and whether training on the pairs makes sense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from engine.phrases import pluralize

_WORD = re.compile(r"[^\W_]")  # a letter or digit


class Severity(StrEnum):
    """What a finding means for a training."""

    REFUSE = "refuse"  # training would be useless
    WARN = "warn"  # training would be worse than it could be
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class PairFinding:
    """One finding about a table of pairs."""

    code: str  # a fixed name: "near-constant-column"
    severity: Severity
    message: str  # what was found, why it matters, what to do


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column of texts in numbers."""

    name: str
    n_distinct: int
    top_text: str  # the most frequent text
    top_share: float  # share of the rows that have it
    entropy: float  # bits; log2(rows) if all texts differ
    n_empty: int  # texts without a letter or digit
    label_auc: float | None  # how well this column alone predicts the label; 0.5: chance; None: no labels
    predictor: str  # the feature of the column that predicts it best: "the text", "its first word" …
    floor: float | None  # mean squared error of the labels as predicted from this column only; None: no labels


@dataclass(frozen=True, slots=True)
class PairReport:
    """All findings about one table of pairs, the gravest first."""

    name: str
    n_rows: int
    steps_per_epoch: int
    floor: float | None  # mean squared error of the best constant; None: no labels
    columns: tuple[ColumnFacts, ...]
    findings: tuple[PairFinding, ...]

    @property
    def is_refused(self) -> bool:
        """Whether training on these pairs makes no sense."""
        return any(finding.severity is Severity.REFUSE for finding in self.findings)


def format_report(report: PairReport) -> list[str]:
    """Format a report for a terminal: each column in numbers, then the findings, then the verdict."""
    lines = [f"{report.name}: {report.n_rows:,} rows"]
    for column in report.columns:
        auc = "" if column.label_auc is None else f", label from this column alone: AUC {column.label_auc:.2f}"
        lines.append(
            f"  {column.name}: {column.n_distinct:,} distinct texts, {column.entropy:.1f} bits, the most frequent in "
            f"{format_share(column.top_share)} of the rows{auc}"
        )
    lines += [f"{finding.severity}: {finding.message}" for finding in report.findings]
    n_warnings = sum(finding.severity is Severity.WARN for finding in report.findings)
    passed = f"can be trained on, with {pluralize(n_warnings, 'warning')}" if n_warnings else "can be trained on"
    return [*lines, "not to be trained on: see the findings marked refuse" if report.is_refused else passed]


def format_share(part: float) -> str:
    """Format a share in percent, with a decimal if it is small.

    >>> format_share(0.5), format_share(0.004), format_share(0.00001)
    ('50 %', '0.4 %', 'under 0.1 %')
    """
    if 0 < part < 0.001:
        return "under 0.1 %"
    return f"{100 * part:.1f} %" if 0 < part < 0.01 or 0.99 < part < 1 else f"{100 * part:.0f} %"


def has_words(text: str) -> bool:
    """Return whether a text has a letter or digit."""
    return _WORD.search(text) is not None
