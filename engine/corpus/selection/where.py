"""The language of filters: 'year >= 2015 and (mesh = "Gout" or title ~ urate) and not retracted'.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | "(" expression ")" | comparison
    comparison  = field operator value | field [ "not" ] "in" "(" value { "," value } ")" | flag
    operator    = "=" | "!=" | "~" | "<" | "<=" | ">" | ">="
    value       = word | quoted text | "none" | "true" | "false"

A word has no space, comma, parenthesis or operator in it; all else stands in "double" or 'single' quotes. A quotation
mark inside is doubled or led by a backslash, a backslash may be led by another. Keywords and names of fields are
understood in capitals too.

    year                              a whole number, compared by = != < <= > >= in
    journal, mesh, type, keyword      names
    author                            = beginnings of the words of a name: author = "smith j"
    language                          = any spelling: en, eng, English
    source                            name of a file or format that the record comes from
    title, abstract, pmid, doi, id    texts; id is the record id
    retracted, has_abstract           true or false, by = and !=; alone they mean = true

Names and texts are compared by = != ~ in, without regard to the case of ASCII letters. = compares the whole, ~ finds
what contains the value; * stands for any characters in both. Of a field with several values, = and ~ ask for one that
is so. none stands for no value: year = none, mesh != none. != and not in are what = and in are not: year != 2015 is
true of a record without a year, year < 2015 is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from engine.corpus.selection.clauses import LEAST, MOST, select_years
from engine.corpus.selection.fields import FIELDS, FLAGS, KNOWN, Field
from engine.corpus.selection.lexer import EXAMPLE, Token, TokenKind, read_tokens
from engine.corpus.storage.docsets import All, DocSet, Not, Some
from engine.errors import UsageError

_MAX_LENGTH = 10_000  # of an expression, in characters
MAX_DEPTH = 50  # of parentheses and nots in each other
MAX_VALUES = 500
WHOLE = re.compile(r"-?[0-9]+")
_ORDER: dict[str, Callable[[int], tuple[int | None, int | None]]] = {
    "=": lambda year: (year, year),
    "<": lambda year: (None, year - 1),
    "<=": lambda year: (None, year),
    ">": lambda year: (year + 1, None),
    ">=": lambda year: (year, None),
}


def parse_condition(expression: str) -> DocSet:
    """The records that an expression is true of.

    Raises:
        UsageError: it is no expression: says at which character, what is there and what was expected.
    """
    if len(expression) > _MAX_LENGTH:
        found = f"the expression has {len(expression):,} characters, expected {_MAX_LENGTH:,} at most"
        raise UsageError(f"where: {found}. Lists of ids have options of their own")
    if not expression.strip():
        raise UsageError(f"where: the expression is blank. {EXAMPLE}")
    return _Parser(expression).parse_whole()


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, expression: str) -> None:
        self.tokens = list(read_tokens(expression))
        self.at = 0
        self.depth = 0
        self.n_values = 0

    @property
    def next(self) -> Token:
        """The token to be read."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """Read one token; the end is never passed."""
        token = self.next
        self.at += token.kind is not TokenKind.END
        return token

    def take_if(self, kind: TokenKind, *accepted: str) -> bool:
        """Read the next token if it is one of these."""
        matches = self.next.kind is kind and self.next.text in accepted
        self.at += matches
        return matches

    def parse_whole(self) -> DocSet:
        """All of the expression.

        Raises:
            UsageError: something follows that does not belong to it.
        """
        found = self.parse_expression()
        if self.next.kind is not TokenKind.END:
            expected = "'and', 'or' or the end; a text of several words stands in quotes"
            raise UsageError(self.next.explain_refusal(expected))
        return found

    def parse_expression(self) -> DocSet:
        """Conjunctions with "or" between them."""
        parts = [self.parse_conjunction()]
        while self.take_if(TokenKind.KEYWORD, "or"):
            parts.append(self.parse_conjunction())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def parse_conjunction(self) -> DocSet:
        """Negations with "and" between them."""
        parts = [self.parse_negation()]
        while self.take_if(TokenKind.KEYWORD, "and"):
            parts.append(self.parse_negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def parse_negation(self) -> DocSet:
        """A comparison, or what stands in parentheses or behind "not".

        Raises:
            UsageError: nested too deep, or a parenthesis is never closed.
        """
        opening = self.next
        if not (self.take_if(TokenKind.KEYWORD, "not") or self.take_if(TokenKind.MARK, "(")):
            return self.parse_comparison()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UsageError(opening.explain_refusal(f"no more than {MAX_DEPTH} parentheses and nots in each other"))
        found = Not(self.parse_negation()) if opening.text == "not" else self.parse_expression()
        if opening.text == "(" and not self.take_if(TokenKind.MARK, ")"):
            raise UsageError(
                self.next.explain_refusal(f"'and', 'or' or the ) to the ( at character {opening.position}")
            )
        self.depth -= 1
        return found

    def parse_comparison(self) -> DocSet:
        """A field with what is asked of it.

        Raises:
            UsageError: no such field.
        """
        field = self.take()
        name = field.text.lower()
        if field.kind is TokenKind.WORD and name in FLAGS:
            self.count(field)
            return self.parse_flag(name)
        if field.kind is TokenKind.WORD and name == "year":
            return self.parse_year_comparison()
        if field.kind is TokenKind.WORD and name in FIELDS:
            return self.parse_text_comparison(FIELDS[name])
        near = get_close_matches(name, KNOWN, 1) if field.kind is TokenKind.WORD else []
        maybe = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(field.explain_refusal(f"'not', ( or one of the fields {', '.join(KNOWN)}{maybe}"))

    def parse_flag(self, name: str) -> DocSet:
        """A flag, alone or compared with true or false.

        Raises:
            UsageError: with anything else.
        """
        flag = FLAGS[name]
        if self.next.kind is not TokenKind.OPERATOR:
            return flag
        operator = self.parse_operator("=", "!=")
        value = self.take()
        if value.kind is not TokenKind.KEYWORD or value.text not in ("true", "false"):
            raise UsageError(value.explain_refusal("true or false"))
        return flag if (operator == "=") == (value.text == "true") else Not(flag)

    def parse_year_comparison(self) -> DocSet:
        """A year compared with others."""
        operator = self.parse_operator("=", "!=", "<", "<=", ">", ">=", "in", "not in")
        order = _ORDER.get(operator, _ORDER["="])
        given = self.parse_values(operator, "a whole number")
        spans = [order(self.parse_year(value, operator)) for value in given if value.kind is not TokenKind.KEYWORD]
        parts: list[DocSet] = [select_years(spans)] if spans else []
        if len(spans) < len(given):
            parts.append(Not(select_years([(None, None)])))
        return _apply_operator(operator, parts)

    def parse_year(self, value: Token, operator: str) -> int:
        """The year that a token says.

        Raises:
            UsageError: it says none.
        """
        if not WHOLE.fullmatch(value.text):
            raise UsageError(value.explain_refusal(f"a year as a whole number after 'year {operator}'"))
        if len(value.text) > len(str(LEAST)) or not LEAST <= int(value.text) <= MOST:
            raise UsageError(value.explain_refusal("a number of 64 bits at most"))
        return int(value.text)

    def parse_text_comparison(self, field: Field) -> DocSet:
        """A field of names or texts compared with some.

        Raises:
            UsageError: a value that the field can't have.
        """
        operator = self.parse_operator("=", "!=", "~", "in", "not in")
        given = self.parse_values(operator, "a word or a text in quotes")
        said = [value.text for value in given if value.kind is not TokenKind.KEYWORD]
        parts: list[DocSet] = []
        if said and operator == "~":
            parts.append((field.contains or field.equal)([f"*{text}*" for text in said]))
        elif said:
            try:
                parts.append(field.equal(said))
            except UsageError as err:
                raise UsageError(f"where: at character {given[0].position}, {err}") from err
        if len(said) < len(given):
            parts.append(Not(field.filled))
        return _apply_operator(operator, parts)

    def parse_operator(self, *allowed: str) -> str:
        """Read an operator.

        Raises:
            UsageError: it is none that the field has.
        """
        found = self.take()
        text = found.text
        if (found.kind, text) == (TokenKind.KEYWORD, "not") and self.take_if(TokenKind.KEYWORD, "in"):
            text = "not in"
        if found.kind not in (TokenKind.OPERATOR, TokenKind.KEYWORD) or text not in allowed:
            raise UsageError(found.explain_refusal(f"one of {' '.join(allowed)}"))
        return text

    def parse_values(self, operator: str, expected: str) -> list[Token]:
        """Read what an operator compares with: one value, or several in parentheses.

        Raises:
            UsageError: no value, or no parentheses where there must be.
        """
        may_be_none = operator in ("=", "!=", "in", "not in")
        if not operator.endswith("in"):
            return [self.parse_value(expected, may_be_none)]
        if not self.take_if(TokenKind.MARK, "("):
            raise UsageError(self.next.explain_refusal("( and values with commas between them"))
        found = [self.parse_value(expected, may_be_none)]
        while self.take_if(TokenKind.MARK, ","):
            found.append(self.parse_value(expected, may_be_none))
        if not self.take_if(TokenKind.MARK, ")"):
            raise UsageError(self.next.explain_refusal("a comma or )"))
        return found

    def parse_value(self, expected: str, may_be_none: bool) -> Token:
        """Read one value.

        Raises:
            UsageError: there is none, or a blank one.
        """
        found = self.take()
        self.count(found)
        is_none = (found.kind, found.text) == (TokenKind.KEYWORD, "none")
        if (is_none and may_be_none) or (found.kind in (TokenKind.WORD, TokenKind.QUOTED) and found.text.strip()):
            return found
        raise UsageError(found.explain_refusal(f"{expected}{' or none' if may_be_none else ''}"))

    def count(self, token: Token) -> None:
        """Note one more value.

        Raises:
            UsageError: there are too many.
        """
        self.n_values += 1
        if self.n_values > MAX_VALUES:
            raise UsageError(token.explain_refusal(f"no more than {MAX_VALUES} values in one expression"))


def _apply_operator(operator: str, parts: Sequence[DocSet]) -> DocSet:
    """What an operator makes of records that match in some way."""
    found = parts[0] if len(parts) == 1 else Some(tuple(parts))
    return Not(found) if operator in ("!=", "not in") else found
