"""Rules for merging sources: which records belong together, which source is preferred. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import Enum
from typing import Any

from engine.records.abstract import Abstract

# Formats of PubMed, which is preferred to all other sources of a record.
PUBMED = ("PubMed XML", "MEDLINE")
_FILLED = (
    "title",
    "abstract",
    "year",
    "journal",
    "pmid",
    "doi",
    "mesh",
    "publication_types",
    "keywords",
    "languages",
    "vernacular_title",
    "other_abstracts",
    "volume",
    "issue",
    "pages",
    "issns",
    "published",
    "publisher",
    "place",
    "pmcid",
    "affiliations",
    "cited_ids",
    "rights",
)  # fields taken from the next source where the preferred one has none
_UNITED = ("urls", "databases", "accessions", "labels", "notes", "other_tags")  # of all sources, each item once
_SAME_TITLE = 0.85  # share of common characters: spelling and markup differ between databases
_SAME_ABSTRACT = 0.6  # share of common characters at the beginning; abstracts of one congress share 0.3 to 0.45
_BEGINNING = 400  # characters
_LONG_TITLE = 20  # characters; a title at least this long may begin another that has a subtitle
NUMBER = re.compile(r"\d+")
_NOT_WORD = re.compile(r"[\W_]+")


class MergeRule(Enum):
    """By what a record of a file was recognised as one that another file gave."""

    PMID = "PMID"
    DOI = "DOI"
    ID = "id"
    TEXT = "text"  # an id made from the text, as neither file gives one
    DECISION = "decision"  # of a person


def name_rule(record_id: str) -> MergeRule:
    """Return the rule by which two records with this id are one."""
    prefixes = {"PMID:": MergeRule.PMID, "DOI:": MergeRule.DOI, "TEXT:": MergeRule.TEXT}
    return next((rule for prefix, rule in prefixes.items() if record_id.startswith(prefix)), MergeRule.ID)


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that a record comes from."""

    format: str  # name of its format
    source_id: int  # key in the table sources
    release: int = 0  # place in PubMed's own numbering of files, 0 for any other file


@dataclass(frozen=True, slots=True)
class Contribution:
    """A record as one source gives it."""

    contribution_id: int  # ascending in the order in which the sources gave the record
    format: str
    abstract: Abstract
    version: int = 1
    revised: str = ""
    spoken: int = 0  # the file that gave it first, ascending in time

    @property
    def belief(self) -> tuple[bool, int, str, bool, int, int]:
        """Sort key, most preferred last: the newest of PubMed, then the newest of the others."""
        pubmed = self.format in PUBMED
        newest = (self.version, self.revised, self.format == PUBMED[0]) if pubmed else (0, "", False)
        return pubmed, *newest, self.spoken, -self.contribution_id


def is_outdated(new: tuple[int, str, int], old: tuple[int, str, int]) -> bool:
    """Return whether (version, revised, release) is older than the earlier contribution of the same source.

    A revision date or release is compared only if both have one. If nothing differs, the new one is not outdated.

    >>> is_outdated((1, "2024-01-05", 0), (1, "2024-03-01", 0))
    True
    >>> is_outdated((2, "", 0), (1, "2024-03-01", 0))
    False
    """
    if new[0] != old[0]:
        return new[0] < old[0]
    if new[1] and old[1] and new[1] != old[1]:
        return new[1] < old[1]
    return bool(new[2] and old[2] and new[2] < old[2])


def is_deleted(release: int, deletion: int) -> bool:
    """Return whether PubMed's deletion in release `deletion` applies to a record from release `release`.

    PubMed may issue a deleted citation again in a later file. Release 0 is a file without a number: every deletion
    applies to it.
    """
    return release <= deletion


def is_linked(one: Abstract, other: Abstract) -> bool:
    """Return whether two records are one: same PMID or, if either has none, same DOI or same id."""
    if one.pmid and other.pmid:
        return one.pmid == other.pmid
    same_doi = bool(one.doi and other.doi and one.doi.lower() == other.doi.lower())
    return same_doi or one.record_id == other.record_id


def merge_records(record_id: str, contributions: Sequence[Contribution]) -> Abstract:
    """Merge the contributions to a record: values of the preferred source, gaps filled from the others.

    Authors and ORCIDs always come from the same source. Retractions and notices of any source
    count, and labels, notes, databases and addresses of all sources are kept.
    """
    ranked = sorted(contributions, key=lambda contribution: contribution.belief, reverse=True)
    first, *rest = (contribution.abstract for contribution in ranked)
    values = {name: next((v for v in (getattr(a, name) for a in (first, *rest)) if v), None) for name in _FILLED}
    gaps = {name: value for name, value in values.items() if not getattr(first, name) and value}
    united: dict[str, Any] = {
        name: tuple(dict.fromkeys(item for a in (first, *rest) for item in getattr(a, name))) for name in _UNITED
    }
    people = next((a for a in (first, *rest) if a.authors), first)
    return replace(
        first,
        record_id=record_id,
        authors=people.authors,
        orcids=people.orcids,
        retracted=any(a.retracted for a in (first, *rest)),
        notices=tuple(sorted({notice for a in (first, *rest) for notice in a.notices})),
        **gaps,
        **united,
    )


def normalise_title(title: str) -> str:
    """Return a title for comparison: lower case, no accents, no punctuation, single spaces.

    >>> normalise_title("[Étude de la goutte.]")
    'etude de la goutte'
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", bare.casefold()).strip()


def is_same_work(one: Abstract, other: Abstract) -> bool:
    """Return whether two records that share a DOI or an id can be the same work.

    A congress has one DOI for all its abstracts. Equal titles suffice; titles that differ only in spelling, a subtitle
    or a translation need similar abstracts too. A missing title or abstract never counts as a difference.
    """
    titles = [normalise_title(t) for t in (one.title, one.vernacular_title) if t.strip()]
    other_titles = [normalise_title(t) for t in (other.title, other.vernacular_title) if t.strip()]
    if not titles or not other_titles or set(titles) & set(other_titles):
        return True
    return any(_is_alike(title, other_title) for title in titles for other_title in other_titles) and _is_same_abstract(
        one.abstract, other.abstract
    )


def _is_alike(one: str, other: str) -> bool:
    """Return whether two normalised titles are similar: one begins the other, or few letters and no number differ."""
    if min(len(one), len(other)) >= _LONG_TITLE and (one.startswith(other) or other.startswith(one)):
        return True
    return NUMBER.findall(one) == NUMBER.findall(other) and _is_similar(one, other, _SAME_TITLE)


def _is_same_abstract(one: str, other: str) -> bool:
    """Return whether two abstracts begin similarly; section labels and markup differ between databases."""
    if not one.strip() or not other.strip():
        return True
    return _is_similar(normalise_title(one[:_BEGINNING]), normalise_title(other[:_BEGINNING]), _SAME_ABSTRACT)


def _is_similar(one: str, other: str, share: float) -> bool:
    """Return whether two texts share at least this proportion of their characters, in order."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    # The first two are upper bounds of the third, and much cheaper.
    return all(ratio() >= share for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio))
