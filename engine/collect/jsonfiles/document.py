"""JSON documents: an array of objects, the answer of an API that holds one, or objects over several lines.

Read object by object, in memory for one object.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from engine.collect.jsonfiles import eppi
from engine.collect.jsonfiles.objects import read_object
from engine.collect.text.lines import NOT_UTF8, decode_head
from engine.errors import SourceError
from engine.files import AGAIN, MAX_LINE, decode, find_utf16
from engine.records.abstract import Entry, Rejection, Remark

_CHUNK = 1 << 16  # bytes
# Keys of an answer that hold the records, and keys of objects in which such a list lies: Europe PMC, bioRxiv and
# medRxiv, OpenAlex, Crossref, Lens, Semantic Scholar, ClinicalTrials.gov, Zotero, EPPI-Reviewer.
_LISTS = frozenset(
    "result results collection items data studies records references articles works documents docs".split()
)
_OUTER = frozenset("resultList message response".split())
_RECORDS = re.compile(rf'"(?:{"|".join(_LISTS | _OUTER | {eppi.CODE_SETS})})"\s*:\s*[\[{{]')
_BLANKS = re.compile(r"[\s\ufeff]*")
_NEXT_OBJECT = re.compile(r"\}\s*,\s*(?=\{)")
_NOT_DECODED = re.compile("[\udc80-\udcff]")
_MARGIN = 64  # characters before the end of what is read: an error there may only be the end
_DECODER = json.JSONDecoder(strict=False)  # control characters in texts are read

_ENDS = "the JSON breaks off here"

_Item = tuple[str, dict[str, Any]] | Rejection | Remark


def looks_like(head: bytes) -> bool:
    """Return whether a file starts with an array of objects, an answer that holds records, or an object over lines."""
    text = "\n".join(decode_head(head)).lstrip()
    if text.startswith("["):
        return re.match(r"\[\s*(?:[{\]]|\Z)", text) is not None
    if not text.startswith("{"):
        return False
    try:
        row, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        first, line_end, rest = text.partition("\n")
        if line_end:
            return not rest.lstrip().startswith("{")
        records = _RECORDS.search(first)
        return records is not None and '"title"' not in first[: records.start()]
    return "\n" in text[:end] or _is_answer(row)


def _is_answer(row: Any) -> bool:
    """Return whether an object is an answer that holds records, itself none."""
    if not isinstance(row, dict) or "title" in row:
        return False
    if isinstance(row.get(eppi.CODE_SETS), list):
        return True
    lists = (value for key, value in row.items() if key in _LISTS and isinstance(value, list))
    return any(all(isinstance(item, dict) for item in value) for value in lists) or any(
        isinstance(value, dict) for key, value in row.items() if key in _OUTER
    )


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records in order; an object that can't be used gives a Rejection with its number.

    Raises:
        SourceError: the document breaks off, is no JSON, or an object is too long.
    """
    window = _Window(stream, name)
    while window.find_mark():
        for item in _read_value(window):
            if isinstance(item, tuple):
                row = eppi.translate_reference(item[1], window.codes) if window.codes is not None else item[1]
                yield from read_object(row, name, item[0])
            else:
                yield item


def _read_value(window: _Window) -> Iterator[_Item]:
    """Yield the objects of the next array, or of an answer, or the next object itself.

    Raises:
        SourceError: as read.
    """
    if window.find_mark() == "[":
        yield from _read_array(window)
    elif window.find_mark() == "{":
        yield from _read_answer(window)
    else:
        raise SourceError(window.explain("expected an object or an array of objects"))


def _read_array(window: _Window) -> Iterator[_Item]:
    """Yield the objects of an array.

    Raises:
        SourceError: as read.
    """
    window.take_mark("[")
    while window.find_mark() != "]":
        yield from window.read_item()
        if window.find_mark() != "]":
            window.take_mark(",")
    window.take_mark("]")


def _read_answer(window: _Window) -> Iterator[_Item]:
    """Yield the objects of the list that an answer holds; without one, the object itself.

    Raises:
        SourceError: as read.
    """
    window.take_mark("{")
    row: dict[str, Any] = {}
    is_answer = False
    while window.find_mark() != "}":
        key = window.take_value()
        window.take_mark(":")
        mark = window.find_mark()
        is_list = mark == "[" and (key in _LISTS or (key == eppi.REFERENCES and window.codes is not None))
        if "title" not in row and (is_list or (key in _OUTER and mark == "{")):
            is_answer = True
            yield from _read_value(window)
        elif key == eppi.CODE_SETS and mark == "[":
            window.codes = eppi.read_codes(window.take_value())
        else:
            row[str(key)] = window.take_value()
        if window.find_mark() != "}":
            window.take_mark(",")
    window.take_mark("}")
    if not is_answer:
        window.n_items += 1
        yield f"record {window.n_items}", row


class _Window:
    """The part of a document that is being read."""

    def __init__(self, stream: io.BufferedReader, name: str) -> None:
        self.stream = stream
        self.name = name
        self.n_items = 0  # read so far
        self.text = ""
        self.place = 0  # in text, of what comes next
        self.is_whole = False  # no more to read
        self.codes: dict[Any, eppi.Code] | None = None  # of EPPI-Reviewer, if it wrote the document
        self.decoder = codecs.getincrementaldecoder(find_utf16(stream.peek()) or "utf-8")("surrogateescape")

    def read_more(self) -> None:
        """Read as much as there is in the window already, at least a chunk.

        Raises:
            SourceError: what is being read is too long.
        """
        self.text, self.place = self.text[self.place :], 0
        if len(self.text) > MAX_LINE:
            raise SourceError(f"{self.name}, record {self.n_items + 1}: longer than {MAX_LINE:,} characters")
        raw = self.stream.read(max(_CHUNK, min(len(self.text), MAX_LINE - len(self.text))))
        self.is_whole = not raw
        self.text += self.decoder.decode(raw, final=self.is_whole)

    def find_mark(self) -> str:
        """Return the next character that is not blank, without taking it; "" at the end."""
        while True:
            blanks = _BLANKS.match(self.text, self.place)
            self.place = blanks.end() if blanks else self.place
            if self.place < len(self.text) or self.is_whole:
                return self.text[self.place : self.place + 1]
            self.read_more()

    def take_mark(self, mark: str) -> None:
        """Take the next character.

        Raises:
            SourceError: it is another one, or the document ends.
        """
        if self.find_mark() != mark:
            raise SourceError(self.explain(f"expected {mark!r}"))
        self.place += 1

    def take_value(self) -> Any:
        """Take the next value.

        Raises:
            SourceError: it is no JSON or breaks off.
        """
        try:
            return self._decode_value()
        except (ValueError, RecursionError) as err:
            raise SourceError(self.explain(_describe(err))) from err

    def _decode_value(self) -> Any:
        """Take the next value, reading on until it is whole.

        Raises:
            JSONDecodeError: it is no JSON or breaks off.
            RecursionError: it is nested too deep.
        """
        self.find_mark()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.place)
            except json.JSONDecodeError as err:
                is_broken = err.pos < len(self.text) - _MARGIN and not err.msg.startswith("Unterminated")
                if self.is_whole or is_broken:
                    raise
            else:
                if end < len(self.text) or self.is_whole:  # a number may go on
                    self.place, start = end, self.place
                    self.last = self.text[start:end]
                    return value
            self.read_more()

    def read_item(self) -> Iterator[_Item]:
        """Yield the next item of an array, or why it can't be used; reading goes on at the next object.

        Raises:
            SourceError: the document breaks off in this item.
        """
        place = f"record {self.n_items + 1}"
        try:
            value = self._decode_value()
        except (ValueError, RecursionError) as err:
            while (match := _NEXT_OBJECT.search(self.text, self.place)) is None:
                if self.is_whole:
                    raise SourceError(f"{self.name}, {place}: {_ENDS} ({_describe(err)}). {AGAIN}") from err
                self.read_more()
            self.place = match.end()
            self.place = self.text.rindex(",", 0, self.place)
            self.n_items += 1
            yield Rejection(self.name, place, f"not JSON ({_describe(err)})")
            return
        self.n_items += 1
        if not self.last.isascii() and _NOT_DECODED.search(self.last):
            yield Remark(NOT_UTF8, place)
            value = json.loads(decode(self.last.encode("utf-8", "surrogateescape"))[0], strict=False)
        if isinstance(value, dict):
            yield place, value
        else:
            yield Rejection(self.name, place, f"a JSON {type(value).__name__}, expected an object")

    def explain(self, reason: str) -> str:
        """Return the message for a document that can't be read on."""
        if not self.find_mark():
            return f"{self.name}, record {self.n_items + 1}: {_ENDS}. {AGAIN}"
        start = self.text[self.place : self.place + 20]
        return f"{self.name}: not JSON after record {self.n_items}, found {start!r} ({reason})"


def _describe(err: Exception) -> str:
    """Return what the json module found wrong."""
    return str(getattr(err, "msg", "nested too deep, or a number too long"))
