"""The engine's own exports, which say more than other files of their formats do: the marks, and how they are read.

engine.references writes them.

They are told by marks that no other program writes: a table or object that begins with rank, id and score; in RIS and
MEDLINE an id with the engine's name before it. All other files are read as if this module were not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from engine.collect.values.fields import build_abstract_entries, parse_list, split_names
from engine.records.abstract import Abstract, Entry, Notice

MARK = "abstract-engine"
_FIRST = ["rank", "id", "score"]
_IDENTITIES = ("id", "pmid", "doi")
_TEXTS = ("title", "abstract", "year", "journal", "retracted", "vernacular_title")
_LISTS = ("authors", "mesh", "publication_types", "keywords", "languages", "notices", "other_abstracts", "orcids")
# Fields that the marked line of a record may hold, where other lines don't give them back.
BESIDE_TEXTS = ("title", "journal", "vernacular_title")
BESIDE_LISTS = tuple(name for name in _LISTS if name != "authors")
_BESIDE = ("abstract", "authors", "retracted", *BESIDE_TEXTS, *BESIDE_LISTS)
# What a spreadsheet would run: https://owasp.org/www-community/attacks/CSV_Injection. A cell that has the apostrophe
# already gets another one, so that taking one off always gives back what was there.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def is_export(names: Iterable[str]) -> bool:
    """Whether the columns of a table or the keys of an object are those of an export."""
    first = list(names)[:4]
    return first[:3] == _FIRST or first == ["change", *_FIRST]


def guard_formula(cell: str) -> str:
    """Return the text of a cell with an apostrophe before what a spreadsheet would run."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unguard_formula(cell: str) -> str:
    """Return the text that guard_formula was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_export_row(row: Mapping[str, str], source: str, place: str) -> Iterator[Entry]:
    """Yield what one row of an exported table holds."""
    cells = {name: _unguard_formula(cell) for name, cell in row.items()}
    values: dict[str, object] = {name: cells[name] for name in (*_IDENTITIES, *_TEXTS) if cells.get(name)}
    values |= {name: _split_items(cells[name]) for name in _LISTS if cells.get(name)}
    yield from _restore_terms(values, source, place)


def _split_items(cell: str) -> object:
    """The items of a list in a cell: a JSON array, or text with ; between them."""
    return parse_list(cell) if cell.startswith("[") else re.split(r"\s*;\s*", cell)


def read_export_object(row: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield what one exported object holds."""
    yield from _restore_terms(
        {name: row[name] for name in (*_IDENTITIES, *_TEXTS, *_LISTS) if row.get(name)}, source, place
    )


def _restore_terms(values: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of these values, and terms that are there twice twice."""
    known = {**values, "notices": _parse_notices(values.get("notices"))}
    keywords, languages = split_names(values.get("keywords")), split_names(values.get("languages"))
    for entry in build_abstract_entries(known, source, place):
        yield replace(entry, keywords=keywords, languages=languages) if isinstance(entry, Abstract) else entry


def _parse_notices(value: object) -> list[Notice]:
    """The notices that their texts stand for."""
    known = {str(notice) for notice in Notice}
    texts = split_names(sorted(value) if isinstance(value, set) else value)
    return [Notice(text) for text in texts if text in known]


def read_export_tags(
    values: Mapping[str, object], ids: Iterable[str], lines: Iterable[str], source: str, place: str
) -> Iterator[Entry]:
    """Yield the abstract of a tagged record (RIS, MEDLINE); what an export says beside its tags is put back.

    Args:
        values: the fields that the tags give.
        ids: values that may be the marked id.
        lines: values that may be the marked line.
        source: name of the file.
        place: of the record in it.
    """
    own = next((text.removeprefix(f"{MARK}:") for text in ids if text.startswith(f"{MARK}:")), None)
    if own is None:
        yield from build_abstract_entries(values, source, place)
    else:
        beside = next((text.removeprefix(MARK) for text in lines if text.startswith(f"{MARK} {{")), "")
        yield from _restore_terms({**_restore_fields(values, _parse_extra(beside)), "id": own}, source, place)


def _parse_extra(text: str) -> dict[str, object]:
    """The object of the marked line; empty when there is none, or none that can be read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _restore_fields(values: Mapping[str, object], beside: Mapping[str, object]) -> dict[str, object]:
    """The fields as they were before they were written for other programs."""
    found = dict(values)
    n_mesh = beside.get("n_mesh")
    if isinstance(n_mesh, int) and isinstance(terms := found.get("keywords"), list | tuple):
        found |= {"mesh": list(terms[:n_mesh]), "keywords": list(terms[n_mesh:])}
    if isinstance(breaks := beside.get("breaks"), list):
        found["abstract"] = _restore_line_ends(str(found.get("abstract", "")), breaks)
    if isinstance(forms := beside.get("names"), str):
        found["authors"] = _restore_names(split_names(found.get("authors")), forms)
    found |= {field: beside[field] for field in _BESIDE if field in beside}
    return {field: value for field, value in found.items() if value}


def _restore_line_ends(abstract: str, breaks: Sequence[object]) -> str:
    """The abstract with the blanks at these places as line ends again; as it is where one of them is no blank."""
    chars = list(abstract)
    for place in breaks:
        if not isinstance(place, int) or not 0 <= place < len(chars) or chars[place] != " ":
            return abstract
        chars[place] = "\n"
    return "".join(chars)


def _restore_names(authors: Sequence[str], forms: str) -> list[str]:
    """The names in the order in which they came: "Last, Fore" as "Fore Last" where that was turned."""
    if len(forms) != len(authors):
        return list(authors)
    return [_restore_name(author, form) for author, form in zip(authors, forms, strict=True)]


def _restore_name(author: str, form: str) -> str:
    """One name, from what was done with it."""
    if form == "i":
        return author.replace(", ", " ")
    family, _, rest = author.partition(", ")
    fore, _, suffix = rest.partition(", ") if form == "s" else (rest, "", "")
    return " ".join(filter(None, (fore, family, suffix))) if form in "fs" else author
