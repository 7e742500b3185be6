"""Lexer for filter expressions: words, quoted texts, operators and punctuation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from engine.characters import DOUBLE_MARKS, SINGLE_MARKS
from engine.errors import UsageError

EXAMPLE = 'For example: year >= 2015 and not journal = "Lancet"'
_KEYWORDS = frozenset(("and", "or", "not", "in", "none", "true", "false"))
_QUOTES = "\"'"
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
    """The kind of a token."""

    WORD = "a word"
    KEYWORD = "a keyword"
    QUOTED = "a text in quotes"
    OPERATOR = "an operator"
    MARK = "a parenthesis or comma"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an expression."""

    kind: TokenKind
    text: str  # keywords in lower case, quoted texts without quotes
    position: int  # of its first character, from 1

    def __str__(self) -> str:
        return "the end of the expression" if self.kind is TokenKind.END else repr(self.text[:40])

    def explain_refusal(self, expected: str) -> str:
        """Return the error message for an unexpected token."""
        return f"where: at character {self.position}, found {self}, expected {expected}. {EXAMPLE}"


def read_tokens(expression: str) -> Iterator[Token]:
    """Yield the tokens of an expression, the last of kind END.

    Raises:
        UsageError: a quotation mark is not closed, or is curly.
    """
    start = 0
    while start < len(expression):
        match = _PIECE.match(expression, start)
        if match is None:
            quote = Token(TokenKind.WORD, expression[start:], start + 1)
            raise UsageError(quote.explain_refusal(f"a closing {expression[start]}"))
        if match.lastgroup == "word" and match[0][0] in DOUBLE_MARKS + SINGLE_MARKS:
            raise UsageError(
                Token(TokenKind.WORD, match[0], start + 1).explain_refusal("straight quotation marks, \" or '")
            )
        if match.lastgroup != "spaces":
            yield _read_token(match.lastgroup or "", match[0], start + 1)
        start = match.end()
    yield Token(TokenKind.END, "", len(expression) + 1)


def _read_token(group: str, piece: str, position: int) -> Token:
    """Return the token of one match of the pattern."""
    if group == "word" and piece.lower() in _KEYWORDS:
        return Token(TokenKind.KEYWORD, piece.lower(), position)
    if group == "quoted":
        inner = _ESCAPED[piece[0]].sub(lambda match: match[1] or match[2], piece[1:-1])
        return Token(TokenKind.QUOTED, inner, position)
    return Token(
        {"word": TokenKind.WORD, "operator": TokenKind.OPERATOR, "mark": TokenKind.MARK}[group], piece, position
    )
