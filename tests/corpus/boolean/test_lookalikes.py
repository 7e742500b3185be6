"""What looks like search syntax in a plain question is named."""

import re
import time
from collections.abc import Iterator

import pytest

from engine.corpus.boolean.evaluation import find_matches
from engine.corpus.boolean.lookalikes import note_lookalikes
from engine.corpus.boolean.strategy import read_search
from engine.records.abstract import Abstract
from tests.corpus.boolean.oracle import Built, build

RECORDS = [
    Abstract("1", "Knee or hip pain", "", year=2015, journal="Other", authors=("Hall, Ann",)),
    Abstract("2", "Pain of the knees, and of the knee", "A randomised trial.", journal="Lancet"),
    Abstract("3", "Arthritis", "Of the knee: randomized.", mesh=("Gout",), keywords=("tophus",)),
]

LONG = "We compared the diet of 120 men with gout with that of 240 men of the same age who were without it. " * 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with build(tmp_path_factory.mktemp("built"), RECORDS) as built:
        yield built


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("knee N3 pain", 'N3 was read as a word. If it is an operator, write "knee pain"[tiab:~3]'),
        ("knee w/3 pain", 'w/3 was read as a word. If it is an operator, write "knee pain"[tiab:~3]'),
        ("knee W3 pain", "W3 was read as a word. If it is an operator, write knee PRE/3 pain"),
        ("year:2015", "year: was read as a word. If it is a field, write 2015[dp]"),
        (
            LONG + "Pain of the knee AND of the hip.",
            "AND was read as a word, since this is prose. For a Boolean search, add field tags, as in gout[tiab]",
        ),
        ("TI knee", "TI was read as a word. If it is a field, write knee[ti]"),
        ("TS knee", "TS was read as a word. If it is a field, write knee[tw]"),
        ("journal:lancet", "journal: was read as a word. If it is a field, write lancet[ta]"),
        ("knee[foo] pain", "[foo] was read as a word, since it is no field tag. For title and abstract, write [tiab]"),
        (
            "randomi?ed",
            "randomi?ed was read as words: ?, # and $ are wildcards before a field tag, as in randomi?ed.ti,ab.",
        ),
        (
            "arthrit$2",
            "arthrit$2 was read as words: ?, # and $ are wildcards before a field tag, as in arthrit$2.ti,ab.",
        ),
    ],
)
def test_a_lookalike_is_named_with_what_to_write(text: str, note: str) -> None:
    assert note_lookalikes(text) == (note,)


@pytest.mark.parametrize(
    "text",
    [
        "gout and diet?",
        "does it help?and how",
        "benzo[a]pyrene and dibenz[a,h]anthracene",
        "[Treatment of gout with colchicine]. [Article in French]",
        "US$ 5 a day",
        "title:gout",
        "ratio 3:1 at 10:30",
        "Gout: a review",
        "N2 and N3 of the stage, least N95 grade",
        "MATERIALS AND METHODS: We compared the diet of 120 men at W0 and W6 with that of 240 men of the same age without gout.",
        LONG + "Stress was self?reported by men of the same age in the W6 period of the trial.",
        "see http://example.org/?a=b",
    ],
)
def test_prose_is_no_lookalike(text: str) -> None:
    assert note_lookalikes(text) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("knee N3 pain", {1}),
        ("knee N1 pain", set()),
        ("knee W3 pain", {1}),
        ("knee W0 pain", set()),
        ("knee w/3 pain", {1}),
        ("knee* N3 pain*", {1, 2}),
        ("TI knee", {1, 2}),
        ("ab:knee", {3}),
        ("author:hall", {1}),
        ("journal:lancet", {2}),
        ("mesh:gout", {3}),
        ("kw:tophus", {3}),
        ("year:2015", {1}),
        ("randomi?ed", {2, 3}),
        ("arthrit$2", {3}),
        ("knee[foo]", {1, 2, 3}),
    ],
)
def test_what_the_note_says_to_write_does_it(built: Built, text: str, found: set[int]) -> None:
    corpus, words, records = built
    (note,) = note_lookalikes(text)
    written = re.search(r"(?:, write| as in) (.+?)\.?$", note)
    assert written is not None
    instead = written[1] if "[foo]" not in text else f"knee{written[1]}"
    search = read_search(f"{instead}." if instead.endswith("ti,ab") else instead)
    assert search is not None
    matched = find_matches(corpus, words, search).doc_ids.tolist()
    assert {int(records[doc_id].record_id) for doc_id in matched} == found


@pytest.mark.parametrize("piece", [" ", "*", "\u00df", "(", "-"])
def test_a_long_question_is_looked_through_at_once(piece: str) -> None:
    began = time.process_time()
    note_lookalikes(piece * 99_999 + "9")
    assert time.process_time() - began < 5
