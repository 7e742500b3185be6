"""What looks like search syntax in a plain question is named."""

import contextlib
import doctest
import re
import time
from collections.abc import Iterator

import pytest

from engine.corpus.boolean import foreign
from engine.corpus.boolean.evaluation import find_matches
from engine.corpus.boolean.lookalikes import note_lookalikes
from engine.corpus.boolean.strategy import read_search
from engine.errors import UsageError
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


_NAMED = "was read as a word. If it is"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("knee XOR pain", f"XOR {_NAMED} an operator, write (knee OR pain) NOT (knee AND pain)"),
        ("knee ANDNOT pain", f"ANDNOT {_NAMED} an operator, write knee NOT pain"),
        ("knee SAME pain", f"SAME {_NAMED} an operator, write knee NEAR/10 pain"),
        ("knee WITH pain", f"WITH {_NAMED} an operator, write knee NEAR/10 pain"),
        ("knee && pain", f"&& {_NAMED} an operator, write knee AND pain"),
        ('"knee joint" || pain', f'|| {_NAMED} an operator, write "knee joint" OR pain'),
        ("knee | pain", f"| {_NAMED} an operator, write knee OR pain"),
        ("knee NEAR/x pain", f"NEAR/x {_NAMED} an operator, write knee NEAR/3 pain"),
        ("knee near pain", f"near {_NAMED} an operator, write knee NEAR/10 pain"),
        ("knee near5 pain", f"near5 {_NAMED} an operator, write knee NEAR/5 pain"),
        ("knee n3 pain", f"n3 {_NAMED} an operator, write knee N/3 pain"),
        ("knee And pain", f"And {_NAMED} an operator, write AND"),
        ("ti(knee)", f"ti {_NAMED} a field, write its tag after the word, as in gout[ti]"),
        ("TI (knee)", f"TI {_NAMED} a field, write its tag after the word, as in gout[ti]"),
        ("TI=knee", f"TI= {_NAMED} a field, write its tag after the word, as in gout[ti]"),
        ("tw:(knee)", f"tw: {_NAMED} a field, write its tag after the word, as in gout[tw]"),
        ('mesh.exact("knee")', f"mesh.exact {_NAMED} a field, write its tag after the word, as in gout[mh]"),
        ("knee[tiab", "[tiab was read as a word, since it is not closed. For a field tag, write [tiab]"),
        (
            "knee.tiab.",
            ".tiab. was read as a word, since it is no field of Ovid. For title and abstract, write .ti,ab.",
        ),
        ("exp knee", "exp was read as a word. For a heading, write exp knee/"),
        ('"knee pain"~3', '~3 was not read. For words near each other, write "hip pain"[tiab:~3]'),
        ("knee~1", "~1 was not read. For other endings, write arthrit*"),
        ("knee^2 pain", "^2 was not read, since no word can count more than another"),
        ("knee{tiab}", "{tiab} was read as a word. If it is a field tag, write [tiab]"),
        ("limit 1 to english", "limit was read as a word, since there is no line 1. Give all lines of the search"),
        ("knee UND pain", f"UND {_NAMED} an operator, write knee AND pain"),
        ("knee OU pain", f"OU {_NAMED} an operator, write knee OR pain"),
        ("knee AND/OR pain", f"AND/OR {_NAMED} an operator, write knee OR pain"),
        ("knee SAUF pain", f"SAUF {_NAMED} an operator, write knee NOT pain"),
        ("knee ET pain", f"ET {_NAMED} an operator, write knee AND pain"),
        ("knee W/s pain", f"W/s {_NAMED} an operator, write knee NEAR/10 pain"),
        ("knee pre/P pain", f"pre/P {_NAMED} an operator, write knee NEXT/10 pain"),
        ("NEAR(knee, pain)", f"NEAR {_NAMED} an operator, write it between two words: hip NEAR/5 pain"),
        ("ONEAR ((knee pain), 5)", f"ONEAR {_NAMED} an operator, write it between two words: hip NEAR/5 pain"),
        ("knee(2n)pain", f"(2n) {_NAMED} an operator, write N/2 between two blanks"),
        ("knee(w)pain", f"(w) {_NAMED} an operator, write PRE/0 between two blanks"),
        ("'knee pain'", "'knee pain' was read as words. For a phrase, write \"knee pain\""),
        ('"knee pain', "a quotation mark is not closed, so no phrase begins there. Close it, or leave it out"),
        ("wom$n", "wom$n was read as words: ?, # and $ are wildcards before a field tag, as in wom$n.ti,ab."),
        ("knee#", "knee# was read as words: ?, # and $ are wildcards before a field tag, as in knee#.ti,ab."),
    ],
)
def test_what_other_databases_read_is_named(text: str, note: str) -> None:
    assert note_lookalikes(text) == (note,)
    search = read_search(f"arthritis OR {text}") if '"knee pain' != text else None
    is_read = search is not None and _says_of(search.notes, text)
    assert is_read or text in _SAID_ELSEWHERE


_SAID_ELSEWHERE = (  # in a Boolean search these are read, or the message or another note names them
    "knee And pain",
    "TI (knee)",
    "TI=knee",
    "'knee pain'",
    '"knee pain',
    "knee.tiab.",
    "knee && pain",
    '"knee joint" || pain',
    "limit 1 to english",
)


def _says_of(notes: tuple[str, ...], text: str) -> bool:
    """Whether a note of a search names what a plain question names."""
    (plain,) = note_lookalikes(text)
    return any(note == plain or "only * is a wildcard" in note for note in notes)


@pytest.mark.parametrize(
    "text",
    [
        "arthritis AND near miss",
        "knee NEAR/3 pain",
        "knee near/3 pain AND hip",
        "TI (knee) AND AB (pain)",
        "patients with pain AND pre/post scores",
        "knee || pain AND hip && joint",
        '"knee pain"[tiab:~3] OR (knee adj3 pain).ti,ab.',
        "knee NEAR/ 4 pain",
        "knee ADJ/2 pain AND hip",
        "(knee near pain*):ti,ab,kw",
        '"Knee"[Mesh:NoExp] AND pain[mh:noexp]',
        'title:"knee pain" AND hip',
        '"knee pain"[tiab~3]',
        "'knee'/exp AND [english]/lim",
        "(knee adj 3 pain).ti,ab.",
    ],
)
def test_what_is_read_is_not_named(text: str) -> None:
    search = read_search(text)
    assert search is not None
    assert not [note for note in search.notes if "was read as a word" in note or "was not read" in note]


_OR_TAG = "write a tag such as gout[tiab]"


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("knee[ti] -child", ["the minus before child at character 10 was not read. To exclude it, write NOT child"]),
        ("hip AND {knee OR pain}", ["{ was not read as a parenthesis. To group words, write ( and )"]),
        ("hip AND [knee OR pain]", ["[ was not read as a parenthesis. To group words, write ( and )"]),
        ("knee[ti] OR/pain", ["OR/pain was read as a word. For an operator, write a blank on each side of it"]),
        ("knee[ti] **OR** pain", ["**OR** was read as a word. For an operator, write a blank on each side of it"]),
        ("knee,OR,pain AND hip", [",OR, was read as a word. For an operator, write a blank on each side of it"]),
        ("knee AND SRC:MED", [f"SRC: {_NAMED} a field, leave it out, or {_OR_TAG}"]),
        (
            "knee AND PUB_YEAR:[2010 TO 2020]",
            [f"PUB_YEAR: {_NAMED} a field, write its tag after the word, as in gout[dp]"],
        ),
        ("AREA[Condition]knee AND hip", [f"AREA[Condition] {_NAMED} a field, {_OR_TAG} or gout[ti] instead"]),
        ("knee (Topic) AND hip", [f"(Topic) {_NAMED} a field, {_OR_TAG} or gout[ti] instead"]),
        ("TOPIC: (knee) AND hip", [f"TOPIC: {_NAMED} a field, {_OR_TAG} or gout[ti] instead"]),
        (
            'SU.EXACT("Knee") AND hip',
            [f"SU.EXACT {_NAMED} a field, write its tag after the word, as in gout[mh]"],
        ),
        ("knee next pain AND hip[ti]", [f"next {_NAMED} an operator, write knee NEXT/10 pain"]),
        (
            'SU "knee" AND hip[ti]',
            ["SU at character 1 was read as a word. If it is a field, write [mh] after the word instead"],
        ),
    ],
)
def test_what_a_search_does_not_read_is_named(text: str, notes: list[str]) -> None:
    search = read_search(text)
    assert search is not None
    assert [note for note in search.notes if "side by side" not in note] == notes


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(foreign).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "pain near the joint",
        "treated with or without near infrared light of the knee, then after",
        "PATIENTS WITH ACTIVE GOUT: Final Analysis",
        "Pre/post scores of patients w/o pain",
        "Au(III) complexes on Ti(OH) surfaces and the title(s)",
        "Gout And Pain In Men And Women",
        "it's the patients' and carers' view",
        'a 5" needle',
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
        "the outcome of frozen ET cycles after two failed attempts",
        "the G(s)alpha gene and the nucleocapsid (N) protein of diploid (2n) cells",
        "near (or in) the joint",
        "The SAME trial of vitamin D, and results of the WITH study in gout",
        "vision in OD and OU after surgery",
        "T2 N1 M0 lung cancer",
        "delays in the OR and ICU",
        "what next after allopurinol",
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


@pytest.mark.parametrize(
    "piece", [" ", "*", "\u00df", "(", "-", "\n", "'", "'a ", '"a', "exp a ", "a near ", "a | ", "ti(", "a[ti ", "a. ",
     "[a OR ", "{a ", "*/OR", "NEAR (", "a(2n)", "AREA[x] ", "a near /  "],
)  # fmt: skip
def test_a_long_question_is_looked_through_at_once(piece: str) -> None:
    began = time.process_time()
    note_lookalikes(piece * (99_999 // len(piece)) + "9")
    list(foreign.note_foreign(piece * (99_999 // len(piece)) + "9", is_search=True))
    assert time.process_time() - began < 5


def test_a_long_strategy_is_read_at_once() -> None:
    began = time.process_time()
    for piece in ("a AND\n", "1 and 2\n", "S1 ", "a\t", "a (1) "):
        with contextlib.suppress(UsageError):
            read_search(f"1. a\n2. b\n{piece * (40_000 // len(piece))}")
    assert time.process_time() - began < 10
