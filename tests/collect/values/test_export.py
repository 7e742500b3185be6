"""The engine's own exports, by hand; tests/references/test_round_trip.py reads what is really written."""

from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.collect.values.export import is_export, read_export_row
from engine.records.abstract import Abstract, Entry, Notice, Rejection, Remark

HEAD = "rank,id,score,title,abstract,authors,mesh,keywords,notices,other_abstracts,orcids"


def read(path: Path, text: str) -> list[Entry]:
    path.write_text(text, encoding="utf-8", newline="")
    return list(read_source(path))


def one(path: Path, text: str) -> Abstract:
    (found,) = read(path, text)
    assert isinstance(found, Abstract)
    return found


@pytest.mark.parametrize("change", ["", "change,"])
def test_a_table_of_ours_is_told_by_its_first_columns(source: Path, change: str) -> None:
    cells = '1,a,0.5,\'=T,\'\'=1,A; B,"Arthritis, Rheumatoid","[\'x; y\', \'z\']",has an erratum; odd,"[""[fre] a; b""]",; 0000-0002-1825-0097'
    found = one(source, f"{change}{HEAD}\n{'added,' if change else ''}{cells}\n")
    assert found == Abstract(
        "a",
        "=T",
        "'=1",
        authors=("A", "B"),
        mesh=("Arthritis, Rheumatoid",),
        keywords=("x; y", "z"),
        notices=(Notice.HAS_ERRATUM,),
        other_abstracts=("[fre] a; b",),
        orcids=("", "0000-0002-1825-0097"),
    )


def test_other_tables_keep_their_apostrophes_and_commas(source: Path) -> None:
    found = one(source, 'id,rank,score,title,keywords,notices\na,1,2,\'=T,"b, c",has an erratum\n')
    assert (found.title, found.keywords, found.notices) == ("'=T", ("b", "c"), ())


def test_an_apostrophe_before_anything_else_is_text(source: Path) -> None:
    assert one(source, "rank,id,score,title\n1,'a,0.5,'quoted'\n").title == "'quoted'"


def test_lines_of_a_cell_are_not_doubted(source: Path) -> None:
    text = "1,2,3,4\n5,6,7,8\n9,10,11,12"
    assert read(source, f'rank,id,score,title\n1,a,0.5,"{text}"\n') == [Abstract("a", text, "")]
    assert len(read(source, f'id,rank,score,title\na,1,0.5,"{text}"\n')) == 2  # a remark, too


def test_columns_of_ours_may_be_moved_left_out_and_added(source: Path) -> None:
    found = one(source, "rank;id;score;keep;keywords;title\n1;a;0.5;yes;;T\n")
    assert found == Abstract("a", "T", "")


def test_a_row_without_text_is_rejected_and_a_bad_id_reported(source: Path) -> None:
    found = read(source, "rank,id,score,title\n1,a,0.5,\n2,\x07,0.5,T\n")
    assert [type(entry) for entry in found] == [Rejection, Remark, Abstract]


def test_an_object_of_ours_has_notices_and_other_abstracts(source: Path) -> None:
    line = (
        '{"rank":1,"id":"a","score":1,"title":"T","notices":["has an erratum","x",7],"other_abstracts":["[fre] b"]}\n'
    )
    found = one(source, line)
    assert (found.notices, found.other_abstracts) == ((Notice.HAS_ERRATUM,), ("[fre] b",))
    assert one(source, line.replace('"rank":1,', "")).notices == ()


def ris(*lines: str) -> str:
    return "\n".join(["TY  - JOUR", *lines, "ER  - ", ""])


def test_an_id_with_the_mark_is_the_id(source: Path) -> None:
    lines = ("TI  - T", "AN  - 7", "DB  - PubMed", "AU  - Beck, Ann", "KW  - a", "KW  - b")
    marked = 'C8  - abstract-engine {"n_mesh": 1, "names": "f"}'
    assert one(source, ris(*lines, "ID  - abstract-engine:toy 1", marked)) == Abstract(
        "toy 1", "T", "", authors=("Ann Beck",), pmid="7", mesh=("a",), keywords=("b",)
    )
    for other in ("ID  - 1", "N1  - abstract-engine:toy 1"):  # as another program would write it
        found = one(source, ris(*lines, other, marked))
        assert (found.record_id, found.authors, found.mesh, found.keywords) == (
            "PMID:7",
            ("Beck, Ann",),
            (),
            ("a", "b"),
        )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "abstract-engine",
        "abstract-engine {",
        "abstract-engine " + "[" * 100_000,
        'abstract-engine {"breaks": [0]}',
        'abstract-engine {"breaks": [99]}',
        'abstract-engine {"breaks": ["3", null]}',
        'abstract-engine {"breaks": 3}',
        'abstract-engine {"names": "ff"}',
        'abstract-engine {"names": 7, "n_mesh": "x", "score": 1999, "id": "b", "notices": "?"}',
    ],
)
def test_a_line_that_makes_no_sense_changes_nothing(source: Path, line: str) -> None:
    lines = ("TI  - T", "AB  - one two", "AU  - Beck, Ann", "ID  - abstract-engine:a", f"C8  - {line}")
    assert one(source, ris(*lines)) == Abstract("a", "T", "one two", authors=("Beck, Ann",))


def test_fields_in_the_line_may_be_of_the_wrong_kind(source: Path) -> None:
    (found,) = read(source, ris("TI  - T", "ID  - abstract-engine:a", 'C8  - abstract-engine {"title": [7]}'))
    assert found == Rejection("source", "line 1", "title is list, expected text")


def test_medline_without_a_pmid_is_told_by_the_mark(source: Path) -> None:
    text = 'PMID- \nOID - abstract-engine:a b\nTI  - T\nAB  - one two\nGN  - abstract-engine {"breaks":\n      [3]}\n'
    assert one(source, text) == Abstract("a b", "T", "one\ntwo")
    assert one(source, text.replace("PMID- ", "PMID- 7").replace("abstract-engine:", "NASA: ")).record_id == "PMID:7"


def test_further_columns_come_back_as_other_tags() -> None:
    columns = ["id", "title", "abstract", "year", "journal", "authors", "pmid", "doi", "retracted", "other_tags"]
    cells = ["a", "'=Gout", "", "2001", "", "", "", "", "", "odd: 1"]
    row = dict(zip(["decision", "decision_note", "reviewer", *columns], ["include", "'=1+1", "", *cells], strict=True))
    assert is_export(row) and not is_export(["decision", *columns[:8]])
    (entry,) = read_export_row(row, "a.csv", "line 2")
    assert isinstance(entry, Abstract) and entry.title == "=Gout"
    assert entry.other_tags == ("odd: 1", "decision: include", "decision_note: =1+1")
