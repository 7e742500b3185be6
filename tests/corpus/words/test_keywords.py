import tracemalloc
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.words.keywords import Occurrences, find_occurrences
from engine.corpus.words.wording import parse_wording
from tests.corpus.words.toys import DOCS, ONE, Asked


def places(doc: tuple[str, str], text: str) -> Occurrences:
    return find_occurrences(parse_wording(text), {1: doc})[1]


def test_occurrences_of_words() -> None:
    doc = ("Gout: a \U0001f600 case of GOUTS", "Café, cafe\u0301 (uric acid)\u2003uric-acids")
    assert places(doc, "gout cafe") == Occurrences(("gout", "cafe"), ((0, 4), (18, 23)), ((0, 4), (6, 11)))
    assert places(doc, "+gout") == Occurrences(("gout",), ((0, 4),), ())
    assert places(doc, '"uric acid"') == Occurrences(("uric acid",), (), ((13, 22),))
    assert places(doc, '"uric acid*"') == Occurrences(("uric acid*",), (), ((13, 22), (24, 34)))
    assert places(doc, "acid-uric acids") == Occurrences(("acid-uric", "acids"), (), ((18, 28), (29, 34)))
    assert places(doc, "uric-gout") == Occurrences(("uric", "gout"), ((0, 4), (18, 23)), ((13, 17), (24, 28)))
    assert places(doc, "title:gou* case -zebra") == Occurrences(("case", "gou*"), ((0, 4), (10, 14), (18, 23)), ())
    assert places(doc, "title:cafe") == Occurrences((), (), ())
    assert places(doc, "-gout") == Occurrences((), (), ())


def test_occurrences_among_odd_characters() -> None:
    odd = places(("knee\0pain \x01 hip\x02", "\x02knee\x01\x01 gout\0"), "pain knee hip gout")
    assert odd.title == ((0, 4), (5, 9), (12, 15))
    assert odd.abstract == ((1, 5), (8, 12))
    assert odd.words == ("pain", "knee", "hip", "gout")


def test_a_very_long_text_takes_little_memory() -> None:
    text = " ".join(f"w{number} \u00e9" for number in range(60_000)) + " gout"
    tracemalloc.start()
    found = places(("", text), '"gout" "w59999"')
    assert found.abstract == ((len(text) - 13, len(text) - 7), (len(text) - 4, len(text)))
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_every_record_has_an_entry() -> None:
    texts = {2: ("gout", ""), 3: ("other", "text"), 1: ("", "gouts")}
    several = find_occurrences(parse_wording("gout"), texts)
    assert {doc_id: one.words for doc_id, one in several.items()} == {1: ("gout",), 2: ("gout",), 3: ()}
    assert find_occurrences(parse_wording("gout"), {}) == {}


@given(asked=st.lists(ONE, max_size=5), doc_ids=st.lists(st.integers(1, 60), max_size=4))
def test_spans_equal_the_oracle(asked: list[Asked], doc_ids: list[int]) -> None:
    wanted = [one for one in asked if one.sign != "-"]
    wording = parse_wording(" ".join(map(str, asked)))
    got = find_occurrences(wording, {doc_id: DOCS[doc_id - 1] for doc_id in doc_ids})
    assert set(got) == set(doc_ids)
    for doc_id in doc_ids:
        title, abstract = doc = DOCS[doc_id - 1]
        shown = [part for one in wanted for part in ([one] if any(one.counts(doc)) else one.parts)]
        assert got[doc_id].title == united([span for one in shown for span in one.places(title)])
        assert got[doc_id].abstract == united(
            [span for one in shown if not one.in_title for span in one.places(abstract)]
        )
        there = {str(replace(one, sign="", in_title=False, quoted=False)) for one in shown if any(one.counts(doc))}
        assert {word.replace(" ", "-") for word in got[doc_id].words} == there


def united(found: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the spans ascending, overlapping ones merged."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return tuple(spans)
