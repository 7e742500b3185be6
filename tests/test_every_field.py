"""Every value of every record of a file comes out of the engine again, or its tag is listed as dropped.

The splitters here are the shortest that can be: they know how a format writes a tag and its value, nothing else.
"""

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from engine.collect.source import check_source, read_source
from engine.collect.values.omissions import OMITTED, list_omitted
from engine.errors import SourceError
from engine.files import sniff_delimiter
from engine.records.abstract import Abstract, Rejection
from engine.references.formats import render_records
from engine.references.values.citation import Cited
from tests.conftest import ROOT

Raw = list[tuple[str, str]]  # (tag, value) of one record

_MONTHS = {name: str(n) for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_MOST = 60  # records of a file that are looked at
# What says of which kind a number is.
_KINDS = frozenset(
    "doi orcid http https org dx www com print electronic linking undetermined issn isbn pmid pubmed pii references ncbi"
    " nlm nih gov pmc articles publication".split()
)
# Values that say what nearly every record is, or whose program counts.
_PLAIN = {
    ("TY", "JOUR"),
    ("PT", "J"),
    ("ref-type", "Journal Article"),
    ("MedlineCitation/Article/ArticleTitle", "[Not Available]."),
}


def text_of(path: Path) -> str:
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def split_tagged(text: str, tag: str, start: str, end: str) -> Iterator[Raw]:
    """Records of tagged lines: each begins at a start or after an end; a line without a tag goes on."""
    record: Raw = []
    for line in text.splitlines():
        match = re.match(tag, line)
        if match and (re.match(end, line) or (re.match(start, line) and record)):
            if record:
                yield record
            record = []
        if match and not re.match(end, line):
            record.append((match[1], match[2] or ""))
        elif record and not match:
            record[-1] = (record[-1][0], f"{record[-1][1]} {line.strip()}")
    if record:
        yield record


def split_ris(text: str) -> Iterator[Raw]:
    return (
        raw for raw in split_tagged(text, r"([A-Z][A-Z0-9])[ \t]{1,2}-(?:[ \t](.*))?$", "TY", "ER") if raw[0][0] == "TY"
    )


def split_medline(text: str) -> Iterator[Raw]:
    return split_tagged(text, r"([A-Z][A-Z0-9]{1,3}) *- (.*)", r"PMID ?-", r"\0")


def split_wos(text: str) -> Iterator[Raw]:
    lines = "\n".join(line for line in text.splitlines() if not re.match("FN |VR |EF", line))
    return split_tagged(lines, r"([A-Z][A-Z0-9]) ?(.*)", "PT ", "ER")


def split_xml(text: str, *records: str) -> Iterator[Raw]:
    root = etree.fromstring(re.sub(r"^\s*<\?xml[^>]*>", "", text).encode("utf-8"))
    for record in root.iter(*records):
        if record.getparent() is None or record.getparent().tag != "PubmedArticle" or record.tag == "PubmedArticle":
            yield [item for item in leaves(record, "")]


def leaves(element: etree._Element, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of the elements that hold text."""
    for child in element.iterchildren("*"):
        inside = f"{path}/{child.tag}".strip("/")
        if (child.text or "").strip() or all(piece.tag == "style" for piece in child.iterchildren("*")):
            yield inside, child.get("name", "") if child.tag == "ref-type" else "".join(child.itertext())
        else:
            yield from leaves(child, inside)


def split_table(text: str) -> Iterator[Raw]:
    lines = [line for line in text.splitlines(keepends=True) if line.strip()]
    delimiter = sniff_delimiter(lines[0], len)[0]
    header, *rows = csv.reader(io.StringIO("".join(lines)), delimiter=delimiter)
    for row in rows:
        if any(cell.strip() for cell in row):
            yield list(zip(header, row, strict=False))


def split_lines(text: str) -> Iterator[Raw]:
    for line in text.split("\n"):
        if line.strip():
            yield list(split_object(json.loads(line), ""))


def split_object(value: object, path: str) -> Iterator[tuple[str, str]]:
    """(path, value) of the texts and numbers in a value; of an index of words, the words."""
    if isinstance(value, dict):
        if path == "abstract_inverted_index":
            value = {"": list(value)}
        for key, inner in value.items():
            yield from split_object(inner, f"{path}/{key}".strip("/"))
    elif isinstance(value, list):
        for inner in value:
            yield from split_object(inner, path)
    else:
        yield path, flat(value)


def flat(value: object) -> str:
    """The texts and numbers in a value of JSON; a false, a null and the keys say nothing."""
    if isinstance(value, dict):
        return " ".join(map(flat, value.values()))
    if isinstance(value, list):
        return " ".join(map(flat, value))
    return str(value) if value and value is not True else ""


def split_bibtex(text: str) -> Iterator[Raw]:
    for entry in re.split(r"(?m)^\s*@(?=\w+\s*\{)", text)[1:]:
        kind, _, rest = entry.partition("{")
        if kind.strip().lower() not in ("comment", "string", "preamble"):
            fields = re.findall(r"([\w-]+)\s*=\s*(.*?)(?=,?\s*\n\s*[\w-]+\s*=|,?\s*\}\s*\Z)", rest, re.DOTALL)
            yield [("citation key", rest.partition(",")[0]), *((name.lower(), value) for name, value in fields)]


SPLITTERS = {
    "RIS": split_ris,
    "MEDLINE": split_medline,
    "Web of Science": split_wos,
    "PubMed XML": lambda text: split_xml(text, "PubmedArticle", "MedlineCitation", "PubmedBookArticle"),
    "EndNote XML": lambda text: split_xml(text, "record"),
    "CSV": split_table,
    "JSONL": split_lines,
    "OpenAlex": split_lines,
    "BibTeX": split_bibtex,
}


def words(text: str) -> list[str]:
    """The words and numbers of a text in lower case; a month is its number."""
    found = re.findall(r"[^\W_]+", text.casefold())
    return [_MONTHS.get(word[:3], word) if word.isalpha() and len(word) < 10 else word for word in found]


def strip_markup(text: str) -> str:
    return re.sub(r"</?[a-zA-Z:]+(?: [^<>]*)?>", "", text)


def find_missing(raw: Raw, record: Abstract, dropped: frozenset[str]) -> list[str]:
    """The values of a record, each with its tag, that have a word which no export of the record has."""
    export = b"".join(render_records(".jsonl", [Cited(None, record)], "")).decode()
    text = " ".join(flat(value) for value in json.loads(export).values())
    found = [*words(text), *words(strip_markup(text))]
    known, together = {word.lstrip("0") for word in found}, "".join(found)
    missing = []
    for tag, value in raw:
        lost = [word for word in words(strip_markup(value)) if not is_known(word, known, together)]
        is_dropped = any(f"/{name}/" in f"/{tag}/" for name in dropped)
        is_broken = tag.endswith("/orcid") and not re.search(r"(\d{4}-){3}\d{3}[\dX]", value)
        if lost and not is_dropped and not is_broken and (tag, value.strip()) not in _PLAIN:
            missing.append(f"{tag}: {' '.join(lost)[:60]}")
    return missing


def is_known(word: str, known: set[str], together: str) -> bool:
    """Whether a record has a word; a long one may be written with marks inside: "0008543X" and "0008-543X"."""
    return word in _KINDS or word.lstrip("0") in known or (len(word) > 3 and word in together)


def check_file(path: Path) -> tuple[Counter[str], dict[str, str]]:
    """How many records lose a value of each tag of a file, and an example of each."""
    kind = check_source(path).name
    raw = list(SPLITTERS[kind](text_of(path)))
    entries = [entry for entry in read_source(path) if isinstance(entry, Abstract | Rejection)]
    assert len(raw) == len(entries), (path.name, len(raw), len(entries))
    lost: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for values, entry in list(zip(raw, entries, strict=True))[:_MOST]:
        if isinstance(entry, Abstract):
            for item in find_missing(values, entry, list_omitted(kind)):
                lost[item.partition(": ")[0]] += 1
                examples.setdefault(item.partition(": ")[0], item)
    return lost, examples


COMMITTED = (
    "engine/sample/abstracts.jsonl",
    "engine/sample/pubmed.xml",
    "tests/data/pubmed26n0001.xml",
    "tests/data/toy.jsonl",
)
_RIS = "TY  - CONF\nTI  - Knee\nAU  - Beck, A\nPY  - 2019\nDA  - 2019/05/03/early\n" + "".join(
    f"{tag}  - {tag.lower()}word\n"
    for tag in "A2 A3 AB AD AN C1 C3 C4 C7 CY DB ET ID IS JA JF KW L1 L4 LA LB M1 M2 N1 NV OP PB RI RP SE SN ST T3 TA TT "
    "UR VL VO XX".split()
)
TOYS = {
    "toy.ris": _RIS + "ER  - \n",
    "toy.nbib": "PMID- 7\nTI  - Knee\nDP  - 2019 Winter\n"
    + "".join(
        f"{tag.ljust(4)}- {tag.lower()}word\n"
        for tag in "AB AD AID AUID CI CIN CN COIS CON CRI DEP ECI EIN FAU FIR FPS GN GR GS IP IR IRAD IS ISBN JT LA LID "
        "MH MID OAB OT PB PG PL PMC PS PT RF RIN RN ROF SI SPIN TT UIN UOF VI VTI".split()
    ),
    "toy.ciw": "FN Clarivate\nVR 1.0\nPT C\nTI Knee\n"
    + "".join(
        f"{tag} {tag.lower()}word\n"
        for tag in "AF AB AR BA BE BN C1 CA CL CR CT CY DA DE DI DT EI EM FU FX GA HC HO ID IS J9 JI LA MA NR OA OI PA PD PG "
        "PI PN PU PY RI RP SC SE SI SN SO SP SU TC U1 U2 UT VL WC Z9".split()
    )
    + "ER\nEF\n",
    "toy.bib": "@book{Beck2019,\n title = {Knee},\n"
    + ",\n".join(
        f" {name} = {{{name.replace('-', '')}word}}"
        for name in "abstract author editor year date month day journal booktitle volume number issue pages eid issn isbn doi "
        "publisher institution school address location pmcid pmid eprint eprinttype url howpublished note annote keywords "
        "author_keywords file groups labels language langid affiliation unique-id source database copyright type "
        "document_type references cited-references series edition crossref timestamp".split()
    )
    + "\n}\n",
    "toy.xml": "<xml><records><record><titles><title>Knee</title><short-title>shortword</short-title></titles>"
    "<contributors><authors><author>Beck, A</author></authors><tertiary-authors><author>Roe, Tertiary</author>"
    "</tertiary-authors></contributors><dates><year>2019</year><pub-dates><date>Winter</date></pub-dates></dates>"
    + "".join(
        f"<{name}>{name.replace('-', '')}word</{name}>"
        for name in "abstract accession-num access-date alt-periodical auth-address call-num caption custom1 custom2 custom3 "
        "custom4 custom5 custom6 custom7 edition electronic-resource-num image isbn label language meeting-place misc1 misc2 "
        "modified-date notes num-vols number orig-pub pages pub-location publisher remote-database-name "
        "remote-database-provider research-notes reprint-edition reviewed-item section volume work-type".split()
    )
    + "</record></records></xml>",
    "toy.csv": "Title,Abstract,Year,DOI,PMID,ID,Notes,Labels,URL,ISSN,Volume,Pages,Language,Mine\n"
    + "Knee,abstractword,yearword,doiword,pmidword,idword,notesword,labelsword,urlword,issnword,volumeword,pagesword,"
    "languageword,mineword\n",
    "toy.jsonl": '{"title": "Knee", "year": "yearword", "doi": "doiword", "mine": {"a": ["innerword"]}, "notes": ["nw"]}\n',
}


@pytest.mark.parametrize("name", COMMITTED)
def test_every_value_of_a_committed_file_comes_out(name: str) -> None:
    lost, examples = check_file(ROOT / name)
    assert not lost, examples


@pytest.mark.parametrize("name", TOYS)
def test_every_tag_comes_out_whatever_it_holds(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TOYS[name])
    lost, examples = check_file(tmp_path / name)
    assert not lost, examples


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("field", ["title", "other_tags"])
def test_a_field_that_is_lost_is_seen(tmp_path: Path, name: str, field: str) -> None:
    (tmp_path / name).write_text(TOYS[name])
    kind = check_source(tmp_path / name).name
    ((raw,), (record, *_)) = (
        list(SPLITTERS[kind](TOYS[name])),
        [entry for entry in read_source(tmp_path / name) if isinstance(entry, Abstract)],
    )
    assert find_missing(raw, replace(record, **{field: type(getattr(record, field))()}), list_omitted(kind))


def test_every_value_of_real_exports_comes_out(shared: Path) -> None:
    lost: dict[str, dict[str, str]] = {}
    for path in sorted((shared / "formats").rglob("*.*")):
        if path.is_file() and path.parent.name != "licenses":
            try:
                if found := check_file(path)[1]:
                    lost[path.name] = found
            except SourceError:
                continue
    assert not lost, json.dumps(lost, indent=1)


def test_what_is_left_out_is_listed_in_the_docs() -> None:
    page = (ROOT / "docs" / "reference" / "exports.md").read_text()
    assert all(f"`{tag}`" in page for kind in OMITTED for tag in list_omitted(kind) if tag)
