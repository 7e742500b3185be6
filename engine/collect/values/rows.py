"""Records of tables and objects: the values of their columns or keys, brought together field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from engine.accessions import parse_accession
from engine.collect.values.authors import split_authors
from engine.collect.values.citations import parse_citation
from engine.collect.values.columns import choose_columns, match_columns
from engine.collect.values.dates import has_more_than, parse_date, read_year
from engine.collect.values.fields import (
    build_abstract_entries,
    drop_repeats,
    split_names,
    split_terms,
)
from engine.collect.values.identity import is_missing
from engine.collect.values.tags import join_pages, read_issns
from engine.identifiers import parse_doi
from engine.records.abstract import Entry, Remark

_TOO_LARGE = "nested values or long lists that no field takes, left out"
_MAX_NESTED = 1000  # characters of JSON that a nested value may have to be kept
# Rayyan glues what follows a DOI or an address in the file that it read: "10.1/x     U2  - L699880001".
_GLUED = re.compile(r"(?<!\s)\s++([A-Z][A-Z0-9])\s{2}- ?")
_PMID = re.compile(r"\bPMID\s*:\s*(\d+)", re.IGNORECASE)
_PMCID = re.compile(r"(?<![A-Z])(?:PMC)?\s*(\d{1,9})", re.IGNORECASE)
_NOTED_PMCID = re.compile(r"\bPMCID\s*:\s*(PMC\d+)", re.IGNORECASE)
_ID_LINE = re.compile(r"^\s*(?:<p>)?(?:PMID|PMCID)\s*:\s*\S+\s*$", re.IGNORECASE | re.MULTILINE)
_BETWEEN_LINKS = re.compile(r"[;,|\s]+(?=(?:https?|ftp)://|www\.)")
_LINK = re.compile(r"(?:[a-z][a-z-]+://|www\.)", re.IGNORECASE)
_DOI_LINK = re.compile(r"^(?:https?://)?[\w.-]*doi[\w.-]*/+10\.", re.IGNORECASE)
_OUTSIDE_BRACKETS = re.compile(r"\s*[;|]\s*(?![^\[]*\])")
# What is an id of no work: a list of terms, or a text that has no end.
_NO_ID = re.compile(r";|(?:\S+\s+){4}")


def build_entries(row: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one row (column -> value) after its remarks, or one Rejection.

    A filled column that no field takes is kept in other_tags, as "Column: value".
    """
    values, left = choose_columns(row)
    _settle_ids(values, left)
    _settle_citation(values)
    _settle_date(values, left)
    _settle_pages(values)
    _settle_lists(values, left)
    if (database := match_columns(tuple(row)).database) and "databases" not in values:
        values["databases"] = [database]
    texts = {name: _format_left(value) for name, value in left}
    if None in texts.values():
        yield Remark(_TOO_LARGE, place)
    others = [f"{name.replace(': ', ' ').strip()}: {text}" for name, text in texts.items() if text]
    if others := [*split_names(values.get("other_tags")), *others]:
        values["other_tags"] = others
    yield from build_abstract_entries(values, source, place)


def _format_left(value: object) -> str | None:
    """Return the text of a value for other_tags, "" for an empty one; None for one that is too large to keep."""
    if isinstance(value, str):
        return value.strip()
    if value is None or value is False or value in ([], {}, ()):
        return ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "; ".join(map(str, value))
    text = str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_NESTED else None


def _settle_ids(values: dict[str, Any], left: list[tuple[str, object]]) -> None:
    """Bring the ids of a row together: what is glued to them is cut, and what is no id is left."""
    for field in ("doi", "urls"):
        if field in values:
            values[field] = _cut_glued(values[field], values, left)
    own = values.get("id")
    if isinstance(own, str) and _NO_ID.search(own.strip()):
        left.append(("id", values.pop("id")))
    elif isinstance(own, str) and parse_accession(own):
        values["accession"] = [values.pop("id"), *values.get("accession", [])]
    if values.pop("database_code", None) == "pmc" and "pmid" in values:
        values["pmcid"] = values.pop("pmid")
    listed = " ".join(str(values.pop(field)) for field in ("identifiers",) if field in values)
    if "pmid" not in values and (match := _PMID.search(listed)):
        values["pmid"] = match[1]
    noted = _NOTED_PMCID.search(f"{listed} {values.get('extra', '')}")
    if match := _PMCID.fullmatch(str(values.get("pmcid", noted[1] if noted else "")).strip()):
        values["pmcid"] = f"PMC{match[1]}"
    links = [str(url) for url in values.get("urls", []) if _DOI_LINK.match(str(url).strip())]
    if not values.get("doi") and links and (doi := parse_doi(unquote(links[0].strip()))):
        values["doi"] = doi


def _cut_glued(value: Any, values: dict[str, Any], left: list[tuple[str, object]]) -> Any:
    """Return a value, or values, without the tags of RIS glued to the end; these are left, and give an accession."""
    if isinstance(value, list):
        return [_cut_glued(item, values, left) for item in value]
    if not isinstance(value, str) or not (match := _GLUED.search(value)):
        return value
    parts = _GLUED.split(value)
    for tag, text in zip(parts[1::2], parts[2::2], strict=True):
        left.append((f"RIS {tag}", text))
        if parse_accession(text.strip()):
            values["accession"] = [*values.get("accession", []), text.strip()]
    return value[: match.start()]


def _settle_citation(values: dict[str, Any]) -> None:
    """Fill fields that have no column of their own from the citation; one that can't be read stands for the journal."""
    citations = [text for text in values.pop("citation", []) if isinstance(text, str)]
    for text in citations:
        for field, value in parse_citation(text).items():
            values.setdefault(field, value)
    if citations and "journal" not in values:
        values["journal"] = citations[0]


def _settle_date(values: dict[str, Any], left: list[tuple[str, object]]) -> None:
    """Make one date of year, month and day; the year comes from the date where there is no other.

    What can't be read of them is left.
    """
    year, dated = read_year(values.get("year")), values.pop("date", None)
    month, day = str(values.pop("month", "") or "").strip(), str(values.pop("day", "") or "").strip()
    if not year and dated is not None:
        values["year"] = dated
        year = read_year(dated)
    texts = [str(values.get("published", "")), str(dated or ""), f"{dated} {year}", str(values.get("year", ""))]
    texts.append("-".join(filter(None, (str(year), month, day))) if month.isdigit() else f"{year} {month} {day}")
    dates = [date for text in texts if (date := parse_date(text)) and (not year or date.startswith(str(year)))]
    published = values["published"] = max(dates, key=len, default="")
    known = published or str(year or "")
    left += [("year", values["year"])] if not year and not is_missing(values.get("year")) else []
    given = (("date", dated), ("month", month), ("day", day))
    left += [(name, value) for name, value in given if has_more_than(str(value or ""), known)]


def _settle_pages(values: dict[str, Any]) -> None:
    """Make one range of the first and the last page; the number of an article stands where there are no pages."""
    first, last = (str(values.pop(field, "") or "").strip() for field in ("first_page", "last_page"))
    number = values.pop("article_number", "")
    if "pages" not in values:
        values["pages"] = join_pages(first, last) or number


def _settle_lists(values: dict[str, Any], left: list[tuple[str, object]]) -> None:
    """Split the lists of a row, each in the way of its kind."""
    for field in ("authors", "byline", "closed_byline"):
        if field == "authors" and field in values:
            values[field] = split_authors(values[field])
    terms = [*values.pop("keywords", []), *values.pop("more_keywords", [])]
    values["keywords"] = drop_repeats(term for value in terms for term in split_terms(value))
    values["labels"] = [label for value in values.pop("labels", []) for label in split_terms(value)]
    numbers = [text for value in values.pop("issns", []) for text in _list_texts(value)]
    values["issns"] = read_issns(numbers)
    values["databases"] = [name for value in values.pop("databases", []) for name in split_names(value)]
    values["affiliations"] = [
        name
        for value in values.pop("affiliations", [])
        for name in (_OUTSIDE_BRACKETS.split(value) if isinstance(value, str) else split_names(value))
    ]
    cited = [item for value in values.pop("cited_ids", []) for item in split_names(value)]
    values["cited_ids"] = [item for item in cited if not item.isdigit()]  # a number alone is how many it cites
    left += [("references", item) for item in cited if item.isdigit()]
    values["urls"], others = _split_links(values.pop("urls", []))
    left += [("url", text) for text in others]
    values["notes"] = [note for value in values.pop("notes", []) for note in _list_texts(value)]
    if extra := _ID_LINE.sub("", str(values.get("extra", ""))).strip():
        values["notes"].append(extra)
    for field in [field for field, value in values.items() if value in ([], (), "")]:
        del values[field]


def _list_texts(value: object) -> tuple[str, ...]:
    """Return the texts of a value: one text, whatever marks it holds, or the items of a list."""
    return (value.strip(),) if isinstance(value, str) else split_names(value)


def _split_links(values: Iterable[object]) -> tuple[list[str], list[str]]:
    """Return (the addresses of these values, what is none)."""
    texts = [text.strip() for value in values for item in _list_texts(value) for text in _BETWEEN_LINKS.split(item)]
    return [text for text in texts if _LINK.match(text)], [text for text in texts if text and not _LINK.match(text)]
