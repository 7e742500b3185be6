"""A test set: documents, queries and judgments, in a folder laid out as BEIR's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.encode.recipe import clean_text, prepare_text
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
    text: str


@dataclass(frozen=True, slots=True)
class TestSet:
    """Queries with judgments, and all the documents that they are searched among."""

    __test__ = False  # for pytest, which takes the name for a test

    name: str
    documents: tuple[SetText, ...]
    queries: tuple[SetText, ...]
    judgments: Judgments

    @property
    def sha256(self) -> str:
        """Digest of all that decides a measure: texts as an encoder reads them and judgments, whatever their order."""
        rows: list[tuple[str, ...]] = [("document", one.id, clean_text(one.text)) for one in self.documents]
        rows += [("query", one.id, clean_text(one.text)) for one in self.queries]
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

    kind: str  # of queries: "titles" or "conclusions"
    held_out: float  # share of all publications that it is made of
    sources: tuple[SetSource, ...]


def read_set(folder: Path) -> TestSet:
    """Read corpus.jsonl, queries.jsonl and qrels.tsv (or qrels/test.tsv) of a folder, each compressed or not.

    A document has id or _id, title, and text or abstract; it becomes one text as the encoder of an index reads it. A
    query has id or _id, and text. The set has the name of its folder. Where there is a set.json, the set must be the
    one that it was written for.

    Raises:
        SourceError: a file is missing or can't be read, an id is there twice, or the set was changed; says where.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder: expected one with {CORPUS}, {QUERIES} and {QRELS}")
    documents, queries = _read_set_texts(_find_file(folder, CORPUS)), _read_set_texts(_find_file(folder, QUERIES))
    read = TestSet(folder.resolve().name, documents, queries, read_judgments(_find_file(folder, QRELS, _BEIR_QRELS)))
    if not (folder / ABOUT).exists():
        return read
    written = read_about(folder / ABOUT)
    if written["sha256"] != read.sha256:
        raise SourceError(
            f"{folder} is not the test set that its {ABOUT} names: SHA-256 {read.sha256[:12]}\u2026, expected "
            f"{written['sha256'][:12]}\u2026. Make it anew, or delete {ABOUT} if you meant to change it"
        )
    return read


def _find_file(folder: Path, *names: str) -> Path:
    """The first of some files that is there, compressed or not.

    Raises:
        SourceError: none is.
    """
    every = [folder / f"{name}{packed}" for name in names for packed in ("", ".gz")]
    there = next((path for path in every if path.is_file()), None)
    if there is None:
        raise SourceError(f"{folder} has no {names[0]}: expected {', '.join(path.name for path in every[:2])}")
    return there


def read_about(path: Path) -> dict[str, Any]:
    """The content of a set.json.

    Raises:
        SourceError: it can't be read, or holds no digest.
    """
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(about, dict) and isinstance(about.get("sha256"), str):
            return about
    except (ValueError, RecursionError, OSError) as err:
        raise SourceError(f"{path} can't be read: {str(err)[:80]}. Delete it, or write the set anew") from err
    raise SourceError(f'{path} holds no "sha256", expected that of the test set. Delete it, or write the set anew')


def _read_set_texts(path: Path) -> tuple[SetText, ...]:
    """The documents or queries of a file, in its order.

    Raises:
        SourceError: a line is no object with an id and a text, or an id is there twice.
    """
    first: dict[str, int] = {}
    texts = []
    for number, line in read_lines(path):
        one = _read_set_text(line)
        if one is None:
            raise SourceError(
                f'{path}, line {number}: found {line[:60]!r}, expected {{"id": "\u2026", "text": "\u2026"}}'
            )
        if first.setdefault(one.id, number) != number:
            raise SourceError(
                f"{path}, line {number}: id {one.id[:60]!r} is on line {first[one.id]} too, expected once"
            )
        texts.append(one)
    return tuple(texts)


def _read_set_text(line: str) -> SetText | None:
    """The document or query of a line of JSON; None where it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    given = next((row[key] for key in ("id", "_id") if isinstance(row.get(key), str | int)), "")
    parts = [row.get("title") or "", next((row[key] for key in ("text", "abstract") if row.get(key)), "")]
    if not str(given).strip() or not all(isinstance(part, str) for part in parts):
        return None
    return SetText(str(given), prepare_text(*parts)) if {"title", "text", "abstract"} & row.keys() else None


def write_set(test_set: TestSet, folder: Path, origin: SetOrigin | None = None) -> None:
    """Write the folder of a test set; the same set and origin give the same bytes.

    corpus.jsonl can be indexed as it is: id, an empty title, abstract. A set that is there already is written over.

    Raises:
        UsageError: the folder holds something else.
    """
    check_new_folder(folder, FILES)
    folder.mkdir(parents=True, exist_ok=True)
    documents = ({"id": one.id, "title": "", "abstract": one.text} for one in test_set.documents)
    write_text(folder / CORPUS, _dump_lines(documents), overwrite=True)
    queries = ({"id": one.id, "text": one.text} for one in test_set.queries)
    write_text(folder / QUERIES, _dump_lines(queries), overwrite=True)
    write_judgments(test_set.judgments, folder / QRELS)
    write_text(folder / ABOUT, [format_json(_describe_set(test_set, origin))], overwrite=True)


def _dump_lines(rows: Iterator[dict[str, str]]) -> Iterator[str]:
    """Yield objects as lines."""
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _describe_set(test_set: TestSet, origin: SetOrigin | None) -> dict[str, Any]:
    """What set.json says of a set."""
    counts = {
        "documents": len(test_set.documents),
        "queries": len(test_set.queries),
        "judgments": test_set.judgments.n_judged,
    }
    made = asdict(origin) if origin else {}
    return {"sha256": test_set.sha256, "counts": counts, **made}
