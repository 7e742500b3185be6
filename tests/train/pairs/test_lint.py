"""The look at pairs before a training: the seed's own data are refused, good pairs pass, and numbers are as by hand."""

import math
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from engine.errors import EncoderError
from engine.train.pairs.findings import PairFinding, PairReport, Severity, format_report, format_share
from engine.train.pairs.leakage import _compute_auc, _compute_chance_error, _encode_keys, _predict_held_out
from engine.train.pairs.lint import _compute_entropy, _compute_floor, lint_pairs
from engine.train.pairs.pairtable import PairTable
from tests.conftest import TOY_MODEL

WORDS = "gout knee lupus drug trial pain score joint cell serum dose risk age sleep bone skin lung heart".split()


def table(*rows: tuple[str | float, ...], labelled: bool = True) -> PairTable:
    """Rows of texts, the label last."""
    columns = list(zip(*rows, strict=True))
    labels = np.array(columns.pop(), np.float32) if labelled else None
    return PairTable("toy.csv", ("sentence_0", "sentence_1")[: len(columns)], tuple(columns), labels, "")


def sentence(chance: random.Random, n_words: int = 12) -> str:
    return " ".join(chance.choices(WORDS, k=n_words)) + f" {chance.random():.6f}"


def good(n: int, seed: int = 1) -> list[tuple[str, str, float]]:
    """Every title once with its own abstract and once with another, drawn alike."""
    chance = random.Random(seed)
    pairs = [(sentence(chance, 6), sentence(chance, 40)) for _ in range(n)]
    return [
        row
        for i, (title, abstract) in enumerate(pairs)
        for row in (
            (title, abstract, round(chance.uniform(0.7, 1), 3)),
            (title, pairs[(i + n // 2) % n][1], round(chance.uniform(0, 0.4), 3)),
        )
    ]


def found(report: PairReport) -> dict[str, PairFinding]:
    return {finding.code: finding for finding in report.findings}


def test_the_seed_s_data_are_refused_where_the_placeholder_says_nothing() -> None:
    chance = random.Random(0)
    rows = [(chance.choices(["..", ".", ""], [6, 3, 1])[0], sentence(chance), float(i % 2)) for i in range(2000)]
    report = lint_pairs(table(*rows), None, 256, epochs=3)
    assert report.is_refused and report.floor == 0.25
    one = found(report)["near-constant-column"]
    assert one.severity is Severity.REFUSE and "sentence_0 is nearly constant: 3 distinct texts" in one.message
    assert "'..' alone is in 6" in one.message and "all cosines rise" in one.message
    assert found(report)["empty-texts"].severity is Severity.REFUSE
    assert "label-leak" not in found(report)
    assert "8 steps an epoch, 24 steps in all" in found(report)["steps"].message
    assert "0.2500" in found(report)["loss-floor"].message
    assert report.columns[0].label_auc == pytest.approx(0.5, abs=0.05)
    assert report.columns[0].floor == pytest.approx(0.25, abs=0.005)


def test_the_seed_s_data_are_refused_where_the_placeholder_gives_the_label_away() -> None:
    chance = random.Random(0)
    rows = [("." if i % 2 else "..", sentence(chance), float(i % 2)) for i in range(2000)]
    report = lint_pairs(table(*rows), None, 256)
    assert report.is_refused
    one = found(report)["label-leak"]
    assert one.severity is Severity.REFUSE
    assert one.message.startswith("sentence_0 alone predicts the label (by the text; AUC 1.00")
    assert (report.columns[0].label_auc, report.columns[1].label_auc) == (1.0, pytest.approx(0.5, abs=0.06))
    assert report.columns[0].floor == pytest.approx(0.0, abs=1e-4)
    assert found(report)["near-constant-column"].severity is Severity.REFUSE


@pytest.mark.parametrize("seed", range(10))
def test_good_pairs_pass(seed: int) -> None:
    report = lint_pairs(table(*good(300, seed)), TOY_MODEL, 64)
    assert not report.is_refused
    assert {code for code, one in found(report).items() if one.severity is not Severity.NOTE} == set()
    assert format_report(report)[-1] == "can be trained on"


@pytest.mark.parametrize(
    ("what", "positive", "negative"),
    [
        ("its first word", "Yes, {}", "No: {}"),
        ("its last word", "{} indeed", "{} never"),
        ("its length", "{} and {}", "{}"),
    ],
)
def test_a_label_that_the_form_of_a_text_gives_away_is_refused(what: str, positive: str, negative: str) -> None:
    chance = random.Random(3)
    rows = [
        (sentence(chance), (positive if i % 2 else negative).format(sentence(chance), "so much more of it"), i % 2)
        for i in range(400)
    ]
    report = lint_pairs(table(*rows), None, 32)
    one = found(report)["label-leak"]
    assert report.is_refused and f"sentence_1 alone predicts the label (by {what}" in one.message


def test_a_weaker_hint_is_a_warning_and_chance_is_none() -> None:
    chance = random.Random(5)
    rows = [
        (sentence(chance), ("Yes " if chance.random() < (0.7 if i % 2 else 0.3) else "No ") + sentence(chance), i % 2)
        for i in range(1000)
    ]
    assert found(lint_pairs(table(*rows), None, 32))["label-leak"].severity is Severity.WARN
    few = [(sentence(chance), ("Yes " if i in (1, 3, 5) else "No ") + sentence(chance), i % 2) for i in range(10)]
    assert "label-leak" not in found(lint_pairs(table(*few), None, 4))


def test_graded_labels_that_one_column_tells_are_refused() -> None:
    chance = random.Random(6)
    rows = [("short" if i % 4 else "long", sentence(chance), (0.9 if i % 4 else 0.2)) for i in range(200)]
    report = lint_pairs(table(*rows), None, 32)
    assert "label-leak" in found(report) and report.columns[0].floor == pytest.approx(0.0, abs=1e-4)


def test_rows_that_repeat_contradict_or_say_the_same_twice_are_counted() -> None:
    rows = [*good(100), ("gout", "knee", 1.0), ("gout", "knee", 1.0), ("gout", "knee", 0.0), ("same", "same", 1.0)]
    report = lint_pairs(table(*rows), None, 32)
    assert not report.is_refused
    assert found(report)["duplicate-rows"].message.startswith("1 row (0.5 %) repeated word for word")
    assert found(report)["contradictions"].message.startswith("3 rows (1 %) with the texts of another row")
    assert found(report)["same-text-twice"].message.startswith("1 row (0.5 %) with the same text on both sides")
    assert format_report(report)[-1] == "can be trained on, with 3 warnings"
    both = [(one, other, label) for one, other, _ in good(50) for label in (0.0, 1.0)]
    assert found(lint_pairs(table(*both), None, 32))["contradictions"].severity is Severity.REFUSE


def test_pairs_on_both_sides_of_a_split_are_refused() -> None:
    rows = good(100)
    told = found(lint_pairs(table(*rows), None, 32, table(*rows[:2], *good(20, 9))))
    assert told["held-out-pairs"].severity is Severity.REFUSE
    assert told["held-out-pairs"].message.startswith("2 held-out rows (5 %) also in the training rows")
    assert "held-out-texts" not in told


def test_texts_on_both_sides_of_a_split_are_told_whatever_their_case() -> None:
    rows = good(100)
    title, other = rows[0][0], "Something else altogether."
    clean = table(("a new title", other, 1.0), ("..", "new", 0.0))
    assert not {"held-out-texts", "held-out-pairs"} & found(lint_pairs(table(*rows), None, 32, clean)).keys()
    leaking = table((other, f"  {title.upper()} ", 1.0), ("..", "new", 0.0))
    told = found(lint_pairs(table(*rows, ("..", "old", 1.0)), None, 32, leaking))
    assert told["held-out-texts"].message.startswith("1 held-out row (50 %) with a text that is trained on")
    assert told["held-out-texts"].severity is Severity.WARN


def test_texts_without_a_word_are_counted_and_refused_above_a_tenth() -> None:
    rows = good(100)
    few = [("-", *rows[0][1:]), ("", *rows[1][1:]), ("\u00b5", *rows[2][1:]), *rows[3:]]
    one = found(lint_pairs(table(*few), None, 32))["empty-texts"]
    assert one.severity is Severity.WARN and one.message.startswith(
        "sentence_0: 2 texts (1 %) without a letter or digit"
    )
    many = [(" _ " + "." * i, *row[1:]) if i % 5 == 0 else row for i, row in enumerate(rows)]
    assert found(lint_pairs(table(*many), None, 32))["empty-texts"].severity is Severity.REFUSE


def test_a_text_in_many_rows_is_a_warning_and_in_most_a_refusal() -> None:
    rows = good(100)
    often = [("gout" if i % 5 == 0 else one, other, label) for i, (one, other, label) in enumerate(rows)]
    assert found(lint_pairs(table(*often), None, 32))["frequent-text"].severity is Severity.WARN
    most = [("gout" if i % 5 else one, other, label) for i, (one, other, label) in enumerate(rows)]
    assert found(lint_pairs(table(*most), None, 32))["near-constant-column"].severity is Severity.REFUSE


def test_long_texts_are_counted_in_tokens_of_the_encoder() -> None:
    long = " ".join(["gout"] * 300)
    rows = [*good(100), (long, "knee and gout", 1.0)]
    told = found(lint_pairs(table(*rows), TOY_MODEL, 32))["long-texts"]
    assert told.severity is Severity.NOTE
    assert told.message.startswith("sentence_0: 1.0 % of 101 different texts have more than 256 tokens (the longest ")
    assert "no tokenizer was given" in found(lint_pairs(table(*rows), None, 32))["long-texts"].message


def test_a_folder_without_a_tokenizer_is_a_note_and_a_broken_one_an_error(tmp_path: Path) -> None:
    rows = table(*good(20))
    assert "tokenizer.json does not exist" in found(lint_pairs(rows, tmp_path, 32))["long-texts"].message
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EncoderError, match="is not a tokenizer"):
        lint_pairs(rows, tmp_path, 32)


def test_fewer_rows_than_a_batch_and_no_labels() -> None:
    rows = [row[:2] for row in good(10)]
    report = lint_pairs(table(*rows, labelled=False), None, 32)
    assert found(report)["few-rows"].message.startswith("20 rows, fewer than one batch of 32")
    assert (report.steps_per_epoch, report.floor, report.columns[0].label_auc) == (1, None, None)
    assert "loss-floor" not in found(report)
    assert lint_pairs(table(("gout", "knee"), labelled=False), None, 1).is_refused is False


def test_findings_come_with_the_gravest_first() -> None:
    rows = [("..", sentence(random.Random(i)), i % 2) for i in range(100)]
    report = lint_pairs(table(*rows, rows[0]), None, 256)
    order = ["refuse", "warn", "note"]
    assert [one.severity for one in report.findings] == sorted(
        (one.severity for one in report.findings), key=order.index
    )
    lines = format_report(report)
    assert lines[0] == "toy.csv: 101 rows" and lines[-1] == "not to be trained on: see the findings marked refuse"
    assert any(line.startswith("refuse: sentence_0 is nearly constant: 1 distinct text in 101 rows") for line in lines)


def test_floor_by_hand() -> None:
    assert _compute_floor(np.array([0, 1, 0, 1], np.float32)) == 0.25
    assert _compute_floor(np.array([0, 0, 0, 1], np.float32)) == pytest.approx(3 / 16)
    assert _compute_floor(np.array([0.5, 0.5], np.float32)) == 0.0


def test_entropy_by_hand() -> None:
    assert _compute_entropy([7]) == 0.0
    assert _compute_entropy([1, 1]) == 1.0
    assert _compute_entropy([2, 1, 1]) == 1.5
    assert _compute_entropy([1] * 8) == pytest.approx(3.0)


def test_shares_in_words() -> None:
    assert [format_share(part) for part in (0.0, 0.0005, 0.0042, 0.42, 0.996, 1.0)] == [
        "0 %",
        "under 0.1 %",
        "0.4 %",
        "42 %",
        "99.6 %",
        "100 %",
    ]


def test_auc_by_hand() -> None:
    assert _compute_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert _compute_auc(np.array([1.0, 1.0, 1.0]), np.array([True, False, True])) == 0.5
    assert _compute_auc(np.array([1.0, 2.0]), np.array([True, True])) == 0.5
    assert _compute_chance_error(np.array([True, False])) == pytest.approx(math.sqrt(3 / 12))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auc_is_that_of_every_pair_and_of_another_library(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([float(s) for s, _ in rows]), np.array([p for _, p in rows])
    wins = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    expected = sum(wins) / len(wins) if wins else 0.5
    assert _compute_auc(scores, positive) == pytest.approx(expected)
    if wins:
        assert _compute_auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), min_size=1, max_size=30))
def test_a_row_is_predicted_without_its_own_fold(rows: list[tuple[str, int]]) -> None:
    keys, labels = [key for key, _ in rows], np.array([label / 4 for _, label in rows])
    predicted = _predict_held_out(_encode_keys(keys), labels)
    folds = np.random.default_rng(0).permutation(len(rows)) % 5
    groups: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    for i, key in enumerate(keys):
        others = [labels[j] for j in groups[key] if folds[j] != folds[i]]
        assert predicted[i] == pytest.approx((sum(others) + labels.mean()) / (len(others) + 1))
