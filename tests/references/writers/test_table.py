import csv
import io

import pytest
from hypothesis import given

from engine.collect.values.export import _unguard_formula, guard_formula
from engine.records.abstract import Abstract
from engine.references.values.citation import Cited
from engine.references.writers.table import write_delimited
from tests.references.found import BARE, FULL, TEXT, cite

HEADER = (
    "rank,id,score,title,abstract,year,journal,authors,pmid,doi,retracted,fused,bm25,semantic_rank,keyword_rank,rerank_score,"
    "mesh,publication_types,keywords,languages,vernacular_title,other_abstracts,orcids,notices,"
    "volume,issue,pages,issns,published,publisher,place,pmcid,urls,affiliations,cited_ids,databases,accessions,labels,"
    "notes,rights,other_tags"
)
WITHOUT_SEARCH = "id," + HEADER.removeprefix("rank,id,score,").replace(
    ",fused,bm25,semantic_rank,keyword_rank,rerank_score", ""
)
TRIGGERS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


def write_table(*given: object, **more: object) -> str:
    """The whole table."""
    return "".join(write_delimited(*given, **more))  # type: ignore[arg-type]


def test_without_hits_there_is_neither_rank_nor_score() -> None:
    lines = write_table([Cited(None, BARE)], ",").splitlines()
    assert lines[0] == WITHOUT_SEARCH
    assert lines[1].startswith("bare,A title,,,,,,,0,,")


def rows(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows as Python's csv module reads them."""
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def test_header_and_a_row_by_hand() -> None:
    hit = cite(Abstract("a", "Knee, left", "", 2020, "J", ("A B", "C"), mesh=("Knee",)), 7, -0.25, bm25=0.0)
    assert (
        write_table([hit], ",")
        == f'{HEADER}\n7,a,-0.250000,"Knee, left",,2020,J,A B; C,,,0,,0.000000,,,,Knee,,,,,,,,,,,,,,,,,,,,,,,,\n'
    )
    assert write_table([], "\t") == HEADER.replace(",", "\t") + "\n"


def test_changes_come_first() -> None:
    text = write_table([cite(BARE), cite(FULL)], ",", changes=["added", "text changed"])
    assert text.startswith(f"change,{HEADER}\nadded,1,bare,")
    assert [row["change"] for row in rows(text)] == ["added", "text changed"]
    assert write_table([], ",", changes=[]) == f"change,{HEADER}\n"


@pytest.mark.parametrize("text", TRIGGERS)
def test_formulas_get_an_apostrophe_wherever_they_are(text: str) -> None:
    record = Abstract(text.strip(), text, text, 2020, text, (text,), mesh=(text,), vernacular_title=text)
    (row,) = rows(write_table([cite(record)], ","))
    for column in ("title", "abstract", "journal", "vernacular_title"):
        assert row[column] == f"'{text}", column
    assert row["id"] == f"'{text.strip()}"
    assert row["authors"][:2] in ("'" + text[0], '["')  # a list with a tab or a line end is a JSON array
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row.values())


@pytest.mark.parametrize(
    "text",
    [
        "\n=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20a",
        "\u200b=1",
        "\u2800=1",
        "\U000e0020=1",
        "\U000e0100\U0001d173\uff1d1",
        "\ufeff=1",
        "\xa0=1",
        " =1",
        "\u2060\xad=1",
        "\u3000+1",
    ]
    + ["\x00=1", "\u2028@a", "\u3164=1"],
)
def test_full_width_and_hidden_formulas_get_one_too_and_are_read_back(text: str) -> None:
    guarded = guard_formula(text)
    assert guarded == f"'{text}" and guard_formula(guarded) == f"'{guarded}"
    assert _unguard_formula(guarded) == text


def test_text_behind_a_blank_stays() -> None:
    for text in (" a", "\u200bgout", "\xa0", "\u2212 5", "a=1", "'quoted'"):
        assert guard_formula(text) == text


def test_numbers_of_ours_stay_numbers() -> None:
    (row,) = rows(write_table([cite(BARE, 1, -0.5, fused=-1.5)], ","))
    assert (row["score"], row["fused"]) == ("-0.500000", "-1.500000")


def test_what_looks_protected_already_is_protected_again() -> None:
    (row,) = rows(write_table([cite(Abstract("a", "'=1", "''-1", journal="'quoted'"))], ","))
    assert (row["title"], row["abstract"], row["journal"]) == ("''=1", "'''-1", "'quoted'")


@given(title=TEXT, abstract=TEXT, author=TEXT)
def test_csv_gives_the_data_back_but_for_apostrophes(title: str, abstract: str, author: str) -> None:
    hits = [cite(Abstract("a", title, abstract, authors=(author,))), cite(BARE)]
    safe, raw = rows(write_table(hits, ",")), rows(write_table(hits, ",", raw=True))
    assert len(safe) == len(raw) == 2
    assert (raw[0]["title"], raw[0]["abstract"]) == (title, abstract)
    for column in ("title", "abstract", "authors"):
        cell = raw[0][column]
        assert safe[0][column] in (cell, f"'{cell}")
        assert not safe[0][column].startswith(("=", "+", "-", "@", "\t", "\r"))


@given(title=TEXT, abstract=TEXT, author=TEXT)
def test_tsv_has_a_line_for_each_hit_and_never_another_column(title: str, abstract: str, author: str) -> None:
    hits = [cite(Abstract("a", title, abstract, authors=(author,), keywords=(title, author))), cite(BARE)]
    for raw in (False, True):
        text = write_table(hits, "\t", raw=raw)
        lines = text.splitlines()
        assert len(lines) == 3 and all(line.count("\t") == HEADER.count(",") for line in lines)
        assert rows(text, "\t")[1]["id"] == "bare"
