"""Search by words: BM25 over titles and abstracts, what must and must not occur, and where words occur."""

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

_BM25 = "bm25(words, 2.0, 1.0)"  # a word of the title counts twice; k1 = 1.2, b = 0.75; FTS5 gives it negated
OPEN, CLOSE = "\x01", "\x02"  # around what is found
_SPACED = str.maketrans(dict.fromkeys("\0" + OPEN + CLOSE, " "))  # no words either; FTS5 ends a text at a NUL
MARK = re.compile(f"[{OPEN}{CLOSE}]")


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Which terms of a query occur in a record, and where."""

    words: tuple[str, ...]  # as written
    title: tuple[Span, ...]  # ascending, apart from each other
    abstract: tuple[Span, ...]


def rank_words(
    corpus: Corpus, wording: Wording, top_k: int, among: DocIds | None = None
) -> tuple[list[tuple[int, float]], int]:
    """The best (doc id, BM25), best first, ties by doc id; and how many match in all.

    A record matches that holds a plain or required term, every required and no excluded one, and that is in among
    (ascending), if given. BM25 is above 0 and that of all records, whatever among is. Shorter than top_k where fewer
    match.
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
    found = [(int(row[0]), -float(row[1])) for row in corpus.read_rows(sql, *values, top_k)]
    if len(found) < top_k:
        return found, len(found)
    # A count of its own computes no BM25; one beside the scores would make SQLite keep and sort all of them.
    return found, int(corpus.read_rows(f"SELECT count(*) FROM words WHERE {where}", *values)[0][0])


def find_allowed(corpus: Corpus, wording: Wording) -> DocIds | None:
    """The doc ids, ascending, of the records that hold every required and no excluded term; None: all may be hits."""
    if not wording.is_constrained:
        return None
    if wording.required:
        wheres, values = _build_constraints(replace(wording, required=()))
        sql = f"SELECT rowid FROM words WHERE {' AND '.join(['words MATCH ?', *wheres])}"
        values.insert(0, _join_all(wording.required))
    else:
        wheres, values = _build_constraints(wording, "id")
        sql = f"SELECT id FROM abstracts WHERE {wheres[0]}"  # unordered, SQLite need not read the texts
    return np.sort(np.array([row[0] for row in corpus.read_rows(sql, *values)], dtype=np.int64))


def _build_constraints(wording: Wording, key: str = "+rowid") -> tuple[list[str], list[str]]:
    """SQL conditions for what must and must not occur, with their values.

    The plus keeps SQLite from asking FTS5 for one row at a time, which would begin BM25 anew for each.
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
    """FTS5 expression for records that hold one of the terms."""
    return " OR ".join(map(_format_term, terms))


def _join_all(terms: Iterable[Term]) -> str:
    """FTS5 expression for records that hold every one of the terms."""
    return " AND ".join(map(_format_term, terms))


def _format_term(term: Term) -> str:
    """A term in the language of FTS5."""
    either = " OR ".join(find_beginnings(term.text)) if term.prefix else quote_phrase(term.text)
    return f"title : ({either})" if term.in_title else f"({either})"


def find_occurrences(corpus: Corpus, wording: Wording, doc_ids: Sequence[int]) -> dict[int, Occurrences]:
    """Where the plain and required terms of a query occur, by doc id; an unknown id is missing.

    The few texts are indexed once more, in memory: that is faster than to ask the whole index for each, and works for
    any format.
    """
    sql = "SELECT id, title, abstract FROM abstracts WHERE id IN (SELECT value FROM json_each(?))"
    rows = [tuple(row) for row in corpus.read_rows(sql, json.dumps([int(doc_id) for doc_id in doc_ids]))]
    found = {doc_id: Occurrences((), (), ()) for doc_id, _, _ in rows}
    if not wording.has_words:
        return found
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE VIRTUAL TABLE words USING fts5(title, abstract, tokenize='{STEMMED}')")
        spaced = ((doc_id, title.translate(_SPACED), abstract.translate(_SPACED)) for doc_id, title, abstract in rows)
        db.executemany("INSERT INTO words (rowid, title, abstract) VALUES (?, ?, ?)", spaced)
        words: dict[int, dict[str, None]] = {doc_id: {} for doc_id in found}
        for term in wording.wanted:
            for (doc_id,) in db.execute("SELECT rowid FROM words WHERE words MATCH ?", (_format_term(term),)):
                words[doc_id][term.written] = None
        marked = f"highlight(words, 0, '{OPEN}', '{CLOSE}'), highlight(words, 1, '{OPEN}', '{CLOSE}')"
        sql = f"SELECT rowid, {marked} FROM words WHERE words MATCH ?"
        for doc_id, title, abstract in db.execute(sql, (_join_any(wording.wanted),)):
            found[doc_id] = Occurrences(tuple(words[doc_id]), _find_spans(title), _find_spans(abstract))
    return found


def _find_spans(marked: str) -> tuple[Span, ...]:
    """Where the marks are, in characters of the text without them."""
    places = [match.start() - i for i, match in enumerate(MARK.finditer(marked))]
    return tuple(zip(places[::2], places[1::2], strict=True))
