import doctest
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from engine.corpus import duplicates as module
from engine.corpus.duplicates import find_duplicates
from engine.corpus.storage.store import Corpus
from engine.records.abstract import Abstract
from tests.corpus.drafts import opened, origin

ONE = Abstract("a", "The effects of beer on gout", "x", 2020, authors=("Liu, Rui",), doi="10.1/a")


def groups(place: Path, *rows: Abstract) -> list[list[str]]:
    path = place / "abstracts.db"
    with opened(path, 1) as draft:
        for row in rows:
            draft.intake.put(row, origin(1))
    with closing(Corpus(path)) as corpus:
        return [[member.record_id for member in group.members] for group in find_duplicates(corpus)]


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(module).attempted >= 1
    assert doctest.testmod(module).failed == 0


def test_spelling_of_titles_and_names_does_not_hide_a_duplicate(tmp_path: Path) -> None:
    twin = replace(ONE, record_id="b", title="[THE EFFECTS OF BEER ON GOUT.]", authors=("R Liu",), doi=None)
    assert groups(tmp_path, ONE, twin, replace(ONE, record_id="c", title="Wine and gout", doi=None)) == [["a", "b"]]


def test_another_year_or_first_author_is_another_work(tmp_path: Path) -> None:
    other = replace(ONE, record_id="b", year=2011, doi=None)
    third = replace(ONE, record_id="c", authors=("Smith, Ann",), doi=None)
    assert groups(tmp_path, ONE, other, third) == []


def test_missing_values_match_unless_the_title_is_short(tmp_path: Path) -> None:
    bare = replace(ONE, record_id="b", year=None, authors=(), doi=None)
    short = Abstract("s", "Editorial", "x")
    assert groups(tmp_path, ONE, bare, short, replace(short, record_id="t")) == [["a", "b"]]


def test_one_doi_under_two_titles_is_listed(tmp_path: Path) -> None:
    assert groups(tmp_path, ONE, replace(ONE, record_id="b", title="Something else altogether")) == [["a", "b"]]
