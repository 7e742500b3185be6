"""Spellings of the most common languages of PubMed."""

from __future__ import annotations

# ISO 639-2/B (used by PubMed), ISO 639-1, English name, then ISO 639-2/T and older codes.
_SPELLINGS: tuple[tuple[str, ...], ...] = (
    ("eng", "en", "English"),
    ("ger", "de", "German", "deu"),
    ("fre", "fr", "French", "fra"),
    ("rus", "ru", "Russian"),
    ("jpn", "ja", "Japanese"),
    ("spa", "es", "Spanish"),
    ("chi", "zh", "Chinese", "zho"),
    ("ita", "it", "Italian"),
    ("pol", "pl", "Polish"),
    ("por", "pt", "Portuguese"),
    ("cze", "cs", "Czech", "ces"),
    ("hun", "hu", "Hungarian"),
    ("dut", "nl", "Dutch", "nld"),
    ("dan", "da", "Danish"),
    ("swe", "sv", "Swedish"),
    ("nor", "no", "Norwegian", "nob", "nb"),
    ("rum", "ro", "Romanian", "ron"),
    ("bul", "bg", "Bulgarian"),
    ("kor", "ko", "Korean"),
    ("ukr", "uk", "Ukrainian"),
    ("heb", "he", "Hebrew"),
    ("srp", "sr", "Serbian", "scc"),
    ("hrv", "hr", "Croatian", "scr"),
    ("fin", "fi", "Finnish"),
    ("tur", "tr", "Turkish"),
)
_ALIKE = {spelling.lower(): spellings for spellings in _SPELLINGS for spelling in spellings}


def list_spellings(language: str) -> tuple[str, ...]:
    """Return all spellings of a language, itself included; only itself if it is unknown.

    >>> list_spellings("DE")
    ('ger', 'de', 'German', 'deu')
    """
    return _ALIKE.get(language.lower(), (language,))
