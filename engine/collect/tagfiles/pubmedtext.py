"""PubMed's "Abstract (text)" format, read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from engine.collect.text.lines import Chunk, decode_head, read_text_lines
from engine.collect.values.citations import parse_citation
from engine.collect.values.dates import parse_date
from engine.collect.values.fields import build_abstract_entries
from engine.identifiers import parse_doi
from engine.records.abstract import Entry, Notice

_Values = dict[str, object]

# "12. Ann Rheum Dis. 2020 May 1;3(2):1-9. doi: …": a number, the journal, and on this line or the next the year.
_START = re.compile(r"\s{0,3}(\d{1,6})\. (?=\S*[A-Z\d\[(])(.*)")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_CITED = re.compile(r"(?:In: )?[^\n]{2,250}?[.:;\])]\s+(?:[^\n]{0,120}?;\s+)?(?:1[5-9]|20)\d\d\b(?![,\d])")
_IDS = re.compile(r"(?:DOI|PMCID|PMID):\s*\S")
_DOI = re.compile(r"\bDOI:\s*(10\.\S+)")
_PMCID = re.compile(r"\bPMCID:\s*(PMC\d+)")
_PMID = re.compile(r"\bPMID:\s*(\d+)")
_LANGUAGE = re.compile(r"\[Article in ([A-Z][A-Za-z, ]+)(?:;[^\]]*)?\]")
_NO_AUTHORS = re.compile(r"\[No authors listed\]", re.IGNORECASE)
_NOTE = re.compile(
    r"((?:Comment|Erratum|Retraction|Expression of concern|Update|Republished|Corrected and republished|Retracted and "
    r"republished|Original report|Summary for patients|Reprint|Partial retraction|Dataset described|Associated dataset)"
    r" (?:in|on|of|for|from)|Collaborators|Conflict of interest statement|Keywords?|Update in|Copyright information"
    r"|Supplementary concepts?|MeSH terms?|Substances?|Grant support)\b\s*:?\s*(?=[\s\S])",
)
_AFFILIATIONS = re.compile(r"Author information:\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:^|\n)\s*\((\d+|#)\)")
_INITIALS = r"(?:[^\W\d_a-z]{1,4}|[^\W\d_]-?[^\W\d_])(?:\s+(?:Jr|Sr|[1-4](?:st|nd|rd|th)))?"
_NAME = rf"(?:[^\W\d_][^\s,;()]*\.?\s+){{1,5}}{_INITIALS}"
_MARKS = re.compile(r"\((?:\d+|#)\)|(?<=\w)[*†‡]")  # "(1)(2)" refers to an affiliation, "(#)" to equal contribution
_BYLINE = re.compile(rf"{_NAME}(?:,\s*{_NAME})*(?:[;,].*)?\.?", re.DOTALL)
_GROUP = (
    r"[A-Z][^;.]{2,120}\b(?:Group|Collaborat\w+|Investigators|Organi[sz]ation|Consortium|Committee|Society|Network|Team|"
    r"Association|Initiative|Study|Trialists|Federation|Foundation|College|Institute|Academy|Council|Agency|Centers?)\w*"
)
_GROUPS = re.compile(rf"{_GROUP}(?:;\s*{_GROUP})*\.?")
_BOOK = re.compile(
    r"(?:In:\s*)?(?:.*?\beditors?\.\s+)?(?P<journal>[^.]+)\.\s+(?P<place>[^:;.]+):\s+(?P<publisher>[^;]+);\s+"
    r"(?P<date>(?P<year>(?:1[5-9]|20)\d\d)[^.;]*)\.?\s*(?P<left>.*)"
)
_RIGHTS = re.compile(r"(?:©|\(c\)|copyright\b|\W?published by\b|this article is protected by copyright)", re.IGNORECASE)
_LONGEST = 2000  # characters of a citation
_SEAM = re.compile(r"(PMID: \d+ +\[[^\]]*\])\ufeff?(\d+\. .+)")
_PUBLISHER = re.compile(r"(Publisher|Plain Language Summary|plain-language-summary):\s+", re.IGNORECASE)
_PLACEHOLDER = "Abstract available from the publisher."
_SECTION = re.compile(r"\n(?=[A-Z][A-Z /&,()-]{2,60}: )")
_NOTICES = {
    "Erratum in": Notice.HAS_ERRATUM,
    "Erratum for": Notice.IS_ERRATUM,
    "Retraction of": Notice.IS_RETRACTION,
    "Expression of concern in": Notice.HAS_CONCERN,
    "Expression of concern for": Notice.IS_CONCERN,
    "Partial retraction in": Notice.PARTLY_RETRACTED,
    "Corrected and republished in": Notice.REPUBLISHED,
    "Retracted and republished in": Notice.REPUBLISHED,
}
_RETRACTED = {"Retraction in", "Retracted and republished in"}


def looks_like(head: bytes) -> bool:
    """Return whether the first line numbers a citation, and one of PubMed's ids or a list of affiliations is below."""
    lines = decode_head(head)
    if not lines or (start := _START.match(lines[0])) is None:
        return False
    is_cited = _CITED.match(" ".join([start[2], *lines[1:3]])) is not None
    return is_cited and any(_IDS.match(line) or _AFFILIATIONS.match(line) for line in lines[1:])


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in _split_records(stream, name):
        yield from chunk.list_remarks()
        values = _read_values(_split_paragraphs(chunk.lines))
        yield from build_abstract_entries(values, name, f"{chunk.place} (PMID {values.get('pmid', 'missing')})")


def _split_records(stream: io.BufferedReader, name: str) -> Iterator[Chunk]:
    """Yield the records of a file: a numbered citation below a blank line starts one.

    In an abstract, a line "2. …" starts no record: no PMID is above it. Lines above the first record are dropped.

    Raises:
        SourceError: as read_text_lines; or a record is too long.
    """
    chunk: Chunk | None = None
    has_ids, is_parted = True, True  # of the current record; whether a blank line is above this one
    for number, line, is_utf8 in _read_lines(stream, name):
        if has_ids and is_parted and (match := _START.match(line)) and _looks_cited(match[2]):
            if chunk is not None:
                yield chunk
            chunk, has_ids = Chunk(number, source=name), False
        if chunk is not None:
            chunk.add(line)
            chunk.not_utf8 += [number] * (not is_utf8)
        has_ids = has_ids or _PMID.search(line) is not None
        is_parted = not line.strip() or (is_parted and chunk is None)
    if chunk is not None:
        yield chunk


def _read_lines(stream: io.BufferedReader, name: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the lines of a file as read_text_lines does; where files were joined without a line end, two for one."""
    for number, line, is_utf8 in read_text_lines(stream, name):
        seam = _SEAM.match(line)
        yield number, seam[1] if seam else line, is_utf8
        if seam:
            yield number, "", is_utf8
            yield number, seam[2], is_utf8


def _looks_cited(text: str) -> bool:
    """Return whether a text begins a citation: a journal in few words, closed by a full stop."""
    return re.match(r"(?:In: )?[^.]{1,200}[.\]]", text) is not None


def _split_paragraphs(lines: list[str]) -> list[str]:
    """Return the paragraphs of a record, with their line ends."""
    text = "\n".join(line.strip() for line in lines)
    return [part.strip("\n") for part in re.split(r"\n{2,}", text) if part.strip()]


def _join(paragraph: str) -> str:
    """Return a paragraph as one line."""
    return " ".join(paragraph.split())


def _read_values(paragraphs: list[str]) -> _Values:
    """Return the values of one record from its paragraphs: citation, title, authors, affiliations, abstract, ids."""
    citation = re.sub(r"^\d+\. ", "", _join(paragraphs[0]))
    values: _Values = dict(_read_citation(citation))
    others: list[str] = values.pop("left", [])  # type: ignore[assignment]
    rest = paragraphs[1:]
    if rest and not _IDS.match(rest[0]):
        values["title"] = _join(rest.pop(0))
    bodies: list[str] = []
    for paragraph, below in zip(rest, [*rest[1:], ""], strict=False):
        if "authors" not in values and not bodies and _is_byline(paragraph, below):
            values["authors"] = _split_byline(_MARKS.sub("", _join(paragraph)))
        else:
            _add_paragraph(paragraph, values, bodies, others)
    values["abstract"] = "\n".join(bodies)
    values["databases"] = ["PubMed"] if "pmid" in values else None
    values["other_tags"] = [f"PubMed {text}" for text in others]
    return {field: value for field, value in values.items() if value}


def _read_citation(citation: str) -> dict[str, object]:
    """Return the values of the citation; one in another form is the journal, with its year."""
    if len(citation) > _LONGEST:
        return {"journal": citation, "left": []}
    if book := _BOOK.match(citation):
        fields = book.groupdict()
        left, published = fields.pop("left"), parse_date(fields.pop("date"))
        return {**fields, "published": published, "left": [f"citation: {left}"] if left else []}
    if cited := parse_citation(citation):
        left = re.search(r"\b(?:Epub|eCollection|Print|Online ahead of print)\b.*", citation)
        return {**cited, "left": [f"citation: {left[0]}"] if left else []}
    year = _YEAR.search(citation)
    return {"journal": citation, "year": year[0] if year else "", "left": []}


def _add_paragraph(paragraph: str, values: _Values, bodies: list[str], others: list[str]) -> None:
    """Add one paragraph below the title to the values of its record."""
    text = _join(paragraph)
    if _IDS.match(paragraph):
        _read_ids(paragraph, values)
    elif match := _LANGUAGE.fullmatch(text):
        values["languages"] = re.split(r"\s*(?:,|\band\b)\s*", match[1])
    elif _NO_AUTHORS.fullmatch(text):
        return
    elif match := _AFFILIATIONS.match(paragraph):
        _read_affiliations(paragraph[match.end() :], values, others)
    elif match := _NOTE.match(text):
        _add_note(match[1], text[match.end() :], values, others)
    elif _RIGHTS.match(text):
        values["rights"] = "\n".join(filter(None, [str(values.get("rights", "")), text]))
    elif match := _PUBLISHER.match(text):
        label = "" if match[1] == "Publisher" else f"[{match[1].lower().replace(' ', '-')}] "
        kept = [f"{label or '[original] '}{text[match.end() :]}"] if text[match.end() :] != _PLACEHOLDER else []
        values["other_abstracts"] = [*_list(values.get("other_abstracts")), *kept]
    else:
        bodies.append("\n".join(map(_join, _SECTION.split(paragraph))))


def _read_affiliations(text: str, values: _Values, others: list[str]) -> None:
    """Add the affiliations, which are numbered if there are several; a note on the authors is marked with #."""
    first, *parts = _NUMBERED.split(text)
    marked = list(zip(["", *parts[::2]], [first, *parts[1::2]], strict=True))
    values["affiliations"] = [_join(part) for mark, part in marked if mark != "#" and part.strip()]
    others += [f"Author information: {_join(part)}" for mark, part in marked if mark == "#"]


def _list(value: object) -> list[object]:
    """Return the items of a list; none for no value."""
    return list(value) if isinstance(value, list) else []


def _read_ids(paragraph: str, values: _Values) -> None:
    """Add the ids of PubMed in a paragraph; those that are there already stay."""
    for field, form in (("doi", _DOI), ("pmcid", _PMCID), ("pmid", _PMID)):
        if match := form.search(paragraph):
            known = values.get(field)
            if field == "doi" and known and parse_doi(known) == parse_doi(match[1]):
                continue
            values[field] = match[1]


def _add_note(kind: str, text: str, values: _Values, others: list[str]) -> None:
    """Add what a record says about other ones, its keywords, and what no field holds."""
    if kind.startswith("Keyword"):
        values["keywords"] = text.rstrip(".")
        return
    if notice := _NOTICES.get(kind):
        values["notices"] = [*_list(values.get("notices")), notice]
    if kind in _RETRACTED:
        values["retracted"] = True
    others.append(f"{kind}: {text}")


def _is_byline(paragraph: str, below: str) -> bool:
    """Return whether a paragraph lists authors or groups; what is below it may tell."""
    text = _MARKS.sub("", _join(paragraph))
    if _LANGUAGE.fullmatch(text) or _AFFILIATIONS.match(text) or _NOTE.match(text) or _NO_AUTHORS.fullmatch(text):
        return False
    is_above = _AFFILIATIONS.match(below) is not None or below.startswith("Collaborators:")
    return is_above or _BYLINE.fullmatch(text) is not None or _GROUPS.fullmatch(text) is not None


def _split_byline(text: str) -> list[str]:
    """Return the names in "Beck A, Nunez J; Knee Study Group."; groups stand after semicolons."""
    persons, *groups = re.split(r"\s*;\s*", text.removesuffix("."))
    return [name.strip() for name in (*persons.split(","), *groups) if name.strip()]
