"""Models that are worth knowing, in one table: `engine models` and a page of the documentation are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.options import DEFAULT_MODEL

# Where the published figures stand. They are nDCG@10 × 100 of whole test collections, some reported by the authors.
_SOURCE = (
    "the result files of embeddings-benchmark/results at commit f4cc6c8 (2026-08-20), the best over revisions; some "
    "are self-reported by the authors of a model"
)
FIGURES = ("NFCorpus", "TREC-COVID", "SCIDOCS", "CUREv1 en")  # nutrition, COVID-19, science, health questions
_COST = (
    "Cost is that of a token beside the default, estimated from the number of parameters outside the embeddings; it "
    "was not measured"
)
_FACTS = (
    "Size, dimensions, license and prompts are as published or as commonly known; the card of a model decides, and "
    "`engine status` shows what an index uses"
)
_RUN = f"Only {DEFAULT_MODEL} was run with this engine. Of the others, tiny random models of the same layout are tested"
_DECIDE = "To decide on your own records: engine known-items FILE -o items, engine compare MODEL_A MODEL_B --set items"


@dataclass(frozen=True, slots=True)
class _KnownModel:
    """A published model, and what is known about it."""

    name: str  # hub id; the default by its own name
    parameters: int  # millions
    dim: int
    license: str
    prompts: str  # built in
    cost: float  # of a token, beside the default
    figures: tuple[float | None, ...]  # as FIGURES; None where none is known
    advice: str
    options: str = ""  # of `engine index`, beside -m
    was_run: bool = False


MODELS = (
    _KnownModel(
        DEFAULT_MODEL, 23, 384, "Apache-2.0", "none", 1, (31.6, 47.2, 21.6, 34.4),
        "Comes as a package; weak on questions of health, so search with --mode hybrid", was_run=True,
    ),
    _KnownModel(
        "MongoDB/mdbr-leaf-ir", 23, 768, "Apache-2.0", "query", 1, (36.5, 82.0, 19.8, 55.4),
        "The best published figures at the cost of the default; vectors of twice the size",
    ),
    _KnownModel(
        "Snowflake/snowflake-arctic-embed-xs", 23, 384, "Apache-2.0", "query", 1, (30.9, 79.4, 18.4, 49.0),
        "The size of the default in every way",
    ),
    _KnownModel(
        "Snowflake/snowflake-arctic-embed-s", 33, 384, "Apache-2.0", "query", 2, (32.5, 81.4, 19.4, 51.7),
        "Twice the layers, vectors as small as the default's",
    ),
    _KnownModel(
        "BAAI/bge-small-en-v1.5", 33, 384, "MIT", "none; one on the card", 2, (34.3, 75.5, 20.5, 46.7),
        "A middle way; try the prompt of its card",
        "--query-prompt 'Represent this sentence for searching relevant passages: '",
    ),
    _KnownModel(
        "thenlper/gte-small", 33, 384, "MIT", "none", 2, (34.8, 66.5, 21.4, 45.5), "Needs no prompts",
    ),
    _KnownModel(
        "intfloat/e5-small-v2", 33, 384, "MIT", "none; two on the card", 2, (32.4, 74.4, 17.7, 51.1),
        "Only with its prompts", "--query-prompt 'query: ' --document-prompt 'passage: '",
    ),
    _KnownModel(
        "ibm-granite/granite-embedding-small-english-r2", 47, 384, "Apache-2.0", "none", 2, (37.1, 64.7, 24.1, 44.9),
        "Reads long abstracts whole; best of the small ones on SCIDOCS",
    ),
    _KnownModel(
        "Snowflake/snowflake-arctic-embed-m-v1.5", 109, 768, "Apache-2.0", "query", 8, (36.2, 84.6, 21.5, 56.5),
        "The highest figures below 150 M; dimensions can be cut to 256",
    ),
    _KnownModel(
        "BAAI/bge-base-en-v1.5", 109, 768, "MIT", "none; one on the card", 8, (37.4, 78.0, 21.7, 52.8),
        "A solid choice with a GPU", "--query-prompt 'Represent this sentence for searching relevant passages: '",
    ),
    _KnownModel(
        "ncbi/MedCPT-Article-Encoder", 109, 768, "public domain", "none", 8, (None, None, None, None),
        "Trained on PubMed's own searches; meant for inner products, which cosine only approaches: compare first",
        "--query-model ncbi/MedCPT-Query-Encoder --pooling cls --template '{title}[SEP]{abstract}'",
    ),
    _KnownModel(
        "Alibaba-NLP/gte-modernbert-base", 149, 768, "Apache-2.0", "none", 10, (34.3, 75.7, 20.4, None),
        "Reads long abstracts whole",
    ),
    _KnownModel(
        "ibm-granite/granite-embedding-english-r2", 149, 768, "Apache-2.0", "none", 10, (37.5, 70.6, 24.9, 46.4),
        "Reads long abstracts whole; needs no prompts",
    ),
    _KnownModel(
        "Qwen/Qwen3-Embedding-0.6B", 596, 1024, "Apache-2.0", "query", 40, (36.7, 90.5, 24.4, None),
        "With a GPU only; the instruction before queries may be changed with --query-prompt",
    ),
    _KnownModel(
        "sentence-transformers/static-retrieval-mrl-en-v1", 31, 1024, "Apache-2.0", "none", 0, (30.0, 44.6, 13.2, 28.5),
        "No layers, so encoding costs next to nothing: for tens of millions of records, with --mode hybrid",
    ),
    _KnownModel(
        "minishlab/potion-base-8M", 8, 256, "MIT", "none", 0, (24.3, 45.7, 12.4, 26.9),
        "No layers and small vectors: for tens of millions of records, with --mode hybrid",
    ),
)  # fmt: skip


def format_figures(model: _KnownModel) -> list[str]:
    """Return the published figures of a model as texts; "-" where none is known."""
    return ["-" if figure is None else f"{figure:.1f}" for figure in model.figures]


def format_cost(model: _KnownModel) -> str:
    """Return the cost of a model beside the default."""
    return f"{model.cost:g} ×" if model.cost else "≈ 0"


def list_model_notes() -> Iterator[str]:
    """Yield the sentences that belong to the table: sources, and what was not checked."""
    yield f"Figures are nDCG@10 × 100, from {_SOURCE}."
    yield f"{_COST}."
    yield f"{_FACTS}."
    yield f"{_RUN}."
    yield f"{_DECIDE}."
