"""OpenAlex works as its API returns them, one JSON object per line. Abstracts are restored from the inverted index."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.collect.text.lines import decode_first_line, read_objects
from engine.collect.values.fields import drop_repeats
from engine.collect.values.identity import FieldError
from engine.collect.values.omissions import list_omitted
from engine.collect.values.rows import build_entries
from engine.records.abstract import Entry, Rejection, Remark

_HOST = "https://openalex.org/"
_ADDRESS = f"{_HOST}W"
_INVERTED = "abstract_inverted_index"
_PMCID = re.compile(r"(?:PMC|pmc/articles/|^)(\d+)/?$", re.IGNORECASE)
_OMITTED = list_omitted("OpenAlex")
# Keys that are read into fields under other names.
_READ = frozenset(
    "title display_name publication_year authorships primary_location host_venue ids biblio mesh is_retracted "
    "open_access best_oa_location abstract_inverted_index abstract_inverted_index_v3".split()
)
_BROKEN_INDEX = f"{_INVERTED} that is not an object of words with lists of positions, ignored"


def looks_like(head: bytes) -> bool:
    """Return whether the first line is an OpenAlex work; the line may be longer than the bytes in head."""
    line = decode_first_line(head).lstrip()
    if not line.startswith("{"):
        return False
    try:
        return is_work(json.loads(line))
    except (ValueError, RecursionError):
        return f'"{_INVERTED}"' in line or line[1:].lstrip().startswith((f'"id": "{_ADDRESS}', f'"id":"{_ADDRESS}'))


def is_work(row: Any) -> bool:
    """Return whether an object is an OpenAlex work."""
    return isinstance(row, dict) and (_INVERTED in row or str(row.get("id", "")).startswith(_ADDRESS))


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the works in order; a line that can't be used gives a Rejection with its number.

    Raises:
        SourceError: a line is too long.
    """
    for item in read_objects(stream, name):
        if isinstance(item, tuple):
            yield from read_work(item[1], name, item[0])
        else:
            yield item


def read_work(work: Mapping[str, Any], name: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one work after its remarks, or one Rejection."""
    fault = ""
    try:
        values = _read_values(work)
    except FieldError as err:
        fault, values = str(err), _read_values({**work, _INVERTED: None})
    values = {key: value for key, value in values.items() if value}
    if fault and not values.get("title") and not values.get("abstract"):
        yield Rejection(name, place, fault)
        return
    if fault:
        yield Remark(_BROKEN_INDEX, place)
    yield from build_entries(values, name, place)


def _read_values(work: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a work; fields that OpenAlex doesn't have are read from the usual keys.

    Counts, topics and other values that OpenAlex calculates are left out.
    """
    authorships = _get_mappings(work.get("authorships"))
    people = [entry.get("author") or {} for entry in authorships]
    venue = _get_mapping(_get_mapping(work.get("primary_location")).get("source")) or _get_mapping(
        work.get("host_venue")
    )
    ids, volume = _get_mapping(work.get("ids")), _get_mapping(work.get("biblio"))
    own = {
        "title": work.get("display_name") or work.get("title"),
        "abstract": _restore_abstract(work.get(_INVERTED)) or work.get("abstract"),
        "year": work.get("publication_year"),
        "journal": venue.get("display_name"),
        "authors": [person["display_name"] for person in people if person.get("display_name")],
        "orcids": [person.get("orcid") or "" for person in people if person.get("display_name")],
        "pmid": ids.get("pmid"),
        "doi": ids.get("doi"),
        "mesh": drop_repeats(str(heading.get("descriptor_name") or "") for heading in _get_mappings(work.get("mesh"))),
        "publication_types": [work["type"]] if isinstance(work.get("type"), str) else None,
        "retracted": work.get("is_retracted"),
        "volume": volume.get("volume"),
        "issue": volume.get("issue"),
        "first_page": volume.get("first_page"),
        "last_page": volume.get("last_page"),
        "publication_date": work.get("publication_date"),
        "issns": drop_repeats(
            str(number)
            for place in (venue, _get_mapping(work.get("host_venue")))
            for number in [place.get("issn_l") or "", *_get_list(place.get("issn"))]
        ),
        "publisher": venue.get("host_organization_name") or venue.get("publisher"),
        "pmcid": _find_pmcid(work, ids),
        "urls": _find_urls(work),
        "affiliations": drop_repeats(text for entry in authorships for text in _list_affiliations(entry)),
        "referenced_works": [
            str(cited).removeprefix("https://openalex.org/") for cited in _get_list(work.get("referenced_works"))
        ],
        "databases": ["OpenAlex"] if str(work.get("id", "")).startswith(_ADDRESS) else None,
    }
    filled = {key: value for key, value in own.items() if value}
    taken = {*filled, "type"} | _READ | _OMITTED
    return {**{key: value for key, value in work.items() if key not in taken}, **filled}


def _find_pmcid(work: Mapping[str, Any], ids: Mapping[str, Any]) -> str:
    """Return the PMCID among the ids of a work, or in the address of one of its copies; "" without one."""
    places = (str(place.get("landing_page_url")) for place in _get_mappings(work.get("locations")))
    found = next(filter(None, map(_PMCID.search, [str(ids.get("pmcid") or ""), *places])), None)
    return f"PMC{found[1]}" if found else ""


def _list_affiliations(authorship: Mapping[str, Any]) -> list[str]:
    """Return the affiliations of an author as the work has them, else the names of the institutions."""
    written = _get_list(authorship.get("raw_affiliation_strings")) or [authorship.get("raw_affiliation_string")]
    names = [place.get("display_name") for place in _get_mappings(authorship.get("institutions"))]
    return [str(text) for text in (written if any(written) else names) if text]


def _find_urls(work: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of the full text and of the publisher's page."""
    places = [_get_mapping(work.get(name)) for name in ("best_oa_location", "primary_location")]
    urls = [_get_mapping(work.get("open_access")).get("oa_url")]
    urls += [place.get(key) for key in ("pdf_url", "landing_page_url") for place in places]
    urls.append(_get_mapping(work.get("host_venue")).get("url"))
    return drop_repeats(str(url) for url in urls if url)


def _restore_abstract(inverted: Any) -> str:
    """Return the text of an inverted index (word -> positions): the words in order of position, "" without an index.

    Raises:
        FieldError: it is not such an index.
    """
    if not inverted:
        return ""
    try:
        placed = [(int(position), word) for word, positions in inverted.items() for position in positions]
    except (AttributeError, TypeError, ValueError, OverflowError) as err:
        kind = type(inverted).__name__
        raise FieldError(f"{_INVERTED} is not an object of words with lists of positions (found {kind})") from err
    return " ".join(word for _, word in sorted(placed, key=lambda item: item[0]))


def _get_mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _get_mappings(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; an empty list if the value is not one."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _get_list(value: Any) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
