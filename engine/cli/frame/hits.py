"""Printing of hits for people and pipes, without the control characters of records."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from engine.records.answer import Answer
from engine.references.values.fields import list_answer_fields, list_hit_fields, simplify_value
from engine.terminal import choose_stream_form, dump_json, join_lines, make_printable, say

if TYPE_CHECKING:
    from engine.references.values.citation import Cited


@dataclass(frozen=True, slots=True)
class HitList:
    """Hits to print and write."""

    answer: Answer
    title: str  # title of the files
    changes: Sequence[str] | None = None  # change of each hit; None: not a search for changes
    cosines: Sequence[float | None] = ()  # cosine of each hit, if its score is not a cosine
    facts: Mapping[str, object] = field(default_factory=dict)  # printed with those of the answer

    def build_rows(self) -> list[dict[str, Any]]:
        """Return the hits as dictionaries of the printed fields."""
        rows = [list_hit_fields(hit) for hit in self.answer.hits]
        if self.cosines:
            first = ("rank", "id", "score")
            rows = [
                {**{name: row[name] for name in first}, "cosine": simplify_value(cosine), **row}
                for row, cosine in zip(rows, self.cosines, strict=True)
            ]
        if self.changes is not None:
            rows = [{"change": change, **row} for change, row in zip(self.changes, rows, strict=True)]
        return rows


def print_hits(hits: HitList, cited: Sequence[Cited], form: str, *, raw: bool = False) -> None:
    """Print hits in one of the forms; `cited` has the hits with their records, for CSV and TSV."""
    answer = hits.answer
    if answer.groups and form not in ("table", "answer"):
        _print_groups(answer, err=True)
    if form == "table":
        from engine.cli.frame.table import print_table  # rich takes 50 ms to load, which pipes don't need

        if answer.verdict is not None:
            say(str(answer.verdict))
            for abbreviation in answer.verdict.abbreviations:
                say(f"{abbreviation}. To rank by it, too, add it to the question")
        if answer.hits:
            print_table(answer.hits, hits.changes or (), hits.cosines)
        _print_groups(answer)
    elif form == "json":
        click.echo("[" + ",\n ".join(map(dump_json, hits.build_rows())) + "]")
    elif form == "answer":
        click.echo(dump_json({**hits.facts, **list_answer_fields(answer, hits.build_rows())}))
    elif form == "nl":
        for row in hits.build_rows():
            click.echo(dump_json(row))
    else:
        _print_delimited(cited, form, hits.changes, raw=raw)


def _print_delimited(cited: Sequence[Cited], form: str, changes: Sequence[str] | None, *, raw: bool = False) -> None:
    """Print hits as CSV or TSV, unchanged unless standard output is a terminal."""
    from engine.references.writers.table import write_delimited

    text = "".join(write_delimited(cited, "\t" if form == "tsv" else ",", raw=raw, changes=changes))
    # color=True, else click removes from a file whatever looks like an escape code
    click.echo(make_printable(text) if sys.stdout.isatty() else text, nl=False, color=True)


def _print_groups(answer: Answer, *, err: bool = False) -> None:
    """Print the number of records and of hits per value; to stderr if a program reads the hits."""
    if answer.groups:
        width = max(len("records"), *(len(f"{group.records:,}") for group in answer.groups))
        say(f"\n{'records':>{width}}  {'hits':>4}  {answer.query.group_by}", err=err)
        for group in answer.groups:
            say(f"{group.records:>{width},}  {group.hits:>4,}  {join_lines(group.value) or '(none)'}", err=err)


def choose_form(form: str | None, *, has_files: bool) -> str | None:
    """Choose the form in which to print hits; None if files are written and standard output is not a terminal."""
    return None if has_files and form is None and not sys.stdout.isatty() else choose_stream_form(form)
