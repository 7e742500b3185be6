"""What a look at pairs found: findings in plain words, and whether training on them makes sense."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.records import many


class Severity(StrEnum):
    """What a finding means for a training."""

    REFUSE = "refuse"  # nothing useful can come of it
    WARN = "warn"  # worse than it need be
    NOTE = "note"  # good to know


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    code: str  # a fixed name: "near-constant-column"
    severity: Severity
    message: str  # what was found, why it matters, what to do


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column of texts in numbers."""

    name: str
    n_distinct: int
    top_text: str  # the most frequent one
    top_share: float  # of the rows that have it
    entropy: float  # bits; log2(rows) where all texts differ
    n_empty: int  # texts without a letter or digit
    label_auc: float | None  # how well this column alone tells the label; 0.5: not at all; None: no labels
    told_by: str  # what of the column tells it best: "the text", "its first word" …
    floor: float | None  # mean squared error of the labels for who reads this column only; None: no labels


@dataclass(frozen=True, slots=True)
class Report:
    """Everything found in one table of pairs, the gravest first."""

    name: str
    n_rows: int
    steps_per_epoch: int
    floor: float | None  # mean squared error of the best constant; None: no labels
    columns: tuple[ColumnFacts, ...]
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Whether a training on these pairs makes no sense."""
        return any(finding.severity is Severity.REFUSE for finding in self.findings)


def text_lines(report: Report) -> list[str]:
    """A report for a terminal: what each column holds, then the findings, then what they amount to."""
    lines = [f"{report.name}: {report.n_rows:,} rows"]
    for column in report.columns:
        told = "" if column.label_auc is None else f", label from this column alone: AUC {column.label_auc:.2f}"
        lines.append(
            f"  {column.name}: {column.n_distinct:,} distinct texts, {column.entropy:.1f} bits, the most frequent in "
            f"{share(column.top_share)} of the rows{told}"
        )
    lines += [f"{finding.severity}: {finding.message}" for finding in report.findings]
    n_warnings = sum(finding.severity is Severity.WARN for finding in report.findings)
    can = f"can be trained on, with {many(n_warnings, 'warning')}" if n_warnings else "can be trained on"
    return [*lines, "not to be trained on: see what is refused" if report.refused else can]


def share(part: float) -> str:
    """A share in percent, with a decimal where it is small.

    >>> share(0.5), share(0.004), share(0.00001)
    ('50 %', '0.4 %', 'under 0.1 %')
    """
    if 0 < part < 0.001:
        return "under 0.1 %"
    return f"{100 * part:.1f} %" if 0 < part < 0.01 or 0.99 < part < 1 else f"{100 * part:.0f} %"
