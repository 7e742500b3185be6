"""The Markdown of a model card as front matter, sections, bullets and tables. Anything else is ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HEADING = re.compile(r"(#{1,6}) +(.*?) *$")
_KEY = re.compile(r"([A-Za-z_][\w-]*):(?: +(.*))?$")
_BULLET = re.compile(
    r"\s*[-*] +(?:\*\*(?P<bold>[^*]+?):?\*\*:?|`(?P<code>[^`]+)`:?|(?P<plain>[^:`*]+):) +(?P<value>.*)$"
)
_CELL_END = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[|:\- ]+$")


@dataclass(frozen=True, slots=True)
class CardSection:
    """A heading with the lines below it, up to the next heading."""

    level: int  # of the heading, from 1; 0 for the lines before the first
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CardTable:
    """A Markdown table with cells without markup; every row has as many cells as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def get_column(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column by name, in any case; empty if there is no such column."""
        names = [cell.casefold() for cell in self.header]
        place = names.index(name.casefold()) if name.casefold() in names else None
        return () if place is None else tuple(row[place] for row in self.rows)


def split_front_matter(text: str) -> tuple[str, str]:
    """Split the text into the front matter, between two lines of three dashes at the beginning, and the rest.

    Without a closing line, all of it is the rest.
    """
    if not text.startswith("---\n"):
        return "", text
    end = re.search(r"^(?:---|\.\.\.)[ \t]*$", text[4:], re.MULTILINE)
    return (text[4 : 4 + end.start()], text[4 + end.end() :]) if end else ("", text)


def parse_front_matter(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (key, values) of the plain YAML that cards begin with: one value or a list. Nested values are ignored."""
    entries: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if match := _KEY.match(line):
            value = (match[2] or "").strip()
            values = value[1:-1].split(",") if value[:1] == "[" and value[-1:] == "]" else [value]
            entries.append((match[1], [_unquote(item) for item in values if item.strip()]))
        elif entries and re.match(r" {0,2}- ", line):
            entries[-1][1].append(_unquote(line.lstrip(" -")))
    return tuple((key, tuple(values)) for key, values in entries)


def _unquote(text: str) -> str:
    """Strip the quotation marks around a YAML scalar."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def strip_comments(text: str) -> str:
    """Remove HTML comments; a comment that does not end is kept."""
    parts, place = [], 0
    while (start := text.find("<!--", place)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts.append(text[place:start])
        place = end + 3
    return "".join([*parts, text[place:]])


def split_sections(text: str) -> tuple[CardSection, ...]:
    """Split a card into sections, in order. Headings in code are ignored."""
    parts: list[tuple[int, str, list[str]]] = [(0, "", [])]
    in_code = False
    for line in text.splitlines():
        in_code ^= line.lstrip().startswith("```")
        heading = None if in_code else _HEADING.match(line)
        if heading:
            parts.append((len(heading[1]), heading[2], []))
        else:
            parts[-1][2].append(line)
    return tuple(CardSection(level, title, tuple(lines)) for level, title, lines in parts)


def parse_bullets(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of lines like "- **Name:** value", "- `name`: value" or "* Name: value", outside of code."""
    items = []
    in_code = False
    for line in lines:
        in_code ^= line.lstrip().startswith("```")
        if not in_code and (match := _BULLET.match(line + " ")):
            name = match["bold"] or match["code"] or match["plain"]
            items.append((name.strip(), match["value"].strip()))
    return tuple(items)


def find_code(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of the first block of code, up to its end or the last line."""
    fences = [place for place, line in enumerate(lines) if line.lstrip().startswith("```")]
    return tuple(lines[fences[0] + 1 : fences[1] if len(fences) > 1 else None]) if fences else ()


def parse_tables(lines: Sequence[str]) -> Iterator[CardTable]:
    """Yield the tables in order."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.lstrip().startswith("|"):
            block.append(line.strip())
            continue
        if len(block) > 1 and _RULE.match(block[1]):
            header = _split_cells(block[0])
            rows = (_split_cells(row) for row in block[2:])
            yield CardTable(header, tuple((*row, *[""] * len(header))[: len(header)] for row in rows))
        block = []


def _split_cells(row: str) -> tuple[str, ...]:
    """Split a row of a table into cells, without markup."""
    return tuple(strip_markup(cell) for cell in _CELL_END.split(row.strip().removeprefix("|").removesuffix("|")))


def strip_markup(text: str) -> str:
    """Remove the markup of links, code and bold type."""
    text = re.sub(r"</?code>|\*\*|`", "", text.replace("\\|", "|"))
    return re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", text).strip()
