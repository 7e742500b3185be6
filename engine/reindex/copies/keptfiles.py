"""Checks of what is kept beside the generations: decisions, the memory of saved questions, and fetched records."""

from __future__ import annotations

from collections.abc import Iterator

from engine.corpus.storage.journal import Journal
from engine.errors import CorruptError
from engine.index.generations.folder import IndexFolder
from engine.reindex.intake.queries import find_fetched_problems
from engine.reindex.news.watchmemory import read_memories


def find_kept_problems(folder: IndexFolder) -> Iterator[str]:
    """Yield what is wrong with the files of an index that belong to no generation; each names its file."""
    if problem := Journal(folder.decisions).find_problem():
        yield problem
    try:
        read_memories(folder.path)
    except CorruptError as err:
        yield str(err)
    yield from find_fetched_problems(folder.path)
