"""Held-out publications: the same ones for ever, whatever the id of a copy."""

from dataclasses import replace

from engine.records.abstract import Abstract
from engine.relevance.sets.holdout import DEV, TEST, hash_position, list_publication_keys

RECORD = Abstract("PMID:1", "Pain in gout: a study", "We counted the toes of 12 adults. " * 5, pmid="1", doi="10.1/A")


def test_a_position_stays_what_it_is() -> None:
    assert round(hash_position(RECORD), 6) == 0.005202  # another number would move publications from test to training


def test_copies_fall_on_the_same_side() -> None:
    copy = replace(RECORD, record_id="X", title="PAIN in gout - a study.", abstract="Cut.", pmid=None, doi=None)
    assert hash_position(copy) == hash_position(RECORD)
    assert hash_position(replace(RECORD, title="Pain in gout: another")) != hash_position(RECORD)


def test_titles_that_many_works_have_do_not_decide() -> None:
    editorial = replace(RECORD, title="Editorial")
    assert hash_position(editorial) != hash_position(replace(editorial, abstract="Other words."))
    assert hash_position(replace(editorial, abstract="Other words.")) == hash_position(
        Abstract("2", "Editorial", "other  words")
    )


def test_positions_are_even() -> None:
    found = [hash_position(Abstract("", f"A study of number {n}", "")) for n in range(4000)]
    assert abs(sum(one < TEST for one in found) / 4000 - TEST) < 0.015
    assert abs(sum(TEST <= one < DEV for one in found) / 4000 - (DEV - TEST)) < 0.015


def test_keys_of_copies_meet() -> None:
    keys = list_publication_keys(RECORD)
    assert keys & list_publication_keys(Abstract("X", "Other title altogether", "", doi="10.1/a"))
    assert keys & list_publication_keys(Abstract("X", "", RECORD.abstract.upper()))
    assert keys & list_publication_keys(Abstract("X", "pain in gout a study", ""))
    assert not keys & list_publication_keys(
        Abstract("X", "Other title altogether", "We counted the fingers of 12 adults. " * 5)
    )
