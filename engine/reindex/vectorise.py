"""Vectors of the next generation: new ones for texts that changed, the current ones byte for byte for the rest."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np

from engine.corpus.draft import Draft, Text
from engine.corpus.ledger import Change
from engine.encode.contract import WORDLESS, Checked, check_canaries, encode_checked
from engine.encode.encoder import Encoder
from engine.encode.recipe import prepared
from engine.errors import CorruptError, EncoderError
from engine.index.flat import FlatIndex
from engine.records import DocIds, Rejection, Vectors
from engine.reindex.gather import Gathered, Progress, refuse
from engine.reindex.shards import Shards

PAGE = 256  # texts handed to the encoder at once; bounds memory and how far a progress line jumps
MAX_FAILED_SHARE = 0.05  # of the texts of a run; an encoder that fails on more is broken
MIN_FAILED = 10  # below this many, single odd records are the likelier cause


@dataclass(frozen=True, slots=True)
class Vectorised:
    """The vectors of every row of the draft."""

    doc_ids: DocIds  # (n,) ascending
    vectors: Vectors  # (n, dim), rows matching doc_ids
    n_encoded: int  # in this run
    n_resumed: int  # taken from what a run that did not end had encoded


def vectorise(
    draft: Draft, encoder: Encoder, current: FlatIndex | None, gathered: Gathered, shards: Shards, progress: Progress
) -> Vectorised:
    """Encode the rows of the draft that need it and carry the others over; current None encodes everything.

    What an earlier run left in the shards is not encoded again; however this run ends, what it encoded is kept there.

    Raises:
        EncoderError: too many texts came back without a usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    try:
        return encode_rows(Run(draft, encoder, gathered, shards, progress), current)
    except BaseException:
        with contextlib.suppress(OSError):
            shards.flush()
        raise


@dataclass(frozen=True, slots=True)
class Run:
    """What encoding works with."""

    draft: Draft
    encoder: Encoder
    gathered: Gathered
    shards: Shards
    progress: Progress


def encode_rows(run: Run, current: FlatIndex | None) -> Vectorised:
    """The work of vectorise.

    Raises:
        EncoderError: too many texts came back without a usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    everything = current is None
    total = run.draft.count_to_encode(everything)
    pages: list[tuple[DocIds, Vectors]] = []
    restored: list[int] = []
    done = n_failed = 0
    run.progress("encoding", 0, total)
    for page in run.draft.texts_to_encode(everything, PAGE):
        checked = encode_page(run, page)
        pages.append(kept_of(page, checked))
        restored += refuse_texts(run, page, checked)
        done += len(page)
        n_failed += sum(reason != WORDLESS for _, reason in checked.refused)
        if n_failed > max(MIN_FAILED, MAX_FAILED_SHARE * total):
            raise EncoderError(
                f"{run.encoder.identity.model} gave no usable vector for {n_failed} of {done} texts, so nothing was "
                f"published. The last: {checked.refused[-1][1]}"
            )
        run.progress("encoding", done, total)
    if everything and restored:  # nothing is carried over, so what went back to its old text is encoded too
        page = run.draft.texts_of(restored)
        checked = encode_page(run, page)
        pages.append(kept_of(page, checked))
        refuse_texts(run, page, checked)
    dim, n_resumed = run.encoder.identity.dim, run.gathered.n_resumed
    return joined(run.draft.ids(), pages, Carried(current, dim, n_resumed))


def encode_page(run: Run, page: list[Text]) -> Checked:
    """Encode the texts of a page that no shard holds, and note the lengths of all."""
    resumed = {i: found for i, text in enumerate(page) if (found := run.shards.get(text.sha256))}
    rest = [i for i in range(len(page)) if i not in resumed]
    texts = [prepared(page[i].title, page[i].abstract) for i in rest]
    fresh = encode_checked(run.encoder, texts)
    check_canaries(run.encoder, [texts[i] for i in fresh.kept], fresh.vectors)
    run.shards.add([page[rest[i]].sha256 for i in fresh.kept], fresh.vectors, fresh.n_tokens)
    run.gathered.n_resumed += len(resumed)
    checked = together(fresh, rest, resumed, run.encoder.identity.dim)
    limit = run.encoder.identity.max_length
    lengths = zip(checked.n_tokens, checked.kept, strict=True)
    run.draft.note_lengths([(int(n), bool(n > limit), page[i].doc_id) for n, i in lengths])
    return checked


def together(fresh: Checked, rest: list[int], resumed: dict[int, tuple[Vectors, int]], dim: int) -> Checked:
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
    return Checked(np.array(kept, dtype=np.int64), vectors, lengths, refused)


def kept_of(page: list[Text], checked: Checked) -> tuple[DocIds, Vectors]:
    """Doc ids and vectors of the usable texts of a page."""
    return np.array([page[i].doc_id for i in checked.kept], dtype=np.int64), checked.vectors


def refuse_texts(run: Run, page: list[Text], checked: Checked) -> list[int]:
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


@dataclass(frozen=True, slots=True)
class Carried:
    """Where the vectors of unchanged texts come from."""

    current: FlatIndex | None  # None: nothing is carried over
    dim: int
    n_resumed: int


def joined(doc_ids: DocIds, pages: list[tuple[DocIds, Vectors]], carried_from: Carried) -> Vectorised:
    """Put new and carried vectors in the order of the ids, letting go of each page as it is copied.

    Raises:
        CorruptError: an id has neither.
    """
    current = carried_from.current
    vectors = np.empty((len(doc_ids), carried_from.dim), np.float32)
    is_new = np.zeros(len(doc_ids), bool)
    while pages:
        page_ids, page_vectors = pages.pop()
        places = np.searchsorted(doc_ids, page_ids)
        vectors[places] = page_vectors
        is_new[places] = True
    carried = doc_ids[~is_new]
    rows = np.full(len(carried), -1, np.int64) if current is None else current.rows(carried)
    if (rows < 0).any():
        raise CorruptError(
            f"the current generation has no vector for id {carried[rows < 0][0]}. Encode everything again: --re-encode"
        )
    if current is not None:
        vectors[~is_new] = current.vectors[rows]
    n_resumed = carried_from.n_resumed
    return Vectorised(doc_ids, vectors, int(is_new.sum()) - n_resumed, n_resumed)
