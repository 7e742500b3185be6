"""Commands that measure rankings against judgments, and compare them by these measures."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from engine.cli.frame.group import main
from engine.cli.frame.options import INDEXES, SEARCH_DEVICE, build_setting_option, index_options, query_options
from engine.cli.quality.judgments import (
    FILE,
    JudgedInput,
    evaluate_judged_index,
    evaluate_model,
    evaluate_run_file,
    judged_options,
)
from engine.config import Config
from engine.errors import UsageError
from engine.files import check_targets, write_file, write_text
from engine.options import DEFAULT_MODEL, IndexSettings, Query
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say

if TYPE_CHECKING:
    from engine.relevance.scoring.comparison import Comparison, ComparisonRow
    from engine.relevance.scoring.evaluation import Evaluation
    from engine.relevance.scoring.measures import Measure
    from engine.relevance.scoring.significance import Interval

_RUN_SUFFIXES = (".trec", ".run", ".txt")
_MODEL_FILES = ("modules.json", "config.json")
_MEASURES = ("nDCG@10", "recall@100", "MRR@10")  # by which models are compared
_NAME = 50  # characters shown of a name
_Reader = Callable[[], JudgedInput]


@main.command()
@judged_options
@index_options
@SEARCH_DEVICE
@click.option(
    "-m",
    "--model",
    metavar="MODEL",
    help="Model to evaluate on --set instead of an index: a sentence-transformers folder or hub id.",
)
@click.option(
    "--measure",
    "names",
    multiple=True,
    help="Measure to print: nDCG@10, recall@100, MRR@10, MAP, P@10, R@10%, WSS@95. May be repeated.",
)
@click.option("--run", "run_file", type=FILE, metavar="FILE.trec", help="Write the rankings as a TREC run.")
@click.option("--per-query", type=FILE, metavar="FILE.tsv", help="Write the measures of each query.")
@click.option("--overwrite", is_flag=True, help="Overwrite existing files.")
@query_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def evaluate(
    config: Config,
    query: Query,
    read: _Reader,
    device: str,
    model: str | None,
    names: tuple[str, ...],
    run_file: Path | None,
    per_query: Path | None,
    overwrite: bool,
    as_object: bool,
) -> None:
    """Measure how well an index or a model answers judged queries.

    Ranks 1,000 records per query, or the number set by -n; R@10% and WSS@95 use the whole ranking. Prints means over
    all judged queries, with 95 % bootstrap intervals. Judgments name records by id, PMID or DOI.

    \b
    engine evaluate -i rheumatology --queries questions.tsv --qrels qrels.tsv
    engine evaluate -i rheumatology --queries questions.tsv --qrels qrels.tsv --mode semantic --run semantic.trec
    engine evaluate --set known-titles --model ./my-model
    """
    from engine.relevance.scoring.measures import parse
    from engine.relevance.sets.runs import write_run

    files = [path for path in (run_file, per_query) if path]
    check_targets(files, overwrite=overwrite)
    context = click.get_current_context()
    if model is not None and (context.params["index"] or query != Query()):
        raise UsageError("--model searches a test set by cosine alone. Leave out -i and the search options")
    measures = [parse(name) for name in names] or _choose_measures(query)
    judged = read()
    if model is not None:
        depth = _deepen(query).top_k if run_file else 1
        evaluation, name = evaluate_model(model, judged, measures, depth, _read_settings(_split_words(model)))
    else:
        is_deep = context.get_parameter_source("top_k") is not ParameterSource.COMMANDLINE
        query = _deepen(query) if is_deep else query
        evaluation, name = evaluate_judged_index(config, device, query, judged, measures)
    if run_file:
        write_run(evaluation.run, run_file, overwrite=overwrite)
    if per_query:
        _write_per_query(evaluation, per_query, overwrite=overwrite)
    if as_object:
        click.echo(dump_json(_list_evaluation_fields(evaluation, name, judged, query)))
        return
    say(join_lines(name))
    for line in (
        *_format_evaluation(evaluation),
        *_format_tally(evaluation),
        *(f"note: {join_lines(note)}" for note in evaluation.notes),
    ):
        say(line)
    for path in files:
        say(f"{path} written", err=True)


def _deepen(query: Query) -> Query:
    """Return the query with the depth of a run as its number of hits."""
    from engine.relevance.scoring.evaluation import DEPTH

    return replace(query, top_k=DEPTH)


def _choose_measures(query: Query) -> list[Measure]:
    """Return the default measures; for a diversified ranking, only those of its first hits."""
    from engine.relevance.scoring.evaluation import STANDARD

    return [measure for measure in STANDARD if not (measure.is_deep and query.diversify)]


def _write_per_query(evaluation: Evaluation, path: Path, *, overwrite: bool) -> None:
    """Write a line for each judged query."""
    header = "\t".join(["query_id", *(str(column.measure) for column in evaluation.measured)])
    rows = (
        "\t".join([query_id, *(f"{column.values[query_id]:.6f}" for column in evaluation.measured)])
        for query_id in evaluation.measured[0].values
    )
    write_text(path, (f"{line}\n" for line in (header, *rows)), overwrite=overwrite)


def _format_evaluation(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each measure."""
    width = max(len("measure"), *(len(str(row.measure)) for row in evaluation.measured))
    yield f"{'measure':<{width}}    mean  95 % interval"
    for row in evaluation.measured:
        yield f"{row.measure!s:<{width}}  {format_interval(row.interval)}"


def format_interval(interval: Interval) -> str:
    """Format a mean and its interval in columns."""
    return f"{interval.mean:6.4f}  {interval.low:.4f} to {interval.high:.4f}"


def _format_tally(evaluation: Evaluation) -> Iterator[str]:
    """Yield lines on what the means are based on, and on gaps in it."""
    tally = evaluation.tally
    judged = "1 judged query" if tally.n_judged == 1 else f"{tally.n_judged:,} judged queries"
    yield f"{judged}, {pluralize(tally.n_documents, 'record')}"
    if evaluation.ann_recall is not None:
        yield f"ANN recall@10 of a search for 10 hits, against exact: {evaluation.ann_recall:.4f}"
    for n, what in (
        (tally.n_unjudged, "without judgments, skipped"),
        (tally.n_without_text, "judged but without a text: nothing found"),
        (tally.n_without_hits, "without a hit"),
        (tally.n_without_relevant, "without a relevant record: counted as 0"),
    ):
        if n:
            yield f"{n:,} {'query' if n == 1 else 'queries'} {what}"
    if tally.n_absent:
        yield f"{pluralize(tally.n_absent, 'judged record')} not in the collection; relevant ones count as not found"
    if tally.n_merged:
        yield f"{pluralize(tally.n_merged, 'judgment')} of a record judged under two ids; the higher grade counts"
    if tally.n_repeated:
        yield f"{pluralize(tally.n_repeated, 'judgment')} repeated, counted once"


def _list_evaluation_fields(evaluation: Evaluation, name: str, judged: JudgedInput, query: Query) -> dict[str, Any]:
    """Return an evaluation as the printed fields."""
    from engine import __version__

    measures = [{"measure": str(row.measure), **_round_numbers(asdict(row.interval))} for row in evaluation.measured]
    return {
        "name": name,
        "judged_by": dict(judged.names),
        "mode": str(query.mode),
        "measures": measures,
        **asdict(evaluation.tally),
        "ann_recall": evaluation.ann_recall,
        "notes": evaluation.notes,
        "engine_version": __version__,
    }


def _round_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Round floats to six decimals."""
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in fields.items()}


@main.command()
@click.argument("systems", nargs=-1, required=True, metavar="A B...")
@judged_options
@INDEXES
@click.option(
    "--measure",
    "names",
    multiple=True,
    help="Measure to compare by; may be repeated [nDCG@10; of models also recall@100 and MRR@10].",
)
@click.option("--plot", type=FILE, metavar="FILE.png", help="Draw the difference of each query as a PNG picture.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing picture.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def compare(
    systems: tuple[str, ...],
    read: _Reader,
    indexes: str | None,
    names: tuple[str, ...],
    plot: Path | None,
    overwrite: bool,
    as_object: bool,
) -> None:
    """Compare rankings query by query, and test the differences.

    A is the baseline that the others are compared with. A system is a TREC run (.trec, .run, .txt), the name of an
    index, or with --set a model: a folder, a hub id or all-MiniLM-L6-v2, in quotes with its options if it needs some
    (--query-prompt, --document-prompt, --query-model, --pooling, --template). An index ranks by cosine, as a model
    does. Intervals are 95 % (paired bootstrap, 10,000 resamples); p is two-sided, adjusted for several comparisons
    (Holm).

    \b
    engine compare semantic.trec hybrid.trec --qrels qrels.tsv --plot gain.png
    engine compare ./base-model ./my-model --set known-titles
    engine compare all-MiniLM-L6-v2 "intfloat/e5-small-v2 --query-prompt 'query: '" --set items
    """
    from engine.relevance.scoring.comparison import compare as compare_systems
    from engine.relevance.scoring.measures import parse

    check_targets([plot] if plot else [], overwrite=overwrite)
    if len(systems) < 2:
        raise UsageError(
            "one system given, expected at least two. For example: engine compare a.trec b.trec --qrels FILE"
        )
    judged, config = read(), Config.load(indexes)
    known = [_is_run(system) or system in config.list_names() for system in systems]
    measures = [parse(name) for name in names or (_MEASURES[:1] if any(known) else _MEASURES)]
    evaluations = [_evaluate_system(system, config, judged, measures) for system in systems]
    comparisons = [
        compare_systems(measure, [(s, e.measured[at].values) for s, e in zip(systems, evaluations, strict=True)])
        for at, measure in enumerate(measures)
    ]
    comparison = comparisons[0]
    system_notes = [
        (s, note) for s, e in zip(systems, evaluations, strict=True) for note in (*[*_format_tally(e)][1:], *e.notes)
    ]
    notes = [*comparison.notes, *(f"{system}: {note}" for system, note in system_notes)]
    if plot:
        from engine.relevance.scoring.plot import draw_png

        write_file(plot, [draw_png(comparison)], overwrite=overwrite)
    if as_object:
        more = [_list_systems(each) for each in comparisons[1:]]
        click.echo(dump_json(_list_comparison_fields(comparison, notes, judged) | ({"more": more} if more else {})))
        return
    lines = [line for each in comparisons for line in _format_comparison(each)]
    for line in (*lines, *(f"note: {join_lines(note)}" for note in notes)):
        say(line)
    if plot:
        say(f"{plot} written", err=True)


def _is_run(system: str) -> bool:
    """Return whether a system is a TREC run, by the name of its file."""
    return Path(system).name.removesuffix(".gz").endswith(_RUN_SUFFIXES)


@click.command()
@click.argument("model")
@build_setting_option("query_prompt")
@build_setting_option("document_prompt")
@build_setting_option("query_model")
@build_setting_option("pooling")
@build_setting_option("template")
def _read_model(**_: object) -> None:
    """Carry the options of a model that stands with them in one argument."""


def _evaluate_system(system: str, config: Config, judged: JudgedInput, measures: Sequence[Measure]) -> Evaluation:
    """Evaluate a system: a run by its suffix, an index by its name, else a model by its folder, hub id or name."""
    if _is_run(system):
        return evaluate_run_file(Path(system), judged, measures)
    if system in config.list_names():
        by_cosine = _deepen(Query(mode="semantic"))
        return evaluate_judged_index(config.select_index(system), "cpu", by_cosine, judged, measures)[0]
    words = _split_words(system)
    path, is_hub_id = Path(words[0]), words[0].partition("@")[0].count("/") == 1 and not words[0].startswith((".", "/"))
    if words[0] == DEFAULT_MODEL or is_hub_id or any((path / name).is_file() for name in _MODEL_FILES):
        return evaluate_model(system, judged, measures, settings=_read_settings(words))[0]
    raise UsageError(
        f"{system!r} is not a TREC run ({', '.join(_RUN_SUFFIXES)}), an index in {config.indexes} or a model folder"
    )


def _read_settings(words: Sequence[str]) -> IndexSettings:
    """Return the settings of a model and its options, as they are given in one argument."""
    return IndexSettings(**_read_model.make_context(words[0], [*words]).params)


def _split_words(system: str) -> list[str]:
    """Split a model and its options as a shell does; what names a folder, or nothing, is one word.

    Raises:
        UsageError: a quote is not closed.
    """
    if Path(system).is_dir() or not system.strip():
        return [system]
    try:
        return shlex.split(system)
    except ValueError as err:
        raise UsageError(f"{system!r} can't be read as a model with options: {err}") from err


def _format_comparison(comparison: Comparison) -> Iterator[str]:
    """Yield a line for each system, the baseline first."""
    names = [_shorten_title(join_lines(row.name)) for row in comparison.rows]
    width = max(map(len, names))
    n = len(comparison.query_ids)
    yield f"{comparison.measure}, {n:,} {'query' if n == 1 else 'queries'}"
    yield f"{'':<{width}}    mean  95 % interval     gain  95 % interval           p   won  equal   lost"
    for name, row in zip(names, comparison.rows, strict=True):
        yield f"{name:<{width}}  {format_interval(row.interval)}{_format_gain(row)}"


def _format_gain(row: ComparisonRow) -> str:
    """Format the gain of a system in columns; "" for the baseline."""
    if row.gain is None:
        return ""
    gain, p = row.gain.difference, f"{row.gain.p:.4f}"
    counts = f"{gain.wins:4,}  {gain.ties:5,}  {gain.losses:5,}"
    return f"  {gain.mean:+.4f}  {gain.low:+.4f} to {gain.high:+.4f}  {p}  {counts}"


def _shorten_title(name: str) -> str:
    """Shorten a long name to its end, which distinguishes folders."""
    return name if len(name) <= _NAME else f"\u2026{name[1 - _NAME :]}"


def _list_comparison_fields(comparison: Comparison, notes: Sequence[str], judged: JudgedInput) -> dict[str, Any]:
    """Return a comparison as the printed fields."""
    own = _list_systems(comparison)
    return {
        "measure": own["measure"],
        "judged_by": dict(judged.names),
        "n": len(comparison.query_ids),
        "systems": own["systems"],
        "notes": notes,
    }


def _list_systems(comparison: Comparison) -> dict[str, Any]:
    """Return the measure of a comparison and its systems as plain fields."""
    rows = []
    for row in comparison.rows:
        fields: dict[str, Any] = {"name": row.name, **_round_numbers(asdict(row.interval))}
        if row.gain:
            fields |= {"gain": _round_numbers(asdict(row.gain.difference)), "p_adjusted": round(row.gain.p, 6)}
        rows.append(fields)
    return {"measure": str(comparison.measure), "systems": rows}
