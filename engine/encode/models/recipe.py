"""Text recipes: how the encoder's text is made from title and abstract. Stored texts are never changed."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from engine.options import RECIPE_NAMES

RECIPE = RECIPE_NAMES["whole"]  # title and abstract as one text, truncated at the encoder's limit
PASSAGES = RECIPE_NAMES["passages"]  # the abstract in passages of at most 256 tokens, each beginning with the title
RECIPES = {RECIPE: None, PASSAGES: 256}  # -> most tokens of a passage; None: no passages

OWN_TEMPLATE = "{title}. {abstract}"  # of both recipes; unlike others, it leaves out the stop beside a missing part

_SPACES = re.compile(r"\s+")
# Control characters other than white space, and lone surrogates: no tokenizer accepts them.
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")


def prepare_text(title: str, abstract: str) -> str:
    r"""Join title and abstract with ". "; if one is missing, return the other; if both are, return "".

    >>> prepare_text("Knee pain", "We asked\\n12 runners.")
    'Knee pain. We asked 12 runners.'
    """
    return ". ".join(part for part in (clean_text(title), clean_text(abstract)) if part)


def fill_template(template: str, title: str, abstract: str) -> str:
    r"""Put title and abstract into a template; a missing one is blank. "" if both are missing.

    >>> fill_template("{title}[SEP]{abstract}", "Knee pain", "We asked\\n12 runners.")
    'Knee pain[SEP]We asked 12 runners.'
    """
    title, abstract = clean_text(title), clean_text(abstract)
    return template.format(title=title, abstract=abstract).strip() if title or abstract else ""


def clean_text(text: str) -> str:
    """Return the text in NFC, white space as single spaces, without control characters or space at the ends."""
    normal = unicodedata.normalize("NFC", text)
    # The two patterns are slow, and a printable text does not need them: it has no control character, no surrogate and
    # no white space except U+0020.
    if normal.isprintable():
        return " ".join(normal.split()) if "  " in normal else normal.strip()
    spaced = " ".join(normal.split())
    if spaced.isprintable():
        return spaced
    return _SPACES.sub(" ", _UNREADABLE.sub("", normal)).strip()


def hash_text(text: str) -> str:
    """Return the SHA-256 of a prepared text, which decides whether a record is encoded again."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
