"""What a person wrote into the search box: words, phrases, and what must or must not occur.

    word            may occur; the more of the words, and the rarer they are, the better
    "a phrase"      must occur, its words side by side
    +word           must occur
    -word -"a b"    must not occur
    title:word      must occur in the title, as title:"a phrase" must; -title:word must not
    arthrit*        any word that begins so; the star comes after three letters or digits, also where a phrase ends

Everything else is words: there is no text that is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

FOLDED = "unicode61 remove_diacritics 2"  # how FTS5 makes words of a text: without case and accents …
STEMMED = f"porter {FOLDED}"  # … and endings

_MAX_CHARACTERS = 20_000  # of a text that are read
_MAX_WORDS = 1_000
_MAX_STARS = 32  # truncated words; the stars of further ones are ignored
_MAX_TRUNCATED = 200  # characters of one; the star of a longer one is ignored

# Lucene's for English, then words that questions are made of.
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this"
    " to was will with"
    " am been being can could did do does doing done from had has have having how may should than those were what when"
    " where whether which who whom whose why would".split()
)

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(
    r'(?P<sign>[+-](?=\S))?(?P<title>title:)?(?:["“”„](?P<phrase>[^"“”„]*)["“”„]|(?P<word>\S*))', re.IGNORECASE
)
_BEFORE_STAR = re.compile(r"[^\W_]{3,}$")


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or several that must be side by side."""

    text: str  # as written, without what is around it
    in_title: bool = False  # nowhere else
    prefix: bool = False  # the last word may be longer

    @property
    def written(self) -> str:
        """The term as a person would write it."""
        return f"{self.text}*" if self.prefix else self.text


@dataclass(frozen=True, slots=True)
class Wording:
    """A text, read."""

    plain: tuple[Term, ...]  # each may occur
    required: tuple[Term, ...]
    excluded: tuple[Term, ...]
    text: str  # for the encoder: plain and required ones as written and in their order, without the operators

    @property
    def has_words(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.plain or self.required)

    @property
    def is_constrained(self) -> bool:
        """Whether anything must, or must not, occur."""
        return bool(self.required or self.excluded)

    @property
    def wanted(self) -> tuple[Term, ...]:
        """What a record is ranked by, each term once."""
        once: dict[tuple[str, bool, bool], Term] = {}
        for term in self.plain + self.required:
            once.setdefault((term.text.lower(), term.in_title, term.prefix), term)
        return tuple(once.values())


@dataclass(frozen=True, slots=True)
class _Operand:
    """One operand with its operators."""

    sign: str  # "+", "-" or ""
    in_title: bool
    is_phrase: bool
    text: str


def parse_wording(text: str) -> Wording:
    """Read a text: its first 20,000 characters or 1,000 words, whichever is less.

    Stop words count only in phrases, where they must occur, or where there is nothing else. Words that hold no letter
    or digit are no words.

    >>> found = parse_wording('does "gouty arthritis" improve +colchicin* -children')
    >>> [term.text for term in found.plain], [term.written for term in found.required]
    (['improve'], ['gouty arthritis', 'colchicin*'])
    >>> found.text
    'does gouty arthritis improve colchicin'
    """
    plain: list[Term] = []
    required: list[Term] = []
    excluded: list[Term] = []
    read: list[str] = []
    n_stars = 0
    for piece in _split_operands(_cut_text(text)):
        term = _read_term(piece, star=n_stars < _MAX_STARS)
        n_stars += bool(term and term.prefix)
        if piece.sign == "-":
            excluded += [term] if term else []
            continue
        is_plain = not (piece.sign or piece.in_title or piece.is_phrase)
        if term:
            (plain if is_plain else required).append(term)
        if term or is_plain:
            read.append(piece.text.replace("*", "") if term and term.prefix else piece.text)
    telling = [term for term in plain if term.prefix or term.text.lower() not in STOP_WORDS]
    kept = telling if telling or required else plain
    return Wording(tuple(kept), tuple(required), tuple(excluded), " ".join(" ".join(read).split()))


def _cut_text(text: str) -> str:
    """What is read of a text."""
    kept = _UNSTORABLE.sub("", text[:_MAX_CHARACTERS])
    last = next(islice(WORD.finditer(kept), _MAX_WORDS - 1, None), None)
    return kept if last is None else kept[: last.end()]


def _split_operands(text: str) -> Iterator[_Operand]:
    """Yield the operands of a text. A quote opens a phrase only at the beginning of one, and if another closes it."""
    for match in _PIECE.finditer(text):
        if not match[0]:
            continue
        phrase = match["phrase"]
        content = match["word"] if phrase is None else phrase
        yield _Operand(match["sign"] or "", match["title"] is not None, phrase is not None, content)


def _read_term(piece: _Operand, *, star: bool) -> Term | None:
    """The term of a piece, None where it holds no letter or digit; star: whether one may be read as such."""
    kinds = [unicodedata.category(character)[0] for character in piece.text]
    if "L" not in kinds and "N" not in kinds:
        return None
    inside = [i for i, kind in enumerate(kinds) if kind in "LNM"]
    first, last = inside[0], inside[-1] + 1
    text = piece.text[first:last]
    is_starred = piece.text[last:].startswith("*") and last - first <= _MAX_TRUNCATED
    return Term(text, piece.in_title, star and is_starred and _BEFORE_STAR.search(text) is not None)


def quote_phrase(text: str) -> str:
    """A text as one FTS5 phrase, whatever is in it."""
    return '"' + text.replace('"', '""') + '"'
