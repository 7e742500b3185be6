"""The wanted terms of a Boolean search, as they rank: by words, and as a text for the encoder."""

from __future__ import annotations

from collections.abc import Iterator

from engine.corpus.boolean.matching import build_test, cut_beginning, has_wildcard
from engine.corpus.boolean.tags import WORD_FIELDS, SearchField
from engine.corpus.boolean.tree import Search, SearchTerm
from engine.corpus.boolean.values import MANY, MAYBE
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import Term, Wording

_MAX_TERMS = 1_000  # that rank
_MAX_TRUNCATED = 32
_MAX_ENDINGS = 20  # words that rank for one with a wildcard inside
_HEADINGS = frozenset((SearchField.HEADING, SearchField.EXPLODED))


def build_wording(search: Search, words: WordIndex) -> tuple[Wording, tuple[str, ...]]:
    """Return the wording that ranks the records of a search, and the note on terms that don't rank.

    Its terms are those that records should have, none of them required, since the search itself decides what is found.
    Only words and headings rank, unless there is nothing else. A truncated word is read by the encoder as the most
    frequent word that it stands for.
    """
    wanted = search.list_wanted()
    ranking = [term for term in wanted if (WORD_FIELDS | _HEADINGS) & set(term.fields)] or list(wanted)
    terms: dict[tuple[str, bool, bool], Term] = {}
    texts: dict[str, str] = {}
    n_truncated = 0
    for term in ranking[:_MAX_TERMS]:
        spoken, found = _read_term(term, words)
        texts.setdefault(spoken.lower(), spoken)
        for one in found:
            n_truncated += one.prefix
            if not one.prefix or n_truncated <= _MAX_TRUNCATED:
                terms.setdefault((one.text.lower(), one.in_title, one.prefix), one)
    notes = []
    if len(ranking) > _MAX_TERMS or n_truncated > _MAX_TRUNCATED:
        notes = [
            f"all terms decide what is found, but only the first {_MAX_TERMS:,} terms and {_MAX_TRUNCATED} truncated "
            "words rank it"
        ]
    return Wording(tuple(terms.values()), (), (), " ".join(texts.values())), tuple(notes)


def _read_term(term: SearchTerm, words: WordIndex) -> tuple[str, list[Term]]:
    """Return a term as a text for the encoder, and the terms that rank for it."""
    in_title = set(term.fields) == {SearchField.TITLE}
    if _HEADINGS & set(term.fields):
        return _split_inverted(term.text), [Term(word) for word in term.words if not has_wildcard(word)]
    if not any(map(has_wildcard, term.words)):
        return term.text.strip("\"' .,;"), [Term(" ".join(term.words), in_title)]
    *before, last = term.words
    stem = last.rstrip(MANY + MAYBE)
    if not any(map(has_wildcard, (*before, stem))) and len(stem) > 2:
        spoken = next((word for word, _ in words.list_words(stem)), stem)
        return " ".join([*before, spoken]), [Term(" ".join([*before, stem]), in_title, prefix=True)]
    endings = [list(_list_endings(word, words)) for word in term.words]
    text = " ".join(some[0] for some in endings if some)
    if len(term.words) > 1:
        return text, [Term(some[0], in_title) for some in endings if some]
    return text, [Term(word, in_title) for word in endings[0][:_MAX_ENDINGS]]


def _list_endings(word: str, words: WordIndex) -> Iterator[str]:
    """Yield the words of the index that a word with a wildcard stands for, the most frequent first."""
    if not has_wildcard(word):
        yield word
        return
    test = build_test(word)
    yield from (one for one, _ in words.list_words(cut_beginning(word)) if test(one))


def _split_inverted(heading: str) -> str:
    """Return a heading as it is said: Arthritis, Rheumatoid is Rheumatoid Arthritis."""
    first, comma, second = heading.partition(", ")
    return f"{second} {first}" if comma and "," not in second and " and " not in heading.lower() else heading
