"""Fetch of Europe PMC's records by a query, preprints among them: page by page, resumable, written whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.collect.fetch.address import read_address
from engine.collect.fetch.client import Cause, Mirror, TransferError
from engine.collect.fetch.pace import Pace
from engine.collect.fetch.service import ReportedError, Service
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
from engine.identifiers import parse_doi, parse_pmcid, parse_pmid, parse_preprint_id
from engine.progress import Progress

_BASE_URL = "https://www.ebi.ac.uk/europepmc/webservices/rest/"
_RATE = 10  # requests a second that Europe PMC allows
_N_RECORDS = 500  # of one page; it allows 1,000, but whole records are large
FIRST_CURSOR = "*"  # the cursor of the first page


@dataclass(frozen=True, slots=True)
class PmcRecord:
    """A record as it came."""

    name: str  # its database and its id there: "MED 31793330", "PPR PPR123"; "" where it has none
    line: bytes  # of JSON in UTF-8
    ids: frozenset[str]  # as read_id returns them


@dataclass(frozen=True, slots=True)
class _RecordPage:
    """Records of one answer, in its order."""

    count: int  # of all pages
    cursor: str  # of the next page; "" where this is the last one
    records: tuple[PmcRecord, ...]


def connect_europepmc(base_url: str | None = None) -> Service:
    """Return Europe PMC's service.

    Raises:
        UsageError: base_url is not an http or https address.
    """
    return Service("Europe PMC", Mirror(read_address(base_url or _BASE_URL), back_off=1.0), Pace(_RATE), 1)


def fetch_europepmc(task: FetchTask, report: Progress) -> FetchReport:
    """Fetch records, and write them as JSON lines, each as it came. An interrupted fetch continues where it was.

    Raises:
        UsageError: the output can't be written, or the work file is of another fetch.
        NoRecordError: the service has no such record.
        DownloadError: the service failed for good; what was fetched is kept in the work file.
        EngineError: the disk is full.
    """
    return run_fetch(task, lambda work: _EuropePmcFetch(task, work, report))


def ask_pages(service: Service, query: str, cursor: str, came: set[str]) -> Iterator[_RecordPage]:
    """Yield the pages of the records of a query from a cursor on, until all came or a page brings no other record.

    came: the names of the records that came; those of each page are added.

    Raises:
        TransferError: as Service.ask.
    """
    while cursor:
        page, n_before = _ask_page(service, query, cursor), len(came)
        came.update(one.name for one in page.records)
        yield page
        cursor = page.cursor if n_before < len(came) < page.count else ""


def _ask_page(service: Service, query: str, cursor: str) -> _RecordPage:
    """Ask for one page of the records of a query.

    Raises:
        TransferError: as Service.ask.
    """
    fields = {
        "query": query,
        "resultType": "core",
        "format": "json",
        "pageSize": str(_N_RECORDS),
        "cursorMark": cursor,
    }
    return service.ask("searchPOST", fields, lambda content: _read_page(content, cursor))


def _read_page(content: bytes, cursor: str) -> _RecordPage:
    """Read an answer.

    Raises:
        TransferError: it is cut short, or is no page of records.
        ReportedError: it names an error.
    """
    try:
        answer = json.loads(content, strict=False)
    except (ValueError, RecursionError):
        raise TransferError("the answer is cut short or damaged: not JSON", Cause.CONTENT) from None
    answer = answer if isinstance(answer, dict) else {}
    if said := answer.get("errMsg") or answer.get("errorMessage"):
        raise ReportedError(str(said))
    listed = answer.get("resultList")
    found = listed.get("result", []) if isinstance(listed, dict) else None
    count = answer.get("hitCount")
    if not isinstance(found, list) or not isinstance(count, int):
        raise TransferError("the answer is no page of records: hitCount or resultList is missing", Cause.CONTENT)
    following = answer.get("nextCursorMark")
    is_last = not found or not isinstance(following, str) or following == cursor
    records = tuple(PmcRecord(_name_record(one), _format_record(one), frozenset(_list_ids(one))) for one in found)
    return _RecordPage(count, "" if is_last else str(following), records)


def _name_record(record: Any) -> str:
    """Return the database and the id of a record: "MED 31793330", "PPR PPR123"; "" where it has none."""
    names = (record.get("source"), record.get("id")) if isinstance(record, dict) else ()
    return " ".join(str(name) for name in names if name)


def _list_ids(record: Any) -> Iterator[str]:
    """Yield all ids of a record, as read_id returns them."""
    if not isinstance(record, dict):
        return
    labelled = {"MED": "PMID:", "PMC": "", "PPR": ""}.get(str(record.get("source")))
    texts = [f"{labelled}{record.get('id')}" if labelled is not None else ""]
    texts += [f"{label}{record.get(key) or ''}" for key, label in (("pmid", "PMID:"), ("pmcid", ""), ("doi", "DOI:"))]
    yield from filter(None, map(read_id, texts))


def read_id(text: str) -> str:
    """Return an id that Europe PMC knows in one form: "PMID:1", "PMC1", "PPR1", "DOI:10.1000/x"; "" for another text.

    A number is a PMID. The letters of a DOI are small ones.
    """
    if pmid := parse_pmid(text):
        return f"PMID:{pmid}"
    if doi := parse_doi(text):
        return f"DOI:{doi.lower()}"
    return parse_pmcid(text) or parse_preprint_id(text) or ""


def _format_record(record: Any) -> bytes:
    """Return a record as a line of JSON in UTF-8."""
    try:
        return json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half a character
        return json.dumps(record).encode("ascii") + b"\n"


@dataclass(slots=True)
class _EuropePmcFetch:
    """The state of one fetch. `fetched` are the names of the records that came."""

    task: FetchTask
    work: WorkFile
    report: Progress
    fetched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for key in self._list_keys():
            self.fetched.update(name for name, _ in self.work.get_facts(key)["records"])

    def _list_keys(self) -> list[str]:
        """Return the keys of the pages that came, in order."""
        return [key for key in self.work.list_keys() if key.startswith("page")]

    def fetch_all(self) -> None:
        """Fetch the pages that the work file lacks.

        Raises:
            TransferError: the service failed for good.
            NoRecordError: no record was found.
        """
        keys = self._list_keys()
        cursor = self.work.get_facts(keys[-1])["cursor"] if keys else FIRST_CURSOR
        pages = ask_pages(self.task.service, self.task.query, cursor, self.fetched)
        for number, page in enumerate(pages, len(keys)):
            records = [(one.name, len(one.line)) for one in page.records]
            facts = {"count": page.count, "cursor": page.cursor, "records": records}
            self.work.add(f"page {number}", facts, make_member(b"".join(one.line for one in page.records)))
            self.report("records fetched", len(self.fetched), max(page.count, len(self.fetched)))
        if not self.fetched:
            raise NoRecordError(
                f"{self.task.service.name} has no record for {self.task.query[:200]!r}. "
                "Try the query on the service's own page"
            )

    def write_whole(self) -> FetchReport:
        """Write the output, and return what was done.

        Raises:
            UsageError: the output has appeared meanwhile.
            EngineError: the disk is full.
        """
        keys, seen = self._list_keys(), set[object]()
        write_members(self.task, (read_new_records(self.work, key, seen) for key in keys))
        n_came, n_records = count_records(self.work, keys)
        return FetchReport(
            self.task.service.name,
            self.task.query,
            "",
            (),
            self.work.purpose["started"],
            self.work.get_facts(keys[0])["count"],
            n_records,
            n_records,
            n_came - n_records,
            (),
        )
