"""Options that say where hits go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.hits import HitList, choose_form, print_hits
from engine.cli.options import add_options
from engine.files import check_targets
from engine.records.answer import Answer
from engine.references.citation import cite_hits, describe_search
from engine.terminal import say

if TYPE_CHECKING:
    from engine.query.index import Index


@dataclass(frozen=True, slots=True)
class Output:
    """Where hits go."""

    form: str | None  # of what is printed; None: as the stream wants it, and nothing in a pipe where there are files
    files: tuple[Path, ...]
    overwrite: bool
    raw: bool  # CSV and TSV without protection against formulas
    record: Path | None  # of the search


_OUTPUT_HELP = "Write the hits; by suffix .ris .nbib .bib .csv .tsv .xlsx .json .jsonl .md. May be repeated."


def _read_output(
    form: str | None, output: tuple[Path, ...], overwrite: bool, raw_csv: bool, record: Path | None = None
) -> Output:
    """Return where hits go."""
    return Output(form, output, overwrite, raw_csv, record)


_FORMS = (
    (("--answer",), "answer", "Print one JSON object: the hits and everything else about the answer."),
    (("--json",), "json", "Print one JSON array."),
    (("--nl",), "nl", "Print one JSON object per line [default in a pipe]."),
    (("--csv",), "csv", "Print comma-separated values."),
    (("--tsv",), "tsv", "Print tab-separated values."),
    (("-t", "--table"), "table", "Print a table [default on a terminal]."),
)
_OUTPUT = (
    click.option("-o", "--output", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help=_OUTPUT_HELP),
    click.option("--overwrite", is_flag=True, help="Overwrite existing files."),
    click.option("--raw-csv", is_flag=True, help="Write CSV and TSV without protection against formulas."),
)
_RECORD = click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Record how this was searched, for engine rerun.",
)
_PRINTED = tuple(
    click.option(*flags, "form", flag_value=value, default=None, help=text) for flags, value, text in _FORMS
)
output_options = add_options("out", (*_OUTPUT, _RECORD, *_PRINTED), _read_output)
ranked_output = add_options("out", (*_OUTPUT, *_PRINTED), _read_output)  # of a ranking that is no search


def check_output(out: Output) -> None:
    """Refuse files that can't be written, before the search."""
    from engine.references.formats import check_format

    for path in out.files:
        check_format(path)
    check_targets([*out.files, *([out.record] if out.record else [])], overwrite=out.overwrite)


def deliver(
    found: Index, answer: Answer, out: Output, changes: Sequence[str] = (), *, since: str | None = None
) -> None:
    """Print an answer, write its files and record the search; its notes go to stderr."""
    deliver_hits(found, HitList(answer, describe_search(answer), changes), out)
    if out.record:
        from engine.query.searchlog import make_record, write_record

        write_record(out.record, make_record(found, answer, since=since), overwrite=out.overwrite)
        say(f"search recorded in {out.record}", err=True)


def deliver_hits(index: Index, hits: HitList, out: Output, notes: Sequence[str] = ()) -> None:
    """Print hits and write their files; notes, and those of the answer, go to stderr."""
    form = choose_form(out.form, has_files=bool(out.files))
    cited = cite_hits(index, hits.answer) if out.files or form in ("csv", "tsv") else []
    if form:
        print_hits(hits, cited, form, raw=out.raw)
    for note in (*notes, *hits.answer.notes):
        say(note, err=True)
    if out.files:
        from engine.references.formats import write

        for path in out.files:
            write(path, cited, hits.title, overwrite=out.overwrite, raw=out.raw, changes=hits.changes)
            say(f"{len(cited):,} to {path}", err=True)
