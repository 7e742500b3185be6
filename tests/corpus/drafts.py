"""Drafts whose encoder reads "title|abstract", so that a person can tell every digest."""

from pathlib import Path

from engine.corpus.draft import Draft
from engine.corpus.intake import Outcome
from engine.corpus.ledger import Change
from engine.corpus.merge import Origin


def digest(title: str, abstract: str) -> str:
    return f"{title}|{abstract}" if (title + abstract).strip() else ""


def opened(path: Path, generation: int, published: Path | None = None) -> Draft:
    return Draft(path, generation, f"2026-01-{generation:02d}T00:00:00+00:00", digest, published)


def origin(source_id: int, kind: str = "JSONL", release: int = 0) -> Origin:
    return Origin(kind, source_id, release)


def stored(outcome: Outcome) -> tuple[int, Change]:
    return outcome.doc_id, outcome.change
