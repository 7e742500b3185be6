"""The terms that tell groups of texts apart, after class-based tf-idf (Grootendorst, arXiv:2203.05794).

A term is a word or a phrase of two or three words. Its weight in a group is p · log(p / q): p is the share of the texts
of the group that have it, q the share of all texts. These are the terms of the relative entropy (Kullback and Leibler,
Ann Math Stat 1951;22:79, doi:10.1214/aoms/1177729694). So words that every group has weigh nothing.
"""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from engine.corpus.words.folding import get_stemmer, locate_words, split_words
from engine.corpus.words.wording import is_stop_word
from engine.platform import lower_priority

_LONGEST = 3  # words of a phrase
_LEAST = 2  # texts of a group that have a term
_SHORT = 3  # letters of a word that may be a term alone
_FIXED = 0.6  # a phrase stands for a word of it that has so much of its weight from the phrase
_WRITTEN = 100  # texts that the spelling of a term is taken from
_FEW = 1_000  # texts that are named in less time than a process takes to start
_NICENESS = 10  # of the process: requests come first
_START = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import _send_names as run; run()"

_LOWER = 0.25  # share of lower case from which a term is written so
_RELATING = frozenset(
    "after among before between during following its may more over their under upon using versus via vs"
    " within without".split()
)  # words that relate others and name nothing

_Term = tuple[str, ...]  # stems


def name_groups(texts: Sequence[str], groups: Sequence[int], n_groups: int, n_terms: int) -> list[tuple[str, ...]]:
    """Return the terms of each group of texts, those of most weight first, as they are mostly written.

    The terms of a group have no word in common. A group with too few texts or no words of its own has fewer than
    n_terms, or none. A process of its own names many texts, so that other threads go on; where it fails, this one does.

    groups: of each text, 0 to n_groups - 1.
    """
    if len(texts) > _FEW:
        given = json.dumps([*map(list, (texts, groups)), n_groups, n_terms]).encode()
        command = [sys.executable, "-P", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _START, *sys.path]
        with contextlib.suppress(OSError, ValueError, subprocess.CalledProcessError):
            done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
            return [tuple(terms) for terms in json.loads(done.stdout)]
    return _name_here(texts, groups, n_groups, n_terms)


def _name_here(texts: Sequence[str], groups: Sequence[int], n_groups: int, n_terms: int) -> list[tuple[str, ...]]:
    """Return the terms of each group of texts."""
    read = [_read_stems(text) for text in texts]
    usual = {stem for stem, n in Counter(stem for stems in read for stem in set(stems)).items() if n >= _LEAST}
    counts = [Counter[_Term]() for _ in range(n_groups)]
    for stems, group in zip(read, groups, strict=True):
        counts[group].update(set(_list_terms(stems, usual)))
    whole: Counter[_Term] = Counter()
    for own in counts:
        whole.update(own)
    members: list[list[int]] = [[] for _ in range(n_groups)]
    for row, group in enumerate(groups):
        members[group].append(row)
    named = []
    for own, rows in zip(counts, members, strict=True):
        terms = _choose_terms(own, len(rows), whole, len(texts), n_terms)
        named.append(
            tuple(_write_term(term, [texts[row] for row in rows], [read[row] for row in rows]) for term in terms)
        )
    return named


def _send_names() -> None:
    """Run the process: name the groups that come by stdin, and send the names by stdout."""
    lower_priority(_NICENESS)
    sys.stdout.write(json.dumps(_name_here(*json.load(sys.stdin.buffer))))


def _read_stems(text: str) -> list[str]:
    """Return the stems of the words of a text, in order; "" for a word that no term has."""
    stem_word = get_stemmer().stem_word
    return ["" if _is_empty(word) else stem_word(word) for word in split_words(text)]


def _is_empty(word: str) -> bool:
    """Return whether a folded word names nothing."""
    return is_stop_word(word) or word in _RELATING or word.isdigit()


def _list_terms(stems: Sequence[str], usual: set[str]) -> Iterator[_Term]:
    """Yield the terms of a text whose words are all usual."""
    for start, first in enumerate(stems):
        if first not in usual or not first:
            continue
        if len(first) >= _SHORT:
            yield (first,)
        for end in range(start + 2, min(start + _LONGEST, len(stems)) + 1):
            if not stems[end - 1] or stems[end - 1] not in usual:
                break
            yield tuple(stems[start:end])


def _choose_terms(own: Counter[_Term], n: int, whole: Counter[_Term], n_whole: int, n_terms: int) -> list[_Term]:
    """Return the n_terms terms of most weight of a group of n texts; no two have a word in common."""
    weights = {
        term: count / n * math.log(count * n_whole / (n * whole[term]))
        for term, count in own.items()
        if count >= _LEAST and count * n_whole > n * whole[term]
    }
    chosen: list[_Term] = []
    used: set[str] = set()
    for term in sorted(weights, key=lambda term: (-weights[term], term)):
        if len(chosen) == n_terms:
            break
        if used.isdisjoint({*term, "".join(term)}):  # post-traumatic is posttraumatic
            longer = _find_phrase(term, weights, used)
            chosen.append(longer)
            used |= {*longer, "".join(longer)}
    return chosen


def _find_phrase(term: _Term, weights: dict[_Term, float], used: set[str]) -> _Term:
    """Return the phrase that a term mostly occurs in, without words that are used; the term itself if there is none."""
    holding = [
        longer
        for longer in weights
        if len(longer) > len(term)
        and any(longer[at : at + len(term)] == term for at in range(len(longer) - len(term) + 1))
        and weights[longer] >= _FIXED * weights[term]
        and used.isdisjoint(longer)
    ]
    return max(holding, key=lambda longer: (len(longer), weights[longer], longer), default=term)


def _write_term(term: _Term, texts: Sequence[str], read: Sequence[Sequence[str]]) -> str:
    """Return a term as the texts mostly write it."""
    forms: Counter[str] = Counter()
    for text, stems in zip(texts, read, strict=True):
        starts = [at for at, stem in enumerate(stems) if stem == term[0] and (*stems[at : at + len(term)],) == term]
        if starts:
            spans = [span for _, span in locate_words(text)]
            forms.update(text[spans[at][0] : spans[at + len(term) - 1][1]] for at in starts)
        if forms.total() >= _WRITTEN:
            break
    by_case: Counter[str] = Counter()
    for form, count in forms.items():
        by_case[form.casefold()] += count
    best = max(by_case, key=lambda folded: (by_case[folded], folded))
    spellings = Counter({form: count for form, count in forms.items() if form.casefold() == best})
    return _choose_case(spellings)


def _choose_case(forms: Counter[str]) -> str:
    """Return one of several forms that differ in case: the most frequent; in lower case if it only begins sentences."""
    form = max(forms, key=lambda form: (forms[form], form))
    begins = all(word[1:] == word[1:].lower() for word in form.split())
    return form.lower() if begins and forms[form.lower()] >= _LOWER * forms.total() else form
