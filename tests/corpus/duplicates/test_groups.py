from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from engine.corpus.duplicates.groups import Group, _find_pairs, find_duplicates, name_group
from engine.corpus.duplicates.likeness import RecordFacts
from engine.corpus.storage.store import open_database
from engine.identifiers import parse_doi
from engine.records.abstract import Abstract
from tests.corpus.drafts import opened, origin

ONE = Abstract("a", "The effects of beer on gout", "x", 2020, authors=("Liu, Rui",), doi="10.1/a")


def find(place: Path, *rows: Abstract) -> list[Group]:
    path = place / "abstracts.db"
    with opened(path, 1) as draft:
        for row in rows:
            draft.intake.put(row, origin(1))
    with closing(open_database(path)) as corpus:
        return find_duplicates(corpus)


def groups(place: Path, *rows: Abstract) -> list[list[str]]:
    return [[member.record_id for member in group.members] for group in find(place, *rows)]


def test_a_group_has_a_name_a_score_and_reasons(tmp_path: Path) -> None:
    placed = replace(ONE, volume="7", pages="12-19")
    (group,) = find(tmp_path, placed, replace(placed, record_id="b", doi="10.1/b"))
    assert (group.name, name_group(("a", "b"))) == (name_group(("b", "a")), group.name)
    assert group.score == 0.769  # 4 + 2 + 1 + 1 + 2 - 2.5 = 7.5 points: 1 / (1 + exp(-0.8 * 1.5))
    assert (group.same, group.other) == (("title", "authors", "year", "volume", "pages"), ("DOI",))


def test_spelling_of_titles_and_names_does_not_hide_a_duplicate(tmp_path: Path) -> None:
    twin = replace(ONE, record_id="b", title="[THE EFFECTS OF BEER ON GOUT.]", authors=("R Liu",), doi=None)
    assert groups(tmp_path, ONE, twin, replace(ONE, record_id="c", title="Wine and gout", doi=None)) == [["a", "b"]]


def test_another_year_or_first_author_is_another_work(tmp_path: Path) -> None:
    other = replace(ONE, record_id="b", year=2011, doi=None)
    third = replace(ONE, record_id="c", authors=("Smith, Ann",), doi=None)
    assert groups(tmp_path, ONE, other, third) == []


def test_missing_values_match_unless_the_title_is_short(tmp_path: Path) -> None:
    bare = replace(ONE, record_id="b", year=None, doi=None)
    short = Abstract("s", "Editorial", "x")
    assert groups(tmp_path, ONE, bare, short, replace(short, record_id="t")) == [["a", "b"]]


def test_one_doi_under_two_titles_needs_the_same_pages(tmp_path: Path) -> None:
    renamed = replace(ONE, record_id="b", title="Something else altogether")
    assert groups(tmp_path, ONE, renamed) == []  # abstracts of one congress
    (tmp_path / "abstracts.db").unlink()
    placed = [replace(row, journal="Gout", volume="7", pages="12-19") for row in (ONE, renamed)]
    assert groups(tmp_path, *placed) == [["a", "b"]]


def test_a_record_between_two_works_does_not_join_them(tmp_path: Path) -> None:
    first = replace(ONE, doi=None, volume="1", pages="11-19", journal="Gout")
    last = replace(first, record_id="c", year=2012, volume="9", pages="99-104", journal="Brain", authors=("Smith, A.",))
    between = replace(ONE, record_id="b", doi=None, year=None)
    assert groups(tmp_path, first, between, last) == [["a", "b"]]


def test_pairs_kept_apart_are_not_proposed_again(tmp_path: Path) -> None:
    find(tmp_path, ONE, replace(ONE, record_id="b", doi=None), replace(ONE, record_id="c", doi=None))
    with closing(open_database(tmp_path / "abstracts.db")) as corpus:
        assert [len(group.members) for group in find_duplicates(corpus)] == [3]
        kept = find_duplicates(corpus, apart=[frozenset((1, 2)), frozenset((1, 3))])
        assert [[member.record_id for member in group.members] for group in kept] == [["b", "c"]]


def test_a_crowd_of_one_title_is_not_compared_in_full() -> None:
    crowd = [RecordFacts(n, str(n), "Editorial", year=2000 + n % 20) for n in range(1000)]
    assert len(_find_pairs(crowd)) <= 2 * 6 * 1000  # six neighbours for each of two orders at most


@pytest.mark.parametrize(("name", "n_groups", "n_surplus"), [("copper", 131, 150), ("tafenoquine", 39, 75)])
def test_captions_of_real_libraries_are_found(
    shared: Path, tmp_path: Path, name: str, n_groups: int, n_surplus: int
) -> None:
    """In both files, people have marked each record of a group of duplicates by its caption."""
    tree = etree.parse(shared / "formats" / "endnote_xml" / f"{name}.xml")
    rows = [read_record(element) for element in tree.iterfind(".//record")]
    marked = {row.record_id for row in rows if row.labels}
    found = find(tmp_path, *rows)
    proposed = {member.record_id for group in found for member in group.members}
    assert (proposed - marked, marked - proposed) == (set(), set())
    assert (len(found), len(proposed) - len(found)) == (n_groups, n_surplus)


def read_record(element: etree._Element) -> Abstract:
    """A record under its number in the library, so that no rule merges it."""

    def text(path: str) -> str:
        return " ".join("".join(map(str, part.itertext())) for part in element.iterfind(path)).strip()

    authors = ["".join(map(str, part.itertext())) for part in element.iterfind("contributors/authors/author")]
    return Abstract(
        record_id=f"row-{text('rec-number')}",
        title=text("titles/title"),
        abstract=text("abstract"),
        year=int(text("dates/year")),
        authors=tuple(authors),
        journal=text("titles/secondary-title"),
        doi=parse_doi(text("electronic-resource-num")),
        volume=text("volume"),
        pages=text("pages"),
        labels=(text("caption"),) if text("caption") else (),
    )
