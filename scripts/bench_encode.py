"""Measure encoding beside sentence-transformers and fastembed: rates, likeness, tokenisers, rate against length.

    python scripts/bench_encode.py CORPUS [--texts 300] [--rounds 3] [--device cpu|cuda] [--plot FILE.png]
    python scripts/bench_encode.py CORPUS --pipeline 5000

CORPUS is any source file; --texts of its records, spread over it, are encoded as title and abstract, cut at the
model's 256 tokens by every contestant. The contestants take turns in one process; a ratio is the median of the
rounds' ratios. Tokenisers run on one thread, in processor time, over --token-texts texts; their ids are compared over
the whole file. Prints one line of JSON, then tables. With --pipeline it times `engine index` of so many records beside
the encoder alone on the same texts. With --device cuda it measures the engine's packed model beside
sentence-transformers in fp16 and fp32, and prints the ratio; without a GPU it ends with exit code 2.
"""

import json
import os
import shutil
import statistics
import tempfile
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import bench_machine as bench
import numpy as np
from numpy.typing import NDArray

from engine.collect.source import read_source
from engine.config import count_cores
from engine.encode.cpu.contestants import Contestant, list_half
from engine.encode.cpu.encoder import MEASURED_TEXTS, CpuEncoder
from engine.encode.execution.onnx import OnnxEncoder, choose_layout, count_trial_texts
from engine.encode.execution.processor import read_flags
from engine.encode.models.folder import GRAPH, TOKENIZER, WEIGHTS
from engine.encode.models.model import identify, locate
from engine.encode.models.recipe import prepare_text
from engine.encode.texts.tokens import BatchTokenizer, FastTokenizer, TextTokenizer, load_tokenizer
from engine.options import DEFAULT_MODEL
from engine.records.abstract import Abstract

ST = "sentence-transformers"
ENGINE, INT8, BEST, FASTEMBED = "engine fp32", "engine int8", f"{ST}, best batch", "fastembed"
HALF = f"{ST}, bfloat16, best batch"
HF = "tokenizers encode_batch_fast"
NEEDS = {f"{ST}, onnx": "(optimum-onnx 0.1.0 in turn needs transformers < 4.58)"}
LIMIT = 256  # tokens
BATCHES = 1, 8, 16, 32, 64
CORES = count_cores()
FLAGS = "amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx512f", "avx2", "bf16"  # that decide on the speed
LENGTHS = 16, 32, 64, 128, 256
PER_LENGTH = 16_384  # tokens encoded in a round at each length
PACKED, LIBRARY, FP32 = "engine, packed", f"{ST} fp16", f"{ST} fp32"
Encode = Callable[[list[str]], NDArray[np.float32]]


def locate_default() -> Path:
    """Return the folder of the default model."""
    return locate(DEFAULT_MODEL)


def exported(indexes: Path, name: str, *options: str) -> Path:
    """Return the encoder folder of an index of the bundled sample; RuntimeError if the engine can't make it."""
    return next((bench.indexed(bench.SAMPLE, indexes, name, "-m", DEFAULT_MODEL, *options) / "encoders").iterdir())


def fastembed(folder: Path, scratch: Path, few: list[str]) -> tuple[Encode, int]:
    """FastEmbed with the engine's own graph, cut at the same length, in its best batch size."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    for name in ("config.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"):
        shutil.copy(locate(DEFAULT_MODEL) / name, scratch)
    for name in (GRAPH, WEIGHTS):
        shutil.copy(folder / name, scratch)
    nowhere = ModelSource(url="https://example.org/none")
    TextEmbedding.add_custom_model(
        "bench/local", PoolingType.MEAN, True, nowhere, dim=384, model_file=GRAPH, additional_files=[WEIGHTS]
    )
    model = TextEmbedding("bench/local", specific_model_path=str(scratch))
    model.model.tokenizer.enable_truncation(LIMIT)

    def encode(texts: list[str], size: int) -> NDArray[np.float32]:
        return np.array(list(model.embed(texts, batch_size=size)), np.float32)

    size = bench.best_of(encode, few, BATCHES)
    return (lambda texts: encode(texts, size)), size


def library(backend: Literal["onnx", "openvino"]) -> Encode:
    """Sentence-transformers on another backend, with the export that it makes itself."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate_default()), device="cpu", backend=backend, model_kwargs={"export": True})
    return lambda texts: model.encode(texts, show_progress_bar=False)


def library_half(few: list[str]) -> tuple[Encode, int]:
    """Sentence-transformers in bfloat16, in its best batch size."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(locate_default()), device="cpu", model_kwargs={"dtype": torch.bfloat16})

    def encode(texts: list[str], size: int) -> NDArray[np.float32]:
        found = model.encode(texts, batch_size=size, show_progress_bar=False, convert_to_tensor=True).float()
        return torch.nn.functional.normalize(found, dim=1).numpy()

    size = bench.best_of(encode, few, BATCHES)
    return (lambda texts: encode(texts, size)), size


def contestants(scratch: Path, few: list[str]) -> tuple[dict[str, Encode], dict[str, object]]:
    """Return the encoders on the CPU, and what is to be known about them: batch sizes, and why one is missing."""
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(locate_default()), device="cpu")

    def st(texts: list[str], size: int = 32) -> NDArray[np.float32]:
        return reference.encode(texts, batch_size=size, show_progress_bar=False)

    size = bench.best_of(st, few, BATCHES)
    fp32 = exported(scratch, "fp32")
    own = OnnxEncoder(fp32)
    choose_layout(own, few[: count_trial_texts()])
    ways: dict[str, Encode] = {ENGINE: lambda texts: own.encode(texts).vectors}
    facts: dict[str, object] = {"best_batch_st": size, "left_out": (left_out := {})}

    def best(make: Callable[[], tuple[Encode, int]], fact: str) -> Encode:
        encode, facts[fact] = make()
        return encode

    def half(contestant: Contestant) -> Encode:
        runner = contestant.open()
        return lambda texts: runner.encode(own.batch_tokenizer.tokenise(texts))

    def int8() -> Encode:
        small = OnnxEncoder(exported(scratch, "int8", "--precision", "int8"))
        return lambda texts: small.encode(texts).vectors

    makers: dict[str, Callable[[], Encode]] = {
        **{f"engine, {one.name}": partial(half, one) for one in list_half(fp32, own.identity, locate_default, CORES)},
        INT8: int8,
        HALF: partial(best, partial(library_half, few), "best_batch_st_bfloat16"),
        f"{ST}, onnx": partial(library, "onnx"),
        f"{ST}, openvino": partial(library, "openvino"),
        FASTEMBED: partial(best, partial(fastembed, fp32, scratch, few), "best_batch_fastembed"),
    }
    for name, make in makers.items():
        try:
            ways[name] = make()
        except Exception as err:  # a peer may fail in any way; the reason is part of the result
            reason = (str(err).strip() or repr(err)).splitlines()[0][:300]
            left_out[name] = f"{reason} {NEEDS.get(name, '')}".strip()
    return {**ways, ST: st, BEST: lambda texts: st(texts, size)}, facts


def compared(ways: dict[str, Encode], texts: list[str], n_tokens: int, rounds: int) -> dict[str, dict[str, float]]:
    """Rates of every way, and the cosines of its vectors with those of sentence-transformers."""
    vectors = {name: way(texts) for name, way in ways.items()}
    spent = bench.in_turns({name: partial(way, texts) for name, way in ways.items()}, rounds)
    found = {}
    for name, seconds in spent.items():
        cosines, middle = bench.cosine(vectors[name], vectors[ST]), statistics.median(seconds)
        found[name] = {
            "docs_per_s": round(len(texts) / middle, 1),
            "tokens_per_s": round(n_tokens / middle),
            "times_st": bench.times_as_fast(seconds, spent[ST]),
            "times_engine_fp32": bench.times_as_fast(seconds, spent[ENGINE]),
            "min_cosine": round(float(cosines.min()), 6),
            "mean_cosine": round(float(cosines.mean()), 6),
        }
    return found


def cut(texts: list[str], tokenizer: BatchTokenizer, length: int) -> list[str]:
    """Texts of about so many tokens: those that are longer, cut between words."""
    full = tokenizer.tokenise(texts).n_tokens
    split = [(text.split(), n) for text, n in zip(texts, full, strict=True) if n >= length]
    return [" ".join(words[: max(1, round(len(words) * (length - 2) / (n - 2)))]) for words, n in split]


def by_length(ways: dict[str, Encode], texts: list[str], tokenizer: BatchTokenizer, rounds: int) -> list[Any]:
    found = []
    for length in LENGTHS:
        short = cut(texts, tokenizer, length)[: PER_LENGTH // length]
        spent = bench.in_turns({name: partial(way, short) for name, way in ways.items()}, rounds)
        rates = {name: round(len(short) / statistics.median(seconds), 1) for name, seconds in spent.items()}
        found.append({"texts": len(short), "docs_per_s": rates, **bench.limit(tokenizer.tokenise(short).lengths)})
    return found


def half_limit(lengths: NDArray[np.int64]) -> float:
    """Texts a second that torch's matrix product in bfloat16 allows on all cores."""
    import torch

    torch.set_num_threads(CORES)
    a = torch.ones((1024, 1024), dtype=torch.bfloat16)
    peak = 2 * 1024**3 / min(bench.timed(lambda: a @ a) for _ in range(100))
    return round(float(bench.limit(lengths)["limit"]) * peak / bench.matmul_peak(), 1)


def pipeline(corpus: Path, n: int, rounds: int, scratch: Path) -> dict[str, Any]:
    """Seconds of `engine index` for n records, and of the encoder alone for their texts, in turns."""
    records = [entry for entry in read_source(corpus) if isinstance(entry, Abstract)]
    chosen = bench.spread_over([one for one in records if prepare_text(one.title, one.abstract)], n)
    file = scratch / "records.jsonl"
    keys = ("record_id", "title", "abstract", "year", "journal", "authors")
    rows = ({("id" if key == "record_id" else key): getattr(one, key) for key in keys} for one in chosen)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    texts = [prepare_text(one.title, one.abstract) for one in chosen]
    encoder = CpuEncoder(OnnxEncoder(exported(scratch, "bare")), locate_default)
    encoder.settle(texts[:MEASURED_TEXTS], len(texts))
    names = iter(f"index{number}" for number in range(2 * rounds + 2))

    def bare() -> None:
        for start in range(0, len(texts), encoder.page):
            made_by.add(encoder.encode(texts[start : start + encoder.page]).made_by)

    made_by: set[str] = set()
    ways = {"engine index": lambda: bench.indexed(file, scratch, next(names), "-m", DEFAULT_MODEL), "encoder": bare}
    spent = bench.in_turns(ways, rounds)
    middle = {name: round(statistics.median(seconds), 2) for name, seconds in spent.items()}
    ratio = statistics.median(a / b for a, b in zip(spent["engine index"], spent["encoder"], strict=True))
    return {"records": len(texts), "made_by": sorted(made_by), "seconds": middle, "times_encoder": round(ratio, 3)}


def pipeline_tables(found: dict[str, Any]) -> list[str]:
    rows = [[name, seconds, None] for name, seconds in found["seconds"].items()]
    rows[0][-1] = f"{found['times_encoder']} × the encoder ({', '.join(found['made_by'])}), goal ≤ 1.11 ×"
    return [bench.table((f"{found['records']:,} records", "seconds", "ratio"), rows)]


def tokenisers(path: Path, texts: list[str], n: int, rounds: int) -> dict[str, Any]:
    """Tokens a second of processor time on one thread, the first time and again, and the texts with other ids."""
    makers: dict[str, Callable[[], Callable[[list[str]], object]]] = {
        "FastTokenizer (nanotoken)": lambda: FastTokenizer(path, LIMIT).tokenise,
        "TextTokenizer": lambda: TextTokenizer(path, LIMIT).tokenise,
        HF: lambda: TextTokenizer(path, LIMIT).tokenizer.encode_batch_fast,
    }
    reference, some = TextTokenizer(path, LIMIT), bench.spread_over(texts, n)
    n_tokens = int(reference.tokenise(some).lengths.sum())
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    spent = bench.first_and_again(makers, some, rounds)
    del os.environ["TOKENIZERS_PARALLELISM"]
    rates = {
        name: {
            "first_mtok_per_s": round(n_tokens / statistics.median(first) / 1e6, 2),
            "warm_mtok_per_s": round(n_tokens / statistics.median(warm) / 1e6, 2),
            "times_hf_first": bench.times_as_fast(first, spent[HF][0]),
            "times_hf_warm": bench.times_as_fast(warm, spent[HF][1]),
        }
        for name, (first, warm) in spent.items()
    }
    wrong = mismatches(FastTokenizer(path, LIMIT), reference, texts)
    return {"texts": len(some), "tokens": n_tokens, "rates": rates, "compared": len(texts), "mismatches": wrong}


def mismatches(fast: FastTokenizer, reference: TextTokenizer, texts: list[str]) -> int:
    """Texts whose ids or full length differ."""
    wrong = 0
    for start in range(0, len(texts), 1024):
        a, b = (way.tokenise(texts[start : start + 1024]) for way in (fast, reference))
        same = [np.array_equal(a.get_row(i), b.get_row(i)) for i in range(len(a.n_tokens))]
        wrong += int((~np.array(same) | (a.n_tokens != b.n_tokens)).sum())
    return wrong


def on_gpu(device: str, texts: list[str], rounds: int) -> dict[str, Any]:
    """Tokens a second of the packed model and of sentence-transformers in half and full precision, on one GPU."""
    import torch

    from engine.encode.gpu.library import LibraryRunner
    from engine.encode.original.packedmodel import PackedRunner
    from engine.encode.original.transformer import TransformerEncoder

    folder = locate(DEFAULT_MODEL)
    identity = identify(folder, DEFAULT_MODEL)
    half = torch.float32 if device == "cpu" else torch.float16
    full, copied = (TransformerEncoder(folder, identity, device).model for _ in range(2))
    packed = PackedRunner(full[0].auto_model, identity.pooling, identity.max_length, half)
    library, exact = LibraryRunner(copied.to(half), [device]), LibraryRunner(full, [device])
    tokens = load_tokenizer(folder / TOKENIZER, identity.max_length).tokenise(texts)
    ways: dict[str, Callable[[], NDArray[np.float32]]] = {
        PACKED: lambda: packed.encode(texts, tokens),
        LIBRARY: lambda: library.encode(texts, tokens),
        FP32: lambda: exact.encode(texts, tokens),
    }
    vectors = {name: way() for name, way in ways.items()}  # which also warms up
    spent = bench.in_turns(ways, rounds)
    rows = {
        name: {
            "mtok_per_s": round(len(tokens.ids) / statistics.median(seconds) / 1e6, 4),
            "times_st_fp32": bench.times_as_fast(seconds, spent[FP32]),
            "times_st_fp16": bench.times_as_fast(seconds, spent[LIBRARY]),
            "min_cosine_fp32": round(float(bench.cosine(vectors[name], vectors[FP32]).min()), 6),
        }
        for name, seconds in spent.items()
    }
    return {
        "texts": len(texts),
        "tokens": len(tokens.ids),
        "packed_times_library": rows[PACKED]["times_st_fp16"],
        "gpu": rows,
    }


def gpu_tables(figures: dict[str, Any]) -> list[str]:
    head = ("way to run the model", "Mtok/s", f"times {FP32}", f"times {LIBRARY}", "min cosine to fp32")
    rows = [[name, *row.values()] for name, row in figures["gpu"].items()]
    return [bench.table(head, rows), f"packed / library: {figures['packed_times_library']}"]


def on_cpu(given: Namespace, texts: list[str], scratch: Path) -> dict[str, Any]:
    some = bench.spread_over(texts, given.texts)
    ways, facts = contestants(scratch, bench.spread_over(some, 32))
    path = next((scratch / "fp32" / "encoders").iterdir()) / TOKENIZER
    tokenizer = TextTokenizer(path, LIMIT)
    lengths = tokenizer.tokenise(some).lengths
    shown = {name: way for name, way in ways.items() if name.startswith("engine") or name in (ST, BEST, HALF)}
    return {
        "texts": len(some),
        "flags": [flag for flag in FLAGS if flag in read_flags()],
        **bench.limit(lengths),
        "limit_bfloat16": half_limit(lengths),
        **facts,
        "encoding": compared(ways, some, int(lengths.sum()), given.rounds),
        "by_length": by_length(shown, bench.spread_over(texts, 4 * given.texts), tokenizer, given.rounds),
        "tokenisers": tokenisers(path, texts, given.token_texts, given.rounds),
    }


def cpu_tables(found: dict[str, Any]) -> list[str]:
    limit = f"≤ {found['limit']} texts/s (numpy's fp32 matrix product, all cores)"
    goals = {ENGINE: f"≥ 1.4 × {ST}; cosine ≥ 0.99999; {limit}", INT8: f"≥ 1.9 × {ST}; mean cosine ≥ 0.993"}
    for name in (name for name in found["encoding"] if name.startswith("engine, ")):
        share = found["encoding"][name]["docs_per_s"] / found["limit_bfloat16"]
        goals[name] = f"with amx_bf16 ≥ 3.5 × {ST}; cosine ≥ 0.9999; {share:.0%} of torch's bfloat16 matrix product"
    rows = [[name, *row.values(), goals.get(name)] for name, row in found["encoding"].items()]
    rows += [[name, *6 * [None], f"left out: {reason}"] for name, reason in found["left_out"].items()]
    rates = ("texts/s", "tokens/s", f"times {ST}", "times engine fp32", "min cosine", "mean cosine", "goal or limit")
    tokens = found["tokenisers"]
    fast = f"≥ 15 × Hugging Face; 0 mismatches: {tokens['mismatches']} in {tokens['compared']} texts"
    token_rows = [[n, *r.values(), fast if n.startswith("Fast") else None] for n, r in tokens["rates"].items()]
    names = list(found["by_length"][0]["docs_per_s"])
    by_length = [[row["tokens"], *(row["docs_per_s"][n] for n in names), row["limit"]] for row in found["by_length"]]
    return [
        bench.table(("encoder", *rates), rows),
        bench.table(("tokeniser, 1 thread", "Mtok/s first", "warm", f"times {HF}, first", "warm", "goal"), token_rows),
        bench.table(("tokens a text", *(f"{name}, texts/s" for name in names), "fp32 limit"), by_length),
    ]


def options(args: list[str] | None = None) -> Namespace:
    """Read the command line; ends with exit code 2 where a GPU was asked for and there is none."""
    parser = bench.options(__doc__, rounds=3)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--token-texts", type=int, default=10_000)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--pipeline", type=int, metavar="RECORDS", help="time `engine index` beside the encoder alone")
    parser.add_argument("--plot", type=Path, help="PNG of the rate against the length of texts (CPU)")
    given = parser.parse_args(args)
    if given.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.exit(2, "bench_encode.py: no GPU that torch can use; run without --device cuda\n")
        if given.plot:
            parser.error("--plot draws rates on the CPU; run without --device cuda")
    return given


def main() -> None:
    given = options()
    machine, texts = bench.machine(), bench.corpus_texts(given.corpus)
    with tempfile.TemporaryDirectory() as scratch:
        if given.device == "cuda":
            figures = on_gpu("cuda", bench.spread_over(texts, given.texts), given.rounds)
            tables = gpu_tables(figures)
        elif given.pipeline:
            figures = pipeline(given.corpus, given.pipeline, given.rounds, Path(scratch))
            tables = pipeline_tables(figures)
        else:
            figures = on_cpu(given, texts, Path(scratch))
            tables = cpu_tables(figures)
    if given.plot:
        rows = figures["by_length"]
        points = {n: [(row["tokens"], row["docs_per_s"][n]) for row in rows] for n in rows[0]["docs_per_s"]}
        bench.plot(
            given.plot, {"Encoding real abstracts on the CPU": points}, "tokens a text", "texts a second", log_x=2
        )
    bench.report({"machine": machine, "corpus": given.corpus.name, **figures}, *tables)


if __name__ == "__main__":
    main()
