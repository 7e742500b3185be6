"""Records of tagged files (RIS, MEDLINE, Ovid …), split line by line. No tagged line is dropped in silence."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from engine.collect.text.lines import Chunk, read_text_lines
from engine.errors import SourceError
from engine.files import MAX_LINE

_Line = tuple[int, str, bool]  # number, text, whether it was UTF-8

# Blanks and dashes that word processors and web pages write into tags.
_PLAIN = str.maketrans(
    dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
)
_TAG_HEAD = re.compile(r"\s*[A-Za-z][A-Za-z0-9]{1,3}\s*-\s?")
_BLANK = re.compile(r"\n{2,}")
_N_TAG = 10  # characters in which a tag and its dash stand, with some indentation


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the records of a tagged format begin, continue and end."""

    heads: frozenset[str]  # the first two characters of lines that may start or end a record
    starts: Callable[[str], object]  # whether a line starts a record
    find_tag: Callable[[str], str | None]  # tag of a line; None for other text
    titles: frozenset[str]  # tags that a record has once
    bodies: frozenset[str]  # tags of its abstract
    ends: Callable[[str], object] = lambda line: None  # whether a line is the last of its record
    between: Callable[[str], object] = lambda line: None  # whether a line between records is part of none
    seam_mark: str = "\0"  # text in every line, beside those of heads, that may be two
    find_seam: Callable[[str], re.Match[str] | None] = lambda line: None  # where one line is two, of joined files


def split_records(stream: io.BufferedReader, name: str, grammar: Grammar) -> Iterator[Chunk]:
    """Yield the records of a file in order. A record ends with its last line, before the next start or with the file.

    Tagged lines between two records belong to the one that they touch: no blank line parts them. Between two blank
    lines they are a record if they have a title; otherwise Chunk.outside of the next or last record lists them. Other
    lines between records are dropped.

    The first line of a chunk is the one that starts the record, if it has one.

    Raises:
        SourceError: as decode_lines; or a record has more than MAX_LINE characters.
    """
    splitter, heads, mark = _Splitter(grammar, name), grammar.heads, grammar.seam_mark
    plain: Chunk | None = None  # the current record, if nearly every line can only be one of its lines
    for number, text, is_utf8 in read_text_lines(stream, name):
        if (
            plain is not None
            and text[:2] not in heads
            and text[:_N_TAG].isascii()
            and mark not in text
            and is_utf8
            and text.strip()
        ):
            plain.add(text)
            continue
        if seam := grammar.find_seam(text):
            yield from splitter.take(number, text[: seam.start() or seam.end()].rstrip("\ufeff \t"), is_utf8)
            text = text[seam.end() :]
        yield from splitter.take(number, text, is_utf8)
        plain = splitter.find_plain()
    yield from splitter.finish()


def normalise_tag(line: str) -> str:
    """Return a line with plain blanks and plain dashes in its tag; what follows the tag stays as it is."""
    head = line[:_N_TAG].translate(_PLAIN)
    tag = _TAG_HEAD.match(head)
    return head[: tag.end()] + line[tag.end() :] if tag else line


def group_lines(
    lines: Iterable[str], split: Callable[[str, str], tuple[str, str] | None]
) -> list[tuple[str, list[str]]]:
    """Return (tag, lines of its value) in order. A line without a tag belongs to the tag before it; blank ones are "".

    Lines above the first tag have the tag "text".

    Args:
        lines: of one record.
        split: returns (tag, rest of the line), or None for a line without a tag; its second argument is the tag before.
    """
    groups: list[tuple[str, list[str]]] = []
    for line in lines:
        tagged = split(line, groups[-1][0] if groups else "")
        if tagged is not None:
            groups.append((tagged[0], [tagged[1].strip()]))
        elif groups or line.strip():
            groups = groups or [("text", [])]
            groups[-1][1].append(line.strip())
    return groups


def join_wrapped(lines: Iterable[str]) -> str:
    """Return the lines of one value as one text; where a blank line is between them, a line ends."""
    text = "\n".join(line.strip() for line in lines).strip()
    return "\n".join(" ".join(part.split("\n")) for part in _BLANK.split(text))


@dataclass(slots=True)
class _Block:
    """Lines without a blank line between them; the first one has a tag."""

    lines: list[_Line] = field(default_factory=list)
    tags: list[tuple[int, str]] = field(default_factory=list)  # (line number, tag)

    def add(self, line: _Line, tag: str | None) -> None:
        """Add a line with its tag."""
        self.lines.append(line)
        if tag is not None:
            self.tags.append((line[0], tag))

    def has_any(self, tags: frozenset[str]) -> bool:
        """Return whether one of these tags is in the block."""
        return any(tag in tags for _, tag in self.tags)


@dataclass(slots=True)
class _Gap:
    """The blocks of tagged lines between two records."""

    blocks: list[_Block] = field(default_factory=list)
    is_parted: bool = False  # a blank line is above the next line
    touches_previous: bool = False  # no blank line is between the record above and the first block
    n_chars: int = 0

    def add(self, line: _Line, tag: str | None) -> None:
        """Add a line. Text that continues no tag is dropped, and parts blocks like a blank line."""
        if tag is None and (self.is_parted or not self.blocks):
            self.is_parted = True
            return
        if self.is_parted or not self.blocks:
            self.touches_previous = self.touches_previous or not (self.blocks or self.is_parted)
            self.blocks.append(_Block())
            self.is_parted = False
        self.blocks[-1].add(line, tag)
        self.n_chars += len(line[1])


class _Splitter:
    """The state while the lines of a file are split into records."""

    def __init__(self, grammar: Grammar, name: str) -> None:
        self.grammar = grammar
        self.name = name
        self.current: Chunk | None = None  # the record that lines are added to
        self.tail: _Block | None = None  # its lines below a blank line, which may be a record without a first line
        self.is_parted = False  # a blank line of the current record is above the next line
        self.held: Chunk | None = None  # the record above the gap: lines below its end may belong to it
        self.gap = _Gap()
        self.indent = 0  # of the lines of the current record
        self.has_leading = False  # in this file, tags stand above the first line of their record
        self.outside: list[int] = []  # numbers of tagged lines that belong to no record

    def take(self, number: int, text: str, is_utf8: bool) -> Iterator[Chunk]:
        """Add one line and yield the records that are complete."""
        if not text[:_N_TAG].isascii():
            text = self._normalise(text)
        if text[:1].isspace():
            text = self._remove_indent(text)
        line = number, text, is_utf8
        if self.grammar.starts(text):
            yield from self._start(line)
        elif self.current is not None:
            yield from self._add_inside(self.current, line)
        else:
            yield from self._add_outside(line)

    def find_plain(self) -> Chunk | None:
        """Return the current record; None where the next line may be more than just a line of it."""
        return None if self.is_parted or self.indent or self.tail is not None else self.current

    def finish(self) -> Iterator[Chunk]:
        """Yield what is left at the end of the file."""
        self._end()
        yield from self._close_gap(None)
        if self.held is not None:
            self.held.outside += self.outside
            yield self.held

    def _is_known(self, text: str) -> bool:
        """Return whether a line is part of the grammar."""
        return bool(self.grammar.starts(text) or self.grammar.ends(text) or self.grammar.find_tag(text))

    def _normalise(self, text: str) -> str:
        """Return a line with plain blanks and a plain dash in its tag; a line without a tag is unchanged."""
        straight = normalise_tag(text)
        return straight if self._is_known(straight.lstrip()) else text

    def _remove_indent(self, text: str) -> str:
        """Return a line without the indentation of its record. An indented line starts a record only outside of one."""
        if self.current is not None:
            if not self.indent:
                return text
            return text[self.indent :] if text[: self.indent].isspace() else text.lstrip()
        bare = text.lstrip()
        if not self._is_known(bare):
            return text
        self.indent = len(text) - len(bare)
        return bare

    def _start(self, line: _Line) -> Iterator[Chunk]:
        """Start a record with its first line."""
        chunk = Chunk(line[0], source=self.name)
        _add(chunk, [line])
        if self.current is not None and self.has_leading and self.tail is not None:
            _add(chunk, self.tail.lines)
            self.tail = None
        self._end()
        yield from self._close_gap(chunk)
        if self.held is not None:
            yield self.held
        chunk.outside, self.outside = self.outside, []
        self.held, self.current = None, chunk
        if line[1][:1].isspace():
            self.indent = 0

    def _add_inside(self, current: Chunk, line: _Line) -> Iterator[Chunk]:
        """Add a line to the current record, end it, or start another one that lacks its first line."""
        if self.grammar.ends(line[1]):
            if not line[2]:
                current.not_utf8.append(line[0])
            current.is_ended = True
            self._end()
        elif not line[1] or line[1].isspace():
            self._merge_tail()
            self.is_parted = True
            _add(current, [line])
        elif self.tail is None and not self.is_parted:
            _add(current, [line])
        else:
            yield from self._add_below_blank(current, line)

    def _add_below_blank(self, current: Chunk, line: _Line) -> Iterator[Chunk]:
        """Add a line that stands below a blank line of the current record.

        With a title that the record has already, these lines are another record, which lacks its first line.
        """
        tag = self.grammar.find_tag(line[1])
        self.is_parted = False
        if self.tail is None and tag is None:
            _add(current, [line])
            return
        self.tail = self.tail or _Block()
        self.tail.add(line, tag)
        if not self.has_leading and tag in self.grammar.titles and self._has_tag(current, frozenset({tag})):
            lines, self.tail = self.tail.lines, None
            self._end()
            yield from self._replace_held(self._build_bare(lines, has_end=False))
            self.current, self.held = self.held, None

    def _has_tag(self, chunk: Chunk, tags: frozenset[str]) -> bool:
        """Return whether a record has one of these tags."""
        return any(self.grammar.find_tag(text) in tags for text in chunk.lines)

    def _merge_tail(self) -> None:
        """Give the lines below a blank line to the current record."""
        if self.tail is not None and self.current is not None:
            _add(self.current, self.tail.lines)
        self.tail = None

    def _end(self) -> None:
        """End the current record, if there is one, and open the gap below it."""
        if self.current is not None:
            self._merge_tail()
            self.held, self.current, self.gap, self.is_parted = self.current, None, _Gap(), False

    def _add_outside(self, line: _Line) -> Iterator[Chunk]:
        """Add a line that is outside records. The last line of a record may end one that lacks its first line.

        Raises:
            SourceError: the lines have more than MAX_LINE characters.
        """
        text = line[1]
        if not text or text.isspace() or self.grammar.between(text):
            self.gap.is_parted = True
        elif self.grammar.ends(text):
            yield from self._close_gap(None, has_end=True)
        else:
            self.gap.add(line, self.grammar.find_tag(text))
            if self.gap.n_chars > MAX_LINE:
                raise SourceError(f"{self.name}, line {line[0]}: more than {MAX_LINE:,} characters outside records")

    def _close_gap(self, following: Chunk | None, *, has_end: bool = False) -> Iterator[Chunk]:
        """Give the blocks of the gap to the records that they touch; hold those that are records of their own.

        Args:
            following: the record below the gap, to which a block that touches it is added.
            has_end: whether the last line of a record is below the gap: its blocks are that record.
        """
        gap, self.gap = self.gap, _Gap()
        blocks = gap.blocks
        touches_next = has_end or (following is not None and not gap.is_parted)
        if blocks and gap.touches_previous and self.held is not None:
            is_next = len(blocks) == 1 and touches_next and self._is_of_next(blocks[0], self.held)
            if not is_next:
                _add(self.held, blocks.pop(0).lines)
        if has_end and blocks:
            lines = [line for block in blocks for line in block.lines]
            yield from self._replace_held(self._build_bare(lines, has_end=True))
            return
        if following is not None and touches_next and blocks:
            self.has_leading = self.has_leading or self.held is None
            _add(following, blocks.pop().lines)
        for block in blocks:
            if len(block.tags) > 1 and block.has_any(self.grammar.titles):
                yield from self._replace_held(self._build_bare(block.lines, has_end=False))
            else:
                self.outside += [number for number, _ in block.tags]

    def _is_of_next(self, block: _Block, held: Chunk) -> bool:
        """Return whether a block that touches two records belongs to the lower one."""
        own = [tags for tags in (self.grammar.titles, self.grammar.bodies) if block.has_any(tags)]
        return self.has_leading or any(self._has_tag(held, tags) for tags in own)

    def _build_bare(self, lines: list[_Line], *, has_end: bool) -> Chunk:
        """Build a record without a first line."""
        chunk = Chunk(lines[0][0], source=self.name, is_ended=has_end)
        _add(chunk, lines)
        return chunk

    def _replace_held(self, chunk: Chunk) -> Iterator[Chunk]:
        """Yield the held record and hold another one."""
        if self.held is not None:
            yield self.held
        chunk.outside, self.outside = self.outside, []
        self.held = chunk


def _add(chunk: Chunk, lines: Iterable[_Line]) -> None:
    """Add lines to a record.

    Raises:
        SourceError: as Chunk.add.
    """
    for number, text, is_utf8 in lines:
        if not is_utf8:
            chunk.not_utf8.append(number)
        chunk.add(text)
