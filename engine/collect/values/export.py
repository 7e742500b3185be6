"""Reading of the engine's own exports, which hold more than other files of their formats.

engine.references writes them. They have marks that no other program writes: a table or object begins with rank, id and
score, or without a search with the nine columns of a record; in RIS and MEDLINE, an id begins with the engine's name;
BibTeX, EndNote XML and CSL-JSON have a field of the engine. No other file is affected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.collect.values.fields import build_abstract_entries, parse_list, split_names
from engine.identifiers import parse_doi, parse_pmid
from engine.records.abstract import LIST_FIELDS, TEXT_FIELDS, Abstract, Entry, Notice

MARK = "abstract-engine"
_FIRST = ["rank", "id", "score"]
# Of an export without a search: all of these in this order, since "id" and "title" alone begin many a table.
_WITHOUT_SEARCH = ["id", "title", "abstract", "year", "journal", "authors", "pmid", "doi", "retracted"]
_IDENTITIES = ("id", "pmid", "doi")
_TEXTS = ("year", "retracted", *(name for name in TEXT_FIELDS if name != "record_id"))
# Fields that the marked line of a record may hold because the other lines can't represent them.
BESIDE_TEXTS = tuple(name for name in TEXT_FIELDS if name not in ("record_id", "abstract"))
BESIDE_LISTS = tuple(name for name in LIST_FIELDS if name != "authors")
_BESIDE = ("abstract", "authors", "retracted", "year", "pmid", "doi", *BESIDE_TEXTS, *BESIDE_LISTS)
# Fields that an export has in tags for other programs, but that are read back from the marked line alone: their tags
# also hold what the export added, such as the link to PubMed, or can't say where one item ends.
_MARKED_ONLY = (
    "issns",
    "published",
    "urls",
    "cited_ids",
    "databases",
    "accessions",
    "rights",
    "other_tags",
)
_KEPT = ("title", "abstract", "journal", "authors")  # read from an entry that has a marked line
# Variables of CSL, each with the field that it holds unchanged.
CSL_TEXTS = {
    "title": "title",
    "original-title": "vernacular_title",
    "container-title": "journal",
    "volume": "volume",
    "issue": "issue",
    "page": "pages",
    "publisher": "publisher",
    "publisher-place": "place",
    "DOI": "doi",
    "PMID": "pmid",
    "PMCID": "pmcid",
    "abstract": "abstract",
}
_OWN_NOTE = re.compile(rf"RETRACTED|rank \d+, score \S+|{MARK}\b.*", re.DOTALL)
# Cells that a spreadsheet would run: https://owasp.org/www-community/attacks/CSV_Injection. A cell that already has an
# apostrophe gets another one, so that removing one always restores the cell.
# What some spreadsheet runs as a formula: also full-width signs, and behind blanks and characters that are not shown.
_FORMULA = re.compile(
    r"'*(?:[\t\r\n]|[\s\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe62-\ufe63\ufe66\ufe6b])"
)


def is_export(names: Iterable[str]) -> bool:
    """Return whether the columns of a table or the keys of an object are those of an export.

    Before those of an export without a search, there may be further ones, such as the decisions of a review.
    """
    return _list_further(names) is not None


def _list_further(names: Iterable[str]) -> list[str] | None:
    """Return the further columns or keys of an export, in order; None if the names are not those of an export."""
    given = list(names)
    if given[:3] == _FIRST or given[:4] == ["change", *_FIRST]:
        return []
    n = len(_WITHOUT_SEARCH)
    starts = [start for start, name in enumerate(given) if name == "id" and given[start : start + n] == _WITHOUT_SEARCH]
    return given[: starts[0]] if starts else None


def guard_formula(cell: str) -> str:
    """Return the text of a cell, with an apostrophe before it if a spreadsheet would run it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unguard_formula(cell: str) -> str:
    """Undo guard_formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_export_row(row: Mapping[str, str], source: str, place: str, *, guarded: bool = True) -> Iterator[Entry]:
    """Yield the entries of one row of an exported table, whose cells may be guarded against running as formulas."""
    cells = {name: _unguard_formula(cell) if guarded else cell for name, cell in row.items()}
    values: dict[str, object] = {name: cells[name] for name in (*_IDENTITIES, *_TEXTS) if cells.get(name)}
    values |= {name: _split_items(cells[name]) for name in LIST_FIELDS if cells.get(name)}
    yield from _restore_terms(_add_further(values, cells), source, place)


def _add_further(values: dict[str, object], row: Mapping[str, object]) -> dict[str, object]:
    """Return the values with what the further columns or keys of a row hold, as other tags: "decision: include"."""
    texts = {name: row[name] for name in _list_further(row) or ()}
    tags = [f"{name}: {text.strip()}" for name, text in texts.items() if isinstance(text, str) and text.strip()]
    return values | {"other_tags": [*split_names(values.get("other_tags")), *tags]} if tags else values


def _split_items(cell: str) -> object:
    """Return the items of a list in a cell: a JSON array, or text with ; between the items."""
    return parse_list(cell) if cell.startswith("[") else re.split(r"\s*;\s*", cell)


def read_export_object(row: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the entries of one exported object."""
    values = {name: row[name] for name in (*_IDENTITIES, *_TEXTS, *LIST_FIELDS) if row.get(name)}
    yield from _restore_terms(_add_further(values, row), source, place)


def _restore_terms(values: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of these values after its remarks, with what other readers would change or add as it was."""
    known = {**values, "notices": _parse_notices(values.get("notices"))}
    names = ("keywords", "languages", "accessions", "other_tags")
    kept = {name: split_names(values.get(name)) for name in names}
    for entry in build_abstract_entries(known, source, place):
        if isinstance(entry, Abstract):
            entry = replace(
                entry,
                pmid=parse_pmid(values.get("pmid")),
                doi=parse_doi(values.get("doi")),
                year=entry.year if values.get("year") else None,
                published=str(values.get("published", "")),
                keywords=kept["keywords"],
                languages=kept["languages"],
                accessions=kept["accessions"],
                other_tags=kept["other_tags"],
            )
        yield entry


def _parse_notices(value: object) -> list[Notice]:
    """Return the notices with these texts; unknown texts are skipped."""
    known = {str(notice) for notice in Notice}
    texts = split_names(sorted(value) if isinstance(value, set) else value)
    return [Notice(text) for text in texts if text in known]


def read_marked_record(values: Mapping[str, object], line: str, source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of an exported BibTeX entry or EndNote record after its remarks.

    Only title, abstract, journal and authors are taken from its values; the marked line holds everything else.
    """
    extra = _parse_extra(line.strip().removeprefix(MARK))
    kept = {name: values[name] for name in _KEPT if name in values}
    fields = _restore_fields(kept, extra)
    yield from _restore_terms({**fields, "id": extra["id"]} if extra.get("id") else fields, source, place)


def is_csl_export(item: Mapping[str, object]) -> bool:
    """Return whether a CSL item is one of an export."""
    custom = item.get("custom")
    return isinstance(custom, dict) and isinstance(custom.get(MARK), dict)


def read_csl_export(item: Mapping[str, Any], source: str, place: str) -> Iterator[Entry]:
    """Yield the entries of one exported CSL item."""
    texts = {field: item[name] for name, field in CSL_TEXTS.items() if item.get(name)}
    yield from read_export_object({**item["custom"][MARK], **texts}, source, place)


def read_export_tags(
    values: Mapping[str, object], ids: Iterable[str], lines: Iterable[str], source: str, place: str
) -> Iterator[Entry]:
    """Yield the abstract of a tagged record (RIS, MEDLINE) after its remarks; for an export, with its extra fields.

    Args:
        values: field values from the tags.
        ids: values of the tag that holds the marked id in an export.
        lines: values of the tag that holds the marked line in an export.
        source: name of the file.
        place: place of the record in the file.
    """
    own = next((text.removeprefix(f"{MARK}:") for text in ids if text.startswith(f"{MARK}:")), None)
    if own is None:
        yield from build_abstract_entries(values, source, place)
    else:
        extra = next((text.removeprefix(MARK) for text in lines if text.startswith(f"{MARK} {{")), "")
        yield from _restore_terms({**_restore_fields(values, _parse_extra(extra)), "id": own}, source, place)


def _parse_extra(text: str) -> dict[str, object]:
    """Parse the object of the marked line; return an empty one if it is missing or unreadable."""
    try:
        extra = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return extra if isinstance(extra, dict) else {}


def _restore_fields(values: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """Return the fields as they were before the export."""
    fields = {field: value for field, value in values.items() if field not in _MARKED_ONLY}
    fields["notes"] = [note for note in _split_notes(fields.get("notes")) if not _OWN_NOTE.fullmatch(note)]
    n_mesh = extra.get("n_mesh")
    if isinstance(n_mesh, int) and isinstance(terms := fields.get("keywords"), list | tuple):
        fields |= {"mesh": list(terms[:n_mesh]), "keywords": list(terms[n_mesh:])}
    if isinstance(breaks := extra.get("breaks"), list):
        fields["abstract"] = _restore_line_ends(str(fields.get("abstract", "")), breaks)
    if isinstance(forms := extra.get("names"), str):
        fields["authors"] = _restore_names(split_names(fields.get("authors")), forms)
    fields |= {field: extra[field] for field in _BESIDE if field in extra}
    return {field: value for field, value in fields.items() if value}


def _split_notes(value: object) -> list[str]:
    """Return the notes of a record, whole: they may hold any mark."""
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []


def _restore_line_ends(abstract: str, breaks: Sequence[object]) -> str:
    """Turn the blanks at these places into line ends; return the abstract unchanged if one of them is not a blank."""
    chars = list(abstract)
    for place in breaks:
        if not isinstance(place, int) or not 0 <= place < len(chars) or chars[place] != " ":
            return abstract
        chars[place] = "\n"
    return "".join(chars)


def _restore_names(authors: Sequence[str], forms: str) -> list[str]:
    """Return the names as they were before the export: "Last, Fore" as "Fore Last" where the export inverted them."""
    if len(forms) != len(authors):
        return list(authors)
    return [_restore_name(author, form) for author, form in zip(authors, forms, strict=True)]


def _restore_name(author: str, form: str) -> str:
    """Return one name as it was before the export; the form says how the export changed it."""
    if form == "g":
        return author.removesuffix(",")
    if form == "i":
        return author.replace(", ", " ")
    family, _, rest = author.partition(", ")
    fore, _, suffix = rest.partition(", ") if form == "s" else (rest, "", "")
    return " ".join(filter(None, (fore, family, suffix))) if form in "fs" else author
