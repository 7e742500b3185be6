"""Files with the hits of many queries: TREC runs, JSON lines and tables."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TextIO

from engine.collect.values.export import guard_formula
from engine.records.answer import Answer
from engine.references.values.fields import dump_line, list_hit_fields
from engine.relevance.sets.runs import STEP, join_words

_TAG = "abstract-engine"  # last column of a TREC run
SUFFIXES = (".trec", ".run", ".jsonl", ".csv", ".tsv")


class _RunWriter:
    """Writer of a TREC run: lines of query, Q0, record, rank, score, tag.

    Evaluation tools sort by the score, so it falls from line to line. It is the score that ranks the hits, lowered a
    little where it would not fall: for ties, diversified hits, and hits below the fused ones.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, query_id: str, answer: Answer) -> None:
        """Write the hits of one query."""
        last = math.inf
        for hit in answer.hits:
            score = hit.ranking_score
            if last < math.inf and (hit.fused is None) and answer.query.mode == "hybrid":
                score -= 2  # a cosine, below every fused score
            last = min(score, last - STEP)
            self.file.write(f"{query_id} Q0 {join_words(hit.id)} {hit.rank} {last:.6f} {_TAG}\n")


class _LinesWriter(_RunWriter):
    """Writer of JSON lines: one object per hit, with the id of its query."""

    def write(self, query_id: str, answer: Answer) -> None:
        """Write the hits of one query."""
        for hit in answer.hits:
            self.file.write(dump_line({"query_id": query_id, **list_hit_fields(hit)}) + "\n")


class _TableWriter(_RunWriter):
    """Writer of a table: one row per hit, with query, rank, record and scores."""

    def __init__(self, file: TextIO, delimiter: str, *, raw: bool) -> None:
        super().__init__(file)
        self.raw = raw
        self.rows = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self.rows.writerow(["query_id", "rank", "id", "score", "fused", "bm25", "title"])

    def write(self, query_id: str, answer: Answer) -> None:
        """Write the hits of one query."""
        for hit in answer.hits:
            scores = round(hit.score, 6), hit.fused, hit.bm25
            cells = (query_id, hit.rank, hit.id, *scores, hit.title)
            self.rows.writerow([_format_cell(cell, raw=self.raw) for cell in cells])


def _format_cell(value: object, *, raw: bool) -> str:
    """Format a value as the text of a cell, on one line and, unless raw, safe from spreadsheet formulas."""
    text = "" if value is None else " ".join(str(value).split())
    return guard_formula(text) if isinstance(value, str) and not raw else text


def choose_writer(target: Path, file: TextIO, *, raw: bool) -> _RunWriter:
    """Return the writer for the suffix of a file."""
    suffix = target.suffix.lower()
    if suffix == ".jsonl":
        return _LinesWriter(file)
    if suffix in (".csv", ".tsv"):
        return _TableWriter(file, "\t" if suffix == ".tsv" else ",", raw=raw)
    return _RunWriter(file)
