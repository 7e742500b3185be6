"""Retractions and notices of PubMed records: of the record itself, or those it announces."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from engine.records.abstract import Notice

# MeSH unique ids of publication types, their names in lower case (files from before 2014 have no ids), and the
# RefType of CommentsCorrections, also in lower case. "…In" is on the article, "…Of" and "…For" on the notice.
# https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html and https://www.nlm.nih.gov/bsd/policy/errata.html
#
# RetractedandRepublishedIn points from the retracted first version to the new one, which has its own PMID
# (RetractedandRepublishedFrom points back). The first version often has RetractionIn and the type Retracted
# Publication as well (as PMID 28919201), but it is retracted even without them.
_RETRACTS = frozenset({"D016441", "retracted publication", "retractionin", "retractedandrepublishedin"})
_NOTICES = {
    "D016440": Notice.IS_RETRACTION,
    "retraction of publication": Notice.IS_RETRACTION,
    "retraction notice": Notice.IS_RETRACTION,  # the name of D016440 in newer files
    "retractionof": Notice.IS_RETRACTION,
    "D016425": Notice.IS_ERRATUM,
    "published erratum": Notice.IS_ERRATUM,
    "erratumfor": Notice.IS_ERRATUM,
    "partialretractionof": Notice.IS_ERRATUM,  # NLM treats it as an erratum; it dropped the RefType in 2016
    "D000075742": Notice.IS_CONCERN,
    "expression of concern": Notice.IS_CONCERN,
    "expressionofconcernfor": Notice.IS_CONCERN,
    "erratumin": Notice.HAS_ERRATUM,
    "expressionofconcernin": Notice.HAS_CONCERN,
    "partialretractionin": Notice.PARTLY_RETRACTED,
    "correctedandrepublishedin": Notice.REPUBLISHED,
    "retractedandrepublishedin": Notice.REPUBLISHED,
    # Not RepublishedIn: since 2006 it means reprinted elsewhere, unchanged.
}


def resolve_standing(
    types: Iterable[etree._Element], names: Iterable[str], links: Iterable[etree._Element]
) -> tuple[bool, tuple[str, ...]]:
    """Return whether a work is retracted, and its notices, sorted.

    A retraction notice is not itself retracted, nor is a partly retracted work.

    Args:
        types: its PublicationType elements.
        names: their names.
        links: its CommentsCorrections elements.
    """
    marks = {kind.get("UI") for kind in types}
    marks.update(name.lower() for name in names)
    marks.update(link.get("RefType", "").lower() for link in links)
    return not marks.isdisjoint(_RETRACTS), tuple(sorted({_NOTICES[mark].value for mark in marks & _NOTICES.keys()}))
