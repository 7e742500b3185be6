"""Conversion of LaTeX to text with pylatexenc. A value that can't be converted without loss stays unchanged."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter

from pylatexenc.latex2text import (  # type: ignore[import-untyped]
    LatexNodes2Text,
    MacroTextSpec,
    get_default_latex_context_db,
)

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega"
)
_EXTRA = {  # macros that reference managers write and pylatexenc doesn't know; it would drop them silently
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textunderscore": "_",
    "textquotedbl": '"',
    "par": " ",
    "newline": " ",
}
_MACRO = re.compile(r"\\([A-Za-z]+)(\s*\{\s*[^\s}])?")
_SCRIPT = re.compile(r"\$[_^](?:\{([\w+-]+)\}|(\w))\$")  # H$_2$O becomes H2O, like PubMed's <sub>
_DEGREE = re.compile(r"\$\^(?:\{\\circ\}|\\circ)\$")
# Escaped characters and formulas are kept. A formula contains \, ^ or _ and has no blank at either end.
# Elsewhere %, & and $ are plain characters, not the start of a comment, a column or a formula. ~ is a blank between
# words and a plain character before a number (~5).
_TOKEN = re.compile(
    r"(?P<keep>\\[^-]|(?<!\\)\$(?![\s$])(?=[^$]*[\\^_])(?:[^$\\%&#]|\\.)+?(?<!\s)\$(?!\d))|(?P<hyphen>\\-)"
    r"|(?P<special>[%&#$])|(?P<tilde>(?<![\w.}\\])~|~(?![\w\\{]))",
    re.DOTALL,
)


def decode_latex(value: str) -> tuple[str, bool]:
    """Convert a value from LaTeX, if it has a backslash or a brace.

    Returns:
        The text, or the unchanged value where the conversion would lose something, with runs of blanks as one space;
        and whether the conversion was complete.
    """
    if not any(mark in value for mark in "\\{}"):
        return " ".join(value.split()), True
    try:
        text = _get_converter().latex_to_text(_escape_plain(value))
    except Exception:  # pylatexenc raises LatexWalkerError, but also IndexError, RecursionError …
        text = ""
    if _has_unknown(value) or not _is_whole(value, text):
        return " ".join(value.split()), False
    return " ".join(text.split()), True


@functools.cache
def _get_converter() -> LatexNodes2Text:
    """Build the converter once."""
    database = get_default_latex_context_db()
    greek = {f"text{name}": database.get_macro_spec(name).simplify_repl for name in _GREEK.split()}
    known = {name: text for name, text in {**_EXTRA, **greek}.items() if database.get_macro_spec(name) is None}
    macros = [MacroTextSpec(name, simplify_repl=text) for name, text in known.items()]
    database.add_context_category("reference managers", macros=macros, prepend=True)
    return LatexNodes2Text(latex_context=database, math_mode="text")


def _escape_plain(value: str) -> str:
    """Escape the characters that pylatexenc would read as markup although they are meant as text."""

    def escape(match: re.Match[str]) -> str:
        if match["keep"]:
            return match["keep"]
        if match["hyphen"]:
            return ""
        return f"\\{match['special']}" if match["special"] else r"\textasciitilde{}"

    value = _SCRIPT.sub(lambda match: match[1] or match[2], _DEGREE.sub("°", value))
    return _TOKEN.sub(escape, value)


def _has_unknown(value: str) -> bool:
    r"""Return whether a macro without an argument in braces is unknown: its name may be text, as in C:\Users."""
    known = _get_converter().latex_context
    return any(not match[2] and known.get_macro_spec(match[1]) is None for match in _MACRO.finditer(value))


def _is_whole(value: str, text: str) -> bool:
    """Return whether the text has every letter, digit and sign that the value has outside markup."""
    markup = re.sub(r"\\(?:begin|end)\s*\{\w+\*?\}|\\[A-Za-z]+", " ", value)
    return not _count_characters(markup) - _count_characters(text)


def _count_characters(text: str) -> Counter[str]:
    """Count each letter, digit and sign; accents are separate from their letters and not counted."""
    return Counter(char for char in unicodedata.normalize("NFKD", text) if char.isalnum() or char in "%&#<>=+/|@")
