"""The terms that tell groups of texts apart."""

import math
from collections import Counter

import pytest

from engine.corpus.words import keyterms
from engine.corpus.words.keyterms import _choose_terms, _list_terms, _name_here, name_groups

TOY = ["Gout of the toe", "More gout and toes", "Gout again", "Asthma in childhood", "Childhood asthma", "Asthma"]
GROUPS = [0, 0, 0, 1, 1, 1]


def test_each_group_is_named_by_its_own_words_in_the_order_of_their_weights() -> None:
    # In group 0, gout has weight 1 log 2 and toe 2/3 log 2; in group 1, asthma 1 log 2 and child 2/3 log 2.
    assert name_groups(TOY, GROUPS, 2, 4) == [("gout", "toes"), ("asthma", "childhood")]
    assert name_groups(TOY, GROUPS, 2, 1) == [("gout",), ("asthma",)]


def test_a_word_that_every_group_has_names_none() -> None:
    texts = [f"Patients with {word}" for word in ("gout", "gout", "asthma", "asthma")]
    assert name_groups(texts, [0, 0, 1, 1], 2, 3) == [("gout",), ("asthma",)]


def test_weights_are_those_of_the_formula() -> None:
    own, whole = Counter({("a",): 2, ("b",): 3, ("c",): 4}), Counter({("a",): 2, ("b",): 6, ("c",): 16})
    # of 4 and 16 texts: a 2/4 log 4 = 0.69, b 3/4 log 2 = 0.52, c 4/4 log 1 = 0
    assert 0.5 * math.log(4) > 0.75 * math.log(2)
    assert _choose_terms(own, 4, whole, 16, 3) == [("a",), ("b",)]


def test_a_phrase_stands_for_its_words() -> None:
    texts = ["Rheumatoid arthritis", "In early rheumatoid arthritis", "Stem cells", "In mesenchymal stem cells"] * 2
    assert name_groups(texts, [0, 0, 1, 1] * 2, 2, 3) == [
        ("rheumatoid arthritis", "early"),
        ("stem cells", "mesenchymal"),
    ]


def test_terms_have_no_stop_word_at_their_ends_and_no_number() -> None:
    assert list(_list_terms(["lack", "", "copper", "zinc"], {"lack", "copper", "zinc"})) == [
        ("lack",), ("copper",), ("copper", "zinc"), ("zinc",)
    ]  # fmt: skip
    assert name_groups(["The 2019 of gout"] * 2 + ["Other"] * 2, [0, 0, 1, 1], 2, 4)[0] == ("gout",)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["Crohn disease", "Crohn disease in Crohn"], "Crohn"),
        (["CT-P13 works", "Switch to CT-P13"], "CT-P13"),
        (["Gout", "Gout", "Treating gout"], "gout"),
        (["Biosimilars", "A biosimilar", "Two biosimilars"], "biosimilars"),
        (["Sjögren’s", "Sjögren’s again"], "Sjögren’s"),
    ],
)
def test_terms_are_written_as_the_texts_write_them(texts: list[str], name: str) -> None:
    found = name_groups([*texts, "Other things", "Other"], [0] * len(texts) + [1, 1], 2, 1)[0]
    assert name in found[0] and found[0][0] == name[0]


def test_two_spellings_of_one_word_are_not_both_named() -> None:
    texts = ["Post-traumatic stress", "Posttraumatic stress", "Post-traumatic", "Posttraumatic", "Gout", "Gout"]
    found = name_groups(texts, [0, 0, 0, 0, 1, 1], 2, 4)[0]
    assert len(found) == 2 and "stress" in found[1]


def test_a_group_without_words_has_no_name() -> None:
    assert name_groups(["", "the", "Gout", "a gout"], [0, 0, 1, 1], 3, 2) == [(), ("gout",), ()]
    assert name_groups([], [], 0, 2) == []


def test_a_process_of_its_own_gives_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_groups(TOY, GROUPS, 2, 4) == _name_here(TOY, GROUPS, 2, 4)
    monkeypatch.setattr(keyterms, "_FEW", 0)
    texts = [*TOY, "Sjögren \ud800 \u2028"]
    apart = name_groups(texts, [*GROUPS, 1], 2, 4)
    monkeypatch.setattr(keyterms, "_name_here", None)  # nothing is named in this process
    assert name_groups(texts, [*GROUPS, 1], 2, 4) == apart == _name_here(texts, [*GROUPS, 1], 2, 4)
    monkeypatch.undo()
    monkeypatch.setattr(keyterms, "_FEW", 0)
    monkeypatch.setattr(keyterms, "_START", "raise SystemExit(1)")
    assert name_groups(TOY, GROUPS, 2, 4) == _name_here(TOY, GROUPS, 2, 4)
