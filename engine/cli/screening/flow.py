"""The command that reports where the records of an index come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import index_options, read_id_file
from engine.config import Config
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say

if TYPE_CHECKING:
    from engine.corpus.flow import Flow, OriginFlow
    from engine.corpus.storage.store import Corpus
    from engine.review.report.flow import ScreeningCounts

_FILE = click.Path(path_type=Path)


@main.command()
@index_options
@click.option(
    "--included", type=_FILE, metavar="FILE", help="File of the included records: ids, or an export such as RIS."
)
@click.option(
    "--excluded",
    type=_FILE,
    metavar="FILE",
    help="File of the excluded records. After a tab, a line may give the reason why the full report was excluded.",
)
@click.option("--review", metavar="NAME", help="Name of a review whose decisions are counted.")
@click.option(
    "--full-text",
    metavar="NAME",
    help="Name of a review of the full reports. --review is then that of titles and abstracts.",
)
@click.option("-o", "--output", type=_FILE, metavar="FILE.svg", help="Draw the diagram.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def flow(
    config: Config,
    included: Path | None,
    excluded: Path | None,
    review: str | None,
    full_text: str | None,
    output: Path | None,
    overwrite: bool,
    as_object: bool,
) -> None:
    """Count the records of a review for a PRISMA 2020 flow diagram.

    Counts the records found, the duplicates removed by rule, and the records left.

    Counts are given for each database and register, with the days on which its files were read. Databases are
    recognised by what the records name, by the format and by the name of the file. The stages after identification stay
    blank until there are decisions. A record excluded with a reason was excluded by its full report, one without by
    title and abstract. The reason "not retrieved" is reported as such. Records of a review that are in conflict or
    maybe are not yet screened. With --full-text, all exclusions of the first review were by title and abstract, and
    only reports that it includes are counted.

    \b
    engine flow -i rheumatology
    engine flow -i rheumatology --included in.txt --excluded out.txt -o flow.svg
    engine flow -i rheumatology --review main -o flow.svg
    engine flow -i rheumatology --review abstracts --full-text reports -o flow.svg
    """
    from engine.corpus.flow import count_flow
    from engine.files import check_targets, write_text
    from engine.index.generations.folder import IndexFolder
    from engine.query.opening.corpus import open_corpus
    from engine.review.decisions.reviews import Review
    from engine.review.decisions.state import read_state
    from engine.review.report.flow import count_review, count_stages, describe_flow, draw_flow

    if review is not None and (included or excluded):
        raise UsageError("--review and files of decisions were given, expected one of them")
    if full_text is not None and review is None:
        raise UsageError("--full-text was given without the review of titles and abstracts. Name it: --review")
    if output is not None:
        if output.suffix.lower() != ".svg":
            raise UsageError(f"{output}: the diagram is written as SVG. Name a file that ends with .svg")
        check_targets([output], overwrite=overwrite)
    folder = IndexFolder(config.find_existing())
    with closing(open_corpus(folder.open_current(quick=True))) as corpus:
        found = count_flow(corpus)
        counts = _read_decisions(corpus, found.left, included, excluded) if included or excluded else None
    if review is not None:
        first = read_state(Review(folder, review))
        counts = count_stages(first, read_state(Review(folder, full_text))) if full_text else count_review(first)
    if as_object:
        say(dump_json(describe_flow(folder.path.name, found, counts, review or "")))
    else:
        say("\n".join(_format_flow(folder.path.name, found, counts)))
    if output is not None:
        write_text(output, [draw_flow(found, counts)], overwrite=overwrite)
        say(f"diagram in {output}", err=True)


def _read_decisions(corpus: Corpus, n_records: int, included: Path | None, excluded: Path | None) -> ScreeningCounts:
    """Read the decisions in the files, look up their records and count them."""
    from engine.corpus.storage.resolution import resolve_ids
    from engine.relevance.screening.labels import look_up_labels
    from engine.review.report.flow import count_screening

    ids = [() if file is None else read_id_file(file) for file in (included, excluded)]
    labels = look_up_labels(corpus, *ids)
    reasons = _read_reasons(excluded) if excluded else {}
    by_record = dict(zip(resolve_ids(corpus, list(reasons)), reasons.values(), strict=True)) if reasons else {}
    by_record.pop(None, None)
    by_reason = Counter(by_record.values()) + Counter({"": len(labels.excluded) - len(by_record)})
    return count_screening(n_records, len(labels.included), by_reason, unknown=len(labels.unknown))


def _read_reasons(path: Path) -> dict[str, str]:
    """Return the ids of a file that are followed by a tab and a reason, and by nothing more."""
    from engine.files import read_text

    lines = (line for line in read_text(path, 50_000_000).split("\n") if not line.lstrip().startswith("#"))
    pairs = (line.split("\t") for line in lines if line.count("\t") == 1)
    return {first.strip(): reason.strip() for first, reason in pairs if first.strip() and reason.strip()}


def _format_flow(name: str, flow: Flow, counts: ScreeningCounts | None) -> Iterator[str]:
    """Yield the lines of a flow for people."""
    from engine.review.report.flow import RULES

    yield f"{name}: {pluralize(flow.found, 'record')} found, {flow.found - flow.left:,} removed, {flow.left:,} left"
    yield from _format_origins(flow)
    yield f"  duplicates removed: {sum(flow.duplicates.values()):,}"
    yield from (f"    {RULES[rule]}: {n:,}" for rule, n in flow.duplicates.items())
    yield from ([f"  not indexed, as they cannot be read: {flow.rejected:,}"] if flow.rejected else [])
    yield from ([f"  withdrawn by PubMed: {flow.withdrawn:,}"] if flow.withdrawn else [])
    yield f"  records left: {flow.left:,}"
    if counts:
        yield f"  screened: {counts.screened:,}; excluded by title and abstract: {counts.excluded:,}"
        yield f"  reports sought: {counts.sought:,}; not retrieved: {counts.not_retrieved:,}"
        yield f"  reports assessed: {counts.assessed:,}"
        yield from (f"  report excluded, {join_lines(reason)}: {n:,}" for reason, n in counts.reasons.items())
        yield f"  included: {counts.included:,}"
        for what, n in (
            ("maybe", counts.maybe),
            ("in conflict", counts.conflict),
            ("not yet screened", counts.undecided),
            ("reports not yet decided about", counts.awaiting),
            ("decisions on records that are not in the index", counts.unknown),
        ):
            yield from ([f"  {what}: {n:,}"] if n else [])


def _format_origins(flow: Flow) -> Iterator[str]:
    """Yield a table with a row for each database and register."""
    names = ("found", "duplicates", "rejected", "withdrawn", "left")
    shown = [
        name for name in names if name in ("found", "duplicates", "left") or any(getattr(o, name) for o in flow.origins)
    ]
    rows = [["database or register", *shown, "read", "files"]]
    for origin in flow.origins:
        kind = " (register)" if origin.is_register else ""
        cells = [f"{getattr(origin, name):,}" for name in shown]
        rows.append([join_lines(origin.name) + kind, *cells, _format_days(origin), _name_files(origin)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells, days, files in rows:
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:-2], strict=True))
        yield f"  {first.ljust(widths[0])}  {numbers}  {days.ljust(widths[-2])}  {files}"


def _format_days(origin: OriginFlow) -> str:
    """Return when the files of a database were read."""
    days = dict.fromkeys((origin.first_read, origin.last_read))
    return " to ".join(filter(None, days))


def _name_files(origin: OriginFlow) -> str:
    """Return the names of the files of a database, the first three of many."""
    names = list(dict.fromkeys(file.name for file in origin.files))
    return ", ".join(map(join_lines, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
