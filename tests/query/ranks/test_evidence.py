"""The evidence of hits by hand: shares of words by weight, misspelt words, beginnings, and words of a title."""

import math
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.words.folding import split_words
from engine.corpus.words.wordindex import STEMS, WordIndex
from engine.corpus.words.wording import parse_wording
from engine.corpus.words.wordwriter import write_words
from engine.index.files.durable import share_file
from engine.query.ranks.evidence import WordWeights, _is_misspelt, count_edits, measure_evidence, weigh_words
from tests.corpus.words.toys import build_words

DOCS = [("Gout", "pain"), ("Hip", "pain"), ("Knee", "pain, no gout")]
HALF = WordWeights({"gout": 3.0, "knee": 1.0}, {}, frozenset())


def test_rare_words_weigh_more(tmp_path: Path) -> None:
    words = weigh_words(build_words(tmp_path / "words", DOCS), parse_wording("Does gout cause pains in wrsts?"))
    # log(1 + (n - m + 1/2) / (m + 1/2)): 2 of 3 records have gout, 3 have pain, none has what is misspelt
    expected = {"gout": 1.5 / 2.5, "pain": 0.5 / 3.5, "wrsts": 3.5 / 0.5, "caus": 3.5 / 0.5}
    assert words.weights == {stem: pytest.approx(math.log1p(odds)) for stem, odds in expected.items()}
    assert words.missing == ("cause", "wrsts") and not words.prefixes


def test_deleted_records_change_no_weight(tmp_path: Path) -> None:
    build_words(tmp_path / "old", [*DOCS, ("Febuxostat", "gout"), ("Febuxostat", "lupus")])
    write_words(tmp_path / "new", tmp_path / "old", np.array([4, 5]), [(6, "Gout", "ankle")], share_file)
    left, anew = WordIndex(tmp_path / "new"), build_words(tmp_path / "anew", [*DOCS, ("Gout", "ankle")])
    wording = parse_wording("febuxostat gout pain ankle wrsts")
    assert left.searcher.doc_freq(STEMS, "lupus") == 1  # not merged away yet
    assert weigh_words(left, wording) == weigh_words(anew, wording)
    assert weigh_words(left, wording).missing == ("febuxostat", "wrsts")
    write_words(tmp_path / "none", tmp_path / "new", np.array([1, 2, 3, 6]), [], share_file)
    assert weigh_words(WordIndex(tmp_path / "none"), wording).missing == (
        "febuxostat",
        "gout",
        "pain",
        "ankle",
        "wrsts",
    )


def test_a_beginning_weighs_as_much_as_a_word_of_no_record(tmp_path: Path) -> None:
    index = build_words(tmp_path / "words", DOCS)
    words = weigh_words(index, parse_wording("kne* hip"))
    assert words.prefixes == {"kne"} and words.weights["kne"] == index.weigh_stem("nowhere")
    assert words.stems == ["hip"] and words.missing == ()
    assert measure_evidence(words, [(0.5, "Knees", "")]).share == words.weights["kne"] / words.total


def test_the_share_of_each_hit() -> None:
    evidence = measure_evidence(HALF, [(0.5, "Knees", "and gout"), (0.75, "Hip", "gout"), (-0.5, "", "")])
    assert [(hit.cosine, hit.share, hit.title_share) for hit in evidence.hits] == [
        (0.5, 1.0, 0.25),
        (0.75, 0.75, 0.0),
        (-0.5, 0.0, 0.0),
    ]
    assert (evidence.cosine, evidence.share, evidence.n_words) == (0.75, 1.0, 2)
    assert [hit.sentence_share for hit in evidence.hits] == [0.75, 0.75, 0.0]  # the title is a sentence of its own


def test_the_share_of_one_sentence() -> None:
    texts = ("Knees hurt. So does gout.", "We saw gout in the knee. It hurts.")
    evidence = measure_evidence(HALF, [(0.5, "", text) for text in texts])
    assert [(hit.share, hit.sentence_share) for hit in evidence.hits] == [(1.0, 0.75), (1.0, 1.0)]


def test_of_a_very_long_text_the_beginning_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[int] = []

    def record(part: str) -> list[str]:
        split.append(len(part))
        return split_words(part)

    monkeypatch.setattr("engine.query.ranks.evidence.split_words", record)
    evidence = measure_evidence(HALF, [(0.5, "", "We saw gout. " + "No more of it. " * 100_000)])
    assert evidence.hits[0].sentence_share == 0.75
    assert sum(split) <= 100_000


def test_nothing_to_measure() -> None:
    nothing = measure_evidence(HALF, [])
    assert (nothing.hits, nothing.cosine, nothing.share) == ((), 0.0, 0.0)
    assert measure_evidence(WordWeights({}, {}, frozenset()), [(0.5, "Gout", "")]).share == 0.0


def test_a_misspelt_word_that_no_record_holds_is_found() -> None:
    words = WordWeights({"colchcin": 3.0, "gout": 1.0}, {"colchcin": "colchcine"}, frozenset())
    assert measure_evidence(words, [(0.5, "Colchicine", "")]).share == 0.75
    known = WordWeights({"colchcin": 3.0, "gout": 1.0}, {}, frozenset())  # a record has it as it is
    assert measure_evidence(known, [(0.5, "Colchicine", "")]).share == 0.0


@pytest.mark.parametrize(
    ("word", "other", "edits", "misspelt"),
    [
        ("tophi", "tohpi", 1, True),  # swapped
        ("tophi", "toph", 1, True),
        ("gout", "gouts", 1, False),  # too short to tell
        ("urate", "prate", 1, False),  # the first letter is seldom wrong
        ("allopurinol", "alopurinoll", 2, True),
        ("mortgage", "mortality", 5, False),
        ("", "ab", 2, False),
    ],
)
def test_misspelt(word: str, other: str, edits: int, misspelt: bool) -> None:
    assert count_edits(word, other) == count_edits(other, word) == edits
    assert _is_misspelt(word, other) is misspelt
