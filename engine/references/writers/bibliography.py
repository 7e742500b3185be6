"""References as text: Vancouver (NLM's "Citing Medicine", with ICMJE's "et al") and APA (7th edition).

A reference is made of what the record holds: journals are abbreviated only where the source gives the abbreviation, and
titles keep their capital letters. What is not known is left out; a missing date is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from engine.corpus.selection.languages import list_spellings
from engine.identifiers import build_doi_url
from engine.phrases import write_ordinal
from engine.records.abstract import Abstract
from engine.references.values.beside import is_date
from engine.references.values.citation import Cited
from engine.references.values.people import Person, list_apa, list_apa_editors, list_vancouver, read_people

_UNTITLED = "[No title]"
_RANGE = re.compile(r"([A-Za-z]*)(\d+)\s*[-\u2013]\s*([A-Za-z]*)(\d+)")
_ARTICLE = re.compile(r"[A-Za-z]+[-.]?\d{3,}|\d{5,}")  # the number of an article in place of pages
_ENDED = (".", "?", "!")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
# Types of publication, and of entries of RIS and BibTeX, that are not articles of journals.
_KINDS = {
    **dict.fromkeys(("book", "monograph"), "book"),
    **dict.fromkeys(("book chapter", "book-chapter", "chap", "incollection", "inbook"), "chapter"),
    **dict.fromkeys(("conference paper", "proceedings paper", "proceedings-article"), "chapter"),
    **dict.fromkeys(("cpaper", "inproceedings"), "chapter"),
    **dict.fromkeys(("academic dissertation", "dissertation", "phdthesis"), "dissertation"),
    **dict.fromkeys(("thesis", "thes", "mastersthesis"), "thesis"),
    **dict.fromkeys(("preprint", "posted-content"), "preprint"),
}
_THESES = {"dissertation": "Doctoral dissertation", "thesis": "Thesis"}  # as APA names them
# What other tags say about a work.
_KIND = re.compile(r"(?:RIS TY|BibTeX entry type): (.+)")
_EDITOR = re.compile(r"(?:RIS (?:A2|ED)|BibTeX editor|MEDLINE FED): (.+)", re.DOTALL)
_EDITION = re.compile(r"(?:RIS ET|BibTeX edition): (.+)", re.DOTALL)
_JOURNAL = re.compile(r"MEDLINE TA: (.+)", re.DOTALL)  # its abbreviation
_AHEAD = re.compile(r"(?:.*\b(?:ahead of print|in press)\b|MEDLINE DEP: )", re.IGNORECASE | re.DOTALL)


class _TextPart(NamedTuple):
    """A part of a reference."""

    text: str
    is_italic: bool = False


_Parts = tuple[_TextPart, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """A record as references need it."""

    kind: str  # "article", or a value of _KINDS
    authors: list[Person]
    editors: list[Person]
    title: str  # with what it is translated from, without the full stop at its end
    journal: str  # or the book that a chapter is of
    short_journal: str  # abbreviated, where the source gives that
    volume: str
    issue: str
    pages: str
    edition: str
    publisher: str
    place: str
    year: int | None
    published: str  # ISO 8601, or ""
    is_ahead: bool  # published ahead of print, by what the source says
    is_retracted: bool
    language: str  # in English; "" for English
    doi: str
    pmid: str
    pmcid: str


@dataclass(frozen=True, slots=True)
class _Style:
    """A style of references."""

    label: str
    list_sentences: Callable[[_Work], Iterator[_Parts]]


def build_reference(record: Abstract, style: str) -> _Parts:
    """Return the reference of a record in a style of STYLES, in parts."""
    parts: list[_TextPart] = []
    for sentence in filter(None, STYLES[style].list_sentences(_read_work(record))):
        parts += [_TextPart(" "), *sentence] if parts else sentence
    return tuple(parts)


def format_reference(record: Abstract, style: str) -> str:
    """Return the reference of a record in a style of STYLES, as text on one line."""
    return "".join(part.text for part in build_reference(record, style))


def write_references(cited: Iterable[Cited], style: str) -> Iterator[str]:
    """Yield the references of records in their order, a line each, numbered by rank, without hits by order."""
    for number, one in enumerate(cited, 1):
        yield f"{one.hit.rank if one.hit else number}. {format_reference(one.record, style)}\n"


def _read_work(record: Abstract) -> _Work:
    """Return a record as references need it."""
    placed = (record.volume, record.issue, record.pages)
    return _Work(
        kind=_choose_kind(record),
        authors=read_people([_clean(author) for author in record.authors]),
        editors=read_people([name for tag in _find_tags(record, _EDITOR) for name in tag.split(" and ")]),
        title=_join_titles(_clean(record.title), _clean(record.vernacular_title)),
        journal=_clean(record.journal),
        short_journal=next(_find_tags(record, _JOURNAL), _clean(record.journal)).rstrip("."),
        volume=_clean(record.volume),
        issue=_clean(record.issue),
        pages=_clean(record.pages),
        edition=_read_edition(next(_find_tags(record, _EDITION), "")),
        publisher=_clean(record.publisher).rstrip("."),
        place=_clean(record.place).rstrip(" :;,"),
        year=record.year,
        published=record.published if is_date(record.published) else "",
        is_ahead=not any(placed) and any(map(_AHEAD.match, (*record.other_tags, *record.notes))),
        is_retracted=record.retracted,
        language=_name_language(record),
        doi=record.doi or "",
        pmid=record.pmid or "",
        pmcid=record.pmcid,
    )


def _clean(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def _find_tags(record: Abstract, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield what the other tags of a record that match a pattern hold."""
    return (_clean(found[1]) for tag in record.other_tags if (found := pattern.fullmatch(tag)))


def _choose_kind(record: Abstract) -> str:
    """Return the kind of a work; a paper of a conference in a journal with volumes is an article."""
    named = (*record.publication_types, *_find_tags(record, _KIND))
    kind = next((_KINDS[name.lower()] for name in named if name.lower() in _KINDS), "article")
    return "article" if kind == "chapter" and record.volume else kind


def _join_titles(title: str, original: str) -> str:
    """Return a title without its full stop, and with the original before a translation, which is in brackets.

    >>> _join_titles("[Illness anxiety among students].", "Sykdomsangst blant studenter.")
    'Sykdomsangst blant studenter [Illness anxiety among students]'
    """
    title, original = _drop_stop(title), _drop_stop(original)
    if not original or original == title:
        return title or _UNTITLED
    return f"{original} [{_drop_stop(title.strip('[]'))}]" if title else original


def _drop_stop(text: str) -> str:
    """Return a text without the full stop at its end; an ellipsis stays.

    >>> _drop_stop("Gout and diet."), _drop_stop("[Gout.]"), _drop_stop("And so on ...")
    ('Gout and diet', '[Gout]', 'And so on ...')
    """
    return re.sub(r"(?<!\.)\.(\]?)\.?$", r"\1", text)


def _read_edition(text: str) -> str:
    """Return an edition without the word: "4th"; "" for the first.

    >>> _read_edition("2"), _read_edition("3rd ed."), _read_edition("1"), _read_edition("Rev. edition")
    ('2nd', '3rd', '', 'Rev.')
    """
    edition = re.sub(r"\s*\b(?:ed|edn|edition)\b\W*$", "", text, flags=re.IGNORECASE).strip()
    edition = write_ordinal(int(edition)) if re.fullmatch("[0-9]{1,3}", edition) else edition
    return "" if edition == "1st" else edition


def _name_language(record: Abstract) -> str:
    """Return the English name of the language of a work; "" for English, several ones, and none."""
    names = {(*list_spellings(language), "", "")[2] for language in record.languages}
    return names.pop() if len(names) == 1 and "English" not in names else ""


def _split_pages(pages: str) -> tuple[str, int, int] | None:
    """Return the letters before a range of pages, and its first and last page; None for anything else.

    >>> _split_pages("253-8"), _split_pages("F62-F73"), _split_pages("823-834.e5")
    (('', 253, 258), ('F', 62, 73), None)
    """
    found = _RANGE.fullmatch(pages)
    if found is None or found[3] not in ("", found[1]):
        return None
    first, last = found[2], found[4]
    whole = first[: max(0, len(first) - len(last))] + last
    return (found[1], int(first), int(whole)) if int(whole) >= int(first) else None


def _end(text: str) -> _Parts:
    """Return a sentence of plain text, with a full stop unless it ends already; () for no text."""
    return (_TextPart(text if text.endswith(_ENDED) else f"{text}."),) if text else ()


def _format_date(published: str) -> str:
    """Return an ISO date as NLM writes it.

    >>> _format_date("2019-05-03"), _format_date("2019-05"), _format_date("2019")
    ('2019 May 3', '2019 May', '2019')
    """
    year, month, day = (int(part) for part in [*published.split("-"), "0", "0"][:3])
    named = _MONTHS[month - 1] if 1 <= month <= len(_MONTHS) else ""
    return " ".join(filter(None, (str(year), named, str(day or "") if named else "")))


def _list_vancouver(work: _Work) -> Iterator[_Parts]:
    """Yield the sentences of a reference in Vancouver style."""
    kind = f" [{work.kind}]" if work.kind in _THESES else ""
    retracted = " [retracted]" if work.is_retracted else ""
    yield _end(list_vancouver(work.authors))
    yield _end(work.title + kind + retracted)
    if work.kind in ("article", "preprint"):
        yield _end(work.short_journal + " [Preprint]" * (work.kind == "preprint"))
        yield _end(_place_article(work))
        yield _end("Epub ahead of print" if work.is_ahead else "")
    else:
        yield from _place_part(work)
    yield _end(work.language)
    yield _end(f"doi: {work.doi}" if work.doi else "")
    numbers = (("PMID", work.pmid), ("PMCID", work.pmcid))
    yield _end("; ".join(f"{name}: {number}" for name, number in numbers if number))


def _place_article(work: _Work) -> str:
    """Return date, volume, issue and pages as NLM writes them; the day only where there is neither volume nor issue."""
    issue = f"({work.issue})" if work.issue else ""
    place = work.volume + issue
    exact = _format_date(work.published) if work.published and not place else ""
    day = exact or str(work.year or "[date unknown]")
    pages = f":{_shorten_pages(work.pages)}" if work.pages else ""
    return f"{day};{place}{pages}" if place else day + pages


def _place_part(work: _Work) -> Iterator[_Parts]:
    """Yield what a book, a chapter or a thesis ends with in Vancouver style."""
    editors = list_vancouver(work.editors, None)
    named = f"{editors}, editor{'s' if len(work.editors) > 1 else ''}" if editors else ""
    edition = f"{work.edition} ed" if work.edition else ""
    if work.kind == "chapter":
        yield _end(f"In: {named or work.journal}" if named or work.journal else "")
        yield _end(work.journal if named else "")
    else:
        yield _end(named if not work.authors else "")
    yield _end(edition)
    by = ": ".join(filter(None, (work.place, work.publisher)))
    yield _end("; ".join(filter(None, (by, str(work.year or "[date unknown]")))))
    yield _end(f"p. {_shorten_pages(work.pages)}" if work.pages and work.kind == "chapter" else "")


def _shorten_pages(pages: str) -> str:
    """Return pages without the digits that the last page shares with the first.

    >>> _shorten_pages("1905-1915"), _shorten_pages("253-8"), _shorten_pages("184-184"), _shorten_pages("e972")
    ('1905-15', '253-8', '184', 'e972')
    """
    found = _split_pages(pages)
    if found is None:
        return pages.replace("\u2013", "-")
    letters, first, last = found[0], str(found[1]), str(found[2])
    if first == last:
        return letters + first
    n = next(n for n in range(len(last)) if len(first) != len(last) or first[n] != last[n])
    return f"{letters}{first}-{last[n:]}"


def _list_apa(work: _Work) -> Iterator[_Parts]:
    """Yield the sentences of a reference in APA style; of a work without authors, the title comes first."""
    title = _write_title(work)
    people = _end(list_apa(work.authors))
    yield people or title
    yield _end(f"({work.year or 'n.d.'})")
    yield title if people else ()
    if work.kind == "chapter":
        yield _name_book(work)
    elif work.kind == "article":
        yield _name_journal(work)
    elif work.kind == "preprint":
        yield _end(work.journal or work.publisher)
    if work.kind in ("book", "chapter"):
        yield _end(work.publisher)
    url = f"https://doi.org/{work.doi}" if build_doi_url(work.doi) else ""  # as it is read, not as it is sent
    yield (_TextPart(url),) if url else ()


def _write_title(work: _Work) -> _Parts:
    """Return the title of a work, in italics unless it is a part of another one."""
    thesis = ", ".join(filter(None, (_THESES.get(work.kind), work.publisher)))
    notes = [f" ({work.edition} ed.)"] if work.edition and work.kind == "book" else []
    notes += [f" [{thesis}]"] if work.kind in _THESES else []
    notes += [" [Retracted]"] if work.is_retracted else []
    rest = "".join(notes)
    end = "" if (work.title + rest).endswith(_ENDED) else "."
    return _TextPart(work.title, work.kind not in ("article", "chapter")), _TextPart(rest + end)


def _name_journal(work: _Work) -> _Parts:
    """Return journal and volume in italics, then issue and pages."""
    if not work.journal:
        return ()
    issue = f"({work.issue})" if work.issue else ""
    pages = _write_pages(work.pages)
    rest = (issue if work.volume else f", {issue}" if issue else "") + (f", {pages}" if pages else "")
    volume = (_TextPart(", "), _TextPart(work.volume, is_italic=True)) if work.volume else ()
    return (
        _TextPart(work.journal, is_italic=True),
        *volume,
        _TextPart(f"{rest}. Advance online publication." if work.is_ahead else f"{rest}."),
    )


def _write_pages(pages: str) -> str:
    """Return pages in full with a dash between them; "Article e972" for the number of an article.

    >>> _write_pages("253-8"), _write_pages("e972"), _write_pages("184")
    ('253–258', 'Article e972', '184')
    """
    if _ARTICLE.fullmatch(pages):
        return f"Article {pages}"
    found = _split_pages(pages)
    if found is None:
        return pages.replace("-", "\u2013")
    letters, first, last = found
    return f"{letters}{first}" if first == last else f"{letters}{first}\u2013{letters}{last}"


def _name_book(work: _Work) -> _Parts:
    """Return the book of a chapter, with its editors, edition and pages."""
    if not work.journal:
        return ()
    editors, pages = list_apa_editors(work.editors), _write_pages(work.pages)
    edition = f"{work.edition} ed." if work.edition else ""
    counted = f"{'p.' if pages.isalnum() else 'pp.'} {pages}" if pages else ""
    inside = ", ".join(filter(None, (edition, counted)))
    before = f"In {editors}, " if editors else "In "
    return _TextPart(before), _TextPart(work.journal, is_italic=True), _TextPart(f" ({inside})." if inside else ".")


# By the name that the command line and the API give them.
STYLES = {"vancouver": _Style("Vancouver", _list_vancouver), "apa": _Style("APA", _list_apa)}
