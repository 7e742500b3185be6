import math
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.words import wordindex as module
from engine.corpus.words.keywords import find_occurrences
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import Term, Wording, parse_wording
from engine.deadline import Deadline, limit_time
from engine.errors import BusyError, CorruptError, UsageError
from engine.records.generation import DocIds
from tests.conftest import examples
from tests.corpus.words.toys import DOCS, ONE, WORDS, Asked, Doc, build_words, matches

Hits = tuple[list[tuple[int, float]], int]


def ids(*numbers: int) -> DocIds:
    return np.array(sorted(numbers), np.int64)


def rank(words: WordIndex, text: str, top_k: int = 1000, among: DocIds | None = None) -> Hits:
    return words.rank(parse_wording(text), top_k, among)


def found(words: WordIndex, text: str) -> list[int]:
    """Return the matching ids, ascending."""
    pairs, n = rank(words, text)
    assert n == len(pairs)
    return sorted(doc_id for doc_id, _ in pairs)


# Expected values computed by hand.

HAND: list[Doc] = [
    ("Gout and beer", "Uric acid crystals in the knee."),  # 1
    ("Beer", "Gouty arthritis, treated with colchicine."),  # 2
    ("Sjögren's syndrome", "Arthritic knees; acid, uric."),  # 3
    ("COVID-19 in rheumatology", "Covid 19 and IL-6."),  # 4
    ("Hydroxychloroquine", "After vaccination."),  # 5
    ("Fibromyalgia", "Not fibrosis. ﬁbers and co\u00adhorts"),  # 6
]


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> WordIndex:
    return build_words(tmp_path_factory.mktemp("hand") / "words", HAND)


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("gout", [1]),
        ("GOUT beer", [1, 2]),
        ("arthritis", [2]),
        ("knees", [1, 3]),
        ("+knees", [3]),
        ("knees -knee", [3]),
        ("crystal", [1]),
        ("+crystal", []),
        ("treating", [2]),
        ("sjogren", [3]),
        ("SJÖGREN", [3]),
        ("+Sjo\u0308gren", [3]),
        ('"uric acid"', [1]),
        ('"uric acids"', []),
        ('"acid crystals" beer', [1]),
        ('"URIC-acid"', [1]),
        ('"gout beer"', []),
        ('"beer gout"', []),
        ('"beer uric"', []),
        ("uric acid", [1, 3]),
        ("uric-acid", [1, 3]),
        ("+beer gout", [1, 2]),
        ("+beer +gout", [1]),
        ("beer -gout", [2]),
        ('uric -"uric acid"', [3]),
        ("title:gout", [1]),
        ("title:uric", []),
        ("beer title:gout knee", [1]),
        ("knee -title:gout", [3]),
        ('title:"gout and"', [1]),
        ('title:"gout beer"', []),
        ("covid-19", [4]),
        ("19-covid", [4]),
        ("il-6", [4]),
        ("arthrit*", [2, 3]),
        ("+gou*", [1, 2]),
        ("title:gou*", [1]),
        ("beer -gouty*", [1]),
        ("hydroxy*", [5]),
        ("vaccinat*", [5]),
        ("vaccines", [5]),
        ("vaccine*", []),
        ("fibros*", [6]),
        ("fibers cohort", [6]),
        ('"uric aci*"', [1]),
        ("uric-aci*", [1]),
        ("acid-uri*", [3]),
        ('title:"gout and*"', [1]),
        ('title:"uric aci*"', []),
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
def test_matching_records(hand: WordIndex, text: str, matching: list[int]) -> None:
    assert found(hand, text) == matching


def test_allowed_records(hand: WordIndex) -> None:
    def allowed(text: str) -> list[int] | None:
        got = hand.find_allowed(parse_wording(text))
        assert got is None or got.dtype == np.int64
        return None if got is None else got.tolist()

    assert allowed("gout") is None
    assert allowed("") is None
    assert allowed("+beer gout") == [1, 2]
    assert allowed("-beer") == [3, 4, 5, 6]
    assert allowed('+beer -"uric acid"') == [2]
    assert allowed("+zebra") == []
    assert allowed("-zebra -title:beer") == [3, 4, 5, 6]
    assert allowed('+beer -"uric aci*" -gouty*') == []


TIED: list[Doc] = [("hip", "pain"), ("pain", "hip"), ("hip", "pain"), ("knee", "bone"), ("bone", "knee"), ("", "bone")]


def test_the_best_come_first_and_the_title_counts_twice(tmp_path: Path) -> None:
    words = build_words(tmp_path / "words", TIED)
    pairs, n = rank(words, "pain", 10)
    assert [doc_id for doc_id, _ in pairs] == [2, 1, 3]
    assert pairs[0][1] > pairs[1][1] == pairs[2][1] > 0
    assert n == 3
    assert rank(words, "pain", 2) == (pairs[:2], 3)
    assert rank(words, "pain", 0) == ([], 3)
    assert rank(words, "pain", 10, ids(1, 3, 4)) == (pairs[1:], 2)
    assert rank(words, "pain", 1, ids(1, 3, 4)) == (pairs[1:2], 2)
    assert rank(words, "pain", 10, ids()) == ([], 0)
    assert words.size == 6 and words.read_ids().tolist() == [1, 2, 3, 4, 5, 6]


def test_bm25_by_hand(tmp_path: Path) -> None:
    """Three of six records have pain; all lengths are 3 but for the last, 1; so their mean is 16/6."""
    pairs, _ = rank(build_words(tmp_path / "words", TIED), "pain", 10)
    idf, norm = math.log(1 + 3.5 / 3.5), 1.2 * (0.25 + 0.75 * 3 / (16 / 6))
    assert [score for _, score in pairs] == pytest.approx(
        [idf * 2.2 * 2 / (2 + norm), idf * 2.2 / (1 + norm), idf * 2.2 / (1 + norm)], rel=1e-5
    )


def test_a_required_word_is_not_counted_twice(hand: WordIndex) -> None:
    plain, _ = rank(hand, "gout beer", 10)
    assert rank(hand, "+gout beer gouts", 10)[0] == plain[:1]
    assert rank(hand, "title:gout beer +gout", 10)[0] == plain[:1]


def test_equal_records_are_ordered_by_id_at_any_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 50 equal records, fewer are fetched at first than are wanted or than are equal."""
    words = build_words(tmp_path / "words", [("hip", f"pain {'bone ' * (n % 2)}") for n in range(50)])
    monkeypatch.setattr(module, "_BEYOND", 1)
    monkeypatch.setattr(module, "_NEXT", 2)
    odd, even = list(range(1, 51, 2)), list(range(2, 51, 2))
    for text, order in (("pain", odd + even), ("bone", even), ("pain bone hip", even + odd)):
        every = [doc_id for doc_id, _ in rank(words, text, 50)[0]]
        assert every == order
        for top_k in range(51):
            assert [doc_id for doc_id, _ in rank(words, text, top_k)[0]] == order[:top_k]
    assert [doc_id for doc_id, _ in rank(words, "pain", 3, ids(40, 41, 42, 43))[0]] == [41, 43, 40]


def test_frequent_endings_of_a_truncated_word_rank_and_all_match(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = [("", "goutish"), ("", "gouty"), ("", "gouty gouty"), ("", "gout"), ("", "gouts gouty"), ("", "hip")]
    words = build_words(tmp_path / "words", docs)
    every, n = rank(words, "gou*")
    assert {doc_id for doc_id, _ in every} == {1, 2, 3, 4, 5} and n == 5
    scores = dict(every)
    assert scores[1] == scores[2] == scores[4], "a rare ending weighs no more than a frequent one"
    monkeypatch.setattr(module, "_VARIANTS", 1)
    few, n = rank(words, "gou*")
    assert {doc_id for doc_id, _ in few[:3]} == {2, 3, 5}
    assert few[3:] == [(1, 0.01), (4, 0.01)] and n == 5


def test_a_truncated_phrase_with_too_many_endings_is_refused(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    every = [f"con{a}{b}{c}" for a in letters for b in letters for c in letters]
    words = build_words(tmp_path / "words", [("", f"the {' the '.join(every)}")])
    assert found(words, "con*") == [1]
    with pytest.raises(UsageError, match="more endings than can be looked up. Write more letters before the star"):
        found(words, '"the con*"')
    assert found(words, '"the conc*"') == [1]


# Comparison with a plain oracle.


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> WordIndex:
    return build_words(tmp_path_factory.mktemp("toys") / "words", DOCS)


def check_order(pairs: list[tuple[int, float]], scores: dict[int, float]) -> None:
    """Compare with scores that may differ in the last digit, which may change the order of near ties."""
    assert pairs == sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
    for doc_id, score in pairs:
        assert math.isclose(score, scores[doc_id], rel_tol=6e-5)


@pytest.mark.parametrize("native", [True, False])
@examples(2)
@given(asked=st.lists(ONE, max_size=5), among=st.sets(st.integers(1, 70)), top_k=st.integers(0, 70))
def test_matches_and_their_order_equal_the_oracle(
    toys: WordIndex, native: bool, asked: list[Asked], among: set[int], top_k: int
) -> None:
    text = " ".join(map(str, asked))
    expected = {number for number, doc in enumerate(DOCS, 1) if matches(asked, doc)}
    every, n = rank(toys, text)
    assert {doc_id for doc_id, _ in every} == expected
    assert n == len(every) == len(expected)
    check_order(every, dict(every))
    assert rank(toys, text, top_k) == (every[:top_k], n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SET", 20_000 if native else -1)
        patch.setattr(module, "_PAGE", 3 if top_k % 2 else 1000)
        patch.setattr(module, "_BEYOND", 1 + top_k % 3)
        if not native and not among:
            return
        inside, n_inside = rank(toys, text, 1000, ids(*among))
        assert {doc_id for doc_id, _ in inside} == expected & among
        assert n_inside == len(inside)
        check_order(inside, dict(every))
        assert rank(toys, text, top_k, ids(*among)) == (inside[:top_k], n_inside)


@given(asked=st.lists(ONE, max_size=5))
def test_allowed_records_equal_the_oracle(toys: WordIndex, asked: list[Asked]) -> None:
    must = [one for one in asked if one.sign != "-" and not one.is_plain]
    must_not = [one for one in asked if one.sign == "-"]
    got = toys.find_allowed(parse_wording(" ".join(map(str, asked))))
    if not must and not must_not:
        assert got is None
        return
    assert got is not None
    assert got.tolist() == [
        number
        for number, doc in enumerate(DOCS, 1)
        if all(any(one.counts(doc)) for one in must) and not any(any(one.counts(doc)) for one in must_not)
    ]


def weigh(n: int) -> float:
    return math.log(1 + (len(DOCS) - n + 0.5) / (n + 0.5))


def count_occurrences(words: tuple[str, ...], doc: Doc) -> int:
    """Count a word or phrase in the title, twice, and in the abstract."""
    title, abstract = Asked(words).counts(doc)
    return 2 * title + abstract


def compute_part(words: tuple[str, ...], idf: float, doc: Doc) -> float:
    """Compute Okapi BM25 as Lucene does: k1 = 1.2, b = 0.75; the title counts twice, also in the length."""
    lengths = [2 * len(title.split()) + len(abstract.split()) for title, abstract in DOCS]
    mean = sum(lengths) / len(DOCS)
    often, length = count_occurrences(words, doc), 2 * len(doc[0].split()) + len(doc[1].split())
    return idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / mean))


def count_records(word: str) -> int:
    return sum(any(Asked((word,)).counts(doc)) for doc in DOCS)


def list_parts(one: Asked) -> dict[object, tuple[tuple[tuple[str, ...], float], ...]]:
    """Return what a term ranks by: words or phrases, each with its weight."""
    if not one.star:
        return {one.words: ((one.words, sum(weigh(count_records(word)) for word in one.words)),)}
    begun = {word for doc in DOCS for word in " ".join(doc).lower().split() if word.startswith(one.words[-1])}
    idf = weigh(max((count_records(word) for word in begun), default=0))
    parts: dict[object, tuple[tuple[tuple[str, ...], float], ...]] = {
        (one.words[-1], "*"): tuple(((word,), idf) for word in sorted(begun))
    }
    parts |= {(word,): (((word,), weigh(count_records(word))),) for word in one.words[:-1]}
    if one.is_plain and len(one.words) > 1:
        return {(*one.words, "*"): tuple(part for group in parts.values() for part in group)}
    return parts


@examples(2)
@given(asked=st.lists(ONE, max_size=5))
def test_scores_equal_the_formula(toys: WordIndex, asked: list[Asked]) -> None:
    wanted = [one for one in asked if one.sign != "-"]
    pairs, _ = rank(toys, " ".join(map(str, asked)))
    for doc_id, score in pairs:
        doc = DOCS[doc_id - 1]
        parts: dict[object, float] = {}
        for one in wanted:
            is_gated = one.is_plain and one.star and len(one.words) > 1
            if is_gated and not any(one.counts(doc)):
                continue
            found = {key: sum(compute_part(*part, doc) for part in group) for key, group in list_parts(one).items()}
            if one.parts:  # the whole, or its parts if that is more
                of_parts = sum(compute_part(p.words, weigh(count_records(p.words[0])), doc) for p in one.parts)
                found = {one.words: max(found[one.words], of_parts)}
            parts |= {key: max(part, parts.get(key, 0.0)) for key, part in found.items()}
        assert math.isclose(score, sum(parts.values()), rel_tol=6e-5)


def test_the_highest_score_of_the_rarest_words_by_the_formula(toys: WordIndex) -> None:
    weights = sorted((weigh(count_records(word)) for word in WORDS), reverse=True)
    wording = parse_wording(" ".join(WORDS))
    for n in (1, 2, len(WORDS)):
        assert math.isclose(toys.compute_highest(wording, n), 2.2 * sum(weights[:n]))
    assert toys.compute_highest(parse_wording("nowhere"), 4) == pytest.approx(2.2 * weigh(0))
    assert toys.compute_highest(parse_wording("gou*"), 4) > 0


# Arbitrary input, threads, deadlines and damage.

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=40)
SYNTAX = st.lists(
    st.sampled_from(
        ["gout", "covid-19", "IL-2", "p53 OR", "NEAR(", "NEAR(gout knee, 5)", "*", "(((", "AND", "NOT", '"', "“", "”"]
        + ["'", "\0", "\ud800", "\U0001f600", "title:", "title :", "{title abstract}:", "-", "+", "^gout", "gou*", " "]
        + ['"gout" *', "a:b", "--", ";", "DROP TABLE words", "\ue000", "ꟷ", "\U0001e900", "½*", "ǅ", "\u0301"]
        + ["abc\u0301*", "\u037a", "\u3164", "ﬃ*", "title:text:", "[a-z]*", "abc.*", "\\w*"]
    ),
    max_size=12,
)


@examples(3)
@given(text=ANYTHING | SYNTAX.map("".join) | SYNTAX.map(" ".join), among=st.sets(st.integers(1, 60)))
def test_no_text_raises(toys: WordIndex, text: str, among: set[int]) -> None:
    wording = parse_wording(text)
    pairs, n = toys.rank(wording, 1000)
    assert n == len(pairs)
    assert all(score > 0 for _, score in pairs)
    inside, _ = toys.rank(wording, 1000, ids(*among))
    assert {doc_id for doc_id, _ in inside} == {doc_id for doc_id, _ in pairs} & among
    may = toys.find_allowed(wording)
    assert may is None or {doc_id for doc_id, _ in pairs} <= set(may.tolist())
    occurring = find_occurrences(wording, dict(enumerate(DOCS, 1)))
    matching = {doc_id for doc_id, _ in pairs}
    assert matching <= {doc_id for doc_id, one in occurring.items() if one.title or one.abstract}
    if may is None:
        assert matching == {doc_id for doc_id, one in occurring.items() if one.words}


@pytest.mark.parametrize("operator", ["", "+", "-", "title:"])
def test_a_text_of_a_megabyte_does_not_raise(toys: WordIndex, operator: str) -> None:
    for piece in ("x", "x ", "gout ", '"', "- ", "a-", '"gout knee" ', "\U0001f600", "bon* ", "word%d* "):
        text = "".join(operator + (piece % n if "%" in piece else piece) for n in range(50_000))
        pairs, n = rank(toys, text, 5)
        assert len(pairs) <= n


def test_terms_without_a_word(toys: WordIndex) -> None:
    nothing = Term("\u037a")  # a letter that folds to a space
    assert toys.rank(Wording((nothing,), (), (), ""), 5) == ([], 0)
    assert toys.rank(Wording((Term("gout"),), (nothing,), (), ""), 5) == ([], 0)
    without = Wording((Term("gout"),), (), (nothing, replace(nothing, in_title=True)), "")
    assert toys.rank(without, 1000) == rank(toys, "gout")


def test_many_threads_get_the_answers_of_one(toys: WordIndex) -> None:
    texts = [f"{one} {other} -bon*" for one in ("gout", "hip", "+knee", "pain") for other in ("bone", '"hip pain"')]
    expected = [rank(toys, text) for text in texts]
    got: list[list[Hits]] = []
    threads = [threading.Thread(target=lambda: got.append([rank(toys, text) for text in texts])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 8


def test_a_search_ends_at_its_deadline(toys: WordIndex) -> None:
    with limit_time(Deadline(time.monotonic() - 1)):
        for search in (lambda: rank(toys, "gout"), lambda: toys.find_allowed(parse_wording("-gout"))):
            with pytest.raises(BusyError, match="the time for this answer is over"):
                search()


def test_an_open_index_outlives_its_files_and_leaves_none(tmp_path: Path) -> None:
    words = build_words(tmp_path / "words", HAND)
    names = {file.name for file in (tmp_path / "words").iterdir()}
    assert not names & set(module.LOCKS)
    for file in (tmp_path / "words").iterdir():
        file.unlink()
    assert found(words, "gout") == [1] and found(words, '"uric aci*"') == [1]
    assert words.has_text(1, *HAND[0]) and not words.has_text(1, *HAND[1])
    assert list((tmp_path / "words").iterdir()) == []


@pytest.mark.parametrize("suffix", ["meta.json", "idx", "term", "fast", "pos", "fieldnorm", "store"])
@pytest.mark.parametrize("damage", ["missing", "empty", "short", "text"])
def test_a_damaged_file_is_found_or_changes_nothing_that_can_be_seen_here(
    tmp_path: Path, suffix: str, damage: str
) -> None:
    """The receipts in the manifest find any changed byte; this is about what happens without them."""
    build_words(tmp_path / "words", HAND)
    (file,) = (file for file in (tmp_path / "words").iterdir() if file.name.endswith(suffix))
    content = file.read_bytes()
    file.chmod(0o644)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "short": content[: len(content) // 2], "text": b"x" * len(content)}[damage])
    with suppress(CorruptError):
        words = WordIndex(tmp_path / "words")
        with suppress(CorruptError):
            found(words, "gout")
        return
    with pytest.raises(CorruptError, match=r"words (can't be read as|is) an? (damaged )?index of words.*Run: engine"):
        WordIndex(tmp_path / "words")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="words can't be read as an index of words"):
        WordIndex(tmp_path / "words")
