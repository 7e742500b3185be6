"""The history of an index: its generations and their differences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from engine.corpus.history import Event, RecordDifference, find_differences, read_events
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.phrases import pluralize
from engine.query.opening.corpus import open_corpus


def read_history(path: Path) -> list[Event]:
    """Return the generations that led to the current one, oldest first.

    Raises:
        GenerationError: there is no index, or it is damaged.
    """
    with closing(open_corpus(IndexFolder(path).open_current(quick=True))) as corpus:
        return read_events(corpus)


def format_event(event: Event) -> str:
    """Format a generation as one line."""
    counts = event.counts
    changes = (
        ("+", counts.added),
        ("~text ", counts.text_changed),
        ("~metadata ", counts.metadata_changed),
        ("-", counts.deleted),
        ("retracted ", counts.newly_retracted),
        ("merged ", counts.merged),
        ("encoded ", counts.encoded),
    )
    what = "  ".join(f"{sign}{n:,}" for sign, n in changes if n) or "no record changed"
    names = ", ".join(event.files[:3]) + (f" and {len(event.files) - 3:,} more" if len(event.files) > 3 else "")
    total = pluralize(counts.abstracts, "abstract")
    return f"{event.generation:06d}  {event.created}  {total}  {what}  {event.cause}" + (f" ({names})" if names else "")


def compare_generations(path: Path, old: int, new: int) -> Iterator[RecordDifference]:
    """Yield how two generations differ: removed records, then added and changed ones by age.

    Raises:
        UsageError: one of them is no longer kept.
        CorruptError: one of them is damaged.
    """
    folder = IndexFolder(path)
    present = folder.list_numbers()
    for number in (old, new):
        if number not in present:
            kept = ", ".join(f"{n:06d}" for n in present) or "none"
            raise UsageError(f"generation {number:06d} of {path} does not exist. Kept are {kept}. See: engine log")
    earlier, later = (folder.open_number(number) for number in (old, new))
    with closing(open_corpus(earlier)) as before, closing(open_corpus(later, before)) as after:
        yield from find_differences(before, after)
