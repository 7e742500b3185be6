"""Vectors of the next generation: new ones for texts that changed, the current ones byte for byte for the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.corpus.draft import Draft, TextRow
from engine.corpus.merging.ledger import Change
from engine.encode.encoder import WORDLESS, CheckedVectors, Encoder, check_canaries, encode_checked
from engine.encode.passages import Texts, prepare_whole
from engine.encode.prefetch import map_in_order
from engine.encode.recipe import hash_text
from engine.errors import CorruptError, EncoderError
from engine.index.flat import FlatIndex
from engine.progress import Progress
from engine.records.abstract import Rejection
from engine.records.encoder import Vectors
from engine.records.generation import DocIds
from engine.reindex.gather import Gathered, refuse
from engine.reindex.shards import Shards
from engine.reindex.spool import Spool

_CANARY_EVERY = 256  # texts; one in so many is encoded again, alone
_FIRST_CANARIES = 4  # of the first page
_CHUNK = 2048  # rows put in order at once
_MAX_FAILED_SHARE = 0.05  # of the texts of a run; an encoder that fails on more is broken
_MIN_FAILED = 10  # below this many, single odd records are the likelier cause


@dataclass(frozen=True, slots=True)
class Vectorised:
    """The vectors of every row of the draft."""

    doc_ids: DocIds  # (n,) ascending
    counts: NDArray[np.int64]  # (n,) vectors of each: 1, or one for each of its passages
    spool: Spool  # new vectors
    current: FlatIndex | None  # the vectors of unchanged texts; None: nothing is carried over
    n_encoded: int  # in this run
    n_resumed: int  # taken from what a run that did not end had encoded

    @property
    def row_ids(self) -> DocIds:
        """The id of each vector, ascending."""
        return np.repeat(self.doc_ids, self.counts)

    def list_new_ids(self) -> DocIds:
        """Ids whose vectors are new or may have changed, ascending."""
        return self.doc_ids[self.spool.find_places(self.doc_ids)[1] > 0]

    def read_chunks(self) -> Iterator[Vectors]:
        """The vectors in the order of the ids, those of a few thousand records (m, dim) at a time."""
        new, (every_place, every_n) = self.spool.map_rows(), self.spool.find_places(self.doc_ids)
        firsts = np.concatenate([[0], np.cumsum(every_n)])
        for start in range(0, len(self.doc_ids), _CHUNK):
            ids, counts = self.doc_ids[start : start + _CHUNK], self.counts[start : start + _CHUNK]
            n_new = every_n[start : start + _CHUNK]
            places = every_place[firsts[start] : firsts[start + len(ids)]]
            fresh = np.repeat(n_new > 0, counts)
            chunk = np.empty((int(counts.sum()), self.spool.dim), np.float32)
            chunk[fresh] = new[places]
            if self.current is not None:
                chunk[~fresh] = self.current.vectors[self.current.find_all_rows(ids[n_new == 0])[0]]
            yield chunk


@dataclass(frozen=True, slots=True)
class EncodingRun:
    """What encoding works with."""

    draft: Draft
    encoder: Encoder
    gathered: Gathered
    shards: Shards
    spool: Spool
    progress: Progress
    texts: Texts = prepare_whole


@dataclass(frozen=True, slots=True)
class _Page:
    """Texts that go through the encoder together."""

    rows: list[TextRow]
    owners: list[int]  # of each text the place of its row, ascending
    texts: list[str]  # as the encoder gets them
    digests: list[str]
    resumed: dict[int, tuple[Vectors, int]]  # place of a text -> vector and length, from an earlier run
    n_canaries: int

    @property
    def rest(self) -> list[int]:
        """Places of the texts that no earlier run encoded."""
        return [i for i in range(len(self.texts)) if i not in self.resumed]


def vectorise(run: EncodingRun, current: FlatIndex | None) -> Vectorised:
    """Encode the rows of the draft that need it; the others are carried over. Without a current index all are encoded.

    Reading, encoding and keeping overlap; what waits between them is a few pages. What an earlier run left in the
    shards is not encoded again; however this run ends, what it encoded is kept there until it is published.

    Raises:
        EncoderError: too many texts came back without a usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    try:
        return _encode_rows(run, current)
    finally:
        with contextlib.suppress(OSError):
            run.shards.flush()


def _encode_rows(run: EncodingRun, current: FlatIndex | None) -> Vectorised:
    """The work of vectorise.

    Raises:
        EncoderError: too many texts came back without a usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    everything = current is None
    total = run.draft.count_to_encode(everything)
    restored: list[int] = []
    done = n_failed = 0
    run.progress("encoding", 0, total)
    with contextlib.closing(_encode_pages(run, everything)) as encoded:
        for page, fresh in encoded:
            checked = _keep_page(run, page, fresh)
            restored += _refuse_texts(run, page.rows, checked)
            done += len(page.rows)
            n_failed += sum(reason != WORDLESS for _, reason in checked.refused)
            if n_failed > max(_MIN_FAILED, _MAX_FAILED_SHARE * total):
                raise EncoderError(
                    f"{run.encoder.identity.model} gave no usable vector for {n_failed} of {done} texts, so nothing "
                    f"was published. The last: {checked.refused[-1][1]}"
                )
            run.progress("encoding", done, total)
    if everything and restored:  # nothing is carried over, so what went back to its old text is encoded too
        page = _prepare_page(run, run.draft.read_texts_of(restored), 1)
        _refuse_texts(run, page.rows, _keep_page(run, page, _encode_page(run.encoder, page)))
    return _check_complete(run, current)


def _encode_pages(run: EncodingRun, everything: bool) -> Generator[tuple[_Page, CheckedVectors]]:
    """Pages with their vectors, in order; of what was encoded when the run ends early, the shards keep the vectors."""
    encoder = run.encoder
    return map_in_order(
        lambda page: _encode_page(encoder, page),
        _read_pages(run, everything),
        encoder.ahead,
        partial(_keep_in_shards, run),
    )


def _read_pages(run: EncodingRun, everything: bool) -> Iterator[_Page]:
    """The texts to encode, page by page."""
    size = run.encoder.page
    for number, rows in enumerate(run.draft.read_texts_to_encode(everything, size)):
        # One text in CANARY_EVERY, whatever the size of a page.
        due = (number + 1) * size // _CANARY_EVERY - number * size // _CANARY_EVERY
        yield _prepare_page(run, rows, _FIRST_CANARIES if number == 0 else due)


def _prepare_page(run: EncodingRun, rows: list[TextRow], n_canaries: int) -> _Page:
    """Sort out which texts an earlier run encoded, and prepare the others."""
    pairs = [(place, text) for place, row in enumerate(rows) for text in run.texts(row.title, row.abstract)]
    owners, texts = [place for place, _ in pairs], [text for _, text in pairs]
    digests = [hash_text(text) for text in texts]
    resumed = {i: found for i, digest in enumerate(digests) if (found := run.shards.get(digest))}
    return _Page(rows, owners, texts, digests, resumed, n_canaries)


def _encode_page(encoder: Encoder, page: _Page) -> CheckedVectors:
    """Encode the texts of a page that no shard holds. Runs beside everything else, so it touches nothing else."""
    texts = [page.texts[i] for i in page.rest]
    fresh = encode_checked(encoder, texts)
    check_canaries(encoder, [texts[i] for i in fresh.kept], fresh.vectors, page.n_canaries)
    return fresh


def _keep_page(run: EncodingRun, page: _Page, fresh: CheckedVectors) -> CheckedVectors:
    """Keep the vectors of a page and note the lengths of all its texts."""
    _keep_in_shards(run, page, fresh)
    checked = _group_by_row(page, _merge_resumed(fresh, page.rest, page.resumed, run.encoder.identity.dim))
    fully_resumed = set(page.owners) - {page.owners[i] for i in page.rest}
    run.gathered.n_resumed += len(fully_resumed & set(checked.kept.tolist()))
    limit, lengths = run.encoder.identity.max_length, dict[int, list[int]]()
    for row, n in zip(checked.kept.tolist(), checked.n_tokens.tolist(), strict=True):
        lengths.setdefault(page.rows[row].doc_id, []).append(n)
    run.draft.note_lengths([(sum(each), max(each) > limit, doc_id) for doc_id, each in lengths.items()])
    ids = np.array([page.rows[row].doc_id for row in checked.kept], dtype=np.int64)
    run.spool.append(ids, checked.vectors)
    return checked


def _group_by_row(page: _Page, checked: CheckedVectors) -> CheckedVectors:
    """What became of the texts, by the rows that they are of: one refused text refuses the whole row.

    A passage without a word is left out, where others of its row have some. A row of which nothing is left, or that
    gave no text at all, is refused as wordless.
    """
    reasons = {page.owners[i]: reason for i, reason in checked.refused if reason != WORDLESS}
    owners = np.array(page.owners, dtype=np.int64)[checked.kept]
    lost = set(range(len(page.rows))) - set(owners.tolist()) - reasons.keys()
    reasons |= dict.fromkeys(lost, WORDLESS)
    good = ~np.isin(owners, list(reasons))
    return CheckedVectors(owners[good], checked.vectors[good], checked.n_tokens[good], tuple(sorted(reasons.items())))


def _keep_in_shards(run: EncodingRun, page: _Page, fresh: CheckedVectors) -> None:
    """Save the vectors of a page from being lost with the run."""
    rest = page.rest
    run.shards.add([page.digests[rest[i]] for i in fresh.kept], fresh.vectors, fresh.n_tokens)


def _merge_resumed(
    fresh: CheckedVectors, rest: list[int], resumed: dict[int, tuple[Vectors, int]], dim: int
) -> CheckedVectors:
    """Freshly encoded texts, whose places in the page are `rest`, and resumed ones, in the order of the page."""
    if not resumed:
        return fresh
    rows = resumed | {
        rest[i]: (vector, int(n)) for i, vector, n in zip(fresh.kept, fresh.vectors, fresh.n_tokens, strict=True)
    }
    kept = sorted(rows)
    vectors = np.array([rows[i][0] for i in kept], dtype=np.float32).reshape(len(kept), dim)
    lengths = np.array([rows[i][1] for i in kept], dtype=np.int64)
    refused = tuple((rest[i], reason) for i, reason in fresh.refused)
    return CheckedVectors(np.array(kept, dtype=np.int64), vectors, lengths, refused)


def _refuse_texts(run: EncodingRun, page: list[TextRow], checked: CheckedVectors) -> list[int]:
    """Reject the rows without a usable vector: a new one leaves the draft, a changed one goes back as it was.

    Returns the doc ids of those that went back.
    """
    restored: list[int] = []
    ledger = run.draft.ledger
    for position, reason in checked.refused:
        text = page[position]
        if back := ledger.restore(text.doc_id):
            restored += back
            run.gathered.merged -= len(back) - 1
            run.gathered.retracted.difference_update(back)
            reason += "; the record stays as it was"
        else:
            ledger.discard(text.doc_id)
            if ledger.changes.pop(text.doc_id, None) is not Change.ADDED:
                run.gathered.deleted += 1
        refuse(run.draft, run.gathered, Rejection("encoder", f"record {text.record_id}", reason))
    return restored


def _check_complete(run: EncodingRun, current: FlatIndex | None) -> Vectorised:
    """Check that every row has a vector, new or carried over.

    Raises:
        CorruptError: an id has neither.
    """
    doc_ids = run.draft.read_ids()
    counts = run.spool.find_places(doc_ids)[1]
    is_new = counts > 0
    carried = doc_ids[~is_new]
    there = np.zeros(len(carried), bool) if current is None else current.find_rows(carried) >= 0
    if not there.all():
        raise CorruptError(
            f"the current generation has no vector for id {carried[~there][0]}. Encode everything again: --re-encode"
        )
    if current is not None:
        counts[~is_new] = current.find_all_rows(carried)[1]
    n_resumed = run.gathered.n_resumed
    return Vectorised(doc_ids, counts, run.spool, current, int(is_new.sum()) - n_resumed, n_resumed)
