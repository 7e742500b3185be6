"""Vectors of the next generation: new ones for texts that changed, the current ones byte for byte for the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.corpus.draft import Draft, Text
from engine.corpus.ledger import Change
from engine.encode.ahead import in_order
from engine.encode.contract import WORDLESS, Checked, check_canaries, encode_checked
from engine.encode.encoder import Encoder
from engine.encode.recipe import prepared
from engine.errors import CorruptError, EncoderError
from engine.index.flat import FlatIndex
from engine.records import DocIds, Rejection, Vectors
from engine.reindex.gather import Gathered, Progress, refuse
from engine.reindex.shards import Shards
from engine.reindex.spool import Spool

CANARY_EVERY = 256  # texts; one in so many is encoded again, alone
FIRST_CANARIES = 4  # of the first page
CHUNK = 2048  # rows put in order at once
MAX_FAILED_SHARE = 0.05  # of the texts of a run; an encoder that fails on more is broken
MIN_FAILED = 10  # below this many, single odd records are the likelier cause


@dataclass(frozen=True, slots=True)
class Vectorised:
    """The vectors of every row of the draft."""

    doc_ids: DocIds  # (n,) ascending
    spool: Spool  # new vectors
    current: FlatIndex | None  # the vectors of unchanged texts; None: nothing is carried over
    n_encoded: int  # in this run
    n_resumed: int  # taken from what a run that did not end had encoded

    def new_ids(self) -> DocIds:
        """Ids whose vectors are new or may have changed, ascending."""
        return self.doc_ids[self.spool.places(self.doc_ids) >= 0]

    def chunks(self) -> Iterator[Vectors]:
        """The vectors in the order of the ids, a few thousand rows (m, dim) at a time."""
        places, new = self.spool.places(self.doc_ids), self.spool.rows()
        for start in range(0, len(self.doc_ids), CHUNK):
            part = places[start : start + CHUNK]
            chunk = np.empty((len(part), self.spool.dim), np.float32)
            chunk[part >= 0] = new[part[part >= 0]]
            if self.current is not None:
                carried = self.doc_ids[start : start + CHUNK][part < 0]
                chunk[part < 0] = self.current.vectors[self.current.rows(carried)]
            yield chunk


@dataclass(frozen=True, slots=True)
class Run:
    """What encoding works with."""

    draft: Draft
    encoder: Encoder
    gathered: Gathered
    shards: Shards
    spool: Spool
    progress: Progress


@dataclass(frozen=True, slots=True)
class Page:
    """Texts that go through the encoder together."""

    rows: list[Text]
    resumed: dict[int, tuple[Vectors, int]]  # position -> vector and length, from an earlier run
    rest: list[int]  # positions of the others
    texts: list[str]  # of those, as the encoder gets them
    n_canaries: int


def vectorise(run: Run, current: FlatIndex | None) -> Vectorised:
    """Encode the rows of the draft that need it; the others are carried over. Without a current index all are encoded.

    Reading, encoding and keeping overlap; what waits between them is a few pages. What an earlier run left in the
    shards is not encoded again; however this run ends, what it encoded is kept there until it is published.

    Raises:
        EncoderError: too many texts came back without a usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    try:
        return encode_rows(run, current)
    finally:
        with contextlib.suppress(OSError):
            run.shards.flush()


def encode_rows(run: Run, current: FlatIndex | None) -> Vectorised:
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
    with contextlib.closing(encoded_pages(run, everything)) as encoded:
        for page, fresh in encoded:
            checked = keep_page(run, page, fresh)
            restored += refuse_texts(run, page.rows, checked)
            done += len(page.rows)
            n_failed += sum(reason != WORDLESS for _, reason in checked.refused)
            if n_failed > max(MIN_FAILED, MAX_FAILED_SHARE * total):
                raise EncoderError(
                    f"{run.encoder.identity.model} gave no usable vector for {n_failed} of {done} texts, so nothing "
                    f"was published. The last: {checked.refused[-1][1]}"
                )
            run.progress("encoding", done, total)
    if everything and restored:  # nothing is carried over, so what went back to its old text is encoded too
        page = page_of(run, run.draft.texts_of(restored), 1)
        refuse_texts(run, page.rows, keep_page(run, page, encode_page(run.encoder, page)))
    return gathered_up(run, current)


def encoded_pages(run: Run, everything: bool) -> Generator[tuple[Page, Checked]]:
    """Pages with their vectors, in order; of what was encoded when the run ends early, the shards keep the vectors."""
    encoder = run.encoder
    return in_order(
        lambda page: encode_page(encoder, page), pages(run, everything), encoder.ahead, partial(keep_in_shards, run)
    )


def pages(run: Run, everything: bool) -> Iterator[Page]:
    """The texts to encode, page by page."""
    size = run.encoder.page
    for number, rows in enumerate(run.draft.texts_to_encode(everything, size)):
        # One text in CANARY_EVERY, whatever the size of a page.
        due = (number + 1) * size // CANARY_EVERY - number * size // CANARY_EVERY
        yield page_of(run, rows, FIRST_CANARIES if number == 0 else due)


def page_of(run: Run, rows: list[Text], n_canaries: int) -> Page:
    """Sort out which texts an earlier run encoded, and prepare the others."""
    resumed = {i: found for i, text in enumerate(rows) if (found := run.shards.get(text.sha256))}
    rest = [i for i in range(len(rows)) if i not in resumed]
    return Page(rows, resumed, rest, [prepared(rows[i].title, rows[i].abstract) for i in rest], n_canaries)


def encode_page(encoder: Encoder, page: Page) -> Checked:
    """Encode the texts of a page that no shard holds. Runs beside everything else, so it touches nothing else."""
    fresh = encode_checked(encoder, page.texts)
    check_canaries(encoder, [page.texts[i] for i in fresh.kept], fresh.vectors, page.n_canaries)
    return fresh


def keep_page(run: Run, page: Page, fresh: Checked) -> Checked:
    """Keep the vectors of a page and note the lengths of all its texts."""
    keep_in_shards(run, page, fresh)
    run.gathered.n_resumed += len(page.resumed)
    checked = together(fresh, page.rest, page.resumed, run.encoder.identity.dim)
    limit = run.encoder.identity.max_length
    ids = [page.rows[i].doc_id for i in checked.kept]
    lengths = checked.n_tokens.tolist()
    run.draft.note_lengths([(n, n > limit, doc_id) for n, doc_id in zip(lengths, ids, strict=True)])
    run.spool.append(np.array(ids, dtype=np.int64), checked.vectors)
    return checked


def keep_in_shards(run: Run, page: Page, fresh: Checked) -> None:
    """Save the vectors of a page from being lost with the run."""
    run.shards.add([page.rows[page.rest[i]].sha256 for i in fresh.kept], fresh.vectors, fresh.n_tokens)


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


def gathered_up(run: Run, current: FlatIndex | None) -> Vectorised:
    """Check that every row has a vector, new or carried over.

    Raises:
        CorruptError: an id has neither.
    """
    doc_ids = run.draft.ids()
    is_new = run.spool.places(doc_ids) >= 0
    carried = doc_ids[~is_new]
    rows = np.full(len(carried), -1, np.int64) if current is None else current.rows(carried)
    if (rows < 0).any():
        raise CorruptError(
            f"the current generation has no vector for id {carried[rows < 0][0]}. Encode everything again: --re-encode"
        )
    n_resumed = run.gathered.n_resumed
    return Vectorised(doc_ids, run.spool, current, int(is_new.sum()) - n_resumed, n_resumed)
