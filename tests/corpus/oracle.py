"""Filters and expressions in plain Python, applied to one record at a time, and small corpora to test them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.corpus.draft import SourceFile
from engine.corpus.selection.languages import _SPELLINGS
from engine.corpus.storage.store import SPACES, Corpus, RecordSource, open_database
from engine.corpus.storage.values import _replace_surrogates
from engine.options import Filters
from engine.records.abstract import Abstract
from tests.corpus.drafts import opened, origin

UPPER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True)
class Record:
    doc_id: int
    of: Abstract
    said: tuple[RecordSource, ...]


def corpus_of(place: Path, *files: tuple[str, str, Iterable[Abstract]]) -> Corpus:
    """Build a corpus from files (name, format, records), read in order."""
    path = place / "abstracts.db"
    path.unlink(missing_ok=True)
    with opened(path, 1) as draft:
        for name, kind, abstracts in files:
            number = draft.note_source(SourceFile(name, f"/{name}", 1, name, kind))
            for abstract in abstracts:
                draft.intake.put(abstract, origin(number, kind))
    return open_database(path)


def records(corpus: Corpus) -> list[Record]:
    ids = [int(doc_id) for doc_id in corpus.read_ids()]
    rows = corpus.fetch(ids)
    return [Record(doc_id, rows[doc_id], tuple(corpus.read_claims(doc_id))) for doc_id in ids]


def lowered(text: str) -> str:
    """Lower the case of ASCII letters only; replace lone surrogates as binding does."""
    return _replace_surrogates(text).translate(UPPER)


def like(value: str, text: str) -> bool:
    parts = (re.escape(part) for part in lowered(value).split("*"))
    return re.fullmatch(".*".join(parts), lowered(text), re.DOTALL) is not None


def some(values: Iterable[str], texts: Iterable[str]) -> bool:
    held = [text for text in texts if not is_blank(text)]
    return any(like(value, text) for value in values for text in held)


def is_by(value: str, name: str) -> bool:
    asked = [word for word in re.split(r"[\s,.-]+", lowered(value)) if word]
    words = re.split(r"[ ,.-]", lowered(name))
    return all(any(word.startswith(beginning) for word in words) for beginning in asked)


def in_language(value: str, language: str) -> bool:
    groups = [group for group in _SPELLINGS if lowered(value) in map(lowered, group)]
    return some(groups[0] if groups else (value,), (language,))


def origins(record: Record) -> list[str]:
    return [name for said in record.said for name in (said.file, said.first_file, said.format) if name]


def is_blank(text: str) -> bool:
    return not text.strip(SPACES)


def has_full_text(of: Abstract) -> bool:
    pages = ("pubmed.ncbi.nlm.nih.gov/", "ncbi.nlm.nih.gov/pubmed/", "doi.org/10.")
    return bool(of.pmcid) or any(not any(page in lowered(url) for page in pages) for url in of.urls)


def passes(record: Record, filters: Filters, doc_id: Callable[[str], int | None]) -> bool:
    """Return whether a record passes all filters except mesh_trees and where."""
    of = record.of
    tests = [
        not filters.years
        or (
            of.year is not None
            and any((a is None or a <= of.year) and (b is None or of.year <= b) for a, b in filters.years)
        ),
        not filters.journals or some(filters.journals, (of.journal,)),
        not filters.mesh or some(filters.mesh, of.mesh),
        not filters.types or some(filters.types, of.publication_types),
        not filters.keywords or some(filters.keywords, of.keywords),
        not filters.authors or any(is_by(value, name) for value in filters.authors for name in of.authors if name),
        not filters.languages or any(in_language(v, language) for v in filters.languages for language in of.languages),
        not filters.sources or some(filters.sources, origins(record)),
        not filters.databases or some(filters.databases, of.databases),
        not filters.labels or some(filters.labels, of.labels),
        not filters.notes or any(like(f"*{value}*", note) for value in filters.notes for note in of.notes),
        filters.has_fulltext in (None, has_full_text(of)),
        filters.retracted in (None, of.retracted),
        filters.has_abstract in (None, not is_blank(of.abstract)),
        filters.ids is None or record.doc_id in map(doc_id, filters.ids),
        record.doc_id not in map(doc_id, filters.hide),
    ]
    return all(tests)


@dataclass(frozen=True)
class Compare:
    field: str
    operator: str
    values: tuple[str | int | None, ...]


@dataclass(frozen=True)
class Joined:
    word: str  # and, or, not
    parts: tuple["Compare | Joined", ...]


Tree = Compare | Joined


def holds(record: Record, tree: Tree) -> bool:
    """Return whether an expression is true for a record."""
    if isinstance(tree, Joined):
        results = [holds(record, part) for part in tree.parts]
        return not results[0] if tree.word == "not" else all(results) if tree.word == "and" else any(results)
    if tree.operator in ("!=", "not in"):
        return not any(is_equal(record, tree.field, value) for value in tree.values)
    if tree.operator in ("=", "in"):
        return any(is_equal(record, tree.field, value) for value in tree.values)
    (value,) = tree.values
    if tree.operator == "~":
        return any(not is_blank(text) and like(f"*{value}*", text) for text in held(record, tree.field))
    year = record.of.year
    if year is None:
        return False
    assert isinstance(value, int)
    return {"<": year < value, "<=": year <= value, ">": year > value, ">=": year >= value}[tree.operator]


def held(record: Record, field: str) -> tuple[str, ...]:
    of = record.of
    return {
        "journal": (of.journal,),
        "title": (of.title,),
        "abstract": (of.abstract,),
        "mesh": of.mesh,
        "type": of.publication_types,
        "keyword": of.keywords,
        "author": of.authors,
        "language": of.languages,
        "source": tuple(origins(record)),
        "database": of.databases,
        "label": of.labels,
        "note": of.notes,
        "pmid": (of.pmid or "",),
        "doi": (of.doi or "",),
        "id": (of.record_id,),
    }[field]


def is_equal(record: Record, field: str, value: str | int | None) -> bool:
    if field == "year":
        return record.of.year == value
    if field == "retracted":
        return record.of.retracted == (value == "true")
    if field == "has_abstract":
        return (not is_blank(record.of.abstract)) == (value == "true")
    if field == "has_fulltext":
        return has_full_text(record.of) == (value == "true")
    texts = held(record, field)
    if value is None:
        return all(is_blank(text) for text in texts)
    if field == "author":
        return any(text and is_by(str(value), text) for text in texts)
    if field == "language":
        return any(in_language(str(value), text) for text in texts)
    if field == "note":
        return any(like(f"*{value}*", text) for text in texts)
    return some((str(value),), texts)
