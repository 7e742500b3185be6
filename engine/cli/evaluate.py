"""Commands that measure rankings against judgments, and compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from engine.cli.group import main
from engine.cli.judgments import FILE, JudgedInput, judged_options, open_judged_index, open_model, read_judged_run
from engine.cli.options import SEARCH_DEVICE, index_options, query_options
from engine.config import Config
from engine.errors import UsageError
from engine.files import check_targets, write_file, write_text
from engine.options import Query
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say

if TYPE_CHECKING:
    from engine.relevance.scoring.comparison import Comparison, ComparisonRow
    from engine.relevance.scoring.evaluation import Evaluation
    from engine.relevance.scoring.measures import Measure
    from engine.relevance.scoring.significance import Interval

_RUN_SUFFIXES = (".trec", ".run", ".txt")
_MODEL_FILES = ("modules.json", "config.json")
NAME = 50  # characters of a name shown
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

    Each query ranks 1,000 records, or as many as -n says; R@10% and WSS@95 use the whole ranking. Means are over all
    judged queries, with 95 % bootstrap intervals. Judgments name records by id, PMID or DOI.

    \b
    engine evaluate -i rheumatology --queries questions.tsv --qrels qrels.tsv
    engine evaluate -i rheumatology --queries questions.tsv --qrels qrels.tsv --mode hybrid --run hybrid.trec
    engine evaluate --set known-titles --model ./my-model
    """
    from engine.relevance.scoring.measures import parse
    from engine.relevance.sets.runs import write_run

    files = [path for path in (run_file, per_query) if path]
    check_targets(files, overwrite=overwrite)
    given_options = click.get_current_context()
    if model is not None and (given_options.params["index"] or query != Query()):
        raise UsageError("--model searches a test set by cosine alone. Leave out -i and the options of a search")
    measures = [parse(name) for name in names] or _choose_measures(query)
    given = read()
    if model is not None:
        found, name = open_model(model, given, measures, _deepen(query).top_k if run_file else 1)
    else:
        is_deep = given_options.get_parameter_source("top_k") is not ParameterSource.COMMANDLINE
        query = _deepen(query) if is_deep else query
        found, name = open_judged_index(config, device, query, given, measures)
    if run_file:
        write_run(found.run, run_file, overwrite=overwrite)
    if per_query:
        _write_per_query(found, per_query, overwrite=overwrite)
    if as_object:
        click.echo(dump_json(_list_evaluation_fields(found, name, given, query)))
        return
    say(join_lines(name))
    for line in (
        *_format_evaluation(found),
        *_format_tally(found),
        *(f"note: {join_lines(note)}" for note in found.notes),
    ):
        say(line)
    for path in files:
        say(f"{path} written", err=True)


def _deepen(query: Query) -> Query:
    """The same for as many hits as a run has."""
    from engine.relevance.scoring.evaluation import DEPTH

    return replace(query, top_k=DEPTH)


def _choose_measures(query: Query) -> list[Measure]:
    """The measures where none is named; of a diversified ranking only the first hits have a meaning."""
    from engine.relevance.scoring.evaluation import STANDARD

    return [one for one in STANDARD if not (one.is_deep and query.diversify)]


def _write_per_query(found: Evaluation, path: Path, *, overwrite: bool) -> None:
    """A line for each judged query."""
    header = "\t".join(["query_id", *(str(one.measure) for one in found.measured)])
    rows = (
        "\t".join([query_id, *(f"{one.values[query_id]:.6f}" for one in found.measured)])
        for query_id in found.measured[0].values
    )
    write_text(path, (f"{line}\n" for line in (header, *rows)), overwrite=overwrite)


def _format_evaluation(found: Evaluation) -> Iterator[str]:
    """Yield a line for each measure."""
    width = max(len("measure"), *(len(str(one.measure)) for one in found.measured))
    yield f"{'measure':<{width}}    mean  95 % interval"
    for one in found.measured:
        yield f"{one.measure!s:<{width}}  {format_interval(one.interval)}"


def format_interval(interval: Interval) -> str:
    """Mean and interval in columns."""
    return f"{interval.mean:6.4f}  {interval.low:.4f} to {interval.high:.4f}"


def _format_tally(found: Evaluation) -> Iterator[str]:
    """Yield what the means are of, and what is odd about it."""
    tally = found.tally
    judged = "1 judged query" if tally.n_judged == 1 else f"{tally.n_judged:,} judged queries"
    yield f"{judged}, {pluralize(tally.n_documents, 'record')}"
    if found.ann_recall is not None:
        yield f"ANN recall@10 of a search for 10 hits, against exact: {found.ann_recall:.4f}"
    for n, what in (
        (tally.n_unjudged, "given without judgments, left out"),
        (tally.n_without_text, "judged without a text among the queries: nothing found"),
        (tally.n_without_hits, "without a hit"),
        (tally.n_without_relevant, "judged without a relevant record: counted as 0"),
    ):
        if n:
            yield f"{n:,} {'query' if n == 1 else 'queries'} {what}"
    if tally.n_absent:
        yield f"{pluralize(tally.n_absent, 'judged record')} not there; where relevant, not found"
    if tally.n_merged:
        yield f"{pluralize(tally.n_merged, 'judgment')} of a record under another of its ids; the higher grade counts"
    if tally.n_repeated:
        yield f"{pluralize(tally.n_repeated, 'judgment')} given again, counted once"


def _list_evaluation_fields(found: Evaluation, name: str, given: JudgedInput, query: Query) -> dict[str, Any]:
    """An evaluation as the keys that are printed."""
    from engine import __version__

    measures = [{"measure": str(one.measure), **_round_numbers(asdict(one.interval))} for one in found.measured]
    return {
        "name": name,
        "judged_by": dict(given.names),
        "mode": str(query.mode),
        "measures": measures,
        **asdict(found.tally),
        "ann_recall": found.ann_recall,
        "notes": found.notes,
        "engine_version": __version__,
    }


def _round_numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Numbers to six digits."""
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in fields.items()}


@main.command()
@click.argument("systems", nargs=-1, required=True, metavar="A B...")
@judged_options
@click.option("--indexes", metavar="DIR", help="Folder of the indexes [ENGINE_INDEXES; ./indexes].")
@click.option("--measure", "measure_name", default="nDCG@10", show_default=True, help="Measure to compare.")
@click.option("--plot", type=FILE, metavar="FILE.png", help="Draw the difference of each query as a PNG picture.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing picture.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def compare(
    systems: tuple[str, ...],
    read: _Reader,
    indexes: str | None,
    measure_name: str,
    plot: Path | None,
    overwrite: bool,
    as_object: bool,
) -> None:
    """Compare rankings query by query, and test the differences.

    A is the baseline; B and further ones are compared with it. Each is a TREC run (.trec, .run, .txt), the name of an
    index, or with --set a sentence-transformers folder or all-MiniLM-L6-v2.
    Intervals are 95 % (paired bootstrap, 10,000 resamples); p is two-sided, adjusted for several comparisons (Holm).

    \b
    engine compare semantic.trec hybrid.trec --qrels qrels.tsv --plot gain.png
    engine compare ./base-model ./my-model --set known-titles
    """
    from engine.relevance.scoring.comparison import compare as compared
    from engine.relevance.scoring.measures import parse

    measure = parse(measure_name)
    check_targets([plot] if plot else [], overwrite=overwrite)
    if len(systems) < 2:
        raise UsageError("Need at least two systems to compare; got one")
    given, config = read(), Config.load(indexes)
    evaluations = [_evaluate_system(system, config, given, measure) for system in systems]
    found = compared(measure, [(s, e.measured[0].values) for s, e in zip(systems, evaluations, strict=True)])
    told = [
        (s, note) for s, e in zip(systems, evaluations, strict=True) for note in (*[*_format_tally(e)][1:], *e.notes)
    ]
    notes = [*found.notes, *(f"{system}: {note}" for system, note in told)]
    if plot:
        from engine.relevance.scoring.plot import draw_png

        write_file(plot, [draw_png(found)], overwrite=overwrite)
    if as_object:
        click.echo(dump_json(_list_comparison_fields(found, notes, given)))
        return
    for line in (*_format_comparison(found), *(f"note: {join_lines(note)}" for note in notes)):
        say(line)
    if plot:
        say(f"{plot} written", err=True)


def _evaluate_system(system: str, config: Config, given: JudgedInput, measure: Measure) -> Evaluation:
    """Measure one system: a run by its suffix, an index by its name, else the folder of a model, or the default one."""
    from engine.encode.model import DEFAULT_MODEL

    path = Path(system)
    if path.name.removesuffix(".gz").endswith(_RUN_SUFFIXES):
        return read_judged_run(path, given, [measure])
    if system in config.list_names():
        return open_judged_index(config.select_index(system), "cpu", _deepen(Query()), given, [measure])[0]
    if system == DEFAULT_MODEL or any((path / name).is_file() for name in _MODEL_FILES):
        return open_model(system, given, [measure])[0]
    raise UsageError(
        f"{system!r} is no TREC run ({', '.join(_RUN_SUFFIXES)}), no index in {config.indexes} and no folder of a model"
    )


def _format_comparison(found: Comparison) -> Iterator[str]:
    """Yield a line for each system, the baseline first."""
    names = [_shorten_title(join_lines(row.name)) for row in found.rows]
    width = max(map(len, names))
    n = len(found.query_ids)
    yield f"{found.measure}, {n:,} {'query' if n == 1 else 'queries'}"
    yield f"{'':<{width}}    mean  95 % interval     gain  95 % interval           p   won  equal   lost"
    for name, row in zip(names, found.rows, strict=True):
        yield f"{name:<{width}}  {format_interval(row.interval)}{_format_gain(row)}"


def _format_gain(row: ComparisonRow) -> str:
    """What a system gains, in columns; nothing for the baseline."""
    if row.gain is None:
        return ""
    one, p = row.gain.difference, f"{row.gain.p:.4f}"
    return f"  {one.mean:+.4f}  {one.low:+.4f} to {one.high:+.4f}  {p}  {one.wins:4,}  {one.ties:5,}  {one.losses:5,}"


def _shorten_title(name: str) -> str:
    """The end of a long name, which tells folders apart."""
    return name if len(name) <= NAME else f"\u2026{name[1 - NAME :]}"


def _list_comparison_fields(found: Comparison, notes: Sequence[str], given: JudgedInput) -> dict[str, Any]:
    """A comparison as the keys that are printed."""
    rows = []
    for row in found.rows:
        fields: dict[str, Any] = {"name": row.name, **_round_numbers(asdict(row.interval))}
        if row.gain:
            fields |= {"gain": _round_numbers(asdict(row.gain.difference)), "p_adjusted": round(row.gain.p, 6)}
        rows.append(fields)
    by = dict(given.names)
    return {"measure": str(found.measure), "judged_by": by, "n": len(found.query_ids), "systems": rows, "notes": notes}
