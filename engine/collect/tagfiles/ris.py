"""RIS, the exchange format of reference managers and databases, read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from engine.accessions import is_medline, list_unnamed, read_accessions
from engine.collect.text.lines import Chunk, decode_head
from engine.collect.text.tagfile import Grammar, normalise_tag, split_records
from engine.collect.values.dates import choose_published, read_year
from engine.collect.values.export import MARK, read_export_tags
from engine.collect.values.fields import drop_repeats
from engine.collect.values.rights import is_notice
from engine.collect.values.tags import join_pages, list_other_tags, read_issns, read_links, split_cited
from engine.identifiers import (
    find_dois,
    find_linked_dois,
    find_linked_pmid,
    find_listed_pmid,
    find_noted_pmid,
    parse_pmid,
)
from engine.records.abstract import Entry

_Tags = dict[str, list[str]]

# Two blanks before the dash, or blanks with a tab. One blank is running text ("ER - positive") unless TY has one, too.
_START = re.compile(
    r"TY(?:(?: {1,8}|[ \t]*\t[ \t]*)-(?:[ \t]|$)|(?: {2,8}|[ \t]*\t[ \t]*)-[A-Z]{3,7}[ \t]*$)", re.IGNORECASE
)
END = re.compile(r"ER(?: {2,8}|[ \t]*\t[ \t]*)-|ER *-\s*$", re.IGNORECASE)
_TAG = r"([A-Z][A-Z0-9])(?: {2,8}|[ \t]*\t[ \t]*)-[ \t]?"
_LOOSE_TAG = r"([A-Z][A-Z0-9])(?: {1,8}|[ \t]*\t[ \t]*)-(?=[ \t\n]|\Z)[ \t]?"
_BETWEEN = re.compile(r"\s*(?:\d+\.|Record #\d+ of \d+|Provider: .*|Content: .*)?\s*")  # lines between records
_ANY_TAG = re.compile(_TAG, re.IGNORECASE)
# The tags of a record, by whether its first line is in capitals, and whether one blank stands before its dash.
_TAG_LINES = {
    (is_upper, is_loose): re.compile(rf"\n{_LOOSE_TAG if is_loose else _TAG}", 0 if is_upper else re.IGNORECASE)
    for is_upper in (True, False)
    for is_loose in (True, False)
}
_NEED_TAGS = 3  # tagged lines at the beginning of a file without TY
# Where files were joined without a line end between them: after ER, or after any text before a type.
_END_SEAM = re.compile(r"ER {1,8}-[\s\ufeff]*(?=[A-Z][A-Z0-9] {1,8}- )", re.IGNORECASE)
_TYPE_SEAM = re.compile(r"(?<=\S)\ufeff?(?=TY  - [A-Z]{3,7}\s*$)")
# A tag on the line of another one: without a blank before it (Web of Science), or after several (Rayyan).
_GLUED = re.compile(
    r"(?:(?<=\S)|\s{2,})(A[DNU]|C[1-8]|D[ABOP]|EP|ID|JF|K[W]|L[1-4AK]|N1|P[BY]|S[NP]|U[1-5R]|VL|WE|Y[12])  - "
)
_OWN_ID = f"ID  - {MARK}:"
_TEXTS = {"TI", "T1", "T2", "AB", "N1", "N2"}  # running text, which is left as it is
_LISTS = {"KW", "LA"}  # EndNote writes one value per line below the tag

_TITLES = ("TI", "T1", "BT", "CT", "ST")
_JOURNALS = ("JF", "T2", "JO", "JA", "J2")  # the full name first
YEARS = ("PY", "Y1", "DA")
_LINKS = ("UR", "L1", "L2", "L3", "LK", "M3")
_PMID_LISTS = ("AN", "C3", "C5", "C6", "C7", "ID", "U1", "U2", "U3", "U4", "U5")  # "PUBMED 1,EMBASE 6"
_ADDRESSES = ("UR", "L1", "L2", "L3", "L4", "LK")
# Tags whose values are all in fields. C8 is the line that the engine's own exports add.
_READ = frozenset("AB N2 AU KW LA TT VL SN DB DP N1 RN LB CR AD PB AN".split())
# Tags whose values are in one of these fields, or in none.
_CHECKED = {
    **dict.fromkeys(_TITLES, ("title", "journal")),
    **dict.fromkeys(_JOURNALS, ("journal",)),
    **dict.fromkeys(YEARS, ("published",)),
    **dict.fromkeys(_ADDRESSES, ("urls", "doi")),
    "A1": ("authors",),
    "M1": ("affiliations",),
    "IS": ("issue",),
    "CP": ("issue",),
    "SP": ("pages",),
    "EP": ("pages",),
    "C7": ("pages",),
    "CY": ("place",),
    "PP": ("place",),
    "DO": ("doi",),
    "C1": ("rights",),
    "C2": ("pmcid", "pmid"),
    "C5": ("pmid",),
    "U2": ("accessions",),
    "ID": ("accessions",),
    "M3": ("publication_types", "doi"),
}
_DEFAULT_TYPE = "JOUR"  # of nearly every reference, so it says nothing
_PMCID = re.compile(r"PMC\d+")
_EMBASE_ADDRESS = re.compile(r"\([^()]+\) ")  # "(Liu R.; Adler D.G.) Department of …"
_WORDS = re.compile(r"[^\W\d][^\d\[\]]*")  # M3 is a publication type; Ovid has classes in it, "Health [3300]"


def looks_like(head: bytes) -> bool:
    """Return whether the first line is TY, or the first lines are tags of RIS and among them a title or ER."""
    lines = decode_head(head)
    if not lines or _START.match(normalise_tag(lines[0]).strip()):
        return bool(lines)
    tags = [_find_tag(normalise_tag(line).strip()) for line in lines]
    return all(tags[:_NEED_TAGS]) and len(lines) >= _NEED_TAGS and not _GRAMMAR.titles.isdisjoint(tags)


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a RIS file in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in split_records(stream, name, _GRAMMAR):
        yield from chunk.list_remarks(has_last_line=True)
        tagged = _read_tags(chunk)
        tags = _group_tags(tagged)
        values = _read_values(tags)
        values |= _read_more_values(tags, str(values.get("pmid", "")))
        values["other_tags"] = list_other_tags(
            ((tag, text) for tag, text in tagged if (tag, text) != ("TY", _DEFAULT_TYPE)),
            values,
            source="RIS",
            read=_READ,
            checked=_CHECKED,
        )
        yield from read_export_tags(values, tags.get("ID", []), tags.get("C8", []), name, chunk.place)


def _find_tag(line: str) -> str | None:
    """Return the tag of a line in capitals; None if it has none."""
    match = _ANY_TAG.match(line)
    return match[1].upper() if match else None


def _find_seam(line: str) -> re.Match[str] | None:
    """Return where one line is two, because files were joined without a line end between them."""
    if line[:2].upper() == "ER":
        return _END_SEAM.match(line)
    return _TYPE_SEAM.search(line)


_GRAMMAR = Grammar(
    heads=frozenset({"TY", "ER", "Ty", "Er", "ty", "er"}),
    starts=_START.match,
    ends=END.match,
    find_tag=_find_tag,
    titles=frozenset({"TI", "T1"}),
    bodies=frozenset({"AB", "N2"}),
    between=_BETWEEN.fullmatch,
    seam_mark="TY  - ",
    find_seam=_find_seam,
)


def _group_tags(tagged: list[tuple[str, str]]) -> _Tags:
    """Return the values of each tag of one record, in order."""
    tags: _Tags = {}
    for tag, text in tagged:
        if text and tag != "TY":
            tags.setdefault(tag, []).append(text)
    return tags


def _read_tags(chunk: Chunk) -> list[tuple[str, str]]:
    """Return (tag, value) in order, with wrapped lines joined by a blank; the first is TY, unless there is none."""
    first, lines = chunk.lines[0], list(chunk.lines)
    while len(lines) > 1 and not chunk.is_ended and _BETWEEN.fullmatch(lines[-1]):
        lines.pop()
    pattern = _TAG_LINES[first[:2].isupper(), first[2:4] == " -"]
    _, *pieces = pattern.split("\n".join(["", *lines]))
    tagged: list[tuple[str, str]] = []
    for tag, text in zip(pieces[::2], pieces[1::2], strict=True):
        first_line, _, rest = text.partition("\n")
        values = _split_glued(tag.upper(), first_line.strip(), lines)
        if rest and not rest.isspace():
            _add_lines(values, [line for piece in rest.split("\n") if (line := piece.strip())])
        tagged += values
    return tagged


def _split_glued(tag: str, text: str, lines: list[str]) -> list[tuple[str, str]]:
    """Return (tag, value) of a line, and of tags that a database put on the same line: "… (SSCI)AN  - WOS:000…".

    lines: those of the record. An export of the engine puts no tags on one line.
    """
    if tag in _TEXTS or "  - " not in text or any(line.startswith(_OWN_ID) for line in lines):
        return [(tag, text)]
    first, *rest = _GLUED.split(text)
    return [(tag, first.strip()), *((glued, value.strip()) for glued, value in zip(rest[::2], rest[1::2], strict=True))]


def _add_lines(values: list[tuple[str, str]], lines: list[str]) -> None:
    """Add lines without a tag to the last value, or as values of their own for the tags in _LISTS."""
    tag, value = values[-1]
    if tag in _LISTS:
        values += [(tag, line) for line in lines]
    else:
        values[-1] = tag, " ".join([value, *lines]).strip()


def _read_values(tags: _Tags) -> dict[str, object]:
    """Return the values of one record."""
    values = {
        "title": " ".join(drop_repeats(_get_first_tag(tags, _TITLES))),
        "abstract": _find_bodies([*tags.get("AB", []), *tags.get("N2", [])]),
        "year": read_year(_get_tags(tags, YEARS)) or _get_tags(tags, YEARS),
        "journal": next(iter(_get_first_tag(tags, _JOURNALS)), ""),
        "authors": _get_first_tag(tags, ("AU", "A1")),
        "pmid": _find_pmid(tags),
        "doi": _find_doi(tags),
        "accession": _list_numbers(tags),
        "keywords": [term.lstrip("*") for term in tags.get("KW", [])],
        "languages": [part for value in tags.get("LA", []) for part in re.split(r"\s*[;,]\s*", value)],
        "publication_types": list(filter(_WORDS.fullmatch, tags.get("M3", []))),
        "vernacular_title": " ".join(tags.get("TT", [])),
    }
    return {field: value for field, value in values.items() if value}


def _read_more_values(tags: _Tags, pmid: str) -> dict[str, object]:
    """Return the values that citations need, and the user's own."""

    def first(*names: str) -> str:
        return next(iter(_get_first_tag(tags, names)), "")

    years = list(_get_tags(tags, YEARS))
    notes, cited = split_cited(_get_tags(tags, ("N1", "RN")))
    values = {
        "volume": " ".join(drop_repeats(tags.get("VL", []))),
        "issue": first("IS", "CP"),
        "pages": join_pages(first("SP"), first("EP")) or first("C7"),
        "issns": read_issns(tags.get("SN", [])),
        "published": choose_published(years, read_year(years)),
        "publisher": " ".join(drop_repeats(tags.get("PB", []))),
        "place": first("CY", "PP"),
        "pmcid": next(filter(_PMCID.fullmatch, tags.get("C2", [])), ""),
        "urls": read_links(_get_tags(tags, _ADDRESSES)),
        "affiliations": [*tags.get("AD", []), *filter(_EMBASE_ADDRESS.match, tags.get("M1", []))],
        "cited_ids": [*tags.get("CR", []), *cited],
        "databases": _get_tags(tags, ("DB", "DP")),
        "accessions": _list_accessions(tags, pmid),
        "labels": tags.get("LB"),
        "notes": notes,
        "rights": "\n".join(filter(is_notice, tags.get("C1", []))),
    }
    return {field: value for field, value in values.items() if value}


def _list_accessions(tags: _Tags, pmid: str) -> list[str]:
    """Return all accession numbers but for the PMID, with the names of their databases where these are known."""
    databases = _get_tags(tags, ("DB", "DP"))
    named = read_accessions(_list_numbers(tags), databases)
    return [*named, *list_unnamed(tags.get("AN", []), databases, pmid)]


def _list_numbers(tags: _Tags) -> list[str]:
    """Return the texts that hold accession numbers: ID is a host's number, or that of a reference manager."""
    is_host = any("ebsco" in name.lower() for name in tags.get("DP", []))
    first, last = (
        [text for text in _get_tags(tags, names) if read_accessions([text])] for names in (("U2",), ("ID", "C3"))
    )
    return [*first, *tags.get("AN", []), *last, *(tags.get("ID", []) if is_host else [])]


def _get_first_tag(tags: _Tags, names: Sequence[str]) -> list[str]:
    """Return the values of the first tag that has any."""
    return next((tags[name] for name in names if tags.get(name)), [])


def _get_tags(tags: _Tags, names: Sequence[str]) -> list[str]:
    """Return the values of all these tags in order."""
    return [value for name in names for value in tags.get(name, [])]


def _find_bodies(texts: list[str]) -> str:
    """Join abstracts, one per line, without those that another one contains: AB and N2 are often the same.

    Blanks do not count in the comparison.
    """
    if len(texts) < 2:
        return "".join(texts)
    bodies = {"".join(text.split()): text for text in reversed(texts)}
    kept = [text for bare, text in bodies.items() if not any(bare != other and bare in other for other in bodies)]
    return "\n".join(reversed(kept))


def _find_pmid(tags: _Tags) -> str | None:
    """Return the PMID from the tag in which the database puts it; other places are the same in all formats."""
    databases = _get_tags(tags, ("DB", "DP"))
    names = " ".join(databases).lower()
    places = ["PM"]
    places += ["C2"] if "scopus" in names else []
    places += ["C5"] if "embase" in names or "medline" in names else []
    places += ["AN"] if is_medline(databases) else []
    if pmid := next(filter(None, map(parse_pmid, _get_tags(tags, places))), None):
        return pmid
    listed = map(find_listed_pmid, _get_tags(tags, _PMID_LISTS))
    linked = map(find_linked_pmid, _get_tags(tags, _LINKS))
    noted = map(find_noted_pmid, _get_tags(tags, ("N1", "RN", "ID", "AN", "UR")))
    return next(filter(None, chain(listed, linked, noted)), None)


def _find_doi(tags: _Tags) -> str | None:
    """Return the DOI from its own tag or from a link."""
    return next(
        iter(find_dois(tags.get("DO", [])) or find_linked_dois(_get_tags(tags, _LINKS)) or _list_bare_dois(tags)), None
    )


def _list_bare_dois(tags: _Tags) -> tuple[str, ...]:
    """Return the DOIs of the tags that hold nothing else, where people have put them."""
    return find_dois([text for text in _get_tags(tags, ("M3", "L3")) if text.startswith("10.")])
