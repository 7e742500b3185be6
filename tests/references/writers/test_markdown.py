import re

import pytest
from hypothesis import given

from engine.records.abstract import Abstract
from engine.references.writers.markdown import escape_markdown, write_markdown
from tests.references.found import FULL, NO_TITLE, TEXT, cite


def test_a_list_by_hand() -> None:
    text = "".join(write_markdown([cite(FULL, 9, 0.7123), cite(NO_TITLE, 10, 0.5)], "gout *and* [pain](x)"))
    assert text == (
        "# gout \\*and\\* \\[pain\\](x)\n"
        "\n"
        "2 records\n"
        "\n"
        "9. **RETRACTED** **Größe of knees; a study**\\\n"
        "   Rens van de Schoot, Núñez, José, Beck A et al. *Cartilage* 2021 · "
        "[PMID 123](https://pubmed.ncbi.nlm.nih.gov/123/) · "
        "[doi:10.1177/Ab(1)\\<2\\>\\_3](https://doi.org/10.1177/Ab%281%29%3C2%3E_3) · score 0.712\n"
        "\n"
        "10. \\[no title\\] Only an abstract\\\n"
        "    [doi:10.1/X](https://doi.org/10.1/X) · score 0.500\n"
    ).replace("[doi:10.1/X](https://doi.org/10.1/X)", "10.1/X")


def test_a_doi_of_a_registrant_below_another_is_a_link() -> None:
    text = "".join(write_markdown([cite(Abstract("a", "T", "", doi="10.1000.10/123456"))], ""))
    assert "[doi:10.1000.10/123456](https://doi.org/10.1000.10/123456)" in text


def test_what_is_no_pmid_and_no_doi_is_no_link() -> None:
    text = "".join(write_markdown([cite(Abstract("a", "T", "", pmid="1](x", doi="10.1234/a b"))], ""))
    assert "1\\](x · 10.1234/a b" in text and "](http" not in text
    assert text.startswith("# References\n\n1 record\n")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\n# b", "a \\# b"),
        ("<script>&amp;", "\\<script\\>\\&amp;"),
        ("![x](javascript:y)", "\\!\\[x\\](javascript:y)"),
        ("http://a.b www.c.d e@f", "http\\://a.b www\\.c.d e\\@f"),
        ("a\x1b[2Jb\u202ec\x00", "a \\[2Jb c"),
        ("a\\*b", "a\\\\\\*b"),
        ("`code` $x$ ~~y~~ |", "\\`code\\` \\$x\\$ \\~\\~y\\~\\~ \\|"),
    ],
)
def test_nothing_in_a_text_is_markup(text: str, safe: str) -> None:
    assert escape_markdown(text) == safe


@given(TEXT)
def test_a_text_is_one_line_and_every_mark_has_its_backslash(text: str) -> None:
    found = escape_markdown(text)
    assert len(found.splitlines()) < 2
    bare = re.sub(r"\\.", "", found)
    assert not set(bare) & set("\\`*_{}[]<>#!|~$^&@") and not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", bare)
