"""Measure search beside bare FAISS, hnswlib, usearch and sentence-transformers, on one thread.

    python scripts/bench_search.py INDEX_FOLDER [--sizes 100000,1000000] [--queries 500] [--peers-up-to 100000]

INDEX_FOLDER is an index of the engine. Its own vectors come first; where a size asks for more, mixtures of three that
are near one another follow. Queries are titles of its records, encoded by its encoder. Vectors and codes are kept in
--work DIR, when that is given, and used again. All contestants take turns, twenty queries each. Prints JSON and tables.
"""

import json
import os
import statistics
import sys
import tempfile
from argparse import Namespace
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import bench_machine as bench
import faiss
import numpy as np
from bench_machine import ROWS, Way, measure
from bench_start import fresh

from engine import open_index
from engine.index.search import codes
from engine.index.search.exact import TIE
from engine.index.search.factory import HNSW_FROM, Factory, choose_n_lists, parse_factory
from engine.index.search.flat import FlatIndex, build_bitmap
from engine.index.search.ivf import IvfIndex
from engine.query.index import get_generation
from engine.records.encoder import Vectors
from engine.records.generation import AnnSettings

K, BATCH, TARGET = 10, 256, 0.99
N_PROBE, N_RERANK = (4, 8, 16, 32, 64, 128), (50, 100, 200, 400)
WIDTHS = (10, 20, 40, 80, 160, 320)  # of the search in a graph
SHARES = (0.01, 0.1, 0.5)  # of the records that a filter leaves
PUBMED = 40_000_000
DRAWN = 0.8  # recall; what finds less is not in the plot
HUGE = 2_000_000  # vectors; above, sentence-transformers takes seconds a query
LARGE = 200_000  # vectors; above, exhaustive searches take too long to be asked everything
NUMBERS = "build_s", "mb", "median_ms", "p95_ms", "recall", "batch_per_s"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
FLAT, BARE, IVF = "engine, exact", "faiss IndexFlatIP", "engine, IVF"


def _search_among(index: FlatIndex | IvfIndex, ids: Any, queries: Vectors, k: int) -> Any:
    return index.search_among(queries, ids, k)


def ivf_path(flat: FlatIndex, factory: Factory, work: Path) -> Path:
    return work / f"codes-{flat.size}-{factory}.faiss"


def build(flat: FlatIndex, factory: Factory, path: Path) -> None:
    index = codes.train_lists(flat, factory, lambda *_: None)
    codes.fill_lists(index, flat, lambda *_: None)
    codes.serialise_codes(index).tofile(path)


def ivf_of(flat: FlatIndex, factory: Factory, work: Path) -> tuple[IvfIndex, dict[str, Any]]:
    """Return the engine's compressed index of the vectors, and what building it took."""
    path = ivf_path(flat, factory, work)
    receipt = path.with_suffix(".json")
    if not receipt.exists():
        seconds = bench.timed(lambda: build(flat, factory, path))
        receipt.write_text(json.dumps({"build_s": round(seconds, 1)}))
    facts = {**json.loads(receipt.read_text()), "factory": str(factory), "mb": round(path.stat().st_size / 1e6, 2)}
    return IvfIndex(flat.path, path, flat.dim, AnnSettings(4, 50, 0.0, 0, TARGET, flat.size)), facts


def faiss_rows(found: Any) -> list[Any]:
    return list(found[1])


def hnswlib_rows(found: Any) -> list[Any]:
    return list(found[0].astype(np.int64))


def usearch_rows(found: Any) -> list[Any]:
    return list(np.atleast_2d(found.keys).astype(np.int64))


def semantic_rows(found: Any) -> list[Any]:
    return [[hit["corpus_id"] for hit in hits] for hits in found]


def doc_ids(rankings: Any) -> list[Any]:
    return [[doc_id for doc_id, _ in ranking] for ranking in rankings]


def exact_ways(flat: FlatIndex, bare: Any) -> list[Way]:
    import torch
    from sentence_transformers import util

    torch.set_num_threads(1)
    # FAISS's own copy, so that the vectors are in memory once.
    held = torch.from_numpy(faiss.rev_swig_ptr(bare.get_xb(), flat.size * flat.dim).reshape(flat.size, flat.dim))
    size = {"mb": round(flat.size * flat.dim * 4 / 1e6, 1)}
    ways = [Way(BARE, bare.search, faiss_rows, size), Way(FLAT, flat.search, doc_ids, size)]
    if flat.size > HUGE:
        return ways
    # cos_sim is its default; the dot product spares it the normalising of all vectors in each call.
    for name, score in (("dot_score", util.dot_score), ("cos_sim", util.cos_sim)):

        def search(queries: Vectors, k: int, score: Any = score) -> Any:
            return util.semantic_search(torch.from_numpy(queries), held, top_k=k, score_function=score)

        ways.append(Way(f"semantic_search, {name}", search, semantic_rows, size))
    return ways


def graph_ways(vectors: Vectors) -> list[Way]:
    import hnswlib
    from usearch.index import Index

    n, dim = vectors.shape
    graph = hnswlib.Index("ip", dim)
    graph.init_index(n, M=16, ef_construction=200)
    graph.set_num_threads(1)
    seconds = bench.timed(lambda: graph.add_items(vectors, np.arange(n), num_threads=1))
    with tempfile.NamedTemporaryFile() as file:
        graph.save_index(file.name)
        facts = {"build_s": round(seconds, 1), "mb": round(os.path.getsize(file.name) / 1e6, 1)}
    ways = [Way("hnswlib", graph.knn_query, hnswlib_rows, facts, {"ef": w}, partial(graph.set_ef, w)) for w in WIDTHS]
    for dtype in ("f32", "i8"):
        other = Index(ndim=dim, metric="ip", dtype=dtype)
        seconds = bench.timed(partial(other.add, np.arange(n), vectors, threads=1))
        facts = {"build_s": round(seconds, 1), "mb": round(other.serialized_length / 1e6, 1)}
        for w in WIDTHS:
            widen = partial(setattr, other, "expansion_search", w)
            search = partial(other.search, threads=1)
            ways.append(Way(f"usearch {dtype}", search, usearch_rows, facts, {"expansion": w}, widen))
    return ways


def ivf_ways(index: IvfIndex, facts: dict[str, Any]) -> list[Way]:
    ways = []
    for n_probe, n_rerank in product((p for p in N_PROBE if p <= index.n_lists), N_RERANK):
        setting = {"n_probe": n_probe, "n_rerank": n_rerank}
        use = partial(setattr, index, "settings", replace(index.settings, **setting))
        ways.append(Way(IVF, index.search, doc_ids, facts, setting, use))
    return ways


def recall(way: Way, flat: FlatIndex, queries: Vectors, least: Vectors, k: int) -> float:
    """Share of the k hits that score as the k best do; least (q,) is the exact score of the last of those."""
    way.prepare()
    hits = way.rows(way.search(queries, k))
    good = [(flat.vectors[rows] @ q >= low - TIE).sum() for q, rows, low in zip(queries, hits, least, strict=True)]
    return round(float(np.sum(good)) / (k * len(queries)), 4)


def tuned(ways: list[Way]) -> dict[str, Way]:
    """Return the cheapest setting of each contestant with the recall wanted, or that with most."""
    found: dict[str, Way] = {}
    for way in sorted(ways, key=lambda way: (max(0.0, TARGET - way.recall), statistics.median(way.ms))):
        found.setdefault(way.name, way)
    return {name: found[name] for name in dict.fromkeys(way.name for way in ways)}


def filtered(flat: FlatIndex, ivf: IvfIndex, bare: Any, queries: Vectors) -> list[dict[str, Any]]:
    """Search among some ids, beside FAISS with a selector, against comparing all of them."""
    found = []
    for share in SHARES:
        ids = np.sort(np.random.default_rng(1).choice(flat.size, max(K, int(share * flat.size)), replace=False))
        scores = np.concatenate([queries @ flat.vectors[ids[i : i + ROWS]].T for i in range(0, len(ids), ROWS)], axis=1)
        least = np.sort(scores, axis=1)[:, -K]

        def by_selector(q: Vectors, k: int, ids: Any = ids) -> Any:
            chosen = faiss.IDSelectorBitmap(build_bitmap(ids, flat.size))  # type: ignore[call-arg, arg-type]
            return bare.search(q, k, params=faiss.SearchParameters(sel=chosen))  # type: ignore[call-arg]

        ways = [Way("faiss, selector", by_selector, faiss_rows, {})]
        for name, index in ((FLAT, flat), (IVF, ivf)):
            ways.append(Way(name, partial(_search_among, index, ids), doc_ids, {}))
        measure(ways, queries, K)
        for way in ways:
            right, ms = recall(way, flat, queries, least, K), round(statistics.median(way.ms), 3)
            times = bench.times_as_fast(way.turns, ways[0].turns)
            found.append({"share": share, "name": way.name, "median_ms": ms, "recall": right, "times_faiss": times})
    return found


def one_size(given: Namespace, real: Vectors, n: int, queries: Vectors, work: Path) -> dict[str, Any]:
    flat = bench.vectors_of(real, n, work)
    bare = faiss.IndexFlatIP(flat.dim)
    for start in range(0, n, ROWS):
        bare.add(np.ascontiguousarray(flat.vectors[start : start + ROWS]))
    factory = (
        parse_factory(given.factory)
        if given.factory
        else Factory(choose_n_lists(n), 32 * (choose_n_lists(n) >= HNSW_FROM))
    )
    ivf, facts = ivf_of(flat, factory, work)
    ways = [*exact_ways(flat, bare), *ivf_ways(ivf, facts)]
    ways += graph_ways(np.array(flat.vectors)) if n <= given.peers_up_to else []
    measure(ways, queries, K, rare=n > LARGE)
    least = bare.search(queries, 100)[0]
    for way in ways:
        way.recall = recall(way, flat, queries, least[:, K - 1], K)
    best = tuned(ways)
    deep = recall(best[IVF], flat, queries, least[:, -1], 100)
    batches = batch_rates(best, np.resize(queries, (BATCH, flat.dim)), given.rounds)
    best[IVF].prepare()
    return {
        "n": n,
        "real": min(n, len(real)),
        "exact_ms_over_bare_faiss": round(1 / bench.times_as_fast(best[FLAT].turns, best[BARE].turns), 3),
        "exact": fresh(flat.path, None, {}, queries),
        "ivf": {**facts, **fresh(flat.path, ivf_path(flat, factory, work), best[IVF].setting, queries)},
        "ivf_memory": memory(ivf, facts) if n > LARGE else None,
        "ivf_recall_at_100": deep,
        "tuned": [{**way.shown(), "batch_per_s": batches[name]} for name, way in best.items()],
        "all": [way.shown() for way in ways],
        "filtered": filtered(flat, ivf, bare, queries[:20]),
    }


def batch_rates(ways: dict[str, Way], queries: Vectors, rounds: int) -> dict[str, int]:
    """Return queries a second when many are asked at once."""
    asked = {name: lambda way=way: (way.prepare(), way.search(queries, K)) for name, way in ways.items()}
    spent = bench.in_turns(asked, rounds)
    return {name: round(len(queries) / statistics.median(seconds)) for name, seconds in spent.items()}


def memory(ivf: IvfIndex, facts: dict[str, Any]) -> dict[str, float]:
    """Bytes a vector: codes and lists' ids on disk, the ids once more in memory; and what all of PubMed would need."""
    each = (facts["mb"] * 1e6 - 4 * ivf.dim * ivf.n_lists) / ivf.size + 8
    whole = PUBMED * each + choose_n_lists(PUBMED) * (4 * ivf.dim + 4 * 64)
    return {"bytes_per_vector": round(each, 1), "gb_for_40m_extrapolated": round(whole / 1e9, 2)}


def tables(sizes: list[dict[str, Any]]) -> list[str]:
    rows, goals, filters = [], [], []
    for found in sizes:
        n, ivf = f"{found['n']:,}", found["ivf"]
        for best in found["tuned"]:
            setting = ", ".join(f"{key} {value}" for key, value in best["setting"].items())
            rows.append([n, best["name"], setting, *(best[key] for key in NUMBERS)])
        best = next(way for way in found["tuned"] if way["name"] == IVF)
        ms = f"{best['median_ms']} ms at recall {best['recall']}, {found['ivf_recall_at_100']} for 100 hits"
        goals += [
            [n, "engine exact / bare FAISS, single query", found["exact_ms_over_bare_faiss"], "≤ 1.15 at 10^5"],
            [n, "engine IVF, single query", ms, "≤ 1.5 ms at recall ≥ 0.99, 10^6"],
            [n, "opening, exact and IVF", f"{found['exact']['open_ms']} and {ivf['open_ms']} ms", "≤ 20 ms at 10^6"],
            [n, "IVF, from opening to the first answer", f"{ivf['first_answer_ms']} ms", None],
            [n, "exact, memory beside the mapped vectors", f"{found['exact']['anonymous_mb']} MB", None],
            [n, "IVF, the same, codes included", f"{ivf['anonymous_mb']} MB", "≤ 100 MB at 10^6"],
        ]
        if memory := found["ivf_memory"]:
            goals.append([n, "IVF, bytes a vector", memory["bytes_per_vector"], None])
            goals.append([n, "IVF, 4·10^7 (extrapolated)", f"{memory['gb_for_40m_extrapolated']} GB", "≤ 4 GB"])
        filters += [[n, f"{row['share']:.0%}", *list(row.values())[1:]] for row in found["filtered"]]
    filters = [[*row, "exact: recall 1" if row[2] == FLAT else None] for row in filters]
    filter_head = "vectors", "filter leaves", "contestant", "median ms", "recall@10", "times faiss", "goal"
    return [
        bench.table(("vectors", "contestant", "setting", *NUMBERS), rows),
        bench.table(("vectors", "figure", "found", "goal"), goals),
        bench.table(filter_head, filters),
    ]


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points worth drawing that no other beats in recall and time."""
    return sorted(p for p in points if p[0] >= DRAWN and not any(a >= p[0] and b < p[1] for a, b in points))


def draw(path: Path, sizes: list[dict[str, Any]]) -> None:
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for found in sizes:
        points: dict[str, list[tuple[float, float]]] = {}
        for way in found["all"]:
            points.setdefault(way["name"], []).append((way["recall"], way["median_ms"]))
        panels[f"{found['n']:,} vectors"] = {name: drawn for name, own in points.items() if (drawn := front(own))}
    bench.plot(path, panels, "recall@10", "median ms of one query, one thread", log_x=0)


def main() -> None:
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):  # libraries read them when they load
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    parser = bench.options(__doc__, rounds=3)
    parser.add_argument("index", type=Path)
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--peers-up-to", type=int, default=100_000)
    parser.add_argument("--factory", help="of the engine's codes, such as IVF8192_HNSW32,RaBitQfs")
    parser.add_argument("--work", type=Path, help="folder for vectors and codes [a temporary one]")
    parser.add_argument("--plot", type=Path, help="PNG of recall and time")
    given = parser.parse_args()
    faiss.omp_set_num_threads(1)
    machine = bench.machine()
    with open_index(given.index, follow=False) as index, tempfile.TemporaryDirectory() as scratch:
        held = get_generation(index)
        some = held.corpus.fetch([int(i) for i in bench.spread_over(held.vectors.doc_ids, 2 * given.queries)])
        titles = [record.title for record in some.values() if record.title.strip()]
        queries = index.encode(bench.spread_over(titles, given.queries))
        real = bench.read_all_vectors(index)[1]
        work = (given.work or Path(scratch)) / f"{given.index.name}-{index.generation}"  # of these vectors only
        work.mkdir(parents=True, exist_ok=True)
        sizes = [one_size(given, real, int(n), queries, work) for n in given.sizes.split(",")]
    if given.plot:
        draw(given.plot, sizes)
    bench.report(
        {"machine": machine, "index": given.index.name, "queries": len(queries), "sizes": sizes}, *tables(sizes)
    )


if __name__ == "__main__":
    main()
