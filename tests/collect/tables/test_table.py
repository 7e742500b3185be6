import csv
import io
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.collect.values import columns
from engine.errors import SourceError
from engine.records.abstract import Abstract, Entry, Rejection, Remark


def read(path: Path, text: str) -> list[Entry]:
    path.write_text(text, encoding="utf-8", newline="")
    return list(read_source(path))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source.csv"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_told_by_the_header(source: Path, delimiter: str) -> None:
    rows = (("PMID", "Title", "Abstract", "Publication Year"), ("123", "Knee", "Body", "2019"))
    found = read(source, "".join(delimiter.join(row) + "\r\n" for row in rows))
    assert found == [Abstract("PMID:123", "Knee", "Body", 2019, pmid="123")]


def test_quoted_fields_keep_commas_quotes_and_line_breaks(source: Path) -> None:
    found = read(source, 'id,title,abstract,authors\n1,"a, ""b""","x\r\ny","Marx, K; Engels, F"\n')
    assert found == [Abstract("1", 'a, "b"', "x\r\ny", authors=("Marx, K", "Engels, F"))]


def test_cells_of_several_lines_take_no_row_with_them(source: Path) -> None:
    rows = [(str(n), f'Title "{n}"', f"one\ntwo {n}\r\nthree") for n in range(50)]
    out = io.StringIO()
    csv.writer(out).writerows([("id", "title", "abstract"), *rows])
    assert read(source, out.getvalue()) == [Abstract(*row) for row in rows]


@pytest.mark.parametrize("end", ["", "\n"])
def test_an_inch_mark_beside_a_cell_of_several_lines_is_fine(source: Path, end: str) -> None:
    found = read(source, f'id,title,abstract\n1,One,x\n2,A 12" catheter,"line one\nline two"{end}')
    assert found == [Abstract("1", "One", "x"), Abstract("2", 'A 12" catheter', "line one\nline two")]


def test_rows_inside_a_cell_are_remarked(source: Path) -> None:
    found = read(source, 'id,title,abstract\n1,"open,x\n2,b,y\n3,c,z\n4,d","w"\n5,e,v\n')
    assert any(isinstance(entry, Remark) and "a cell holds lines that look like rows" in entry.kind for entry in found)


@pytest.mark.parametrize("nothing", ["NA", "n/a", "nan", "NULL", "-", " ", "\xa0"])
def test_what_stands_for_no_value_is_no_identity(source: Path, nothing: str) -> None:
    one, two = read(source, f"id,title,doi,pmid\n{nothing},Alpha,{nothing},{nothing}\n{nothing},Beta,{nothing},7\n")
    assert isinstance(one, Abstract) and isinstance(two, Abstract)
    assert one.record_id.startswith("TEXT:") and one.doi is None
    assert two.record_id == "PMID:7"


def test_short_rows_are_filled_long_rows_rejected_blank_rows_skipped(source: Path) -> None:
    found = read(source, "id,title,abstract\n1,a\n\n,,\n2,b,c,d\n3,c,d,\n")
    assert found == [
        Abstract("1", "a", ""),
        Rejection(
            "source.csv", "line 5", "4 columns where the header has 3: check for an extra delimiter or quotation mark"
        ),
        Abstract("3", "c", "d"),
    ]


def test_what_stands_above_the_header_is_skipped(source: Path) -> None:
    rows = "Title;Abstract;Year\nA;B;2019\n"
    for above in ("sep=;\n", ";;;\n\n", "Search: gout, 1 May\n\n", '"SEARCH QUERY","gout:ti"\n-----\n\n', "Title\n\n"):
        found = [entry for entry in read(source, above + rows) if isinstance(entry, Abstract)]
        assert [(entry.title, entry.abstract, entry.year) for entry in found] == [("A", "B", 2019)], above
    (rejected,) = read(source, "sep=;\n\n" + rows.replace("A;B", ";"))
    assert isinstance(rejected, Rejection) and rejected.place == "line 4"


def test_of_two_columns_with_one_name_the_filled_one_counts(source: Path) -> None:
    found = read(source, "id,title,abstract,title\n1,A,x,\n2,,y,B\n3,C,z,D\n")
    assert found == [
        Abstract("1", "A", "x"),
        Abstract("2", "B", "y"),
        Abstract("3", "C", "z", other_tags=("title (2): D",)),
    ]


def test_a_list_of_titles_may_hold_delimiters(source: Path) -> None:
    assert [
        entry.title for entry in read(source, "title\nA study, of two, things\n") if isinstance(entry, Abstract)
    ] == ["A study, of two, things"]


def test_quotation_marks_of_a_table_without_quoting_stay(source: Path) -> None:
    text = 'id;title;abstract\n1;"Half" and "half";b\n2;"Whole";"a ""b"""\n3;"A" of B;"c;d"\n'
    assert read(source, text) == [
        Abstract("1", '"Half" and "half"', "b"),
        Abstract("2", "Whole", 'a "b"'),
        Abstract("3", '"A" of B', "c;d"),
    ]


def test_an_id_column_with_keywords_is_no_id(source: Path) -> None:
    one, two = read(source, "ID,Title\nGOUT; AGED,A\nGOUT; AGED,B\n")
    assert isinstance(one, Abstract) and isinstance(two, Abstract) and one.record_id != two.record_id
    header = "PT\tAU\tTI\tSO\tID\tAB\tPY\n"
    one, two = read(source, header + "J\tDoe, J\tA\tS\tGOUT\tx\t2019\nJ\tRoe, R\tB\tS\tGOUT\ty\t2019\n")
    assert isinstance(one, Abstract) and isinstance(two, Abstract) and one.record_id != two.record_id
    assert one.keywords == ("GOUT",)


def test_leading_zeros_stay(source: Path) -> None:
    assert read(source, "id,title\n01234,a\n") == [Abstract("01234", "a", "")]


def test_lists_written_as_text_are_read(source: Path) -> None:
    (found,) = read(source, "id,title,authors\n1,a,\"['Marx, Karl', 'Lindgren, Astrid']\"\n")
    assert isinstance(found, Abstract)
    assert found.authors == ("Marx, Karl", "Lindgren, Astrid")


@pytest.mark.parametrize("n_rows", [1, 10, 40_000])
def test_a_quotation_mark_that_is_never_closed_is_an_error_with_its_line(source: Path, n_rows: int) -> None:
    text = 'id,title\n0,fine\n1,"open\n' + ("2,b" + "x" * 1000 + "\n") * n_rows
    with pytest.raises(SourceError, match="a quotation mark opened at line 3 is never closed"):
        read(source, text)


def test_a_quotation_mark_inside_a_cell_is_only_that(source: Path) -> None:
    found = read(source, 'id,title\n1,5" needle\n2,"x" y\n3,last 7"')
    assert [entry.title for entry in found if isinstance(entry, Abstract)] == ['5" needle', '"x" y', 'last 7"']


def test_a_stray_carriage_return_spoils_one_row(source: Path) -> None:
    found = read(source, "id,title\n1,a\n2,b\rc\n3,d\n")
    assert [type(entry) for entry in found] == [Abstract, Rejection, Abstract]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_that_end_with_cr_alone_are_lines(source: Path, codec: str) -> None:
    source.write_bytes('Search: gout\rid,title,journal\r1,a,J\r2,"b\rc",J\r'.encode(codec))
    found = [entry for entry in read_source(source) if isinstance(entry, Abstract)]
    assert [(entry.record_id, entry.title) for entry in found] == [("1", "a"), ("2", "b\rc")]


def test_a_table_with_cr_alone_may_be_joined_to_one_with_other_line_ends(source: Path) -> None:
    found = read(source, "id,title\n1,a\n" + "id,title\r2,b\r3,c\r\n" + "id,title\r\n4,d\r\n")
    assert [entry.record_id for entry in found if isinstance(entry, Abstract)] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("seam", ["", "\n", "\n\ufeff", "\r\n\r\n"])
def test_joined_tables_with_one_header_give_the_records_of_both(source: Path, seam: str) -> None:
    found = read(source, f"id,title,year\n1,a,2001{seam}id,title,year\n2,b,2002\n")
    assert [(entry.record_id, entry.title, entry.year) for entry in found if isinstance(entry, Abstract)] == [
        ("1", "a", 2001),
        ("2", "b", 2002),
    ]
    assert len(found) == 2


@pytest.mark.parametrize(("delimiter"), [",", ";", "\t"])
def test_joined_tables_with_different_headers_are_read_each_by_its_own(source: Path, delimiter: str) -> None:
    second = delimiter.join(("Abstract", "Title", "Publication Year", "PMID")) + "\n"
    second += delimiter.join(("Text of b", "b", "2002", "30000002")) + "\n"
    first, last = read(source, f"Search,gout\nid,title,year\n1,a,2001\nSearch,knee\n{second}")
    assert first == Abstract("1", "a", "", year=2001)
    assert last == Abstract("PMID:30000002", "b", "Text of b", year=2002, pmid="30000002")


def test_a_row_with_a_few_words_of_a_header_is_a_record(source: Path) -> None:
    found = read(source, "title,abstract,keywords\nTitle,Abstract,gout\nYear,Journal,knee\n")
    assert [entry.title for entry in found if isinstance(entry, Abstract)] == ["Title", "Year"]


def test_wrong_extension_does_not_matter(tmp_path: Path) -> None:
    assert read(tmp_path / "table.xml", "id,title\n1,a\n") == [Abstract("1", "a", "")]
    assert read(tmp_path / "lines.csv", '{"id": "1", "title": "a"}\n') == [Abstract("1", "a", "")]


def one(path: Path, header: str, row: str) -> Abstract:
    (found,) = read(path, f"{header}\n{row}\n")
    assert isinstance(found, Abstract)
    return found


def test_pubmeds_own_columns(source: Path) -> None:
    header = "PMID,Title,Authors,Citation,First Author,Journal/Book,Publication Year,Create Date,PMCID,NIHMS ID,DOI"  # as exported
    row = '123,Knee,"Beck A, Núñez J.","Cart. 2021;1:2.",Beck A,Cart,2021,2020/12/02,PMC1,,10.1/X'
    assert one(source, header, row) == Abstract(
        "PMID:123",
        "Knee",
        "",
        2021,
        "Cart",
        ("Beck A", "Núñez J"),
        pmid="123",
        doi="10.1/X",
        volume="1",
        pages="2",
        pmcid="PMC1",
        databases=("PubMed",),
        other_tags=("First Author: Beck A", "Create Date: 2020/12/02"),
    )


def test_embases_own_columns(source: Path) -> None:
    header = (
        "Title,Original Title,Author Names,Source,Abstract,Original Abstract,keywords,Embase Accession ID,Medline PMID"
    )
    row = (
        'Knee,Knie,"Liu R., Adler D.G.","Endoscopic Ultrasound (2014) 3:3 (152-160). Date of Publication: 2014",Body,'
        '"Text","adult, cyst (diagnosis, surgery)",L373791783,'
    )
    expected = Abstract(
        "Embase:L373791783",
        "Knee",
        "Body",
        2014,
        "Endoscopic Ultrasound",
        ("Liu R.", "Adler D.G."),
        keywords=("adult", "cyst (diagnosis, surgery)"),
        vernacular_title="Knie",
        other_abstracts=("[original] Text",),
        volume="3",
        issue="3",
        pages="152-160",
        databases=("Embase",),
        accessions=("Embase:L373791783",),
    )
    assert one(source, header, row) == expected
    assert one(source, header, row + "123").record_id == "PMID:123"


def test_scopus_own_columns(source: Path) -> None:
    header = (
        "Authors,Author full names,Title,Year,Source title,DOI,Abstract,Author Keywords,Index Keywords,PubMed ID,"
        "Language of Original Document,Document Type,EID"
    )
    row = '"Beck, A.; Núñez, J.",x,Knee,2020,Cart,{doi},Body,gait; hip,hip; adult,{pmid},English,Retracted,2-s2.0-85074000001'
    expected = {"title": "Knee", "abstract": "Body", "year": 2020, "journal": "Cart", "retracted": True}
    expected |= {"keywords": ("gait", "hip", "adult"), "languages": ("English",), "publication_types": ("Retracted",)}
    expected |= {
        "databases": ("Scopus",),
        "accessions": ("Scopus:2-s2.0-85074000001",),
        "other_tags": ("Author full names: x",),
    }
    found = one(source, header, row.format(doi="", pmid=""))
    assert found == Abstract("Scopus:2-s2.0-85074000001", authors=("Beck, A.", "Núñez, J."), **expected)  # type: ignore[arg-type]
    assert one(source, header, row.format(doi="10.1/x", pmid="")).record_id == "DOI:10.1/x"
    assert one(source, header, row.format(doi="10.1/x", pmid="123")).record_id == "PMID:123"


def test_zoteros_own_columns(source: Path) -> None:
    header = "Key,Item Type,Publication Year,Author,Title,Publication Title,Abstract Note,DOI,Language,Extra,Manual Tags,Automatic Tags"
    row = 'AB12CD34,journalArticle,2021,"Beck, Ann; Núñez, José",Knee,Cartilage,Body,{doi},en,"{extra}",gait,hip; gait'
    expected = Abstract(
        "AB12CD34",
        "Knee",
        "Body",
        2021,
        "Cartilage",
        ("Beck, Ann", "Núñez, José"),
        keywords=("gait", "hip"),
        languages=("en",),
        other_tags=("Item Type: journalArticle",),
    )
    assert one(source, header, row.format(doi="", extra="")) == expected
    assert one(source, header, row.format(doi="", extra="PMCID: PMC1\nread twice")).notes == ("read twice",)
    assert one(source, header, row.format(doi="10.1/x", extra="")).record_id == "DOI:10.1/x"
    assert one(source, header, row.format(doi="10.1/x", extra="PMCID: PMC1\nPMID: 123")).record_id == "PMID:123"


def test_columns_are_looked_up_once_per_header(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr(columns, "_normalise_column", lambda name: looked_up.append(name) or name.lower())
    columns.match_columns.cache_clear()
    assert len(read(source, "id,title,abstract\n" + "1,a,b\n" * 1000)) == 1000
    columns.match_columns.cache_clear()
    assert len(looked_up) < 100


def test_of_an_id_column_given_twice_the_first_filled_one_counts(source: Path) -> None:
    first, second = read(source, "id,title,id\n1,a,7\n,b,8\n")
    assert first == Abstract("1", "a", "", other_tags=("id (2): 7",))
    assert second == Abstract("8", "b", "")
