"""The file ``codes.faiss``: vectors compressed to one bit per dimension, sorted into lists, with their ids.

The exact vectors stay in vectors.faiss. Codes only select the candidates that are scored exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.search.factory import Factory
from engine.index.search.flat import FlatIndex
from engine.index.search.gpu import open_clustering_index
from engine.index.search.library import faiss
from engine.progress import Progress
from engine.records.generation import DocIds

_POINTS = 64  # training vectors per list; FAISS wants 39 to 256
_ITERATIONS = 10  # of k-means
_CHUNK = 65_536  # vectors added per call
_SEED = 1234
_MAX_REBUILT = 0.5  # share of the vectors in lists that lost an id; above it, all lists are refilled


def train_lists(flat: FlatIndex, factory: Factory, report: Progress, *, on_gpu: bool = False) -> Any:
    """Return an empty index whose lists are trained on a sample of the vectors.

    The same vectors always give the same lists.
    """
    index = faiss.index_factory(flat.dim, str(factory), faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed = _ITERATIONS, _SEED
    n = min(flat.size, _POINTS * factory.n_lists)
    rows = np.sort(np.random.default_rng(_SEED).choice(flat.size, n, replace=False))
    index.cp.min_points_per_centroid = 1
    report(f"training {factory.n_lists:,} lists on {n:,} vectors", 0, None)
    if on_gpu and (lookup := open_clustering_index(flat.dim)) is not None:
        index.clustering_index = lookup
    index.train(np.ascontiguousarray(flat.vectors[rows]))
    index.clustering_index = None
    return index


def fill_lists(index: Any, flat: FlatIndex, report: Progress) -> None:
    """Empty the lists, then put all vectors into them."""
    index.reset()
    _add_rows(index, flat, np.arange(flat.size), report)


def _add_rows(index: Any, flat: FlatIndex, rows: NDArray[np.int64], report: Progress) -> None:
    """Add some rows under their doc ids."""
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        index.add_with_ids(np.ascontiguousarray(flat.vectors[part]), np.ascontiguousarray(flat.doc_ids[part]))
        report("compressing", min(start + _CHUNK, len(rows)), len(rows))


def update_codes(content: NDArray[np.uint8], flat: FlatIndex, gone: DocIds, new: DocIds, report: Progress) -> Any:
    """Update the codes of the previous generation to the vectors of the next one.

    `gone` ids (removed or changed) are dropped and `new` ids are added. A list that loses an id is refilled from the
    exact vectors: FAISS 1.15 leaves bits of removed codes in the last block of a list, and codes added there later
    would be wrong.

    Raises:
        CorruptError: the codes can't be read, or their ids don't match the vectors.
    """
    try:
        index = faiss.deserialize_index(content)
    except (RuntimeError, MemoryError) as err:
        raise CorruptError(f"the codes can't be read by FAISS: {str(err)[:200]}. Run: engine verify") from err
    ids, lists = read_ids_and_lists(index)
    emptied = ids[np.isin(lists, lists[np.isin(ids, gone)])]
    if len(emptied) > _MAX_REBUILT * max(index.ntotal, 1):
        fill_lists(index, flat, report)
    else:
        if len(emptied):
            index.remove_ids(faiss.IDSelectorBatch(emptied))
        back = np.setdiff1d(emptied, gone)
        rows = flat.find_rows(np.sort(np.concatenate([back, new])))
        if (rows < 0).any():
            raise CorruptError("the codes contain ids that have no vector. Rebuild them: engine tune --rebuild")
        _add_rows(index, flat, rows, report)
    if index.ntotal != flat.size:
        raise CorruptError(f"{index.ntotal:,} codes for {flat.size:,} vectors. Rebuild them: engine tune --rebuild")
    return index


def read_ids_and_lists(index: Any) -> tuple[DocIds, NDArray[np.int64]]:
    """Return every id and the number of its list, both (n,)."""
    lists = index.invlists
    sizes = np.array([lists.list_size(i) for i in range(lists.nlist)], dtype=np.int64)
    ids = [faiss.rev_swig_ptr(lists.get_ids(int(i)), int(sizes[i])).copy() for i in np.flatnonzero(sizes)]
    return np.concatenate([np.empty(0, np.int64), *ids]), np.repeat(np.arange(lists.nlist), sizes)


def serialise_codes(index: Any) -> NDArray[np.uint8]:
    """Return the FAISS file as bytes. The caller writes them: faiss.write_index reports success on a full disk."""
    content: NDArray[np.uint8] = faiss.serialize_index(index)
    return content
