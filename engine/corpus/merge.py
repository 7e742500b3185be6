"""Several sources, one record: what belongs together, which source is believed, what is merged. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from engine.records import Abstract

# Sources that are believed first about a record that several have. All others follow, in the order they came.
AUTHORITY = {"PubMed XML": 0, "MEDLINE": 1}
OTHERS = 2
FILLED = (
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
SAME_TITLE = 0.8  # of the characters in common: spelling, subtitles and markup differ between databases
NOT_WORD = re.compile(r"[\W_]+")


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

    PubMed may issue a deleted citation anew, in a later file. Releases of 0 are unnumbered: a numbered deletion holds
    for them, an unnumbered one only for what came before it.
    """
    return deletion > 0 and release <= deletion


def merged(record_id: str, contributions: Sequence[Contribution]) -> Abstract:
    """One record from what its sources say: the most believed one's values, its gaps filled from the others.

    Authors and ORCIDs come together from one source. Retractions and notices of any source count.
    """
    ranked = sorted(contributions, key=lambda c: (AUTHORITY.get(c.format, OTHERS), c.contribution_id))
    first, *rest = (contribution.abstract for contribution in ranked)
    values = {name: next((v for v in (getattr(a, name) for a in (first, *rest)) if v), None) for name in FILLED}
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


def plain_title(title: str) -> str:
    """A title for comparing: lower case, no accents, no punctuation, single spaces.

    >>> plain_title("[Étude de la goutte.]")
    'etude de la goutte'
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))
    return NOT_WORD.sub(" ", bare.casefold()).strip()


def titles_agree(one: Abstract, other: Abstract) -> bool:
    """Whether two records that share a DOI can be one work: a book of congress abstracts has one DOI for them all.

    A missing title contradicts nothing; a vernacular title counts as well.
    """
    mine = [plain_title(t) for t in (one.title, one.vernacular_title) if t.strip()]
    theirs = [plain_title(t) for t in (other.title, other.vernacular_title) if t.strip()]
    if not mine or not theirs:
        return True
    return any(alike(a, b) for a in mine for b in theirs)


def alike(one: str, other: str) -> bool:
    """Whether two plain titles are one: equal, one the beginning of the other, or nearly the same characters."""
    if one == other or (min(len(one), len(other)) >= 20 and (one.startswith(other) or other.startswith(one))):
        return True
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= SAME_TITLE
