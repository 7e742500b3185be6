"""Every file of the folder of real exports, with what is in it. Counted with grep, awk and the csv module, not by reading
them here: TY and PMID lines, <record>, <PubmedArticle> and <MedlineCitation>, PMIDs in DeleteCitation, rows of tables.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from engine.collect.source import check_source, read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract, Deletion, Rejection

# file: (format, records, deletions, rejected)
FILES = {
    "csv/asreview_datatools_duplicate_data_with_doi.csv": ("CSV", 5, 0, 0),
    "csv/asreview_datatools_duplicate_data_without_doi.csv": ("CSV", 5, 0, 0),
    "csv/asreview_datatools_sample_data.csv": ("CSV", 6, 0, 0),
    "csv/asreview_datatools_snowballing_doi.csv": ("CSV", 2, 0, 0),
    "csv/asreview_datatools_snowballing_openalex.csv": ("CSV", 2, 0, 0),
    "csv/asreview_duplicate_records.csv": ("CSV", 10, 0, 4),  # the last four have neither title nor abstract
    "csv/asreview_embase.csv": ("CSV", 6, 0, 0),
    "csv/asreview_embase_newpage.csv": ("CSV", 6, 0, 0),
    "csv/asreview_generic.csv": ("CSV", 2, 0, 0),
    "csv/asreview_generic_bad_record_id.csv": ("CSV", 6, 0, 0),
    "csv/asreview_generic_column_names_with_spaces.csv": ("CSV", 2, 0, 0),
    "csv/asreview_generic_labels.csv": ("CSV", 6, 0, 0),
    "csv/asreview_generic_labels_no_abs.csv": ("CSV", 6, 0, 0),
    "csv/asreview_generic_labels_no_title.csv": ("CSV", 6, 0, 0),
    "csv/asreview_generic_partial_labels.csv": ("CSV", 6, 0, 0),
    "csv/asreview_generic_semicolon.csv": ("CSV", 2, 0, 0),
    "csv/asreview_generic_tab.csv": ("CSV", 2, 0, 0),
    "csv/asreview_generic_tab.tab": ("CSV", 2, 0, 0),
    "csv/asreview_generic_tab.tsv": ("CSV", 2, 0, 0),
    "csv/asreview_missing_values.csv": ("CSV", 4, 0, 0),
    "csv/asreview_record_id.csv": ("CSV", 10, 0, 0),
    "endnote_xml/copper.xml": ("EndNote XML", 505, 0, 0),
    "endnote_xml/tafenoquine.xml": ("EndNote XML", 179, 0, 0),
    "medline_nbib/pubmed-balloongui-set.nbib": ("MEDLINE", 75, 0, 0),
    "medline_nbib/pubmed_result1.txt": ("MEDLINE", 1, 0, 0),
    "medline_nbib/pubmed_result2.txt": ("MEDLINE", 4, 0, 0),
    "medline_nbib/pubmed_result3.txt": ("MEDLINE", 1, 0, 0),
    "medline_nbib/single.nbib": ("MEDLINE", 1, 0, 0),
    "openalex/meijboom_2021_works.jsonl.gz": ("OpenAlex", 883, 0, 0),
    "pubmed_xml/28356292.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/31482638.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/31746150.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/31967741.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/32025781.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/biopython_efetch_1.xml": ("PubMed XML", 2, 0, 0),
    "pubmed_xml/biopython_efetch_2.xml": ("PubMed XML", 2, 0, 0),
    "pubmed_xml/biopython_efetch_4.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/biopython_efetch_5.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/biopython_efetch_6.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/biopython_efetch_7.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/double.xml": ("PubMed XML", 2, 0, 0),
    "pubmed_xml/duplicate.xml": r"holds no PubMed XML record; its first line, .*, is of no other format",  # an empty set
    "pubmed_xml/equalcontrib.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/markup.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/medline16n0902.xml.gz": ("PubMed XML", 604, 1, 0),  # MedlineCitationSet, as before 2017
    "pubmed_xml/no_pubmedarticleset.xml": r"is XML, but neither PubMed's .* nor EndNote's .*: found '<rss version=",
    "pubmed_xml/no_title_abstract.xml": ("PubMed XML", 1, 0, 0),  # it has a title in Spanish
    "pubmed_xml/orcid.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/pubmed-29768149.xml": ("PubMed XML", 1, 0, 0),
    "pubmed_xml/pubmed.xml": ("PubMed XML", 5, 0, 0),
    "pubmed_xml/pubmed22n1115.xml": ("PubMed XML", 3, 34, 0),
    "pubmed_xml/pubmed22n1115.xml.gz": ("PubMed XML", 3, 34, 0),
    "pubmed_xml/pubmed22n1313.xml": ("PubMed XML", 4, 559, 0),
    "pubmed_xml/pubmed22n1313.xml.gz": ("PubMed XML", 4, 559, 0),
    "pubmed_xml/pubmed25n0001.xml": ("PubMed XML", 3, 0, 0),
    "pubmed_xml/pubmed25n0002.xml": ("PubMed XML", 1, 1, 0),
    "pubmed_xml/pubmed25n0004.xml": ("PubMed XML", 2, 0, 0),
    "pubmed_xml/test_current_medline.xml.gz": ("PubMed XML", 4, 0, 0),
    "ris/asreview__baseline.ris": ("RIS", 100, 0, 0),
    "ris/asreview_baseline_empty_values.ris": ("RIS", 4, 0, 0),
    "ris/asreview_baseline_reference_types.ris": ("RIS", 0, 0, 61),  # notes alone, or nothing
    "ris/asreview_baseline_tag-notes.ris": ("RIS", 1, 0, 11),  # notes alone, but for the first
    "ris/asreview_baseline_tag-notes_labels.ris": ("RIS", 32, 0, 0),
    "ris/asreview_baseline_tag-notes_zotero.ris": ("RIS", 4, 0, 0),
    "ris/asreview_baseline_tag_and_field_definitions.ris": ("RIS", 1, 0, 0),
    "ris/asreview_baseline_tag_and_field_definitions_lists.ris": ("RIS", 0, 0, 1),  # authors, keywords and notes
    "ris/asreview_baseline_zotero.ris": ("RIS", 100, 0, 0),
    "ris/asreview_datatools_dataset_1.ris": ("RIS", 6, 0, 0),
    "ris/asreview_datatools_dataset_2.ris": ("RIS", 8, 0, 0),
    "ris/asreview_embase.ris": ("RIS", 6, 0, 0),
    "ris/asreview_faulty_year.ris": ("RIS", 1, 0, 0),
    "ris/asreview_ovid_psycinfo.ris": ("RIS", 6, 0, 0),
    "ris/asreview_ovid_zotero.ris": ("RIS", 6, 0, 0),
    "ris/asreview_proquest.ris": ("RIS", 6, 0, 0),
    "ris/asreview_pubmed_zotero.ris": ("RIS", 6, 0, 0),
    "ris/asreview_scopus.ris": ("RIS", 6, 0, 0),
    "ris/example_basic.ris": ("RIS", 1, 0, 0),
    "ris/example_bom.ris": ("RIS", 0, 0, 1),  # a DOI alone
    "ris/example_custom_list_tags.ris": ("RIS", 0, 0, 1),  # authors and numbers alone
    "ris/example_empty_tag.ris": ("RIS", 1, 0, 0),
    "ris/example_extraneous_data.ris": ("RIS", 2, 0, 0),
    "ris/example_full.ris": ("RIS", 2, 0, 0),
    "ris/example_full_without_whitespace.ris": ("RIS", 2, 0, 0),
    "ris/example_full_write.ris": ("RIS", 2, 0, 0),
    "ris/example_multi_unknown_tags.ris": ("RIS", 1, 0, 0),
    "ris/example_multiline.ris": ("RIS", 3, 0, 0),
    "ris/example_single_unknown_tag.ris": ("RIS", 1, 0, 0),
    "ris/example_starting_newlines.ris": ("RIS", 1, 0, 0),
    "ris/example_urls.ris": ("RIS", 4, 0, 0),
    "ris/example_utf_chars.ris": ("RIS", 1, 0, 0),
    "ris/example_wos.ris": ("Web of Science", 2, 0, 0),
}


@pytest.fixture(scope="session")
def formats(shared: Path) -> Path:
    return shared / "formats"


def test_no_file_of_the_folder_is_left_out(formats: Path) -> None:
    there = {str(path.relative_to(formats)) for path in formats.rglob("*") if path.is_file()}
    assert {name for name in there if not name.startswith("licenses/")} == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_every_record_is_read_or_rejected_with_its_reason(formats: Path, name: str) -> None:
    expected, path = FILES[name], formats / name
    if isinstance(expected, str):
        with pytest.raises(SourceError, match=expected):
            list(read_source(path))
        return
    found = list(read_source(path))
    counts = [sum(isinstance(entry, kind) for entry in found) for kind in (Abstract, Deletion, Rejection)]
    assert (check_source(path).name, *counts) == expected
    reasons = {entry.reason for entry in found if isinstance(entry, Rejection)}
    assert reasons <= {"neither title nor abstract, so there is nothing to search"}  # true of each: see the comments


def text_of(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")


def tagged(path: Path, tags: str, start: str) -> Iterator[list[str]]:
    """Words of the values of these tags for each record, told from the lines alone."""
    for record in re.split(rf"^{start}", text_of(path), flags=re.MULTILINE)[1:]:
        record = re.split(r"^ER[ \t]*-", record, flags=re.MULTILINE)[0]
        values = re.findall(rf"^(?:{tags})[ \t]*-(.*(?:\n(?!\w\w[\w ]{{2}}-|\w\w[ \t]+-).*)*)", record, re.MULTILINE)
        yield " ".join(values).split()


def elements(path: Path) -> Iterator[list[str]]:
    """Words of the abstract of each record of an EndNote file."""
    for record in etree.parse(path).iter("record"):
        yield " ".join("".join(found.itertext()) for found in record.iter("abstract")).split()


def assert_in_order(expected: Iterable[list[str]], path: Path) -> None:
    found = [entry for entry in read_source(path) if isinstance(entry, Abstract | Rejection)]
    n_words = 0
    for words, entry in zip(expected, found, strict=True):
        parts = (entry.abstract, entry.rights) if isinstance(entry, Abstract) else ("", "")
        orders = (" ".join(parts), " ".join(reversed(parts)))  # a copyright notice may come first
        assert any(all(word in there for word in words) for there in map(iter, map(str.split, orders))), (entry, words)
        n_words += len(words)
    assert n_words or "N2" not in text_of(path)


@pytest.mark.parametrize("name", [name for name, found in FILES.items() if found[0] == "RIS"])
def test_every_word_of_a_ris_abstract_comes_out_in_order(formats: Path, name: str) -> None:
    if name.endswith("tag_and_field_definitions.ris"):  # AB is "Abstract", and N2 "Notes Abstract" holds it
        return
    assert_in_order(tagged(formats / name, "AB|N2", "TY[ \t]+-"), formats / name)


@pytest.mark.parametrize("name", [name for name, found in FILES.items() if found[0] == "MEDLINE"])
def test_every_word_of_a_medline_abstract_comes_out_in_order(formats: Path, name: str) -> None:
    assert_in_order(tagged(formats / name, "AB", "PMID-"), formats / name)


@pytest.mark.parametrize("name", [name for name, found in FILES.items() if found[0] == "EndNote XML"])
def test_every_word_of_an_endnote_abstract_comes_out_in_order(formats: Path, name: str) -> None:
    assert_in_order(elements(formats / name), formats / name)
