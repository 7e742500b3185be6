"""Check pairs before a step is run: can anything be learned from them, and is it what should be learned?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.models.recipe import clean_text
from engine.phrases import pluralize
from engine.train.pairs.findings import ColumnFacts, PairFinding, PairReport, Severity, format_share, has_words
from engine.train.pairs.leakage import find_label_leaks, find_leak, find_overlap
from engine.train.pairs.pairtable import PairTable

_SEVERITIES = (Severity.REFUSE, Severity.WARN, Severity.NOTE)
_FEW_TEXTS = 10  # distinct texts; with no more in a long table, a column is nearly constant
_MIN_REPEATS = 10  # rows for each distinct text that make a table long
_MAX_SHARE = 0.5  # share of one text above which a column is nearly constant
_COMMON_SHARE = 0.1
_MAX_EMPTY = 0.1  # share of texts without a word above which a column is refused
_MAX_CONTRADICTING = 0.1
_N_LENGTHS = 2_000  # texts of a column whose tokens are counted
_MAX_TOKENS = 256  # that all-MiniLM-L6-v2 reads, special tokens included


def lint_pairs(
    table: PairTable,
    tokenizer_folder: Path | None,
    batch_size: int,
    held_out: PairTable | None = None,
    epochs: float = 1.0,
) -> PairReport:
    """Check pairs for whatever makes a training useless, and report it in plain words.

    tokenizer_folder: folder of the encoder whose tokens are counted; None: tokens are not counted. held_out: rows that
    the new encoder will be tested on. Fails with EncoderError if the tokenizer can't be read.
    """
    facts = tuple(
        _describe_column(name, texts, table.labels) for name, texts in zip(table.columns, table.texts, strict=True)
    )
    steps = -(-table.n_rows // batch_size)
    findings = [
        *(finding for column in facts for finding in _check_constant(column, table.n_rows)),
        *_check_labels(facts, table.labels),
        *(finding for column in facts for finding in _check_empty(column, table.n_rows)),
        *_check_rows(table),
        *(find_overlap(table, held_out) if held_out is not None else ()),
        *_check_lengths(table, tokenizer_folder),
        *_check_steps(table.n_rows, batch_size, steps, epochs),
    ]
    return PairReport(
        name=table.name,
        n_rows=table.n_rows,
        steps_per_epoch=steps,
        floor=None if table.labels is None else _compute_floor(table.labels),
        columns=facts,
        findings=tuple(sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))),
    )


def _describe_column(name: str, texts: Sequence[str], labels: NDArray[np.float32] | None) -> ColumnFacts:
    """Return a column in numbers."""
    facts = _count_texts(name, texts)
    if labels is None:
        return facts
    leak = find_leak(texts, labels)
    return replace(facts, label_auc=leak.auc, predictor=leak.feature, floor=leak.floor)


def _compute_floor(labels: NDArray[np.float32]) -> float:
    """Compute the mean squared error of the best constant: the variance of the labels. 0.25 for as many 0 as 1.

    A model that has learned nothing but the mean of the labels reaches it.
    """
    return float(np.var(labels, dtype=np.float64))


def _check_labels(facts: Sequence[ColumnFacts], labels: NDArray[np.float32] | None) -> Iterator[PairFinding]:
    """Yield findings about the labels: columns that predict them alone, their mean, and the loss of a constant."""
    if labels is None:
        return
    yield from find_label_leaks(facts, labels)
    mean = float(labels.mean(dtype=np.float64))
    ends = ", ".join(f"{format_share(float(np.mean(labels == end)))} are {end}" for end in (0, 1))
    yield PairFinding(
        "loss-floor",
        Severity.NOTE,
        f"labels have the mean {mean:.2f} ({ends}). A model that gives every pair "
        f"this cosine has a mean squared error of {_compute_floor(labels):.4f}: a loss of CosineSimilarityLoss that is "
        "not clearly below means that nothing was learned",
    )


def _check_steps(n_rows: int, batch_size: int, steps: int, epochs: float) -> Iterator[PairFinding]:
    """Yield findings about the number of steps."""
    if n_rows < batch_size:
        yield PairFinding(
            "few-rows",
            Severity.WARN,
            f"{pluralize(n_rows, 'row')}, fewer than one batch of {batch_size:,}: an epoch is one step. "
            "Add rows, or use smaller batches: --batch-size",
        )
    total = max(1, int(steps * epochs))
    yield PairFinding(
        "steps",
        Severity.NOTE,
        f"{pluralize(steps, 'step')} an epoch, {pluralize(total, 'step')} in all ({epochs:g} x "
        f"{pluralize(n_rows, 'row')}, batches of {batch_size:,})",
    )


def _compute_entropy(counts: Sequence[int]) -> float:
    """Compute Shannon's entropy of counts in bits: 0 for one value, log2(n) for n equally frequent ones."""
    shares = np.array(counts, np.float64) / sum(counts)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _check_constant(facts: ColumnFacts, n_rows: int) -> Iterator[PairFinding]:
    """Yield a finding if a column has too few different texts."""
    few = facts.n_distinct <= _FEW_TEXTS and n_rows >= _MIN_REPEATS * facts.n_distinct
    most = f"{_quote(facts.top_text)} alone is in {format_share(facts.top_share)} of the rows"
    if few or (facts.top_share > _MAX_SHARE and n_rows >= _MIN_REPEATS):
        yield PairFinding(
            "near-constant-column",
            Severity.REFUSE,
            f"{facts.name} is nearly constant: {pluralize(facts.n_distinct, 'distinct text')} in "
            f"{pluralize(n_rows, 'row')}, "
            f"{facts.entropy:.2f} bits of {np.log2(n_rows):.1f} possible; {most}. Whatever the labels, "
            "training pulls every text of the other column towards the same few vectors: all cosines rise, and "
            "unrelated texts look alike. Check how the file was made (were fields empty when they were joined?) "
            "and fill in the texts",
        )
    elif facts.top_share > _COMMON_SHARE:
        yield PairFinding(
            "frequent-text",
            Severity.WARN,
            f"{facts.name}: {most}. Training pulls the texts paired with it together. Remove most of these rows",
        )


def _check_empty(facts: ColumnFacts, n_rows: int) -> Iterator[PairFinding]:
    """Yield a finding if a column has texts without a letter or digit."""
    if facts.n_empty:
        part = facts.n_empty / n_rows
        yield PairFinding(
            "empty-texts",
            Severity.REFUSE if part > _MAX_EMPTY else Severity.WARN,
            f"{facts.name}: {pluralize(facts.n_empty, 'text')} ({format_share(part)}) without a letter or digit. "
            "There is nothing in them to compare. Remove these rows, or find out where their texts were lost",
        )


def _check_rows(table: PairTable) -> Iterator[PairFinding]:
    """Yield findings about whole rows: repeated, contradicting, or with the same text on both sides."""
    rows = list(zip(*table.texts, strict=True))
    labels = [0.0] * len(rows) if table.labels is None else table.labels.tolist()
    repeated = len(rows) - len(set(zip(rows, labels, strict=True)))
    if repeated:
        yield PairFinding(
            "duplicate-rows",
            Severity.WARN,
            f"{pluralize(repeated, 'row')} ({format_share(repeated / len(rows))}) repeated word for word: they only "
            "get more weight. Keep each row once",
        )
    row_labels: dict[tuple[str, ...], set[float]] = defaultdict(set)
    for row, label in zip(rows, labels, strict=True):
        row_labels[row].add(label)
    if against := sum(len(row_labels[row]) > 1 for row in rows):
        part = against / len(rows)
        yield PairFinding(
            "contradictions",
            Severity.REFUSE if part > _MAX_CONTRADICTING else Severity.WARN,
            f"{pluralize(against, 'row')} ({format_share(part)}) with the texts of another row and a different label: "
            "no model can satisfy both. Keep the right one",
        )
    if same := sum(row[0] == row[1] for row in rows):
        yield PairFinding(
            "same-text-twice",
            Severity.WARN,
            f"{pluralize(same, 'row')} ({format_share(same / len(rows))}) with the same text on both sides: their "
            "cosine is 1, whatever the model. Remove them",
        )


def _check_lengths(table: PairTable, tokenizer_folder: Path | None) -> Iterator[PairFinding]:
    """Yield how many texts are longer than the encoder reads, from at most 2,000 different texts of each column.

    Fails with EncoderError if the folder's tokenizer.json is not a tokenizer.
    """
    path = None if tokenizer_folder is None else tokenizer_folder / "tokenizer.json"
    if path is None or not path.is_file():
        reason = "no tokenizer was given" if path is None else f"{path} does not exist"
        yield PairFinding("long-texts", Severity.NOTE, f"lengths were not counted in tokens: {reason}")
        return
    from engine.encode.texts.tokens import load_tokenizer

    tokenizer = load_tokenizer(path, _MAX_TOKENS)
    for name, column in zip(table.columns, table.texts, strict=True):
        texts = _sample_evenly(list(dict.fromkeys(column)))
        n_tokens = tokenizer.tokenise([clean_text(text) for text in texts]).n_tokens
        if (part := float(np.mean(n_tokens > _MAX_TOKENS))) > 0:
            yield PairFinding(
                "long-texts",
                Severity.WARN if part > 0.1 else Severity.NOTE,
                f"{name}: {format_share(part)} of {pluralize(len(texts), 'different text')} have more than "
                f"{_MAX_TOKENS} "
                f"tokens (the longest {int(n_tokens.max()):,}). Training does not read what comes after. Put what "
                "matters first, or shorten them",
            )


def _sample_evenly(texts: list[str]) -> list[str]:
    """Return at most 2,000 texts, evenly spread over all."""
    if len(texts) <= _N_LENGTHS:
        return texts
    return [texts[i * len(texts) // _N_LENGTHS] for i in range(_N_LENGTHS)]


def _quote(text: str) -> str:
    """Return the beginning of a text in quotation marks."""
    return repr(text if len(text) <= 40 else f"{text[:39]}\u2026")


def _count_texts(name: str, texts: Sequence[str]) -> ColumnFacts:
    """Return a column in numbers, leaving out how well it predicts the label."""
    counts = Counter(texts)
    top, most = counts.most_common(1)[0]
    n_empty = sum(count for text, count in counts.items() if not has_words(text))
    return ColumnFacts(
        name, len(counts), top, most / len(texts), _compute_entropy(list(counts.values())), n_empty, None, "", None
    )
