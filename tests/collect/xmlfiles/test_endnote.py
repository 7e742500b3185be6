from pathlib import Path

import pytest
from lxml import etree

from engine.collect.source import read_source
from engine.collect.xmlfiles import endnote
from engine.errors import SourceError
from engine.records.abstract import Abstract, Entry, Rejection

HEAD = '<?xml version="1.0" encoding="UTF-8" ?>'


def read(path: Path, *records: str) -> list[Entry]:
    inside = "".join(f"<record><rec-number>7</rec-number>{record}</record>" for record in records)
    path.write_text(f"{HEAD}<xml><records>{inside}</records></xml>", encoding="utf-8")
    return list(read_source(path))


def one(path: Path, **parts: str) -> Abstract:
    """The record of a title and these elements, their names with _ for -."""
    inside = "".join(f"<{(tag := name.replace('_', '-'))}>{styled(text)}</{tag}>" for name, text in parts.items())
    (found,) = read(path, f"<titles><title>{styled('Knee')}</title></titles>{inside}")
    assert isinstance(found, Abstract)
    return found


def styled(text: str) -> str:
    return f'<style face="normal" font="default" size="100%">{text}</style>'


def test_every_field_comes_out_as_it_went_in(source: Path) -> None:
    record = f"""<contributors><authors><author>{styled("Beck, Ann")}</author>
      <author>{styled("Núñez, José")}</author></authors>
      <secondary-authors><author>{styled("Editor, E.")}</author></secondary-authors></contributors>
      <titles><title>{styled("Vitamin D")}<style face="subscript">3</style>{styled(" and Ca")}
        <style face="superscript">2+</style></title>
      <secondary-title>{styled("Cart.")}</secondary-title></titles>
      <periodical><full-title>{styled("Cartilage")}</full-title></periodical>
      <keywords><keyword>{styled("*Knee")}</keyword><keyword>{styled("Hip")}</keyword></keywords>
      <dates><year>{styled("2021")}</year><pub-dates><date>{styled("Sep 18")}</date></pub-dates></dates>
      <orig-pub>{styled("Knie")}</orig-pub><accession-num>{styled("31366609")}</accession-num>
      <abstract>{styled("AIM: one &lt; two.&#xD;RESULTS: p ")}{styled("= 5.")}</abstract>
      <electronic-resource-num>{styled("https://doi.org/10.1128/Cmr")}</electronic-resource-num>
      <remote-database-provider>{styled("NLM")}</remote-database-provider>
      <language>{styled("English&#xD;Spanish")}</language>
      <work-type>{styled("Journal Article; Review")}</work-type>"""
    assert read(source, record) == [
        Abstract(
            record_id="PMID:31366609",
            title="Vitamin D3 and Ca2+",
            abstract="AIM: one < two.\nRESULTS: p = 5.",
            year=2021,
            journal="Cartilage",
            authors=("Beck, Ann", "Núñez, José"),
            pmid="31366609",
            doi="10.1128/Cmr",
            publication_types=("Journal Article", "Review"),
            keywords=("Knee", "Hip"),
            languages=("English", "Spanish"),
            vernacular_title="Knie",
            published="2021-09-18",
            databases=("NLM",),
            other_tags=("EndNote contributors/secondary-authors: Editor, E.", "EndNote titles/secondary-title: Cart."),
        )
    ]


@pytest.mark.parametrize(
    ("parts", "record_id"),
    [
        ({"accession_num": "5", "remote_database_name": "MEDLINE"}, "PMID:5"),
        ({"accession_num": "5", "remote_database_name": "PubMed"}, "PMID:5"),
        ({"accession_num": "5", "remote_database_provider": "PIP", "electronic_resource_num": "10.1/X"}, "DOI:10.1/x"),
        ({"custom5": "6", "remote_database_name": "Embase&#xD;Medline", "notes": "L12345&#xD;2019"}, "PMID:6"),
        ({"custom5": "6", "remote_database_name": "Embase", "notes": "L12345&#xD;2019"}, "Embase:L12345"),
        ({"notes": "x&#xD;PMID: 8"}, "PMID:8"),
        ({"accession_num": "CN-02017416"}, "CENTRAL:CN-02017416"),
        ({"accession_num": "WOS:000520500900002"}, "WOS:000520500900002"),
    ],
)
def test_identity_is_pmid_then_doi_then_the_number_of_a_database(
    source: Path, parts: dict[str, str], record_id: str
) -> None:
    assert one(source, **parts).record_id == record_id


def test_the_number_in_a_library_is_no_identity(source: Path) -> None:
    first, second = read(source, *(f"<titles><title>{title}</title></titles>" for title in ("Knee", "Hip")))
    assert isinstance(first, Abstract) and isinstance(second, Abstract)
    assert first.record_id.startswith("TEXT:") and first.record_id != second.record_id


def test_a_bad_record_is_rejected_by_its_number_and_the_rest_is_read(source: Path) -> None:
    found = read(source, "", "<titles><title>Knee</title></titles>")
    assert found[0] == Rejection("source", "record 1", "neither title nor abstract, so there is nothing to search")
    assert isinstance(found[1], Abstract)


def test_what_was_read_is_freed(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    values_of = endnote._read_values

    def counting(record: etree._Element) -> dict[str, object]:
        kept.append(len(list(record.itersiblings(preceding=True))))
        return values_of(record)

    monkeypatch.setattr(endnote, "_read_values", counting)
    assert len(read(source, *["<titles><title>Knee</title></titles>"] * 1000)) == 1000
    assert max(kept) <= 1


def test_pretty_printed_files_are_told_and_read(source: Path) -> None:
    source.write_text(
        f"{HEAD}\n<xml>\n <records>\n  <record>\n   <titles><title>A</title></titles></record></records></xml>"
    )
    assert [entry.title for entry in read_source(source) if isinstance(entry, Abstract)] == ["A"]


def test_a_file_that_breaks_off_gives_what_came_before_and_an_error(source: Path) -> None:
    record = "<record><titles><title>A</title></titles></record>"
    source.write_text(f"{HEAD}<xml><records>{record * 2000}<record><titles>")
    found = []
    with pytest.raises(SourceError, match=r"source is not well-formed XML at line 1, column \d+, after 2000 records"):
        found.extend(read_source(source))
    assert len(found) == 2000


@pytest.mark.parametrize("before", [0, 70_000])
@pytest.mark.parametrize("entity", ["'boom'", "SYSTEM 'file:///etc/passwd'"])
def test_entities_are_refused_wherever_they_are_declared(source: Path, entity: str, before: int) -> None:
    declared = f"<!DOCTYPE xml [<!--{'x' * before}--><!ENTITY e {entity}>]>"
    record = "<record><titles><title>&e;</title></titles></record>"
    source.write_text(f"{HEAD}{declared}<xml><records>{record}</records></xml>")
    with pytest.raises(SourceError, match="declares XML entities"):
        list(read_source(source, "EndNote XML"))


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Effect of <style face='italic'>Borrelia</style> on knees", "Effect of Borrelia on knees"),
        ("<style>H</style><style>2</style>O", "H2O"),
        ("A <style>b</style> <style>c</style>", "A b c"),
        ("A <style>b <style>c</style> d</style> e", "A b c d e"),
    ],
)
def test_words_beside_styled_pieces_are_kept(tmp_path: Path, written: str, title: str) -> None:
    path = tmp_path / "library.xml"
    path.write_text(f"<xml><records><record><titles><title>{written}</title></titles></record></records></xml>")
    assert [entry.title for entry in read_source(path) if isinstance(entry, Abstract)] == [title]


def test_what_citations_need_and_the_notes_come_out(source: Path) -> None:
    source.write_text(
        "<xml><records><record><titles><title>Knee</title></titles><volume>12</volume><number>3</number>"
        "<pages>253-8</pages><isbn>0008543X</isbn><publisher>Press</publisher><pub-location>Bern</pub-location>"
        "<auth-address>Clinic</auth-address><label>include; later</label><research-notes>mine</research-notes>"
        "</record></records></xml>"
    )
    (found,) = read_source(source)
    assert isinstance(found, Abstract)
    assert (found.volume, found.issue, found.pages, found.issns) == ("12", "3", "253-8", ("0008-543X",))
    assert (found.publisher, found.place, found.affiliations) == ("Press", "Bern", ("Clinic",))
    assert (found.labels, found.notes) == (("include", "later"), ("mine",))


def test_what_no_field_holds_is_kept_and_what_is_about_the_library_is_not(source: Path) -> None:
    source.write_text(
        '<xml><records><record><database name="x.enl">x.enl</database><source-app>EndNote</source-app>'
        '<rec-number>7</rec-number><foreign-keys><key app="EN">7</key></foreign-keys><ref-type name="Book">6</ref-type>'
        "<titles><title>Knee</title><secondary-title>ANN KNEE</secondary-title><alt-title>Alt</alt-title></titles>"
        "<periodical><full-title>Ann Knee</full-title><abbr-1>A. K.</abbr-1></periodical>"
        "<dates><year>2015</year><pub-dates><date>Jul-Sep</date></pub-dates></dates>"
        "<notes>Cited By :2&#xD;References: A. (2000); B. (2001)</notes><edition>2nd</edition><caption>Duplicate</caption>"
        "<custom1>\u00a9 2015 Press</custom1><custom2>PMC12</custom2><custom3>PUBMED 8</custom3><custom4>Dev</custom4>"
        "<electronic-resource-num>10.1000/x</electronic-resource-num></record></records></xml>",
        encoding="utf-8",
    )
    (found,) = read_source(source)
    assert isinstance(found, Abstract)
    assert (found.pmid, found.pmcid, found.rights, found.published) == ("8", "PMC12", "\u00a9 2015 Press", "2015-07")
    assert (found.notes, found.cited_ids) == (("Cited By :2",), ("A. (2000)", "B. (2001)"))
    assert found.other_tags == (
        "EndNote titles/alt-title: Alt",
        "EndNote periodical/abbr-1: A. K.",
        "EndNote dates/pub-dates: Jul-Sep",
        "EndNote edition: 2nd",
        "EndNote caption: Duplicate",
        "EndNote custom4: Dev",
        "EndNote ref-type: Book",
    )
