"""Vectors of the next generation: new ones for texts that changed, the current ones byte for byte for the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.corpus.draft import Draft
from engine.encode.contract import check_canaries, encode_checked
from engine.encode.encoder import Encoder
from engine.encode.recipe import prepared
from engine.errors import CorruptError, EncoderError
from engine.index.flat import FlatIndex
from engine.records import DocIds, Rejection, Vectors
from engine.reindex.gather import Gathered, Progress, refuse

PAGE = 256  # texts handed to the encoder at once; bounds memory and how far a progress line jumps
MAX_REFUSED_SHARE = 0.05  # of the texts of a run; an encoder that fails on more is broken
MIN_REFUSED = 10  # below this many, single odd records are the likelier cause


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
    new_ids: list[DocIds] = []
    new_vectors: list[Vectors] = [np.empty((0, encoder.identity.dim), np.float32)]
    done = n_refused = 0
    progress("encoding", 0, total)
    for page in draft.texts_to_encode(everything, PAGE):
        doc_ids, vectors, refused = encode_page(draft, encoder, page, gathered)
        new_ids.append(doc_ids)
        new_vectors.append(vectors)
        done += len(page)
        n_refused += refused
        if n_refused > max(MIN_REFUSED, MAX_REFUSED_SHARE * total):
            raise EncoderError(
                f"{encoder.identity.model} gave no usable vector for {n_refused} of {done} texts, so nothing was "
                f"published. The last: {gathered.rejections[-1] if gathered.rejections else 'see above'}"
            )
        progress("encoding", done, total)
    encoded_ids = np.concatenate([np.empty(0, np.int64), *new_ids])
    return joined(draft.ids(), encoded_ids, np.concatenate(new_vectors), current)


def encode_page(
    draft: Draft, encoder: Encoder, page: list[tuple[int, str, str, str]], gathered: Gathered
) -> tuple[DocIds, Vectors, int]:
    """Encode one page; rows without a usable vector leave the draft with a reason. Returns ids, vectors, refusals."""
    texts = [prepared(title, abstract) for _, _, title, abstract in page]
    checked = encode_checked(encoder, texts)
    for position, reason in checked.refused:
        refuse(draft, gathered, Rejection("encoder", f"record {page[position][1]}", reason))
        draft.discard([page[position][0]])
        gathered.changes.pop(page[position][0], None)
    check_canaries(encoder, [texts[i] for i in checked.kept], checked.vectors)
    doc_ids = np.array([page[i][0] for i in checked.kept], dtype=np.int64)
    limit = encoder.identity.max_length
    draft.note_lengths([(int(n), bool(n > limit), int(i)) for n, i in zip(checked.n_tokens, doc_ids, strict=True)])
    return doc_ids, checked.vectors, len(checked.refused)


def joined(doc_ids: DocIds, encoded_ids: DocIds, encoded: Vectors, current: FlatIndex | None) -> Vectorised:
    """Put new and carried vectors in the order of the ids.

    Raises:
        CorruptError: an id has neither.
    """
    vectors = np.empty((len(doc_ids), encoded.shape[1]), np.float32)
    is_new = np.isin(doc_ids, encoded_ids)
    vectors[is_new] = encoded[np.argsort(encoded_ids)]
    carried = doc_ids[~is_new]
    rows = np.full(len(carried), -1, np.int64) if current is None else current.rows(carried)
    if (rows < 0).any():
        raise CorruptError(
            f"the current generation has no vector for id {carried[rows < 0][0]}. Encode everything again: --re-encode"
        )
    if current is not None:
        vectors[~is_new] = current.vectors[rows]
    return Vectorised(doc_ids, vectors, len(encoded_ids))
