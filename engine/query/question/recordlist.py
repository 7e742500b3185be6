"""Files of records instead of lists of ids: exports of databases and reference managers, matched with an index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from engine.collect.source import check_source, read_source
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.selection.idlist import has_id_column, read_ids
from engine.corpus.storage.journal import RecordIdentity
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus
from engine.errors import SourceError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.query.opening.corpus import open_corpus
from engine.records.abstract import Abstract


@dataclass(frozen=True, slots=True)
class _RecordMatch:
    """What a record of a file is in an index."""

    doc_id: int | None  # None: it is not there
    rule: str = ""  # by which it was recognised: PMID, DOI, id, "id or title", title


def read_record_list(path: Path, folder: IndexFolder | None) -> tuple[str, ...]:
    """Return the ids of the records in a file, in order, each once.

    The file is a list or table of ids, or any file that `engine index` reads. Of such a file, a record that the index
    has is named by its id there, and another one, or any without an index, by its PMID, its DOI or the id of the file.

    Raises:
        UsageError: the file can't be read, or names no record.
        GenerationError: there is no index, or it is damaged.
    """
    if not _has_records(path):
        return read_ids(path)
    records = _read_records(path)
    if not records:
        raise UsageError(f"{path} holds no record with a title or an abstract")
    return tuple(dict.fromkeys(_name_records(records, folder) if folder else map(name_record, records)))


def _has_records(path: Path) -> bool:
    """Return whether a file is one of records; a table with a column of ids is a list of them."""
    try:
        name = check_source(path).name
    except SourceError:
        return False
    return name != "CSV" or not has_id_column(path)


def _read_records(path: Path) -> list[Abstract]:
    """Return the records of a file; none if it is not one of records."""
    try:
        return [entry for entry in read_source(path) if isinstance(entry, Abstract)]
    except SourceError:
        return []


def _name_records(records: Sequence[Abstract], folder: IndexFolder) -> list[str]:
    """Return the id in the index of each record, or else its own."""
    generation = folder.open_current(quick=True)
    with closing(open_corpus(generation)) as corpus:
        finder = IdentityFinder(corpus, words=generation.words)
        matches = match_records([identify_record(record) for record in records], corpus, finder)
        stored = corpus.fetch([match.doc_id for match in matches if match.doc_id is not None])
        return [
            name_record(record) if match.doc_id is None else stored[match.doc_id].record_id
            for record, match in zip(records, matches, strict=True)
        ]


def name_record(record: Abstract) -> str:
    """Return the best-known id of a record of a file."""
    return f"PMID:{record.pmid}" if record.pmid else f"DOI:{record.doi}" if record.doi else record.record_id


def identify_record(record: Abstract) -> RecordIdentity:
    """Return what a record of a file is recognised by."""
    author = next(iter(record.authors), "")
    return RecordIdentity((record.record_id,), record.pmid, record.doi, record.title, record.year, author)


def match_records(records: Sequence[RecordIdentity], corpus: Corpus, finder: IdentityFinder) -> list[_RecordMatch]:
    """Return what each record is in the index: by PMID, by DOI, by id, or by title and year if only one has them.

    An id alone counts for a record without a title only, since files number their records alike.
    """
    direct = {
        "PMID": _look_up(corpus, [f"PMID:{record.pmid}" if record.pmid else "" for record in records]),
        "DOI": _look_up(corpus, [record.doi or "" for record in records]),
        "id": _look_up(corpus, ["" if record.title else record.ids[0] for record in records]),
    }
    joined = finder.read_joined()
    matches = []
    for n, record in enumerate(records):
        found = (_RecordMatch(doc_ids[n], rule) for rule, doc_ids in direct.items() if doc_ids[n] is not None)
        match = next(found, _RecordMatch(None))
        if match.doc_id is None and record.title:
            match = _find_by_text(finder, record)
        matches.append(match if match.doc_id is None else replace(match, doc_id=joined.get(match.doc_id, match.doc_id)))
    return matches


def _look_up(corpus: Corpus, names: Sequence[str]) -> list[int | None]:
    """Return the doc id of each name, None for "" and for a name that no record has."""
    given = [name for name in names if name]
    doc_ids = dict(zip(given, resolve_ids(corpus, given), strict=True)) if given else {}
    return [doc_ids.get(name) for name in names]


def _find_by_text(finder: IdentityFinder, record: RecordIdentity) -> _RecordMatch:
    """Return the record that has the id and title, or the title and year, of one of a file."""
    doc_id = finder.find(replace(record, pmid=None, doi=None))
    if doc_id is not None:
        return _RecordMatch(doc_id, "id or title")
    doc_id = finder.find_by_title(record.title, record.year)
    return _RecordMatch(doc_id, "title" if doc_id is not None else "")
