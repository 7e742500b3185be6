"""The plan of a reindex and its guard. Pure functions: nothing is read or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.corpus.storage.store import AppliedFile
from engine.errors import MassChangeError
from engine.phrases import pluralize
from engine.records.abstract import Rejection
from engine.records.generation import Counts
from engine.reindex.intake.sources import Source


@dataclass(frozen=True, slots=True)
class Files:
    """The files of all sources, sorted by what is done with them."""

    read: tuple[Source, ...]
    known: tuple[Source, ...]  # applied before, with the same content
    vanished: tuple[str, ...]  # paths of applied files whose last content is in no file any more; their records stay


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the guard: shares of the records that a run may delete or change, from 0 to 1."""

    max_deleted: float
    max_changed: float
    command: str = "engine reindex"  # for messages: the command to repeat with another option


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do."""

    n_current: int  # records of the current generation
    files: Files
    counts: Counts  # of the run; `encoded` is the number of texts to encode
    examples: tuple[tuple[str, tuple[str, ...]], ...]  # kind of change -> first records with their files
    remarks: tuple[tuple[str, int, str], ...]  # (text, count, first place)
    rejections: tuple[Rejection, ...]  # the first few
    notes: tuple[str, ...]  # on the sources
    refusal: str | None  # why the guard would stop the run; None if it would not


def sort_out(
    sources: Sequence[Source], applied: Sequence[AppliedFile], gone: Sequence[str], *, everything: bool
) -> Files:
    """Sort source files into those to read and those whose content was applied before.

    applied are the files that the index was made from, in that order; gone are the paths of applied files that no
    longer exist. A file that was moved is not gone: another one has its content. A file that went back to an earlier
    content is read, since its last applied content was another one. With everything, known files are read too. Files
    with the same content are read once.

    Raises:
        ValueError: a source has no receipt.
    """
    contents = {(file.n_bytes, file.sha256) for file in applied}
    last = {file.path: (file.n_bytes, file.sha256) for file in applied}
    read: dict[tuple[int, str], Source] = {}
    known = []
    present = set()
    for source in sources:
        if source.receipt is None:
            raise ValueError(f"{source.path} was not hashed")
        content = source.receipt.n_bytes, source.receipt.sha256
        present.add(content)
        is_known = content in contents and last.get(source.place, content) == content
        if (is_known and not everything) or content in read:
            known.append(source)
        else:
            read[content] = source
    vanished = dict.fromkeys(path for path in gone if last.get(path) not in present)
    return Files(tuple(read.values()), tuple(known), tuple(vanished))


def explain_refusal(counts: Counts, n_current: int, limits: Limits) -> str | None:
    """Return why the guard stops a run, or None. Shares are of the n_current records before the run."""
    if n_current == 0:
        return None
    changed = counts.text_changed + counts.metadata_changed
    for n, what, share in ((counts.deleted, "deleted", limits.max_deleted), (changed, "changed", limits.max_changed)):
        if n > share * n_current:
            plan, again = f"{limits.command} --dry-run", f"{limits.command} --allow-mass-change"
            return (
                f"{n:,} of {n_current:,} records ({100 * n / n_current:.1f} %) would be {what}, more than the limit of "
                f"{100 * share:g} %. Nothing was changed. Check the plan: {plan}. If it is right: {again}"
            )
    return None


def guard(counts: Counts, n_current: int, limits: Limits | None) -> None:
    """Stop a run that would delete or change too many of the n_current records.

    Raises:
        MassChangeError: more than the limits allow.
    """
    if limits is not None and (reason := explain_refusal(counts, n_current, limits)):
        raise MassChangeError(reason)


def plan_lines(name: str, plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan for people."""
    read, counts = plan.files.read, plan.counts
    yield f"{name}: plan for {pluralize(plan.n_current, 'record')} now; nothing was changed"
    yield f"  files to read: {len(read):,}; applied before and skipped: {len(plan.files.known):,}"
    yield from (f"    {source.name}" for source in read[:10])
    if len(read) > 10:
        yield f"    … and {len(read) - 10:,} more"
    examples = dict(plan.examples)
    for what, n, kind in (
        ("new", counts.added, "added"),
        ("text changed, to be encoded again", counts.text_changed, "text changed"),
        ("metadata changed only, not encoded", counts.metadata_changed, "metadata changed"),
        ("deleted", counts.deleted, "deleted"),
        ("newly retracted, kept and flagged", counts.newly_retracted, "newly retracted"),
        ("merged into another record", counts.merged, "found to be one record"),
        ("unchanged", counts.unchanged, ""),
        ("rejected", counts.rejected, ""),
    ):
        if n:
            shown = examples.get(kind, ())
            yield f"  {what}: {n:,}" + (f", for example {'; '.join(shown)}" if shown else "")
    yield f"  texts to encode: {counts.encoded:,}"
    yield from (f"  {what}: {n:,} (first: {place})" for what, n, place in plan.remarks)
    yield from (f"    {rejection}" for rejection in plan.rejections[:5])
    yield from (f"  note: {note}" for note in plan.notes)
    if plan.refusal:
        yield f"  the guard would stop this run: {plan.refusal}"
