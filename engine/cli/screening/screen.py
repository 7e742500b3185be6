"""Commands for screening the records of a review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.curve import CurveFile, curve_options, write_curve
from engine.cli.frame.delivery import Output, check_output, deliver_hits, ranked_output
from engine.cli.frame.group import main
from engine.cli.frame.hits import HitList
from engine.cli.frame.options import TOP_K, add_options, filter_options, index_options, open_named, read_id_file
from engine.config import Config
from engine.errors import SourceError, UsageError
from engine.files import read_text
from engine.options import Filters
from engine.phrases import pluralize
from engine.terminal import dump_json, say, show_progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.corpus.storage.store import Corpus
    from engine.relevance.screening.labels import Labels
    from engine.relevance.screening.ranking import Screening
    from engine.relevance.screening.screenmeasures import Screened
    from engine.relevance.screening.stopping import RuleOutcome

_MAX_CRITERIA = 100_000  # bytes of a file of criteria
FILE = click.Path(path_type=Path)


def _read_criteria(text: str | None, file: Path | None) -> str:
    """Return the criteria; "" if there are none."""
    if text is not None and file is not None:
        raise UsageError("--criteria and --criteria-file were given, expected one of them")
    if file is None:
        criteria = text
    else:
        try:
            criteria = read_text(file, _MAX_CRITERIA)
        except SourceError as err:
            raise UsageError(f"{err}. Expected a text file with the criteria of the review") from err
    if criteria is not None and not criteria.strip():
        raise UsageError("the criteria are blank. Give some words, or leave the option out")
    return criteria or ""


_label_options = add_options(
    "label_files",
    (
        click.option(
            "--included",
            type=FILE,
            metavar="FILE",
            help="File of the records included so far: one PMID, DOI or id per line, or an export such as RIS.",
        ),
        click.option(
            "--excluded",
            type=FILE,
            metavar="FILE",
            help="File of the records excluded so far, of the same kinds.",
        ),
    ),
    lambda included, excluded: (included, excluded),
)
criteria_options = add_options(
    "criteria",
    (
        click.option(
            "--criteria",
            "text",
            metavar="TEXT",
            help="Criteria as text: the title, question or inclusion criteria of the review.",
        ),
        click.option("--criteria-file", "file", type=FILE, metavar="FILE", help="Text file with the criteria."),
    ),
    _read_criteria,
)


def _read_labels(corpus: Corpus, files: tuple[Path | None, Path | None]) -> Labels:
    """Read the labels in the files and look up their records in a corpus."""
    from engine.relevance.screening.labels import look_up_labels

    included, excluded = (() if file is None else read_id_file(file) for file in files)
    return look_up_labels(corpus, included, excluded)


def _read_review(path: Path, name: str) -> tuple[Labels, str]:
    """Return the labels and the criteria of a review."""
    from engine.index.generations.folder import IndexFolder
    from engine.relevance.screening.labels import Labels
    from engine.review.decisions.reviews import Review
    from engine.review.decisions.state import read_state

    state = read_state(Review(IndexFolder(path), name))
    return Labels(*state.list_labels(), unsure=state.list_unsure()), state.settings.criteria


@main.command()
@index_options
@_label_options
@criteria_options
@click.option("--review", metavar="NAME", help="Name of a review whose decisions and criteria are used.")
@filter_options
@TOP_K
@ranked_output
def screen(
    config: Config,
    label_files: tuple[Path | None, Path | None],
    criteria: str,
    review: str | None,
    filters: Filters,
    top_k: int,
    out: Output,
) -> None:
    """Rank the unread records of a review, likely inclusions first.

    The score combines a model of words, trained on your decisions so far, with the cosine with the criteria. The cosine
    counts less with every inclusion, and less the worse it tells inclusions from the other records. Without decisions
    of both kinds, the cosine alone ranks. Scores are comparable only within one ranking. Filters restrict the records
    that are ranked. With --review, records that are maybe or in conflict are not ranked again, and --criteria replaces
    the criteria of the review.

    \b
    engine screen -i rheumatology --criteria "Randomised trials of stem cells in knee osteoarthritis"
    engine screen -i rheumatology --included in.txt --excluded out.txt --criteria-file criteria.txt -n 25 -o next.ris
    engine screen -i rheumatology --review main -n 25
    """
    from engine.query.index import get_generation
    from engine.relevance.screening.ranking import screen as rank_records

    check_output(out)
    if review is not None and any(label_files):
        raise UsageError("--review and files of decisions were given, expected one of them")
    with open_named(config) as index:
        snapshot = get_generation(index)
        if review is None:
            labels = _read_labels(snapshot.corpus, label_files)
        else:
            labels, agreed = _read_review(index.path, review)
            criteria = criteria or agreed
        screening = rank_records(snapshot, labels, criteria, filters, top_k)
        counts = ("n_included", "n_excluded", "n_unsure", "n_left")
        facts = {name: getattr(screening, name) for name in counts}
        title = f"screening (generation {screening.answer.generation:06d})"
        hits = HitList(screening.answer, title, cosines=screening.cosines, facts=facts)
        deliver_hits(index, hits, out, [_format_counts(screening)])


def _format_counts(found: Screening) -> str:
    """Format how many records are labelled, and how many are left."""
    labelled = found.n_included + found.n_excluded
    kinds = f"{found.n_included:,} included, {found.n_excluded:,} excluded"
    unsure = f", {found.n_unsure:,} maybe or in conflict" if found.n_unsure else ""
    return f"{pluralize(labelled, 'record')} labelled ({kinds}){unsure}, {found.n_left:,} left to screen"


@main.command()
@index_options
@_label_options
@criteria_options
@click.option(
    "--priors", type=click.IntRange(min=1), metavar="N", default=10, show_default=True, help="Number of simulations."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Random seed for the initial labelled pair.",
)
@click.option(
    "--step",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of records read before the model is trained again [1, later 5, then 100].",
)
@curve_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def simulate(
    config: Config,
    label_files: tuple[Path | None, Path | None],
    criteria: str,
    priors: int,
    seed: int,
    step: int | None,
    curve: CurveFile,
    as_object: bool,
) -> None:
    """Simulate a finished review in the order of `engine screen`.

    Shows how much reading that order would have saved. Each simulation starts from one included and one excluded
    record, drawn with --seed. Printed are the mean and the standard deviation of:

    \b
    loss      0 is the best order, 0.5 chance, 1 the worst
    ATD       mean rank of the included records, as a share of all records
    R@10%     recall after reading 10 % of the records
    WSS@95    reading saved at 95 % recall, compared with a random order
    hits@100  included records among the first 100

    Then it shows where rules for stopping would have stopped: how much was read, how much of the included records was
    found, and how often less than 95 %. The first rule is a statistical test (Callaghan and Müller-Hansen 2020); the
    others are rules of thumb. --curve draws it.

    \b
    engine simulate -i rheumatology --included in.txt --excluded out.txt --criteria-file criteria.txt --curve curve.svg
    engine simulate -i rheumatology --included in.txt --excluded out.txt --priors 20 --json
    """
    from engine.query.index import get_generation
    from engine.relevance.screening.ranking import load_pool
    from engine.relevance.screening.recallcurve import build_simulation_chart
    from engine.relevance.screening.screenmeasures import measure_screening
    from engine.relevance.screening.simulation import simulate_orders
    from engine.relevance.screening.stopping import compare_rules

    with open_named(config) as index:
        snapshot = get_generation(index)
        labels = _read_labels(snapshot.corpus, label_files)
        pool, notes = load_pool(snapshot, labels.doc_ids, criteria)
    included = labels.mark_included(labels.doc_ids)
    orders = list(_watch_runs(simulate_orders(pool, included, priors, seed, step), priors))
    runs, rules = [measure_screening(order) for order in orders], compare_rules(orders)
    write_curve(curve, build_simulation_chart(orders, rules))
    if as_object:
        settings = {"seed": seed, "step": step, "criteria": criteria, "unknown": labels.unknown, "notes": notes}
        stopping = {"stopping": [_round_rule(rule) for rule in rules]}
        click.echo(dump_json(_list_simulation_fields(labels, runs) | stopping | settings))
        return
    for line in (
        f"{_format_labels(labels)}, {pluralize(len(runs), 'simulation')}",
        *_format_measures(runs),
        *_format_rules(rules, len(runs)),
    ):
        say(line)
    for note in notes:
        say(note, err=True)


def _format_rules(rules: Sequence[RuleOutcome], n: int) -> list[str]:
    """Return a line for each rule for stopping."""
    header = f"{'':<24}{'stops':>8}{'read':>8}{'recall':>8}{'below 95 %':>12}"
    lines = [
        f"{rule.rule:<24}{rule.n_stopped:>8,}{rule.read:>8.3f}{rule.recall:>8.3f}{rule.n_broken:>12,}" for rule in rules
    ]
    return ["", f"stopping, of {pluralize(n, 'simulation')}", header, *lines]


def _round_rule(rule: RuleOutcome) -> dict[str, object]:
    """Return a rule for stopping as plain fields."""
    return asdict(rule) | {"read": round(rule.read, 6), "recall": round(rule.recall, 6)}


def _watch_runs(runs: Iterator[NDArray[np.bool_]], n: int) -> Iterator[NDArray[np.bool_]]:
    """Yield runs and show their progress."""
    with show_progress() as report:
        report("simulating", 0, n)
        for done, run in enumerate(runs, 1):
            report("simulating", done, n)
            yield run


def _format_labels(labels: Labels) -> str:
    """Format how many records the files of labels name."""
    absent = f" ({len(labels.unknown):,} more not in the index)" if labels.unknown else ""
    return f"{pluralize(len(labels.doc_ids), 'record')}, {len(labels.included):,} included{absent}"


def _format_measures(runs: Sequence[Screened]) -> list[str]:
    """Return a line for each measure: its mean and its standard deviation."""
    from engine.relevance.screening.screenmeasures import NAMES, average_measures, compute_deviation

    rows = zip(NAMES, average_measures(runs).values, compute_deviation(runs).values, strict=True)
    return [f"{'':<10}{'mean':>8}{'sd':>8}", *(f"{name:<10}{mean:>8.3f}{sd:>8.3f}" for name, mean, sd in rows)]


def _list_simulation_fields(labels: Labels, runs: Sequence[Screened]) -> dict[str, object]:
    """Return simulations as the printed fields."""
    from engine.relevance.screening.screenmeasures import average_measures, compute_deviation

    return {
        "n_included": len(labels.included),
        "n_excluded": len(labels.excluded),
        "mean": _round_measures(average_measures(runs)),
        "sd": _round_measures(compute_deviation(runs)),
        "simulations": [_round_measures(run) for run in runs],
    }


def _round_measures(run: Screened) -> dict[str, float]:
    """Round measures to six decimals."""
    return {name: round(value, 6) for name, value in asdict(run).items()}
