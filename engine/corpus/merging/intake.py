"""Intake of source records into a draft: each is added, replaced, merged, kept apart or deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from engine.corpus.merging.contributions import ContributionRow, Match
from engine.corpus.merging.deletions import Deletions
from engine.corpus.merging.ledger import Change, Ledger
from engine.corpus.merging.merge import (
    PUBMED,
    Contribution,
    MergeRule,
    Origin,
    is_linked,
    is_outdated,
    is_same_work,
    merge_records,
    name_rule,
    normalise_title,
)
from engine.corpus.merging.sightings import Fate
from engine.corpus.storage.rows import build_row, hash_row
from engine.records.abstract import Abstract

NOWHERE = -1  # the doc id of a record that was not stored
NAMES = ("PMID:", "DOI:")  # prefixes of ids that the source did not invent
_OF_A_DOI = "DOI:"  # prefix of an id that all abstracts of a congress may share
_SUFFIXED = "id already used for another title: kept apart, with a suffix added to the id"
_TAKEN_OVER = "id that another file used for another title: replaced"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of taking in one record of a source."""

    doc_id: int  # NOWHERE if it was not stored
    change: Change  # of the whole record since the start of the run
    fate: Fate  # what became of this one record of the file
    absorbed: tuple[int, ...] = ()  # doc ids of records that were merged into this one
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class _Taken:
    """The outcome before it is counted."""

    doc_id: int  # that the record belongs to; NOWHERE if it belongs to none
    change: Change
    fate: Fate  # if this file gave the record before
    rule: MergeRule | None = None  # by which it was recognised; None: a new record
    absorbed: tuple[int, ...] = ()
    remark: str | None = None
    earlier: int | None = None  # doc id of the record that this source gave before under this id


@dataclass(frozen=True, slots=True)
class _GivenRecord:
    """A record of a source while it is taken in."""

    abstract: Abstract
    origin: Origin
    digest: bytes  # digest of its values
    earlier: ContributionRow | None  # the earlier contribution of the same source
    doc_id: int | None  # of the record with this id
    remark: str | None = None


def _is_key(record_id: str) -> bool:
    """Return whether an id identifies one record in every file.

    A bare number is a row of its file; a DOI may be shared by the abstracts of a congress.
    """
    return not record_id.isdecimal() and not record_id.startswith(_OF_A_DOI)


class Intake:
    """Intake of source records into a draft."""

    def __init__(self, ledger: Ledger, deletions: Deletions) -> None:
        self.ledger = ledger
        self.contributions = ledger.contributions
        self.deletions = deletions
        self.taken: set[int] = set()  # contributions that this run gave
        self.still_there: set[int] = set()  # contributions whose new version in a file was not stored

    def put(self, abstract: Abstract, origin: Origin) -> Outcome:
        """Take in one record of a source.

        It replaces the earlier record of the same source unless that is newer. It is merged with the record of other
        sources that has the same PMID or DOI. A record that ends the run as it began counts as unchanged.
        """
        sightings = self.ledger.sightings
        taken = self.take_in(abstract, origin)
        if taken.doc_id == NOWHERE:
            sightings.tally(origin.source_id, taken.fate)
            return Outcome(NOWHERE, taken.change, taken.fate)
        database = next(iter(abstract.databases), "")
        fate = sightings.note(origin.source_id, taken.doc_id, taken.fate, taken.rule, database)
        if taken.earlier is not None and taken.earlier not in (taken.doc_id, *taken.absorbed):
            sightings.forget(taken.earlier, origin.source_id)
        doc_id = NOWHERE if taken.change is Change.OUTDATED else taken.doc_id
        return Outcome(doc_id, taken.change, fate, taken.absorbed, taken.remark)

    def take_in(self, abstract: Abstract, origin: Origin) -> _Taken:
        """Store a record, or find out why not; it is not counted yet."""
        if self.deletions.has_deletion(abstract.pmid, origin.release):
            return _Taken(NOWHERE, Change.DELETED, Fate.WITHDRAWN)
        self.deletions.lift(abstract.pmid)
        given = self.merge_twin(self.recognise(abstract, origin))
        earlier = given.earlier
        if earlier and earlier.digest == given.digest:
            return self.note_unchanged(earlier, abstract, origin)
        if earlier and is_outdated((abstract.version, abstract.revised, origin.release), earlier.age):
            self.still_there.add(earlier.contribution_id)
            return _Taken(earlier.doc_id, Change.OUTDATED, Fate.OUTDATED, name_rule(earlier.own_id))
        text = self.ledger.text_digest(abstract.title, abstract.abstract)
        if not text:
            self.still_there.update([earlier.contribution_id] if earlier else [])
            return _Taken(NOWHERE, Change.UNREADABLE, Fate.REJECTED)
        if earlier and earlier.format not in PUBMED and (giver := self.find_giver(earlier, origin.source_id)):
            self.contributions.hand_over(earlier, giver)
            given = replace(given, earlier=None)
        elif earlier and self.detach_source(given, earlier):
            given = replace(given, earlier=None, doc_id=None)
        taken = self.find_place(given, text)
        return replace(taken, earlier=earlier.doc_id) if earlier else taken

    def find_place(self, given: _GivenRecord, text: str) -> _Taken:
        """Add a record or merge it with an existing one; its text has this digest."""
        if given.doc_id is not None:
            return self.revise(given.doc_id, given, name_rule(given.abstract.record_id))
        match = self.contributions.match(given.abstract, given.origin)
        if match.doc_id is not None:
            return self.revise(match.doc_id, given, match.rule)
        doc_id = self.ledger.insert(build_row(given.abstract), text)
        self.taken.add(self.contributions.add(doc_id, given.abstract, given.origin, given.digest, alone=True))
        return _Taken(doc_id, Change.ADDED, Fate.ADDED, remark=given.remark or match.remark)

    def recognise(self, abstract: Abstract, origin: Origin) -> _GivenRecord:
        """Find the record with this id; if that is another work, give the new record an id of its own."""
        digest = hash_row(build_row(abstract))
        others = self.contributions.find_by_own_id(abstract.record_id)
        if not others:
            return _GivenRecord(abstract, origin, digest, None, None)
        doc_id = others[0].doc_id
        earlier = self.find_earlier(others, origin, digest)
        if earlier and earlier.digest == digest:
            return _GivenRecord(abstract, origin, digest, earlier, doc_id)
        current = self.contributions.get_claim(earlier) if earlier else self.contributions.read_record_row(doc_id)
        if is_same_work(abstract, current) or (abstract.pmid and abstract.pmid == current.pmid):
            return _GivenRecord(abstract, origin, digest, earlier, doc_id)
        suffix = hashlib.sha256(normalise_title(abstract.title).encode("utf-8")).hexdigest()[:8]
        suffixed_id = f"{abstract.record_id}#{suffix}"
        alike = [h for h in others if h.format == origin.format]
        if alike and _is_key(abstract.record_id) and not self.contributions.find_by_own_id(suffixed_id):
            return self.take_over(_GivenRecord(abstract, origin, digest, earlier or alike[-1], doc_id), alike)
        renamed = self.recognise(replace(abstract, record_id=suffixed_id), origin)
        return replace(renamed, remark=renamed.remark or _SUFFIXED)

    def merge_twin(self, given: _GivenRecord) -> _GivenRecord:
        """Fill gaps in a record from its twin earlier in the same file.

        A reference library may hold a work twice under one PMID or DOI. Other keys identify one row, of which the last
        counts; PubMed always gives the whole citation.
        """
        earlier, abstract, origin = given.earlier, given.abstract, given.origin
        is_twin = earlier and earlier.contribution_id in self.taken and earlier.source_id == origin.source_id
        if not earlier or not is_twin or origin.format in PUBMED or not abstract.record_id.startswith(NAMES):
            return given
        first = Contribution(1, origin.format, self.contributions.get_claim(earlier), spoken=1)
        merged = merge_records(abstract.record_id, (first, Contribution(2, origin.format, abstract, spoken=2)))
        return replace(given, abstract=merged, digest=hash_row(build_row(merged)))

    def find_earlier(
        self, others: Collection[ContributionRow], origin: Origin, digest: bytes
    ) -> ContributionRow | None:
        """Return the earlier contribution of the same source, or that of another file with the same values.

        All PubMed files are one source; otherwise each file is a source. None if there is no such contribution.
        """
        alike = [h for h in others if h.format == origin.format]
        same = [h for h in alike if h.digest == digest]
        if same or origin.format in PUBMED:
            return next(reversed(same or alike), None)
        own = [h for h in alike if self.contributions.is_same_file(h.source_id, origin.source_id)]
        return own[-1] if own else None

    def take_over(self, given: _GivenRecord, alike: Collection[ContributionRow]) -> _GivenRecord:
        """Remove the contributions of other files when a source's own id now stands for another work."""
        earlier = given.earlier
        if earlier is None or self.contributions.is_same_file(earlier.source_id, given.origin.source_id):
            return given
        for other in alike:
            if other is not earlier:
                self.contributions.write_out(other.doc_id)
                self.contributions.remove(other.contribution_id)
        return replace(given, remark=_TAKEN_OVER)

    def note_unchanged(self, earlier: ContributionRow, abstract: Abstract, origin: Origin) -> _Taken:
        """Note that a source gave the same record as before."""
        doc_id = earlier.doc_id
        if self.contributions.touch(earlier, abstract, origin) and len(self.contributions.read_claims(doc_id)) > 1:
            self.ledger.remember(doc_id)
            self.ledger.settle(doc_id)  # another source may now be preferred
        self.taken.add(earlier.contribution_id)
        change = self.ledger.changes.setdefault(doc_id, Change.NONE)
        return _Taken(doc_id, change, Fate.UNCHANGED, name_rule(earlier.own_id))

    def find_giver(self, row: ContributionRow, source_id: int) -> int | None:
        """Return the last reading of another file that still gives a contribution which a file changed or dropped.

        All PubMed files are one source, so another one gives it whatever its values.
        """
        since = 0 if row.format in PUBMED else row.spoken
        besides = row.source_id, source_id
        return self.ledger.sightings.find_giver(row.doc_id, row.contribution_id, since, besides)

    def detach_source(self, given: _GivenRecord, earlier: ContributionRow) -> bool:
        """Remove a source from a record that it no longer belongs to; return whether it was removed.

        Correcting a wrong PMID or DOI thus splits the records it had merged. A work that the file gave twice stays, as
        its second record may still have the number.
        """
        if self.ledger.sightings.is_repeated(earlier.doc_id, given.origin.source_id):
            return False
        others = self.read_others(earlier.doc_id, earlier)
        own_id = given.abstract.record_id  # another source with the same id keeps them together
        if not others or any(o.abstract.record_id == own_id or is_linked(given.abstract, o.abstract) for o in others):
            return False
        self.ledger.remember(earlier.doc_id)
        self.contributions.write_out(earlier.doc_id)
        self.contributions.remove(earlier.contribution_id)
        self.ledger.resourced.add(earlier.doc_id)
        self.ledger.settle(earlier.doc_id)
        return True

    def read_others(self, doc_id: int, earlier: ContributionRow | None) -> list[Contribution]:
        """Return the contributions to a record, without `earlier`."""
        excluded = earlier.contribution_id if earlier else None
        return [
            contribution
            for contribution in self.contributions.read_claims(doc_id)
            if contribution.contribution_id != excluded
        ]

    def revise(self, doc_id: int, given: _GivenRecord, rule: MergeRule) -> _Taken:
        """Update an existing record with the record of a source, which was recognised by this rule."""
        ledger, abstract = self.ledger, given.abstract
        ledger.remember(doc_id)
        before = self.contributions.read_record_row(doc_id)
        others = self.read_others(doc_id, given.earlier)
        if others:
            self.contributions.write_out(doc_id)
        self.taken.add(self.store(doc_id, given, alone=not others))
        ledger.settle(doc_id, None if others else abstract)
        fate = self.compare(before, self.contributions.read_record_row(doc_id))
        other = self.find_other_half(doc_id, before, given, others)
        if other.doc_id is None:
            return _Taken(doc_id, ledger.changes[doc_id], fate, rule, (), given.remark)
        absorbed = max(doc_id, other.doc_id)
        doc_id = ledger.unite(doc_id, other.doc_id, other.rule)
        return _Taken(doc_id, ledger.changes[doc_id], fate, rule, (absorbed,), given.remark)

    def compare(self, before: Abstract, after: Abstract) -> Fate:
        """Return what one record of a source changed in the record of the index."""
        digest = self.ledger.text_digest
        if digest(before.title, before.abstract) != digest(after.title, after.abstract):
            return Fate.TEXT
        return Fate.UNCHANGED if before == after else Fate.METADATA

    def store(self, doc_id: int, given: _GivenRecord, *, alone: bool) -> int:
        """Store the contribution of a source and return its key.

        A further source that gives the same values does not change the record.
        """
        if given.earlier is None:
            digests = {row.digest for row in self.contributions.find_by_own_id(given.abstract.record_id)}
            self.ledger.resourced.update([] if given.digest in digests else [doc_id])
            number = self.contributions.add(doc_id, given.abstract, given.origin, given.digest, alone=alone)
            self.contributions.choose_first(doc_id, besides=number)
            return number
        self.contributions.replace(given.earlier, given.abstract, given.origin, given.digest, alone=alone)
        return given.earlier.contribution_id

    def find_other_half(
        self, doc_id: int, before: Abstract, given: _GivenRecord, others: Collection[Contribution]
    ) -> Match:
        """Find another record that a new PMID or DOI shows to be the same."""
        now = merge_records(before.record_id, self.contributions.read_claims(doc_id)) if others else given.abstract
        if (now.pmid, now.doi) == (before.pmid, before.doi):
            return Match(None)
        return self.contributions.match(now, given.origin, besides=doc_id)

    def delete(self, record_id: str, release: int = 0) -> list[int]:
        """Remove the records that PubMed deleted: those with this id or with its PMID.

        A record that PubMed issued again in a later release stays. Returns the doc ids removed.
        """
        pmid = record_id.removeprefix("PMID:")
        records = self.contributions.find_by_pmid(record_id, pmid)
        removed = [doc_id for doc_id, issued in records if not (release and issued > release)]
        if len(removed) == len(records):
            self.deletions.note(pmid, release)
        for doc_id in removed:
            self.ledger.discard(doc_id)
            self.ledger.sightings.mark_withdrawn(doc_id)
        return removed

    def drop_unseen(self, run_from: int, doubtful: Collection[int]) -> list[tuple[int, str]]:
        """Delete the contributions that the files of this run no longer give.

        run_from is the first sources.id of this run; `doubtful` are its files that could not be read completely. A
        record that another source still has stays. Returns (doc id, record id) of the records that were removed.
        """
        removed = []
        unseen = self.contributions.list_unseen(run_from, doubtful)
        touched = self.ledger.sightings.drop_unseen(run_from, doubtful)
        for row in unseen:
            if row.contribution_id in self.still_there:
                continue
            record_id = self.contributions.read_record_id(row.doc_id)
            if self.drop_contribution(row):
                removed.append((row.doc_id, record_id))
        for doc_id in touched:
            if self.contributions.choose_first(doc_id):
                self.ledger.remember(doc_id)
                self.ledger.resourced.add(doc_id)
                self.ledger.settle(doc_id)
        return removed

    def drop_contribution(self, row: ContributionRow) -> bool:
        """Delete a contribution unless another file gives it; return whether its record was removed with it."""
        doc_id = row.doc_id
        self.ledger.remember(doc_id)
        giver = self.find_giver(row, row.source_id)
        if giver is None and len(self.contributions.read_claims(doc_id)) == 1:
            self.ledger.discard(doc_id)
            self.ledger.sightings.drop(doc_id, Fate.REJECTED)
            return True
        if giver is None:
            self.contributions.write_out(doc_id)
            self.contributions.remove(row.contribution_id)
        else:
            self.contributions.hand_over(row, giver)
        self.ledger.resourced.add(doc_id)
        self.ledger.settle(doc_id)
        return False
