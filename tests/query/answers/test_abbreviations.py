"""Abbreviations by hand: what defines one, and which form is offered."""

from collections.abc import Callable

import pytest

from engine import Query, open_index
from engine.corpus.words.wording import Term
from engine.index.generations.folder import IndexFolder
from engine.query.answers.abbreviations import _find_long_form, _list_definitions, find_abbreviations
from engine.records.answer import Abbreviation
from tests.conftest import Command


class Words:
    """Words of an index in which each form is held by as many records as it has letters."""

    def count_records(self, term: Term) -> int:
        return len(term.text)


def find(text: str, *abstracts: str) -> list[tuple[str, str, str]]:
    found = find_abbreviations(Words(), text, [("", abstract) for abstract in abstracts])  # type: ignore[arg-type]
    assert all(each.n_records == len(each.other) for each in found)
    return [(each.short, each.long, each.other) for each in found]


@pytest.mark.parametrize(
    ("text", "definitions"),
    [
        ("in systemic lupus erythematosus (SLE) and", [("SLE", "systemic lupus erythematosus")]),
        ("SLE (systemic lupus erythematosus) is", [("SLE", "systemic lupus erythematosus")]),
        ("tumour necrosis factor-alpha (TNF-alpha; n = 3)", [("TNF-alpha", "tumour necrosis factor-alpha")]),
        ("two randomised controlled trials (RCTs)", [("RCTs", "randomised controlled trials")]),
        ("the result (see Methods), of gout (GOUT)", []),
        ("of the rheumatoid disease (XYZ)", []),
        ("an erythrocyte rate (ESR) of 20", []),  # no s at the start or inside of a word that fits
        ("(SLE)", []),
        ("arthritis (p < 0.05) and (n)", []),
    ],
)
def test_definitions(text: str, definitions: list[tuple[str, str]]) -> None:
    assert list(_list_definitions(text)) == definitions


def test_the_first_letter_begins_a_word() -> None:
    assert _find_long_form("RA", "severe rheumatoid arthritis") == "rheumatoid arthritis"
    assert _find_long_form("EA", "severe arthritis") == ""


LUPUS = "Patients with systemic lupus erythematosus (SLE) were seen."


def test_a_long_text_is_not_copied_for_each_definition() -> None:
    copied = []

    class Text(str):
        def __getitem__(self, key: object) -> str:
            part = super().__getitem__(key)  # type: ignore[index]
            copied.append(len(part))
            return part

    text = "Systemic lupus erythematosus (SLE) was found. " * 1000
    assert set(_list_definitions(Text(text))) == {("SLE", "Systemic lupus erythematosus")}
    assert len(copied) == 1000 and max(copied) <= 2000


def test_the_form_that_the_question_lacks_is_offered() -> None:
    long = "systemic lupus erythematosus"
    assert find("SLE in pregnancy", LUPUS) == find("sle?", LUPUS) == [("SLE", long, long)]
    assert find("Systemic lupus erythematosus in pregnancy", LUPUS) == [("SLE", long, "SLE")]
    assert find("gout", LUPUS) == find("lupus", LUPUS) == []
    assert find("systemic lupus erythematosus, or SLE", LUPUS) == []


def test_forms_follow_each_other_by_the_records_that_define_them() -> None:
    arthritis, atrium = "rheumatoid arthritis (RA)", "right atrium (RA)"
    both = find("RA", atrium, arthritis, f"{arthritis} {arthritis}")
    assert [long for _, long, _ in both] == ["rheumatoid arthritis", "right atrium"]
    spelt = find("RA", arthritis, arthritis, "rheumatic artritis (RA)", "rectal ache (RA)", atrium)
    assert [long for _, long, _ in spelt] == ["rheumatoid arthritis", "rectal ache"]  # two, and no misspelt one


def test_plural() -> None:
    assert find("RCTs of gout", "randomised controlled trials (RCT)")
    assert find("RCT of gout", "randomised controlled trials (RCTs)")


@pytest.mark.parametrize(
    ("abbreviation", "line"),
    [
        (Abbreviation("SLE", "lupus", "lupus", 1), "SLE may stand for lupus; 1 record of the index holds lupus"),
        (Abbreviation("SLE", "lupus", "SLE", 2000), "SLE is short for lupus; 2,000 records of the index hold SLE"),
    ],
)
def test_line(abbreviation: Abbreviation, line: str) -> None:
    assert str(abbreviation) == line


def test_an_answer_offers_what_its_records_define(toy: IndexFolder, add: Callable[..., object]) -> None:
    add({"record_id": "A", "title": "Hydroxychloroquine in pregnancy", "abstract": LUPUS})
    with open_index(toy.path) as index:
        verdict = index.ask(Query("hydroxychloroquine in SLE")).verdict
        long = "systemic lupus erythematosus"
        assert verdict is not None and verdict.abbreviations == (Abbreviation("SLE", long, long, 1),)
        searched = index.ask(Query("hydroxychloroquine AND SLE")).verdict
        assert searched is not None and searched.abbreviations == ()


def test_a_table_shows_the_offer(toy: IndexFolder, add: Callable[..., object], engine: Command) -> None:
    add({"record_id": "A", "title": "Hydroxychloroquine in pregnancy", "abstract": LUPUS})
    found = engine("search", "SLE", "--table", "-i", toy.name, "--indexes", toy.path.parent)
    assert "SLE may stand for systemic lupus erythematosus; 1 record of the index holds" in found.stdout
