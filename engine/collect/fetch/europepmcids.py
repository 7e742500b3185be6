"""Fetch of Europe PMC's records by their ids: PMIDs, PMCIDs, DOIs and ids of preprints; resumable, written whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.collect.fetch.client import Cause, TransferError
from engine.collect.fetch.europepmc import FIRST_CURSOR, PmcRecord, ask_pages, read_id
from engine.collect.fetch.task import (
    FetchReport,
    FetchTask,
    count_records,
    make_member,
    read_new_records,
    run_fetch,
    write_members,
)
from engine.collect.fetch.workfile import WorkFile
from engine.errors import NoRecordError
from engine.phrases import pluralize
from engine.progress import Progress

_N_IDS = 100  # of one query
_N_REFUSED = 5  # ids that are refused one by one before a fetch to which nothing came is given up


def fetch_europepmc_ids(task: FetchTask, report: Progress) -> FetchReport:
    """Fetch the records that have the ids of a task, as fetch_europepmc does for a query, in the order of the ids.

    An id that Europe PMC does not know is reported as missing; one that several records have, or whose query is
    refused, as unclear: no record is written for it.

    Raises:
        UsageError: the output can't be written, or the work file is of another fetch.
        NoRecordError: no id stands for a record.
        DownloadError: the service failed for good; what was fetched is kept in the work file.
        EngineError: the disk is full.
    """
    return run_fetch(task, lambda work: _IdFetch(task, work, report))


@dataclass(frozen=True, slots=True)
class _Findings:
    """What came for some ids."""

    records: tuple[PmcRecord, ...] = ()  # each the only one of an id, in the order of the ids
    unknown: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()  # with the reasons
    n_others: int = 0  # records that have none of the ids

    def join(self, other: _Findings) -> _Findings:
        """Return these findings and others."""
        return _Findings(
            self.records + other.records,
            self.unknown + other.unknown,
            self.unclear + other.unclear,
            self.n_others + other.n_others,
        )


@dataclass(slots=True)
class _IdFetch:
    """The state of one fetch. `fetched` are the names of the records that came."""

    task: FetchTask
    work: WorkFile
    report: Progress
    fetched: set[str] = field(default_factory=set)
    n_refused: int = 0

    def __post_init__(self) -> None:
        for key in self._list_keys():
            self.fetched.update(name for name, _ in self.work.get_facts(key)["records"])

    def _list_keys(self) -> list[str]:
        """Return the keys of the ids that were asked for, in order."""
        return [key for key in self.work.list_keys() if key.startswith("ids")]

    def fetch_all(self) -> None:
        """Fetch what the work file lacks.

        Raises:
            TransferError: the service failed for good.
            NoRecordError: no id stands for a record.
        """
        ids = self.task.ids
        for start in range(0, len(ids), _N_IDS):
            key = f"ids {start}"
            if key not in self.work:
                self._keep(key, self._look_up(ids[start : start + _N_IDS]))
            self.report("ids looked up", min(start + _N_IDS, len(ids)), len(ids))
        if not self.fetched:
            raise NoRecordError(self._explain_nothing())

    def _keep(self, key: str, found: _Findings) -> None:
        """Keep what came for some ids in the work file."""
        facts = {
            "records": [(one.name, len(one.line)) for one in found.records],
            "unknown": found.unknown,
            "unclear": found.unclear,
            "n_others": found.n_others,
        }
        self.work.add(key, facts, make_member(b"".join(one.line for one in found.records)))
        self.fetched.update(one.name for one in found.records)

    def _look_up(self, ids: Sequence[str]) -> _Findings:
        """Ask for ids; where the query is refused, for each half of them, down to the id that spoils it.

        Raises:
            TransferError: the service does not answer, or refuses everything.
        """
        try:
            return _sort_records(self.task.service.name, ids, list(self._ask_all(ids)))
        except TransferError as err:
            if err.cause is not Cause.CONTENT:
                raise
            if len(ids) == 1:
                self.n_refused += 1
                if self.n_refused == _N_REFUSED and not self.fetched:
                    raise
                return _Findings(unclear=(f"{ids[0]} ({err})",))
        middle = len(ids) // 2
        return self._look_up(ids[:middle]).join(self._look_up(ids[middle:]))

    def _ask_all(self, ids: Sequence[str]) -> Iterator[PmcRecord]:
        """Yield the records that have one of these ids, and those that Europe PMC takes for them.

        Raises:
            TransferError: as Service.ask.
        """
        for page in ask_pages(self.task.service, " OR ".join(map(_write_term, ids)), FIRST_CURSOR, set()):
            yield from page.records

    def _collect(self, name: str) -> list[Any]:
        """Return what was noted for all ids under a name."""
        return [one for key in self._list_keys() for one in self.work.get_facts(key)[name]]

    def _explain_nothing(self) -> str:
        """Return the message for ids of which none stands for a record."""
        named = [f"{one} (unknown)" for one in self._collect("unknown")] + self._collect("unclear")
        some = "; ".join(named[:3]) + ("; …" if len(named) > 3 else "")
        n_ids = pluralize(len(self.task.ids), "id")
        return f"{self.task.service.name} has no single record for any of {n_ids}: {some}. Check the ids"

    def write_whole(self) -> FetchReport:
        """Write the output, and return what was done.

        Raises:
            UsageError: the output has appeared meanwhile.
            EngineError: the disk is full.
        """
        keys, seen = self._list_keys(), set[object]()
        write_members(self.task, (read_new_records(self.work, key, seen) for key in keys))
        n_came, n_records = count_records(self.work, keys)
        n_others = sum(self.work.get_facts(key)["n_others"] for key in keys)
        note = f"{pluralize(n_others, 'record')} came that have none of the ids, and were left out"
        return FetchReport(
            self.task.service.name,
            "",
            "",
            (note,) if n_others else (),
            self.work.purpose["started"],
            len(self.task.ids),
            len(self.task.ids),
            n_records,
            n_came - n_records,
            tuple(self._collect("unknown")),
            tuple(self._collect("unclear")),
        )


def _write_term(text: str) -> str:
    """Return the query for one id."""
    if text.startswith("PMC"):
        return f"PMCID:{text}"
    if text.startswith("PPR"):
        return f"(EXT_ID:{text} AND SRC:PPR)"
    kind, _, value = text.partition(":")
    return f"(EXT_ID:{value} AND SRC:MED)" if kind == "PMID" else f'DOI:"{value.replace(chr(34), "")}"'


def _sort_records(service: str, ids: Sequence[str], came: Sequence[PmcRecord]) -> _Findings:
    """Return which records belong to ids, and which ids have none or several."""
    keys = {text: read_id(text) for text in ids}
    known = {*keys.values()}
    distinct = {one.name or str(n): one for n, one in enumerate(came)}  # one that came twice counts once
    owners: dict[str, list[PmcRecord]] = {key: [] for key in known}
    for one in distinct.values():
        for key in one.ids & known:
            owners[key].append(one)
    found = {text: owners[key] for text, key in keys.items()}
    chosen = {id(each[0]): each[0] for each in found.values() if len(each) == 1}
    return _Findings(
        tuple(chosen.values()),
        tuple(text for text, each in found.items() if not each),
        tuple(f"{text} ({len(each)} records of {service} have it)" for text, each in found.items() if len(each) > 1),
        sum(not one.ids & known for one in distinct.values()),
    )
