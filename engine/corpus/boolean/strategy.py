"""Searches as people paste them: one expression, or a strategy of numbered lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.corpus.boolean.parser import parse_expression, parse_limit
from engine.corpus.boolean.tags import Dialect
from engine.corpus.boolean.tokens import fold_marks, guess_dialect, has_operator
from engine.corpus.boolean.tree import Kind, Line, Search
from engine.errors import UsageError

_MOST_LINES = 2000
_MOST_NUMBER = 99_999  # of a line
_NUMBERED = re.compile(r"\s*#?([0-9]{1,4})(?:[.):]\s*|\s*\t\s*|\s+)(?!(?:and|or|not)\s)(\S.*)", re.IGNORECASE)
_COMBINATION = re.compile(
    r"\s*(?:#?[0-9]{1,4}(?:\s+(?:and|or|not)\s+#?[0-9]{1,4})+|(?:or|and)/#?[0-9]{1,4}\s*[-,].*|limit\s+#?[0-9]+\s+to\s.*)\s*",
    re.IGNORECASE,
)
_RESULTS = re.compile(
    r"(?:\s+\([0-9][0-9,.\s]*\)|\s*\t\s*[0-9][0-9,.]*|(?<!\s(?:or|OR))(?<!\s(?:and|not|AND|NOT))\s{2,}[0-9][0-9,.]*"
    r"|(?<=[\]).'/])\s[0-9][0-9,.]*|(?<=/(?:exp|EXP))\s[0-9][0-9,.]*|(?<=/(?:de|DE|mj|MJ))\s[0-9][0-9,.]*"
    r"|(?<=[:,](?:ti|ab|kw|TI|AB|KW))\s[0-9][0-9,.]*|(?<=#[0-9])\s[0-9][0-9,.]*|(?<=#[0-9]{2})\s[0-9][0-9,.]*|(?<=#[0-9]{3})\s[0-9][0-9,.]*)\s*$"
)  # numbers of results at the end of a line that was copied from a history of searches
_HEAD = re.compile(r"^\s*Search:\s*")  # of a line in PubMed's history
_LIMIT_LINE = re.compile(r"\s*limit\s+#?([0-9]+)\s+to\s+(.*)", re.IGNORECASE)
_DUPLICATES = re.compile(r"\s*(?:remove\s+duplicates\s+from|dedup(?:licate)?)\s+#?([0-9]+)\s*", re.IGNORECASE)


def read_search(text: str) -> Search | None:
    """Read a Boolean search; None if a text is a plain question.

    A text is a search if it has AND, OR or NOT in capitals, or a field tag, subject heading or proximity operator of
    PubMed, Ovid or Embase. Several lines are a numbered search if they have numbers, or if one combines others by
    their numbers: 1 or 2.

    >>> read_search("gout or arthritis in men") is None, read_search("gout OR arthritis").expression.dialect
    (True, <Dialect.PLAIN: 'plain'>)

    Raises:
        UsageError: it is a search, but can't be read; the message names the line and the character.
    """
    plain = fold_marks(text)
    lines = [line for line in plain.splitlines() if line.strip()]
    if len(lines) > 1 and (numbered := _number_lines(lines)):
        return _read_lines(numbered)
    dialect = guess_dialect(plain)
    if dialect is Dialect.PLAIN and not has_operator(plain):
        return None
    expression = parse_expression(" ".join(plain.splitlines()), dialect)
    _check_lines([node.line for node in expression.nodes if node.kind is Kind.LINE], ())
    return Search((Line(1, text.strip(), expression),), is_numbered=False)


def _number_lines(lines: Sequence[str]) -> list[tuple[int, str]]:
    """Return lines with their numbers, ascending; empty if they are no numbered search."""
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    numbers = [int(match[1]) for match in matches if match]
    in_order = numbers == sorted(set(numbers)) or numbers == sorted(set(numbers), reverse=True)
    if matches[0] and in_order and len(numbers) > 1:
        joined: list[tuple[int, str]] = []
        for line, match in zip(lines, matches, strict=True):
            if match:
                joined.append((int(match[1]), match[2]))
            else:  # continues the line before
                joined[-1] = joined[-1][0], f"{joined[-1][1]} {line.strip()}"
        return sorted(joined)
    if any(_COMBINATION.fullmatch(_drop_results(line)) for line in lines):
        return list(enumerate(lines, 1))
    return []


def _drop_results(line: str) -> str:
    """Return a line without the number of results at its end, as it is copied from a list of searches."""
    match = _RESULTS.search(line)
    return line[: match.start()] if match and match.start() else line


def _read_lines(numbered: Sequence[tuple[int, str]]) -> Search:
    """Read the lines of a numbered search.

    Raises:
        UsageError: a line can't be read, or names one that does not come before it.
    """
    if len(numbered) > _MOST_LINES:
        raise UsageError(
            f"the search has {len(numbered):,} lines, expected {_MOST_LINES:,} at most. Split it into several"
        )
    dialect = guess_dialect("\n".join(line for _, line in numbered))
    lines: list[Line] = []
    for number, raw in numbered:
        text = _HEAD.sub("", _drop_results(raw)).strip()
        try:
            line = _read_line(number, text, dialect)
            _check_lines(
                [node.line for node in line.expression.nodes if node.kind is Kind.LINE], [one.number for one in lines]
            )
        except UsageError as err:
            raise UsageError(f"line {number}: {err}") from err
        lines.append(line)
    return Search(tuple(lines), is_numbered=True)


def _read_line(number: int, text: str, dialect: Dialect) -> Line:
    """Read one line of a numbered search.

    Raises:
        UsageError: it can't be read.
    """
    if match := _LIMIT_LINE.fullmatch(text):
        values = re.split(r"\s+and\s+|;", match[2].strip().strip("()"), flags=re.IGNORECASE)
        return Line(
            number, text, parse_limit(int(match[1]), [value.strip() for value in values if value.strip()], dialect)
        )
    if match := _DUPLICATES.fullmatch(text):
        return Line(number, text, parse_limit(int(match[1]), (), dialect))
    numbered = _MOST_NUMBER if _COMBINATION.fullmatch(text) else number - 1
    return Line(number, text, parse_expression(text, dialect, numbered=numbered))


def _check_lines(numbers: Sequence[int], known: Sequence[int]) -> None:
    """Refuse the number of a line that does not come before.

    Raises:
        UsageError: there is such a number.
    """
    if odd := [number for number in numbers if number not in known]:
        found = f"lines {known[0]} to {known[-1]}" if known else "no line"
        raise UsageError(
            f"#{odd[0]} stands for a line of a numbered search, but {found} come before it. Give all lines"
        )
