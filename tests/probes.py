"""How many texts a new index searches for its standards: in most tests few, for all are half the work on a toy index."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from engine.reindex.measures import standards

ALL: Mapping[str, object] = {"QUESTIONS": standards.QUESTIONS, "_RECORDS": standards._RECORDS}  # as users have it
FEW: Mapping[str, object] = {"QUESTIONS": standards.QUESTIONS[:10], "_RECORDS": 10}


def set_probes(probes: Mapping[str, object]) -> None:
    """Let new indexes of this process search so many texts from here on."""
    for name, value in probes.items():
        setattr(standards, name, value)


@contextmanager
def searching(probes: Mapping[str, object]) -> Iterator[None]:
    """Let new indexes search so many texts for a while."""
    before = {name: getattr(standards, name) for name in probes}
    set_probes(probes)
    try:
        yield
    finally:
        set_probes(before)
