import json
import re
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.records.abstract import Abstract
from engine.references.writers.bibtex import _escape_tex, _make_keys, _make_suffix, write_bibtex
from tests.references.found import BARE, FULL, cite, write_without_mark


def test_an_entry_line_by_line() -> None:
    (text,) = write_bibtex([cite(FULL, 3, 0.1234567)], "")
    marked = text.splitlines()[-3].removeprefix("  abstract-engine = {").removesuffix("}")
    left = json.loads(marked.removeprefix("abstract-engine "))
    assert left["id"] == "toy-01" and left["mesh"] == list(FULL.mesh) and "title" not in left
    assert text.splitlines() == [
        "@article{vandeSchoot2021Grosse,",
        "  title = {{Größe of knees; a study}},",
        "  author = {Rens van de Schoot and Núñez, José and Beck, A and Ann-Marie B. Smith Jr and {Knee Study Group}},",
        "  journal = {Cartilage},",
        "  year = {2021},",
        "  month = {05},",
        "  volume = {58},",
        "  number = {5},",
        "  pages = {253--258},",
        r"  publisher = {Knee \& Sons},",
        "  address = {Bern},",
        "  issn = {1462-0324, 1462-0332},",
        "  doi = {10.1177/Ab(1)<2>_3},",
        "  pmid = {123},",
        "  pmcid = {PMC7654321},",
        "  eprint = {123},",
        "  eprinttype = {pubmed},",
        "  url = {https://pubmed.ncbi.nlm.nih.gov/123/},",
        "  keywords = {Arthritis, Rheumatoid; Knee Joint; *starred; knee; hip; pain},",
        "  language = {eng; fre},",
        "  document_type = {Journal Article; Research Support, N.I.H., Extramural},",
        r"  abstract = {BACKGROUND: Knees, many. RESULTS: 5 of 7 (p \textless{} 0.05). CONCLUSION: None.},",
        "  affiliation = {Knee Clinic, Bern; Hip Clinic; Basel},",
        r"  copyright = {© 2021 Knee \& Sons.},",
        "  annote = {Mind the knees; PMID: 7; two lines},",
        "  note = {RETRACTED. abstract-engine: rank 3, score 0.123457, id toy-01},",
        f"  abstract-engine = {{{marked}}}",
        "}",
        "",
    ]


def test_what_other_programs_read_is_read_without_the_field_of_the_engine(tmp_path: Path) -> None:
    write_without_mark(tmp_path / "hits.bib", FULL)
    (found,) = read_source(tmp_path / "hits.bib")
    assert isinstance(found, Abstract)
    assert (found.record_id, found.title, found.year, found.journal) == ("PMID:123", FULL.title, 2021, "Cartilage")
    assert (found.doi, found.languages, found.publication_types) == (FULL.doi, FULL.languages, FULL.publication_types)
    assert found.authors == tuple("Beck, A" if name == "Beck A" else name for name in FULL.authors)
    assert found.abstract == " ".join(FULL.abstract.split())


def test_an_entry_may_be_nearly_empty(tmp_path: Path) -> None:
    (text,) = write_bibtex([cite(BARE)], "")
    assert text == (
        "@article{AnonymousTitle,\n  title = {{A title}},\n  note = {abstract-engine: rank 1, score 0.500000, id bare},\n"
        '  abstract-engine = {abstract-engine {"id": "bare"}}\n}\n\n'
    )


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("50% of $5 & a_b #1", r"50\% of \$5 \& a\_b \#1"),
        ("{x", r"\ensuremath{\lbrace}x"),
        ("a {b} c", r"a \{b\} c"),
        ("}{", r"\ensuremath{\rbrace}\ensuremath{\lbrace}"),
        ("a\\b", r"a\textbackslash{}b"),
        ("a--b", "a-{}-b"),
        ("a\x00b\n c", "ab c"),
    ],
)
def test_what_means_something_to_tex_is_escaped(text: str, tex: str) -> None:
    assert _escape_tex(text) == tex


def test_braces_balance_even_for_bibtex_which_counts_escaped_ones() -> None:
    record = Abstract("a", "}{ \\{ }}", "{{{ \\}", journal="}", authors=("A {B", "} and {"), doi="10.1/{x}\\y")
    text = next(write_bibtex([cite(record)], ""))
    depths = [text[:n].count("{") - text[:n].count("}") for n in range(len(text))]
    assert min(depths) == 0 and text.rstrip().endswith("}") and text.count("{") == text.count("}")
    assert "doi = {10.1/%7Bx%7D%5Cy}" in text


def test_nothing_in_the_field_of_the_engine_means_something_to_tex() -> None:
    record = Abstract("a", "T", "$5 of 9%\n{b}", notes=("@a $",))
    (line,) = [line for line in next(write_bibtex([cite(record)], "")).splitlines() if "abstract-engine =" in line]
    assert not re.search("[$%@]", line) and line.count("{") == 2


def test_keys_are_different_and_always_the_same() -> None:
    records = [
        Abstract("1", "The Knee", "", 2020, authors=("Ann Smith",)),
        Abstract("2", "Knee pain", "", 2020, authors=("Smith, Bea",)),
        Abstract("3", "knee", "", 2020, authors=("Smith C",)),
        Abstract("4", "Kneea", "", 2020, authors=("Smith",)),
        Abstract("5", "在", "text", authors=("王小明",)),
        Abstract("6", "Of the", "", authors=("José Núñez",)),
        Abstract("7", "Æ-1 β", "", authors=("Søren Łuç",)),
    ]
    keys = [key for key, _ in _make_keys([cite(record) for record in records])]
    assert keys == [
        "Smith2020Knee",
        "Smith2020Kneea",
        "Smith2020Kneeb",
        "Smith2020Kneeaa",
        "Anonymous",
        "Nunez",
        "Luc1",
    ]


def test_letters_go_on_after_z() -> None:
    assert [_make_suffix(n) for n in (0, 1, 2, 26, 27, 52, 53, 702, 703)] == [
        "",
        "a",
        "b",
        "z",
        "aa",
        "az",
        "ba",
        "zz",
        "aaa",
    ]


def test_books_and_chapters_have_entries_of_their_own(tmp_path: Path) -> None:
    book = Abstract("1", "T", "", journal="Series", publication_types=("Book",))
    chapter = Abstract("2", "T", "", journal="The book", publication_types=("Book Chapter",))
    one, two = write_bibtex([cite(book), cite(chapter)], "")
    assert one.startswith("@book{") and "  series = {Series}" in one
    assert two.startswith("@incollection{") and "  booktitle = {The book}" in two
    (tmp_path / "hits.bib").write_text(two, encoding="utf-8")
    (found,) = read_source(tmp_path / "hits.bib")
    assert isinstance(found, Abstract) and found.journal == "The book"
