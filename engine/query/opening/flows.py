"""Where the records of an open generation come from, counted once."""

from __future__ import annotations

from contextlib import closing
from weakref import WeakKeyDictionary

from engine.corpus.flow import Flow, count_flow
from engine.query.opening.generation import OpenGeneration

_counted: WeakKeyDictionary[OpenGeneration, Flow] = WeakKeyDictionary()


def read_flow(snapshot: OpenGeneration) -> Flow:
    """Return the flow of records into a generation. Counting takes some three seconds for a million records."""
    if (flow := _counted.get(snapshot)) is None:
        with closing(snapshot.corpus.open_again()) as corpus:  # own connection: counting must not block answers
            flow = _counted[snapshot] = count_flow(corpus)
    return flow
