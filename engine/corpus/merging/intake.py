"""Records of sources into the draft of the next corpus: added, replaced, merged, kept apart, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from engine.corpus.merging.contributions import Held
from engine.corpus.merging.deletions import Deletions
from engine.corpus.merging.ledger import Change, Ledger
from engine.corpus.merging.merge import (
    PUBMED,
    Contribution,
    Origin,
    is_linked,
    is_outdated,
    is_same_work,
    merge_records,
    normalise_title,
)
from engine.corpus.storage.rows import build_row, hash_row
from engine.records.abstract import Abstract

NOWHERE = -1  # the doc id of what was not stored
NAMES = ("PMID:", "DOI:")  # begin ids that are not of the source's making
_OF_A_DOI = "DOI:"  # begins an id that a congress gives to all its abstracts
_TOLD_APART = "an id that stands for another title already: kept apart, told by a suffix"
_TAKEN_OVER = "an id that another file gave to another title: replaced"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record of a source."""

    doc_id: int  # NOWHERE for what was not stored
    change: Change  # of the whole record, against what the run found
    repeated: bool = False  # this source gave it before in this run
    absorbed: tuple[int, ...] = ()  # doc ids that turned out to be the same record and are no more
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class _GivenRecord:
    """A record on its way in."""

    abstract: Abstract
    origin: Origin
    said: bytes  # digest of its values
    held: Held | None  # what the same source said before
    doc_id: int | None  # of the record that this id stands for
    remark: str | None = None


def _is_key(record_id: str) -> bool:
    """Whether an id names a record wherever it stands: a bare number is a row of its file, a congress shares a DOI."""
    return not record_id.isdecimal() and not record_id.startswith(_OF_A_DOI)


class Intake:
    """The records of a draft as they come in."""

    def __init__(self, ledger: Ledger, deletions: Deletions) -> None:
        self.ledger = ledger
        self.contributions = ledger.contributions
        self.deletions = deletions
        self.given: set[int] = set()  # contributions that the run has met
        self.still_there: set[int] = set()  # contributions that a file holds, if only in a form that is not taken

    def put(self, abstract: Abstract, origin: Origin) -> Outcome:
        """Bring what a source says of one record into the corpus.

        It replaces what the same source said before, unless that was newer. A record that other sources have too, by
        PMID or DOI, becomes one with theirs. Given twice and ending as it was, it is as unchanged as one never touched.
        """
        if self.deletions.hold(abstract.pmid, origin.release):
            return Outcome(NOWHERE, Change.HELD_BACK)
        self.deletions.lift(abstract.pmid)
        given = self.merge_twin(self.recognise(abstract, origin))
        held = given.held
        if held and held.digest == given.said:
            if (
                self.contributions.touch(held, abstract, origin)
                and len(self.contributions.read_claims(held.doc_id)) > 1
            ):
                self.ledger.remember(held.doc_id)
                self.ledger.settle(held.doc_id)  # another of its sources may be the believed one now
            return self.note_unchanged(held.doc_id, held.contribution_id)
        if held and is_outdated((abstract.version, abstract.revised, origin.release), held.age):
            self.still_there.add(held.contribution_id)
            return Outcome(NOWHERE, Change.OUTDATED)
        text = self.ledger.text_digest(abstract.title, abstract.abstract)
        if not text:
            self.still_there.update([held.contribution_id] if held else [])
            return Outcome(NOWHERE, Change.UNREADABLE)
        if held and self.is_shared(held, origin):
            self.contributions.hand_back(held)
            given = replace(given, held=None)
        elif held and self.detach_source(given, held):
            given = replace(given, held=None, doc_id=None)
        if given.doc_id is not None:
            return self.revise(given.doc_id, given)
        match = self.contributions.match(given.abstract, origin)
        if match.doc_id is not None:
            return self.revise(match.doc_id, given)
        doc_id = self.ledger.insert(build_row(given.abstract), text)
        self.given.add(self.contributions.add(doc_id, given.abstract, origin, given.said, alone=True))
        return Outcome(doc_id, Change.ADDED, remark=given.remark or match.remark)

    def recognise(self, abstract: Abstract, origin: Origin) -> _GivenRecord:
        """Find what the id of a record stands for; where that is another work, give the record an id of its own."""
        said = hash_row(build_row(abstract))
        others = self.contributions.find_by_own_id(abstract.record_id)
        if not others:
            return _GivenRecord(abstract, origin, said, None, None)
        doc_id = others[0].doc_id
        held = self.find_earlier(others, origin, said)
        if held and held.digest == said:
            return _GivenRecord(abstract, origin, said, held, doc_id)
        standing = self.contributions.get_claim(held) if held else self.contributions.read_record_row(doc_id)
        if is_same_work(abstract, standing) or (abstract.pmid and abstract.pmid == standing.pmid):
            return _GivenRecord(abstract, origin, said, held, doc_id)
        suffix = hashlib.sha256(normalise_title(abstract.title).encode("utf-8")).hexdigest()[:8]
        apart = f"{abstract.record_id}#{suffix}"
        alike = [h for h in others if h.format == origin.format]
        if alike and _is_key(abstract.record_id) and not self.contributions.find_by_own_id(apart):
            return self.take_over(_GivenRecord(abstract, origin, said, held or alike[-1], doc_id), alike)
        found = self.recognise(replace(abstract, record_id=apart), origin)
        return replace(found, remark=found.remark or _TOLD_APART)

    def merge_twin(self, given: _GivenRecord) -> _GivenRecord:
        """A library of references may hold a work twice, under one PMID or DOI: the later one, its gaps filled.

        A key of the source's own making stands for one row, of which the last counts; PubMed gives a citation whole.
        """
        held, abstract, origin = given.held, given.abstract, given.origin
        is_twin = held and held.contribution_id in self.given and held.source_id == origin.source_id
        if not held or not is_twin or origin.format in PUBMED or not abstract.record_id.startswith(NAMES):
            return given
        before = Contribution(1, origin.format, self.contributions.get_claim(held), spoken=1)
        both = merge_records(abstract.record_id, (before, Contribution(2, origin.format, abstract, spoken=2)))
        return replace(given, abstract=both, said=hash_row(build_row(both)))

    def find_earlier(self, others: Collection[Held], origin: Origin, said: bytes) -> Held | None:
        """What the same source said before under this id, or what another file says in the very same words.

        PubMed is one source, whatever the file; elsewhere each file is one.
        """
        alike = [h for h in others if h.format == origin.format]
        same = [h for h in alike if h.digest == said]
        if same or origin.format in PUBMED:
            return next(reversed(same or alike), None)
        mine = [h for h in alike if self.contributions.is_same_file(h.source_id, origin.source_id)]
        return mine[-1] if mine else None

    def take_over(self, given: _GivenRecord, alike: Collection[Held]) -> _GivenRecord:
        """A source's own id now means another work: what files of its format said before under it is forgotten."""
        held = given.held
        if held is None or self.contributions.is_same_file(held.source_id, given.origin.source_id):
            return given
        for other in alike:
            if other is not held:
                self.contributions.write_out(other.doc_id)
                self.contributions.remove(other.contribution_id)
        return replace(given, remark=_TAKEN_OVER)

    def note_unchanged(self, doc_id: int, contribution_id: int) -> Outcome:
        """A source says what it said before."""
        repeated = contribution_id in self.given
        self.given.add(contribution_id)
        return Outcome(doc_id, self.ledger.changes.setdefault(doc_id, Change.NONE), repeated)

    def is_shared(self, held: Held, origin: Origin) -> bool:
        """Whether another file said this first, and so says it still, now that this file says something else."""
        first_file = held.spoken if held.format not in PUBMED else origin.source_id
        return held.spoken != held.source_id and not self.contributions.is_same_file(first_file, origin.source_id)

    def detach_source(self, given: _GivenRecord, held: Held) -> bool:
        """Take a source out of a record that nothing links it to any more; True when that was done.

        So a PMID or DOI that was wrong and is mended parts what it had joined.
        """
        others = self.read_others(held.doc_id, held)
        own_id = given.abstract.record_id  # where another source gives the same one, that is what joined them
        if not others or any(o.abstract.record_id == own_id or is_linked(given.abstract, o.abstract) for o in others):
            return False
        self.ledger.remember(held.doc_id)
        self.contributions.write_out(held.doc_id)
        self.contributions.remove(held.contribution_id)
        self.ledger.resourced.add(held.doc_id)
        self.ledger.settle(held.doc_id)
        return True

    def read_others(self, doc_id: int, held: Held | None) -> list[Contribution]:
        """What the sources of a record say, without the one that is held."""
        mine = held.contribution_id if held else None
        return [said for said in self.contributions.read_claims(doc_id) if said.contribution_id != mine]

    def revise(self, doc_id: int, given: _GivenRecord) -> Outcome:
        """Store what a source says of a record that is there."""
        ledger, abstract = self.ledger, given.abstract
        ledger.remember(doc_id)
        before = self.contributions.read_record_row(doc_id)
        others = self.read_others(doc_id, given.held)
        if others:
            self.contributions.write_out(doc_id)
        number = self.store(doc_id, given, alone=not others)
        repeated = number in self.given
        self.given.add(number)
        ledger.settle(doc_id, None if others else abstract)
        other = self.find_other_half(doc_id, before, given, others)
        if other is not None:
            absorbed = max(doc_id, other)
            doc_id = ledger.unite(doc_id, other)
            return Outcome(doc_id, ledger.changes[doc_id], repeated, (absorbed,), given.remark)
        return Outcome(doc_id, ledger.changes[doc_id], repeated, (), given.remark)

    def store(self, doc_id: int, given: _GivenRecord, *, alone: bool) -> int:
        """Write what a source says; returns the key of the contribution. Another source of the very same is no news."""
        if given.held is None:
            said = {held.digest for held in self.contributions.find_by_own_id(given.abstract.record_id)}
            self.ledger.resourced.update([] if given.said in said else [doc_id])
            return self.contributions.add(doc_id, given.abstract, given.origin, given.said, alone=alone)
        self.contributions.replace(given.held, given.abstract, given.origin, given.said, alone=alone)
        return given.held.contribution_id

    def find_other_half(
        self, doc_id: int, before: Abstract, given: _GivenRecord, others: Collection[Contribution]
    ) -> int | None:
        """Another record that turns out to be the same one, now that a PMID or DOI is known that was not before."""
        now = merge_records(before.record_id, self.contributions.read_claims(doc_id)) if others else given.abstract
        if (now.pmid, now.doi) == (before.pmid, before.doi):
            return None
        return self.contributions.match(now, given.origin, besides=doc_id).doc_id

    def delete(self, record_id: str, release: int = 0) -> list[int]:
        """Remove what a deletion of PubMed means: the record of this id, and any with this PMID under an id of its own.

        What PubMed issued again in a later release stays. Returns the doc ids removed.
        """
        pmid = record_id.removeprefix("PMID:")
        found = self.contributions.find_by_pmid(record_id, pmid)
        gone = [doc_id for doc_id, issued in found if not (release and issued > release)]
        if len(gone) == len(found):
            self.deletions.note(pmid, release)
        for doc_id in gone:
            self.ledger.discard(doc_id)
        return gone

    def drop_unseen(self, run_from: int, doubtful: Collection[int]) -> list[tuple[int, str, bool]]:
        """Forget what the files of this run no longer say; returns (doc id, record id, whether the record is gone).

        run_from is the first sources.id of this run, doubtful are those of its files of which not all could be read. A
        record that another source still has stays.
        """
        touched = []
        for number, doc_id in self.contributions.list_unseen(run_from, doubtful):
            if number in self.still_there:
                continue
            self.ledger.remember(doc_id)
            record_id = self.contributions.record_id(doc_id)
            gone = len(self.contributions.read_claims(doc_id)) == 1
            if gone:
                self.ledger.discard(doc_id)
            else:
                self.contributions.write_out(doc_id)
                self.contributions.remove(number)
                self.ledger.resourced.add(doc_id)
                self.ledger.settle(doc_id)
            touched.append((doc_id, record_id, gone))
        return touched
