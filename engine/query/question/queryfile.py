"""Files of queries: an id and a text a line, or the topics of TREC in SGML or XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from engine.errors import SourceError, UsageError
from engine.files import read_lines, read_text

_FLAGS = re.DOTALL | re.IGNORECASE
_MAX_TOPICS = 64 << 20  # bytes of a file of topics
_TOPIC = re.compile(
    r"<(?P<name>top|topic)\b(?P<attributes>[^>]*)>(?P<body>.*?)(?=</(?P=name)>|<top(?:ic)?\b|\Z)", _FLAGS
)
_NUMBER = re.compile(r"""\b(?:number|num|id|qid)\s*=\s*["'](?P<value>[^"']*)["']""", re.IGNORECASE)
_FIELD = re.compile(r"<(?P<name>\w[\w-]*)[^>]*>(?P<text>.*?)(?=<\w|</(?P=name)>|\Z)", re.DOTALL)
_LABEL = re.compile(r"\A\s*(?:Number|Title|Topic|Description|Narrative)\s*:", re.IGNORECASE)  # as TREC's SGML has them
_COMMENT = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\w[^>]*>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_TEXTS = ("title", "query", "summary")  # the field that is the text of a topic, the first that is there
_HEADERS = {"id", "qid", "query_id", "query-id", "queryid"}


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each line: JSON objects with id and text, or id and text with a tab between; gzip too.

    A header line and blank lines are skipped. A file that begins with "<" holds topics of TREC, in SGML or XML: the
    text of each is its title or query, else its summary, else all that it says. No id may occur twice.

    Raises:
        UsageError: the file can't be read, or a line has another form; the message gives its number.
    """
    seen: set[str] = set()
    for number, line in _read_query_lines(path):
        if not seen and line.lstrip().startswith("<"):
            yield from _read_topics(path)
            return
        query_id, text = _parse_json(line) if line.lstrip().startswith("{") else _parse_tabbed(line)
        if number == 1 and query_id.lower() in _HEADERS:
            continue
        if not query_id.isprintable() or not query_id or any(map(str.isspace, query_id)) or not text.strip():
            raise UsageError(f"{path}, line {number}: expected an id without blanks and a text, with a tab between")
        if query_id in seen:
            raise UsageError(f"{path}, line {number}: the id {query_id[:40]!r} is there twice, expected once")
        seen.add(query_id)
        yield query_id, text


def _read_query_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a file of queries.

    Raises:
        UsageError: it can't be read.
    """
    try:
        yield from read_lines(path)
    except SourceError as err:
        raise UsageError(f"{err}. Expected lines of id, tab, text, or JSON with id and text") from err


def _parse_json(line: str) -> tuple[str, str]:
    """Return id and text of a JSON object, under any of their usual names; "" for one that is missing."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", ""

    def first(*names: str) -> str:
        return next((str(found[name]) for name in names if isinstance(found.get(name), str | int)), "")

    return first("id", "_id", "query_id", "qid"), first("text", "query", "title")


def _parse_tabbed(line: str) -> tuple[str, str]:
    """Return id and text of a line with a tab between; both "" without a tab."""
    query_id, tab, text = line.rstrip("\r\n").partition("\t")
    return (query_id.strip(), text) if tab else ("", "")


def _read_topics(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of the topics of TREC in a file.

    Raises:
        UsageError: the file can't be read, holds no topic, or a topic has no number of its own or no text.
    """
    try:
        content = _COMMENT.sub(" ", read_text(path, _MAX_TOPICS))
    except SourceError as err:
        raise UsageError(f"{err}. Expected topics of TREC, as in <top> … </top>") from err
    seen: set[str] = set()
    for n, topic in enumerate(_TOPIC.finditer(content), 1):
        query_id, text = _parse_topic(topic["attributes"], topic["body"])
        if not query_id or any(map(str.isspace, query_id)) or not text:
            raise UsageError(f"{path}, topic {n}: expected a number, as <num> or number=, and a text, as <title>")
        if query_id in seen:
            raise UsageError(f"{path}, topic {n}: the number {query_id[:40]!r} is there twice, expected once")
        seen.add(query_id)
        yield query_id, text
    if not seen:
        raise UsageError(f"{path} begins with '<', but holds no topic, expected <top> … </top> or <topic> … </topic>")


def _parse_topic(attributes: str, body: str) -> tuple[str, str]:
    """Return number and text of a topic; each "" if it is missing. Fields of SGML need no end."""
    number = _NUMBER.search(attributes)
    fields = {"": _clean_field(body.partition("<")[0])}
    for field in _FIELD.finditer(body):
        fields.setdefault(field["name"].lower(), _clean_field(_LABEL.sub("", field["text"], count=1)))
    inside = [fields.pop(name, "") for name in ("num", "number")]
    query_id = _clean_field(number["value"]) if number else next(filter(None, inside), "")
    chosen = next((fields[name] for name in _TEXTS if fields.get(name)), "")
    return query_id, chosen or " ".join(text for text in fields.values() if text)


def _clean_field(text: str) -> str:
    """Return a text without tags and entities, white space as single blanks."""
    return " ".join(unescape(_TAG.sub(" ", text)).split())
