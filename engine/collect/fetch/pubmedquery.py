"""Fetch of PubMed's records by a query or by PMIDs: resumable, and written whole. What is missing is named."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

from engine.collect.fetch.articleset import END, ArticleSet, format_start, sort_articles
from engine.collect.fetch.client import Cause, TransferError
from engine.collect.fetch.eutilities import (
    MAX_LISTED,
    History,
    SearchAnswer,
    fetch_history,
    fetch_listed,
    search_pubmed,
)
from engine.collect.fetch.lookahead import begin_task, run_ahead
from engine.collect.fetch.partition import ResultPart, list_parts
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
from engine.progress import Progress

_N_RECORDS = 250  # of one request
_N_REFUSED = 5  # records that are refused one by one before a batch of which none came is given up
_N_SECOND_LOOKS = 2  # for records that an answer lacks
_PHASE = "records fetched"


def fetch_pubmed(task: FetchTask, report: Progress) -> FetchReport:
    """Fetch records, and write them as one PubmedArticleSet. An interrupted fetch continues where it was.

    Raises:
        UsageError: the output can't be written, or the work file is of another fetch.
        NoRecordError: the service has no such record.
        DownloadError: the service failed for good; what was fetched is kept in the work file.
        EngineError: the disk is full.
    """
    return run_fetch(task, lambda work: _PubmedFetch(task, work, report))


@dataclass(frozen=True, slots=True)
class _Catch:
    """Records that came for a batch."""

    key: str
    doctype: str
    records: tuple[tuple[int, int], ...]  # the PMID and the number of bytes of each
    content: bytes  # compressed


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records that one request asks for."""

    key: str
    pmids: tuple[int, ...]
    answer: SearchAnswer | None = None  # of the search that listed them
    start: int = 0  # in that answer


@dataclass(slots=True)
class _PubmedFetch:
    """The state of one fetch. `fetched` are the PMIDs of the records that came."""

    task: FetchTask
    work: WorkFile
    report: Progress
    fetched: set[int] = field(default_factory=set)
    histories: dict[str, History] = field(default_factory=dict)  # result sets of this run, by the key of the search
    expired: set[History] = field(default_factory=set)  # those that PubMed no longer keeps

    def __post_init__(self) -> None:
        for key in self.work.list_keys():
            self.fetched.update(pmid for pmid, _ in self.work.get_facts(key).get("records", ()))

    def fetch_all(self) -> None:
        """Fetch what the work file lacks.

        Raises:
            TransferError: the service failed for good.
            NoRecordError: no record was found.
        """
        self._fetch_batches(self._list_batches())
        for _ in range(_N_SECOND_LOOKS):
            if not self._fetch_batches(self._list_rest()):
                break
        if not self.fetched:
            raise NoRecordError(self._explain_nothing())

    def _fetch_batches(self, batches: Iterable[_Batch]) -> int:
        """Fetch batches and keep them in the work file; return the number of records.

        Raises:
            TransferError: the service failed for good.
        """
        n_before = len(self.fetched)
        total = self._count_all() if self.task.query else len(self.task.pmids)
        todo = (partial(self._fetch_batch, batch) for batch in batches if batch.key not in self.work)
        for came in run_ahead(todo, self.task.service.n_at_once):
            if came.records:
                self.work.add(came.key, {"doctype": came.doctype, "records": came.records}, came.content)
            self.fetched.update(pmid for pmid, _ in came.records)
            self.report(_PHASE, len(self.fetched), max(total, len(self.fetched)))
        return len(self.fetched) - n_before

    # What is to be fetched

    def _list_batches(self) -> Iterator[_Batch]:
        """Yield all batches, in the order of the output."""
        if self.task.pmids:
            yield from _cut_batches("ids", self.task.pmids, None)
            return
        for part, answer in list_parts(self._begin_search, self._today):
            yield from _cut_batches(part.key, answer.pmids, answer)

    def _list_rest(self) -> Iterator[_Batch]:
        """Yield batches of the records that were listed but did not come."""
        missing = tuple(dict.fromkeys(pmid for pmid in self._list_pmids() if pmid not in self.fetched))
        n_looks = sum(key.startswith("rest") for key in self.work.list_keys())
        return _cut_batches(f"rest {n_looks}", missing, None)

    def _list_pmids(self) -> Iterator[int]:
        """Yield the PMIDs that were listed, in the order of the output."""
        return itertools.chain.from_iterable(batch.pmids for batch in self._list_batches())

    @property
    def _today(self) -> date:
        """The day on which the search began."""
        return datetime.fromisoformat(self.work.purpose["started"]).date()

    def _count_all(self) -> int:
        """Return the number of records that PubMed counted at first."""
        return self._begin_search(ResultPart())().count

    def _begin_search(self, part: ResultPart) -> Callable[[], SearchAnswer]:
        """Begin a search for a part, unless the work file has it; return what waits for the answer."""
        key = f"search {part.key}"
        if key in self.work:
            return partial(self._read_search, key)
        search = partial(search_pubmed, self.task.service, part.limit_term(self.task.query), part.limits)
        return partial(self._finish_search, key, begin_task(search))

    def _finish_search(self, key: str, search: Future[SearchAnswer]) -> SearchAnswer:
        """Wait for a search, and keep its answer in the work file.

        Raises:
            TransferError: the search failed.
        """
        answer = search.result()
        if answer.history:
            self.histories[key] = answer.history
        facts = {"count": answer.count, "translation": answer.translation, "notes": list(answer.notes)}
        listed = json.dumps(answer.pmids if answer.count <= MAX_LISTED else [])
        self.work.add(key, facts, make_member(listed.encode("ascii")))
        return answer

    def _read_search(self, key: str) -> SearchAnswer:
        """Return the answer of a search that the work file has."""
        facts = self.work.get_facts(key)
        pmids = tuple(json.loads(gzip.decompress(self.work.read_content(key))))
        history = self.histories.get(key)
        return SearchAnswer(facts["count"], pmids, history, facts["translation"], tuple(facts["notes"]))

    # Fetching

    def _fetch_batch(self, batch: _Batch) -> _Catch:
        """Fetch a batch from the result set that PubMed keeps, or by its PMIDs once that has expired; compress it.

        Raises:
            TransferError: the service failed for good.
        """
        found = self._fetch_kept(batch)
        found = self._fetch_listed(batch.pmids) if found is None else found
        articles = sort_articles(found.articles, batch.pmids)
        records = tuple((article.pmid, len(article.content)) for article in articles)
        return _Catch(batch.key, found.doctype, records, make_member(b"".join(one.content for one in articles)))

    def _fetch_kept(self, batch: _Batch) -> ArticleSet | None:
        """Fetch a batch from its result set; None where PubMed does not keep it, or can't send this part of it.

        Raises:
            TransferError: the service does not answer.
        """
        history = batch.answer.history if batch.answer else None
        if history is None or history in self.expired:
            return None
        try:
            return fetch_history(self.task.service, history, batch.start, len(batch.pmids))
        except TransferError as err:
            if err.cause is Cause.MIRROR:
                raise
            self.expired.add(history)
            return None

    def _fetch_listed(self, pmids: tuple[int, ...]) -> ArticleSet:
        """Fetch records by their PMIDs; a list whose answer can't be used is halved, down to the record that spoils it.

        Raises:
            TransferError: the service does not answer, or refuses everything.
        """
        groups, found, n_refused = [pmids], ArticleSet("", ()), 0
        while groups:
            group = groups.pop()
            try:
                came = fetch_listed(self.task.service, group)
                found = ArticleSet(found.doctype or came.doctype, found.articles + came.articles)
            except TransferError as err:
                n_refused += len(group) == 1
                if err.cause is not Cause.CONTENT or (n_refused == _N_REFUSED and not found.articles):
                    raise
                middle = len(group) // 2
                groups += [group[middle:], group[:middle]] if middle else []
        return found

    # Writing

    def write_whole(self) -> FetchReport:
        """Write the output, and return what was done.

        Raises:
            UsageError: the output has appeared meanwhile.
            EngineError: the disk is full.
        """
        n_listed, missing = 0, dict[int, None]()
        for pmid in self._list_pmids():
            n_listed += 1
            if pmid not in self.fetched:
                missing[pmid] = None
        write_members(self.task, self._list_members())
        facts = self.work.get_facts("search all") if self.task.query else {}
        n_came, n_records = count_records(self.work, self.work.list_keys())
        return FetchReport(
            self.task.service.name,
            self.task.query,
            facts.get("translation", ""),
            tuple(facts.get("notes", ())),
            self.work.purpose["started"],
            facts.get("count", len(self.task.pmids)),
            n_listed,
            n_records,
            n_came - n_records,
            tuple(map(str, missing)),
        )

    def _list_members(self) -> Iterator[bytes]:
        """Yield the output, compressed."""
        keys = [batch.key for batch in self._list_batches() if batch.key in self.work]
        keys += [key for key in self.work.list_keys() if key.startswith("rest")]
        doctype = next((text for key in keys if (text := self.work.get_facts(key)["doctype"])), "")
        seen: set[object] = set()
        yield make_member(format_start(doctype))
        yield from (read_new_records(self.work, key, seen) for key in keys)
        yield make_member(END)

    def _explain_nothing(self) -> str:
        """Return the message for a query without a record."""
        name = self.task.service.name
        if not self.task.query:
            return f"{name} has none of the {len(self.task.pmids):,} records. Check the ids: they must be PMIDs"
        facts = self.work.get_facts("search all")
        if facts["count"]:
            return f"{name} counts {facts['count']:,} records for {self.task.query[:200]!r}, but sends none. Try again"
        notes = "; ".join(facts["notes"])
        why = f": {notes}" if notes else ""
        return f"{name} has no record for {self.task.query[:200]!r}{why}. Try the query on the service's own page"


def _cut_batches(name: str, pmids: Sequence[int], answer: SearchAnswer | None) -> Iterator[_Batch]:
    """Yield batches of the records of one list."""
    for start in range(0, len(pmids), _N_RECORDS):
        yield _Batch(f"{name} {start}", tuple(pmids[start : start + _N_RECORDS]), answer, start)
