"""LaTeX into text with pylatexenc, and never a word less: what can't be converted whole stays as it came."""

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
_EXTRA = {  # macros that reference managers write and pylatexenc does not know: it would drop them without a word
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textunderscore": "_",
    "textquotedbl": '"',
    "par": " ",
    "newline": " ",
}
_MACRO = re.compile(r"\\([A-Za-z]+)(\s*\{\s*[^\s}])?")
_SCRIPT = re.compile(r"\$[_^](?:\{([\w+-]+)\}|(\w))\$")  # H$_2$O is H2O, as where PubMed's <sub> is read
_DEGREE = re.compile(r"\$\^(?:\{\\circ\}|\\circ)\$")
# Escaped characters and formulas stay; a formula begins and ends with ink and holds more than words. Of the rest, %
# would hide all that follows, & is a column, $ begins a formula, and ~ is a blank unless it stands before a word: ~5.
_TOKEN = re.compile(
    r"(?P<keep>\\[^-]|(?<!\\)\$(?![\s$])(?=[^$]*[\\^_])(?:[^$\\%&#]|\\.)+?(?<!\s)\$(?!\d))|(?P<hyphen>\\-)"
    r"|(?P<special>[%&#$])|(?P<tilde>(?<![\w.}\\])~|~(?![\w\\{]))",
    re.DOTALL,
)


def decode_latex(value: str) -> tuple[str, bool]:
    """(text, whether it was converted whole). Only a value with a backslash or a brace is LaTeX."""
    if not any(mark in value for mark in "\\{}"):
        return " ".join(value.split()), True
    try:
        text = _get_converter().latex_to_text(_escape_plain(value))
    except Exception:  # pylatexenc raises what comes: LatexWalkerError, IndexError, RecursionError …
        text = ""
    if _has_unknown(value) or not _is_whole(value, text):
        return " ".join(value.split()), False
    return " ".join(text.split()), True


@functools.cache
def _get_converter() -> LatexNodes2Text:
    """The converter, made when first needed."""
    database = get_default_latex_context_db()
    greek = {f"text{name}": database.get_macro_spec(name).simplify_repl for name in _GREEK.split()}
    known = {name: text for name, text in {**_EXTRA, **greek}.items() if database.get_macro_spec(name) is None}
    macros = [MacroTextSpec(name, simplify_repl=text) for name, text in known.items()]
    database.add_context_category("reference managers", macros=macros, prepend=True)
    return LatexNodes2Text(latex_context=database, math_mode="text")


def _escape_plain(value: str) -> str:
    """The value with everything escaped that pylatexenc would take for markup though people mean it as text."""

    def escaped(found: re.Match[str]) -> str:
        if found["keep"]:
            return found["keep"]
        if found["hyphen"]:
            return ""
        return f"\\{found['special']}" if found["special"] else r"\textasciitilde{}"

    value = _SCRIPT.sub(lambda found: found[1] or found[2], _DEGREE.sub("°", value))
    return _TOKEN.sub(escaped, value)


def _has_unknown(value: str) -> bool:
    r"""Whether a macro is unknown that has no text in braces after it: its name may be the text, as in C:\Users."""
    known = _get_converter().latex_context
    return any(not found[2] and known.get_macro_spec(found[1]) is None for found in _MACRO.finditer(value))


def _is_whole(value: str, text: str) -> bool:
    """Whether every letter, digit and sign of the value outside markup is in the text."""
    markup = re.sub(r"\\(?:begin|end)\s*\{\w+\*?\}|\\[A-Za-z]+", " ", value)
    return not _count_characters(markup) - _count_characters(text)


def _count_characters(text: str) -> Counter[str]:
    """How often each letter, digit and sign occurs, accents apart."""
    return Counter(char for char in unicodedata.normalize("NFKD", text) if char.isalnum() or char in "%&#<>=+/|@")
