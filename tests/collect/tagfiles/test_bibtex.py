import logging
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collect.source import check_source, read_source
from engine.collect.text.latex import decode_latex
from engine.records.abstract import Abstract, Entry, Rejection, Remark

AS_IT_CAME = "LaTeX that can't be converted completely, stored unchanged"


def read(path: Path, text: str) -> list[Entry]:
    path.write_text(text, encoding="utf-8")
    return list(read_source(path))


def one(path: Path, fields: str) -> Abstract:
    (found,) = read(path, "@article{key,\n title = {Knee},\n" + fields + "\n}\n")
    assert isinstance(found, Abstract)
    return found


def test_every_field_comes_out_as_it_went_in(source: Path) -> None:
    text = r"""% A library
@comment{jabref-meta: {x}}
@preamble{"\newcommand{\x}{y}"}
@string{cart = "Cartilage"}
@Article{Beck2021,
  Title = {{TNF}-$\alpha$ in {CO$_2$}: We saw 50% of it},
  Abstract = "One < two &
     10$^{-3}$ {\textless}5 Sj{\"o}gren",
  author = {Beck, Ann and N{\'u}{\~n}ez, Jos{\'e} and {Group of One and Two} and others},
  journal = cart,
  year = 2021, month = jan,
  doi = {10.1000/Foo\_bar},
  keywords = {gait, hip; {TNF}},
  language = {English},
  type = {Review},
}"""
    assert read(source, text) == [
        Abstract(
            record_id="DOI:10.1000/foo_bar",
            title="TNF-α in CO2: We saw 50% of it",
            abstract="One < two & 10-3 <5 Sjögren",
            year=2021,
            journal="Cartilage",
            authors=("Beck, Ann", "Núñez, José", "Group of One and Two"),
            doi="10.1000/Foo_bar",
            publication_types=("Review",),
            keywords=("gait", "hip", "TNF"),
            languages=("English",),
            published="2021-01",
            other_tags=("BibTeX citation key: Beck2021",),
        )
    ]
    assert check_source(source).name == "BibTeX"


@pytest.mark.parametrize(
    ("fields", "record_id"),
    [
        ("pmid = {123}, doi = {10.1/x}", "PMID:123"),
        ("eprint = {123}, eprinttype = {pubmed}", "PMID:123"),
        ("eprint = {1203.001}, archiveprefix = {arXiv}, doi = {10.1/x}", "DOI:10.1/x"),
        ("note = {PMID: 123}", "PMID:123"),
        ("unique-id = {WOS:000520500900002}", "WOS:000520500900002"),
        ("url = {https://www.scopus.com/inward/record.uri?eid=2-s2.0-85074000001&x}", "Scopus:2-s2.0-85074000001"),
    ],
)
def test_identity_is_pmid_then_doi_then_the_number_of_a_database(source: Path, fields: str, record_id: str) -> None:
    assert one(source, fields).record_id == record_id


def test_a_citation_key_is_no_identity(source: Path) -> None:
    assert one(source, "year = 2000").record_id.startswith("TEXT:")


def test_dates_journals_and_repeated_fields(source: Path) -> None:
    found = one(source, "date = {2019-05-01}, journaltitle = {J}, abstract = {one}, abstract = {two}")
    assert (found.year, found.journal, found.abstract) == (2019, "J", "one\ntwo")
    assert one(source, "booktitle = {B}").journal == "B"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("@article{b, title = {Never closed,\n year = 2000,", "the entry is never closed"),
        ("@article{b title = {x}}", "not a BibTeX entry: Expected comma after entry key"),
        ("@article{b, title = {x}\n  year = {2000}\n}", "a comma is missing after the field 'title'"),
        ("@article{b, title = {a} b},\n  abstract = {lost}\n}", "text after the end of the entry"),
        ("@article{b, year = 2000}", "neither title nor abstract"),
    ],
)
def test_a_broken_entry_is_one_rejection_and_its_neighbours_are_read(source: Path, broken: str, reason: str) -> None:
    found = read(source, f"@misc{{a, title={{A}}}}\n\n{broken}\n\n@misc{{c, title={{C}}}} @misc{{d, title={{D}}}}\n")
    assert [entry.title for entry in found if isinstance(entry, Abstract)] == ["A", "C", "D"]
    (rejection,) = [entry for entry in found if isinstance(entry, Rejection)]
    assert rejection.place == "line 3"
    with pytest.raises(ValueError, match=reason):
        raise ValueError(rejection.reason)


def test_the_last_entry_left_open_is_rejected_and_the_parsers_are_quiet(
    source: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    levels = [logging.getLogger(name).level for name in ("bibtexparser", "pylatexenc")]
    with caplog.at_level(logging.INFO):
        found = read(source, "@misc{a, title={A}}\n@misc{c title = {x}}\n@misc{b, title={B $x {y}}\n@misc{d, title={D")
    assert [type(entry) for entry in found] == [Abstract, Rejection, Rejection, Rejection]
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert [logging.getLogger(name).level for name in ("bibtexparser", "pylatexenc")] == levels


def test_round_brackets_enclose_entries_too(source: Path) -> None:
    (found,) = read(source, "@article(k, title = {Paren (x) {y)}}, year = 1999)\n")
    assert isinstance(found, Abstract) and (found.title, found.year) == ("Paren (x) y)", 1999)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("We saw 50% of it, & 5 # of 6 at ~5 $ and C:\\n", None),
        ("{TNF} in 50% of it & 5 # ~5 of it", "TNF in 50% of it & 5 # ~5 of it"),
        (r"50\% of \& {x} \$5 \_a \#1", "50% of & x $5 _a #1"),
        ("{x} costs $5 and $6, p<0.05", "x costs $5 and $6, p<0.05"),
        ("Smith~et~al. {x} (~50)", "Smith et al. x (~50)"),
        (r"$p < 0.05$ and $\beta = 1$", "$p < 0.05$ and β = 1"),
        (r"5\,mg of {\textmu}g, 37$^\circ$C", "5 mg of µg, 37°C"),
        (r"{\textless}i{\textgreater} \textbar{}", "<i> |"),
        (r"hy\-phen \emph{in vitro} \textalpha{}", "hyphen in vitro α"),
        ("{{Double}}", "Double"),
        ("plain $a$ -- ``as'' it is", "plain $a$ -- ``as'' it is"),
    ],
)
def test_latex_becomes_text(value: str, text: str | None) -> None:
    assert decode_latex(value) == ((text, True) if text is not None else (value, False))


@pytest.mark.parametrize(
    "value", [r"C:\Users\me", r"see \cite{Beck2021}", r"\verb|code|", r"\nosuchmacro 5", r"\href{http://a.b}{text}"]
)
def test_what_would_lose_words_stays_as_it_came_with_a_remark(source: Path, value: str) -> None:
    remark, found = read(source, f"@misc{{a, title = {{T}}, abstract = {{{value}}}}}")
    assert remark == Remark(AS_IT_CAME, "line 1")
    assert isinstance(found, Abstract) and found.abstract == value


WORDS = st.lists(st.text("ab1é%&_#~$<>;.,^", min_size=1, max_size=6), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS, markup=st.sampled_from(["", "{TNF}", r"\alpha{}", r"{\"o}", r"50\%"]))
def test_words_of_plain_text_always_survive(source: Path, words: list[str], markup: str) -> None:
    found = one(source, f"abstract = {{begin {' '.join(words)} {markup} end}}")
    if not markup:
        assert found.abstract.split() == ["begin", *words, "end"]
    there = iter(inked(found.abstract))
    assert all(char in there for char in inked("".join(["begin", *words, "end"])))  # `in` moves the iterator on


def inked(text: str) -> str:
    """Text without what LaTeX may take for markup: dollars, ties, and what makes formulas of them."""
    return re.sub(r"[$_^~\s]", "", text)


def test_lines_may_end_with_cr_alone(source: Path) -> None:
    assert [
        entry.title
        for entry in read(source, "@misc{a,\r title={A}}\r@misc{b, title={B}}\r")
        if isinstance(entry, Abstract)
    ] == ["A", "B"]


def test_what_citations_need_the_notes_and_the_labels_come_out(source: Path) -> None:
    (found,) = read(
        source,
        """@inproceedings{Beck2021, title={Knee}, subtitle={a tale}, booktitle={Proc}, volume=12, number={3},
        pages={253--258}, issn={0008-543X}, isbn={9780306406157}, publisher={Press}, address={Bern}, pmcid={PMC12},
        url={https://a.b/c, https://d.e/f}, howpublished={\\url{http://x.y/z}}, month="12~apr", year=2019,
        note={mine}, annote={also mine}, file={:home/x.pdf:PDF}, groups={incl, later}, mendeley-tags={t1,t2},
        affiliation={Clinic A; Clinic B}, editor={Doe, J}, copyright={(c) Press}, abstract={Fell.}}""",
    )
    assert found == Abstract(
        record_id=found.record_id if isinstance(found, Abstract) else "",
        title="Knee: a tale",
        abstract="Fell.",
        year=2019,
        published="2019-04-12",
        journal="Proc",
        volume="12",
        issue="3",
        pages="253-258",
        issns=("0008-543X", "9780306406157"),
        publisher="Press",
        place="Bern",
        pmcid="PMC12",
        urls=("https://a.b/c", "https://d.e/f", "http://x.y/z"),
        notes=("mine", "also mine"),
        labels=("incl", "later", "t1", "t2"),
        affiliations=("Clinic A", "Clinic B"),
        rights="(c) Press",
        other_tags=(
            "BibTeX file: :home/x.pdf:PDF",
            "BibTeX editor: Doe, J",
            "BibTeX entry type: inproceedings",
            "BibTeX citation key: Beck2021",
        ),
    )


def test_web_of_science_has_its_number_its_terms_and_the_works_cited(source: Path) -> None:
    (found,) = read(
        source,
        """@article{ WOS:000999037599901,
Title = {{Urate}}, Month = {OCT-DEC}, Year = {{2019}}, EISSN = {{1234-5679}}, Article-Number = {{e12}},
Affiliation = {{Marlow, J (Corresponding Author), Univ X, City.
   Okoro, P, Univ Y, Town.}},
Cited-References = {{Aaronson NK, 1993, BMJ, V85, P365, DOI 10.1093/x.5.
   Baker B, 2000, BMJ, V1, P2.}},
Keywords = {{a; b}}, Keywords-Plus = {{D}}, Unique-ID = {{WOS:000999037599901}},
}""",
    )
    assert isinstance(found, Abstract)
    assert (found.record_id, found.databases) == ("WOS:000999037599901", ("Web of Science",))
    assert (found.accessions, found.keywords) == (("WOS:000999037599901",), ("a", "b", "D"))
    assert found.cited_ids == ("Aaronson NK, 1993, BMJ, V85, P365, DOI 10.1093/x.5", "Baker B, 2000, BMJ, V1, P2")
    assert found.affiliations == ("Marlow, J (Corresponding Author), Univ X, City.", "Okoro, P, Univ Y, Town.")
    assert (found.published, found.issns, found.pages) == ("2019-10", ("1234-5679",), "e12")
    assert found.other_tags == ("BibTeX month: OCT-DEC",)


def test_scopus_has_its_name_its_number_and_the_works_cited(source: Path) -> None:
    found = one(
        source,
        """source={Scopus}, document_type={Article}, note={cited By 12}, abbrev_source_title={J},
        url={https://www.scopus.com/inward/record.uri?eid=2-s2.0-85074000001&x}, pubmed_id={31366609},
        author_keywords={gout}, keywords={urate; knee}, references={A., One (2000) J, 1; B., Two (2001) J, 2},""",
    )
    assert (found.pmid, found.databases, found.notes) == ("31366609", ("Scopus",), ("cited By 12",))
    assert found.accessions == ("Scopus:2-s2.0-85074000001",)
    assert found.cited_ids == ("A., One (2000) J, 1", "B., Two (2001) J, 2")
    assert found.keywords == ("urate", "knee", "gout")
    assert found.other_tags == ("BibTeX abbrev_source_title: J", "BibTeX citation key: key")
