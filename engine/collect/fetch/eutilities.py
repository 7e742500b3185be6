"""NCBI's E-utilities for PubMed: esearch finds records, efetch sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from lxml import etree

from engine.collect.fetch.address import read_address
from engine.collect.fetch.articleset import ArticleSet, parse_answer, read_articles
from engine.collect.fetch.client import Cause, Mirror, TransferError
from engine.collect.fetch.pace import Pace
from engine.collect.fetch.service import ReportedError, Service

_BASE_URL = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/"
MAX_LISTED = 9_999  # records of one search; PubMed gives no more
_RATE, _RATE_WITH_KEY = 3, 10  # requests a second that NCBI allows
_N_AT_ONCE, _N_AT_ONCE_WITH_KEY = 6, 20  # requests begun: twice as many as those that take a second need
_TOOL = "abstract-engine"
_N_SEARCHES = 3  # of a search that lists fewer records than it counts
# Parts of an answer to a search that say what was not searched for, and how that is reported.
_NOTES = {
    "ErrorList/PhraseNotFound": "not found",
    "ErrorList/FieldNotFound": "no field of PubMed",
    "WarningList/PhraseIgnored": "ignored",
    "WarningList/QuotedPhraseNotFound": "not found as a phrase",
}


@dataclass(frozen=True, slots=True)
class History:
    """A result set that PubMed keeps for a while."""

    web_env: str
    query_key: str


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What a search found."""

    count: int
    pmids: tuple[int, ...]  # all that were found, or the first MAX_LISTED
    history: History | None = None
    translation: str = ""  # how PubMed read the query
    notes: tuple[str, ...] = ()  # terms that PubMed did not find or left out


def connect_pubmed(base_url: str | None = None, api_key: str = "", email: str = "") -> Service:
    """Return PubMed's service. The key is sent only over https or to this machine.

    Raises:
        UsageError: base_url is not an http or https address.
    """
    address = read_address(base_url or _BASE_URL)
    key = api_key if address.scheme == "https" or _is_local(address.build_url()) else ""
    named = {"tool": _TOOL, "email": email, "api_key": key}
    return Service(
        "PubMed",
        Mirror(address, back_off=1.0),
        Pace(_RATE_WITH_KEY if key else _RATE),
        _N_AT_ONCE_WITH_KEY if key else _N_AT_ONCE,
        {name: value for name, value in named.items() if value},
        tuple(filter(None, (key, email))),
    )


def _is_local(url: str) -> bool:
    """Return whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def search_pubmed(service: Service, term: str, limits: Mapping[str, str] | None = None) -> SearchAnswer:
    """Search, and return the PMIDs. A list that is shorter than it should be is asked for again; the longest counts.

    limits: further fields of esearch, such as dates.

    Raises:
        TransferError: as Service.ask.
    """
    fields = {"db": "pubmed", "term": term, "usehistory": "y", "retmode": "xml", "retmax": str(MAX_LISTED)}
    best = SearchAnswer(0, ())
    for _ in range(_N_SEARCHES):
        answer = service.ask("esearch.fcgi", fields | dict(limits or {}), _read_search)
        best = max(best, answer, key=lambda one: len(one.pmids)) if best.count else answer
        if len(answer.pmids) >= min(answer.count, MAX_LISTED):
            return answer
    return best


def _read_search(content: bytes) -> SearchAnswer:
    """Read an answer of esearch.

    Raises:
        TransferError: it is damaged, or lacks the number of records.
        ReportedError: it names an error.
    """
    root = parse_answer(content, "eSearchResult")
    count = root.findtext("Count", "").strip()
    if not (count.isascii() and count.isdigit()):
        raise TransferError(f"the answer counts {count[:20]!r} records, expected a number", Cause.CONTENT)
    pmids = [int(text) for each in root.iterfind("IdList/Id") if (text := (each.text or "").strip()).isdigit()]
    history = History(root.findtext("WebEnv", "").strip(), root.findtext("QueryKey", "").strip())
    return SearchAnswer(
        int(count),
        tuple(dict.fromkeys(pmids)),
        history if history.web_env and history.query_key else None,
        " ".join(root.findtext("QueryTranslation", "").split()),
        tuple(_list_notes(root)),
    )


def _list_notes(root: etree._Element) -> list[str]:
    """Return what PubMed says about terms of the query."""
    found = {
        f"{' '.join((each.text or '').split())!r} is {why}": None
        for path, why in _NOTES.items()
        for each in root.iterfind(path)
        if (each.text or "").strip()
    }
    return list(found)


def fetch_history(service: Service, history: History, start: int, n_records: int) -> ArticleSet:
    """Fetch records of a result set that PubMed keeps, by their place in it.

    Raises:
        TransferError: as Service.ask; the cause is REFUSED where PubMed no longer keeps it.
    """
    fields = {
        "db": "pubmed",
        "retmode": "xml",
        "WebEnv": history.web_env,
        "query_key": history.query_key,
        "retstart": str(start),
        "retmax": str(n_records),
    }
    return service.ask("efetch.fcgi", fields, _read_kept)


def _read_kept(content: bytes) -> ArticleSet:
    """Read an answer of efetch for a result set that may have expired.

    Raises:
        ReportedError: it names an error; REFUSED where the result set is the reason.
    """
    try:
        return read_articles(content)
    except ReportedError as err:
        is_gone = any(word in str(err).lower() for word in ("query", "history", "webenv"))
        raise ReportedError(str(err), Cause.REFUSED if is_gone else err.cause) from None


def fetch_listed(service: Service, pmids: Sequence[int]) -> ArticleSet:
    """Fetch records by their PMIDs. One that PubMed lacks is missing in the answer.

    Raises:
        TransferError: as Service.ask.
    """
    fields = {"db": "pubmed", "retmode": "xml", "id": ",".join(map(str, pmids))}
    return service.ask("efetch.fcgi", fields, read_articles)
