"""What a fetch is asked for and what it did, and the steps that all fetches share."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, MutableSet, Sized
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from engine.collect.fetch.client import TransferError
from engine.collect.fetch.service import Service
from engine.collect.fetch.workfile import WorkFile, open_work
from engine.errors import DownloadError, UsageError
from engine.files import COMPRESSED, check_target, write_file

_LEVEL = 4  # of gzip: half the time of the usual one, for files that are a few percent larger
_FIXED = ("service", "address", "query", "ids")  # that must not change between the runs of one fetch


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What a fetch did."""

    service: str
    query: str  # "" where records were named by their ids
    translation: str  # how the service read the query
    notes: tuple[str, ...]  # terms of the query that the service did not find or left out
    started: str  # when the search began, ISO 8601
    n_counted: int  # records that the service counted when the search began, or ids that were named
    n_listed: int  # ids that it listed
    n_records: int  # that were written
    n_repeated: int  # records that came twice and were written once
    missing: tuple[str, ...]  # listed ids for which no record came
    unclear: tuple[str, ...] = ()  # ids that were named but do not stand for one record, with the reasons


@dataclass(frozen=True, slots=True)
class FetchTask:
    """What is fetched, and where to."""

    service: Service
    path: Path  # of the output; compressed if its name ends with .gz
    query: str = ""
    pmids: tuple[int, ...] = ()  # instead of a query
    ids: tuple[str, ...] = ()  # instead of a query, where a service takes several kinds
    overwrite: bool = False

    @property
    def work_path(self) -> Path:
        """The work file beside the output."""
        return self.path.parent / f"{self.path.name}.part"

    @property
    def purpose(self) -> dict[str, str]:
        """What the work file says about the work."""
        return {
            "service": self.service.name,
            "address": str(self.service.mirror.address),
            "query": self.query,
            "ids": " ".join(map(str, self.pmids or self.ids)),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }


class _Fetch(Protocol):
    """A fetch from one service."""

    @property
    def fetched(self) -> Sized:
        """What came so far."""

    def fetch_all(self) -> None:
        """Fetch what the work file lacks."""

    def write_whole(self) -> FetchReport:
        """Write the output."""


def run_fetch(task: FetchTask, begin: Callable[[WorkFile], _Fetch]) -> FetchReport:
    """Fetch into the work file, then write the output from it.

    Raises:
        UsageError: the output can't be written or would be no gzip file, or the work file is of another fetch.
        NoRecordError: the service has no such record.
        DownloadError: the service failed for good; what was fetched is kept in the work file.
        EngineError: the disk is full.
    """
    if (ending := task.path.suffix.lower()) in COMPRESSED and ending != ".gz":
        raise UsageError(f"{task.path} would be a {ending} file, expected a name that ends in .gz, or a plain file")
    check_target(task.path, overwrite=task.overwrite, example="records.xml.gz")
    with open_work(task.work_path, task.purpose, _FIXED) as work:
        fetch = begin(work)
        try:
            fetch.fetch_all()
        except TransferError as err:
            kept = f"The records fetched so far are kept in {task.work_path}; the same command continues from there"
            raise DownloadError(f"{err}. {kept if fetch.fetched else 'Nothing was written'}") from None
        finally:
            if not fetch.fetched:
                task.work_path.unlink(missing_ok=True)
        done = fetch.write_whole()
        task.work_path.unlink(missing_ok=True)
    return done


def make_member(content: bytes) -> bytes:
    """Return bytes as a gzip member, which is the same for the same bytes."""
    return gzip.compress(content, _LEVEL, mtime=0)


def read_new_records(work: WorkFile, key: str, seen: MutableSet[object]) -> bytes:
    """Return the records of an entry that were not seen before, compressed; note them as seen.

    A record without a name (0 or "") is always new.
    """
    records, content = work.get_facts(key)["records"], work.read_content(key)
    names = [name for name, _ in records if name]
    if len({*names}) == len(names) and not any(name in seen for name in names):
        seen |= {*names}
        return content
    plain, start, kept = gzip.decompress(content), 0, bytearray()
    for name, n_bytes in records:
        if not name or name not in seen:
            kept += plain[start : start + n_bytes]
        seen.add(name)
        start += n_bytes
    return make_member(bytes(kept))


def count_records(work: WorkFile, keys: Iterable[str]) -> tuple[int, int]:
    """Return the number of records that came, and of those that read_new_records returns."""
    n_came, n_unnamed, names = 0, 0, set[object]()
    for key in keys:
        found = [name for name, _ in work.get_facts(key).get("records", ())]
        n_came += len(found)
        n_unnamed += sum(not name for name in found)
        names.update(filter(None, found))
    return n_came, n_unnamed + len(names)


def write_members(task: FetchTask, members: Iterable[bytes]) -> None:
    """Write gzip members to the output, or what is in them, as its name says.

    Raises:
        UsageError: the output has appeared meanwhile.
        EngineError: the disk is full.
    """
    is_plain = task.path.suffix.lower() != ".gz"
    pieces = (gzip.decompress(member) if is_plain else member for member in members)
    write_file(task.path, pieces, overwrite=task.overwrite)
