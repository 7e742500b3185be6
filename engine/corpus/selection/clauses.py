"""SELECT statements, one for each filter. User input is bound, a list of values as one JSON array.

Names and texts are compared as a whole, ignoring the case of ASCII letters, also as a PDF may have spelled them; *
matches any characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.corpus.selection.languages import list_spellings
from engine.corpus.selection.spellings import list_copied_spellings
from engine.corpus.storage.docsets import InYears, Selected, Some, WithTerms
from engine.corpus.storage.store import SPACES
from engine.corpus.storage.values import bind_text, dump_json_array
from engine.errors import UsageError

LEAST, MOST = -(2**63), 2**63 - 1  # range of SQLite's INTEGER
_MAX_WORDS = 20  # of one author; both limits keep a statement below the million characters that SQLite accepts
_MAX_AUTHORS = 500
_BETWEEN_WORDS = re.compile(r"[\s,.\-]+")  # of names
LIKE = "LIKE v.value ESCAPE '!'"
_BLANK = f"trim({{column}}, char({', '.join(str(ord(space)) for space in SPACES)})) = ''"
BLANK_ABSTRACT = _BLANK.format(column="abstract")  # the same text as in the index abstracts_blank

RETRACTED = Selected("SELECT id FROM abstracts WHERE retracted")
WITHOUT_TITLE = Selected(f"SELECT id FROM abstracts WHERE {_BLANK.format(column='title')}")
WITHOUT_ABSTRACT = Selected(f"SELECT id FROM abstracts WHERE {BLANK_ABSTRACT}", array="without abstract")
_NO_FULL_TEXT = ("%pubmed.ncbi.nlm.nih.gov/%", "%ncbi.nlm.nih.gov/pubmed/%", "%doi.org/10.%")  # pages of the record
WITH_FULL_TEXT = Selected(
    "SELECT id FROM abstracts WHERE pmcid <> '' UNION ALL"
    " SELECT a.id FROM abstracts a CROSS JOIN json_each(a.urls) u WHERE a.urls <> '[]'"
    " AND NOT EXISTS (SELECT 1 FROM json_each(?) v WHERE u.value LIKE v.value)",
    (dump_json_array(_NO_FULL_TEXT),),
    "with full text",
)
WITH_NOTE = Selected("SELECT id FROM abstracts WHERE notes <> '[]'")
WITH_SOURCE = Selected(
    "SELECT c.doc_id AS id FROM sources s JOIN contributions c ON c.source_id = s.id"
    " UNION ALL SELECT c.doc_id FROM sources s JOIN contributions c ON c.spoken = s.id"
)


def select_years(ranges: Iterable[tuple[int | None, int | None]]) -> InYears:
    """Return the records of these years, both ends included, None for an open end; never a record without a year."""
    spans = ((LEAST if low is None else low, MOST if high is None else high) for low, high in ranges)
    return InYears(tuple((max(low, LEAST), min(high, MOST)) for low, high in spans if low <= MOST and high >= LEAST))


def select_names(kind: str, values: Iterable[str]) -> WithTerms:
    """Return the records with a term of this kind that equals one of the values."""
    exact, patterns = _split_patterns(list_copied_spellings(values))
    select = "SELECT t.id AS id FROM json_each(?) v CROSS JOIN terms t ON t.kind = ? AND t.value"
    return WithTerms(
        f"{select} = v.value UNION ALL {select} {LIKE}",
        (dump_json_array(exact), kind, dump_json_array(patterns), kind),
    )


def select_with_terms(kind: str) -> Selected:
    """Return the records with any term of this kind."""
    sql = "SELECT m.doc_id AS id FROM terms t JOIN members m ON m.term_id = t.id WHERE t.kind = ?"
    return Selected(sql, (kind,), f"with {kind}")


def select_authors(values: Sequence[str]) -> Some:
    """Return the records with an author who matches one of the values: each word of it begins a word of the name.

    Raises:
        UsageError: too many values.
    """
    if len(values) > _MAX_AUTHORS:
        raise UsageError(
            f"{len(values):,} authors were given, expected {_MAX_AUTHORS} at most. Filter by a file of ids instead"
        )
    return Some(tuple(_select_author(value) for value in list_copied_spellings(values)))


def _select_author(value: str) -> WithTerms:
    """Return the records with an author who matches a value: each word of it begins a word of the name.

    Raises:
        UsageError: no word, or too many.
    """
    words = sorted({word for word in _BETWEEN_WORDS.split(value) if word}, key=len, reverse=True)
    if not words or len(words) > _MAX_WORDS:
        problem = "has no word" if not words else f"has {len(words)} words, expected {_MAX_WORDS} at most"
        raise UsageError(
            f"the author {value[:60]!r} {problem}. Give the beginnings of the words of a name, for example: smith j"
        )
    split = "' ' || replace(replace(replace(value, ',', ' '), '-', ' '), '.', ' ')"
    authors = f"SELECT id, {split} AS words FROM terms WHERE kind = 'author' AND value LIKE ? ESCAPE '!'"
    conditions = " AND ".join(["t.words LIKE ? ESCAPE '!'"] * len(words))
    return WithTerms(
        f"SELECT t.id AS id FROM ({authors}) t WHERE {conditions}",
        (
            _build_pattern(f"*{words[0]}*"),
            *(_build_pattern(f"* {word}*") for word in words),
        ),  # the first pattern is cheap and excludes most names
    )


def select_outer_authors(value: str, *, first: bool) -> Selected:
    """Return the records whose first, or last, author matches a value, as `select_authors` does.

    Raises:
        UsageError: no word, or too many.
    """
    author = _select_author(value)
    words = [word for word in _BETWEEN_WORDS.split(value) if word]
    name = f"json_extract(a.authors, '$[{'0' if first else '#-1'}]')"
    split = f"' ' || replace(replace(replace({name}, ',', ' '), '-', ' '), '.', ' ')"
    conditions = " AND ".join([f"{split} LIKE ? ESCAPE '!'"] * len(words))
    return Selected(
        f"SELECT a.id AS id FROM ({author.sql}) s CROSS JOIN abstracts a ON a.id = s.id WHERE {conditions}",
        (*author.values, *(_build_pattern(f"* {word}*") for word in words)),
    )


def select_languages(values: Iterable[str]) -> WithTerms:
    """Return the records in one of these languages, in any spelling."""
    return select_names("language", [one for value in list_copied_spellings(values) for one in list_spellings(value)])


def select_sources(values: Iterable[str]) -> Selected:
    """Return the records that a file with such a name or format gave first or last."""
    select = f"SELECT c.doc_id AS id FROM json_each(?) v CROSS JOIN sources s ON s.name {LIKE} OR s.format {LIKE}"
    patterns = dump_json_array([_build_pattern(value) for value in list_copied_spellings(values)])
    return Selected(
        f"{select} CROSS JOIN contributions c ON c.source_id = s.id"
        f" UNION ALL {select} CROSS JOIN contributions c ON c.spoken = s.id",
        (patterns, patterns),
    )


def select_texts(column: str, values: Iterable[str]) -> Selected:
    """Return the records whose title or abstract equals one of the values, never a blank one. Reads the whole table."""
    return Selected(
        "WITH v AS MATERIALIZED (SELECT value FROM json_each(?))"
        f" SELECT a.id AS id FROM abstracts a CROSS JOIN v ON a.{column} {LIKE}"
        f" AND NOT {_BLANK.format(column=f'a.{column}')}",
        (dump_json_array([_build_pattern(value) for value in list_copied_spellings(values)]),),
    )


def select_notes(values: Iterable[str]) -> Selected:
    """Return the records with a note that contains one of the values. Reads all notes."""
    return Selected(
        f"SELECT a.id AS id FROM abstracts a CROSS JOIN json_each(a.notes) n CROSS JOIN json_each(?) v"
        f" WHERE a.notes <> '[]' AND n.value {LIKE}",
        (dump_json_array([_build_pattern(f"*{value}*") for value in list_copied_spellings(values)]),),
    )


def select_keys(column: str, values: Iterable[str]) -> Selected:
    """Return the records whose pmid, doi or record_id equals one of the values."""
    exact, patterns = _split_patterns(values)
    equal = f"SELECT id FROM abstracts WHERE {column} COLLATE NOCASE IN (SELECT value FROM json_each(?))"
    if column != "record_id":  # its index distinguishes case, so it is scanned
        equal = (
            f"SELECT a.id AS id FROM json_each(?) v CROSS JOIN abstracts a ON a.{column} IS NOT NULL"
            f" AND a.{column} = v.value{' COLLATE NOCASE' if column == 'doi' else ''}"
        )
    like = (
        f"SELECT a.id AS id FROM json_each(?) v CROSS JOIN abstracts a ON a.{column} IS NOT NULL AND a.{column} {LIKE}"
    )
    return Selected(f"{equal} UNION ALL {like}", (dump_json_array(exact), dump_json_array(patterns)))


def select_with_key(column: str) -> Selected:
    """Return the records that have a pmid, doi or record_id."""
    return Selected(f"SELECT id FROM abstracts WHERE {column} IS NOT NULL", array=f"with {column}")


def _split_patterns(values: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split values into those to compare as they are and, for those with a *, patterns for LIKE."""
    items = list(values)
    return [bind_text(v) for v in items if "*" not in v], [_build_pattern(v) for v in items if "*" in v]


def _build_pattern(value: str) -> str:
    """Return a pattern for LIKE with ESCAPE '!': * matches any characters, all others match themselves."""
    return re.sub(r"\*+", "%", re.sub(r"[%_!]", r"!\g<0>", bind_text(value)))
