"""What left nothing: every condition is counted alone and taken out, by hand on the toy records."""

import pytest

from engine import Filters, open_index
from engine.corpus.boolean.evaluation import Matches
from engine.corpus.boolean.tree import Search
from engine.index.generations.folder import IndexFolder
from engine.options import Mode, Query
from engine.query.opening.generation import OpenGeneration
from engine.records.answer import Obstacle


def test_each_condition_is_counted_alone_and_taken_out(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        n_late = index.ask(Query("gout", filters=Filters(years=((2000, 2005),)))).n_qualified
        filters = Filters(years=((1700, 1800),), has_abstract=True)
        answer = index.ask(Query("gout", filters=filters))
        n_whole = index.ask(Query("gout", filters=Filters(has_abstract=True))).n_qualified
        assert answer.hits == () and n_late > 0
        assert answer.obstacles == (
            Obstacle("year", "publication years 1700 to 1800", 0, n_whole),
            Obstacle("has_abstract", "records with an abstract", n_whole, 0),
        )
        assert answer.notes[-2:] == (
            "no record qualifies",
            "no record meets this alone: publication years 1700 to 1800",
        )


def test_what_would_be_left_without_a_condition_is_told(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        years = Filters(years=((1991, 1991),))
        n_gout = index.ask(Query("+gout", top_k=50)).n_qualified
        (one,) = index.ask(Query("+colchicine +gout", top_k=50, filters=years)).hits[:1]
        other = Filters(years=((1991, 1991),), hide=(one.id,))
        answer = index.ask(Query("+colchicine +gout", top_k=50, filters=other))
        assert [note.partition(",")[0] for note in answer.notes if note.startswith("without")]
        assert {found.name for found in answer.obstacles} == {"year", "hide", "q"}
        assert next(o for o in answer.obstacles if "gout" in o.condition).n_alone == n_gout == 8


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_a_word_that_no_record_holds(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("+zebrafish +gout", mode=mode))
        assert [(one.condition, one.n_alone, one.n_without) for one in answer.obstacles] == [
            ("the word zebrafish is required", 0, 8), ("the word gout is required", 8, 0)
        ]  # fmt: skip
        assert answer.notes[-1] == "no record meets this alone: the word zebrafish is required"


def test_the_parts_of_a_boolean_search(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query('gout AND (zebrafish OR "sea urchin"[ti])'))
        assert [(one.condition, one.n_alone, one.n_without) for one in answer.obstacles] == [
            ("gout", 8, 0), ('(zebrafish OR "sea urchin"[ti])', 0, 8)
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("gout NEAR/3 zebrafish", "(gout NEAR/3 zebrafish)"),
        ("gout NEXT zebrafish", "(gout NEXT/1 zebrafish)"),
        ("gout AND TI=zebrafish", "TI=zebrafish"),
        ("gout AND TI zebrafish", "TI zebrafish"),
        ("gout AND title:zebrafish", "title:zebrafish"),
        ('gout AND (MH "Zebrafish")', 'MH "Zebrafish"'),
        ("gout AND humans[Filter]", "humans[Filter]"),
        ("gout AND [randomized controlled trial]/lim", "[randomized controlled trial]/lim"),
    ],
)
def test_a_part_is_named_as_it_was_written(toy: IndexFolder, text: str, written: str) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query(text, filters=Filters(where='title ~ "no such title"')))
        assert written in [one.condition for one in answer.obstacles]


def test_no_more_parts_are_looked_up_than_are_told(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    find, asked = OpenGeneration.find_matches, []

    def count(self: OpenGeneration, search: Search) -> Matches:
        asked.append(search)
        return find(self, search)

    monkeypatch.setattr(OpenGeneration, "find_matches", count)
    with open_index(toy.path) as index:
        answer = index.ask(Query(" AND ".join(f"zebra{number}" for number in range(100))))
    assert len(answer.obstacles) == 30 and len(asked) <= 32


def test_a_search_of_many_steps_is_written_whole(toy: IndexFolder) -> None:
    words = [f"zebra{number}" for number in range(1_500)]
    with open_index(toy.path) as index:
        (found,) = index.ask(Query(" adj3 ".join(words))).obstacles
    assert found.condition.startswith("(" * 200) and found.n_alone == 0


def test_an_answer_with_hits_has_no_obstacles(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert index.ask(Query("gout", filters=Filters(years=((1991, 2010),)))).obstacles == ()
