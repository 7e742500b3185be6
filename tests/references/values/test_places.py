"""What a format has no place for: the table, the files themselves, and the line that says so."""

import re
from dataclasses import replace

import pytest

from engine.records.abstract import SOURCE_FIELDS, Abstract
from engine.references.formats import FORMATS, render_records
from engine.references.values.citation import Cited
from engine.references.values.fields import COLUMNS
from engine.references.values.places import _MARKED, _PLACES, LeftOut, format_places
from tests.references.found import BARE, FULL

FIELDS = [name for name in SOURCE_FIELDS if name != "record_id"]
FULL = replace(FULL, other_tags=("RIS C3: European Congress", "MEDLINE GR: R01 AR000001"))
# Where there is a PMID, links and numbers of other databases have no place beside it.
HIDING = {
    "year": {"published": ""},
    **dict.fromkeys(("urls", "databases", "accessions"), {"pmid": None}),
}


def render(suffix: str, record: Abstract) -> str:
    """The file of one record without the line of the engine."""
    text = b"".join(render_records(suffix, [Cited(None, record)], "")).decode()
    text = re.sub(r"GN  - abstract-engine \{.*", "", text, flags=re.DOTALL)
    return re.sub(r'C8  - .*|  abstract-engine = .*|<misc3>.*|"custom": .*', "", text)


@pytest.mark.parametrize("suffix", _PLACES)
@pytest.mark.parametrize("name", FIELDS)
def test_a_file_changes_with_a_field_if_the_table_has_a_place_for_it(suffix: str, name: str) -> None:
    whole = replace(FULL, **HIDING.get(name, {}))
    less = replace(whole, **{name: getattr(BARE, name)})
    assert (render(suffix, less) != render(suffix, whole)) == (name in _PLACES[suffix])


def test_other_formats_have_a_column_for_every_field() -> None:
    assert set(FIELDS) <= set(COLUMNS)
    assert set(FORMATS) - set(_PLACES) == {".csv", ".tsv", ".xlsx", ".json", ".jsonl"}


def follow(suffix: str) -> str:
    """The line about two records in one format."""
    left = LeftOut(suffix)
    list(left.follow([Cited(None, FULL), Cited(None, BARE)]))
    return left.explain()


def test_one_line_names_what_other_programs_do_not_find() -> None:
    assert follow(".nbib") == (
        "no field for urls (1), cited_ids (1), databases (1), accessions (1), labels (1): kept in GN, which only the "
        "engine reads"
    )
    assert follow(".md").startswith("left out, since .md has no place for it: abstract (1), mesh (1)")
    assert [follow(suffix) for suffix in (".csv", ".json", ".xlsx")] == ["", "", ""]
    assert all(f"kept in {own}" in follow(suffix) for suffix, own in _MARKED.items())


def test_the_table_has_a_row_for_each_field() -> None:
    rows = format_places().splitlines()
    assert rows[0].startswith("| Field | `.ris` | `.nbib` | `.bib` | `.xml` | `.csl.json` | `.md` | `.vancouver.txt` |")
    assert "| `rights` | C1 | CI | copyright | custom1 | - | - | - | - |" in rows
    assert len(rows) == 2 + len(FIELDS)
