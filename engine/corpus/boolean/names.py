"""Terms that are whole names: headings, types, authors, journals, years and ids."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.corpus.boolean.tags import SearchField
from engine.corpus.boolean.tree import SearchTerm
from engine.corpus.boolean.values import read_years
from engine.corpus.selection.clauses import (
    WITHOUT_ABSTRACT,
    select_authors,
    select_keys,
    select_languages,
    select_names,
    select_outer_authors,
    select_years,
)
from engine.corpus.selection.meshtree import MeshTree
from engine.corpus.storage.docsets import DocSet, Not, Some
from engine.corpus.storage.store import Corpus
from engine.corpus.words.folding import split_words
from engine.errors import UsageError
from engine.identifiers import strip_doi, strip_pmid

_MOST_WORDS = 8  # of a heading whose words may stand in another order
_Selection = tuple[DocSet | None, Sequence[str]]  # the records, and notes
_SKIPPED = frozenset(
    "a an and de der des die do du et for fur in la le of on the und".split()
)  # in abbreviated journals


def select_named(field: SearchField, term: SearchTerm, tree: MeshTree | None, corpus: Corpus) -> _Selection:
    """Return the records with a term as a whole name in a field, and notes for people.

    Raises:
        UsageError: an author without a word, or with too many.
    """
    text = term.text.strip()
    if field in (SearchField.EXPLODED, SearchField.HEADING):
        heading = _find_heading(text, corpus)
        notes = () if heading == text else (f"{text[:80]!r} was read as the heading {heading!r}",)
        if field is SearchField.HEADING:
            return select_names("mesh", [heading]), notes
        selected, more = _select_exploded(heading, tree)
        return selected, (*notes, *more)
    if field is SearchField.TYPE:
        return select_names("type", [text]), ()
    if field is SearchField.LANGUAGE:
        return select_languages([text]), ()
    if field is SearchField.JOURNAL:
        return select_names("journal", [text, *_find_journals(text, corpus)]), ()
    if field is SearchField.AUTHOR:
        return select_authors([text]), ()
    if field in (SearchField.FIRST_AUTHOR, SearchField.LAST_AUTHOR):
        return select_outer_authors(text, first=field is SearchField.FIRST_AUTHOR), ()
    if field is SearchField.YEAR:
        years = read_years(text)
        return (select_years([years]), ()) if years else (None, ())
    if field is SearchField.HAS_ABSTRACT:
        return Not(WITHOUT_ABSTRACT), ()
    strip, column = (strip_pmid, "pmid") if field is SearchField.PMID else (strip_doi, "doi")
    return select_keys(column, [strip(one) for one in re.split(r"[\s,]+", text) if one]), ()


def _find_heading(text: str, corpus: Corpus) -> str:
    """Return the heading of a corpus that a text names with its words in another order: Arthritis, Rheumatoid."""
    words = text.split()
    if not 2 <= len(words) <= _MOST_WORDS or "," in text:
        return text
    turned = [f"{' '.join(words[place:])}, {' '.join(words[:place])}" for place in range(1, len(words))]
    marks = ", ".join("?" * (len(turned) + 1))
    rows = corpus.read_each(f"SELECT value FROM terms WHERE kind = 'mesh' AND value IN ({marks})", text, *turned)
    found = [str(value) for part in rows for (value,) in part]
    is_known = any(value.lower() == text.lower() for value in found)
    return text if is_known or not found else min(found)


def _select_exploded(text: str, tree: MeshTree | None) -> _Selection:
    """Return the records with a heading or one below it; without a tree, with the heading itself, and no note."""
    alone = select_names("mesh", [text])
    if tree is None:
        return alone, ()
    if "*" in text:
        return alone, (f"{text[:80]!r} stands for the headings spelled so, without those below them",)
    try:
        return Some((alone, select_names("mesh", tree.list_headings_below(text)))), ()
    except UsageError as err:
        return alone, (str(err),)


def _find_journals(text: str, corpus: Corpus) -> list[str]:
    """Return the names of journals that a text abbreviates: its words begin theirs, in order; articles don't count."""
    parts = split_words(text)
    rows = corpus.read_each("SELECT value FROM terms WHERE kind = 'journal' AND value LIKE ?", f"%{parts[0][:1]}%")
    names = {str(value) for found in rows for (value,) in found}
    return [name for name in sorted(names) if _is_abbreviation(parts, name)]


def _is_abbreviation(parts: Sequence[str], name: str) -> bool:
    """Return whether words abbreviate the words of a name, one for one."""
    words = [word for word in split_words(name) if word not in _SKIPPED]
    short = [part for part in parts if part not in _SKIPPED]
    pairs = zip(words, short, strict=True) if len(words) == len(short) else ()
    return bool(short) and len(words) == len(short) and all(word.startswith(part) for word, part in pairs)
