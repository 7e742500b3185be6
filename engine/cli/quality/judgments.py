"""The judgments that options name, and the evaluation of an index, a model or a run by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.options import add_options, open_named
from engine.config import Config
from engine.errors import UsageError
from engine.options import IndexSettings, Query
from engine.terminal import show_progress

if TYPE_CHECKING:
    from engine.query.index import Index
    from engine.relevance.scoring.evaluation import Evaluation
    from engine.relevance.scoring.measures import Measure
    from engine.relevance.sets.judgments import Judgments
    from engine.relevance.sets.testset import SetSource, TestSet

FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class JudgedInput:
    """Queries with judgments."""

    queries: Mapping[str, str]  # text by id; empty if only judgments are given
    judgments: Judgments
    test_set: TestSet | None  # the test set that contains them, if any
    names: tuple[tuple[str, str], ...]  # (name, SHA-256) of the test set, or of the two files


judged_options = add_options(
    "read",
    (
        click.option(
            "--queries",
            type=FILE,
            metavar="FILE",
            help="File of queries: lines of id, tab, text; JSON lines; or topics of TREC.",
        ),
        click.option("--qrels", type=FILE, metavar="FILE", help="File of judgments: TREC qrels, or TSV with a header."),
        click.option(
            "--set",
            "folder",
            type=FILE,
            metavar="FOLDER",
            help="Folder of a test set: documents, queries and judgments.",
        ),
    ),
    lambda **paths: partial(_read_judged, **paths),
)


def _read_judged(queries: Path | None, qrels: Path | None, folder: Path | None) -> JudgedInput:
    """Read the queries and judgments that the options name."""
    from engine.query.question.queryfile import read_queries
    from engine.receipts import FileReceipt
    from engine.relevance.sets.judgments import read_judgments
    from engine.relevance.sets.testset import read_set

    if folder is not None:
        if queries or qrels:
            raise UsageError("--set has its own queries and judgments. Leave out --queries and --qrels")
        test_set = read_set(folder)
        texts = {query.id: query.text for query in test_set.queries}
        return JudgedInput(texts, test_set.judgments, test_set, ((test_set.name, test_set.sha256),))
    if qrels is None:
        raise UsageError("there are no judgments. Give --queries and --qrels, or a test set: --set FOLDER")
    texts = dict(read_queries(queries)) if queries else {}
    if queries and not texts:
        raise UsageError(f"{queries} has no query. Expected lines of id, tab, text, or JSON with id and text")
    judgments = read_judgments(qrels)
    files = [path for path in (queries, qrels) if path]
    return JudgedInput(texts, judgments, None, tuple((path.name, FileReceipt.of(path).sha256) for path in files))


def evaluate_model(
    model: str,
    judged: JudgedInput,
    measures: Sequence[Measure],
    run_depth: int = 1,
    settings: IndexSettings | None = None,
) -> tuple[Evaluation, str]:
    """Evaluate a model over a test set, with run_depth documents per query in the run; return also its identity.

    settings: the model and what is set of it; None for the model as it is.
    """
    from engine.reindex.encoding.encoders import open_model_encoder
    from engine.relevance.scoring.evaluation import evaluate_set

    if judged.test_set is None:
        raise UsageError(f"{model} needs documents to search. Give a test set: --set FOLDER")
    with show_progress() as report, open_model_encoder(settings or IndexSettings(model=model), report) as encoder:
        evaluation = evaluate_set(encoder, judged.test_set, measures, model, report, run_depth=run_depth)
        return evaluation, str(encoder.identity)


def evaluate_judged_index(
    config: Config, device: str, query: Query, judged: JudgedInput, measures: Sequence[Measure]
) -> tuple[Evaluation, str]:
    """Evaluate an index; return also its name, generation and encoder."""
    from engine.relevance.scoring.indexrun import evaluate_index

    if not judged.queries:
        raise UsageError("an index needs the texts of the queries. Give --queries, or a test set: --set FOLDER")
    with open_named(config, device) as index, show_progress() as report:
        evaluation = evaluate_index(index, judged.queries, judged.judgments, measures, query, report)
        name = f"{index.name}, generation {index.generation:06d}: {index.manifest.encoder}"
        return evaluation, name


def evaluate_run_file(path: Path, judged: JudgedInput, measures: Sequence[Measure]) -> Evaluation:
    """Evaluate a run from a file."""
    from engine.relevance.scoring.evaluation import evaluate_run
    from engine.relevance.sets.runs import read_run, restore_ids

    n_documents = len(judged.test_set.documents) if judged.test_set else None
    return evaluate_run(restore_ids(read_run(path), judged.judgments), judged.judgments, measures, n_documents)


def describe_index(index: Index) -> SetSource:
    """Return the generation of an index as a source: its name, and the SHA-256 of its manifest."""
    from engine.index.generations.folder import IndexFolder
    from engine.index.generations.manifest import NAME
    from engine.receipts import FileReceipt
    from engine.relevance.sets.testset import SetSource

    digest = FileReceipt.of(IndexFolder(index.path).get_generation_path(index.generation) / NAME).sha256
    return SetSource(f"{index.name}, generation {index.generation:06d}", digest)
