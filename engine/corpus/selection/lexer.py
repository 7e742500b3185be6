"""An expression cut into words, quoted texts, operators and punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from engine.errors import UsageError

EXAMPLE = 'For example: year >= 2015 and not journal = "Lancet"'
_KEYWORDS = frozenset(("and", "or", "not", "in", "none", "true", "false"))
_QUOTES = "\"'"
_CURLY = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb"  # what word processors make of straight ones
_PIECE = re.compile(
    r"""(?P<spaces>\s+)
    | (?P<operator>[=!<>~]+)
    | (?P<mark>[(),])
    | (?P<quoted>"(?:[^"\\]|\\.|"")*+" | '(?:[^'\\]|\\.|'')*+')
    | (?P<word>[^\s()=!<>~,"'][^\s()=!<>~,"]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = {quote: re.compile(rf"\\([\"'\\])|{quote}({quote})") for quote in _QUOTES}


class TokenKind(Enum):
    """What a token is."""

    WORD = "a word"
    KEYWORD = "a keyword"
    QUOTED = "a text in quotes"
    OPERATOR = "an operator"
    MARK = "a parenthesis or comma"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression."""

    kind: TokenKind
    text: str  # keywords in lower case, quoted texts without quotes
    position: int  # of its first character, from 1

    def __str__(self) -> str:
        return "the end of the expression" if self.kind is TokenKind.END else repr(self.text[:40])

    def explain_refusal(self, expected: str) -> str:
        """The message for a token that should be something else."""
        return f"where: at character {self.position}, found {self}, expected {expected}. {EXAMPLE}"


def read_tokens(expression: str) -> Iterator[Token]:
    """Yield the pieces of an expression and, last, its end.

    Raises:
        UsageError: a quotation mark is never closed, or a curly one.
    """
    at = 0
    while at < len(expression):
        found = _PIECE.match(expression, at)
        if found is None:
            quote = Token(TokenKind.WORD, expression[at:], at + 1)
            raise UsageError(quote.explain_refusal(f"a second {expression[at]} that closes the text"))
        if found.lastgroup == "word" and found[0][0] in _CURLY:
            raise UsageError(
                Token(TokenKind.WORD, found[0], at + 1).explain_refusal("straight quotation marks, \" or '")
            )
        if found.lastgroup != "spaces":
            yield _read_token(found.lastgroup or "", found[0], at + 1)
        at = found.end()
    yield Token(TokenKind.END, "", len(expression) + 1)


def _read_token(group: str, piece: str, position: int) -> Token:
    """The token of one piece."""
    if group == "word" and piece.lower() in _KEYWORDS:
        return Token(TokenKind.KEYWORD, piece.lower(), position)
    if group == "quoted":
        inner = _ESCAPED[piece[0]].sub(lambda match: match[1] or match[2], piece[1:-1])
        return Token(TokenKind.QUOTED, inner, position)
    return Token(
        {"word": TokenKind.WORD, "operator": TokenKind.OPERATOR, "mark": TokenKind.MARK}[group], piece, position
    )
