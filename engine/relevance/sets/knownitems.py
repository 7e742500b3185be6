"""Test sets without judges: one part of a publication is the query, another part the one document to be found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from engine.encode.recipe import clean_text
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.records.abstract import Abstract
from engine.relevance.sets.holdout import SHORT, TEST, hash_position, list_publication_keys
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.sections import extract_body, find_objective_and_conclusion
from engine.relevance.sets.testset import SetText, TestSet

Kind = Literal["titles", "conclusions"]
KINDS: tuple[Kind, ...] = ("titles", "conclusions")
LEAST = 100  # characters of a body; less says too little to be found by


@dataclass(slots=True)
class _ItemCounts:
    """What became of the records; each is counted once."""

    read: int = 0
    outside: int = 0  # not of the held-out publications
    unusable: int = 0  # without a title of some words, or without the parts that are wanted
    again: int = 0  # of a publication that is there already, or with its text
    taken: int = 0


@dataclass(slots=True)
class Items:
    """A test set while records are read."""

    kind: Kind
    held_out_only: bool = True
    counts: _ItemCounts = field(default_factory=_ItemCounts)
    documents: list[SetText] = field(default_factory=list)
    queries: list[SetText] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, record: Abstract) -> None:
        """Add the item that a record makes, if it makes one."""
        self.counts.read += 1
        if self.held_out_only and hash_position(record) >= TEST:
            self.counts.outside += 1
            return
        parts = _make_item(record, self.kind)
        if parts is None:
            self.counts.unusable += 1
            return
        query, document = parts
        query_id = "_".join(record.record_id.split())  # as a run, whose columns are parted by blanks, has it
        keys = list_publication_keys(record) | {
            f"name {query_id}",
            f"query {query.lower()}",
            f"document {document.lower()}",
        }
        if self.seen & keys:
            self.counts.again += 1
            return
        self.seen |= keys
        self.counts.taken += 1
        self.queries.append(SetText(query_id, query))
        self.documents.append(SetText(record.record_id, document))

    def test_set(self, name: str) -> TestSet:
        """The set of what was taken.

        Raises:
            UsageError: nothing was.
        """
        if not self.documents:
            advice = "Give more records, or take those that are not held out too: --all"
            raise UsageError(
                f"none of {pluralize(self.counts.read, 'record')} makes an item: {self.counts.outside:,} not held out, "
                f"{self.counts.unusable:,} without {NEEDED[self.kind]}. "
                f"{advice if self.counts.outside else 'Try the other --kind'}"
            )
        pairs = zip(self.queries, self.documents, strict=True)
        judgments = Judgments({query.id: {document.id: 1} for query, document in pairs})
        return TestSet(name, tuple(self.documents), tuple(self.queries), judgments)


NEEDED: dict[str, str] = {
    "titles": f"a title of {SHORT} words and an abstract",
    "conclusions": "an abstract with the sections Objective and Conclusion",
}


def _make_item(record: Abstract, kind: Kind) -> tuple[str, str] | None:
    """Query and document of a record; None where it has not both."""
    if kind == "titles":
        title, text = clean_text(record.title), extract_body(record)
        return (title, text) if len(title.split()) >= SHORT and len(text) >= LEAST else None
    parts = find_objective_and_conclusion(record.abstract)
    return (parts[1], parts[0]) if parts else None


def _make_known_items(records: Iterable[Abstract], kind: Kind, name: str, *, held_out_only: bool = True) -> TestSet:
    """Make a test set of records, in their order: each publication's title is to find its abstract without the title.

    For conclusions the conclusion is to find the objective of the same abstract. One relevant document a query, of one
    publication; a copy of it, or another record with the same query or document, is left out. Held out are the
    publications that training leaves alone.

    Raises:
        UsageError: there is no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r}, expected 'titles' or 'conclusions'")
    items = Items(kind, held_out_only)
    for record in records:
        items.take(record)
    return items.test_set(name)
