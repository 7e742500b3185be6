"""Several sources, one record: what belongs together, which source is believed, what is merged. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from engine.records.abstract import Abstract

# PubMed's own word on a record that several sources have is believed before all others'.
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
)  # fields taken from the next source where the believed one has none
_SAME_TITLE = 0.85  # of the characters in common: spelling and markup differ between databases
_SAME_ABSTRACT = 0.6  # of the characters of the beginnings; two abstracts of one congress have some 0.3 to 0.45
_BEGINNING = 400  # characters
_LONG_TITLE = 20  # characters, from which on a title may be the beginning of another with its subtitle
NUMBER = re.compile(r"\d+")
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that a record comes from."""

    format: str  # name of its format
    source_id: int  # key in the table sources
    release: int = 0  # place in PubMed's own numbering of files, 0 for any other file


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one source says about a record."""

    contribution_id: int  # ascending in the order in which sources first gave the record
    format: str
    abstract: Abstract
    version: int = 1
    revised: str = ""
    spoken: int = 0  # the file that said it first, ascending in time

    @property
    def belief(self) -> tuple[bool, int, str, bool, int, int]:
        """Sort key, most believed last: PubMed's newest word before all, of the others the newest."""
        pubmed = self.format in PUBMED
        newest = (self.version, self.revised, self.format == PUBMED[0]) if pubmed else (0, "", False)
        return pubmed, *newest, self.spoken, -self.contribution_id


def is_outdated(new: tuple[int, str, int], held: tuple[int, str, int]) -> bool:
    """Whether (version, revised, release) is older than what the same source said before.

    A revision date or a release that either side lacks decides nothing. Where nothing decides, the later given wins.

    >>> is_outdated((1, "2024-01-05", 0), (1, "2024-03-01", 0))
    True
    >>> is_outdated((2, "", 0), (1, "2024-03-01", 0))
    False
    """
    if new[0] != held[0]:
        return new[0] < held[0]
    if new[1] and held[1] and new[1] != held[1]:
        return new[1] < held[1]
    return bool(new[2] and held[2] and new[2] < held[2])


def is_deleted(release: int, deletion: int) -> bool:
    """Whether PubMed's deletion, in the file of that release, holds for a record that comes with this release.

    PubMed may issue a deleted citation anew, in a later file. A release of 0 is a file without a number: a deletion
    holds for it.
    """
    return release <= deletion


def is_linked(one: Abstract, other: Abstract) -> bool:
    """Whether what two sources say belongs to one record: same id, same PMID, or same DOI and no other PMID."""
    if one.pmid and other.pmid:
        return one.pmid == other.pmid
    same_doi = bool(one.doi and other.doi and one.doi.lower() == other.doi.lower())
    return same_doi or one.record_id == other.record_id


def merge_records(record_id: str, contributions: Sequence[Contribution]) -> Abstract:
    """One record from what its sources say: the most believed one's values, its gaps filled from the others.

    Authors and ORCIDs come together from one source. Retractions and notices of any source count.
    """
    ranked = sorted(contributions, key=lambda contribution: contribution.belief, reverse=True)
    first, *rest = (contribution.abstract for contribution in ranked)
    values = {name: next((v for v in (getattr(a, name) for a in (first, *rest)) if v), None) for name in _FILLED}
    gaps = {name: value for name, value in values.items() if not getattr(first, name) and value}
    people = next((a for a in (first, *rest) if a.authors), first)
    return replace(
        first,
        record_id=record_id,
        authors=people.authors,
        orcids=people.orcids,
        retracted=any(a.retracted for a in (first, *rest)),
        notices=tuple(sorted({notice for a in (first, *rest) for notice in a.notices})),
        **gaps,
    )


def normalise_title(title: str) -> str:
    """A title for comparing: lower case, no accents, no punctuation, single spaces.

    >>> normalise_title("[Étude de la goutte.]")
    'etude de la goutte'
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", bare.casefold()).strip()


def is_same_work(one: Abstract, other: Abstract) -> bool:
    """Whether two records that share a DOI or an id can be one work: a congress has one DOI for all its abstracts.

    Their titles must be the same but for spelling, a subtitle or a translation, and then what both say in the abstract
    must be much the same, too. A title or abstract that is missing contradicts nothing.
    """
    mine = [normalise_title(t) for t in (one.title, one.vernacular_title) if t.strip()]
    theirs = [normalise_title(t) for t in (other.title, other.vernacular_title) if t.strip()]
    if not mine or not theirs or set(mine) & set(theirs):
        return True
    return any(_is_alike(a, b) for a in mine for b in theirs) and _is_same_abstract(one.abstract, other.abstract)


def _is_alike(one: str, other: str) -> bool:
    """Whether two plain titles are nearly one: one the beginning of the other, or few letters and no number apart."""
    if min(len(one), len(other)) >= _LONG_TITLE and (one.startswith(other) or other.startswith(one)):
        return True
    return NUMBER.findall(one) == NUMBER.findall(other) and _is_similar(one, other, _SAME_TITLE)


def _is_same_abstract(one: str, other: str) -> bool:
    """Whether two abstracts begin much alike; labels of sections and markup differ between databases."""
    if not one.strip() or not other.strip():
        return True
    return _is_similar(normalise_title(one[:_BEGINNING]), normalise_title(other[:_BEGINNING]), _SAME_ABSTRACT)


def _is_similar(one: str, other: str, share: float) -> bool:
    """Whether two texts have this share of their characters in common, in order."""
    letters = SequenceMatcher(None, one, other, autojunk=False)
    # The first two are upper bounds of the third, and much cheaper.
    return all(ratio() >= share for ratio in (letters.real_quick_ratio, letters.quick_ratio, letters.ratio))
