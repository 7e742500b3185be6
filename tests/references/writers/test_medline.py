from pathlib import Path

import nbib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collect.source import read_source
from engine.records.abstract import Abstract, Notice
from engine.references.writers.medline import _wrap_tag, write_medline
from tests.references.found import BARE, FULL, cite


def test_a_record_line_by_line() -> None:
    (text,) = write_medline([cite(FULL, 3, 0.1234567)], "")
    expected = r"""PMID- 123
OID - abstract-engine:toy-01
GN  - abstract-engine: rank 3, score 0.123457
IS  - 1462-0324 (Undetermined)
IS  - 1462-0332 (Undetermined)
VI  - 58
IP  - 5
DP  - 2021 May 3
TI  - Größe of knees; a study
PG  - 253-258
LID - 10.1177/Ab(1)<2>_3 [doi]
AB  - BACKGROUND: Knees, many. RESULTS: 5 of 7 (p < 0.05).  CONCLUSION: None.
OAB - Les genoux.
OABL- fre
OAB - plain-language-summary: Knees are fine.
OABL- eng
OAB - Knie.
OABL- eng
CI  - © 2021 Knee & Sons.
AD  - Knee Clinic, Bern
AD  - Hip Clinic; Basel
FAU - van de Schoot, Rens
AU  - van de Schoot R
FAU - Núñez, José
AU  - Núñez J
AUID- ORCID: 0000-0002-1825-0097
FAU - Beck, A
AU  - Beck A
FAU - Smith, Ann-Marie B., Jr
AU  - Smith AMB Jr
CN  - Knee Study Group
LA  - eng
LA  - fre
PT  - Journal Article
PT  - Research Support, N.I.H., Extramural
TT  - Größe der Knie
PL  - Bern
PB  - Knee & Sons
JT  - Cartilage
MH  - Arthritis, Rheumatoid
MH  - Knee Joint
OT  - *starred
OT  - knee; hip
OT  - pain
RIN - not recorded
EIN - not recorded
ECF - not recorded
PMC - PMC7654321
AID - 10.1177/Ab(1)<2>_3 [doi]
GN  - Mind the knees; PMID: 7
GN  - two lines
GR  - R01 AR000001
"""
    lines, left = text.split("GN  - abstract-engine {")
    assert lines == expected.replace("\n", "\r\n")
    assert '"names": "f-is-", "breaks": [24, 52, 53]}' in " ".join(left.split()) and left.endswith("}\r\n\r\n")


def test_a_record_that_is_not_of_pubmed_keeps_its_id(tmp_path: Path) -> None:
    path = tmp_path / "hits.nbib"
    (text,) = write_medline([cite(BARE)], "")
    assert text.startswith("OWN - abstract-engine\r\nOID - abstract-engine:bare\r\n")
    path.write_text(text, encoding="utf-8", newline="")
    assert list(read_source(path)) == [BARE]


@pytest.mark.parametrize("notice", list(Notice))
def test_every_notice_has_a_tag(tmp_path: Path, notice: Notice) -> None:
    record = Abstract("a", "T", "", notices=(notice,))
    (text,) = write_medline([cite(record)], "")
    assert "not recorded" in text and notice.value not in text
    (tmp_path / "hits.nbib").write_text(text, encoding="utf-8", newline="")
    assert list(read_source(tmp_path / "hits.nbib")) == [record]


def test_the_date_of_revision_stays(tmp_path: Path) -> None:
    record = Abstract("a", "T", "", revised="2020-01-31")
    (tmp_path / "hits.nbib").write_text(next(write_medline([cite(record)], "")), encoding="utf-8", newline="")
    assert list(read_source(tmp_path / "hits.nbib")) == [record]


def test_another_library_reads_it() -> None:
    text = "".join(write_medline([cite(FULL), cite(BARE, 2)], "")).replace("\r\n", "\n")
    found, bare = nbib.read(text)  # fails at an empty PMID, and at an ISSN without its medium
    assert "pubmed_id" not in bare and bare["title"] == BARE.title
    assert (found["journal_volume"], found["journal_issue"], found["pages"]) == ("58", "5", "253-258")
    assert (found["pubmed_id"], found["title"], found["doi"]) == (123, FULL.title, FULL.doi)
    assert found["abstract"].split() == FULL.abstract.split()
    assert [author["author"] for author in found["authors"]][:2] == ["van de Schoot, Rens", "Núñez, José"]


def test_lines_are_wrapped_at_80_columns_and_long_words_are_not_cut() -> None:
    assert _wrap_tag("TI", "x" * 74 + " y").split("\r\n") == ["TI  - " + "x" * 74, "      y", ""]
    assert _wrap_tag("TI", "x" * 72 + " y").split("\r\n") == ["TI  - " + "x" * 72 + " y", ""]
    assert _wrap_tag("TI", "x" * 90).split("\r\n") == ["TI  - " + "x" * 90, ""]
    assert _wrap_tag("PMID", "") == "PMID- \r\n"


@given(st.text("ab \xa0\u2009", min_size=1, max_size=400).map(str.strip))
def test_joining_the_lines_gives_the_text_back(text: str) -> None:
    lines = _wrap_tag("AB", text).split("\r\n")
    assert " ".join(line[6:] for line in lines[:-1]) == text
    assert all(line.startswith("      ") and line[6:].strip() for line in lines[1:-1])
