"""Which publications are kept for testing: decided by a hash of each, so that no list has to be kept or agreed upon.

A copy of a publication under another id falls on the same side. Training takes records at DEV or above only, and none
that shares a key with one below: see engine.train.corpuspairs.
"""

from __future__ import annotations

import hashlib

from engine.corpus.merging.merge import normalise_title
from engine.encode.recipe import clean_text
from engine.records.abstract import Abstract

_SALT = "abstract-engine held out/1"  # another number holds out other publications
TEST = 0.10  # positions below are test
DEV = 0.15  # from TEST to below DEV: for choosing settings; the rest may be trained on
_BEGINNING = 120  # characters of a text that no two publications share
SHORT = 4  # words; shorter titles ("Editorial") are those of many works


def hash_position(record: Abstract) -> float:
    """Where a publication falls in [0, 1): a hash of its plain title, or of its text where the title says little."""
    digest = hashlib.sha256(f"{_SALT}\0{_name_publication(record)}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _name_publication(record: Abstract) -> str:
    """What tells a publication from others, whatever its id: the title in plain words, or else the text."""
    title = normalise_title(record.title)
    return title if len(title.split()) >= SHORT else f"{title}\0{normalise_title(clean_text(record.abstract))}"


def list_publication_keys(record: Abstract) -> frozenset[str]:
    """Everything by which a copy of this publication may be known: id, PMID, DOI, title, the beginning of its text."""
    keys = {f"id {record.record_id}", f"title {_name_publication(record)}"}
    text = normalise_title(clean_text(record.abstract))
    if len(text) >= _BEGINNING:
        keys.add(f"text {text[:_BEGINNING]}")
    if record.pmid:
        keys.add(f"pmid {record.pmid}")
    if record.doi:
        keys.add(f"doi {record.doi.lower()}")
    return frozenset(keys)
