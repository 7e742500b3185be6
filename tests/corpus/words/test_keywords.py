import math
import random
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.storage.store import Corpus, open_database
from engine.corpus.words.keywords import Occurrences, find_allowed, find_occurrences, rank_words
from engine.corpus.words.truncation import _stem_words
from engine.corpus.words.wording import Term, Wording, parse_wording
from engine.records.abstract import Abstract
from tests.conftest import examples
from tests.corpus.drafts import opened, origin

WORDS = ("gout", "hip", "knee", "bone", "pain", "bon")  # each is its own stem, and one begins another
Doc = tuple[str, str]  # title and abstract


def corpus_of(folder: Path, docs: list[Doc]) -> Corpus:
    """Build a corpus with ids from 1."""
    with opened(folder / "abstracts.db", 1) as draft:
        for number, (title, abstract) in enumerate(docs, 1):
            put = draft.intake.put(Abstract(f"r{number}", title, abstract), origin(1))
            assert put.doc_id == number
    return open_database(folder / "abstracts.db")


def found(corpus: Corpus, text: str) -> list[int]:
    """Return the matching ids, ascending."""
    pairs, n = rank_words(corpus, parse_wording(text), 1000)
    assert n == len(pairs)
    return sorted(doc_id for doc_id, _ in pairs)


def places(corpus: Corpus, text: str, doc_id: int = 1) -> Occurrences:
    return find_occurrences(corpus, parse_wording(text), [doc_id])[doc_id]


# Expected values computed by hand.

HAND: list[Doc] = [
    ("Gout and beer", "Uric acid crystals in the knee."),  # 1
    ("Beer", "Gouty arthritis, treated with colchicine."),  # 2
    ("Sjögren's syndrome", "Arthritic knees; acid, uric."),  # 3
    ("COVID-19 in rheumatology", "Covid 19 and IL-6."),  # 4
    ("Hydroxychloroquine", "After vaccination."),  # 5
    ("Fibromyalgia", "Not fibrosis."),  # 6
]


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    with closing(corpus_of(tmp_path_factory.mktemp("hand"), HAND)) as corpus:
        yield corpus


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("gout", [1]),
        ("GOUT beer", [1, 2]),
        ("arthritis", [2]),
        ("knees", [1, 3]),
        ("crystal", [1]),
        ("treating", [2]),
        ("sjogren", [3]),
        ("SJÖGREN", [3]),
        ("Sjo\u0308gren", [3]),
        ('"uric acid"', [1]),
        ('"acid crystals" beer', [1]),
        ('"URIC-acids"', [1]),
        ("uric acid", [1, 3]),
        ("+beer gout", [1, 2]),
        ("+beer +gout", [1]),
        ("beer -gout", [2]),
        ('uric -"uric acid"', [3]),
        ("title:gout", [1]),
        ("beer title:gout knee", [1]),
        ("knee -title:gout", [3]),
        ('title:"gout and"', [1]),
        ('title:"gout beer"', []),
        ("covid-19", [4]),
        ("19-covid", []),
        ("il-6", [4]),
        ("arthrit*", [2, 3]),
        ("+gou*", [1, 2]),
        ("title:gou*", [1]),
        ("beer -gouty*", [1]),
        ("hydroxy*", [5]),
        ("vaccinat*", [5]),
        ("fibros*", [6]),
        ('"uric aci*"', [1]),
        ("the", [1]),
        ("the beer", [1, 2]),
        ("-gout", []),
        ("beer -beer", []),
        ("", []),
        ("zebra", []),
        ("+zebra beer", []),
        ("beer AND zebra", [1, 2]),
        ("beer NOT gout", [1, 2]),
    ],
)
def test_matching_records(hand: Corpus, text: str, ids: list[int]) -> None:
    assert found(hand, text) == ids


def test_allowed_records(hand: Corpus) -> None:
    def ids(text: str) -> list[int] | None:
        got = find_allowed(hand, parse_wording(text))
        assert got is None or got.dtype == np.int64
        return None if got is None else got.tolist()

    assert ids("gout") is None
    assert ids("") is None
    assert ids("+beer gout") == [1, 2]
    assert ids("-beer") == [3, 4, 5, 6]
    assert ids('+beer -"uric acid"') == [2]
    assert ids("+zebra") == []
    assert ids("-zebra -title:beer") == [3, 4, 5, 6]


def test_the_best_come_first_and_the_title_counts_twice(tmp_path: Path) -> None:
    docs = [("hip", "pain"), ("pain", "hip"), ("hip", "pain"), ("knee", "bone"), ("bone", "knee"), ("knee", "bone")]
    with closing(corpus_of(tmp_path, docs)) as corpus:
        pairs, n = rank_words(corpus, parse_wording("pain"), 10)
        assert [doc_id for doc_id, _ in pairs] == [2, 1, 3]
        assert pairs[0][1] > pairs[1][1] == pairs[2][1] > 0
        assert n == 3
        assert rank_words(corpus, parse_wording("pain"), 2) == (pairs[:2], 3)
        assert rank_words(corpus, parse_wording("pain"), 0) == ([], 3)
        assert rank_words(corpus, parse_wording("pain"), 10, np.array([1, 3, 4], np.int64)) == (pairs[1:], 2)
        assert rank_words(corpus, parse_wording("pain"), 1, np.array([1, 3, 4], np.int64)) == (pairs[1:2], 2)
        assert rank_words(corpus, parse_wording("pain"), 10, np.array([], np.int64)) == ([], 0)


def test_a_required_word_is_not_counted_twice(hand: Corpus) -> None:
    plain, _ = rank_words(hand, parse_wording("gout beer"), 10)
    assert rank_words(hand, parse_wording("+gout beer gout"), 10)[0] == plain[:1]


def test_occurrences_of_words(tmp_path: Path) -> None:
    docs = [
        ("Gout: a \U0001f600 case of GOUTS", "Café, cafe\u0301 (uric acid)\u2003uric-acids"),
        ("knee\0pain \x01 hip\x02", "\x02knee\x01\x01 gout\0"),
        ("other", "text"),
    ]
    with closing(corpus_of(tmp_path, docs)) as corpus:
        assert places(corpus, "gout cafe") == Occurrences(("gout", "cafe"), ((0, 4), (18, 23)), ((0, 4), (6, 11)))
        assert places(corpus, '"uric acid"') == Occurrences(("uric acid",), (), ((13, 22), (24, 34)))
        assert places(corpus, "acid-uric acids") == Occurrences(("acid-uric", "acids"), (), ((18, 28), (29, 34)))
        assert places(corpus, "title:gou* case -zebra") == Occurrences(
            ("case", "gou*"), ((0, 4), (10, 14), (18, 23)), ()
        )
        assert places(corpus, "title:cafe") == Occurrences((), (), ())
        assert places(corpus, "-gout") == Occurrences((), (), ())
        odd = places(corpus, "pain knee hip gout", 2)
        assert odd.title == ((0, 4), (5, 9), (12, 15))
        assert odd.abstract == ((1, 5), (8, 12))
        assert odd.words == ("pain", "knee", "hip", "gout")
        assert found(corpus, "pain") == [2]
        several = find_occurrences(corpus, parse_wording("gout"), [2, 3, 99, 1, 1])
        assert {doc_id: one.words for doc_id, one in several.items()} == {1: ("gout",), 2: ("gout",), 3: ()}
        assert find_occurrences(corpus, parse_wording("gout"), list(corpus.read_ids())) == several
        assert find_occurrences(corpus, parse_wording("gout"), []) == {}


# Comparison with a plain oracle.


@dataclass(frozen=True)
class Asked:
    """An operand of the oracle."""

    words: tuple[str, ...]
    sign: str = ""
    in_title: bool = False
    quoted: bool = False
    star: bool = False

    def __str__(self) -> str:
        text = (" " if self.quoted else "-").join(self.words) + "*" * self.star
        return f"{self.sign}{'title:' * self.in_title}" + (f'"{text}"' if self.quoted else text)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of the operand in a text."""
        tokens = [(match[0].lower(), match.start(), match.end()) for match in re.finditer("[a-zA-Z]+", text)]
        n = len(self.words)
        runs = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
        return [(run[0][1], run[-1][2]) for run in runs if self.is_run([token for token, _, _ in run])]

    def is_run(self, tokens: list[str]) -> bool:
        head, last = tuple(tokens[:-1]), tokens[-1]
        return head == self.words[:-1] and (last.startswith(self.words[-1]) if self.star else last == self.words[-1])

    def counts(self, doc: Doc) -> tuple[int, int]:
        """Count the occurrences in title and abstract."""
        return len(self.places(doc[0])), 0 if self.in_title else len(self.places(doc[1]))

    @property
    def is_plain(self) -> bool:
        return not (self.sign or self.in_title or self.quoted)


def matches(asked: list[Asked], doc: Doc) -> bool:
    wanted = [one for one in asked if one.sign != "-"]
    required = [one for one in wanted if not one.is_plain]
    return (
        any(any(one.counts(doc)) for one in wanted)
        and all(any(one.counts(doc)) for one in required)
        and not any(any(one.counts(doc)) for one in asked if one.sign == "-")
    )


def bm25(wanted: list[Asked], docs: list[Doc], doc: Doc) -> float:
    """Compute Okapi BM25 like FTS5: k1 = 1.2, b = 0.75, title words count twice, length of both columns."""
    lengths = [len(" ".join(each).split()) for each in docs]
    mean, total = sum(lengths) / len(docs), 0.0
    for one in wanted:
        n = sum(any(one.counts(each)) for each in docs)
        idf = math.log((len(docs) - n + 0.5) / (n + 0.5))
        title, abstract = one.counts(doc)
        often = 2 * title + abstract
        length = len(" ".join(doc).split())
        total += max(idf, 1e-6) * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / mean))
    return total


def toy_docs() -> list[Doc]:
    """Generate texts of few words, so that phrases and ties occur."""
    pick = random.Random(3)
    sides = [[pick.choice(WORDS[: 2 + n % 5]) for _ in range(pick.randint(1, 6))] for n in range(120)]
    texts = [" ".join(word.upper() if pick.random() < 0.2 else word for word in side) for side in sides]
    return list(zip(texts[::2], texts[1::2], strict=True))


DOCS = toy_docs()
ONE = st.builds(
    Asked,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["", "", "", "+", "-"]),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
    st.sampled_from([False, False, True]),
)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    with closing(corpus_of(tmp_path_factory.mktemp("toys"), DOCS)) as corpus:
        yield corpus


def test_the_words_of_the_oracle_are_their_own_stems() -> None:
    assert _stem_words(WORDS) == [(word, word) for word in WORDS]


@examples(2)
@given(asked=st.lists(ONE, max_size=5), among=st.sets(st.integers(1, 70)), top_k=st.integers(0, 70))
def test_matches_and_their_order_equal_the_oracle(
    toys: Corpus, asked: list[Asked], among: set[int], top_k: int
) -> None:
    wording = parse_wording(" ".join(map(str, asked)))
    expected = {number for number, doc in enumerate(DOCS, 1) if matches(asked, doc)}
    every, n = rank_words(toys, wording, 1000)
    assert {doc_id for doc_id, _ in every} == expected
    assert n == len(every) == len(expected)
    assert every == sorted(every, key=lambda pair: (-pair[1], pair[0]))
    chosen = np.array(sorted(among), np.int64)
    inside = [pair for pair in every if pair[0] in among]
    assert rank_words(toys, wording, top_k, chosen) == (inside[:top_k], len(inside))
    assert rank_words(toys, wording, top_k) == (every[:top_k], n)


@given(asked=st.lists(ONE, max_size=5))
def test_allowed_records_equal_the_oracle(toys: Corpus, asked: list[Asked]) -> None:
    must = [one for one in asked if one.sign != "-" and not one.is_plain]
    must_not = [one for one in asked if one.sign == "-"]
    got = find_allowed(toys, parse_wording(" ".join(map(str, asked))))
    if not must and not must_not:
        assert got is None
        return
    assert got is not None
    assert got.tolist() == [
        number
        for number, doc in enumerate(DOCS, 1)
        if all(any(one.counts(doc)) for one in must) and not any(any(one.counts(doc)) for one in must_not)
    ]


@given(
    asked=st.lists(ONE, max_size=5, unique_by=lambda one: (one.words, one.in_title, one.quoted and len(one.words) > 1))
)
def test_scores_equal_the_formula(toys: Corpus, asked: list[Asked]) -> None:
    exact = [replace(one, star=False) for one in asked]
    wanted = [one for one in exact if one.sign != "-"]
    pairs, _ = rank_words(toys, parse_wording(" ".join(map(str, exact))), 1000)
    for doc_id, score in pairs:
        assert math.isclose(score, bm25(wanted, DOCS, DOCS[doc_id - 1]), rel_tol=1e-9)


@given(asked=st.lists(ONE, max_size=5), doc_ids=st.lists(st.integers(1, 60), max_size=4))
def test_spans_equal_the_oracle(toys: Corpus, asked: list[Asked], doc_ids: list[int]) -> None:
    wanted = [one for one in asked if one.sign != "-"]
    got = find_occurrences(toys, parse_wording(" ".join(map(str, asked))), doc_ids)
    assert set(got) == set(doc_ids)
    for doc_id in doc_ids:
        title, abstract = DOCS[doc_id - 1]
        assert got[doc_id].title == united([span for one in wanted for span in one.places(title)])
        assert got[doc_id].abstract == united(
            [span for one in wanted if not one.in_title for span in one.places(abstract)]
        )
        there = {
            str(replace(one, sign="", in_title=False, quoted=False))
            for one in wanted
            if any(one.counts(DOCS[doc_id - 1]))
        }
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


# Arbitrary input.

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=40)
SYNTAX = st.lists(
    st.sampled_from(
        ["gout", "covid-19", "IL-2", "p53 OR", "NEAR(", "NEAR(gout knee, 5)", "*", "(((", "AND", "NOT", '"', "“", "”"]
        + ["'", "\0", "\ud800", "\U0001f600", "title:", "title :", "{title abstract}:", "-", "+", "^gout", "gou*", " "]
        + [
            '"gout" *',
            "a:b",
            "--",
            ";",
            "DROP TABLE words",
            "\ue000",
            "ꟷ",
            "\U0001e900",
            "½*",
            "ǅ",
            "\u0301",
            "abc\u0301*",
        ]
    ),
    max_size=12,
)


@examples(3)
@given(text=ANYTHING | SYNTAX.map("".join) | SYNTAX.map(" ".join), among=st.sets(st.integers(1, 60)))
def test_no_text_raises(toys: Corpus, text: str, among: set[int]) -> None:
    wording = parse_wording(text)
    pairs, n = rank_words(toys, wording, 1000)
    assert n == len(pairs)
    assert all(score > 0 for _, score in pairs)
    inside, _ = rank_words(toys, wording, 1000, np.array(sorted(among), np.int64))
    assert inside == [pair for pair in pairs if pair[0] in among]
    may = find_allowed(toys, wording)
    assert may is None or {doc_id for doc_id, _ in pairs} <= set(may.tolist())
    for doc_id, one in find_occurrences(toys, wording, [1, 2, 3]).items():
        for spans, stored in zip((one.title, one.abstract), DOCS[doc_id - 1], strict=True):
            flat = [place for span in spans for place in span]
            assert flat == sorted(flat)
            assert not flat or flat[-1] <= len(stored)


@pytest.mark.parametrize("operator", ["", "+", "-", "title:"])
def test_a_text_of_a_megabyte_does_not_raise(toys: Corpus, operator: str) -> None:
    for piece in ("x", "x ", "gout ", '"', "- ", "a-", '"gout knee" ', "\U0001f600", "bon* ", "word%d* "):
        text = "".join(operator + (piece % n if "%" in piece else piece) for n in range(50_000))
        pairs, n = rank_words(toys, parse_wording(text), 5)
        assert len(pairs) <= n
        assert find_occurrences(toys, parse_wording(text), [1]).keys() == {1}


def test_terms_without_a_word_for_sqlite(toys: Corpus) -> None:
    nothing = Term("\U0001e900")  # a letter that is younger than the tokenizer
    assert rank_words(toys, Wording((nothing,), (), (), ""), 5) == ([], 0)
    assert rank_words(toys, Wording((Term("gout"),), (nothing,), (), ""), 5) == ([], 0)
    assert rank_words(toys, Wording((Term("gout"),), (), (nothing,), ""), 1000) == rank_words(
        toys, parse_wording("gout"), 1000
    )
