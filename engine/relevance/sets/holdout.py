"""Split of the publications into test, development and training, by a hash of each, so no list has to be kept.

A copy of a publication under another id falls into the same part. Training uses only records at DEV or above, and none
that shares a key with a record below: see engine.train.pairs.corpuspairs.
"""

from __future__ import annotations

import hashlib

from engine.corpus.merging.merge import normalise_title
from engine.encode.models.recipe import clean_text
from engine.records.abstract import Abstract

_SALT = "abstract-engine held out/1"  # another number selects other publications
TEST = 0.10  # positions below are test
DEV = 0.15  # positions from TEST to below DEV are for choosing settings; the rest is for training
_BEGINNING = 120  # characters at the beginning of a text, enough to identify a publication
SHORT = 4  # words; many works share a shorter title ("Editorial")


def hash_position(record: Abstract) -> float:
    """Return the position of a publication in [0, 1): a hash of its title, with the text if that is short."""
    digest = hashlib.sha256(f"{_SALT}\0{_name_publication(record)}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _name_publication(record: Abstract) -> str:
    """Return what identifies a publication whatever its id: the normalised title, with the text if it is short."""
    title = normalise_title(record.title)
    return title if len(title.split()) >= SHORT else f"{title}\0{normalise_title(clean_text(record.abstract))}"


def list_publication_keys(record: Abstract) -> frozenset[str]:
    """Return all keys that identify a copy of a publication: id, PMID, DOI, title and the beginning of the text."""
    keys = {f"id {record.record_id}", f"title {_name_publication(record)}"}
    text = normalise_title(clean_text(record.abstract))
    if len(text) >= _BEGINNING:
        keys.add(f"text {text[:_BEGINNING]}")
    if record.pmid:
        keys.add(f"pmid {record.pmid}")
    if record.doi:
        keys.add(f"doi {record.doi.lower()}")
    return frozenset(keys)
