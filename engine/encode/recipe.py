"""How title and abstract become the one text that the encoder sees. Stored text is never touched."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Part of every fingerprint: change how a text is made, change the number.
RECIPE = "title. abstract/1"  # title and abstract as one text, cut where the encoder stops reading
PASSAGES = "passages 256/1"  # the whole abstract in passages of at most 256 tokens, each led by the title
RECIPE_NAMES = {"whole": RECIPE, "passages": PASSAGES}  # as people ask for them
RECIPES = {RECIPE: None, PASSAGES: 256}  # -> tokens of a passage at most

_SPACES = re.compile(r"\s+")
# Control characters other than white space, and lone surrogates: no tokenizer takes them.
_UNSAYABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")


def prepare_text(title: str, abstract: str) -> str:
    r"""Join title and abstract with ". "; a missing one leaves the other alone; both missing gives "".

    >>> prepare_text("Knee pain", "We asked\\n12 runners.")
    'Knee pain. We asked 12 runners.'
    """
    return ". ".join(part for part in (clean_text(title), clean_text(abstract)) if part)


def clean_text(text: str) -> str:
    """Return the text in NFC, white space as single spaces, without control characters or space at the ends."""
    normal = unicodedata.normalize("NFC", text)
    # The two patterns are slow, and nothing is left for them where all is printable: no control character, no
    # surrogate, and no white space but U+0020.
    if normal.isprintable():
        return " ".join(normal.split()) if "  " in normal else normal.strip()
    spaced = " ".join(normal.split())
    if spaced.isprintable():
        return spaced
    return _SPACES.sub(" ", _UNSAYABLE.sub("", normal)).strip()


def hash_text(text: str) -> str:
    """Return the SHA-256 of a prepared text, which decides what must be encoded again."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
