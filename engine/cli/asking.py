"""Options that say how records are ranked, and where the hits go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.hits import HitList, print_hits, shown
from engine.files import check_targets
from engine.queries import Answer, Fusion, Mode, Query
from engine.references.cited import cited_hits, heading
from engine.terminal import say

if TYPE_CHECKING:
    from engine.query.index import Index

ASKED = ("top_k", "offset", "mode", "weight", "fusion", "min_score", "diversify", "explain", "group_by", "filters")


@dataclass(frozen=True, slots=True)
class Output:
    """Where hits go."""

    form: str | None  # of what is printed; None: as the stream wants it, and nothing in a pipe where there are files
    files: tuple[Path, ...]
    overwrite: bool
    raw: bool  # CSV and TSV without protection against formulas
    record: Path | None  # of the search


def ranking_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add mode, paging and the like, given to the command as one Query without text, filters included."""

    def run(**given: Any) -> None:
        command(query=Query(**{name: given.pop(name) for name in ASKED}), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    modes, fusions = click.Choice([str(m) for m in Mode]), click.Choice([str(f) for f in Fusion])
    for option in (
        click.option("--explain", is_flag=True, help="Why each is a hit: sentences, words, what the score means."),
        click.option("--group-by", type=click.Choice(["journal", "year"]), help="Count the hits by it."),
        click.option("--diversify", type=float, metavar="0..1", help="Prefer hits unlike those above (MMR)."),
        click.option("--min-score", type=float, metavar="COSINE", help="Leave out hits with a lower cosine."),
        click.option("--fusion", type=fusions, default=None, help="Of hybrid [index.toml; convex]."),
        click.option("--weight", type=float, metavar="0..1", help="Of the cosine in hybrid [index.toml; 0.5]."),
        click.option(
            "--mode",
            type=modes,
            default="semantic",
            show_default=True,
            help="What ranks: the meaning, the words, both.",
        ),
        click.option("--offset", type=click.IntRange(min=0), default=0, help="Hits left out at the beginning."),
        click.option("-n", "--top-k", type=click.IntRange(min=1), default=10, show_default=True, help="Hits wanted."),
    ):
        option(run)
    return run


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add where hits go, given to the command as one Output."""

    def run(
        form: str | None, output: tuple[Path, ...], overwrite: bool, raw_csv: bool, record: Path | None, **given: Any
    ) -> None:
        command(out=Output(form, output, overwrite, raw_csv, record), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for flags, value, text in (
        (("-t", "--table"), "table", "A table [default on a terminal]."),
        (("--tsv",), "tsv", "Tab-separated values."),
        (("--csv",), "csv", "Comma-separated values."),
        (("--nl",), "nl", "One JSON object a line [default in a pipe]."),
        (("--json",), "json", "One JSON array."),
        (("--answer",), "answer", "One JSON object: the hits, and all else about the answer."),
    ):
        click.option(*flags, "form", flag_value=value, default=None, help=text)(run)
    files = click.Path(path_type=Path)
    for option in (
        click.option("--record", type=files, metavar="FILE.json", help="Keep how this was searched: engine rerun."),
        click.option("--raw-csv", is_flag=True, help="CSV and TSV without protection against formulas."),
        click.option("--overwrite", is_flag=True, help="Write over files that exist."),
        click.option("-o", "--output", multiple=True, type=files, metavar="FILE", help=OUTPUT_HELP),
    ):
        option(run)
    return run


OUTPUT_HELP = "Write the hits; by suffix .ris .nbib .bib .csv .tsv .xlsx .json .jsonl .md. May be repeated."


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
    deliver_hits(found, HitList(answer, heading(answer), changes), out)
    if out.record:
        from engine.query.searchlog import record_of, write_record

        write_record(out.record, record_of(found, answer, since=since), overwrite=out.overwrite)
        say(f"search recorded in {out.record}", err=True)


def deliver_hits(index: Index, hits: HitList, out: Output, notes: Sequence[str] = ()) -> None:
    """Print hits and write their files; notes, and those of the answer, go to stderr."""
    form = shown(out.form, has_files=bool(out.files))
    cited = cited_hits(index, hits.answer) if out.files or form in ("csv", "tsv") else []
    if form:
        print_hits(hits, cited, form, raw=out.raw)
    for note in (*notes, *hits.answer.notes):
        say(note, err=True)
    if out.files:
        from engine.references.formats import write

        for path in out.files:
            write(path, cited, hits.title, overwrite=out.overwrite, raw=out.raw, changes=hits.changes)
            say(f"{len(cited):,} to {path}", err=True)
