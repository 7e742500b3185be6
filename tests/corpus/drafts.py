"""Drafts whose text digest is "title|abstract", so that expected digests are readable."""

from pathlib import Path
from types import TracebackType

from engine.corpus.draft import Draft
from engine.corpus.merging.intake import Outcome
from engine.corpus.merging.ledger import Change
from engine.corpus.merging.merge import Origin

NOTE_SOURCES = """
    INSERT OR IGNORE INTO sources (id, generation, name, path, n_bytes, sha256, format, release, file_id, n_records)
    SELECT id, ?, 'file' || id, '/files/file' || id, 0, '', 'JSONL', 0, id, 0
    FROM (SELECT source_id AS id FROM contributions UNION SELECT spoken FROM contributions)
"""


def digest(title: str, abstract: str) -> str:
    return f"{title}|{abstract}" if (title + abstract).strip() else ""


class DraftOfAnySource(Draft):
    """Open a draft that accepts records of sources not yet noted, and note them at the end."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.connection.execute(NOTE_SOURCES, (self.generation,))
        super().__exit__(kind, error, trace)


def opened(path: Path, generation: int, published: Path | None = None) -> Draft:
    created = f"2026-01-{generation:02d}T00:00:00+00:00"
    return DraftOfAnySource(path, generation, created, digest, published)


def origin(source_id: int, kind: str = "JSONL", release: int = 0) -> Origin:
    return Origin(kind, source_id, release)


def stored(outcome: Outcome) -> tuple[int, Change]:
    return outcome.doc_id, outcome.change
