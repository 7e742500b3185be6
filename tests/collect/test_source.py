import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collect.source import FORMATS, check_source, get_format, read_source
from engine.collect.text.lines import decode_first_line
from engine.errors import SourceError
from engine.records.abstract import Abstract

SMALLEST = {
    "PubMed XML": "<PubmedArticleSet></PubmedArticleSet>",
    "EndNote XML": "<xml><records></records></xml>",
    "Ovid": "<1. >\nVN  - Ovid Technologies\nTI  - Knee\n",
    "MEDLINE": "PMID- 1\nTI  - Knee\n",
    "RIS": "TY  - JOUR\nTI  - Knee\nER  -\n",
    "Web of Science": "FN Clarivate Analytics Web of Science\nVR 1.0\nPT J\nTI Knee\nER\n",
    "RefWorks": "RT Journal Article\nT1 Knee\n",
    "Refer": "%0 Journal Article\n%T Knee\n",
    "Cochrane": "Record #1 of 1\nID: CN-00000001\nTI: Knee\n",
    "PubMed text": "1. J Knee. 2020 May;1(2):3-4.\n\nKnee.\n\nBeck A.\n\nPMID: 1\n",
    "BibTeX": "@article{a, title={Knee}}\n",
    "JSON": '[{"id": 1, "title": "Knee"}]\n',
    "OpenAlex": '{"id": "https://openalex.org/W1", "title": "Knee"}\n',
    "JSONL": '{"id": 1, "title": "Knee"}\n',
    "CSV": "id,title\n1,Knee\n",
}


@pytest.mark.parametrize("name", [known.name for known in FORMATS if known.name != "XLSX"])
def test_the_format_is_told_from_the_content_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / "records.xls"
    path.write_text(SMALLEST[name])
    assert check_source(path).name == name
    if name.endswith("XML"):
        with pytest.raises(SourceError, match=f"holds no {name} record; its first line, '<.*', is of no other format"):
            list(read_source(path))
    else:
        assert len(list(read_source(path))) == 1
    path.write_text("\ufeff\n" + SMALLEST[name])
    assert check_source(path).name == name


def test_first_bytes_that_end_inside_a_character_are_still_utf8() -> None:
    assert decode_first_line("\ufeffGröße\né".encode()[:-1]) == "Größe"
    assert decode_first_line("Größe\n".encode("latin-1")) == "Größe"


def test_a_format_that_is_named_is_used_whatever_the_content(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text("title\nTY  - JOUR\n")
    assert check_source(path).name == "RIS"
    assert check_source(path, "csv").name == "CSV"
    assert [entry.title for entry in read_source(path, "csv") if isinstance(entry, Abstract)] == ["TY  - JOUR"]


def test_formats_are_named_in_any_case_and_an_unknown_one_lists_them() -> None:
    assert get_format(" web OF science ").name == "Web of Science"
    names = ("PubMed XML", "EndNote XML", "Ovid", "MEDLINE", "RIS", "Web of Science", "RefWorks", "Refer", "Cochrane")
    known = f"{', '.join(names)}, PubMed text, BibTeX, JSON, OpenAlex, JSONL, XLSX or CSV"
    with pytest.raises(SourceError, match=f"unknown format 'xls': expected {known}"):
        get_format("xls")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<?xml version="1.0"?>\n<!-- x -->\n<rss version="2.0"><channel/></rss>', "found '<rss version="),
        ("<html><body>", "found '<html>'"),
        ("Dear all,\nsee below\n", "is not PubMed XML, .* or CSV: its first line is 'Dear all,'. A CSV needs a header"),
        ("[1, 2]", "is not PubMed XML, .*, JSON, .* or CSV: its first line is '\\[1, 2"),
    ],
)
def test_what_is_not_read_is_refused_saying_what_it_is_and_what_is_read(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "source").write_text(content)
    with pytest.raises(SourceError, match=message):
        check_source(tmp_path / "source")


PIECES = (
    "TY  - JOUR|TY -|ER  -|TI  - Knee|AB  - |PMID- 1|PMID-|PMID-x|FN Clarivate|PT J|PT|TI a|ER|@misc{a, title={A}}|@misc{b,|@string{|}|{|(|)"
    "|%0 Journal Article|%T t|RT Book|T1 t|<1. >|VN  - Ovid|UI  - 1|Record #1 of 1|TI: t|1. J. 2020.|PMID: 1|Title|  x"
    '|"|\\|\\x|$|%|&|#|=|,|{"id": 1}|{"abstract_inverted_index": {"a": [0]}}|<xml><records>|<record>|</record>|&e;|title,abstract|a,b|\t'
).split("|")


@pytest.mark.parametrize("name", [known.name for known in FORMATS])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from([piece.encode() for piece in PIECES] + [b"\n", b"\r\n", b"\xff"]), min_size=1))
def test_whatever_a_file_holds_only_the_one_error_comes_out(tmp_path: Path, name: str, parts: list[bytes]) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"".join(parts))
    with contextlib.suppress(SourceError):
        list(read_source(path, name))
