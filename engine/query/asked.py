"""What callers ask for, checked and made plain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import index as index_of

from engine.corpus.history import generation_before
from engine.encode.recipe import cleaned
from engine.errors import UsageError
from engine.query.snapshot import Snapshot


def generation_meant(snapshot: Snapshot, since: int | str) -> int:
    """The generation after which a record counts as new.

    Raises:
        UsageError: no such generation yet, or not a date.
    """
    newest = snapshot.manifest.generation
    if isinstance(since, int) or since.isdecimal():
        if int(since) > newest:
            missing = f"there is no generation {int(since):06d} yet"
            raise UsageError(f"{missing}, the current one is {newest:06d}. See: engine log")
        return int(since)
    try:
        given = datetime.fromisoformat(since)
        moment = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as err:
        raise UsageError(f"{since[:40]!r} is neither a generation's number nor a date like 2026-11-24") from err
    return generation_before(snapshot.corpus, moment.isoformat(timespec="seconds"))


def checked_top_k(top_k: int) -> int:
    """The number of hits wanted as a plain int; numpy's integers are understood.

    Raises:
        UsageError: below 1, or not a whole number.
    """
    if isinstance(top_k, bool) or not hasattr(top_k, "__index__") or top_k < 1:
        raise UsageError(f"top_k is {top_k!r}, expected a whole number from 1")
    return index_of(top_k)


def checked_queries(queries: Sequence[str]) -> list[str]:
    """Queries as the encoder takes them.

    Raises:
        UsageError: a string instead of a list of strings, or a blank query.
    """
    if isinstance(queries, str):
        raise UsageError("a single string was given, expected a list of strings: [query]")
    if odd := [query for query in queries if not isinstance(query, str)]:
        raise UsageError(f"{odd[0]!r} was given, expected a string")
    texts = [cleaned(query) for query in queries]
    if "" in texts:
        raise UsageError("the query is blank. Give some words, for example: engine search 'knee pain after running'")
    return texts
