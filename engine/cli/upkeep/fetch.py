"""Commands that fetch records by a query into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import Subcommands, fail, main, raise_signals
from engine.cli.frame.options import INDEXES, add_options
from engine.cli.upkeep.build import index_files
from engine.config import Config, check_name, read_ncbi_account
from engine.errors import DownloadError, NoRecordError, UsageError
from engine.phrases import list_some, pluralize, quote_word
from engine.terminal import dump_json, say, show_progress

if TYPE_CHECKING:
    from engine.collect.fetch.service import Service
    from engine.collect.fetch.task import FetchReport, FetchTask
    from engine.progress import Progress

_N_NAMED = 10  # missing ids in a message
_EUROPEPMC_IDS = "PMIDs, PMCIDs, DOIs or preprint ids (PPR…)"


@main.group(cls=Subcommands)
def fetch() -> None:
    """Fetch records by a query from PubMed or Europe PMC into a file.

    \b
    engine fetch pubmed "biosimilars[mh] AND switching[tiab]" -o switching.xml.gz
    engine fetch europepmc "gout AND SRC:PPR" -o preprints.jsonl.gz
    """


@dataclass(frozen=True, slots=True)
class _Unasked:
    """Ids of a file that were not asked for."""

    ids: tuple[str, ...] = ()  # with the reasons, where they are known
    expected: str = ""

    def describe(self) -> str:
        """Return which ids they are; "" without one."""
        some = (
            f"{pluralize(len(self.ids), 'id')} not asked for, expected {self.expected}: {list_some(self.ids, _N_NAMED)}"
        )
        return some if self.ids else ""


_ALL_ASKED = _Unasked()


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Where fetched records are written, and how that is reported."""

    output: Path
    overwrite: bool
    base_url: str | None
    index: str | None  # name of the index to add them to
    indexes: str | None
    as_object: bool

    def __post_init__(self) -> None:
        if self.index:
            check_name(self.index)

    def run(
        self, task: FetchTask, fetch: Callable[[FetchTask, Progress], FetchReport], unasked: _Unasked = _ALL_ASKED
    ) -> None:
        """Fetch, report and index; exit with 8 if records are missing.

        Raises:
            UsageError: the file to be indexed exists.
            EngineError: the fetch or the indexing failed.
        """
        if self.index and self.output.is_file() and not self.overwrite:
            name, file = quote_word(self.index), quote_word(self.output)
            raise UsageError(
                f"{self.output} exists. Index it: engine index {file} -i {name}; or fetch it again: --overwrite"
            )
        kept = f"what was fetched is kept in {task.work_path}, and the same command continues from there"
        with raise_signals(kept), show_progress() as report:
            done = fetch(task, report)
        _print_fetch(done, self.output, unasked, as_object=self.as_object)
        if self.index:
            index_files(Config.load(self.indexes, self.index), [self.output], as_object=self.as_object)
        if lacks := [text for text in (unasked.describe(), _explain_unclear(done), _explain_lacks(done)) if text]:
            fail(f"{'. '.join(lacks)}. What came is in {self.output}", DownloadError.exit_code)


_delivery_options = add_options(
    "delivery",
    (
        click.option(
            "-o",
            "--output",
            required=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write the records to FILE; compressed if its name ends with .gz.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace FILE if it exists."),
        click.option("-i", "--index", metavar="NAME", help="Index to which FILE is added at once."),
        INDEXES,
        click.option("--base-url", metavar="URL", help="Address of the service, if it is not the usual one."),
        click.option("--json", "as_object", is_flag=True, help="Print each report as one JSON object."),
    ),
    _Delivery,
)


@fetch.command()
@click.argument("query", required=False)
@click.option(
    "--ids",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Fetch the records whose PMIDs or DOIs are in FILE: a list, a table or an export.",
)
@_delivery_options
def pubmed(query: str | None, ids: Path | None, delivery: _Delivery) -> None:
    """Fetch PubMed's records for a query, or for a list of PMIDs and DOIs.

    QUERY is a search as on PubMed's page. Large result sets are fetched in parts until they are complete. A stopped run
    continues where it stopped. NCBI allows 3 requests a second, and 10 with an API key, which is read from
    NCBI_API_KEY; NCBI asks for an e-mail address, which is read from NCBI_EMAIL. Records that were listed but did not
    come are named (exit 8).

    \b
    engine fetch pubmed "biosimilars[mh] AND switching[tiab]" -o switching.xml.gz
    engine fetch pubmed "gout[mh] AND 2020:2026[dp]" -o gout.xml.gz -i gout
    engine fetch pubmed --ids pmids.txt -o known.xml.gz
    """
    from engine.collect.fetch.eutilities import connect_pubmed
    from engine.collect.fetch.pubmedquery import fetch_pubmed
    from engine.collect.fetch.task import FetchTask

    if (query is None) == (ids is None):
        raise UsageError("name either a QUERY or --ids FILE. For example: engine fetch pubmed gout -o gout.xml.gz")
    text = "" if query is None else _check_query(query)
    account = read_ncbi_account()
    service = connect_pubmed(delivery.base_url, account.api_key, account.email)
    pmids, others = _read_pmids(ids, service) if ids else ((), ())
    task = FetchTask(service, delivery.output, text, pmids, overwrite=delivery.overwrite)
    delivery.run(task, fetch_pubmed, _Unasked(others, "PMIDs or DOIs that PubMed knows"))


@fetch.command()
@click.argument("query", required=False)
@click.option(
    "--ids",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Fetch the records of the PMIDs, PMCIDs, DOIs or preprint ids (PPR…) in FILE: a list, a table or an export.",
)
@_delivery_options
def europepmc(query: str | None, ids: Path | None, delivery: _Delivery) -> None:
    """Fetch Europe PMC's records and preprints by a query or by ids.

    QUERY is a search as on Europe PMC's page. The records are written as JSON lines, each as it came. A stopped run
    continues where it stopped. Exit code 8: fewer records came than Europe PMC counted, or ids are unknown or those of
    several records; they are named.

    \b
    engine fetch europepmc "biosimilar AND switching" -o switching.jsonl.gz
    engine fetch europepmc "gout AND SRC:PPR" -o preprints.jsonl.gz -i gout
    engine fetch europepmc --ids ids.txt -o known.jsonl.gz
    """
    from engine.collect.fetch.europepmc import connect_europepmc, fetch_europepmc
    from engine.collect.fetch.europepmcids import fetch_europepmc_ids
    from engine.collect.fetch.task import FetchTask

    if (query is None) == (ids is None):
        raise UsageError("name either a QUERY or --ids FILE. For example: engine fetch europepmc gout -o gout.jsonl.gz")
    service = connect_europepmc(delivery.base_url)
    if ids is None:
        text = _check_query(query or "")
        delivery.run(FetchTask(service, delivery.output, text, overwrite=delivery.overwrite), fetch_europepmc)
        return
    known, others = _read_europepmc_ids(ids)
    task = FetchTask(service, delivery.output, ids=known, overwrite=delivery.overwrite)
    delivery.run(task, fetch_europepmc_ids, _Unasked(others, _EUROPEPMC_IDS))


def _check_query(query: str) -> str:
    """Return a query without blanks around it.

    Raises:
        UsageError: it is empty, or holds bytes that are no text.
    """
    if not query.strip():
        raise UsageError('the query is empty. For example: engine fetch pubmed "gout[mh]" -o gout.xml.gz')
    if query != query.encode("utf-8", "replace").decode():
        raise UsageError("the query is not text in UTF-8. Type it anew, or set the terminal to UTF-8")
    return query.strip()


def _read_pmids(path: Path, service: Service) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the PMIDs in a file and those of its DOIs, in order, each once; and its other ids, with the reasons.

    Raises:
        UsageError: the file can't be read, or has no PMID and no DOI.
        NoRecordError: PubMed has none of its DOIs, and it has no PMID.
        DownloadError: the service failed for good.
    """
    from engine.collect.fetch.doiquery import resolve_dois
    from engine.identifiers import parse_doi, parse_pmid
    from engine.query.question.recordlist import read_record_list

    read: dict[str, object] = {text: parse_pmid(text) for text in read_record_list(path, None)}
    dois = {text: doi for text, pmid in read.items() if pmid is None and (doi := parse_doi(text))}
    reasons: dict[str, str] = {}
    if dois:
        with show_progress() as report:
            found = resolve_dois(service, tuple(dict.fromkeys(dois.values())), report)
        read |= {text: found.pmids.get(doi) for text, doi in dois.items()}
        reasons = {text: f"{text} ({found.reasons[doi]})" for text, doi in dois.items() if doi in found.reasons}
    others = tuple(reasons.get(text, text) for text, pmid in read.items() if pmid is None)
    if dois and len(others) == len(read):
        raise NoRecordError(f"{path} holds no id of a record of PubMed: {list_some(others, _N_NAMED)}. Check the ids")
    if len(others) == len(read):
        raise UsageError(
            f"{path} holds no PMID and no DOI, expected one per line, a table with a column pmid or doi, or records"
        )
    return tuple(dict.fromkeys(int(str(pmid)) for pmid in read.values() if pmid)), others


def _read_europepmc_ids(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids in a file that Europe PMC may know, in order, each once; and its other ids.

    Raises:
        UsageError: the file can't be read, or has none of them.
    """
    from engine.collect.fetch.europepmc import read_id
    from engine.query.question.recordlist import read_record_list

    read = {text: read_id(text) for text in read_record_list(path, None)}
    known = tuple(dict.fromkeys(filter(None, read.values())))
    if not known:
        raise UsageError(
            f"{path} holds none of {_EUROPEPMC_IDS}; expected one per line, a table with a column pmid, doi or id, or "
            "records"
        )
    return known, tuple(text for text, name in read.items() if not name)


def _explain_unclear(done: FetchReport) -> str:
    """Return which ids do not stand for one record; "" if there is none."""
    some = f"{pluralize(len(done.unclear), 'id')} named no record for sure: {list_some(done.unclear, _N_NAMED)}"
    return some if done.unclear else ""


def _explain_lacks(done: FetchReport) -> str:
    """Return which records did not come; "" if all did."""
    if done.missing:
        some = f"{pluralize(len(done.missing), 'record')} did not come: {list_some(done.missing, _N_NAMED)}"
        return f"{some}. {done.service} may have removed {'it' if len(done.missing) == 1 else 'them'}"
    if done.n_listed < done.n_counted:
        return f"{done.service} counted {pluralize(done.n_counted, 'record')}, but listed only {done.n_listed:,}"
    return ""


def _print_fetch(done: FetchReport, output: Path, unasked: _Unasked, *, as_object: bool) -> None:
    """Print what was fetched, and what the service says about the query."""
    for note in done.notes:
        say(f"{done.service}: {note}", err=True)
    if done.n_listed > done.n_counted:
        more = f"counted {pluralize(done.n_counted, 'record')} when the search began, and listed {done.n_listed:,}"
        say(f"{done.service} {more}. The others came meanwhile", err=True)
    if as_object:
        say(dump_json({"file": str(output), **asdict(done), "unasked": unasked.ids}))
    else:
        repeated = f" ({done.n_repeated:,} came twice)" if done.n_repeated else ""
        say(f"{output}: {pluralize(done.n_records, 'record')} of {done.service}{repeated}")
