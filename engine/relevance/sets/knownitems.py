"""Test sets without judges: one part of a publication is the query, another part its only relevant document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.encode.models.recipe import clean_text
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.records.abstract import Abstract
from engine.relevance.sets.holdout import SHORT, TEST, hash_position, list_publication_keys
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.sections import extract_body, find_objective_and_conclusion
from engine.relevance.sets.testset import SetText, TestSet

Kind = Literal["titles", "conclusions"]
KINDS: tuple[Kind, ...] = ("titles", "conclusions")
LEAST = 100  # characters; a shorter body says too little to be found


@dataclass(slots=True)
class _ItemCounts:
    """Numbers of records by what happened to them; each record is counted once."""

    read: int = 0
    outside: int = 0  # not among the held-out publications
    unusable: int = 0  # without a long enough title, or without the parts needed
    again: int = 0  # of a publication, or with a text, that was taken before
    taken: int = 0


@dataclass(slots=True)
class Items:
    """A test set under construction: each title is a query that must find its own abstract.

    For the kind "conclusions", each conclusion must find the objective of the same abstract. A query has one relevant
    document. A copy of a publication, or another record with the same query or document, is skipped. The held-out
    publications are those that training never uses.
    """

    kind: Kind
    held_out_only: bool = True
    counts: _ItemCounts = field(default_factory=_ItemCounts)
    documents: list[SetText] = field(default_factory=list)
    queries: list[SetText] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, record: Abstract) -> None:
        """Add the item made from a record, if one can be made."""
        self.counts.read += 1
        if self.held_out_only and hash_position(record) >= TEST:
            self.counts.outside += 1
            return
        parts = _make_item(record, self.kind)
        if parts is None:
            self.counts.unusable += 1
            return
        query, document = parts
        query_id = "_".join(record.record_id.split())  # a run separates its columns by blanks
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

    def build_test_set(self, name: str) -> TestSet:
        """Return the test set.

        Raises:
            UsageError: no record made an item.
        """
        if not self.documents:
            advice = "Give more records, or use those that are not held out as well: --all"
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
    """Return the query and the document of a record; None if it lacks one of them."""
    if kind == "titles":
        title, text = clean_text(record.title), extract_body(record)
        return (title, text) if len(title.split()) >= SHORT and len(text) >= LEAST else None
    parts = find_objective_and_conclusion(record.abstract)
    return (parts[1], parts[0]) if parts else None
