"""The command that follows citations from known records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.delivery import OUTPUT, Output, check_output, write_records
from engine.cli.frame.group import main
from engine.cli.frame.options import KNOWN, add_options, index_options, open_named, read_id_file
from engine.config import Config
from engine.files import check_targets, write_text
from engine.options import MAX_CHASE_DEPTH
from engine.phrases import pluralize
from engine.references.values.citation import Cited
from engine.terminal import describe_absent, dump_json, join_lines, say, shorten_title

if TYPE_CHECKING:
    from engine.query.index import Index
    from engine.query.seeds.chase import Chase, ChasedRecord

_BESIDE = 4 + 2 + 8 + 2 + 5 + 2 + 2 + 7  # characters of the numbers, the year and the blanks between columns
_SHOWN = 10  # missing works that are printed
_BACKWARD = click.option("--backward", is_flag=True, help="Follow only what the records cite.")
_FORWARD = click.option("--forward", is_flag=True, help="Follow only what cites the records.")
_DEPTH = click.option(
    "--depth",
    type=click.IntRange(1, MAX_CHASE_DEPTH),
    default=1,
    show_default=True,
    metavar="N",
    help="Steps to follow, each from the records that the step before has found.",
)
_MISSING = click.option(
    "--missing",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the ids of the cited works that the index lacks, one per line, most cited first.",
)


def _read_targets(output: tuple[Path, ...], overwrite: bool, raw_csv: bool) -> Output:
    """Return the output that the options set."""
    return Output(None, output, overwrite, raw_csv, None)


@main.command()
@KNOWN
@index_options
@_BACKWARD
@_FORWARD
@_DEPTH
@_MISSING
@add_options("out", OUTPUT, _read_targets)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def chase(
    config: Config,
    known: Path,
    backward: bool,
    forward: bool,
    depth: int,
    missing: Path | None,
    out: Output,
    as_object: bool,
) -> None:
    """Find what the records you know cite, and what cites them.

    Lists the records of the index that the known ones cite (backward) and those that cite them (forward); without
    --backward and --forward, both. Only lists of references in the indexed files are read: those of PubMed XML,
    OpenAlex, Web of Science, Scopus and Crossref. A work is recognised by its PMID, DOI, OpenAlex id or accession
    number; references without one are counted.

    \b
    engine chase --known included.ris -i rheumatology -o cited.ris
    engine chase --known pmids.txt --backward --missing to-fetch.txt
    engine chase --known pmids.txt --depth 2 --json
    """
    check_output(out)
    check_targets([missing] if missing else [], overwrite=out.overwrite)
    ids = read_id_file(known)
    is_open = not (backward or forward)
    with open_named(config) as index:
        found = index.chase(ids, backward=backward or is_open, forward=forward or is_open, depth=depth)
        # Written before anything is printed, since a reader such as head may close the pipe.
        written = list(_write_files(index, found, out, missing))
        if as_object:
            from engine.query.seeds.chase import list_chase_fields

            click.echo(dump_json(list_chase_fields(found)))
        else:
            for line in _format_chase(found):
                say(line)
            for note in found.notes:
                say(note, err=True)
        for line in written:
            say(line, err=True)


def _write_files(index: Index, found: Chase, out: Output, missing: Path | None) -> Iterator[str]:
    """Write the records found and the ids of the missing works, and yield a line on each file."""
    title = f"citations of {pluralize(len(found.known), 'record')} (generation {found.generation:06d})"
    for path in out.files:
        cited = (Cited(None, index.get(one.id), _list_further(one)) for one in found.found)
        left_out = write_records(path, cited, title, out)
        yield f"{pluralize(len(found.found), 'record')} to {path}"
        if left_out:
            yield left_out
    if missing:
        write_text(missing, (f"{work.id}\n" for work in found.missing), overwrite=out.overwrite)
        yield f"{pluralize(len(found.missing), 'id')} to {missing}"


def _list_further(one: ChasedRecord) -> tuple[tuple[str, str], ...]:
    """Return further columns of tables: the step, and the citations."""
    return (
        ("step", str(one.step)),
        ("cited_by", "" if one.cited_by is None else str(one.cited_by)),
        ("cites", "" if one.cites is None else str(one.cites)),
    )


def _format_chase(found: Chase) -> Iterator[str]:
    """Yield the lines to print: what was read, the records found, and the missing works."""
    yield f"{pluralize(len(found.known), 'known record')} in the index; " + (
        f"{found.n_lists:,} of its {pluralize(found.n_records, 'record')} "
        f"{'has' if found.n_lists == 1 else 'have'} a list of references"
    )
    if found.absent:
        yield describe_absent(found.absent)
    if found.route.backward:
        yield (
            f"Read {pluralize(found.n_read_lists, 'list')} of {pluralize(found.n_read, 'record')}, with "
            f"{pluralize(found.n_references, 'reference')}: {found.n_inside:,} in the index, "
            f"{found.n_outside:,} not, {found.n_unread:,} without an id"
        )
    yield ""
    yield from _format_found(found)
    yield from _format_missing(found)


def _format_found(found: Chase) -> Iterator[str]:
    """Yield a line for each record that was found."""
    if not found.found:
        yield "No further record of the index is linked to them by a citation."
        return
    width = max(len(join_lines(one.id)) for one in found.found)
    yield f"{'step':>4}  {'cited by':>8}  {'cites':>5}  {'id':<{width}}  title"
    for one in found.found:
        cited_by, cites = ("-" if n is None else f"{n:,}" for n in (one.cited_by, one.cites))
        title = join_lines(one.title) or "[no title]"
        short = shorten_title(title, width + _BESIDE)
        year = f" ({one.year})" if one.year else ""
        yield f"{one.step:>4}  {cited_by:>8}  {cites:>5}  {join_lines(one.id):<{width}}  {short}{year}"


def _format_missing(found: Chase) -> Iterator[str]:
    """Yield the works that are cited most often and not in the index."""
    if not found.missing:
        return
    yield ""
    yield f"Not in the index: {pluralize(len(found.missing), 'cited work')}. Cited most often:"
    for work in found.missing[:_SHOWN]:
        yield f"{work.cited_by:>14,}  {join_lines(work.id)}"
    if (more := len(found.missing) - _SHOWN) > 0:
        yield f"and {more:,} more: --missing FILE writes them all"
