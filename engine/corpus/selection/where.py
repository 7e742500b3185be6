"""Parser for filter expressions such as 'year >= 2015 and (mesh = "Gout" or title ~ urate) and not retracted'.

    expression  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = "not" negation | "(" expression ")" | comparison
    comparison  = field operator value | field [ "not" ] "in" "(" value { "," value } ")" | flag
    operator    = "=" | "!=" | "~" | "<" | "<=" | ">" | ">="
    value       = word | quoted text | "none" | "true" | "false"

A word contains no space, comma, parenthesis or operator; other values need "double" or 'single' quotes. Inside quotes,
a quotation mark is doubled or preceded by a backslash; a backslash may be preceded by another. The case of keywords and
field names is ignored.

    year                              a whole number, compared by = != < <= > >= in
    journal, mesh, type, keyword, database, label   names
    note                              = finds notes that contain the value, as ~ does
    author                            = compares the beginnings of the words of a name: author = "smith j"
    language                          = any spelling: en, eng, English
    source                            name or format of a file that gave the record
    title, abstract, pmid, doi, id    texts; id is the record id
    retracted, has_abstract, has_fulltext           true or false, compared by = and !=; alone they mean = true

Names and texts are compared by = != ~ in, ignoring the case of ASCII letters. = compares the whole text, ~ finds texts
that contain the value; * matches any characters in both. A field with several values matches if one of them does. none
means no value: year = none, mesh != none. != and not in negate = and in: year != 2015 is true for a record without a
year, year < 2015 is not.
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
MAX_DEPTH = 50  # nested parentheses and nots
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
    """Return the set of records for which an expression is true.

    Raises:
        UsageError: the expression is invalid; the message gives the character, what was found and what was expected.
    """
    if len(expression) > _MAX_LENGTH:
        problem = f"the expression has {len(expression):,} characters, expected {_MAX_LENGTH:,} at most"
        raise UsageError(f"where: {problem}. To list many ids, use the options that take a file of ids")
    if not expression.strip():
        raise UsageError(f"where: the expression is blank. {EXAMPLE}")
    return _Parser(expression).parse_whole()


def list_compared(expression: str) -> list[tuple[str, str]]:
    """Return the (field, text) pairs that a valid expression compares as a whole, in order: by = != in.

    >>> list_compared('mesh = "Gout" and (title ~ urate or not journal in (Lancet, BMJ))')
    [('mesh', 'Gout'), ('journal', 'Lancet'), ('journal', 'BMJ')]
    """
    parser = _Parser(expression)
    parser.parse_whole()
    return parser.compared


class _Parser:
    """Recursive descent parser for one expression."""

    def __init__(self, expression: str) -> None:
        self.tokens = list(read_tokens(expression))
        self.at = 0
        self.depth = 0
        self.n_values = 0
        self.compared: list[tuple[str, str]] = []  # fields and the texts they are compared with as a whole

    @property
    def next(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """Return the next token and move on; the END token is returned again and again."""
        token = self.next
        self.at += token.kind is not TokenKind.END
        return token

    def take_if(self, kind: TokenKind, *accepted: str) -> bool:
        """Move on if the next token is one of these; return whether it was."""
        matches = self.next.kind is kind and self.next.text in accepted
        self.at += matches
        return matches

    def parse_whole(self) -> DocSet:
        """Parse the whole expression.

        Raises:
            UsageError: the expression is followed by something else.
        """
        condition = self.parse_expression()
        if self.next.kind is not TokenKind.END:
            expected = "'and', 'or' or the end; a text of several words needs quotes"
            raise UsageError(self.next.explain_refusal(expected))
        return condition

    def parse_expression(self) -> DocSet:
        """Parse conjunctions separated by "or"."""
        parts = [self.parse_conjunction()]
        while self.take_if(TokenKind.KEYWORD, "or"):
            parts.append(self.parse_conjunction())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def parse_conjunction(self) -> DocSet:
        """Parse negations separated by "and"."""
        parts = [self.parse_negation()]
        while self.take_if(TokenKind.KEYWORD, "and"):
            parts.append(self.parse_negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def parse_negation(self) -> DocSet:
        """Parse a comparison, a parenthesised expression or a negation with "not".

        Raises:
            UsageError: it is nested too deeply, or a parenthesis is not closed.
        """
        opening = self.next
        if not (self.take_if(TokenKind.KEYWORD, "not") or self.take_if(TokenKind.MARK, "(")):
            return self.parse_comparison()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UsageError(opening.explain_refusal(f"no more than {MAX_DEPTH} nested parentheses and nots"))
        condition = Not(self.parse_negation()) if opening.text == "not" else self.parse_expression()
        if opening.text == "(" and not self.take_if(TokenKind.MARK, ")"):
            raise UsageError(
                self.next.explain_refusal(f"'and', 'or' or the ) that closes the ( at character {opening.position}")
            )
        self.depth -= 1
        return condition

    def parse_comparison(self) -> DocSet:
        """Parse the comparison of a field, or a flag.

        Raises:
            UsageError: there is no such field.
        """
        field = self.take()
        name = field.text.lower()
        if field.kind is TokenKind.WORD and name in FLAGS:
            self.count(field)
            return self.parse_flag(name)
        if field.kind is TokenKind.WORD and name == "year":
            return self.parse_year_comparison()
        if field.kind is TokenKind.WORD and name in FIELDS:
            return self.parse_text_comparison(name, FIELDS[name])
        near = get_close_matches(name, KNOWN, 1) if field.kind is TokenKind.WORD else []
        maybe = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(field.explain_refusal(f"'not', ( or one of the fields {', '.join(KNOWN)}{maybe}"))

    def parse_flag(self, name: str) -> DocSet:
        """Parse a flag, alone or compared with true or false.

        Raises:
            UsageError: it is compared with something else.
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
        """Parse the comparison of the year."""
        operator = self.parse_operator("=", "!=", "<", "<=", ">", ">=", "in", "not in")
        order = _ORDER.get(operator, _ORDER["="])
        values = self.parse_values(operator, "a whole number")
        spans = [order(self.parse_year(value, operator)) for value in values if value.kind is not TokenKind.KEYWORD]
        parts: list[DocSet] = [select_years(spans)] if spans else []
        if len(spans) < len(values):
            parts.append(Not(select_years([(None, None)])))
        return _apply_operator(operator, parts)

    def parse_year(self, value: Token, operator: str) -> int:
        """Return the year of a token.

        Raises:
            UsageError: it is not a whole number, or too large.
        """
        if not WHOLE.fullmatch(value.text):
            raise UsageError(value.explain_refusal(f"a year as a whole number after 'year {operator}'"))
        if len(value.text) > len(str(LEAST)) or not LEAST <= int(value.text) <= MOST:
            raise UsageError(value.explain_refusal("a number of at most 64 bits"))
        return int(value.text)

    def parse_text_comparison(self, name: str, field: Field) -> DocSet:
        """Parse the comparison of a field of names or texts.

        Raises:
            UsageError: the field can't have such a value.
        """
        operator = self.parse_operator("=", "!=", "~", "in", "not in")
        values = self.parse_values(operator, "a word or a text in quotes")
        texts = [value.text for value in values if value.kind is not TokenKind.KEYWORD]
        parts: list[DocSet] = []
        self.compared += [(name, text) for text in texts if operator != "~"]
        if texts and operator == "~":
            parts.append((field.contains or field.equal)([f"*{text}*" for text in texts]))
        elif texts:
            try:
                parts.append(field.equal(texts))
            except UsageError as err:
                raise UsageError(f"where: at character {values[0].position}, {err}") from err
        if len(texts) < len(values):
            parts.append(Not(field.filled))
        return _apply_operator(operator, parts)

    def parse_operator(self, *allowed: str) -> str:
        """Parse an operator.

        Raises:
            UsageError: the field does not support it.
        """
        token = self.take()
        text = token.text
        if (token.kind, text) == (TokenKind.KEYWORD, "not") and self.take_if(TokenKind.KEYWORD, "in"):
            text = "not in"
        if token.kind not in (TokenKind.OPERATOR, TokenKind.KEYWORD) or text not in allowed:
            raise UsageError(token.explain_refusal(f"one of {' '.join(allowed)}"))
        return text

    def parse_values(self, operator: str, expected: str) -> list[Token]:
        """Parse the values of an operator: one value, or several in parentheses after "in".

        Raises:
            UsageError: there is no value, or a parenthesis is missing.
        """
        may_be_none = operator in ("=", "!=", "in", "not in")
        if not operator.endswith("in"):
            return [self.parse_value(expected, may_be_none)]
        if not self.take_if(TokenKind.MARK, "("):
            raise UsageError(self.next.explain_refusal("( and values separated by commas"))
        values = [self.parse_value(expected, may_be_none)]
        while self.take_if(TokenKind.MARK, ","):
            values.append(self.parse_value(expected, may_be_none))
        if not self.take_if(TokenKind.MARK, ")"):
            raise UsageError(self.next.explain_refusal("a comma or )"))
        return values

    def parse_value(self, expected: str, may_be_none: bool) -> Token:
        """Parse one value.

        Raises:
            UsageError: there is none, or it is blank.
        """
        token = self.take()
        self.count(token)
        is_none = (token.kind, token.text) == (TokenKind.KEYWORD, "none")
        if (is_none and may_be_none) or (token.kind in (TokenKind.WORD, TokenKind.QUOTED) and token.text.strip()):
            return token
        raise UsageError(token.explain_refusal(f"{expected}{' or none' if may_be_none else ''}"))

    def count(self, token: Token) -> None:
        """Count one more value.

        Raises:
            UsageError: there are too many values.
        """
        self.n_values += 1
        if self.n_values > MAX_VALUES:
            raise UsageError(token.explain_refusal(f"no more than {MAX_VALUES} values in one expression"))


def _apply_operator(operator: str, parts: Sequence[DocSet]) -> DocSet:
    """Return the records that match one of the parts, or for a negative operator, all other records."""
    matching = parts[0] if len(parts) == 1 else Some(tuple(parts))
    return Not(matching) if operator in ("!=", "not in") else matching
