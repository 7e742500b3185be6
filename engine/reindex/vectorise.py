"""Vectors of the next generation: new ones for texts that changed, the current ones byte for byte for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.corpus.draft import Change, Draft
from engine.encode.contract import WORDLESS, Checked, check_canaries, encode_checked
from engine.encode.encoder import Encoder
from engine.encode.recipe import prepared
from engine.errors import CorruptError, EncoderError
from engine.index.flat import FlatIndex
from engine.records import DocIds, Rejection, Vectors
from engine.reindex.gather import Gathered, Progress, refuse

PAGE = 256  # texts handed to the encoder at once; bounds memory and how far a progress line jumps
MAX_FAILED_SHARE = 0.05  # of the texts of a run; an encoder that fails on more is broken
MIN_FAILED = 10  # below this many, single odd records are the likelier cause


@dataclass(frozen=True, slots=True)
class Vectorised:
    """The vectors of every row of the draft."""

    doc_ids: DocIds  # (n,) ascending
    vectors: Vectors  # (n, dim), rows matching doc_ids
    n_encoded: int


def vectorise(
    draft: Draft, encoder: Encoder, current: FlatIndex | None, gathered: Gathered, progress: Progress
) -> Vectorised:
    """Encode the rows of the draft that need it and carry the others over; current None encodes everything.

    Raises:
        EncoderError: too many texts came back without a usable vector, or the encoder mixes up rows.
        CorruptError: the current generation lacks a vector that it should have.
    """
    everything = current is None
    total = draft.count_to_encode(everything)
    pages: list[tuple[DocIds, Vectors]] = []
    restored: list[int] = []
    done = n_failed = 0
    progress("encoding", 0, total)
    for page in draft.texts_to_encode(everything, PAGE):
        checked = encode_page(draft, encoder, page)
        pages.append(kept_of(page, checked))
        restored += refuse_texts(draft, page, checked, gathered)
        done += len(page)
        n_failed += sum(reason != WORDLESS for _, reason in checked.refused)
        if n_failed > max(MIN_FAILED, MAX_FAILED_SHARE * total):
            raise EncoderError(
                f"{encoder.identity.model} gave no usable vector for {n_failed} of {done} texts, so nothing was "
                f"published. The first: {gathered.rejections[0]}"
            )
        progress("encoding", done, total)
    if everything and restored:  # nothing is carried over, so what went back to its old text is encoded too
        page = draft.texts_of(restored)
        checked = encode_page(draft, encoder, page)
        pages.append(kept_of(page, checked))
        refuse_texts(draft, page, checked, gathered)
    return joined(draft.ids(), pages, encoder.identity.dim, current)


def encode_page(draft: Draft, encoder: Encoder, page: list[tuple[int, str, str, str]]) -> Checked:
    """Encode one page and note the lengths of its texts."""
    texts = [prepared(title, abstract) for _, _, title, abstract in page]
    checked = encode_checked(encoder, texts)
    check_canaries(encoder, [texts[i] for i in checked.kept], checked.vectors)
    limit = encoder.identity.max_length
    lengths = zip(checked.n_tokens, checked.kept, strict=True)
    draft.note_lengths([(int(n), bool(n > limit), page[i][0]) for n, i in lengths])
    return checked


def kept_of(page: list[tuple[int, str, str, str]], checked: Checked) -> tuple[DocIds, Vectors]:
    """Doc ids and vectors of the usable texts of a page."""
    return np.array([page[i][0] for i in checked.kept], dtype=np.int64), checked.vectors


def refuse_texts(
    draft: Draft, page: list[tuple[int, str, str, str]], checked: Checked, gathered: Gathered
) -> list[int]:
    """Reject the rows without a usable vector: a new one leaves the draft, a changed one goes back as it was.

    Returns the doc ids of those that went back.
    """
    restored = []
    for position, reason in checked.refused:
        doc_id, record_id, _, _ = page[position]
        if draft.restore(doc_id):
            gathered.changes[doc_id] = Change.NONE
            restored.append(doc_id)
            reason += "; the record stays as it was"
        else:
            draft.discard(doc_id)
            if gathered.changes.pop(doc_id, None) is not Change.ADDED:
                gathered.deleted += 1
        refuse(draft, gathered, Rejection("encoder", f"record {record_id}", reason))
    return restored


def joined(doc_ids: DocIds, pages: list[tuple[DocIds, Vectors]], dim: int, current: FlatIndex | None) -> Vectorised:
    """Put new and carried vectors in the order of the ids, letting go of each page as it is copied.

    Raises:
        CorruptError: an id has neither.
    """
    vectors = np.empty((len(doc_ids), dim), np.float32)
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
    return Vectorised(doc_ids, vectors, int(is_new.sum()))
