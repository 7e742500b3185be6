"""MEDLINE tagged text (.nbib, PubMed's "Save as PubMed"), read record by record.

The package nbib is not used: it loads the whole file and drops RIN, ROF, EIN, ECI, OAB and AUID.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from engine.collect.text.lines import decode_head
from engine.collect.text.tagfile import Grammar, normalise_tag, split_records
from engine.collect.values.dates import choose_published, read_year
from engine.collect.values.export import read_export_tags
from engine.collect.values.fields import drop_repeats
from engine.collect.values.omissions import list_omitted
from engine.collect.values.tags import list_other_tags, read_issns
from engine.collect.xmlfiles.citation import ENGLISH, PLACEHOLDER, describe_kind, find_title
from engine.identifiers import find_dois
from engine.records.abstract import Entry, Notice

_Tagged = list[tuple[str, str]]  # (tag, value) in the order of the file

_START = re.compile(r"PMID ?-(?: |$)|PMID-\d{1,9}\s*$|OWN - abstract-engine$")  # OWN: our exports without a PMID
_TAG = re.compile(r"([A-Z][A-Z0-9]{1,3}) *-(?: |$)")
_GLUED_TAG = re.compile(r"([A-Z][A-Z0-9]{1,3}) *- ?")  # in a record whose PMID follows its dash without a blank
_OPENING = re.compile(r"PMID ?- *\d|PMID-\s*$|(?:OID|OWN) - abstract-engine")
_SEAM = re.compile(r"(?<=\S)\ufeff?(?=PMID- \d{1,9}\s*$)")  # files were joined without a line end between them
_NEED_TAGS = 3  # tagged lines at the beginning of a file without a PMID in its first line
# Inside these, a line that only looks like a tag ("IL6 - dependent …") is text.
_TEXTS = {"TI", "BTI", "CTI", "TT", "AB", "OAB"}
KNOWN = set(
    "AB AD AID AU AUID BTI CDAT CI CIN CN COIS CON CP CRDT CRF CRI CTDT CTI DA DCOM DDIN DEP DP DRDT DRIN ECF ECI ED "
    "EDAT EFR EIN EN FAU FED FIR FPS GN GR GS IP IR IRAD IS ISBN JID JT LA LID LR MH MHDA MID NM OAB OABL OCI OID "
    "ORI OT OTO OWN PB PG PHST PL PMC PMCR PMID PRIN PROF PS PST PT PTDT PUBM RF RIN RN ROF RPF RPI RRF RRI SB SFM "
    "SI SO SPIN STAT TA TI TT UIN UOF VI VTI".split()
)
_KIND = re.compile(r"(AAMC|AIDS|KIE|NASA|PIP|Publisher|plain-language-summary): ")  # before the text of OAB
_NOTICES = {
    "ROF": Notice.IS_RETRACTION,
    "PROF": Notice.IS_ERRATUM,  # partial retraction; as in PubMed XML
    "EFR": Notice.IS_ERRATUM,
    "ECF": Notice.IS_CONCERN,
    "EIN": Notice.HAS_ERRATUM,
    "ECI": Notice.HAS_CONCERN,
    "PRIN": Notice.PARTLY_RETRACTED,
    "CRI": Notice.REPUBLISHED,
    "RRI": Notice.REPUBLISHED,
}
# Tags whose values are all in fields, or repeat them: AU the full names in FAU, SO the citation.
_READ = frozenset("PMID TT AB OAB OABL FAU AU CN OT PT LA IS ISBN AD CI GN OID SO".split())
_DROPPED = list_omitted("MEDLINE")
_CHECKED = {
    **dict.fromkeys(("TI", "BTI", "CTI"), ("title", "journal")),
    **dict.fromkeys(("DP", "DEP"), ("published",)),
    **dict.fromkeys(("LID", "AID"), ("doi",)),
    **dict.fromkeys(("JT", "TA"), ("journal",)),
    **dict.fromkeys(("FIR", "IR"), ("authors",)),
    "AUID": ("orcids",),
    "MH": ("mesh",),
    "VI": ("volume",),
    "IP": ("issue",),
    "PG": ("pages",),
    "PB": ("publisher",),
    "PL": ("place",),
    "PMC": ("pmcid",),
}


def looks_like(head: bytes) -> bool:
    """Return whether the first line is a PMID or the id of an export of the engine, or the first lines are tags.

    Tags of two letters alone may be those of RIS, so one of the first must have more.
    """
    lines = [normalise_tag(line).strip() for line in decode_head(head)[:_NEED_TAGS]]
    if not lines or _OPENING.match(lines[0]):
        return bool(lines)
    tags = [_find_tag(line) or "" for line in lines[:_NEED_TAGS]]
    return len(tags) == _NEED_TAGS and all(tags) and any(len(tag) > 2 for tag in tags)


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a MEDLINE file in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in split_records(stream, name, _GRAMMAR):
        yield from chunk.list_remarks()
        tags = _read_tags(chunk.lines)
        ids, notes = ([value for tag, value in tags if tag == wanted] for wanted in ("OID", "GN"))
        place = f"{chunk.place} (PMID {_find_pmid(tags)[:40] or 'missing'})"
        values = _read_values(tags) | _read_more_values(tags)
        values["other_tags"] = list_other_tags(tags, values, source="MEDLINE", read=_READ | _DROPPED, checked=_CHECKED)
        yield from read_export_tags(values, ids, notes, name, place)


def _find_tag(line: str) -> str | None:
    """Return the tag of a line if MEDLINE has it."""
    match = _TAG.match(line)
    return match[1] if match and (match[1] in KNOWN or match[1] == "TY") else None  # TY: RIS below it


_GRAMMAR = Grammar(
    heads=frozenset({"PM", "ER"}),
    starts=_START.match,
    ends=re.compile(r"ER  -\s*$").match,  # of RIS records below
    find_tag=_find_tag,
    titles=frozenset({"TI"}),
    bodies=frozenset({"AB"}),
    seam_mark="PMID- ",
    find_seam=_SEAM.search,
)


def _find_pmid(tags: _Tagged) -> str:
    """Return the PMID as the record gives it; "" if it has none."""
    return next((value for tag, value in tags if tag == "PMID"), "")


def _read_tags(lines: list[str]) -> _Tagged:
    """Return (tag, value) in order, with wrapped lines joined by a blank."""
    tags: list[tuple[str, list[str]]] = []
    pattern = _TAG if not re.match(r"PMID-\d", lines[0]) else _GLUED_TAG
    for line in lines:
        tag = pattern.match(line)
        if tag and (tag[1] in KNOWN or not tags or (pattern is _TAG and tags[-1][0] not in _TEXTS)):
            tags.append((tag[1], [line[tag.end() :].strip()]))
        elif tags and line.strip():
            tags[-1][1].append(line.strip())
    return [(tag, " ".join(filter(None, value))) for tag, value in tags]


def _read_values(tags: _Tagged) -> dict[str, object]:
    """Return the values of one record."""

    def all_of(*names: str) -> list[str]:
        return [value for tag, value in tags if tag in names and value]

    def first_of(*names: str) -> str:
        return next((value for name in names for value in all_of(name)), "")

    vernacular, people = first_of("TT"), _read_author_tags(tags)
    abstract, others = _read_abstract_tags(tags)
    values = {
        "pmid": _find_pmid(tags),
        "title": find_title(first_of("TI", "BTI", "CTI"), vernacular),
        "vernacular_title": vernacular,
        "abstract": abstract,
        "other_abstracts": others,
        "journal": first_of("JT", "TA", *(("BTI",) if first_of("TI") else ())),
        "authors": [name for name, _ in people],
        "orcids": [orcid for _, orcid in people],
        "year": read_year([first_of("DP"), first_of("DEP")]) or all_of("DP", "DEP"),
        "doi": _find_doi(all_of("LID", "AID", "DOI")),
        "mesh": drop_repeats(_strip_qualifiers(heading) for heading in all_of("MH")),
        "keywords": drop_repeats(keyword.lstrip("*") for keyword in all_of("OT")),
        "publication_types": drop_repeats(all_of("PT")),
        "languages": drop_repeats(all_of("LA")),
        "revised": _format_date(first_of("LR")),
        "retracted": bool(all_of("RIN", "RRI")),
        "notices": {_NOTICES[tag] for tag, _ in tags if tag in _NOTICES},
    }
    return {field: value for field, value in values.items() if value}


def _read_more_values(tags: _Tagged) -> dict[str, object]:
    """Return the values that citations need, and the copyright notice."""
    groups: dict[str, list[str]] = {}
    for tag, value in tags:
        if value:
            groups.setdefault(tag, []).append(value)

    def first_of(tag: str) -> str:
        return next(iter(groups.get(tag, [])), "")

    dates = [first_of("DP"), first_of("DEP")]
    values = {
        "volume": first_of("VI"),
        "issue": first_of("IP"),
        "pages": first_of("PG"),
        "issns": read_issns([*groups.get("IS", []), *groups.get("ISBN", [])]),
        "published": choose_published(dates[:1], "") or choose_published(dates, read_year(dates[0])),
        "publisher": first_of("PB"),
        "place": first_of("PL"),
        "pmcid": first_of("PMC"),
        "affiliations": groups.get("AD"),
        "databases": ["PubMed"] if "PMID" in groups else None,
        "notes": groups.get("GN"),
        "rights": "\n".join(groups.get("CI", [])),
    }
    return {field: value for field, value in values.items() if value}


def _read_author_tags(tags: _Tagged) -> list[tuple[str, str]]:
    """Return (name, ORCID) of authors and groups in order; the full name if there is one."""
    people: list[tuple[str, str]] = []
    if not any(tag in {"FAU", "AU", "CN"} and value for tag, value in tags):  # a group's members, in place of authors
        return [(value, "") for value in _choose_names(tags, "FIR", "IR")]
    is_full = False  # whether the short form of the last name is still to come
    for tag, value in tags:
        if tag in {"FAU", "CN"} or (tag == "AU" and not is_full):
            people.append((value, ""))
            is_full = tag == "FAU"
        elif tag == "AU":
            is_full = False
        elif tag == "AUID" and people and "orcid" in value.lower():
            people[-1] = (people[-1][0], value)
    return [(name, orcid) for name, orcid in people if name]


def _choose_names(tags: _Tagged, *names: str) -> list[str]:
    """Return the values of the first of these tags that has any."""
    lists = ([value for tag, value in tags if tag == name and value] for name in names)
    return next(filter(None, lists), [])


def _read_abstract_tags(tags: _Tagged) -> tuple[str, list[str]]:
    """Return the abstract and the other abstracts, with their kinds; an English one replaces a missing abstract."""
    abstract = "\n".join(value for tag, value in tags if tag == "AB" and value)
    others: list[str] = []
    for (tag, value), (following, code) in zip(tags, [*tags[1:], ("", "")], strict=True):
        if tag != "OAB" or not value:
            continue
        language = code.lower() if following == "OABL" and code else ENGLISH
        match = _KIND.match(value)
        kind, body = (match[1], value[match.end() :]) if match else ("", value)
        if language == ENGLISH and not abstract and not body.endswith(PLACEHOLDER):
            abstract = body
        else:
            others.append(f"[{describe_kind(kind, language)}] {body}")
    return abstract, others


def _strip_qualifiers(heading: str) -> str:
    """Return the descriptor of a MeSH heading, without its qualifiers and the star of a major topic."""
    return heading.split("/")[0].lstrip("*").strip()


def _find_doi(numbers: list[str]) -> str | None:
    """Return the first number marked as a DOI, else the first that has the form of one."""
    marked = [number for number in numbers if number.rstrip().lower().endswith("[doi]")]
    return next(iter(find_dois(marked) or find_dois([number for number in numbers if "[pii]" not in number])), None)


def _format_date(date: str) -> str:
    """Format 20181202 as 2018-12-02; return "" for anything else."""
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", date)
    return "-".join(match.groups()) if match else ""
