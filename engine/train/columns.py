"""What columns of texts hold: how many different texts, how many without a word, rows that repeat or contradict."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.records import many
from engine.train.findings import ColumnFacts, Finding, Severity, share
from engine.train.pairs import PairTable

WORD = re.compile(r"[^\W_]")  # a letter or digit
FEW = 10  # distinct texts; as few in a long table make a column next to constant
REPEATED = 10  # rows for each distinct text from which few are too few
FREQUENT = 0.5  # share of one text from which a column is next to constant
COMMON = 0.1
EMPTY = 0.1  # share of texts without a word from which a column is refused
CONTRADICTING = 0.1
N_LENGTHS = 2_000  # texts of a column whose tokens are counted
MAX_TOKENS = 256  # that all-MiniLM-L6-v2 reads, special tokens included


def says_something(text: str) -> bool:
    """Whether a text has a letter or digit."""
    return WORD.search(text) is not None


def entropy(counts: Sequence[int]) -> float:
    """Shannon's entropy in bits of the shares of counts; 0 for one value, log2(n) for n equally frequent ones."""
    shares = np.array(counts, np.float64) / sum(counts)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def constant_findings(facts: ColumnFacts, n_rows: int) -> Iterator[Finding]:
    """Yield a finding where a column has next to nothing to tell rows apart by."""
    few = facts.n_distinct <= FEW and n_rows >= REPEATED * facts.n_distinct
    most = f"{quoted(facts.top_text)} alone is in {share(facts.top_share)} of the rows"
    if few or (facts.top_share > FREQUENT and n_rows >= REPEATED):
        yield Finding(
            "near-constant-column",
            Severity.REFUSE,
            f"{facts.name} is next to constant: {many(facts.n_distinct, 'distinct text')} in {many(n_rows, 'row')}, "
            f"{facts.entropy:.2f} bits where {np.log2(n_rows):.1f} were possible; {most}. Whatever the labels, "
            "training pulls every text of the other column towards the same few vectors: all cosines rise, and "
            "unrelated texts look alike. Look at how the file was made (fields that were empty when they were joined?) "
            "and put the texts in",
        )
    elif facts.top_share > COMMON:
        yield Finding(
            "frequent-text",
            Severity.WARN,
            f"{facts.name}: {most}. What is paired with it is drawn to one place. Leave out most of these rows",
        )


def empty_findings(facts: ColumnFacts, n_rows: int) -> Iterator[Finding]:
    """Yield a finding where a column has texts without a letter or digit."""
    if facts.n_empty:
        part = facts.n_empty / n_rows
        yield Finding(
            "empty-texts",
            Severity.REFUSE if part > EMPTY else Severity.WARN,
            f"{facts.name}: {many(facts.n_empty, 'text')} ({share(part)}) without a letter or digit. There is "
            "nothing in them to compare. Leave these rows out, or find out where their texts were lost",
        )


def row_findings(table: PairTable) -> Iterator[Finding]:
    """Yield what is wrong with whole rows: repeated, contradicting, or the same text on both sides."""
    rows = list(zip(*table.texts, strict=True))
    labels = [0.0] * len(rows) if table.labels is None else table.labels.tolist()
    again = len(rows) - len(set(zip(rows, labels, strict=True)))
    if again:
        yield Finding(
            "duplicate-rows",
            Severity.WARN,
            f"{many(again, 'row')} ({share(again / len(rows))}) repeated word for word: they only count more than "
            "others. Keep each row once",
        )
    found: dict[tuple[str, ...], set[float]] = defaultdict(set)
    for row, label in zip(rows, labels, strict=True):
        found[row].add(label)
    if against := sum(len(found[row]) > 1 for row in rows):
        part = against / len(rows)
        yield Finding(
            "contradictions",
            Severity.REFUSE if part > CONTRADICTING else Severity.WARN,
            f"{many(against, 'row')} ({share(part)}) with the texts of another row and a different label: "
            "no model can satisfy both. Decide which is right",
        )
    if same := sum(row[0] == row[1] for row in rows):
        yield Finding(
            "same-text-twice",
            Severity.WARN,
            f"{many(same, 'row')} ({share(same / len(rows))}) with the same text on both sides: their cosine is 1, "
            "whatever the model. Leave them out",
        )


def length_findings(table: PairTable, tokenizer_folder: Path | None) -> Iterator[Finding]:
    """Yield how many texts are longer than the encoder reads, of at most 2,000 different ones of each column.

    Fails with EncoderError where the folder's tokenizer.json is none.
    """
    path = None if tokenizer_folder is None else tokenizer_folder / "tokenizer.json"
    if path is None or not path.is_file():
        where = "no tokenizer was named" if path is None else f"{path} is not there"
        yield Finding("long-texts", Severity.NOTE, f"lengths were not counted in tokens: {where}")
        return
    from engine.encode.recipe import cleaned
    from engine.encode.tokens import fastest

    tokenizer = fastest(path, MAX_TOKENS)
    for name, column in zip(table.columns, table.texts, strict=True):
        texts = spread(list(dict.fromkeys(column)))
        n_tokens = tokenizer.tokenise([cleaned(text) for text in texts]).n_tokens
        if (part := float(np.mean(n_tokens > MAX_TOKENS))) > 0:
            yield Finding(
                "long-texts",
                Severity.WARN if part > 0.1 else Severity.NOTE,
                f"{name}: {share(part)} of {many(len(texts), 'different text')} have more than {MAX_TOKENS} tokens "
                f"(the longest {int(n_tokens.max()):,}). What comes after is not read in training. Put what matters "
                "first, or shorten them",
            )


def spread(texts: list[str]) -> list[str]:
    """At most N_LENGTHS texts, evenly spread over all."""
    if len(texts) <= N_LENGTHS:
        return texts
    return [texts[i * len(texts) // N_LENGTHS] for i in range(N_LENGTHS)]


def quoted(text: str) -> str:
    """The beginning of a text, in quotation marks."""
    return repr(text if len(text) <= 40 else f"{text[:39]}\u2026")


def counted(name: str, texts: Sequence[str]) -> ColumnFacts:
    """A column in numbers, without what it tells of the label."""
    counts = Counter(texts)
    top, most = counts.most_common(1)[0]
    n_empty = sum(count for text, count in counts.items() if not says_something(text))
    return ColumnFacts(
        name, len(counts), top, most / len(texts), entropy(list(counts.values())), n_empty, None, "", None
    )
