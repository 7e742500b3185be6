"""Searches as people paste them: one expression, or a strategy of numbered lines."""

from __future__ import annotations

from collections.abc import Sequence

from engine.corpus.boolean.listing import ListedLine, Listing, clean_line, is_combination, list_lines
from engine.corpus.boolean.parser import parse_expression
from engine.corpus.boolean.prefixes import has_prefix
from engine.corpus.boolean.prose import has_operator, is_prose
from engine.corpus.boolean.tags import Dialect
from engine.corpus.boolean.tokens import count_tags, fold_marks, guess_dialect, has_nearness, hide_quoted
from engine.corpus.boolean.tree import Kind, Line, Search
from engine.errors import UsageError

_MOST_LINES = 2000
_MOST_NUMBER = 99_999  # of a line
_LEFT_OUT = 5  # lines named in a note


def read_search(text: str) -> Search | None:
    """Read a Boolean search; None if a text is a plain question.

    A text is a search if it has AND, OR or NOT in capitals, or a field, subject heading or proximity operator that
    can be nothing else. In prose, such as a pasted abstract, capitals make no operator. Several lines are a numbered
    search if they have numbers, or if one combines others by their numbers: 1 or 2.

    >>> read_search("gout or arthritis in men") is None, read_search("gout OR arthritis").expression.dialect
    (True, <Dialect.PLAIN: 'plain'>)

    Raises:
        UsageError: it is a search, but can't be read; the message names the line and the character.
    """
    plain = fold_marks(text)
    if (listing := list_lines(plain)).lines:
        return _read_lines(listing)
    open_text, dialect = hide_quoted(plain), guess_dialect(plain)
    is_marked = dialect is not Dialect.PLAIN or has_nearness(plain) or has_prefix(plain)
    if not (is_marked or has_operator(open_text)) or is_prose(open_text, count_tags(plain)):
        return None
    line = clean_line(1, " ".join(plain.splitlines()))
    expression = parse_expression(line.text, dialect, limits=line.limits)
    _check_lines([node.line for node in expression.nodes if node.kind is Kind.LINE], ())
    return Search((Line(1, text.strip(), expression),), is_numbered=False)


def _read_lines(listing: Listing) -> Search:
    """Read the lines of a numbered search.

    Raises:
        UsageError: a line can't be read, or names one that does not come before it.
    """
    if len(listing.lines) > _MOST_LINES:
        raise UsageError(
            f"the search has {len(listing.lines):,} lines, expected {_MOST_LINES:,} at most. Split it into several"
        )
    dialect = guess_dialect("\n".join(line.text for line in listing.lines))
    lines: list[Line] = []
    for listed in listing.lines:
        try:
            line = _read_line(listed, dialect)
            _check_lines(
                [node.line for node in line.expression.nodes if node.kind is Kind.LINE], [one.number for one in lines]
            )
        except UsageError as err:
            raise UsageError(f"line {listed.number}: {err}") from err
        lines.append(line)
    return Search(tuple(lines), is_numbered=True, remarks=_note_left_out(listing.left_out))


def _note_left_out(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the note on lines that are no part of a search."""
    if not lines:
        return ()
    more = f" and {len(lines) - _LEFT_OUT:,} more" if len(lines) > _LEFT_OUT else ""
    named = ", ".join(f"{line[:60]!r}" for line in lines[:_LEFT_OUT])
    return (f"without a number, and read as headlines: {named}{more}",)


def _read_line(line: ListedLine, dialect: Dialect) -> Line:
    """Read one line of a numbered search.

    Raises:
        UsageError: it can't be read.
    """
    numbered = _MOST_NUMBER if is_combination(line.text) else line.number - 1
    text = f"{line.text} ({line.limits})" if line.limits else line.text
    return Line(line.number, text, parse_expression(line.text, dialect, numbered=numbered, limits=line.limits))


def _check_lines(numbers: Sequence[int], known: Sequence[int]) -> None:
    """Refuse the number of a line that does not come before.

    Raises:
        UsageError: there is such a number.
    """
    if odd := [number for number in numbers if number not in known]:
        found = "no line comes" if not known else f"line {known[0]} comes"
        if len(known) > 1:
            found = f"lines {known[0]} to {known[-1]} come"
        raise UsageError(f"#{odd[0]} stands for a line of a numbered search, but {found} before it. Give all lines")
