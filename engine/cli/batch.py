"""``engine search --batch``: many queries from a file, their hits into one run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from engine.cli.asking import Output
from engine.cli.options import opened
from engine.collect.export import guard_formula
from engine.config import Config
from engine.errors import SourceError, UsageError
from engine.files import check_target, open_whole, read_lines
from engine.queries import Answer, Mode, Query
from engine.query.batches import answer_each, split_pages
from engine.references.fields import hit_fields
from engine.relevance.runs import STEP, word
from engine.terminal import as_json, progress, say

if TYPE_CHECKING:
    pass

SUFFIXES = (".trec", ".run", ".jsonl", ".csv", ".tsv")
NOTES = 5  # shown
TAG = "abstract-engine"  # last column of a TREC run
HEADERS = {"id", "qid", "query_id", "query-id", "queryid"}


def run_batch(config: Config, query: Query, source: Path, out: Output, device: str) -> None:
    """Answer every query of a file with the options of `query`, page by page, into one file.

    Raises:
        UsageError: options that make no sense together, or a file that can't be written.
    """
    target = target_of(query, out)
    queries = read_queries(source)
    with opened(config, device) as index, progress() as report, open_whole(target, overwrite=out.overwrite) as file:
        writer, n_queries, n_hits = writer_for(target, file, raw=out.raw), 0, 0
        notes: dict[str, None] = {}
        for page in split_pages(queries, query.top_k):
            answers = answer_each(index, [replace(query, text=text) for _, text in page])
            for (query_id, _), answer in zip(page, answers, strict=True):
                if not isinstance(answer, Answer):
                    say(f"query {query_id} is left out: {answer}", err=True)
                    continue
                writer.write(query_id, answer)
                n_hits += len(answer.hits)
                notes.update(dict.fromkeys(answer.notes))
            n_queries += len(page)
            report("searching", n_queries, None)
        if not n_queries:
            raise UsageError(f"{source} holds no query. Expected lines of id, tab, text, or JSON with id and text")
    for note in list(notes)[:NOTES]:
        say(note, err=True)
    say(f"{n_queries:,} queries, {n_hits:,} hits to {target}", err=True)


def target_of(query: Query, out: Output) -> Path:
    """The one file that a batch is written to.

    Raises:
        UsageError: none or several, of another suffix, or there already; or a query beside the batch.
    """
    if query.text or query.like or query.unlike:
        raise UsageError(
            "--batch reads its queries from the file, so QUERY, --like and --unlike have no place beside it"
        )
    if query.group_by or (query.explain and out.files and out.files[0].suffix.lower() != ".jsonl"):
        raise UsageError("--batch has no place for --group-by, and for --explain only in a .jsonl file")
    if out.record or out.form:
        raise UsageError("--batch writes one file: name it with -o, for example -o run.trec")
    if len(out.files) != 1 or out.files[0].suffix.lower() not in SUFFIXES:
        raise UsageError(f"--batch writes one file, a {', '.join(SUFFIXES)}: for example -o run.trec")
    (target,) = out.files
    check_target(target, overwrite=out.overwrite, example="run.trec")
    return target


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each line: JSON objects with id and text, or id and text with a tab between; gzip too.

    A header line is left out, and so are blank lines. Every id must be there once.

    Raises:
        UsageError: the file can't be read, or a line is neither; says which.
    """
    seen: set[str] = set()
    for number, line in query_lines(path):
        query_id, text = json_query(line) if line.lstrip().startswith("{") else tabbed_query(line)
        if number == 1 and query_id.lower() in HEADERS:
            continue
        if not query_id.isprintable() or not query_id or any(map(str.isspace, query_id)) or not text.strip():
            raise UsageError(f"{path}, line {number}: expected an id without blanks and a text, with a tab between")
        if query_id in seen:
            raise UsageError(f"{path}, line {number}: the id {query_id[:40]!r} is there twice, expected once")
        seen.add(query_id)
        yield query_id, text


def query_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a file of queries.

    Raises:
        UsageError: it can't be read.
    """
    try:
        yield from read_lines(path)
    except SourceError as err:
        raise UsageError(f"{err}. Expected lines of id, tab, text, or JSON with id and text") from err


def json_query(line: str) -> tuple[str, str]:
    """Id and text of a JSON object, under the names that are in use; empty where there are none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", ""

    def first(*names: str) -> str:
        return next((str(found[name]) for name in names if isinstance(found.get(name), str | int)), "")

    return first("id", "_id", "query_id", "qid"), first("text", "query", "title")


def tabbed_query(line: str) -> tuple[str, str]:
    """Id and text with a tab between; empty where there is no tab."""
    query_id, tab, text = line.rstrip("\r\n").partition("\t")
    return (query_id.strip(), text) if tab else ("", "")


class RunWriter:
    """Hits as lines of a TREC run: query, Q0, record, rank, score, tag.

    Evaluation tools sort by the score, so it falls from line to line: it is the one that ranks, lowered a little where
    it would not (ties, hits put in another order, those below the fused ones).
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, query_id: str, answer: Answer) -> None:
        """Add the hits of one query."""
        last = math.inf
        for hit in answer.hits:
            score = hit.ranking_score
            if last < math.inf and (hit.fused is None) and answer.query.mode is Mode.HYBRID:
                score -= 2  # a cosine, below every fused score
            last = min(score, last - STEP)
            self.file.write(f"{query_id} Q0 {word(hit.id)} {hit.rank} {last:.6f} {TAG}\n")


class LinesWriter(RunWriter):
    """Hits as JSON objects, one a line, each with the id of its query."""

    def write(self, query_id: str, answer: Answer) -> None:
        """Add the hits of one query."""
        for hit in answer.hits:
            self.file.write(as_json({"query_id": query_id, **hit_fields(hit)}) + "\n")


class TableWriter(RunWriter):
    """Hits as rows of a table: query, rank, record, scores."""

    def __init__(self, file: TextIO, delimiter: str, *, raw: bool) -> None:
        super().__init__(file)
        self.raw = raw
        self.rows = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self.rows.writerow(["query_id", "rank", "id", "score", "fused", "bm25", "title"])

    def write(self, query_id: str, answer: Answer) -> None:
        """Add the hits of one query."""
        for hit in answer.hits:
            scores = round(hit.score, 6), hit.fused, hit.bm25
            cells = (query_id, hit.rank, hit.id, *scores, hit.title)
            self.rows.writerow([cell_text(cell, raw=self.raw) for cell in cells])


def cell_text(value: object, *, raw: bool) -> str:
    """Text for a cell: on one line, and unless raw nothing that a spreadsheet takes for a formula."""
    text = "" if value is None else " ".join(str(value).split())
    return guard_formula(text) if isinstance(value, str) and not raw else text


def writer_for(target: Path, file: TextIO, *, raw: bool) -> RunWriter:
    """The writer that the suffix of the file asks for."""
    suffix = target.suffix.lower()
    if suffix == ".jsonl":
        return LinesWriter(file)
    if suffix in (".csv", ".tsv"):
        return TableWriter(file, "\t" if suffix == ".tsv" else ",", raw=raw)
    return RunWriter(file)
