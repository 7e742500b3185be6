"""Keyword search: BM25 over titles and abstracts, required and excluded terms, and where terms occur."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from engine.corpus.storage.store import Corpus
from engine.corpus.words.truncation import find_beginnings
from engine.corpus.words.wording import STEMMED, Term, Wording, quote_phrase
from engine.records.answer import Span
from engine.records.generation import DocIds

_BM25 = "bm25(words, 2.0, 1.0)"  # title words count twice; k1 = 1.2, b = 0.75; FTS5 returns it negated
OPEN, CLOSE = "\x01", "\x02"  # marks around each match
_SPACED = str.maketrans(dict.fromkeys("\0" + OPEN + CLOSE, " "))  # FTS5 ends a text at a NUL
MARK = re.compile(f"[{OPEN}{CLOSE}]")


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The terms of a query that occur in a record, with their positions."""

    words: tuple[str, ...]  # as written
    title: tuple[Span, ...]  # ascending, not overlapping
    abstract: tuple[Span, ...]


def rank_words(
    corpus: Corpus, wording: Wording, top_k: int, among: DocIds | None = None
) -> tuple[list[tuple[int, float]], int]:
    """Return the best (doc id, BM25), best first, ties by doc id, and the number of all matches.

    A record matches if it has a plain or required term, every required and no excluded term, and is in `among`
    (ascending), if given. BM25 is above 0; its statistics come from all records, whatever `among` is. Shorter than
    top_k if fewer match.
    """
    if not wording.has_words:
        return [], 0
    wheres, values = _build_constraints(wording)
    wheres.insert(0, "words MATCH ?")
    values.insert(0, _join_any(wording.wanted))
    if among is not None:
        wheres.append("+rowid IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(among.tolist()))
    where = " AND ".join(wheres)
    sql = f"SELECT rowid, {_BM25} AS score FROM words WHERE {where} ORDER BY score, rowid LIMIT ?"
    hits = [(int(row[0]), -float(row[1])) for row in corpus.read_rows(sql, *values, top_k)]
    if len(hits) < top_k:
        return hits, len(hits)
    # A separate count computes no BM25; counting in the first query would make SQLite score and sort all matches.
    return hits, int(corpus.read_rows(f"SELECT count(*) FROM words WHERE {where}", *values)[0][0])


def find_allowed(corpus: Corpus, wording: Wording) -> DocIds | None:
    """Return the doc ids, int64 ascending, of the records with every required and no excluded term.

    None if the wording has neither: every record is allowed.
    """
    if not wording.is_constrained:
        return None
    if wording.required:
        wheres, values = _build_constraints(replace(wording, required=()))
        sql = f"SELECT rowid FROM words WHERE {' AND '.join(['words MATCH ?', *wheres])}"
        values.insert(0, _join_all(wording.required))
    else:
        wheres, values = _build_constraints(wording, "id")
        sql = f"SELECT id FROM abstracts WHERE {wheres[0]}"  # without ORDER BY, SQLite need not read the texts
    return np.sort(np.array([row[0] for row in corpus.read_rows(sql, *values)], dtype=np.int64))


def _build_constraints(wording: Wording, key: str = "+rowid") -> tuple[list[str], list[str]]:
    """Return SQL conditions for required and excluded terms, with their values.

    The plus keeps SQLite from querying FTS5 for one row at a time, which would restart BM25 for each.
    """
    wheres, values = [], []
    matching = "(SELECT rowid FROM words WHERE words MATCH ?)"
    if wording.required:
        wheres.append(f"{key} IN {matching}")
        values.append(_join_all(wording.required))
    if wording.excluded:
        wheres.append(f"{key} NOT IN {matching}")
        values.append(_join_any(wording.excluded))
    return wheres, values


def _join_any(terms: Iterable[Term]) -> str:
    """Return the FTS5 expression for records with at least one of the terms."""
    return " OR ".join(map(_format_term, terms))


def _join_all(terms: Iterable[Term]) -> str:
    """Return the FTS5 expression for records with all of the terms."""
    return " AND ".join(map(_format_term, terms))


def _format_term(term: Term) -> str:
    """Return the FTS5 expression for a term."""
    phrases = " OR ".join(find_beginnings(term.text)) if term.prefix else quote_phrase(term.text)
    return f"title : ({phrases})" if term.in_title else f"({phrases})"


def find_occurrences(corpus: Corpus, wording: Wording, doc_ids: Sequence[int]) -> dict[int, Occurrences]:
    """Find where the plain and required terms of a query occur, by doc id; an unknown id is missing.

    The few texts are indexed again in memory, which is faster than querying the whole index for each of them.
    """
    sql = "SELECT id, title, abstract FROM abstracts WHERE id IN (SELECT value FROM json_each(?))"
    rows = [tuple(row) for row in corpus.read_rows(sql, json.dumps([int(doc_id) for doc_id in doc_ids]))]
    occurrences = {doc_id: Occurrences((), (), ()) for doc_id, _, _ in rows}
    if not wording.has_words:
        return occurrences
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE VIRTUAL TABLE words USING fts5(title, abstract, tokenize='{STEMMED}')")
        spaced = ((doc_id, title.translate(_SPACED), abstract.translate(_SPACED)) for doc_id, title, abstract in rows)
        db.executemany("INSERT INTO words (rowid, title, abstract) VALUES (?, ?, ?)", spaced)
        words: dict[int, dict[str, None]] = {doc_id: {} for doc_id in occurrences}
        for term in wording.wanted:
            for (doc_id,) in db.execute("SELECT rowid FROM words WHERE words MATCH ?", (_format_term(term),)):
                words[doc_id][term.written] = None
        marked = f"highlight(words, 0, '{OPEN}', '{CLOSE}'), highlight(words, 1, '{OPEN}', '{CLOSE}')"
        sql = f"SELECT rowid, {marked} FROM words WHERE words MATCH ?"
        for doc_id, title, abstract in db.execute(sql, (_join_any(wording.wanted),)):
            occurrences[doc_id] = Occurrences(tuple(words[doc_id]), _find_spans(title), _find_spans(abstract))
    return occurrences


def _find_spans(marked: str) -> tuple[Span, ...]:
    """Return the spans between the marks, in characters of the text without marks."""
    places = [match.start() - i for i, match in enumerate(MARK.finditer(marked))]
    return tuple(zip(places[::2], places[1::2], strict=True))
