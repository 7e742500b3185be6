"""Objects of JSON: each read as what it is, an export of the engine, an answer of a database's API, or plain keys."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.collect.jsonfiles import openalex
from engine.collect.values import export
from engine.collect.values.columns import match_column
from engine.collect.values.rows import build_entries
from engine.records.abstract import Entry, Rejection

# Europe PMC's codes of where a record comes from: PubMed, PMC, preprints, Agricola, …
_EUROPE_PMC = frozenset("AGR CBA CTX ETH HIR MED NBK PAT PMC PPR".split())
_PREPRINTS = {"medrxiv": "medRxiv", "biorxiv": "bioRxiv"}
_HEADING = re.compile(
    r"<(h4|jats:title|title)>\s*(?:Abstract\s*|(.*?)\s*:?\s*)</\1>\s*(?:<(?:jats:)?p>)?", re.IGNORECASE | re.DOTALL
)
_PARAGRAPH = re.compile(r"<(?:/?(?:jats:)?p|br\s*/?|/?(?:jats:)?sec)\b[^>]*>", re.IGNORECASE)
_MARKUP = re.compile(
    r"</?(?:jats:)?(?:i|b|u|em|strong|sub|sup|italic|bold|sc|span|h4|title|inf)\b[^>]*>", re.IGNORECASE
)


def read_object(row: Mapping[str, Any], name: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one object after its remarks, or one Rejection, which says where records are inside it."""
    for entry in _read_as_what_it_is(row, name, place):
        if isinstance(entry, Rejection) and (path := _find_records(row)):
            command = f"jq -c '.{path}[]' FILE > records.jsonl"
            reason = f"neither title nor abstract, but records are inside {path}. Write one a line: {command}"
            yield replace(entry, reason=reason)
        else:
            yield entry


def _read_as_what_it_is(row: Mapping[str, Any], name: str, place: str) -> Iterator[Entry]:
    """Yield the entries of an export, of a work of OpenAlex or of other keys."""
    if export.is_export(row):
        yield from export.read_export_object(row, name, place)
    elif export.is_csl_export(row):
        yield from export.read_csl_export(row, name, place)
    elif openalex.is_work(row):
        yield from openalex.read_work(row, name, place)
    else:
        yield from build_entries(_find_usual_keys(row), name, place)


def _find_records(row: Mapping[str, Any], depth: int = 3) -> str:
    """Return the keys, with dots, to a list of objects that have a title or an abstract; "" if there is none."""
    for key, value in row.items():
        items = value if isinstance(value, list) else []
        if items and isinstance(items[0], dict) and {"title", "abstract"} & {match_column(str(k)) for k in items[0]}:
            return key
        if isinstance(value, dict) and depth > 1 and (path := _find_records(value, depth - 1)):
            return f"{key}.{path}"
    return ""


def _find_usual_keys(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object with the usual keys: those of Europe PMC, bioRxiv, CSL-JSON and Crossref are translated."""
    if row.get("source") in _EUROPE_PMC and not {"pubYear", "authorString", "journalInfo", "pmid"}.isdisjoint(row):
        return _read_europe_pmc(row)
    if str(row.get("server", "")).lower() in _PREPRINTS and "doi" in row:
        return _read_preprint(row)
    if _is_csl(row):
        return _read_csl(row)
    return row


def _read_europe_pmc(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of Europe PMC, lite or core; PubMed's records have a PMID, others Europe PMC's own id."""
    issue = _get_mapping(row.get("journalInfo"))
    journal = _get_mapping(issue.get("journal"))
    people = _get_items(row, "authorList", "author")
    values = {
        "id": row.get("id") if row["source"] not in ("MED", "PMC") else None,
        "pmid": row.get("pmid") or (row.get("id") if row["source"] == "MED" else None),
        "pmcid": row.get("pmcid") or (row.get("id") if row["source"] == "PMC" else None),
        "doi": row.get("doi"),
        "title": _strip_markup(row.get("title")),
        "abstract": _strip_markup(row.get("abstractText")),
        "year": row.get("pubYear") or issue.get("yearOfPublication"),
        "date": row.get("firstPublicationDate") if not issue.get("printPublicationDate") else None,
        "published": issue.get("printPublicationDate"),
        "journal": journal.get("title") or row.get("journalTitle") or ("Preprint" if row["source"] == "PPR" else None),
        "authors": [person.get("fullName") or person.get("collectiveName") for person in people],
        "orcids": [_get_mapping(person.get("authorId")).get("value") for person in people],
        "volume": issue.get("volume") or row.get("journalVolume"),
        "issue": issue.get("issue") or row.get("issue"),
        "pages": row.get("pageInfo"),
        "issn": journal.get("issn") or row.get("journalIssn"),
        "eissn": journal.get("essn"),
        "language": row.get("language"),
        "publication_types": _get_mapping(row.get("pubTypeList")).get("pubType") or row.get("pubType"),
        "mesh": [heading.get("descriptorName") for heading in _get_items(row, "meshHeadingList", "meshHeading")],
        "keywords": _get_mapping(row.get("keywordList")).get("keyword"),
        "urls": [link.get("url") for link in _get_items(row, "fullTextUrlList", "fullTextUrl")],
        "affiliations": [row["affiliation"]] if isinstance(row.get("affiliation"), str) else None,
        "databases": ["Europe PMC"],
    }
    if not any(values["authors"]) and isinstance(byline := row.get("authorString"), str):
        values["authors"] = byline.strip().removesuffix(".")
    return {key: value for key, value in values.items() if value}


def _read_preprint(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preprint of bioRxiv's API, whose key `published` is the DOI of the article that came of it."""
    server = _PREPRINTS[str(row["server"]).lower()]
    taken = ("published", "server", "category", "license", "jatsxml", "version", "type")
    values = {key: value for key, value in row.items() if key not in taken}
    values |= {"journal": server, "databases": [server], "publication_types": ["Preprint"]}
    if row.get("category"):
        values["keywords"] = [row["category"]]
    if str(row.get("published", "NA")).upper() != "NA":
        values["published as"] = row["published"]
    return values


def _is_csl(row: Mapping[str, Any]) -> bool:
    """Return whether an object is an item of CSL-JSON, or a work of Crossref, which has the same keys."""
    people = row.get("author")
    is_person = isinstance(people, list) and any(
        isinstance(person, dict) and not {"family", "literal"}.isdisjoint(person) for person in people
    )
    return is_person or "container-title" in row or _find_date(row.get("issued")) != ""


def _read_csl(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of CSL-JSON; its id is a key of its own program."""
    values = {key: _get_first(value) if key in ("title", "container-title") else value for key, value in row.items()}
    values |= {"key": values.pop("id", None), "title": _strip_markup(values.get("title"))}
    values["abstract"] = _strip_markup(values.get("abstract"))
    values["date"] = next(
        filter(None, (_find_date(row.get(key)) for key in ("issued", "published-print", "published"))), ""
    )
    values["authors"] = [_name_person(person) for person in _get_list(row.get("author"))]
    values["orcids"] = [_get_mapping(person).get("ORCID") for person in _get_list(row.get("author"))]
    values["references"] = [
        f"DOI:{cited['DOI']}"
        for cited in _get_list(row.get("reference"))
        if isinstance(cited, dict) and cited.get("DOI")
    ]
    values["urls"] = [link.get("URL") for link in _get_list(row.get("link")) if isinstance(link, dict)]
    values["keyword"] = row.get("keyword") or row.get("subject")
    for key in ("author", "issued", "published", "published-print", "reference", "link", "subject"):
        values.pop(key, None)
    return {key: value for key, value in values.items() if value and not isinstance(value, dict)}


def _find_date(value: Any) -> str:
    """Return a date of CSL-JSON as text: of its parts, or as it is written; "" where there is none."""
    if not isinstance(value, dict):
        return ""
    parts = next(iter(_get_list(value.get("date-parts"))), None)
    if isinstance(parts, list) and parts and parts[0]:
        return "-".join(f"{part:02}" if isinstance(part, int) else str(part) for part in parts)
    return str(value.get("raw") or value.get("literal") or "")


def _name_person(person: Any) -> str:
    """Return the name of a person of CSL-JSON as "Family, Given", with particle and suffix; of a group as it is."""
    if not isinstance(person, dict):
        return str(person or "")
    if not (family := str(person.get("family") or "")):
        return str(person.get("literal") or person.get("name") or person.get("given") or "")
    family = " ".join(filter(None, (person.get("non-dropping-particle"), family)))
    given = " ".join(filter(None, (person.get("given"), person.get("dropping-particle"))))
    return ", ".join(filter(None, (family, given, person.get("suffix"))))


def _strip_markup(value: Any) -> Any:
    """Return a text without the tags of HTML and JATS; a heading gets a colon. Other values are returned unchanged."""
    if not isinstance(value, str) or "<" not in value:
        return html.unescape(value) if isinstance(value, str) and "&" in value else value
    text = _PARAGRAPH.sub("\n", _HEADING.sub(_write_heading, value))
    text = html.unescape(_MARKUP.sub("", text))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)


def _write_heading(match: re.Match[str]) -> str:
    """Return the start of a paragraph with its heading; that of the whole abstract is left out."""
    return f"\n{match[2]}: " if match[2] else "\n"


def _get_first(value: Any) -> Any:
    """Return the first item of a list; another value unchanged."""
    return next(iter(value), None) if isinstance(value, list) else value


def _get_mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _get_list(value: Any) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def _get_items(row: Mapping[str, Any], outer: str, inner: str) -> list[dict[str, Any]]:
    """Return the objects of a list in an object: authorList.author."""
    return [item for item in _get_list(_get_mapping(row.get(outer)).get(inner)) if isinstance(item, dict)]
