"""BibTeX, for LaTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from struct import unpack

from engine.collect.values.export import MARK
from engine.identifiers import build_pubmed_url
from engine.records.abstract import Abstract
from engine.references.values.beside import (
    Keeps,
    describe_standing,
    find_left_over,
    format_marked,
    is_date,
    is_issn,
    join_lines,
    split_pages,
)
from engine.references.values.citation import Cited
from engine.references.values.names import is_group, parse_name

# What TeX would act on. Braces are named where they don't match: BibTeX counts them even behind a backslash.
_NAMED = {
    "\\": r"\textbackslash{}",
    "{": r"\ensuremath{\lbrace}",
    "}": r"\ensuremath{\rbrace}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    **{char: f"\\{char}" for char in "#$%&_"},
}
_SPECIAL = re.compile(f"[{re.escape(''.join(_NAMED))}]")
_LIGATURE = re.compile(r"-(?=-)|'(?=')")  # TeX makes one sign of two
_CONTROL = re.compile("[\x00-\x1f\x7f]")  # TeX stops at these
_CHANGED = re.compile(r"[\x00-\x1f\x7f-\xa0^\\`~{}]")  # characters that readers of LaTeX differ about
_PLAIN_NAME = re.compile(r"(?!(?:.* )?and )[^\W\d_]+(?:(?:, |[ '.-])[^\W\d_]+\.?)*")
_IN_JSON = re.compile("[{}@$%]")  # what a reader of BibTeX or LaTeX acts on
_KEEPS: Keeps = {"title": lambda items: _is_kept(items[0]), "journal": lambda items: _is_kept(items[0])}
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d", "ı": "i"})
_SMALL = set("a an and are as at by does for from in into is of on or the to what with".split())  # words
_ENTRY_TYPES = {"book": "book", "book chapter": "incollection", "book-chapter": "incollection"}
_CONTAINER = {"article": "journal", "book": "series", "incollection": "booktitle"}


def write_bibtex(cited: Iterable[Cited], title: str) -> Iterator[str]:
    """Yield each record as a BibTeX entry in UTF-8, with keys such as Smith2020Knee, then Smith2020Kneea.

    White space in a text becomes single blanks. The note says rank, score and id, and first of all whether the record
    is retracted. A field "abstract-engine" holds for the engine's own reader what BibTeX has no field for and what its
    one-line values lose.
    """
    for key, one in _make_keys(cited):
        fields = [f"  {name} = {{{value}}}" for name, value in _list_fields(one) if value]
        body = ",\n".join([key, *fields])
        yield f"@{_choose_entry_type(one.record)}{{{body}\n}}\n\n"


def _list_fields(cited: Cited) -> list[tuple[str, str]]:
    """List (name, value) of one entry in order, values as TeX reads them; DOI and URL are literal."""
    record = cited.record
    standing = f"{describe_standing(cited)}, " if cited.hit else ""
    retracted = "RETRACTED. " if record.retracted else ""
    return [
        ("title", f"{{{_escape_tex(record.title)}}}" if record.title else ""),
        ("author", " and ".join(map(_format_author, record.authors))),
        (_CONTAINER[_choose_entry_type(record)], _escape_tex(record.journal)),
        ("year", str(record.year or "")),
        ("month", record.published[5:7] if is_date(record.published) else ""),
        ("volume", _escape_tex(record.volume)),
        ("number", _escape_tex(record.issue)),
        ("pages", "--".join(map(_escape_tex, split_pages(record.pages)))),
        ("publisher", _escape_tex(record.publisher)),
        ("address", _escape_tex(record.place)),
        ("issn", ", ".join(number for number in record.issns if is_issn(number))),
        ("isbn", _escape_tex(", ".join(number for number in record.issns if not is_issn(number)))),
        ("doi", _escape_literal(record.doi or "")),
        ("pmid", record.pmid or ""),
        ("pmcid", _escape_tex(record.pmcid)),
        ("eprint", record.pmid or ""),
        ("eprinttype", "pubmed" if record.pmid else ""),
        ("url", build_pubmed_url(record.pmid) or _escape_literal(next(iter(record.urls), ""))),
        ("keywords", _escape_tex("; ".join([*record.mesh, *record.keywords]))),
        ("language", _escape_tex("; ".join(record.languages))),
        ("document_type", _escape_tex("; ".join(record.publication_types))),
        ("abstract", _escape_tex(record.abstract)),
        ("affiliation", _escape_tex("; ".join(record.affiliations))),
        ("copyright", _escape_tex(record.rights)),
        ("annote", _escape_tex("; ".join(record.notes))),
        ("note", _escape_tex(f"{retracted}{MARK}: {standing}id {record.record_id}")),
        (MARK, _escape_json(format_marked(record, _find_left_over(record)))),
    ]


def _find_left_over(record: Abstract) -> dict[str, object]:
    """Return the fields that the entry loses, and how to restore the abstract."""
    left = find_left_over(record, _KEEPS, [])
    left.pop("names", None)
    if not all(map(_is_kept_author, record.authors)):
        left["authors"] = list(record.authors)
    if record.abstract and not _is_kept(join_lines(record.abstract)):
        left.pop("breaks", None)
        left["abstract"] = record.abstract
    return left


def _is_kept(text: str) -> bool:
    """Return whether a reader of BibTeX gives a text back unchanged."""
    return text == " ".join(text.split()) and not _CHANGED.search(text)


def _is_kept_author(author: str) -> bool:
    """Return whether a reader of BibTeX gives the name of a person back unchanged."""
    return _PLAIN_NAME.fullmatch(author) is not None and parse_name(author).form != "i" and not is_group(author)


def _escape_json(line: str) -> str:
    """Return JSON in which no brace of a text, and nothing else that BibTeX counts, breaks the field."""
    head, body = line[: len(MARK) + 2], line[len(MARK) + 2 : -1]
    return head + _IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", body) + line[-1]


def _choose_entry_type(record: Abstract) -> str:
    """Return the type of entry: an article unless the record says otherwise."""
    kinds = (_ENTRY_TYPES.get(kind.lower()) for kind in record.publication_types)
    return next(filter(None, kinds), "article")


def _escape_tex(text: str) -> str:
    """Return a text on one line with TeX's special characters escaped and braces balanced."""
    named = _NAMED | ({"{": r"\{", "}": r"\}"} if _is_balanced(text) else {})
    text = _SPECIAL.sub(lambda found: named[found[0]], _CONTROL.sub("", " ".join(text.split())))
    return _LIGATURE.sub(r"\g<0>{}", text)


def _is_balanced(text: str) -> bool:
    """Return whether every brace of a text is closed after it is opened: BibTeX counts even escaped ones."""
    depth = 0
    for brace in re.findall("[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _escape_literal(doi: str) -> str:
    """Return a DOI with braces and backslashes percent-encoded, since they would break the field."""
    return re.sub(r"[{}\\]", lambda found: f"%{ord(found[0]):02X}", doi)


def _format_author(name: str) -> str:
    """Return one author; in braces where BibTeX would split a single name."""
    written = parse_name(name).written if parse_name(name).form == "i" else name
    is_one = is_group(name) or name.count(",") > 2 or name.strip().lower() == "others"
    return f"{{{_escape_tex(written)}}}" if is_one else _escape_tex(written)


def _make_keys(cited: Iterable[Cited]) -> Iterator[tuple[str, Cited]]:
    """Yield each with its key, all different, whatever the case; the same hits get the same keys."""
    taken = _TakenKeys()
    for one in cited:
        base = _make_key(one.record)
        key = base + _make_suffix(taken.count(base))
        taken.add(key)
        yield key, one


class _TakenKeys:
    """The keys in use, in as little memory as any number of records needs: a Bloom filter.

    Of four million keys, two in a thousand free ones look taken; they get a suffix that they do not need.
    """

    _N_BITS = 1 << 26

    def __init__(self) -> None:
        self._bits = bytearray(self._N_BITS // 8)

    def add(self, key: str) -> None:
        """Add a key."""
        for place in self._list_places(key):
            self._bits[place >> 3] |= 1 << (place & 7)

    def count(self, base: str) -> int:
        """Return a number whose suffix makes a free key of the base: the lowest, where only numbers below are taken."""
        low, high = -1, 0
        while self._is_taken(base, high):
            low, high = high, 2 * high + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_taken(base, middle) else (low, middle)
        return high

    def _is_taken(self, base: str, number: int) -> bool:
        """Return whether the key of this number is in use."""
        places = self._list_places(base + _make_suffix(number))
        return all(self._bits[place >> 3] >> (place & 7) & 1 for place in places)

    def _list_places(self, key: str) -> tuple[int, ...]:
        """Return the bits of a key, whatever its case."""
        digest = blake2b(key.lower().encode(), digest_size=16).digest()
        return tuple(number % self._N_BITS for number in unpack("<4I", digest))


def _make_key(record: Abstract) -> str:
    """Return first author, year and first significant word of the title, in ASCII letters and digits."""
    family = "" if not record.authors else parse_name(record.authors[0]).written.partition(",")[0]
    words = [_strip_accents(word) for word in record.title.split()]
    first = next((word for word in words if word and word.lower() not in _SMALL), "")
    return f"{_strip_accents(family) or 'Anonymous'}{record.year or ''}{first[:1].upper()}{first[1:]}"


def _strip_accents(text: str) -> str:
    """Return the letters and digits of a text, with accents removed."""
    return re.sub(r"[^A-Za-z0-9]", "", unicodedata.normalize("NFKD", text.translate(_LETTERS)))


def _make_suffix(number: int) -> str:
    """Return "" for 0, then a, b … z, aa, ab and so on.

    >>> _make_suffix(0), _make_suffix(1), _make_suffix(26), _make_suffix(27)
    ('', 'a', 'z', 'aa')
    """
    text = ""
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
