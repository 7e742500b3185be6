from collections.abc import Callable, Iterator

import pytest

from engine.corpus.selection.suggestions import _NameText
from engine.corpus.selection.where import list_compared
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import Filters, Query
from engine.query.index import Index, open_index
from engine.reindex.generation.order import Report
from tests.conftest import Lasting

Add = Callable[..., Report]
HEADINGS = (
    "Arthritis",
    "Arthritis, Psoriatic",
    "Arthritis, Rheumatoid",
    "Biosimilar Pharmaceuticals",
    "Economics, Pharmaceutical",
    "Sjögren's Syndrome",
    "Randomized Controlled Trials as Topic",
    "Randomized Controlled Trial",
)
TEXT = _NameText.build("\n".join(HEADINGS))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Biosimilar Pharmaceutical", "Biosimilar Pharmaceuticals"),  # number
        ("BIOSIMILAR-PHARMACEUTICALS", "Biosimilar Pharmaceuticals"),  # case and punctuation
        ("rheumatoid arthritis", "Arthritis, Rheumatoid"),  # order
        ("Artritis, Rheumatiod", "Arthritis, Rheumatoid"),  # spelling
        ("Sjogren Syndrome", "Sjögren's Syndrome"),  # accents
        ("Randomised Controlled Trial", "Randomized Controlled Trial"),
        ("RCT", "Randomized Controlled Trial"),  # initials
        ("psoriatic", "Arthritis, Psoriatic"),  # one word of several
    ],
)
def test_the_nearest_name_comes_first(value: str, name: str) -> None:
    assert TEXT.find_nearest(value, 3)[0] == name


def test_a_name_that_is_far_behind_the_nearest_is_not_suggested() -> None:
    assert TEXT.find_nearest("Biosimilar Pharmaceutical", 3) == ["Biosimilar Pharmaceuticals"]
    assert TEXT.find_nearest("arthritis", 2) == ["Arthritis", "Arthritis, Psoriatic"]


@pytest.mark.parametrize("value", ["quantum chromodynamics", "", "?!", "x"])
def test_nothing_is_near(value: str) -> None:
    assert TEXT.find_nearest(value, 3) == [] == _NameText.build("").find_nearest("gout", 3)


def test_the_texts_that_an_expression_compares_as_a_whole() -> None:
    assert list_compared('mesh != "A" and not (journal in (B, C) or title ~ D) and mesh = none and retracted') == [
        ("mesh", "A"),
        ("journal", "B"),
        ("journal", "C"),
    ]
    with pytest.raises(UsageError, match="where: at character 1"):
        list_compared("colour = red")


ROWS = (
    {"id": "a", "title": "A", "journal": "Lancet", "mesh": list(HEADINGS), "language": "ger", "authors": ["Smith, John"]},
    {"id": "b", "title": "B", "journal": "lancet", "mesh": ["Arthritis, Rheumatoid"], "authors": ["Smith, Jane"]},
)  # fmt: skip


@pytest.fixture(scope="module")
def index(lasting: Lasting) -> Iterator[Index]:
    """The toy index with a few names."""
    toy, add = lasting()
    add(*ROWS)
    with open_index(toy.path) as opened:
        yield opened


def notes_on(index: Index, filters: Filters) -> tuple[str, ...]:
    """Return the notes of a search with filters that name values, without those on the number of records."""
    notes = index.ask(Query("gout", filters=filters)).notes
    return tuple(note for note in notes if "qualif" not in note and "meets this alone" not in note)


@pytest.mark.parametrize(
    ("filters", "note"),
    [
        (
            Filters(mesh=["Rheumatoid Arthritis"]),
            'no records with the MeSH heading "Rheumatoid Arthritis"; did you mean "Arthritis, Rheumatoid" (2)?',
        ),
        (Filters(journals=["Lancett"]), 'no records of the journal "Lancett"; did you mean "Lancet" (2)?'),
        (
            Filters(authors=["smyth ja"]),
            'no records with an author named "smyth ja"; did you mean "Smith, Jane" (1) or "Smith, John" (1)?',
        ),
        (Filters(languages=["Germann"]), 'no records in the language "Germann"; did you mean "German" (1)?'),
        (Filters(languages=["Xhosa"]), 'no records in the language "Xhosa"'),
        (Filters(sources=["toys.jsonl"]), 'no records from the source "toys.jsonl"; did you mean "toy.jsonl" (40)'),
        (
            Filters(types=["Reviw"]),
            'no records of the publication type "Reviw"; no record of this index has a value of type',
        ),
        (Filters(notes=["urgent"]), 'no records with a note that contains "urgent"'),
        (
            Filters(where='not mesh = "Rheumatoid Arthritis"'),
            'no records with the MeSH heading "Rheumatoid Arthritis"; did you mean "Arthritis, Rheumatoid" (2)?',
        ),
    ],
)
def test_a_value_that_no_record_has_is_named_with_the_nearest(index: Index, filters: Filters, note: str) -> None:
    assert notes_on(index, filters)[0].startswith(note)


def test_one_unknown_alternative_is_named_though_another_matches(index: Index) -> None:
    answer = index.ask(Query("gout", filters=Filters(mesh=["Arthritis, Rheumatoid", "Artritis"])))
    assert answer.n_qualified == 2
    assert answer.notes[0] == (
        'no records with the MeSH heading "Artritis"; did you mean "Arthritis" (1) or "Arthritis, Psoriatic" (1) or '
        '"Arthritis, Rheumatoid" (2)?'
    )


def test_values_that_records_have_are_not_mentioned(index: Index) -> None:
    known = Filters(
        mesh=["arthritis"], journals=["LANC*"], authors=["smith"], languages=["German"], sources=["*.jsonl"]
    )
    assert notes_on(index, known) == ()


def test_of_many_unknown_values_the_first_are_named_and_the_others_counted(index: Index) -> None:
    notes = notes_on(index, Filters(mesh=[f"unknown{n}" for n in range(9)]))
    assert len(notes) == 6 and notes[-1] == "no records have 4 further values of mesh"


def test_a_name_of_a_changed_record_alone_counts_as_unknown(toy: IndexFolder, add: Add) -> None:
    add(*ROWS)
    add({"id": "b", "title": "B anew", "journal": "Gut"}, one_segment_below=0)
    with open_index(toy.path) as index:
        assert notes_on(index, Filters(journals=["lancetx"])) == (
            'no records of the journal "lancetx"; did you mean "Lancet" (1)?',
        )
