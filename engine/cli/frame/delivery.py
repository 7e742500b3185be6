"""Options for the output of hits, and the printing and writing they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.hits import HitList, choose_form, print_hits
from engine.cli.frame.options import add_options
from engine.files import check_targets
from engine.records.answer import Answer
from engine.references.values.citation import Cited, cite_hits, describe_search
from engine.terminal import say

if TYPE_CHECKING:
    from engine.query.index import Index


@dataclass(frozen=True, slots=True)
class Output:
    """Choice of where hits are printed and written."""

    form: (
        str | None
    )  # printed format; None: a table on a terminal; in a pipe JSON lines, or nothing if files are written
    files: tuple[Path, ...]
    overwrite: bool
    raw: bool  # whether CSV and TSV are written without protection against formulas
    record: Path | None  # file for the record of the search


_OUTPUT_HELP = (
    "Write a file; by suffix .ris .nbib .bib .xml .csl.json .csv .tsv .xlsx .json .jsonl .md "
    ".vancouver.txt .apa.txt .parquet. May be repeated."
)


def _read_output(
    form: str | None, output: tuple[Path, ...], overwrite: bool, raw_csv: bool, record: Path | None = None
) -> Output:
    """Return the output that the options set."""
    return Output(form, output, overwrite, raw_csv, record)


_FORMS = (
    (("--answer",), "answer", "Print one JSON object: the hits and everything else about the answer."),
    (("--json",), "json", "Print one JSON array."),
    (("--nl",), "nl", "Print one JSON object per line [default in a pipe]."),
    (("--csv",), "csv", "Print comma-separated values."),
    (("--tsv",), "tsv", "Print tab-separated values."),
    (("-t", "--table"), "table", "Print a table [default on a terminal]."),
)
OUTPUT = (
    click.option("-o", "--output", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help=_OUTPUT_HELP),
    click.option("--overwrite", is_flag=True, help="Overwrite existing files."),
    click.option("--raw-csv", is_flag=True, help="Write CSV and TSV without protection against formulas."),
)
_RECORD = click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Write a record of the search, for engine rerun.",
)
_PRINTED = tuple(
    click.option(*flags, "form", flag_value=value, default=None, help=text) for flags, value, text in _FORMS
)
output_options = add_options("out", (*OUTPUT, _RECORD, *_PRINTED), _read_output)
ranked_output = add_options("out", (*OUTPUT, *_PRINTED), _read_output)  # for rankings that are not searches


def check_output(out: Output) -> None:
    """Check before the search that the files can be written."""
    from engine.references.formats import check_format

    for path in out.files:
        check_format(path)
    check_targets([*out.files, *([out.record] if out.record else [])], overwrite=out.overwrite)


def deliver(
    index: Index, answer: Answer, out: Output, changes: Sequence[str] | None = None, *, since: str | None = None
) -> None:
    """Print an answer, write its files and record the search; print its notes to stderr."""
    deliver_hits(index, HitList(answer, describe_search(answer), changes), out)
    if out.record:
        from engine.query.searchlog import make_record, write_record

        write_record(out.record, make_record(index, answer, since=since), overwrite=out.overwrite)
        say(f"search recorded in {out.record}", err=True)


def deliver_hits(index: Index, hits: HitList, out: Output, notes: Sequence[str] = ()) -> None:
    """Print hits and write their files; print notes, and those of the answer, to stderr."""
    form = choose_form(out.form, has_files=bool(out.files))
    cited = cite_hits(index, hits.answer) if out.files or form in ("csv", "tsv") else []
    if form:
        print_hits(hits, cited, form, raw=out.raw)
    for note in (*notes, *hits.answer.notes):
        say(note, err=True)
    for path in out.files:
        left_out = write_records(path, cited, hits.title, out, hits.changes)
        say(f"{len(cited):,} to {path}", err=True)
        if left_out:
            say(left_out, err=True)


def write_records(
    path: Path, cited: Iterable[Cited], title: str, out: Output, changes: Sequence[str] | None = None
) -> str:
    """Write records to a file and return a line that says what its format has no place for, "" if that is nothing."""
    from engine.references.formats import find_suffix, write
    from engine.references.values.places import LeftOut

    left = LeftOut(find_suffix(path))
    write(path, left.follow(cited), title, overwrite=out.overwrite, raw=out.raw, changes=changes)
    line = left.explain()
    return f"{path.name}: {line}" if line else ""
