"""The Markdown of a model card as front matter, sections, bullets and tables. Anything else is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEADING = re.compile(r"(#{1,6}) +(.*?) *$")
KEY = re.compile(r"([A-Za-z_][\w-]*):(?: +(.*))?$")
BULLET = re.compile(
    r"\s*[-*] +(?:\*\*(?P<bold>[^*]+?):?\*\*:?|`(?P<code>[^`]+)`:?|(?P<plain>[^:`*]+):) +(?P<value>.*)$"
)
CELL_END = re.compile(r"(?<!\\)\|")
RULE = re.compile(r"[|:\- ]+$")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the lines below it, up to the next heading."""

    level: int  # of the heading, from 1; 0 for what comes before the first
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of Markdown, cells without markup; every row has as many cells as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> tuple[str, ...]:
        """The cells under a name, without regard to case; none where there is no such column."""
        names = [one.casefold() for one in self.header]
        place = names.index(name.casefold()) if name.casefold() in names else None
        return () if place is None else tuple(row[place] for row in self.rows)


def split_front_matter(text: str) -> tuple[str, str]:
    """What stands between two lines of three dashes at the beginning, and the rest. Without an end, all is the rest."""
    if not text.startswith("---\n"):
        return "", text
    end = re.search(r"^(?:---|\.\.\.)[ \t]*$", text[4:], re.MULTILINE)
    return (text[4 : 4 + end.start()], text[4 + end.end() :]) if end else ("", text)


def front_matter(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(key, values) of the plain YAML that cards begin with: one value or a list. What is nested is left out."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if match := KEY.match(line):
            value = (match[2] or "").strip()
            listed = value[1:-1].split(",") if value[:1] == "[" and value[-1:] == "]" else [value]
            found.append((match[1], [unquoted(one) for one in listed if one.strip()]))
        elif found and re.match(r" {0,2}- ", line):
            found[-1][1].append(unquoted(line.lstrip(" -")))
    return tuple((key, tuple(values)) for key, values in found)


def unquoted(text: str) -> str:
    """A YAML scalar without the quotation marks around it."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def without_comments(text: str) -> str:
    """Text without HTML comments; one that does not end is kept."""
    parts, place = [], 0
    while (start := text.find("<!--", place)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts.append(text[place:start])
        place = end + 3
    return "".join([*parts, text[place:]])


def sections(text: str) -> tuple[Section, ...]:
    """The sections of a card in order, headings in code left alone."""
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    in_code = False
    for line in text.splitlines():
        in_code ^= line.lstrip().startswith("```")
        heading = None if in_code else HEADING.match(line)
        if heading:
            found.append((len(heading[1]), heading[2], []))
        else:
            found[-1][2].append(line)
    return tuple(Section(level, title, tuple(lines)) for level, title, lines in found)


def bullets(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, value) of lines such as "- **Name:** value", "- `name`: value" and "* Name: value", outside of code."""
    found = []
    in_code = False
    for line in lines:
        in_code ^= line.lstrip().startswith("```")
        if not in_code and (match := BULLET.match(line + " ")):
            name = match["bold"] or match["code"] or match["plain"]
            found.append((name.strip(), match["value"].strip()))
    return tuple(found)


def code(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines of the first block of code, as long as it goes."""
    fences = [place for place, line in enumerate(lines) if line.lstrip().startswith("```")]
    return tuple(lines[fences[0] + 1 : fences[1] if len(fences) > 1 else None]) if fences else ()


def tables(lines: Sequence[str]) -> Iterator[Table]:
    """Yield the tables in order."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.lstrip().startswith("|"):
            block.append(line.strip())
            continue
        if len(block) > 1 and RULE.match(block[1]):
            header = cells(block[0])
            rows = (cells(row) for row in block[2:])
            yield Table(header, tuple((*row, *[""] * len(header))[: len(header)] for row in rows))
        block = []


def cells(row: str) -> tuple[str, ...]:
    """The cells of a row of a table, without markup."""
    return tuple(plain(cell) for cell in CELL_END.split(row.strip().removeprefix("|").removesuffix("|")))


def plain(text: str) -> str:
    """Text without the markup of links, code and bold type."""
    text = re.sub(r"</?code>|\*\*|`", "", text.replace("\\|", "|"))
    return re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", text).strip()
