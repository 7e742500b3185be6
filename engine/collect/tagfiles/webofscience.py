"""Tagged files of Web of Science ("FN Clarivate …"), read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from engine.collect.text.lines import Chunk, decode_first_line
from engine.collect.text.tagfile import Grammar, split_records
from engine.collect.values.dates import read_year
from engine.collect.values.fields import build_abstract_entries
from engine.collect.values.tags import join_pages, list_other_tags, read_issns
from engine.records.abstract import Entry

_Tags = dict[str, list[str]]

_START = re.compile("PT ")
_SEAM = re.compile(r"E[RF]\s*\ufeff?(?=PT [A-Z]|FN )")  # files were joined without a line end between them
END = re.compile(r"ER\s*$")
_MAGIC = re.compile(r"FN (?:Clarivate|ISI|Thomson)", re.IGNORECASE)
_OF_FILE = {"FN", "VR", "EF", "ER"}
_BETWEEN = re.compile(r"(?:FN|VR|EF)\b")
_TAG = re.compile(r"([A-Z][A-Z0-9])(?: (.*))?")

# Tags whose values are all in fields, AU, which has the names in AF in short, and FN and VR, which are about the file.
_READ = frozenset("TI AB PY SO AF AU PM DI UT DE ID LA DT VL IS SN EI BN PU PI C1 CR FN VR".split())
_CHECKED = {"BP": ("pages",), "EP": ("pages",), "AR": ("pages",), "PD": ("published",), "PT": ("publication_types",)}


def looks_like(head: bytes) -> bool:
    """Return whether the first line names Web of Science, or starts a record."""
    line = decode_first_line(head)
    return _MAGIC.match(line) is not None or re.fullmatch(r"PT [A-Z]\s*", line) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in split_records(stream, name, _GRAMMAR):
        yield from chunk.list_remarks(has_last_line=True)
        tags = _group_tag_lines(chunk)
        values = _read_values(tags) | _read_more_values(tags)
        joined = ((tag, " ".join(filter(None, lines))) for tag, lines in tags.items() if (tag, lines) != ("PT", ["J"]))
        others = list_other_tags(joined, values, source="WoS", read=_READ, checked=_CHECKED)
        if not read_year(values.get("year")):
            others += [f"WoS PY: {year}" for year in tags.get("PY", [])]
        values["other_tags"] = others
        yield from build_abstract_entries(values, name, chunk.place)


def _read_more_values(tags: _Tags) -> dict[str, object]:
    """Return the values that citations need."""

    def joined(*names: str) -> str:
        return next((text for name in names if (text := " ".join(tags.get(name, [])).strip())), "")

    values = {
        "volume": joined("VL"),
        "issue": joined("IS"),
        "pages": join_pages(joined("BP"), joined("EP")) or joined("AR"),
        "issns": read_issns([*tags.get("SN", []), *tags.get("EI", []), *tags.get("BN", [])]),
        "publisher": joined("PU"),
        "place": joined("PI"),
        "affiliations": tags.get("C1"),
        "cited_ids": tags.get("CR"),
    }
    return {field: value for field, value in values.items() if value}


def _find_tag(line: str) -> str | None:
    """Return the tag of a line, without those of the file and the end of a record."""
    match = _TAG.fullmatch(line.rstrip())
    return match[1] if match and match[1] not in _OF_FILE else None


_GRAMMAR = Grammar(
    heads=frozenset({"PT", "ER", "EF"}),
    starts=_START.match,
    ends=END.match,
    find_tag=_find_tag,
    titles=frozenset({"TI"}),
    bodies=frozenset({"AB"}),
    between=_BETWEEN.match,
    find_seam=_SEAM.match,
)


def _group_tag_lines(chunk: Chunk) -> _Tags:
    """Return the lines of each tag of one record, in order; a line without a tag belongs to the tag before it."""
    tags: _Tags = {}
    values: list[str] = []
    for line in chunk.lines:
        match = _TAG.fullmatch(line.rstrip())
        if match and match[1] == "ER":
            break
        if match:
            values = tags.setdefault(match[1], [])
            values.append((match[2] or "").strip())
        elif line.strip():
            values.append(line.strip())
    return tags


def _read_values(tags: _Tags) -> dict[str, object]:
    """Return the values of one record."""

    def joined(tag: str) -> str:
        return " ".join(tags.get(tag, []))

    values = {
        "title": joined("TI"),
        "abstract": joined("AB"),
        "year": [*tags.get("PY", []), *tags.get("EY", [])],
        "published": [*tags.get("PD", []), *tags.get("EA", [])],
        "journal": joined("SO"),
        "authors": tags.get("AF") or tags.get("AU"),
        "pmid": joined("PM"),
        "doi": joined("DI"),
        "accession": joined("UT"),
        "keywords": f"{joined('DE')};{joined('ID')}",
        "languages": joined("LA"),
        "publication_types": joined("DT"),
    }
    return {field: value for field, value in values.items() if value}
