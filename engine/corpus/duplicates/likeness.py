"""Comparison of two records: how likely they are the same work, and which facts say so. Pure functions."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from engine.corpus.merging.merge import normalise_title

SHORT = 4  # words; many works share titles like "Editorial" and "Reply to the authors"
_LONG = 20  # letters; a title at least this long may be the beginning or the end of another
_NEEDED = 6.0  # points for an even chance
_STEEPNESS = 0.8  # per point
_SIMILAR_TITLE = 0.9  # share of common letters, in order
_SIMILAR_NAME = 0.8
_SIMILAR_WORD = 0.7
_SHARED_WORDS = 0.5  # of two titles; with fewer, their letters are not compared
_SAME_TEXT, _OTHER_TEXT = 0.75, 0.45  # share of the words of the shorter abstract that the longer one has
_ENOUGH = 20  # words; a shorter abstract says nothing
# Words that begin the title of a work about another work, which has the rest of the title.
_ABOUT = re.compile(
    r"(re|reply|response|comments?|commentary|letter|editorial|erratum|errata|corrigend\w+|correction|retract\w+"
    r"|expression|author|authors|summary|protocol|invited|discussion|addendum|update)\b(?! report)"
)
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "x": "10"}
_NUMBER = re.compile(r"\d+")
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "μ": "mu", "µ": "mu"}
_MINOR = frozenset("of the and for in on de der des du la le et und y e i di da a an".split())  # words in journals


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """The values of a record that are compared."""

    doc_id: int
    record_id: str
    title: str
    vernacular_title: str = ""
    year: int | None = None
    authors: tuple[str, ...] = ()
    pmid: str | None = None
    doi: str | None = None
    journal: str = ""
    volume: str = ""
    issue: str = ""
    pages: str = ""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two records are."""

    points: float  # evidence for one work, less the evidence against it
    same: tuple[str, ...]  # facts that agree: "title", "year", …
    other: tuple[str, ...]  # facts that differ

    @property
    def score(self) -> float:
        """How likely they are one work, from 0 to 1; 0.5 and more is proposed."""
        return 1 / (1 + math.exp(-_STEEPNESS * (self.points - _NEEDED)))


def compare_records(one: RecordFacts, other: RecordFacts, abstracts: tuple[str, str] = ("", "")) -> Likeness:
    """Compare two records. A value that either record lacks counts for nothing.

    Each fact gives points, for or against. The points were set by hand; equal titles, first authors and years suffice
    if nothing speaks against them.
    """
    verdicts = [
        ("title", _compare_titles(one, other)),
        ("authors", _compare_authors(one.authors, other.authors)),
        ("year", _compare_years(one.year, other.year)),
        *_compare_places(one, other),
        ("journal", _compare_journals(one.journal, other.journal)),
        ("DOI", _compare_ids(one.doi, other.doi, 3, -2.5)),
        ("PMID", _compare_ids(one.pmid, other.pmid, 5, -4)),
        ("abstract", _compare_abstracts(*abstracts)),
    ]
    points = sum(value for _, value in verdicts)
    same = tuple(name for name, value in verdicts if value > 0)
    return Likeness(points, same, tuple(name for name, value in verdicts if value < 0))


def list_titles(record: RecordFacts) -> list[str]:
    """Return the normalised titles of a record that are not blank."""
    return [title for title in map(_clean_title, (record.title, record.vernacular_title)) if title]


def join_words(title: str) -> str:
    """Return a normalised title without blanks, so that "in vitro" and "invitro" are equal."""
    return title.replace(" ", "")


@lru_cache(maxsize=1 << 16)
def _clean_title(title: str) -> str:
    """Return a title for comparison, with Greek letters as words and Roman numbers as digits.

    >>> _clean_title("TNF-α, part II")
    'tnf alpha part 2'
    """
    plain = normalise_title("".join(_GREEK.get(letter, letter) for letter in title))
    return " ".join(_ROMAN.get(word, word) for word in plain.split())


def _compare_titles(one: RecordFacts, other: RecordFacts) -> float:
    """Return the points of the two titles that are most alike."""
    pairs = [(title, other_title) for title in list_titles(one) for other_title in list_titles(other)]
    return max((_compare_two_titles(*pair) for pair in pairs), default=0.0)


@lru_cache(maxsize=1 << 16)
def _compare_two_titles(one: str, other: str) -> float:
    """Return the points of two normalised titles: 4 if equal, 3 if alike, -1 to -6 if not."""
    if join_words(one) == join_words(other):
        return 4.0 if len(one.split()) >= SHORT else 1.0
    if bool(_ABOUT.match(one)) != bool(_ABOUT.match(other)):
        return -6.0
    if _NUMBER.findall(one) != _NUMBER.findall(other):
        return -1.0 if _is_part(one, other) else -4.0  # "… , part 2", or words that a database has added
    if _is_part(one, other):
        return 3.0
    words, other_words = set(one.split()), set(other.split())
    if len(words & other_words) < _SHARED_WORDS * max(len(words), len(other_words)):
        return -4.0
    if _measure_letters(one, other) < _SIMILAR_TITLE:
        return -4.0
    return 3.0 if _is_spelling_variant(one, other) else -1.0


def _is_part(one: str, other: str) -> bool:
    """Return whether the shorter title is long and begins or ends the other one."""
    short, long = sorted((join_words(one), join_words(other)), key=len)
    return len(short) >= _LONG and (long.startswith(short) or long.endswith(short))


def _is_spelling_variant(one: str, other: str) -> bool:
    """Return whether two titles differ in spelling only, not by another word.

    >>> _is_spelling_variant("neutral stimui in rats", "neutral stimuli in rats")
    True
    >>> _is_spelling_variant("a trial in an outpatient clinic", "a trial in an inpatient population")
    False
    """
    words, other_words = one.split(), other.split()
    blocks = SequenceMatcher(None, words, other_words, autojunk=False).get_opcodes()
    return all(
        _measure_letters("".join(words[a:b]), "".join(other_words[c:d])) >= _SIMILAR_WORD
        for kind, a, b, c, d in blocks
        if kind == "replace"
    )


@lru_cache(maxsize=1 << 16)
def _measure_letters(one: str, other: str) -> float:
    """Return the share of letters that two texts have in common, in order."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= _SIMILAR_WORD else 0.0


def find_family_name(author: str) -> str:
    """Return the normalised family name of "Last, First", "First Last" or "Last F.".

    >>> [find_family_name(name) for name in ("Müller, Jörg", "Jörg Müller", "Müller J.", "Müller JK", "WHO")]
    ['muller', 'muller', 'muller', 'muller', 'who']
    """
    if "," in author:
        return normalise_title(author.split(",")[0])
    words = author.split()
    initials = len(words) > 1 and words[-1].replace(".", "").replace("-", "").isupper() and len(words[-1]) <= 5
    return normalise_title(" ".join(words[:-1]) if initials else (words[-1] if words else ""))


def _compare_authors(one: Collection[str], other: Collection[str]) -> float:
    """Return the points of two lists of authors: 2 for the same first author or half of the names, -3 for none."""
    if not one or not other:
        return 0.0
    names, other_names = ([find_family_name(author) for author in authors] for authors in (one, other))
    if names[0] == other_names[0] or _measure_letters(names[0], other_names[0]) >= _SIMILAR_NAME:
        return 2.0
    words, other_words = (
        {word for name in each for word in name.split() if len(word) > 1} for each in (names, other_names)
    )
    common = len(words & other_words)
    if not common:
        return -3.0
    return 2.0 if common >= min(len(words), len(other_words)) / 2 else -1.0


def _compare_years(one: int | None, other: int | None) -> float:
    """Return the points of two years: 1 if equal, 0 for the year of the preprint or the online version."""
    if not one or not other:
        return 0.0
    return {0: 1.0, 1: 0.0}.get(abs(one - other), -3.0)


def _compare_places(one: RecordFacts, other: RecordFacts) -> Iterator[tuple[str, float]]:
    """Yield the points of volume and first page, which say most together."""
    volumes = [_find_volume(record.volume) for record in (one, other)]
    pages = [find_first_page(record.pages) for record in (one, other)]
    volume = 0 if not all(volumes) else 1 if volumes[0] == volumes[1] else -1
    page = 0 if not all(pages) else 1 if pages[0] == pages[1] else -1
    points = {(1, 1): (1.0, 2.0), (-1, 1): (-0.5, 1.5), (1, -1): (0.5, -1.5), (-1, -1): (-1.0, -1.5)}
    for name, value in zip(("volume", "pages"), points.get((volume, page), (volume / 2, 1.5 * page)), strict=True):
        yield name, float(value)


def _find_volume(volume: str) -> str:
    """Return the number of a volume: the last number before an issue in brackets or a supplement.

    >>> [_find_volume(text) for text in ("7", "vol. 7(2)", "69 Suppl 10", "Conference: Congress 2018. 143 (Suppl 3)")]
    ['7', '7', '69', '143']
    """
    numbers = _NUMBER.findall(re.split(r"[(:;]|\bsupp", re.sub(r"^.*\.\s", "", volume), flags=re.IGNORECASE)[0])
    return numbers[-1].lstrip("0") if numbers else ""


def find_first_page(pages: str) -> str:
    """Return the first page as a number; "" where there is none, or only a count of pages.

    >>> [find_first_page(text) for text in ("1968-74", "S440", "e23-e29", "083-087", "1-7", "(no pagination)")]
    ['1968', '440', '23', '83', '', '']
    """
    match = re.match(r"\D{0,6}?0*([1-9]\d*)", unicodedata.normalize("NFKC", pages.strip()))
    return match[1] if match and match[1] != "1" else ""


@lru_cache(maxsize=1 << 16)
def _list_journal_words(journal: str) -> tuple[str, ...]:
    """Return the words of a journal that matter, without what stands in brackets or behind a colon."""
    bare = re.split(r"\s[:=]\s|[(\[]", journal)[0]
    words = [word for word in normalise_title(bare).split() if word not in _MINOR]
    return tuple(words)


@lru_cache(maxsize=1 << 16)
def _compare_journals(one: str, other: str) -> float:
    """Return the points of two journals: 1 if equal or if one abbreviates the other, -3.5 if not.

    >>> _compare_journals("Clin Microbiol Rev", "Clinical Microbiology Reviews")
    1.0
    """
    short, long = sorted((_list_journal_words(one), _list_journal_words(other)), key=lambda words: sum(map(len, words)))
    if not short or not long:
        return 0.0
    if len(short) == 1 and len(long) > 1:  # JAMA, BMJ: initials
        initials = "".join(word[0] for word in long)
        return 1.0 if short[0] in (initials, long[0], "".join(long)) else -3.5
    rest = list(long)
    matched = 0
    for word in short:
        place = next((n for n, full in enumerate(rest) if _is_abbreviation(word, full)), None)
        if place is not None:
            matched += 1
            del rest[: place + 1]
    return 1.0 if matched >= max(1, len(short) - len(short) // 4) else -3.5


def _is_abbreviation(word: str, full: str) -> bool:
    """Return whether one word begins the other, or has its first letter and others in order: "Int", "Natl"."""
    if full.startswith(word) or word.startswith(full):
        return True
    letters = iter(full)
    return word[0] == full[0] and all(letter in letters for letter in word)


def _compare_ids(one: str | None, other: str | None, same: float, different: float) -> float:
    """Return the points of two identifiers."""
    if not one or not other:
        return 0.0
    return same if one.casefold() == other.casefold() else different


def _compare_abstracts(one: str, other: str) -> float:
    """Return the points of two abstracts: 2 if the longer has most words of the shorter, -2 if it has few."""
    words, other_words = (set(normalise_title(text).split()) for text in (one, other))
    if min(len(words), len(other_words)) < _ENOUGH:
        return 0.0
    share = len(words & other_words) / min(len(words), len(other_words))
    return 2.0 if share >= _SAME_TEXT else -2.0 if share < _OTHER_TEXT else 0.0
