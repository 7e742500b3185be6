"""A test set: documents, queries and judgments, in a folder with BEIR's layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.encode.models.recipe import clean_text, prepare_text
from engine.errors import SourceError
from engine.files import check_new_folder, read_lines, write_text
from engine.receipts import format_json
from engine.relevance.sets.judgments import HEADER, Judgments, read_judgments, write_judgments

CORPUS, QUERIES, QRELS, ABOUT = "corpus.jsonl", "queries.jsonl", "qrels.tsv", "set.json"
FILES = (CORPUS, QUERIES, QRELS, ABOUT)
_BEIR_QRELS = "qrels/test.tsv"


@dataclass(frozen=True, slots=True)
class SetText:
    """A document or a query."""

    id: str
    body: str  # of a query the whole, of a document the abstract
    title: str = ""  # of a document

    @property
    def text(self) -> str:
        """Title and body as one text."""
        return prepare_text(self.title, self.body) if self.title else self.body


@dataclass(frozen=True, slots=True)
class TestSet:
    """Queries with judgments, and the documents to search."""

    __test__ = False  # else pytest collects the class, because of its name

    name: str
    documents: tuple[SetText, ...]
    queries: tuple[SetText, ...]
    judgments: Judgments

    @property
    def sha256(self) -> str:
        """SHA-256 of everything that decides a measure: cleaned texts and judgments, independent of their order."""
        rows: list[tuple[str, ...]] = [("document", text.id, clean_text(text.text)) for text in self.documents]
        rows += [("query", text.id, clean_text(text.text)) for text in self.queries]
        for query_id, grades in self.judgments.grades.items():
            rows += [(HEADER[2], query_id, record_id, str(grade)) for record_id, grade in grades.items()]
        digest = hashlib.sha256()
        for row in sorted(rows):
            digest.update(f"{json.dumps(row)}\n".encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class SetSource:
    """A file that a test set was made from."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SetOrigin:
    """How a test set was made."""

    kind: str  # kind of queries: "titles" or "conclusions"
    held_out: float  # share of all publications that the set may use
    sources: tuple[SetSource, ...]


def read_set(folder: Path) -> TestSet:
    """Read corpus.jsonl, queries.jsonl and qrels.tsv (or qrels/test.tsv) of a folder, each plain or gzipped.

    A document has id or _id, title, and text or abstract. A query has id or _id, and text. The set has the name of its
    folder. If there is a set.json, its digest must match.

    Raises:
        SourceError: a file is missing or can't be read, an id occurs twice, or the set was changed; the message says
            where.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder: expected one with {CORPUS}, {QUERIES} and {QRELS}")
    documents, queries = _read_set_texts(_find_file(folder, CORPUS)), _read_set_texts(_find_file(folder, QUERIES))
    read = TestSet(folder.resolve().name, documents, queries, read_judgments(_find_file(folder, QRELS, _BEIR_QRELS)))
    if not (folder / ABOUT).exists():
        return read
    written = read_about(folder / ABOUT)
    if written["sha256"] != read.sha256:
        raise SourceError(
            f"{folder} is not the test set that its {ABOUT} describes: SHA-256 {read.sha256[:12]}\u2026, expected "
            f"{written['sha256'][:12]}\u2026. Make it again, or delete {ABOUT} if you meant to change it"
        )
    return read


def _find_file(folder: Path, *names: str) -> Path:
    """Return the first of several files that exists, plain or gzipped.

    Raises:
        SourceError: none exists.
    """
    candidates = [folder / f"{name}{suffix}" for name in names for suffix in ("", ".gz")]
    match = next((path for path in candidates if path.is_file()), None)
    if match is None:
        raise SourceError(f"{folder} has no {names[0]}: expected {', '.join(path.name for path in candidates[:2])}")
    return match


def read_about(path: Path) -> dict[str, Any]:
    """Read a set.json.

    Raises:
        SourceError: the file can't be read, or has no digest.
    """
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(about, dict) and isinstance(about.get("sha256"), str):
            return about
    except (ValueError, RecursionError, OSError) as err:
        raise SourceError(f"{path} can't be read: {str(err)[:80]}. Delete it, or make the set again") from err
    raise SourceError(f'{path} has no "sha256", expected that of the test set. Delete it, or make the set again')


def _read_set_texts(path: Path) -> tuple[SetText, ...]:
    """Read the documents or queries of a file, in its order.

    Raises:
        SourceError: a line is not an object with an id and a text, or an id occurs twice.
    """
    first: dict[str, int] = {}
    texts = []
    for number, line in read_lines(path):
        text = _read_set_text(line)
        if text is None:
            raise SourceError(
                f'{path}, line {number}: found {line[:60]!r}, expected {{"id": "\u2026", "text": "\u2026"}}'
            )
        if first.setdefault(text.id, number) != number:
            raise SourceError(
                f"{path}, line {number}: id {text.id[:60]!r} is also on line {first[text.id]}, expected once"
            )
        texts.append(text)
    return tuple(texts)


def _read_set_text(line: str) -> SetText | None:
    """Read a document or query from a line of JSON; None if it is neither."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    text_id = next((row[key] for key in ("id", "_id") if isinstance(row.get(key), str | int)), "")
    parts = [row.get("title") or "", next((row[key] for key in ("text", "abstract") if row.get(key)), "")]
    if not str(text_id).strip() or not all(isinstance(part, str) for part in parts):
        return None
    title, body = map(clean_text, parts)
    return SetText(str(text_id), body, title) if {"title", "text", "abstract"} & row.keys() else None


def write_set(test_set: TestSet, folder: Path, origin: SetOrigin | None = None) -> None:
    """Write the folder of a test set; the same set and origin give the same bytes.

    corpus.jsonl can be indexed as it is: id, title, abstract. An existing set is overwritten.

    Raises:
        UsageError: the folder contains other files.
    """
    check_new_folder(folder, FILES)
    folder.mkdir(parents=True, exist_ok=True)
    documents = ({"id": text.id, "title": text.title, "abstract": text.body} for text in test_set.documents)
    write_text(folder / CORPUS, _dump_lines(documents), overwrite=True)
    queries = ({"id": text.id, "text": text.text} for text in test_set.queries)
    write_text(folder / QUERIES, _dump_lines(queries), overwrite=True)
    write_judgments(test_set.judgments, folder / QRELS)
    write_text(folder / ABOUT, [format_json(_describe_set(test_set, origin))], overwrite=True)


def _dump_lines(rows: Iterator[dict[str, str]]) -> Iterator[str]:
    """Yield objects as lines of JSON."""
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _describe_set(test_set: TestSet, origin: SetOrigin | None) -> dict[str, Any]:
    """Return the content of a set's set.json."""
    counts = {
        "documents": len(test_set.documents),
        "queries": len(test_set.queries),
        "judgments": test_set.judgments.n_judged,
    }
    return {"sha256": test_set.sha256, "counts": counts, **(asdict(origin) if origin else {})}
