"""How many of the nearest records a map keeps near: `python scripts/bench_map.py INDEX_FOLDER …`.

For each index and kind of map: of the 10 records nearest to a record, by cosine, the share that is among the 30 nearest
to it on the map, over 2,000 records spread over the index, and the seconds of computing. Kinds whose package is missing
are left out, which is said.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import get_args

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.index.generations.folder import IndexFolder
from engine.index.generations.vectors import open_vectors
from engine.index.map.corpusmap import project_records
from engine.options import MapKind
from engine.reindex.generation.corpusmap import make_layout

_QUERIES = 2_000
_NEAREST, _AROUND = 10, 30


def main() -> None:
    """Print a row for each index and kind of map."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("indexes", nargs="+", type=Path, metavar="INDEX_FOLDER")
    kinds = [kind for kind in get_args(MapKind) if kind != "none"]
    if importlib.util.find_spec("umap") is None:
        kinds.remove("umap")
        print("umap is left out: pip install 'abstract-engine[map]'", file=sys.stderr)
    print("| index | records | map | neighbours kept | seconds of CPU |\n|---|---|---|---|---|")
    for path in parser.parse_args().indexes:
        for kind in kinds:
            measure_map(path, kind)


def measure_map(path: Path, kind: MapKind) -> None:
    """Print the row of one index and kind of map."""
    vectors = open_vectors(IndexFolder(path).open_current(quick=True))
    doc_ids, began = vectors.doc_ids, time.process_time()
    places = project_records(vectors, doc_ids, make_layout(vectors, kind))
    seconds = time.process_time() - began
    rows = np.unique(np.linspace(0, len(doc_ids) - 1, min(_QUERIES, len(doc_ids)), dtype=np.int64))
    points = np.concatenate([vectors.get_points(ids) for ids in np.array_split(doc_ids, 1 + len(doc_ids) // 16_384)])
    near = find_nearest(points, rows, _NEAREST, faiss.METRIC_INNER_PRODUCT)
    around = find_nearest(places, rows, _AROUND, faiss.METRIC_L2)
    kept = np.mean([len(a & b) / len(a) for a, b in zip(near, around, strict=True) if a])
    print(f"| {path.name} | {len(doc_ids):,} | {kind} | {kept:.3f} | {seconds:.0f} |", flush=True)


def find_nearest(points: NDArray[np.float32], rows: NDArray[np.int64], k: int, metric: int) -> list[set[int]]:
    """Return for some rows the k rows nearest to them, without themselves."""
    found = faiss.knn(np.ascontiguousarray(points[rows]), np.ascontiguousarray(points), k + 1, metric=metric)[1]
    return [
        set([near for near in each if near != row][:k]) for row, each in zip(rows.tolist(), found.tolist(), strict=True)
    ]


if __name__ == "__main__":
    main()
