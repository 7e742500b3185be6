"""Vectors of the next generation: computed for new and changed texts, copied byte for byte for the others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.corpus.draft import Draft, TextRow
from engine.corpus.merging.ledger import Change
from engine.encode.execution.encoder import (
    SAME_TEXT_COSINE,
    WORDLESS,
    CheckedVectors,
    Encoder,
    check_canaries,
    encode_checked,
)
from engine.encode.execution.prefetch import map_in_order
from engine.encode.models.recipe import hash_text
from engine.encode.texts.passages import Count, Texts, prepare_whole
from engine.errors import CorruptError, EncoderError
from engine.index.search.parts import SegmentedIndex
from engine.progress import Progress
from engine.records.abstract import Rejection
from engine.records.encoder import Vectors
from engine.records.generation import DocIds
from engine.reindex.encoding.shards import Shards, StoredText
from engine.reindex.encoding.spool import Spool
from engine.reindex.encoding.vectorsource import TAKEN, VectorSource
from engine.reindex.intake.gather import Gathered, refuse

_CANARY_EVERY = 256  # texts; one in this many is encoded again, alone
_FIRST_CANARIES = 4  # texts of the first page that are encoded again
_SAMPLED = 4  # given vectors that are compared with those of the encoder, for each text that is encoded again
_CHUNK = 2048  # records per chunk of vectors
_MAX_FAILED_SHARE = 0.05  # share of the texts of a run; an encoder that fails on more is broken
_MANY = 1000  # texts, which tell the rate of encoding
_KEPT_APART = "records that a decision joins, kept apart because their joined text gets no vector"
_MIN_FAILED = 10  # up to this many, the records are the likely cause


@dataclass(frozen=True, slots=True)
class Vectorised:
    """The vectors of every row of the draft."""

    doc_ids: DocIds  # (n,) ascending
    counts: NDArray[np.int64]  # (n,) vectors of each id: 1, or one per passage
    spool: Spool  # new vectors
    current: SegmentedIndex | None  # vectors of unchanged texts; None: nothing is carried over
    n_encoded: int  # records encoded in this run
    n_resumed: int  # records whose vectors come from a stopped run

    @property
    def row_ids(self) -> DocIds:
        """The id of each vector, ascending."""
        return np.repeat(self.doc_ids, self.counts)

    def list_new_ids(self) -> DocIds:
        """List the ids whose vectors are new or may have changed, ascending."""
        return self.doc_ids[self.spool.find_places(self.doc_ids)[1] > 0]

    def read_chunks(self) -> Iterator[Vectors]:
        """Yield the vectors in the order of the ids, as chunks (m, dim) of a few thousand records."""
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
                chunk[~fresh] = self.current.read_vectors(ids[n_new == 0])[0]
            yield chunk


@dataclass(frozen=True, slots=True)
class EncodingRun:
    """Everything that encoding needs."""

    draft: Draft
    encoder: Encoder
    gathered: Gathered
    shards: Shards
    spool: Spool
    progress: Progress
    texts: Texts = prepare_whole
    given: Given | None = None  # vectors that were computed elsewhere


@dataclass(frozen=True, slots=True)
class Given:
    """Vectors that were computed elsewhere, for the encoder of a run."""

    source: VectorSource
    count: Count  # tokens of texts, as the encoder of the run reads them


@dataclass(frozen=True, slots=True)
class _Page:
    """Texts that go through the encoder together."""

    rows: list[TextRow]
    owners: list[int]  # position of the row of each text, ascending
    texts: list[str]  # prepared, as the encoder gets them
    digests: list[str]
    resumed: dict[int, StoredText]  # position of a text -> what an earlier run stored, or what was given
    n_canaries: int
    taken: list[int] = field(default_factory=list)  # positions of the texts whose vectors were given, ascending

    @property
    def rest(self) -> list[int]:
        """Positions of the texts that no earlier run encoded."""
        return [i for i in range(len(self.texts)) if i not in self.resumed]


def vectorise(run: EncodingRun, current: SegmentedIndex | None) -> Vectorised:
    """Encode the new and changed rows of the draft and carry over the others. Without a current index, encode all.

    Reading, encoding and storing overlap, with a few pages in between. Texts in the shards of an earlier run are not
    encoded again. However this run ends, its vectors stay in the shards until they are published.

    Raises:
        EncoderError: too many texts have no usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    try:
        return _encode_rows(run, current)
    finally:
        with contextlib.suppress(OSError):
            run.shards.flush()


def _encode_rows(run: EncodingRun, current: SegmentedIndex | None) -> Vectorised:
    """Do the work of vectorise, except the last flush of the shards.

    Raises:
        EncoderError: too many texts have no usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    everything = current is None
    total = run.draft.count_to_encode(everything)
    due: list[int] = []
    done = n_failed = n_fresh = 0
    started = time.monotonic()
    run.progress("encoding", 0, total)
    with contextlib.closing(_encode_pages(run, everything)) as encoded:
        for page, fresh in encoded:
            checked = _keep_page(run, page, fresh)
            due += _refuse_texts(run, page.rows, checked, everything)
            done += len(page.rows)
            n_fresh += len(page.rest)
            n_failed += sum(reason != WORDLESS for _, reason in checked.refused)
            if n_failed > max(_MIN_FAILED, _MAX_FAILED_SHARE * total):
                raise EncoderError(
                    f"{run.encoder.identity.model} gave no usable vector for {n_failed} of {done} texts, so nothing "
                    f"was published. The last: {checked.refused[-1][1]}"
                )
            run.progress("encoding", done, total)
    run.gathered.texts_per_s = _count_per_second(n_fresh, time.monotonic() - started)
    while due:
        rows, due = run.draft.read_texts_of(due[: run.encoder.page]), due[run.encoder.page :]
        if rows:  # some may be parts of restored records by now
            page = _prepare_page(run, rows, 1)
            due += _refuse_texts(run, rows, _keep_page(run, page, _encode_page(run.encoder, page)), everything)
    return _check_complete(run, current)


def _count_per_second(n_texts: int, seconds: float) -> float | None:
    """Return texts a second; None for few texts, of which the start takes most of the time."""
    return round(n_texts / seconds, 1) if n_texts >= _MANY and seconds > 0 else None


def _encode_pages(run: EncodingRun, everything: bool) -> Generator[tuple[_Page, CheckedVectors]]:
    """Yield pages with their vectors, in order. If the run ends early, the shards keep what was encoded."""
    encoder = run.encoder
    return map_in_order(
        lambda page: _encode_page(encoder, page),
        _read_pages(run, everything),
        encoder.ahead,
        partial(_keep_in_shards, run),
    )


def _read_pages(run: EncodingRun, everything: bool) -> Iterator[_Page]:
    """Yield the texts to encode, page by page."""
    size = run.encoder.page
    for number, rows in enumerate(run.draft.read_texts_to_encode(everything, size)):
        # One text in _CANARY_EVERY, whatever the size of a page.
        due = (number + 1) * size // _CANARY_EVERY - number * size // _CANARY_EVERY
        yield _prepare_page(run, rows, _FIRST_CANARIES if number == 0 else due)


def _prepare_page(run: EncodingRun, rows: list[TextRow], n_canaries: int) -> _Page:
    """Prepare the texts of rows and look up those that an earlier run encoded."""
    pairs = [(position, text) for position, row in enumerate(rows) for text in run.texts(row.title, row.abstract)]
    owners, texts = [position for position, _ in pairs], [text for _, text in pairs]
    digests = [hash_text(text) for text in texts]
    taken = _take_given(run, rows, owners, texts) if run.given else {}
    kept = {i: entry for i, digest in enumerate(digests) if i not in taken and (entry := run.shards.get(digest))}
    return _Page(rows, owners, texts, digests, taken | kept, n_canaries, list(taken))


def _take_given(run: EncodingRun, rows: list[TextRow], owners: list[int], texts: list[str]) -> dict[int, StoredText]:
    """Return the given vectors of texts by position; a text without a word gets none, as from the encoder."""
    if run.given is None or not texts:
        return {}
    given, taken = run.given, dict[int, StoredText]()
    n_tokens, places = given.count(texts).tolist(), np.searchsorted(owners, np.arange(len(rows) + 1)).tolist()
    for row, (start, end) in zip(rows, pairwise(places), strict=True):
        worded = [at for at in range(start, end) if n_tokens[at]]
        if not worded:
            continue
        place = given.source.find(row.record_id, row.sha256, len(worded))
        if place.problem:
            run.gathered.count_remark(f"{place.problem}, so encoded here", f"record {row.record_id}")
            continue
        for at, vector in zip(worded, given.source.read(place), strict=True):
            taken[at] = StoredText(vector, n_tokens[at], TAKEN)
    return taken


def _encode_page(encoder: Encoder, page: _Page) -> CheckedVectors:
    """Encode the texts of a page that are in no shard. Runs in a thread, so it changes nothing else."""
    texts = [page.texts[i] for i in page.rest]
    fresh = encode_checked(encoder, texts)
    check_canaries(encoder, [texts[i] for i in fresh.kept], fresh.vectors, page.n_canaries)
    _check_taken(encoder, page)
    return fresh


def _check_taken(encoder: Encoder, page: _Page) -> None:
    """Encode some of the texts whose vectors were given, and compare.

    Raises:
        EncoderError: a given vector is not that of this encoder and text.
    """
    n = min(page.n_canaries * _SAMPLED, len(page.taken))
    sample = [page.taken[at] for at in np.unique(np.linspace(0, len(page.taken) - 1, n, dtype=int))] if n else []
    own = encode_checked(encoder, [page.texts[i] for i in sample])
    for at, vector in zip(own.kept.tolist(), own.vectors, strict=True):
        given = page.resumed[sample[at]].vector
        if not (cosine := float(given @ vector)) >= SAME_TEXT_COSINE:
            record_id = page.rows[page.owners[sample[at]]].record_id
            raise EncoderError(
                f"the vector given for {record_id} is not that of {encoder.identity.model}: cosine {cosine:.4f}, "
                f"expected {SAME_TEXT_COSINE} or more. Nothing was published. Give vectors that this model made of the "
                "same texts (text_sha256 in the table of ids tells texts apart), or leave out --vectors"
            )


def _keep_page(run: EncodingRun, page: _Page, fresh: CheckedVectors) -> CheckedVectors:
    """Store the vectors of a page and the numbers of tokens of its texts."""
    _keep_in_shards(run, page, fresh)
    run.gathered.made_by.update(stored.made_by for stored in page.resumed.values())
    run.gathered.made_by[fresh.made_by] += len(fresh.kept)
    checked = _group_by_row(page, _merge_resumed(fresh, page.rest, page.resumed, run.encoder.identity.dim))
    taken = {page.owners[i] for i in page.taken}
    fully_resumed = set(page.owners) - {page.owners[i] for i in page.rest} - taken
    run.gathered.n_resumed += len(fully_resumed & set(checked.kept.tolist()))
    run.gathered.n_taken += len(taken & set(checked.kept.tolist()))
    limit, lengths = run.encoder.identity.max_length, dict[int, list[int]]()
    for row, n in zip(checked.kept.tolist(), checked.n_tokens.tolist(), strict=True):
        lengths.setdefault(page.rows[row].doc_id, []).append(n)
    run.draft.note_lengths([(sum(each), max(each) > limit, doc_id) for doc_id, each in lengths.items()])
    ids = np.array([page.rows[row].doc_id for row in checked.kept], dtype=np.int64)
    run.spool.append(ids, checked.vectors)
    return checked


def _group_by_row(page: _Page, checked: CheckedVectors) -> CheckedVectors:
    """Group the vectors of texts by their rows. A refused text refuses the whole row.

    A passage without a word is left out if other passages of its row have words. A row without any vector or text is
    refused as wordless.
    """
    reasons = {page.owners[i]: reason for i, reason in checked.refused if reason != WORDLESS}
    owners = np.array(page.owners, dtype=np.int64)[checked.kept]
    lost = set(range(len(page.rows))) - set(owners.tolist()) - reasons.keys()
    reasons |= dict.fromkeys(lost, WORDLESS)
    is_good = ~np.isin(owners, list(reasons))
    return CheckedVectors(
        owners[is_good], checked.vectors[is_good], checked.n_tokens[is_good], tuple(sorted(reasons.items()))
    )


def _keep_in_shards(run: EncodingRun, page: _Page, fresh: CheckedVectors) -> None:
    """Add the new vectors of a page to the shards, which survive a stopped run."""
    rest = page.rest
    run.shards.add([page.digests[rest[i]] for i in fresh.kept], fresh.vectors, fresh.n_tokens, fresh.made_by)


def _merge_resumed(fresh: CheckedVectors, rest: list[int], resumed: dict[int, StoredText], dim: int) -> CheckedVectors:
    """Merge newly encoded texts, whose positions in the page are `rest`, with resumed ones, in page order."""
    if not resumed:
        return fresh
    rows = {position: (stored.vector, stored.n_tokens) for position, stored in resumed.items()} | {
        rest[i]: (vector, int(n)) for i, vector, n in zip(fresh.kept, fresh.vectors, fresh.n_tokens, strict=True)
    }
    kept = sorted(rows)
    vectors = np.array([rows[i][0] for i in kept], dtype=np.float32).reshape(len(kept), dim)
    lengths = np.array([rows[i][1] for i in kept], dtype=np.int64)
    refused = tuple((rest[i], reason) for i, reason in fresh.refused)
    return CheckedVectors(np.array(kept, dtype=np.int64), vectors, lengths, refused)


def _refuse_texts(run: EncodingRun, page: list[TextRow], checked: CheckedVectors, everything: bool) -> list[int]:
    """Reject rows without a usable vector: a new record leaves the draft, a changed one is restored.

    If a decision of this run joined a row, its parts stand alone again. Returns the doc ids that now need a vector;
    with everything, these are all restored records, since nothing is carried over.
    """
    due: list[int] = []
    ledger, gathered = run.draft.ledger, run.gathered
    for position, reason in checked.refused:
        text = page[position]
        freed = run.draft.parts.take_apart(text.doc_id)
        gathered.merged -= sum(doc_id in ledger.originals for doc_id in freed)
        due += [doc_id for doc_id in freed if everything or ledger.changes[doc_id] in (Change.ADDED, Change.TEXT)]
        if freed:
            gathered.count_remark(_KEPT_APART, f"record {text.record_id}")
        if text.doc_id in freed:  # its own text is still to be tried
            continue
        if restored_ids := ledger.restore(text.doc_id):
            due += restored_ids if everything else []
            gathered.merged -= len(restored_ids) - 1
            gathered.retracted.difference_update(restored_ids)
            reason += "; the record stays as it was"
        else:
            ledger.reject(text.doc_id)
            if ledger.changes.pop(text.doc_id, None) is not Change.ADDED:
                gathered.deleted += 1
        refuse(run.draft, gathered, Rejection("encoder", f"record {text.record_id}", reason))
    return due


def _check_complete(run: EncodingRun, current: SegmentedIndex | None) -> Vectorised:
    """Check that every row has a new vector or one to carry over.

    Raises:
        CorruptError: an id has neither.
    """
    run.draft.release_unchanged()
    doc_ids = run.draft.read_ids()
    counts = run.spool.find_places(doc_ids)[1]
    is_new = counts > 0
    carried = doc_ids[~is_new]
    is_known = np.zeros(len(carried), bool) if current is None else current.has_ids(carried)
    if not is_known.all():
        raise CorruptError(
            f"the current generation has no vector for id {carried[~is_known][0]}. Encode everything again: --re-encode"
        )
    if current is not None:
        counts[~is_new] = current.count_vectors(carried)
    n_resumed, n_taken = run.gathered.n_resumed, run.gathered.n_taken
    return Vectorised(doc_ids, counts, run.spool, current, int(is_new.sum()) - n_resumed - n_taken, n_resumed)
