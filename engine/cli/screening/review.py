"""Commands that keep the decisions of reviewers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.curve import CurveFile, curve_options, write_curve
from engine.cli.frame.delivery import OUTPUT, Output, check_output, write_records
from engine.cli.frame.group import Subcommands, main
from engine.cli.frame.options import add_options, find_login, index_options
from engine.cli.screening.screen import criteria_options
from engine.cli.search.references import read_targets
from engine.config import Config
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say

if TYPE_CHECKING:
    from engine.corpus.storage.journal import Decision
    from engine.review.decisions.agreement import Agreement
    from engine.review.decisions.exchange import Imported
    from engine.review.decisions.reviews import Review
    from engine.review.decisions.state import DecidedRecord, ReviewState
    from engine.review.report.progress import ReviewProgress, StopAdvice

_KINDS = ("include", "exclude", "maybe", "undecided")
_SHOWN = 20  # rows of a list of conflicts or of records that are not in the index
_DONE = {"include": "included", "exclude": "excluded", "maybe": "maybe", "undecided": "left undecided"}


def _open_review(config: Config, name: str | None) -> Review:
    """Return the review of this name; without a name, the only one of the index.

    Raises:
        UsageError: no name is given, and the index has no review or several.
    """
    from engine.corpus.storage.journal import Journal
    from engine.index.generations.folder import IndexFolder
    from engine.review.decisions.reviews import Review

    folder = IndexFolder(config.find_existing())
    if name is None:
        names = Journal(folder.decisions).list_reviews()
        if len(names) != 1:
            what = f"has {len(names):,} reviews: {', '.join(names)}" if names else "has no review"
            advice = "Name one: --review" if names else f"Start one: engine review start -i {folder.name} --review main"
            raise UsageError(f"{folder.name} {what}. {advice}")
        name = names[0]
    return Review(folder, name)


_review_option = click.option(
    "--review", "name", metavar="NAME", help="Name of the review [the only one of the index]."
)
_who_option = click.option("--who", metavar="NAME", help="Name of the reviewer [your login].")
_json_option = click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")


@main.group(cls=Subcommands)
def review() -> None:
    """Keep the decisions of a review: include, exclude or maybe.

    Decisions are kept beside the generations of an index, in decisions.db. They outlive updates, rebuilds, merges of
    duplicates and rollbacks. Each reviewer decides for themselves; --for-all settles a conflict.

    \b
    engine review start -i rheumatology --review main --criteria-file criteria.txt
    engine review decide PMID:31793330 include -i rheumatology --note "RCT"
    engine review status -i rheumatology
    """


@review.command()
@index_options
@click.option("--review", "name", metavar="NAME", required=True, help="Name of the review.")
@criteria_options
@click.option("--reason", "reasons", multiple=True, metavar="TEXT", help="Reason for exclusion. May be repeated.")
@click.option(
    "--want", "wanted", multiple=True, metavar="WORD", help="Word or phrase that speaks for a record. May be repeated."
)
@click.option("--unwanted", multiple=True, metavar="WORD", help="The same against a record. May be repeated.")
@_who_option
def start(
    config: Config,
    name: str,
    criteria: str,
    reasons: tuple[str, ...],
    wanted: tuple[str, ...],
    unwanted: tuple[str, ...],
    who: str | None,
) -> None:
    """Start a review, or change its criteria, reasons and words.

    What is not given stays as it is. Words are marked in the records that you read: a word with any ending, a phrase as
    it is written; a star at the end stands for any ending.

    \b
    engine review start -i rheumatology --review main --criteria "Trials of stem cells in osteoarthritis"
    engine review start -i rheumatology --review main --reason "wrong population" --reason "no control group"
    engine review start -i rheumatology --review main --want "stem cell*" --want randomised --unwanted mice
    """
    from engine.review.decisions.reviews import ReviewSettings, read_settings

    opened = _open_review(config, name)
    before = opened.journal.read()
    settings = read_settings(before)
    given = ReviewSettings(criteria, reasons, wanted, unwanted)
    changed = {each.name: value for each in fields(given) if (value := getattr(given, each.name))}
    opened.start(who or find_login(), replace(settings, **changed))
    say(f"review {name} of {opened.folder.name} {'changed' if before else 'started'}")


@review.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.argument("decision", type=click.Choice(_KINDS))
@index_options
@_review_option
@click.option("--reason", default="", metavar="TEXT", help="Reason for exclusion.")
@click.option("--note", default="", metavar="TEXT", help="Note on the record.")
@click.option("--label", "labels", multiple=True, metavar="TEXT", help="Label of the record. May be repeated.")
@click.option("--for-all", is_flag=True, help="Decide for all reviewers, whatever each of them decided.")
@_who_option
def decide(
    config: Config,
    ids: tuple[str, ...],
    decision: str,
    name: str | None,
    reason: str,
    note: str,
    labels: tuple[str, ...],
    for_all: bool,
    who: str | None,
) -> None:
    """Decide about records, named by their ids, PMIDs or DOIs.

    A later decision of the same reviewer replaces an earlier one. `undecided` takes it back.

    \b
    engine review decide PMID:31793330 include -i rheumatology --note "RCT"
    engine review decide 31793330 28012345 exclude -i rheumatology --reason "wrong population"
    """
    from engine.corpus.storage.journal import DecisionKind
    from engine.review.decisions.reviews import NewLabel

    opened = _open_review(config, name)
    label = NewLabel(DecisionKind(decision), reason.strip(), note.strip(), labels, for_all=for_all)
    made = opened.decide(who or find_login(), ids, label)
    say(f"{pluralize(len(made), 'record')} {_DONE[decision]} ({_number_decisions(made)})")


@review.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@index_options
@_review_option
@_who_option
def undo(config: Config, number: int | None, name: str | None, who: str | None) -> None:
    """Undo your last command, or the decision with this number.

    \b
    engine review undo -i rheumatology
    engine review undo 12 -i rheumatology
    """
    undone = _open_review(config, name).undo(who or find_login(), number)
    say(f"{pluralize(len(undone), 'decision')} undone ({_number_decisions(undone)})")


@review.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@index_options
@_review_option
@click.option("--as", "kind", type=click.Choice(_KINDS[:3]), help="Decision on every record, whatever the files say.")
@_who_option
@_json_option
def import_decisions(
    config: Config, files: tuple[Path, ...], name: str | None, kind: str | None, who: str | None, as_object: bool
) -> None:
    """Bring in the decisions of other tools, or of a list of ids.

    Any file that `engine index` reads can carry decisions: in a column (`decision`, `label_included`, `included` …), in
    the notes of ASReview, Rayyan and Covidence, in the codes of EPPI-Reviewer's JSON, or in tags ("included",
    "excluded: wrong population"). So can a project of ASReview (.asreview) and a table of ids with a column of
    decisions. Records are recognised by PMID, DOI, id, or title and year. What is not in the index is listed. One
    `engine review undo` undoes the decisions of one command; those of a reviewer whom the file names, with --who.

    \b
    engine review import rayyan.ris project.asreview -i rheumatology --review main
    engine review import pmids-with-decisions.csv -i rheumatology
    engine review import included.txt -i rheumatology --as include
    """
    from engine.corpus.storage.journal import DecisionKind
    from engine.review.decisions.exchange import add_decisions

    opened = _open_review(config, name)
    found = add_decisions(opened, who or find_login(), files, DecisionKind(kind) if kind else None)
    if as_object:
        counts = {each.name: getattr(found, each.name) for each in fields(found)}
        say(dump_json(counts | {"made": [event.number for event in found.made]}))
    else:
        say("\n".join(_format_import(found)))


@review.command(name="export")
@index_options
@_review_option
@add_options("out", OUTPUT, read_targets)
@click.option("--all", "undecided", is_flag=True, help="Write the records without a decision, too.")
@click.option("--only", type=click.Choice(_KINDS[:3]), help="Write the records with this decision alone.")
@click.option("--tags", is_flag=True, help='Write decisions as tags, too: "included", "excluded: wrong population".')
def export_decisions(
    config: Config, name: str | None, out: Output, undecided: bool, only: str | None, tags: bool
) -> None:
    """Write the records with their decisions to files.

    CSV, TSV, XLSX and JSON have them in columns: decision, label_included (1 or 0, as ASReview reads it),
    exclusion_reason, decision_note, decision_labels and reviewer. Other formats have them in the notes, as ASReview and
    Rayyan write them. `engine review import` reads both. What the sources of a record say of other decisions is left
    out.

    --tags is for Zotero, EndNote and EPPI-Reviewer, which show tags or keywords. --only is for a collection of Zotero,
    or a list of Covidence or DistillerSR.

    \b
    engine review export -i rheumatology -o decisions.csv
    engine review export -i rheumatology --all -o for-asreview.ris
    engine review export -i rheumatology --only include --tags -o included.ris
    """
    from contextlib import closing

    from engine.corpus.storage.journal import DecisionKind
    from engine.query.opening.corpus import open_corpus
    from engine.references.formats import has_columns
    from engine.review.decisions.exchange import cite_decisions, list_decided
    from engine.review.decisions.state import read_state

    if undecided and only:
        raise UsageError("--all and --only were given, expected one of them")
    check_output(out)
    opened, kind = _open_review(config, name), DecisionKind(only) if only else None
    state = read_state(opened)
    with closing(open_corpus(opened.folder.open_current(quick=True))) as corpus:
        n_records = len(list_decided(state, corpus, undecided=undecided, only=kind))
        for path in out.files:
            as_columns = has_columns(path)
            cited = cite_decisions(state, corpus, as_columns=as_columns, as_tags=tags, undecided=undecided, only=kind)
            left_out = write_records(path, cited, f"review {state.name} of {opened.folder.name}", out)
            say(f"{pluralize(n_records, 'record')} to {path}", err=True)
            if left_out:
                say(left_out, err=True)
    if state.absent and only is None:
        say(f"{pluralize(len(state.absent), 'record')} decided, but not in the index now: not written", err=True)


@review.command()
@index_options
@_review_option
@curve_options
@_json_option
def status(config: Config, name: str | None, curve: CurveFile, as_object: bool) -> None:
    """Show what is decided, what may be left, and where reviewers differ.

    A statistical test tells how many inclusions may be left among the unread records. It counts only decisions on
    records that were read in the order that the engine offers, or drawn at random. Cohen's kappa compares each two
    reviewers on the records that both decided.

    \b
    engine review status -i rheumatology
    engine review status -i rheumatology --curve progress.svg
    """
    from engine.review.decisions.agreement import list_agreements
    from engine.review.decisions.state import read_state
    from engine.review.report.progress import build_progress_chart, compute_progress, describe_progress

    opened = _open_review(config, name)
    state = read_state(opened)
    agreements, progress = list_agreements(state), compute_progress(state)
    write_curve(curve, build_progress_chart(progress))
    if as_object:
        say(dump_json(_describe_state(opened, state, agreements) | {"progress": describe_progress(progress)}))
    else:
        say("\n".join([*_format_state(opened, state, agreements), *_format_progress(progress)]))


@review.command()
@index_options
@_review_option
@click.option("--json", "as_objects", is_flag=True, help="Print one JSON object per decision, one per line.")
def log(config: Config, name: str | None, as_objects: bool) -> None:
    """List every decision of a review, those undone included."""
    opened = _open_review(config, name)
    opened.check_started()
    for event in opened.journal.read():
        if as_objects:
            click.echo(dump_json(asdict(event)))
        else:
            say(_format_event(event))


def _format_import(found: Imported) -> Iterator[str]:
    """Yield the lines that say what became of the records of imported files."""
    numbers = f" ({_number_decisions(found.made)})" if found.made else ""
    yield f"{pluralize(found.read, 'record')} read, {found.decided:,} decided{numbers}"
    if found.rules:
        yield "  recognised by " + ", ".join(f"{rule} {n:,}" for rule, n in found.rules.most_common())
    for what, n in (
        ("decided so before", found.unchanged),
        ("given again, or at an earlier level", found.repeated),
        ("without a decision", found.without),
    ):
        yield from ([f"  {what}: {n:,}"] if n else [])
    for what, places in (
        ("not in the index", found.unmatched),
        ("contradictory, so not decided", found.contradictory),
        ("decisions that can't be kept", found.refused),
        ("not readable", found.rejected),
    ):
        if places:
            yield f"  {what}: {len(places):,}"
            yield from _list_some(places)


def _list_some(rows: Sequence[str]) -> Iterator[str]:
    """Yield the first rows of a list, indented, and how many more there are."""
    yield from (f"    {join_lines(row)}" for row in rows[:_SHOWN])
    if len(rows) > _SHOWN:
        yield f"    and {len(rows) - _SHOWN:,} more; all of them: --json"


def _number_decisions(made: Sequence[Decision]) -> str:
    """Return the numbers of decisions for a message."""
    first, last = made[0].number, made[-1].number
    return f"decision {first}" if first == last else f"decisions {first} to {last}"


def _count_decided(state: ReviewState) -> dict[str, int]:
    """Return the number of records by what was decided; conflicts apart."""
    counts = state.count_kinds()
    named = {kind: sum(n for each, n in counts.items() if each == kind) for kind in _KINDS[:3]}
    return named | {"conflict": counts[None]}


def _describe_state(opened: Review, state: ReviewState, agreements: Sequence[Agreement]) -> dict[str, object]:
    """Return the state of a review as plain fields."""
    counts = _count_decided(state)
    return {
        "index": opened.folder.name,
        "review": state.name,
        "records": state.n_records,
        **counts,
        "left": state.n_records - sum(counts.values()),
        "absent": len(state.absent),
        "reasons": dict(state.count_reasons().most_common()),
        "criteria": state.settings.criteria,
        "offered_reasons": list(state.settings.reasons),
        "wanted": list(state.settings.wanted),
        "unwanted": list(state.settings.unwanted),
        "reviewers": list(state.reviewers),
        "conflicts": [
            {"id": _name_record(each), "decisions": {one.who: str(one.kind) for one in each.decisions}}
            for each in state.list_of(None)
        ],
        "not_in_index": [_name_record(each) for each in state.absent],
        "agreement": [
            asdict(each) | {"share": _round_share(each.share), "kappa": _round_share(each.kappa)} for each in agreements
        ],
    }


def _round_share(value: float) -> float | None:
    """Return a share or kappa rounded; None if it is not defined."""
    return None if math.isnan(value) else round(value, 4)


def _format_state(opened: Review, state: ReviewState, agreements: Sequence[Agreement]) -> Iterator[str]:
    """Yield the lines that show the state of a review."""
    counts = _count_decided(state)
    n_decided = sum(counts.values())
    yield (
        f"review {state.name} of {opened.folder.name}: {n_decided:,} of {pluralize(state.n_records, 'record')} "
        f"decided, {state.n_records - n_decided:,} left"
    )
    for kind in _KINDS[:3]:
        yield f"  {_DONE[kind]}: {counts[kind]:,}"
        if kind == "exclude":
            yield from (f"    {reason or 'no reason'}: {n:,}" for reason, n in state.count_reasons().most_common())
    if conflicts := state.list_of(None):
        yield f"  in conflict: {len(conflicts):,}"
        yield from _list_some([_format_conflict(each) for each in conflicts])
        yield "    to settle one: engine review decide ID include|exclude --for-all"
    if state.absent:
        yield f"  decided, but not in the index now: {len(state.absent):,}"
        yield from _list_some([_name_record(each) for each in state.absent])
    for what, words in (("wanted", state.settings.wanted), ("unwanted", state.settings.unwanted)):
        yield from ([f"  words {what}: {', '.join(words)}"] if words else [])
    for each in agreements:
        kappa = "not defined" if math.isnan(each.kappa) else f"{each.kappa:.2f}"
        yield (
            f"  {each.reviewers[0]} and {each.reviewers[1]}: {pluralize(each.n_both, 'record')} decided by both, "
            f"{each.n_equal:,} equally; Cohen's kappa {kappa}"
        )


def _format_progress(progress: ReviewProgress) -> Iterator[str]:
    """Yield the lines that show what may be left, and how long it takes to read it."""
    yield from _format_advice(progress.advice)
    if progress.seconds is not None:
        left = _format_duration(progress.estimate_seconds(progress.n_unread) or 0)
        yield f"  {progress.seconds:g} s for a record (median of {progress.n_timed:,}): {left} for all that are left"


def _format_advice(advice: StopAdvice) -> Iterator[str]:
    """Yield the lines that show whether reading may stop."""
    from engine.review.report.progress import StopVerdict

    yield f"  stopping: {advice.verdict}. {advice.reason}"
    if advice.p is not None and advice.verdict is not StopVerdict.DONE:
        yield f"    p {advice.p:.3f}, expected {advice.error:g} or less: the chance to find so few if more are left"
    if advice.n_more is not None:
        more = pluralize(advice.n_more, "more record")
        yield f"    if nothing more is found, it allows stopping after {more}"


def _format_duration(seconds: float) -> str:
    """Return a duration in hours and minutes."""
    hours, minutes = divmod(math.ceil(seconds / 60), 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min"


def _format_conflict(record: DecidedRecord) -> str:
    """Return a record in conflict, with what each reviewer decided."""
    return f"{_name_record(record)}: " + ", ".join(f"{each.who} {each.kind}" for each in record.decisions)


def _name_record(record: DecidedRecord) -> str:
    """Return the id by which a record can be found."""
    return f"PMID:{record.record.pmid}" if record.record.pmid else record.record.ids[0]


def _format_event(event: Decision) -> str:
    """Return a decision of the journal on one line."""
    details = event.details
    kind = f"undo {event.undoes}" if event.undoes else str(event.kind)
    parts = [str(event.number), event.made, event.who, kind + (" for all" if details.get("for_all") else "")]
    parts += [" ".join(filter(None, (each.ids[0] if each.ids else "", each.title))) for each in event.records]
    parts += [f"reason: {details['reason']}"] if details.get("reason") else []
    parts += [f"labels: {', '.join(details['labels'])}"] if details.get("labels") else []
    parts += [f"note: {event.note}"] if event.note else []
    return "  ".join(map(join_lines, parts))
