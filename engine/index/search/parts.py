"""Search over the vectors of several segments, without the records that are dead in a generation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.search.exact import compute_scores, order_rows
from engine.index.search.flat import DeadRows, FlatIndex, FlatRows, Ranking, build_bitmap, check_queries
from engine.index.search.library import faiss
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

_SMALL = 4096  # rows; exact parts up to this size are searched together
_GATHERED = 16_384  # rows of small parts that are copied to memory at most
_DENSE = 16  # with an id among so many, looking at all rows is faster than looking up each id
_BLOCK = 1 << 18  # rows looked at together
_CHUNK = 8192  # rows given by `scan_vectors` at once, or those of one record if it has more


@dataclass(frozen=True, slots=True)
class Part:
    """The vectors of an open segment, and the ids of them that are dead in a generation."""

    index: FlatIndex
    dead: DocIds  # ascending, all of them ids of the index


class _Members:
    """Some ids, ascending and distinct, in the forms in which rows are chosen by them."""

    def __init__(self, doc_ids: DocIds, n_rows: int) -> None:
        """Keep ids; n_rows is how many rows there are to choose from."""
        self.doc_ids = doc_ids
        self.n_rows = n_rows

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """Of each number from the first id to the last, whether it is among them; None if few are."""
        n = _DENSE * len(self.doc_ids)
        if n < self.n_rows or self.doc_ids[-1] - self.doc_ids[0] >= n:
            return None
        mask = np.zeros(int(self.doc_ids[-1] - self.doc_ids[0]) + 1, bool)
        mask[self.doc_ids - self.doc_ids[0]] = True
        return mask

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """The ids as `build_bitmap` gives them."""
        return build_bitmap(self.doc_ids, int(self.doc_ids[-1]) + 1)


class _Group:
    """Rows that are searched together, and those of them that are dead."""

    def __init__(self, index: FlatRows, dead: DeadRows | None = None) -> None:
        self.index = index
        self.dead = dead
        self.size = index.size - (0 if dead is None else len(dead.doc_ids))  # records alive

    def find_living(self, doc_ids: DocIds) -> NDArray[np.bool_]:
        """Return which of some ids (n,) have rows here that are alive."""
        rows = self.index.find_rows(doc_ids)
        found: NDArray[np.bool_] = rows >= 0
        if self.dead is not None:
            found[found] = ~self.dead.has_rows(rows[found])
        return found

    @cached_property
    def living_bits(self) -> NDArray[np.uint8]:
        """The ids alive as `build_bitmap` gives them."""
        bits = build_bitmap(self.index.ascending, int(self.index.ascending[-1]) + 1)
        if self.dead is not None:
            dead = build_bitmap(self.dead.doc_ids, int(self.dead.doc_ids[-1]) + 1)
            bits[: len(dead)] &= ~dead
        return bits

    def rank_among(self, queries: Vectors, members: _Members, top_k: int, *, shallow: bool) -> list[Ranking]:
        """Rank those of some ids that are alive here."""
        rankings: list[Ranking | None] = [None] * len(queries)
        if not self.index.is_exact:
            n = min(len(self.living_bits), len(members.bits))
            bits = self.living_bits[:n] & members.bits[:n]
            n = int(np.count_nonzero(np.unpackbits(bits)))
            rankings = self.index.rank_members(queries, bits, n, min(top_k, n), shallow=shallow)
        if left := [place for place, ranking in enumerate(rankings) if ranking is None]:
            found = self._rank_rows(queries[left], self.select_rows(members), top_k)
            for place, ranking in zip(left, found, strict=True):
                rankings[place] = ranking
        return [ranking for ranking in rankings if ranking is not None]

    def _rank_rows(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank the records of some rows by comparing all their vectors."""
        if not len(rows):
            return [[] for _ in queries]
        n = len(np.unique(self.index.doc_ids[rows])) if self.index.several else len(rows)
        return FlatRows.rank_among(self.index, queries, rows, min(top_k, n))

    def select_rows(self, members: _Members) -> NDArray[np.int64]:
        """Return all rows alive of some ids, in any order."""
        doc_ids, chosen = members.doc_ids, np.zeros(self.index.n_rows, bool)
        if self.index.n_rows * _DENSE <= len(doc_ids):
            places = np.searchsorted(doc_ids, self.index.doc_ids).clip(max=len(doc_ids) - 1)
            chosen = doc_ids[places] == self.index.doc_ids
            return np.flatnonzero(chosen if self.dead is None else chosen & ~self.dead.has_rows(np.arange(len(chosen))))
        if (mask := members.mask) is None:
            return self.index.find_all_rows(doc_ids[self.find_living(doc_ids)])[0]
        for start in range(0, self.index.n_rows, _BLOCK):
            places = self.index.doc_ids[start : start + _BLOCK] - doc_ids[0]
            inside = (places >= 0) & (places < len(mask))
            chosen[start : start + _BLOCK] = inside & mask[np.where(inside, places, 0)]
        if self.dead is not None:
            chosen[self.dead.rows] = False
        return np.flatnonzero(chosen)

    def list_living_rows(self, start: int, end: int) -> NDArray[np.int64]:
        """Return the rows from start to end, in the order of ids, that are alive."""
        rows = np.arange(start, end)
        if self.index.order is not None:
            rows = self.index.order[rows]
        return rows if self.dead is None else rows[~self.dead.has_rows(rows)]


class SegmentedIndex:
    """The records alive in some segments, ranked as if one file held them. Safe to search from several threads.

    Each id is alive in one part at most. A record may have several vectors, one per passage; its score is then the
    best of their scores.
    """

    def __init__(self, parts: Sequence[Part], dim: int) -> None:
        """Combine parts; none at all is an index without records.

        Raises:
            CorruptError: an id is said to be dead in a segment that does not hold it.
        """
        self.parts = tuple(parts)
        self.dim = dim
        self.dead = [_find_dead(part) for part in self.parts]
        counts = [(0, 0) if dead is None else (len(dead.doc_ids), len(dead.rows)) for dead in self.dead]
        self.size = sum(part.index.size - n for part, (n, _) in zip(self.parts, counts, strict=True))  # records alive
        self.n_rows = sum(part.index.n_rows - n for part, (_, n) in zip(self.parts, counts, strict=True))  # of them
        self.several = self.size < self.n_rows
        self.is_exact = all(part.index.is_exact for part in self.parts)  # a search misses no hit

    @property
    def path(self) -> Path:
        """The file of the only part, or the folder that the files of all parts are in, for messages."""
        paths = [part.index.path for part in self.parts]
        return paths[0] if len(paths) == 1 else Path(os.path.commonpath(paths)) if paths else Path()

    @property
    def doc_ids(self) -> DocIds:
        """The ids of the records alive, (size,), ascending. Read from the files at each use."""
        found = [np.unique(ids) for ids in self.scan_ids()]
        return np.sort(np.concatenate([np.empty(0, np.int64), *found]))

    @cached_property
    def groups(self) -> list[_Group]:
        """What is searched one after the other: small exact parts together, in memory, the others each by itself."""
        living = [group for group in self._open_groups() if group.size]
        small, room = [], _GATHERED
        for group in sorted(living, key=lambda group: group.index.n_rows):
            if group.index.is_exact and group.index.n_rows <= min(_SMALL, room):
                small.append(group)
                room -= group.index.n_rows
        if len(small) < 2:
            return living
        return [*(group for group in living if group not in small), _Group(_gather_rows(small, self.dim))]

    def has_ids(self, doc_ids: DocIds) -> NDArray[np.bool_]:
        """Return which ids are alive here, bool (n,)."""
        found = np.zeros(len(doc_ids), bool)
        for group, at in self._locate(doc_ids):
            found[at] = group is not None
        return found

    def search(self, queries: Vectors, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Find the best (doc id, score) of the records alive for each query, as `FlatRows.search` does.

        shallow: where the index is approximate, only the best ten must be found as surely as in a search for ten.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
        """
        queries = check_queries(queries, top_k, self.dim)
        return self.rank(queries, min(top_k, self.size), shallow=shallow) if self.size else [[] for _ in queries]

    def rank(self, queries: Vectors, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Rank all records alive; top_k is at most their number."""
        ranked = [
            group.index.rank(queries, min(top_k, group.size), group.dead, shallow=shallow) for group in self.groups
        ]
        return merge_rankings(ranked, top_k)

    def rank_exhaustively(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Rank as `rank` does, by comparing all vectors."""
        ranked = [group.index.rank_exhaustively(queries, min(top_k, group.size), group.dead) for group in self.groups]
        return merge_rankings(ranked, top_k)

    def search_exhaustively(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Find what `search` finds by comparing all vectors, whatever codes there are.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
        """
        queries = check_queries(queries, top_k, self.dim)
        return self.rank_exhaustively(queries, min(top_k, self.size)) if self.size else [[] for _ in queries]

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Find the best of some doc ids for each query, as `search` does; no other ids are ranked.

        doc_ids is int64 (n,), distinct; ids that are not alive here are ignored. Each list has top_k items, or fewer
        if fewer of the ids are alive.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
        """
        queries = check_queries(queries, top_k, self.dim)
        members = self._build_members(doc_ids)
        if not len(members.doc_ids) or not self.groups:
            return [[] for _ in queries]
        ranked = [group.rank_among(queries, members, top_k, shallow=shallow) for group in self.groups]
        return merge_rankings(ranked, top_k)

    def score_ids(self, query: Vectors, doc_ids: DocIds) -> NDArray[np.float32]:
        """Return the exact scores (n,) of one query (dim,) with doc ids (n,), in their order. All must be alive.

        Raises:
            CorruptError: an id is not alive here.
        """
        scores = np.empty(len(doc_ids), np.float32)
        for group, at in self._locate_all(doc_ids):
            scores[at] = group.index.score_ids(query, doc_ids[at])
        return scores

    def get_points(self, doc_ids: DocIds) -> Vectors:
        """Return one unit vector per doc id, (n, dim); of several passages, their mean. All ids must be alive.

        Raises:
            CorruptError: an id is not alive here.
        """
        points = np.empty((len(doc_ids), self.dim), np.float32)
        for group, at in self._locate_all(doc_ids):
            points[at] = group.index.get_points(doc_ids[at])
        return points

    def read_vectors(self, doc_ids: DocIds) -> tuple[Vectors, NDArray[np.int64]]:
        """Return the stored vectors of doc ids, (rows, dim), id after id, and how many each id has, (n,).

        Raises:
            CorruptError: an id is not alive here.
        """
        counts = np.zeros(len(doc_ids), np.int64)
        found = [(group, at, *group.index.find_all_rows(doc_ids[at])) for group, at in self._locate_all(doc_ids)]
        for _, at, _, n in found:
            counts[at] = n
        starts = np.cumsum(counts) - counts
        vectors = np.empty((int(counts.sum()), self.dim), np.float32)
        for group, at, rows, n in found:
            places = np.repeat(starts[at] - (np.cumsum(n) - n), n) + np.arange(len(rows))
            vectors[places] = group.index.vectors[rows]
        return vectors, counts

    def count_vectors(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Return how many vectors each doc id has, (n,).

        Raises:
            CorruptError: an id is not alive here.
        """
        counts = np.zeros(len(doc_ids), np.int64)
        for group, at in self._locate_all(doc_ids):
            counts[at] = group.index.find_all_rows(doc_ids[at])[1]
        return counts

    def read_all_vectors(self) -> tuple[DocIds, Vectors]:
        """Return the ids (n,) and vectors (n, dim) that `scan_vectors` yields, in memory."""
        chunks = [(np.empty(0, np.int64), np.empty((0, self.dim), np.float32)), *self.scan_vectors()]
        ids, vectors = zip(*chunks, strict=True)
        return np.concatenate(ids), np.concatenate(vectors)

    def scan_ids(self) -> Iterator[DocIds]:
        """Yield the ids of what `scan_vectors` yields."""
        for index, rows in self._split_rows():
            yield index.doc_ids[rows]

    def scan_vectors(self) -> Iterator[tuple[DocIds, Vectors]]:
        """Yield ids (n,) and vectors (n, dim) of everything alive, in chunks.

        Ids ascend within a segment, not from one to the next. All vectors of a record are in one chunk.
        """
        for index, rows in self._split_rows():
            yield index.doc_ids[rows], np.array(index.vectors[rows])

    def find_places(self, query: Vectors, doc_ids: DocIds, among: DocIds | None = None) -> NDArray[np.int64]:
        """Return the ranks (n,) of doc ids in the full ranking of one query (dim,), from 1; 0 for ids not ranked.

        among restricts the ranking, as in `search_among`; without it every record is ranked. All scores are computed.
        """
        ids, scores = self._score_rows(query, among)
        order = order_rows(ids, scores, several=self.several)
        by_id = np.argsort(ids[order])
        ascending = ids[order][by_id]
        at = np.searchsorted(ascending, doc_ids)
        found = at < len(ascending)
        found[found] = ascending[at[found]] == doc_ids[found]
        places = np.zeros(len(doc_ids), np.int64)
        places[found] = by_id[at[found]] + 1
        return places

    def count_better(
        self, query: Vectors, doc_ids: DocIds, scores: NDArray[np.float32], among: DocIds | None = None
    ) -> NDArray[np.int64]:
        """Return how many records here rank before each of some (doc id, score), both (n,), of here or elsewhere: (n,).

        among restricts the ranking, as in `search_among`; without it every record is ranked. All scores are computed.
        """
        ids, found = self._score_rows(query, among)
        order = order_rows(ids, found, several=self.several)
        ids, falling = ids[order], -found[order]
        starts, ends = np.searchsorted(falling, -scores), np.searchsorted(falling, -scores, "right")
        ties = [int(np.searchsorted(ids[start:end], i)) for start, end, i in zip(starts, ends, doc_ids, strict=True)]
        return starts.astype(np.int64) + np.array(ties, np.int64)

    def _score_rows(self, query: Vectors, among: DocIds | None) -> tuple[DocIds, NDArray[np.float32]]:
        """Return the id and the score of each row that is ranked, both (n,)."""
        ids, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for index, rows in self._split_rows() if among is None else self._select_rows(among):
            ids.append(index.doc_ids[rows])
            scores.append(compute_scores(index.vectors, rows, query))
        return np.concatenate(ids), np.concatenate(scores)

    def _open_groups(self) -> Iterator[_Group]:
        """Yield each part as a group of its own."""
        for part, dead in zip(self.parts, self.dead, strict=True):
            yield _Group(part.index, dead)

    def _split_rows(self) -> Iterator[tuple[FlatRows, NDArray[np.int64]]]:
        """Yield the rows alive in chunks, in the order of the ids of a part, all rows of a record in one chunk."""
        for group in self._open_groups():
            start = 0
            while start < group.index.n_rows:
                end = group.index.find_end(start + _CHUNK)
                rows = group.list_living_rows(start, end)
                if len(rows):
                    yield group.index, rows
                start = end

    def _select_rows(self, doc_ids: DocIds) -> Iterator[tuple[FlatRows, NDArray[np.int64]]]:
        """Yield the rows alive of some distinct ids, group after group; groups without any are left out."""
        members = self._build_members(doc_ids)
        for group in self.groups if len(members.doc_ids) else []:
            rows = group.select_rows(members)
            if len(rows):
                yield group.index, rows

    def _build_members(self, doc_ids: DocIds) -> _Members:
        """Return distinct ids as they are chosen by."""
        ascending = doc_ids if (doc_ids[1:] > doc_ids[:-1]).all() else np.unique(doc_ids)
        return _Members(ascending, self.n_rows)

    def _locate(self, doc_ids: DocIds) -> Iterator[tuple[_Group | None, NDArray[np.int64]]]:
        """Yield groups and the positions of the ids that are alive in each; None and those of the other ids."""
        left = np.arange(len(doc_ids))
        for group in self.groups:
            if not len(left):
                return
            here = group.find_living(doc_ids[left])
            if here.any():
                yield group, left[here]
                left = left[~here]
        if len(left):
            yield None, left

    def _locate_all(self, doc_ids: DocIds) -> Iterator[tuple[_Group, NDArray[np.int64]]]:
        """Yield groups and the positions of the ids that are alive in each.

        Raises:
            CorruptError: an id is not alive here.
        """
        for group, at in self._locate(doc_ids):
            if group is None:
                raise CorruptError(f"{self.path} has no vector for id {doc_ids[at[0]]}. Run: engine verify --deep")
            yield group, at


def _find_dead(part: Part) -> DeadRows | None:
    """Return the dead rows of a part; None if all are alive.

    Raises:
        CorruptError: an id is said to be dead that the part does not hold.
    """
    if not len(part.dead):
        return None
    missing = part.dead[part.index.find_rows(part.dead) < 0]
    if len(missing):
        raise CorruptError(
            f"{part.index.path} does not hold id {missing[0]}, which the generation says is dead in it. "
            "Run: engine verify"
        )
    return DeadRows(part.dead, np.sort(part.index.find_all_rows(part.dead)[0]))


def _gather_rows(groups: Sequence[_Group], dim: int) -> FlatRows:
    """Copy the rows alive of some groups to memory, ids ascending."""
    chosen = [(group.index, group.list_living_rows(0, group.index.n_rows)) for group in groups]
    found = [index.doc_ids[rows] for index, rows in chosen]
    doc_ids = np.concatenate(found)
    order = np.argsort(doc_ids, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    flat = faiss.IndexFlatIP(dim)
    flat.codes.resize(len(order) * dim * 4)  # filled in place: each vector is copied once
    flat.ntotal = len(order)
    held = faiss.rev_swig_ptr(flat.get_xb(), len(order) * dim).reshape(-1, dim)  # FlatRows keeps flat alive
    for (index, rows), at in zip(chosen, np.split(places, np.cumsum(list(map(len, found)))[:-1]), strict=True):
        held[at] = index.vectors if index.order is None and len(rows) == index.n_rows else index.vectors[rows]
    return FlatRows(doc_ids[order], held, flat)


def merge_rankings(ranked: Sequence[list[Ranking]], top_k: int) -> list[Ranking]:
    """Merge the rankings that groups give for the same queries, and keep the top_k best of each query."""
    if len(ranked) == 1:
        return ranked[0]
    return [_merge_pairs(list(chain.from_iterable(rankings)), top_k) for rankings in zip(*ranked, strict=True)]


def _merge_pairs(pairs: Ranking, top_k: int) -> Ranking:
    """Return the top_k best of some (doc id, score), best first."""
    ids = np.fromiter((doc_id for doc_id, _ in pairs), np.int64, len(pairs))
    scores = np.fromiter((score for _, score in pairs), np.float64, len(pairs))
    return [pairs[place] for place in np.lexsort((ids, -scores))[:top_k].tolist()]
