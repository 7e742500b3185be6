"""Search text as people write it: words, phrases, required and excluded terms.

    word            may occur, with any ending; more words and rarer words rank higher
    "a phrase"      must occur, with its words next to each other; where phrases are preferred, it may occur
    +word           must occur
    -word -"a b"    must not occur
    title:word      must occur in the title; also title:"a phrase"; -title:word must not occur there
    arthrit*        any word that begins so; needs three letters or digits before the star; works at the end of a phrase

All other text is read as words; no text is refused. What has an operator is looked up as written: only case, accents
and the like don't matter (engine.corpus.words.folding). Words joined by hyphens rank as written, and by their parts.

Words that only ask ("what is known about", "is there evidence that") are not looked for, as stop words are not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from engine.characters import DOUBLE_MARKS

_MAX_CHARACTERS = 20_000  # the rest of a text is ignored
_MAX_WORDS = 1_000
_MAX_STARS = 32  # truncated words; the stars of further ones are ignored
_MAX_TRUNCATED = 200  # characters of a truncated word; the star of a longer one is ignored

# Lucene's stop words for English, then words that are common in questions.
_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this"
    " to was will with"
    " am been being can could did do does doing done from had has have having how may should than those were what when"
    " where whether which who whom whose why would".split()
)

# Words that only ask, in a question or a text of so many words; elsewhere they are words like others.
_ASKING_WORDS = frozenset(
    "about affect affected affecting affects answer answers any anything article articles available current currently"
    " describe described describing evidence explain explained find finding findings found i information interested"
    " know knowing knowledge known learn like literature look looking me my our paper papers people person please"
    " publication publications published question questions reported research researchers said say show showing shown"
    " shows some something studied studies study tell us want way ways we you your".split()
)
_LONG = 8
_OPENINGS = frozenset(
    "are can could did do does find give has have how i is list please should show tell was were what when where"
    " whether which who whose why would".split()
)

_PART = 3  # letters of a part that ranks by itself

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
WORD = re.compile(r"[^\W_]+")
_MARKS = f'"{DOUBLE_MARKS}\uff02'  # quotation marks, the last of full width
_PIECE = re.compile(
    rf"(?P<sign>[+-](?=\S))?(?P<title>title:)?(?:[{_MARKS}](?P<phrase>[^{_MARKS}]*)[{_MARKS}]|(?P<word>\S*))",
    re.IGNORECASE,
)
_BEFORE_STAR = re.compile(r"[^\W_]{3,}$")


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or a phrase whose words must be next to each other."""

    text: str  # as written, without surrounding punctuation
    in_title: bool = False  # only in the title
    prefix: bool = False  # the last word may be longer

    @property
    def written(self) -> str:
        """The term in the syntax of this module, without its operators."""
        return f"{self.text}*" if self.prefix else self.text


@dataclass(frozen=True, slots=True)
class Wording:
    """A parsed search text."""

    plain: tuple[Term, ...]  # each may occur
    required: tuple[Term, ...]
    excluded: tuple[Term, ...]
    text: str  # for the encoder: plain and required terms as written, in order, without operators
    phrases: tuple[Term, ...] = ()  # the plain terms that were written in quotation marks

    @property
    def has_words(self) -> bool:
        """Whether there is a plain or required term."""
        return bool(self.plain or self.required)

    @property
    def is_constrained(self) -> bool:
        """Whether there is a required or excluded term."""
        return bool(self.required or self.excluded)

    @property
    def wanted(self) -> tuple[Term, ...]:
        """The terms that records are ranked by, each once."""
        once: dict[tuple[str, bool, bool], Term] = {}
        for term in self.plain + self.required:
            once.setdefault((term.text.lower(), term.in_title, term.prefix), term)
        return tuple(once.values())


@dataclass(frozen=True, slots=True)
class _Operand:
    """An operand with its operators."""

    sign: str  # "+", "-" or ""
    in_title: bool
    is_phrase: bool
    text: str


def parse_wording(text: str, *, prefer_phrases: bool = False) -> Wording:
    """Parse a search text: its first 20,000 characters or 1,000 words, whichever is less.

    Stop words count only in phrases, as required terms, or if there are no other terms; so do words of asking, in a
    question or a text of eight words and more. Words without a letter or digit are ignored.

    prefer_phrases: phrases without + and title: may occur, as words may; otherwise they must.

    >>> wording = parse_wording('does "gouty arthritis" improve +colchicin* -children')
    >>> [term.text for term in wording.plain], [term.written for term in wording.required]
    (['improve'], ['gouty arthritis', 'colchicin*'])
    >>> wording.text
    'does gouty arthritis improve colchicin'
    """
    plain: list[Term] = []
    required: list[Term] = []
    excluded: list[Term] = []
    texts: list[str] = []
    phrases: list[Term] = []
    n_stars = 0
    for operand in _split_operands(_cut_text(text)):
        term = _read_term(operand, star=n_stars < _MAX_STARS)
        n_stars += bool(term and term.prefix)
        if operand.sign == "-":
            excluded += [term] if term else []
            continue
        is_plain = not (operand.sign or operand.in_title) and (prefer_phrases or not operand.is_phrase)
        if term:
            (plain if is_plain else required).append(term)
            phrases += [term] if is_plain and operand.is_phrase else []
        if term or is_plain:
            texts.append(operand.text.replace("*", "") if term and term.prefix else operand.text)
    found = _choose_content(text, plain, phrases)
    plain_terms = found if found or required else plain
    whole = " ".join(" ".join(texts).split())
    return Wording(tuple(plain_terms), tuple(required), tuple(excluded), whole, tuple(phrases))


def _choose_content(text: str, plain: Sequence[Term], phrases: Sequence[Term]) -> list[Term]:
    """Return the plain terms without stop words and, in a text that asks, without words of asking."""
    content = [term for term in plain if term.prefix or term in phrases or term.text.lower() not in _STOP_WORDS]
    opening = WORD.search(text)
    is_question = opening is not None and (opening[0].lower() in _OPENINGS or text.rstrip().endswith("?"))
    if not is_question and len(plain) < _LONG:
        return content
    asked = [term for term in content if term.prefix or term in phrases or term.text.lower() not in _ASKING_WORDS]
    return asked or content


def is_stop_word(word: str) -> bool:
    """Return whether a folded word is one that is not looked for.

    >>> is_stop_word("the"), is_stop_word("gout")
    (True, False)
    """
    return word in _STOP_WORDS


def choose_parts(words: Sequence[str]) -> list[str]:
    """Return those of several folded words that mean something alone, each once: no stop words, nothing short.

    >>> choose_parts(["t", "cell"]), choose_parts(["state", "of", "the", "art"])
    (['cell'], ['state', 'art'])
    """
    return [word for word in dict.fromkeys(words) if len(word) >= _PART and word not in _STOP_WORDS]


def _cut_text(text: str) -> str:
    """Return the part of a text that is read."""
    storable = _UNSTORABLE.sub("", text[:_MAX_CHARACTERS])
    last = next(islice(WORD.finditer(storable), _MAX_WORDS - 1, None), None)
    return storable if last is None else storable[: last.end()]


def _split_operands(text: str) -> Iterator[_Operand]:
    """Yield the operands of a text. A quote opens a phrase only at the start of an operand and if another closes it."""
    for match in _PIECE.finditer(text):
        if not match[0]:
            continue
        phrase = match["phrase"]
        content = match["word"] if phrase is None else phrase
        yield _Operand(match["sign"] or "", match["title"] is not None, phrase is not None, content)


def _read_term(operand: _Operand, *, star: bool) -> Term | None:
    """Return the term of an operand, None if it has no letter or digit. star: whether a star may truncate it."""
    kinds = [unicodedata.category(character)[0] for character in operand.text]
    if "L" not in kinds and "N" not in kinds:
        return None
    inside = [i for i, kind in enumerate(kinds) if kind in "LNM"]
    first, last = inside[0], inside[-1] + 1
    text = operand.text[first:last]
    is_starred = operand.text[last:].startswith("*") and last - first <= _MAX_TRUNCATED
    return Term(text, operand.in_title, star and is_starred and _BEFORE_STAR.search(text) is not None)
