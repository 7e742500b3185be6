"""PMIDs of DOIs, as PubMed finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from engine.collect.fetch.client import TransferError
from engine.collect.fetch.eutilities import SearchAnswer, search_pubmed
from engine.collect.fetch.lookahead import run_ahead
from engine.collect.fetch.service import Service
from engine.errors import DownloadError
from engine.progress import Progress


@dataclass(frozen=True, slots=True)
class _ResolvedDois:
    """What PubMed has for DOIs."""

    pmids: dict[str, int]  # by DOI
    reasons: dict[str, str]  # why a DOI has no PMID


def resolve_dois(service: Service, dois: Sequence[str], report: Progress) -> _ResolvedDois:
    """Return the PMID of each DOI that exactly one record has, and why the others have none.

    Raises:
        DownloadError: the service failed for good.
    """
    pmids: dict[str, int] = {}
    reasons: dict[str, str] = {}
    searches = (partial(search_pubmed, service, f'"{doi.replace(chr(34), "")}"[aid]') for doi in dois)
    try:
        for n, (doi, answer) in enumerate(zip(dois, run_ahead(searches, service.n_at_once), strict=True), 1):
            if reason := _explain(answer):
                reasons[doi] = reason
            else:
                pmids[doi] = answer.pmids[0]
            report("DOIs looked up", n, len(dois))
    except TransferError as err:
        raise DownloadError(f"{err}. Nothing was written") from None
    return _ResolvedDois(pmids, reasons)


def _explain(answer: SearchAnswer) -> str:
    """Return why an answer names no record for sure; "" if it names one.

    PubMed searches for the words of a phrase that it does not find, and notes that it did.
    """
    if answer.count == 0 or answer.notes:
        return "unknown to PubMed"
    return f"{answer.count:,} records of PubMed have it" if len(answer.pmids) != 1 or answer.count != 1 else ""
