"""Lines of a search as people copy them: with numbers, numbers of results, times, headlines and filters."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.characters import DASHES
from engine.corpus.boolean.limits import read_limit
from engine.corpus.boolean.prose import has_operator
from engine.corpus.boolean.tags import Dialect
from engine.corpus.boolean.tokens import guess_dialect, hide_quoted


@dataclass(frozen=True, slots=True)
class ListedLine:
    """A line of a search as it was copied."""

    number: int
    text: str
    limits: str = ""  # what its records must meet besides, as parse_expression reads it


@dataclass(frozen=True, slots=True)
class Listing:
    """The lines of a numbered search, ascending."""

    lines: tuple[ListedLine, ...]
    left_out: tuple[str, ...] = ()  # lines without a number that are no part of the search


_NUMBERED = re.compile(
    r"\s*(?:(?P<sign>#|S(?=[0-9]))\s?)?(?P<number>[0-9]{1,4})(?:[.):]\s*|\s*\t\s*|\s+)(?!(?:and|or|not)\s(?!\s*/))(?P<text>\S.*)",
    re.IGNORECASE,
)
_COMBINATION = re.compile(
    r"\s*(?:\(?#?[0-9]{1,4}\)?(?:\s+(?:and|or|not)\s+\(?#?[0-9]{1,4}\)?)+"
    rf"|(?:or|and)\s?/\s?#?[0-9]{{1,4}}\s*[,{DASHES}].*|limit\s+#?[0-9]+\s+to\s.*|\{{\s*(?:or|and)\s+#?[0-9].*\}})"
    r"(?:\s*\[[^\]\n]*\])?[.,;]?\s*",
    re.IGNORECASE,
)
_COLUMN = re.compile(
    r"\s*(?:(?:Advanced|Basic|Add|View|Edit|Delete|Actions?|Details|More|Display(?: Results)?)|[0-9][0-9,.:]*|"
    r"(?:View|Interface|Last Run|Database)\s.*)?\s*"
)  # of a table that was copied from a history of searches, beside the search
_APPENDED = re.compile(
    r"\s+(?:(?:Expanders|Search modes|Interface)\s*-\s|(?:Indexes|Timespan|DocType|Databases?)=).*$"
)  # what EBSCO and Web of Science write after a search
_TIMESPAN = re.compile(r"Timespan=([0-9]{4}-[0-9]{4})")  # years, at Web of Science; "All years" is no limit
_LIMITERS = re.compile(r"\s+(?:Limiters|Narrow by[^-]{0,40})\s*-\s(?P<limiters>.*?)\s*$")
_RESULTS = re.compile(
    r"(?:(?<!\s)(?<!\b[oO][rR])(?<!\b[aA][nN][dD])(?<!\b[nN][oO][tT])\s+\([0-9][0-9,.\s]*\)|\s*\t\s*[0-9][0-9,.]*|(?<!\s(?:or|OR))(?<!\s(?:and|not|AND|NOT))\s{2,}[0-9][0-9,.]*"
    r"|(?<=[\]).'/])(?<!\b[oO][rR]/)(?<!\b[aA][nN][dD]/)\s[0-9][0-9,.]*|(?<=/(?:exp|EXP|lim|LIM))\s[0-9][0-9,.]*|(?<=/(?:de|DE|mj|MJ|py|PY|it|IT))\s[0-9][0-9,.]*"
    r"|(?<=[:,](?:ti|ab|kw|TI|AB|KW))\s[0-9][0-9,.]*|(?<=#[0-9])\s[0-9][0-9,.]*|(?<=#[0-9]{2})\s[0-9][0-9,.]*|(?<=#[0-9]{3})\s[0-9][0-9,.]*)\s*$"
)  # numbers of results at the end of a line that was copied from a history of searches
_LONGEST = 80  # characters that a number of results takes, with the blanks before it
_COUNT = re.compile(r"(?<!\sand)(?<!\sor)(?<!\snot)(?<!\sto)\s+\(?[0-9][0-9,.]*\)?\s*$", re.IGNORECASE)
_TIME = re.compile(r"(?<=\s)[0-9]{1,2}:[0-9]{2}:[0-9]{2}\s*$")
_NO_SEARCH = re.compile(r"[\W_]*|[0-9][0-9,.\s]*")  # ruled lines, and numbers of results on lines of their own
_HEAD = re.compile(r"^\s*Search:?\s+(?=\S)")  # of a line in PubMed's history
_TAIL = re.compile(r"(?<=\s)(?:Sort by:\s*(?:Most Recent|Best Match|[A-Z][A-Za-z]*(?:\s[A-Z][A-Za-z]*)?)|\.\.\.)\s*$")
_FILTERS = re.compile(r"(?<=\s)Filters(?: activated| applied)?:\s*(.*)$")
_USED = re.compile(r"(?<=[.)/\]])\s+(?P<limit>use\s+[a-z0-9]{3,8})\s*$")  # of Ovid: in one of several databases
_COCHRANE = re.compile(
    r"(?:\(Word variations have been searched\)|,?\s(?P<limit>with\s+(?:Cochrane Library\s+)?publication\s+"
    r"(?:year|date)\s[^,]*|in\s+(?:Trials|Cochrane\s.*|Clinical Answers|Editorials|Protocols|Reviews|Other Reviews)))"
    r"\s*$",
    re.IGNORECASE,
)
_PUBLISHED = re.compile(r"Published Date:\s*([0-9]{4})[0-9]{4}\s*-\s*([0-9]{4})[0-9]{4}")  # days, at EBSCO
_LIMITED = re.compile(r"\s*limit\s+#?([0-9]+)\s+to\s+(.*)", re.IGNORECASE)
_SAME = re.compile(r"\s*(?:remove\s+duplicates\s+from|dedup(?:licate)?)\s+#?([0-9]+)\s*", re.IGNORECASE)
_CHOSEN = re.compile(r"\s*#?([0-9]+)\s+(use\s+\w+)\s*|\s*from\s+#?([0-9]+)\s+(keep\s+[0-9,\s-]+)", re.IGNORECASE)
_OPEN_END = re.compile(r"(?:\b(?:and|or|not|adj[0-9]*|near/?[0-9]*|next/?[0-9]*)|[,(-])\s*$", re.IGNORECASE)
_END = 20  # characters in which the last word of a line is looked for
_GOES_ON = re.compile(r"\s|(?:and|or|not|adj[0-9]+|near/?[0-9]+)\b|[).,\]:/]", re.IGNORECASE)


def list_lines(text: str) -> Listing:
    """Return the lines of a numbered search with plain marks; none if it is no such search.

    Lines have numbers, or one of them combines others by their numbers: 1 or 2.
    """
    if found := _read_table(text):
        return found
    lines = [line for line in text.splitlines() if not _NO_SEARCH.fullmatch(line)]
    if len(lines) < 2:
        return Listing(())
    numbered, left_out = _join_lines(lines)
    if not numbered and any(_COMBINATION.fullmatch(_drop_results(line)) for line in lines):
        numbered = list(enumerate(lines, 1))
    numbered = [(number, _TIME.sub("", line)) for number, line in numbered]
    if len(numbered) > 1 and all(_drop_count(line) != line for _, line in numbered):
        numbered = [(number, _drop_count(line)) for number, line in numbered]
    return Listing(tuple(clean_line(number, line) for number, line in numbered), tuple(left_out))


def clean_line(number: int, line: str) -> ListedLine:
    """Return a line without what a history of searches adds to it; filters and limits apart."""
    listed, limits = _drop_columns(line), list[str]()
    if match := _APPENDED.search(listed):
        listed, limits = listed[: match.start()], [f'yr="{years}"' for years in _TIMESPAN.findall(match[0])]
    text = _HEAD.sub("", _TAIL.sub("", _drop_results(listed))).strip()
    if match := _LIMITERS.search(text):
        dated = _PUBLISHED.sub(r'yr="\1-\2"', match["limiters"])
        text, limits = text[: match.start()], [*limits, *(one.strip() for one in dated.split(";") if one.strip())]
    if match := _FILTERS.search(text):
        text, limits = _TAIL.sub("", text[: match.start()]), [*limits, _join_filters(match[1])]
    while match := _COCHRANE.search(text):
        text = text[: match.start()]
        limits += [match["limit"]] if match["limit"] else []
    text = _TAIL.sub("", text)
    if match := _USED.search(text):
        text, limits = text[: match.start()], [*limits, match["limit"]]
    if match := _LIMITED.fullmatch(text):
        text, limits = f"#{match[1]}", [match[2]]
    elif match := _SAME.fullmatch(text):
        text = f"#{match[1]}"
    elif match := _CHOSEN.fullmatch(text):
        text, limits = f"#{match[1] or match[3]}", [match[2] or match[4]]
    return ListedLine(number, text, " and ".join(limits))


def _drop_columns(line: str) -> str:
    """Return a line of a copied table without what stands beside the search in columns of their own."""
    columns = line.split("\t")
    kept = [column for column in columns if not _COLUMN.fullmatch(column)]
    return "\t".join(kept) if kept and len(columns) > 1 else line


def is_combination(text: str) -> bool:
    """Return whether a line only combines others by their numbers."""
    return _COMBINATION.fullmatch(text) is not None


def _join_filters(text: str) -> str:
    """Return filters of PubMed as limits: those of one kind are alternatives."""
    kinds: dict[object, list[str]] = {}
    for name in re.split(r"\s*,\s+", text.strip()):
        tag, _ = read_limit(name)
        kinds.setdefault(tag.fields, []).append(name)
    return " and ".join(f"({' or '.join(names)})" for names in kinds.values())


def _read_table(text: str) -> Listing | None:
    """Return the lines of a history that PubMed saved as a table; None if a text is none."""
    head = text.lstrip().split("\n", 1)[0].lower()
    sign = next((one for one in ",\t" if re.match(rf"search(?: number)?{one}query{one}", head)), None)
    if sign is None:
        return None
    names, *rows = [row for row in csv.reader(text.strip().splitlines(), delimiter=sign) if row]
    place = [name.strip().lower() for name in names].index("filters") if "filters" in head.split(sign) else 0
    lines = []
    for row in rows:
        if len(row) > 1 and (match := re.fullmatch(r"\s*#?([0-9]{1,4})\s*", row[0])):
            line = clean_line(int(match[1]), row[1])
            filters = _join_filters(row[place]) if place and len(row) > place and row[place].strip() else line.limits
            lines.append(ListedLine(line.number, line.text, filters))
    return Listing(tuple(sorted(lines, key=lambda line: line.number)))


def _join_lines(lines: Sequence[str]) -> tuple[list[tuple[int, str]], list[str]]:
    """Return lines with their numbers, ascending, and those left out; empty if they are no numbered search."""
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    numbers = [int(match["number"]) for match in matches if match]
    in_order = numbers == sorted(set(numbers)) or numbers == sorted(set(numbers), reverse=True)
    last = max((place for place, match in enumerate(matches) if match), default=0)
    joined: list[tuple[int, str]] = []
    left_out: list[str] = []
    for place, (line, match) in enumerate(zip(lines, matches, strict=True)):
        if match:
            joined.append((int(match["number"]), _name_sets(match)))
        elif joined and in_order and place > last and _is_last(joined, line):
            joined.append((max(number for number, _ in joined) + 1, line))
        elif not joined and not _is_headline(line):
            return [], []
        elif joined and _is_continuation(joined[-1][1], line):
            joined[-1] = joined[-1][0], f"{joined[-1][1]} {line.strip()}"
        else:
            left_out.append(line.strip())
    return (sorted(joined), left_out) if in_order and len(numbers) > 1 else ([], [])


def _name_sets(match: re.Match[str]) -> str:
    """Return the text of a numbered line, in which S1 of EBSCO and s1 stand for a line before it."""
    if (match["sign"] or "").upper() != "S":
        return match["text"]
    last = int(match["number"])
    return re.sub(r"\b[sS]([0-9]{1,4})\b", lambda one: f"#{one[1]}" if int(one[1]) < last else one[0], match["text"])


def _is_last(joined: Sequence[tuple[int, str]], line: str) -> bool:
    """Return whether a line without a number combines the lines before it: 1 and 2."""
    before = joined[-1][1]
    is_open = before.count("(") > before.count(")") or _has_open_end(before)
    return not is_open and is_combination(_drop_results(line))


def _is_continuation(before: str, line: str) -> bool:
    """Return whether a line without a number belongs to the line before."""
    is_open = before.count("(") > before.count(")") or before.count('"') % 2 == 1
    return is_open or _has_open_end(before) or _GOES_ON.match(line) is not None or not _is_headline(line)


def _has_open_end(line: str) -> bool:
    """Return whether a line ends with what goes on in the next one: gout and."""
    return _OPEN_END.search(line.rstrip()[-_END:]) is not None


def _is_headline(line: str) -> bool:
    """Return whether a line is no search: it begins with a capital, # or digit, and has no operator, phrase or tag."""
    first = line.lstrip()[:1]
    is_search = (
        '"' in line or "*" in line or has_operator(hide_quoted(line)) or guess_dialect(line) is not Dialect.PLAIN
    )
    return (first.isupper() or first in "#[" or first.isdigit()) and not is_search


def _drop_results(line: str) -> str:
    """Return a line without the number of results at its end, as it is copied from a list of searches."""
    match = _RESULTS.search(line, max(0, len(line) - _LONGEST))
    return line[: match.start()] if match and match.start() else line


def _drop_count(line: str) -> str:
    """Return a line without a number at its end."""
    match = _COUNT.search(line, max(0, len(line) - _LONGEST))
    return line[: match.start()] if match else line
