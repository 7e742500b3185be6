"""The command that reports where the records of an index come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.group import main
from engine.cli.options import index_options, read_id_file
from engine.config import Config
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.terminal import dump_json, say

if TYPE_CHECKING:
    from engine.cli.flowchart import Step
    from engine.corpus.flow import Flow, OriginFlow
    from engine.corpus.storage.store import Corpus
    from engine.index.folder import IndexFolder

_FILE = click.Path(path_type=Path)
_RULES = {
    "PMID": "same PMID",
    "DOI": "same DOI",
    "id": "same id",
    "text": "same text, no id",
    "file": "twice in one file",
    "decision": "decided by a person",
}
_MOST = 14  # databases or registers named in the diagram
_BLANK = "\u2003"
_NOT_RETRIEVED = "not retrieved"  # the reason of a report that could not be had
_TITLE = "Identification of studies via databases and registers"


@dataclass(frozen=True, slots=True)
class _Decisions:
    """The decisions of reviewers, as far as they were made."""

    included: int
    excluded: int  # by title and abstract
    reasons: dict[str, int]  # excluded reports by reason, most frequent first
    unknown: int  # records that are not in the index
    maybe: int = 0  # that the reviewers are not sure about
    conflict: int = 0  # that one reviewer includes and another excludes

    @property
    def n_sought(self) -> int:
        """Number of reports to be retrieved."""
        return self.included + sum(self.reasons.values())


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
@click.option("-o", "--output", type=_FILE, metavar="FILE.svg", help="Draw the diagram.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def flow(
    config: Config,
    included: Path | None,
    excluded: Path | None,
    review: str | None,
    output: Path | None,
    overwrite: bool,
    as_object: bool,
) -> None:
    """Count the records of a review for a PRISMA 2020 flow diagram.

    Counts the records found, the duplicates removed by rule, and the records left.

    Counts are given for each database and register, which are recognised by what the records name, by the format and by
    the name of the file. The stages after identification stay blank until there are decisions. A record excluded with a
    reason was excluded by its full report, one without by title and abstract. The reason "not retrieved" is reported as
    such. Records of a review that are in conflict or maybe are not yet screened.

    \b
    engine flow -i rheumatology
    engine flow -i rheumatology --included in.txt --excluded out.txt -o flow.svg
    engine flow -i rheumatology --review main -o flow.svg
    """
    from engine.corpus.flow import count_flow
    from engine.files import check_targets, write_text
    from engine.index.folder import IndexFolder
    from engine.query.opening import open_corpus

    if review is not None and (included or excluded):
        raise UsageError("--review and files of decisions were given, expected one of them")
    if output is not None:
        if output.suffix.lower() != ".svg":
            raise UsageError(f"{output}: the diagram is written as SVG. Name a file that ends with .svg")
        check_targets([output], overwrite=overwrite)
    folder = IndexFolder(config.find_existing())
    with closing(open_corpus(folder.open_current(quick=True))) as corpus:
        counts = count_flow(corpus)
        decisions = _read_decisions(corpus, included, excluded) if included or excluded else None
    if review is not None:
        decisions = _count_review(folder, review)
    if as_object:
        later = {"decisions": asdict(decisions)} if decisions else {}
        say(dump_json({"index": folder.path.name} | asdict(counts) | later))
    else:
        say("\n".join(_format_flow(folder.path.name, counts, decisions)))
    if output is not None:
        from engine.cli.flowchart import draw_flowchart

        write_text(output, [draw_flowchart(_TITLE, _build_steps(counts, decisions))], overwrite=overwrite)
        say(f"diagram in {output}", err=True)


def _read_decisions(corpus: Corpus, included: Path | None, excluded: Path | None) -> _Decisions:
    """Read the decisions in the files and look up their records."""
    from engine.corpus.storage.resolution import resolve_ids
    from engine.relevance.screening.labels import look_up_labels

    ids = [() if file is None else read_id_file(file) for file in (included, excluded)]
    labels = look_up_labels(corpus, *ids)
    reasons = _read_reasons(excluded) if excluded else {}
    by_record = dict(zip(resolve_ids(corpus, list(reasons)), reasons.values(), strict=True)) if reasons else {}
    by_record.pop(None, None)
    return _Decisions(
        len(labels.included),
        len(labels.excluded) - len(by_record),
        dict(Counter(by_record.values()).most_common()),
        len(labels.unknown),
    )


def _count_review(folder: IndexFolder, name: str) -> _Decisions:
    """Count the decisions of a review."""
    from engine.review.reviews import Review
    from engine.review.state import read_state

    state = read_state(Review(folder, name))
    counts, reasons = state.count_kinds(), state.count_reasons()
    without = reasons.pop("", 0)
    included, maybe = (sum(n for kind, n in counts.items() if kind == each) for each in ("include", "maybe"))
    return _Decisions(included, without, dict(reasons.most_common()), len(state.absent), maybe, counts[None])


def _read_reasons(path: Path) -> dict[str, str]:
    """Return the ids of a file that are followed by a tab and a reason."""
    from engine.files import read_text

    lines = (line for line in read_text(path, 50_000_000).split("\n") if not line.lstrip().startswith("#"))
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {first.strip(): reason.strip() for first, reason in pairs if first.strip() and reason.strip()}


def _format_flow(name: str, flow: Flow, decisions: _Decisions | None) -> Iterator[str]:
    """Yield the lines of a flow for people."""
    yield f"{name}: {pluralize(flow.found, 'record')} found, {flow.found - flow.left:,} removed, {flow.left:,} left"
    yield from _format_origins(flow)
    yield f"  duplicates removed: {sum(flow.duplicates.values()):,}"
    yield from (f"    {_RULES[rule]}: {n:,}" for rule, n in flow.duplicates.items())
    yield from ([f"  not indexed, as they cannot be read: {flow.rejected:,}"] if flow.rejected else [])
    yield from ([f"  withdrawn by PubMed: {flow.withdrawn:,}"] if flow.withdrawn else [])
    yield f"  records left: {flow.left:,}"
    if decisions:
        yield f"  screened: {_count_screened(decisions):,}; excluded by title and abstract: {decisions.excluded:,}"
        yield from (f"  report excluded, {reason}: {n:,}" for reason, n in decisions.reasons.items())
        yield f"  included: {decisions.included:,}"
        yield from ([f"  maybe: {decisions.maybe:,}"] if decisions.maybe else [])
        yield from ([f"  in conflict: {decisions.conflict:,}"] if decisions.conflict else [])
        yield from (
            [f"  decisions on records that are not in the index: {decisions.unknown:,}"] if decisions.unknown else []
        )


def _format_origins(flow: Flow) -> Iterator[str]:
    """Yield a table with a row for each database and register."""
    names = ("found", "duplicates", "rejected", "withdrawn", "left")
    shown = [
        name for name in names if name in ("found", "duplicates", "left") or any(getattr(o, name) for o in flow.origins)
    ]
    rows = [["database or register", *shown, "files"]]
    for origin in flow.origins:
        kind = " (register)" if origin.is_register else ""
        files = ", ".join(origin.files[:3]) + (f" and {len(origin.files) - 3:,} more" if len(origin.files) > 3 else "")
        rows.append([origin.name + kind, *(f"{getattr(origin, name):,}" for name in shown), files])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *cells, files in rows:
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True))
        yield f"  {first.ljust(widths[0])}  {numbers}  {files}"


def _build_steps(flow: Flow, decisions: _Decisions | None) -> list[Step]:
    """Return the boxes of the diagram."""
    from engine.cli.flowchart import Step

    others = [("Records that cannot be read", flow.rejected), ("Records withdrawn by PubMed", flow.withdrawn)]
    removed = [
        "Records removed before screening:",
        f"  {_count_in_box('Duplicate records removed', sum(flow.duplicates.values()))}",
        *(f"    {_count_in_box(_RULES[rule], n)}" for rule, n in flow.duplicates.items()),
        *(f"  {_count_in_box(what, n)}" for what, n in others if n),
    ]
    n_screened = _count_screened(decisions) if decisions else 0
    of = f" of {flow.left:,}" if n_screened < flow.left else ""
    screened = _count_in_box("Records screened", n_screened, of) if decisions else ""
    screened = screened or _count_in_box("Records to be screened", flow.left)
    return [
        Step("Identification", tuple(_list_origins(flow.origins)), tuple(removed)),
        Step("Screening", (screened,), (_count_in_box("Records excluded", decisions.excluded if decisions else None),)),
        *_build_report_steps(decisions),
        Step("Included", (_count_in_box("Studies included in review", decisions.included if decisions else None),)),
    ]


def _build_report_steps(decisions: _Decisions | None) -> list[Step]:
    """Return the boxes on full reports."""
    from engine.cli.flowchart import Step

    reasons = dict(decisions.reasons) if decisions else {}
    n_missing = reasons.pop(_NOT_RETRIEVED, 0)
    n_sought = decisions.n_sought if decisions else None
    n_assessed = n_sought - n_missing if n_sought is not None else None
    excluded = [f"  {_count_in_box(reason, n)}" for reason, n in reasons.items()]
    return [
        Step(
            "Screening",
            (_count_in_box("Reports sought for retrieval", n_sought),),
            (_count_in_box("Reports not retrieved", n_missing if decisions else None),),
        ),
        Step(
            "Screening",
            (_count_in_box("Reports assessed for eligibility", n_assessed),),
            ("Reports excluded:", *excluded)
            if excluded
            else (_count_in_box("Reports excluded", 0 if decisions else None),),
        ),
    ]


def _list_origins(origins: Sequence[OriginFlow]) -> Iterator[str]:
    """Yield the lines of the first box: databases, then registers."""
    yield "Records identified from:"
    for name, is_register in (("Databases", False), ("Registers", True)):
        rows = [origin for origin in origins if origin.is_register == is_register]
        yield f"  {_count_in_box(name, sum(origin.found for origin in rows))}"
        yield from (f"    {_count_in_box(origin.name, origin.found)}" for origin in rows[:_MOST])
        if rest := rows[_MOST:]:
            yield f"    {_count_in_box(f'{len(rest):,} others', sum(origin.found for origin in rest))}"


def _count_screened(decisions: _Decisions) -> int:
    """Return the number of records with a decision."""
    return decisions.n_sought + decisions.excluded


def _count_in_box(what: str, n: int | None, of: str = "") -> str:
    """Return a text with its number, or with a space for it if there is none; lines are not broken in the number."""
    number = _BLANK if n is None else f"{n:,}{of}"
    return f"{what} (n\u00a0=\u00a0{number})"
