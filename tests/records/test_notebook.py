"""Hits in a notebook: a table in which everything is escaped."""

from dataclasses import replace

from lxml import html

from engine import Query, open_index
from engine.index.generations.folder import IndexFolder
from engine.records.answer import Answer, Hit, Hits

HIT = Hit(1, "PMID:31", 0.51234, "Gout", "Text", 2019, "J", (), "31", None, False)
ODD = replace(
    HIT, rank=2, id='x"><script>', title="<script>alert(1)</script> & more", pmid=None, year=None, retracted=True
)


def cells(shown: str) -> list[list[str]]:
    return [[cell.text_content() for cell in row] for row in html.fromstring(f"<div>{shown}</div>").iter("tr")]


def test_a_table_of_hits() -> None:
    shown = Hits([HIT, ODD])._repr_html_()
    assert cells(shown) == [
        ["#", "title", "year", "PMID", "score"],
        ["1", "Gout", "2019", "31", "0.512"],
        ["2", "<script>alert(1)</script> & more (retracted)", "", 'x"><script>', "0.512"],
    ]
    assert "<script" not in shown and 'href="https://pubmed.ncbi.nlm.nih.gov/31/"' in shown
    assert cells(HIT._repr_html_())[1:] == [["1", "Gout", "2019", "31", "0.512"]]


def test_what_is_no_pmid_is_no_link() -> None:
    shown = replace(HIT, pmid='1" onmouseover="x', title="")._repr_html_()
    assert "href" not in shown and "onmouseover" not in shown and "(no title)" in shown


def test_notes_of_an_answer_are_below() -> None:
    answer = Answer(Query("gout"), 1, (HIT,), 1, notes=("<b>few</b>",))
    assert answer._repr_html_().endswith("</table><p>&lt;b&gt;few&lt;/b&gt;</p>")


def test_lists_of_the_index_are_shown(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        lists = [index.search("gout"), index.nearest("gout"), *index.search_batch(["gout"]), index.similar("toy-01")]
        assert all(
            isinstance(hits, Hits) and hits == list(hits) and len(cells(hits._repr_html_())) == 11 for hits in lists
        )
        assert "<p>" in index.ask(Query("gout"))._repr_html_()
