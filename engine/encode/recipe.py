"""How title and abstract become the one text that the encoder sees. Stored text is never touched."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Part of every fingerprint: change how a text is made, change the number.
RECIPE = "title. abstract/1"  # title and abstract as one text, cut where the encoder stops reading
PASSAGES = "passages 256/1"  # the whole abstract in passages of at most 256 tokens, each led by the title
NAMED = {"whole": RECIPE, "passages": PASSAGES}  # as people ask for them
RECIPES = {RECIPE: None, PASSAGES: 256}  # -> tokens of a passage at most

SPACES = re.compile(r"\s+")
# Control characters other than white space, and lone surrogates: no tokenizer takes them.
UNSAYABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")


def prepared(title: str, abstract: str) -> str:
    r"""Join title and abstract with ". "; a missing one leaves the other alone; both missing gives "".

    >>> prepared("Knee pain", "We asked\\n12 runners.")
    'Knee pain. We asked 12 runners.'
    """
    return ". ".join(part for part in (cleaned(title), cleaned(abstract)) if part)


def cleaned(text: str) -> str:
    """NFC, any run of white space as one space, control characters dropped, no space at the ends."""
    normal = unicodedata.normalize("NFC", text)
    # The two patterns are slow, and nothing is left for them where all is printable: no control character, no
    # surrogate, and no white space but U+0020.
    if normal.isprintable():
        return " ".join(normal.split()) if "  " in normal else normal.strip()
    spaced = " ".join(normal.split())
    if spaced.isprintable():
        return spaced
    return SPACES.sub(" ", UNSAYABLE.sub("", normal)).strip()


def text_sha256(text: str) -> str:
    """Digest of a prepared text: decides what must be encoded again, never what is stored."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
