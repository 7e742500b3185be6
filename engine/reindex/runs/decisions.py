"""Decisions on duplicates: proposals, decisions about them, and the generation that applies them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from engine.config import Settings
from engine.corpus.duplicates.groups import Group, find_duplicates, name_group
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.storage.journal import Decision, DecisionKind, Journal, NewDecision, RecordIdentity, list_active
from engine.errors import UsageError
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.generations.placement import Placement
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.opening.corpus import open_corpus
from engine.reindex.generation.order import Order, Report
from engine.reindex.runs.run import index_sources

_ALL = "all"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The duplicates of an index: groups to decide on, and decisions."""

    proposed: tuple[Group, ...]
    decisions: tuple[Decision, ...]  # all, oldest first
    n_pending: int  # records that the next generation joins or separates

    @property
    def active(self) -> list[Decision]:
        """The decisions in force, oldest first."""
        return list_active(self.decisions)


def find_undecided(folder: IndexFolder, min_score: float = 0.0) -> Duplicates:
    """Find the groups of the current generation that no decision is about yet, and read the decisions.

    Raises:
        GenerationError: there is no index, or it is damaged.
        CorpusError: the journal of decisions can't be read.
    """
    decisions = Journal(folder.decisions).read()
    current = folder.open_current(quick=True)
    with closing(open_corpus(current)) as corpus:
        finder = IdentityFinder(corpus, words=current.words)
        partition, joined = finder.divide(decisions), finder.read_joined()
        apart = {frozenset(joined.get(each, each) for each in pair) for pair in partition.apart}
        pending = {frozenset(joined.get(each, each) for each in block) for block in partition.blocks}
        groups = find_duplicates(corpus, apart=(pair for pair in apart if len(pair) == 2))
    undecided = [
        group
        for group in groups
        if group.score >= min_score and not any(_list_ids(group) <= block for block in pending)
    ]
    return Duplicates(tuple(undecided), tuple(decisions), _count_pending(partition.blocks, joined))


def has_pending_decisions(folder: IndexFolder, current: Generation) -> bool:
    """Return whether the current generation joins other records than the decisions say.

    Raises:
        CorpusError: the journal of decisions can't be read.
    """
    with closing(open_corpus(current)) as corpus:
        finder = IdentityFinder(corpus, words=current.words)
        joined = finder.read_joined()
        decisions = Journal(folder.decisions).read()
        return bool((decisions or joined) and _count_pending(finder.divide(decisions).blocks, joined))


def decide(
    folder: IndexFolder, kind: DecisionKind, names: Sequence[str], who: str, min_score: float = 0.0
) -> list[Decision]:
    """Write decisions about groups into the journal and return them. The next generation applies them.

    names are names of proposed groups or of groups decided before; or "all" proposed groups; or two or more ids of
    records that are then one group.

    Raises:
        UsageError: a name is neither a group nor a record, or there is nothing to decide.
        GenerationError: there is no index, or it is damaged.
        CorpusError: the journal can't be written.
    """
    duplicates = find_undecided(folder, min_score)
    with closing(open_corpus(folder.open_current(quick=True))) as corpus:
        finder = IdentityFinder(corpus)
        return Journal(folder.decisions).append(who, _build_decisions(finder, duplicates, kind, names))


def undo(folder: IndexFolder, who: str, number: int | None) -> list[Decision]:
    """Undo the decision of this number, or all of the last command, and return them.

    Raises:
        UsageError: there is none in force.
        CorpusError: the journal can't be written.
    """
    return Journal(folder.decisions).undo(who, number)


def apply_decisions(
    folder: IndexFolder, settings: Settings, verb: str, progress: Progress, placement: Placement | None = None
) -> Report:
    """Publish a generation in which the decisions are applied, unless nothing changes.

    Raises:
        LockedError: another process writes this index.
        EngineError: as engine.reindex.runs.run.index_sources.
    """
    return index_sources(folder, Order(settings=settings, verb=verb, placement=placement), progress)


def _build_decisions(
    finder: IdentityFinder, duplicates: Duplicates, kind: DecisionKind, names: Sequence[str]
) -> list[NewDecision]:
    """Return a decision for each of the named groups.

    Raises:
        UsageError: a name is neither a group nor a record, or there is nothing to decide.
    """
    by_name = {
        str(decision.details.get("group")): NewDecision(kind, decision.records, decision.details)
        for decision in duplicates.active
    } | {
        group.name: NewDecision(
            kind, tuple(finder.identify(row.doc_id) for row in group.members), describe_group(group)
        )
        for group in duplicates.proposed
    }
    if list(names) == [_ALL]:
        if not duplicates.proposed:
            raise UsageError("no group is left to decide on")
        return [by_name[group.name] for group in duplicates.proposed]
    if names and all(name in by_name for name in names):
        return [by_name[name] for name in dict.fromkeys(names)]
    doc_ids = {name: finder.find_named(name) for name in names}
    unknown = [name for name, doc_id in doc_ids.items() if doc_id is None]
    known = [doc_id for doc_id in dict.fromkeys(doc_ids.values()) if doc_id is not None]
    if unknown or len(known) < 2:
        what = f"{unknown[0][:80]!r} is neither a group nor a record" if unknown else "one record is no group"
        raise UsageError(
            f"{what}. Name groups as `engine duplicates` lists them ({pluralize(len(duplicates.proposed), 'group')} "
            "now), or two or more records by their ids"
        )
    identities = tuple(map(finder.identify, known))
    members = [_describe_identity(identity) for identity in identities]
    return [
        NewDecision(kind, identities, {"group": name_group(each.ids[0] for each in identities), "members": members})
    ]


def describe_group(group: Group) -> dict[str, Any]:
    """Return a group as plain fields."""
    return {
        "group": group.name,
        "score": group.score,
        "same": list(group.same),
        "other": list(group.other),
        "members": [
            {name: value for name, value in asdict(member).items() if name not in ("doc_id", "vernacular_title")}
            for member in group.members
        ],
    }


def _describe_identity(identity: RecordIdentity) -> dict[str, Any]:
    """Return a record that the user named, with the fields of a proposed one."""
    authors = [identity.author] if identity.author else []
    facts = {"title": identity.title, "year": identity.year, "authors": authors}
    return {"record_id": identity.ids[0], **facts, "pmid": identity.pmid, "doi": identity.doi}


def _list_ids(group: Group) -> frozenset[int]:
    """Return the doc ids of a group."""
    return frozenset(member.doc_id for member in group.members)


def _count_pending(blocks: Iterable[Sequence[int]], joined: dict[int, int]) -> int:
    """Return how many records are joined with others than the decisions say."""
    wanted = {doc_id: block[0] for block in blocks for doc_id in block}
    return sum(wanted.get(doc_id, doc_id) != joined.get(doc_id, doc_id) for doc_id in wanted.keys() | joined.keys())
