"""The words of one generation, by tantivy: which records have them, and how well they match (BM25).

Three fields of a record, all of folded words:

    stems  the stems of title, title again, and abstract: a word of the title counts twice
    text   the words as written of title, title again, and abstract, with their places; no phrase crosses from one to
           the next
    title  the words of the title as written, with their places

A word without an operator ranks by its stem; words joined by hyphens, and phrases that may occur, as written or by the
stems of their parts, whichever is more. Whatever has an operator is looked up as written: required and excluded words,
phrases, words of the title, truncated words.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.corpus.words.folding import get_stemmer, is_kept, split_words
from engine.corpus.words.wording import Term, Wording, choose_parts
from engine.deadline import CURRENT
from engine.errors import CorpusError, CorruptError, UsageError
from engine.platform import has_symbolic_links
from engine.records.generation import DocIds

if TYPE_CHECKING:
    import tantivy

_Hits = Sequence[tuple[Any, Any]]  # score, or value that is ordered by, and place in the index, best first
ID, TITLE, TEXT, STEMS = "id", "title", "text", "stems"  # fields
LOCKS = (".tantivy-writer.lock", ".tantivy-meta.lock")  # that tantivy leaves in a folder
_BEYOND, _NEXT = 24, 8  # hits fetched at first beyond the wanted ones, and how many times as many then
_SET = 20_000  # doc ids that tantivy is given as a filter; among more, hits are fetched and compared
_PAGE = 1_000_000  # doc ids listed at a time
_LINKED = "in"  # link to the folder of the files, in the temporary folder
_TRIES, _PAUSE = 1000, 0.002  # to delete a folder, with seconds between
_DIGITS = 5  # of a BM25; the last bits depend on the order in which tantivy adds
_K1 = 1.2  # of the BM25 of tantivy
_VARIANTS = 50  # words of a truncated one that rank, the most frequent; further ones only match
_COUNTED = 10_000  # records of a word that are counted one by one, in 0.2 ms
_PHRASE, _PHRASES = 1024, 8  # words that are compared in order at once, and times that is done for a text
_OTHER_VARIANTS = 0.01  # score of a record that only has further ones


class WordIndex:
    """The words of a published generation. Safe to use from several threads; stays readable if its files are deleted.

    The folder is only read: tantivy would leave lock files in it, so it is opened through links in a temporary folder.
    """

    def __init__(self, path: Path) -> None:
        """Open the folder `words` of a generation.

        Raises:
            CorruptError: missing or unreadable.
            CorpusError: there is no place for the temporary folder.
        """
        self.path = path
        with self.guard_reading():
            names = [name for name in os.listdir(path) if name not in LOCKS]
        with _link_files(path.absolute(), names) as links, self.guard_reading():
            index = _open_files(links)
            self.schema = index.schema
            self.searcher = index.searcher()
            self.size = int(self.searcher.num_docs)

    @contextlib.contextmanager
    def guard_reading(self) -> Iterator[None]:
        """Turn the errors of tantivy, panics of Rust included, into ours.

        Raises:
            UsageError: a truncated phrase has too many endings.
            CorruptError: anything else.
        """
        try:
            yield
        except (ValueError, RuntimeError, OSError) as err:
            if "max expansions" in str(err):
                raise UsageError(
                    "the last word of a truncated phrase has more endings than can be looked up. Write more letters "
                    "before the star"
                ) from err
            raise CorruptError(f"{self.path} can't be read as an index of words ({err}). Run: engine verify") from err
        except BaseException as err:
            if type(err).__name__ != "PanicException":
                raise
            raise CorruptError(f"{self.path} is a damaged index of words ({err}). Run: engine verify") from err

    def rank(
        self, wording: Wording, top_k: int, among: DocIds | None = None, *, count: bool = True
    ) -> tuple[list[tuple[int, float]], int]:
        """Return the best (doc id, BM25), best first, ties by doc id, and the number of all matches.

        A record matches if it has a plain or required term, every required and no excluded term, and is in `among`
        (ascending), if given. BM25 is above 0, to five digits; its statistics come from all records, whatever `among`
        is, and count deleted ones until their words are merged. The order does not depend on top_k. Shorter than top_k
        if fewer match.

        count: without it, the number may be 0 although there are matches.

        Raises:
            UsageError: a truncated phrase has too many endings.
            BusyError: the deadline of the request has passed.
        """
        query = self._build_query(wording)
        if query is None or not self.size:
            return [], 0
        limit = max(0, top_k) + _BEYOND
        if among is not None and len(among) > _SET:
            limit = math.ceil(limit * max(1.0, self.size / len(among)))
            n_matching = int(_find_members(self._list_ids(query), among).sum()) if count else 0
            return self._take_best(query, limit, self._search(query, limit)[0], top_k, among), n_matching
        if among is not None:
            query = self._restrict(query, among)
        first, n_matching = self._search(query, limit, count=count)
        return self._take_best(query, limit, first, top_k, None), n_matching

    def count_records(self, term: Term) -> int:
        """Return the number of records in which a term occurs as written.

        Raises:
            UsageError: a truncated phrase has too many endings.
            BusyError: the deadline of the request has passed.
        """
        return self._search(self._build_filter(term), 1, count=True)[1]

    def compute_highest(self, wording: Wording, n: int) -> float:
        """Return the highest BM25 that the n rarest words of a wording could give a record; above 0."""
        stem_word, searcher = get_stemmer().stem_word, self.searcher
        stems = {stem_word(word) for term in wording.wanted if not term.prefix for word in split_words(term.text)}
        with self.guard_reading():
            weights = sorted((self._weigh(searcher.doc_freq(STEMS, stem)) for stem in stems), reverse=True)
        return (_K1 + 1) * (sum(weights[:n]) or self._weigh(1))

    def find_allowed(self, wording: Wording) -> DocIds | None:
        """Return the doc ids, int64 ascending, of the records with every required and no excluded term.

        None if the wording has neither: every record is allowed.

        Raises:
            UsageError: a truncated phrase has too many endings.
            BusyError: the deadline of the request has passed.
        """
        if not wording.is_constrained:
            return None
        from tantivy import Occur, Query

        required = [self._build_filter(term) for term in wording.required]
        excluded = [self._build_filter(term) for term in wording.excluded]
        if not required:
            return np.setdiff1d(self.read_ids(), self._list_ids(Query.boolean_query(_join(Occur.Should, excluded))))
        return self._list_ids(Query.boolean_query(_join(Occur.Must, required) + _join(Occur.MustNot, excluded)))

    def list_matches(self, query: tantivy.Query) -> DocIds:
        """Return the doc ids, int64 ascending, of the records that a query finds.

        Raises:
            UsageError: a truncated phrase has too many endings.
            BusyError: the deadline of the request has passed.
        """
        return self._list_ids(query)

    def is_without_match(self, query: tantivy.Query) -> bool:
        """Return whether a query finds no record.

        Raises:
            UsageError, BusyError: as `list_matches`.
        """
        return not self.size or not self._search(query, 1)[0]

    def list_words(self, beginning: str) -> list[tuple[str, int]]:
        """Return the words with a beginning and the number of records with each, the most frequent first."""
        with self.guard_reading():
            found = self.searcher.terms_with_prefix(TEXT, beginning)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def read_ids(self) -> DocIds:
        """Return all doc ids, int64 ascending."""
        from tantivy import Query

        return self._list_ids(Query.all_query())

    def count_words(self, field: str, beginning: str) -> list[tuple[str, int]]:
        """Return the words of a field with this beginning, each with the number of records that have it."""
        from tantivy import Query

        with self.guard_reading():
            return self.searcher.terms_with_prefix(field, beginning, filter_query=Query.all_query())

    def count_others(self, field: str, characters: Collection[str]) -> int:
        """Return the number of records with a word of a field that begins with none of these characters."""
        from tantivy import Query

        pattern = f"[^{''.join(characters)}].*" if characters else ".*"  # letters, digits and marks
        return self._search(Query.regex_query(self.schema, field, pattern), 1, count=True)[1]

    def weigh_stem(self, stem: str) -> float:
        """Return the inverse document frequency of a stem; one that no record holds, as "", has the highest.

        The number of records is exact up to _COUNTED; above, deleted records count until they are merged away.
        """
        if not stem or not self.size:
            return self._weigh(0)
        with self.guard_reading():
            n = self.searcher.doc_freq(STEMS, stem)
        return self._weigh(self._search(self._find_words(STEMS, [stem]), 1, count=True)[1] if n <= _COUNTED else n)

    def weigh_share(self, share: float) -> float:
        """Return the inverse document frequency of a word that is in this share of the records."""
        return self._weigh(int(share * self.size))

    def count_holding(self, stems: Sequence[str], prefixes: Sequence[str] = (), among: DocIds | None = None) -> int:
        """Return the number of records, of those in `among` (ascending) if given, that hold all stems and beginnings.

        Without any, the number is 0.

        Raises:
            BusyError: the deadline of the request has passed.
        """
        from tantivy import Occur, Query

        wanted = [self._find_words(STEMS, [stem]) for stem in stems]
        wanted += [self._build_filter(Term(prefix, prefix=True)) for prefix in prefixes]
        if not wanted or not self.size or (among is not None and not len(among)):
            return 0
        query = Query.boolean_query(_join(Occur.Must, wanted))
        if among is None:
            return self._search(query, 1, count=True)[1]
        if len(among) > _SET:
            return int(_find_members(self._list_ids(query), among).sum())
        return self._search(self._restrict(query, among), 1, count=True)[1]

    def has_text(self, doc_id: int, title: str, abstract: str) -> bool:
        """Return whether a record has these words in this order; of a very long text, some parts are compared."""
        from tantivy import Occur, Query

        fields = ((TITLE, split_words(title)), (TEXT, split_words(title)), (TEXT, split_words(abstract)))
        queries = [[self._find_words(field, part)] for field, words in fields for part in _choose_phrases(words)]
        record = Query.term_query(self.schema, ID, doc_id)
        return all(
            len(self._search(Query.boolean_query(_join(Occur.Must, [*each, record])), 1)[0]) == 1
            for each in queries or [[]]
        )

    def _take_best(
        self, query: tantivy.Query, limit: int, first: _Hits, top_k: int, among: DocIds | None
    ) -> list[tuple[int, float]]:
        """Return the best hits, those in `among` if given; as many as wanted or as there are."""
        hits: list[tuple[int, float]] = []
        for doc_ids, scores in self._fetch(query, limit, first):
            inside = slice(None) if among is None else _find_members(doc_ids, among)
            hits += zip(doc_ids[inside].tolist(), scores[inside].tolist(), strict=True)
            if len(hits) >= top_k:
                break
        return hits[: max(top_k, 0)]

    def _restrict(self, query: tantivy.Query, among: DocIds) -> tantivy.Query:
        """Return a query for the matches that are in a set of doc ids; their scores stay."""
        from tantivy import Occur, Query

        members = Query.const_score_query(Query.term_set_query(self.schema, ID, among.tolist()), 0.0)
        return Query.boolean_query([(Occur.Must, members), (Occur.Must, query)])

    def _search(self, query: tantivy.Query, limit: int, *, count: bool = False, **options: Any) -> tuple[_Hits, int]:
        """Search once: the best hits, limit at most, and the number of matches, 0 if it is not asked for."""
        CURRENT.get().check()
        with self.guard_reading():
            found: Any = self.searcher.search(query, max(1, min(limit, self.size)), count=count, **options)
            return found.hits, found.count or 0

    def _fetch(self, query: tantivy.Query, limit: int, found: _Hits) -> Iterator[tuple[DocIds, NDArray[np.float64]]]:
        """Yield all matches, best first, in batches (doc ids, scores), beginning with what a first search found.

        The last records of a search, all with the same score, may have equals that it did not return; they come with
        the next, larger search. Batches follow each other in the same order, whatever the limit of the first is.
        """
        seen = np.empty(0, np.int64)
        while True:
            doc_ids = self._read_ids(found)
            scores = _round_scores(np.array([score for score, _ in found], np.float64))
            is_last = len(found) < limit
            new = ~np.isin(doc_ids, seen) if len(seen) else np.ones(len(doc_ids), bool)
            if not is_last:
                new &= scores > scores[-1]
            order = np.lexsort((doc_ids[new], -scores[new]))
            yield doc_ids[new][order], scores[new][order]
            if is_last:
                return
            seen = np.concatenate([seen, doc_ids[new]])
            limit *= _NEXT
            found, _ = self._search(query, limit)

    def _read_ids(self, found: _Hits) -> DocIds:
        """Return the doc ids of what was found."""
        with self.guard_reading():
            return np.array(self.searcher.fast_field_values(ID, [place for _, place in found]), np.int64)

    def _list_ids(self, query: tantivy.Query) -> DocIds:
        """Return the doc ids of all matches, ascending."""
        from tantivy import FieldType, Occur, Order, Query

        if not self.size:
            return np.empty(0, np.int64)
        n = self._search(query, 1, count=True)[1]
        if n <= _PAGE:  # not ordered by tantivy, which is faster
            return np.sort(self._read_ids(self._search(Query.const_score_query(query, 1.0), max(1, n))[0]))
        pages: list[DocIds] = []
        page_query = query
        while True:
            found, _ = self._search(page_query, _PAGE, order_by_field=ID, order=Order.Asc)
            pages.append(np.array([doc_id for doc_id, _ in found], np.int64))
            if len(found) < _PAGE:
                break
            later = Query.range_query(self.schema, ID, FieldType.Integer, int(pages[-1][-1]), None, include_lower=False)
            page_query = Query.boolean_query([(Occur.Must, query), (Occur.Must, later)])
        return np.concatenate([np.empty(0, np.int64), *pages])

    def _build_query(self, wording: Wording) -> tantivy.Query | None:
        """Return the query that ranks the matches of a wording; None if it has no plain and no required term."""
        from tantivy import Occur, Query

        ranking: dict[object, tantivy.Query] = {}
        for terms, alone in ((wording.required, False), (wording.plain, True)):  # a plain term ranks by its parts, too
            for term in terms:
                ranking.update(self._build_ranking(term, alone=alone))
        required = [Query.const_score_query(self._build_filter(term), 0.0) for term in wording.required]
        excluded = [self._build_filter(term) for term in wording.excluded]
        if not ranking and not required:
            return None
        return Query.boolean_query(
            _join(Occur.Must, required) + _join(Occur.Should, ranking.values()) + _join(Occur.MustNot, excluded)
        )

    def _build_ranking(self, term: Term, *, alone: bool) -> Iterator[tuple[object, tantivy.Query]]:
        """Yield the queries that a term ranks by, each with a key by which equal ones are found.

        alone: they match exactly the records with the term, since nothing else requires it.
        """
        from tantivy import Occur, Query

        words = split_words(term.text)
        if not words:
            return
        if not term.prefix:
            yield self._build_either_ranking(words) if alone and len(words) > 1 else self._build_word_ranking(words)
            return
        *before, beginning = words
        parts = dict([self._build_variants(beginning), *(self._build_word_ranking([word]) for word in before)])
        if before and alone:
            whole = Query.const_score_query(self._build_filter(Term(term.text, prefix=True)), 0.0)
            yield (*words, "*"), Query.boolean_query([(Occur.Must, whole), *_join(Occur.Should, parts.values())])
        else:
            yield from parts.items()

    def _build_word_ranking(self, words: Sequence[str]) -> tuple[object, tantivy.Query]:
        """Return the query that ranks by one word, by its stem, or by several in order, as written; and its key."""
        if len(words) > 1:
            return tuple(words), self._find_words(TEXT, words)
        stem = get_stemmer().stem_word(words[0])
        return stem, self._find_words(STEMS, [stem])

    def _build_either_ranking(self, words: Sequence[str]) -> tuple[object, tantivy.Query]:
        """Return the query that ranks by several words in order or, if that is more, by their parts; and its key."""
        from tantivy import Occur, Query

        key, whole = self._build_word_ranking(words)
        parts = [self._build_word_ranking([word])[1] for word in choose_parts(words)]
        either = [whole, Query.boolean_query(_join(Occur.Should, parts))]
        return key, Query.disjunction_max_query(either) if parts else whole

    def _build_variants(self, beginning: str) -> tuple[object, tantivy.Query]:
        """Return the query that ranks by the words with a beginning, and its key.

        They weigh as much as the most frequent of them: a rare ending makes a word no better.
        """
        from tantivy import Occur, Query

        with self.guard_reading():
            found = sorted(self.searcher.terms_with_prefix(TEXT, beginning), key=lambda pair: (-pair[1], pair[0]))
        queries = [
            Query.boost_query(self._find_words(TEXT, [word]), self._weigh(found[0][1]) / self._weigh(n))
            for word, n in found[:_VARIANTS]
        ]
        if len(found) > _VARIANTS:
            rest = Query.regex_query(self.schema, TEXT, f"{beginning}.*")
            queries.append(Query.const_score_query(rest, _OTHER_VARIANTS))
        return (beginning, "*"), Query.boolean_query(_join(Occur.Should, queries))

    def _weigh(self, n: int) -> float:
        """Return the inverse document frequency of a word of n records, as tantivy computes it for BM25."""
        return math.log(1 + (max(self.size - n, 0) + 0.5) / (n + 0.5))

    def _build_filter(self, term: Term) -> tantivy.Query:
        """Return the query for the records in which a term occurs as written; its scores mean nothing."""
        from tantivy import Query

        words, field = split_words(term.text), TITLE if term.in_title else TEXT
        if not words:
            return Query.empty_query()
        if not term.prefix:
            return self._find_words(field, words)
        if len(words) == 1:
            return Query.regex_query(self.schema, field, f"{words[0]}.*")  # words hold no special characters
        return Query.regex_phrase_query(self.schema, field, [*words[:-1], f"{words[-1]}.*"])

    def _find_words(self, field: str, words: Sequence[str]) -> tantivy.Query:
        """Return the query for the records of which a field has these words next to each other."""
        from tantivy import Query

        if len(words) == 1:
            return Query.term_query(self.schema, field, words[0], "freq")
        return Query.phrase_query(self.schema, field, list(words))


def _open_files(links: str) -> tantivy.Index:
    """Open an index that is not written any more."""
    import tantivy

    index = tantivy.Index.open(links)
    index.config_reader("manual")  # its files never change, so nothing needs to be watched
    return index


@contextlib.contextmanager
def _link_files(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """Make a temporary folder with symbolic links to files of a folder, for the block; see `_make_links`.

    Where not every user may make links, it is the folder itself, and what tantivy leaves there is deleted.
    """
    if not has_symbolic_links():
        yield str(folder)
        for name in LOCKS:
            with contextlib.suppress(OSError):
                (folder / name).unlink()
        return
    links = _make_links(folder, names)
    try:
        yield links
    finally:
        _remove_links(links, names)


def _make_links(folder: Path, names: Sequence[str]) -> str:
    """Return a new temporary folder with symbolic links to files of a folder.

    They go through one link to the folder: the path of a short link needs no block on the disk.

    Raises:
        CorpusError: there is no place for it.
    """
    links = ""
    try:
        links = tempfile.mkdtemp(prefix="engine-words-")
        os.symlink(folder, f"{links}/{_LINKED}", target_is_directory=True)
        for name in names:
            os.symlink(f"{_LINKED}/{name}", f"{links}/{name}")
    except OSError as err:
        shutil.rmtree(links, ignore_errors=True)
        raise CorpusError(
            f"words can't be looked up without a temporary folder ({err}). Free some space there, or name another "
            "place in the variable TMPDIR"
        ) from err
    return links


def _remove_links(links: str, names: Sequence[str]) -> None:
    """Delete the temporary folder, into which a thread of tantivy that is ending may still write a lock."""
    with contextlib.suppress(OSError):
        for name in (*names, _LINKED):
            os.unlink(f"{links}/{name}")
    for _ in range(_TRIES):
        shutil.rmtree(links, ignore_errors=True)
        if not os.path.lexists(links):
            return
        time.sleep(_PAUSE)


def _choose_phrases(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the words, or of very many some parts, evenly from the first to the last; no word that is not kept."""
    starts: Sequence[int] = range(0, max(1, len(words) - 1), _PHRASE)
    if len(words) > _PHRASES * _PHRASE:
        starts = np.linspace(0, len(words) - _PHRASE, _PHRASES).astype(int).tolist()
    for start in starts:
        part = words[start : start + _PHRASE + 1]  # one more, so that parts that follow each other overlap
        yield from (list(group) for kept, group in groupby(part, is_kept) if kept)


def _join(occur: tantivy.Occur, queries: Iterable[tantivy.Query]) -> list[tuple[tantivy.Occur, tantivy.Query]]:
    """Return queries as clauses of a Boolean query."""
    return [(occur, query) for query in queries]


def _find_members(doc_ids: DocIds, among: DocIds) -> NDArray[np.bool_]:
    """Return which doc ids (n,) are in an ascending, non-empty set: bool (n,)."""
    inside: NDArray[np.bool_] = among[np.searchsorted(among, doc_ids).clip(max=len(among) - 1)] == doc_ids
    return inside


def _round_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round scores, all above 0, to five significant digits."""
    shift: NDArray[np.float64] = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(scores)))
    return np.round(scores * shift) / shift
