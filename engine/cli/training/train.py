"""The command that trains an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import index_options, open_named
from engine.cli.quality.judgments import describe_index
from engine.config import Config
from engine.errors import MissingExtraError, SourceError, UsageError
from engine.files import check_new_folder
from engine.options import DEFAULT_MODEL
from engine.phrases import pluralize, quote_word
from engine.receipts import FileReceipt
from engine.records.abstract import Abstract, Rejection
from engine.terminal import say, show_progress

if TYPE_CHECKING:
    from engine.relevance.sets.testset import SetSource
    from engine.train.fit.encoderfolder import WrittenEncoder
    from engine.train.fit.settings import TrainingSettings, TrainingSources
    from engine.train.pairs.corpuspairs import CorpusPairs

_FILE = click.Path(path_type=Path)
_SETTINGS = (  # for all methods, then for some; the default of each depends on the method
    click.option(
        "--epochs", metavar="N", type=click.FloatRange(0, min_open=True), help="Number of passes over the rows."
    ),
    click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Rows per step."),
    click.option(
        "--mini-batch", "mini_batch_size", type=click.IntRange(1), metavar="N", help="Rows in memory at once."
    ),
    click.option(
        "--learning-rate", metavar="RATE", type=click.FloatRange(0, min_open=True), help="Peak learning rate."
    ),
    click.option("--weight-decay", metavar="DECAY", type=click.FloatRange(0), help="AdamW weight decay."),
    click.option(
        "--warmup", metavar="STEPS", type=click.FloatRange(0), help="Warm-up steps; below 1, a share of all steps."
    ),
    click.option(
        "--max-length", type=click.IntRange(8), metavar="TOKENS", help="Maximum tokens read from a text in training."
    ),
    click.option("--max-steps", type=click.IntRange(1), metavar="N", help="Stop after N steps."),
    click.option("--seed", metavar="N", type=click.IntRange(0, 2**32 - 1), help="Random seed [42]."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Device to train on [auto]."),
    click.option("--mixed/--no-mixed", default=None, help="Multiply matrices in bfloat16 [if the device supports it]."),
    click.option(
        "--negatives",
        type=click.IntRange(0, 47),
        metavar="N",
        help="adapt, rerank: hard negatives mined for each pair [adapt 1, rerank 4].",
    ),
    click.option(
        "--max-pairs", "pairs", type=click.IntRange(1), metavar="N", help="rerank: pairs chosen by chance [3000]."
    ),
    click.option("--guide", metavar="MODEL", help="adapt: encoder that recognises false negatives [the base]."),
    click.option(
        "--temperature",
        metavar="T",
        type=click.FloatRange(0, min_open=True),
        help="adapt: temperature of the loss [0.05].",
    ),
    click.option(
        "--margin",
        metavar="0..1",
        type=click.FloatRange(0, 1),
        help="adapt: minimum margin between positive and negative [0.05].",
    ),
    click.option(
        "--orthogonal", metavar="WEIGHT", type=click.FloatRange(0), help="adapt: weight of the regularisation [0.1]."
    ),
    click.option("--matryoshka", metavar="DIMS", help="adapt: also train shorter dimensions, like 256,128."),
    click.option(
        "--lora", type=click.IntRange(0), metavar="RANK", help="adapt: train only low-rank adapters of this rank."
    ),
    click.option("--teacher", metavar="MODEL", help="distill: encoder to learn from."),
    click.option(
        "--project", is_flag=True, default=None, help="distill: learn a projection to a teacher of another dimension."
    ),
)


def _add_setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every setting."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@main.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=_FILE)
@click.option(
    "--method", type=click.Choice(["seed", "adapt", "distill", "rerank"]), required=True, help="Training method."
)
@click.option(
    "-o", "--output", type=_FILE, metavar="FOLDER", help="Folder for the new model [encoder-METHOD; reranker]."
)
@click.option("--base", metavar="MODEL", help="Encoder to start from [all-MiniLM-L6-v2].")
@click.option(
    "--reading",
    type=click.Choice(["fit", "printed"]),
    default="fit",
    help="seed: learning rate schedule of fit(), or the one printed in its model card [fit].",
)
@click.option("--check", is_flag=True, help="Check the pairs without training.")
@click.option("--force", is_flag=True, help="seed: train on pairs even if the check refuses them.")
@click.option("--pairs", "as_pairs", is_flag=True, help="adapt, distill: read pairs instead of abstracts.")
@click.option(
    "--hold-out",
    type=_FILE,
    metavar="FILE",
    multiple=True,
    help="Exclude records in FILE from training (seed: only report overlap). May be repeated.",
)
@index_options
@_add_setting_options
def train(
    config: Config,
    files: tuple[Path, ...],
    method: str,
    output: Path | None,
    base: str | None,
    reading: str,
    check: bool,
    force: bool,
    as_pairs: bool,
    hold_out: tuple[Path, ...],
    **options: Any,
) -> None:
    """Train an encoder or a reranker on pairs, abstracts or an index.

    The result is a folder for `engine promote FOLDER`, and for `engine index -m FOLDER` or `engine search --rerank
    FOLDER`. There are four methods:

    \b
    seed     Labelled pairs (CSV, JSON lines, Parquet: sentence_0, sentence_1, label).
             Moves the cosine of each pair towards its label. Pairs that would spoil
             the encoder are refused before the first step.
    adapt    Abstracts or an index, no labels. Learns to find the text of an abstract
             by its title, and its objective by its conclusion.
    distill  Abstracts or an index. Moves the vectors towards those of a better
             encoder, the --teacher.
    rerank   An index. Makes a cross-encoder for a second stage: the document that
             belongs to a text must score higher than those that rank near it.

    adapt, distill and rerank never train on the 10 % of all publications that `engine promote` tests with. An
    interrupted run resumes if the same command is run again; rerank starts anew.

    \b
    engine train pairs.csv --method seed --check
    engine train -i rheumatology --method adapt -o better
    """
    from engine.train.fit.settings import TrainingSettings, check_method

    check_method(method, len(files), click.get_current_context().params["index"], check=check)
    start = TrainingSettings.of(method, base or DEFAULT_MODEL, output or _name_output(method), reading)
    settings = _apply_options(start, options)
    if not check:
        check_new_folder(settings.output)
    if method == "rerank":
        _train_reranker(config, settings, hold_out)
        return
    if method == "seed" or check:
        written = _train_on_pairs(files, settings, hold_out, check=check, force=force)
    else:
        written = _train_on_corpus(config, files, settings, hold_out, as_pairs=as_pairs)
    if written is not None:
        _report(written)


def _name_output(method: str) -> Path:
    """Return the folder of a new model where none is named."""
    return Path("reranker" if method == "rerank" else f"encoder-{method}")


def _apply_options(start: TrainingSettings, options: dict[str, Any]) -> TrainingSettings:
    """Return the settings with the values given on the command line."""
    values = {name: value for name, value in options.items() if value is not None}
    if dims := values.pop("matryoshka", None):
        try:
            values["matryoshka"] = tuple(int(dim) for dim in dims.split(","))
        except ValueError as err:
            raise UsageError(f"--matryoshka {dims!r}, expected dimensions like 256,128") from err
    return replace(start, **values)


def _train_on_pairs(
    files: tuple[Path, ...], settings: TrainingSettings, hold_out: tuple[Path, ...], *, check: bool, force: bool
) -> WrittenEncoder | None:
    """Check labelled pairs and, unless `check` is set, train on them."""
    from engine.encode.models.model import locate
    from engine.train.pairs.findings import format_report
    from engine.train.pairs.lint import lint_pairs
    from engine.train.pairs.pairtable import read_pairs

    table = read_pairs(files, need_label=settings.method == "seed")
    held_out = read_pairs(hold_out, need_label=False) if hold_out else None
    report = lint_pairs(table, locate(settings.base), settings.batch_size, held_out, settings.epochs)
    for line in format_report(report):
        say(line, err=not check)
    if check:
        click.get_current_context().exit(1 if report.is_refused else 0)
    if report.is_refused and not force:
        raise SourceError("these pairs were refused for the reasons above. To train on them anyway: --force")
    with show_progress() as shown, _name_missing_extra():
        from engine.train.fit.training import train_on_pairs

        return train_on_pairs(table, report, settings, shown, lambda estimate: say(str(estimate), err=True))


def _train_on_corpus(
    config: Config,
    files: tuple[Path, ...],
    settings: TrainingSettings,
    hold_out: tuple[Path, ...],
    *,
    as_pairs: bool,
) -> WrittenEncoder:
    """Make pairs from abstracts, or read them from files, and train on them."""
    with show_progress() as shown, _name_missing_extra():
        from engine.train.fit.training import train_without_labels

        pairs, sources = _load_pairs(config, files, hold_out, settings.seed, as_pairs=as_pairs)
        n = len(pairs.titles) + len(pairs.conclusions) + len(pairs.mesh)
        say(
            f"{pluralize(n, 'pair')} from {pluralize(pairs.n_records, 'record')}, {pairs.n_held_out:,} held out",
            err=True,
        )
        return train_without_labels(pairs, sources, settings, shown, lambda estimate: say(str(estimate), err=True))


def _train_reranker(config: Config, settings: TrainingSettings, hold_out: tuple[Path, ...]) -> None:
    """Make pairs and negatives from an index, train a reranker on them and print a summary."""
    with open_named(config) as index, show_progress() as shown, _name_missing_extra():
        from engine.train.fit.rerankertraining import train_reranker
        from engine.train.fit.settings import TrainingSources
        from engine.train.pairs.corpuspairs import build_pairs
        from engine.train.pairs.rankedgroups import mine_groups

        pairs = build_pairs(index.abstracts(), _read_abstracts(hold_out), settings.seed)
        groups = mine_groups(index, pairs, settings.pairs, settings.negatives, settings.seed, shown)
        say(
            f"{len(groups.train):,} of {pluralize(groups.n_pairs, 'pair')} from {pluralize(pairs.n_records, 'record')}",
            err=True,
        )
        say(
            f"{pluralize(groups.n_held_out, 'record')} held out, "
            f"{pluralize(groups.n_short, 'pair')} without enough negatives",
            err=True,
        )
        sources = TrainingSources((describe_index(index),), _hash_files(hold_out))
        written = train_reranker(groups, sources, settings, shown, lambda text: say(text, err=True))
    steps = pluralize(written.steps, "step")
    say(f"{written.folder}: {steps} in {written.seconds:,.0f} s, fingerprint {written.identity.fingerprint[:12]}")
    say(f"mean loss {written.first_loss:.4f} in the first tenth of the steps, {written.last_loss:.4f} in the last")
    say(f"held out: its own document scores highest for {written.dev:.1%} of {pluralize(written.n_dev, 'title')}")
    say(f"Next: engine promote {quote_word(written.folder)} -i NAME --guard FOLDER --dry-run")


@contextmanager
def _name_missing_extra() -> Iterator[None]:
    """Turn an ImportError into an error that names the missing extra."""
    try:
        yield
    except ImportError as err:
        raise MissingExtraError(f"{err.name} (needed to train)", "[cpu,train] or [gpu,train]") from err


def _load_pairs(
    config: Config, files: tuple[Path, ...], hold_out: tuple[Path, ...], seed: int, *, as_pairs: bool
) -> tuple[CorpusPairs, TrainingSources]:
    """Return pairs made from abstracts or an index, or read from files, and their sources."""
    from engine.train.fit.settings import TrainingSources
    from engine.train.pairs.corpuspairs import build_pairs, select_pairs
    from engine.train.pairs.pairtable import read_pairs

    if as_pairs:
        if hold_out:
            raise UsageError("--hold-out cannot be combined with --pairs: remove the rows from the file of pairs")
        return select_pairs(read_pairs(files, need_label=False)), TrainingSources(_hash_files(files))
    excluded = _read_abstracts(hold_out)
    if files:
        pairs = build_pairs(_read_abstracts(files), excluded, seed)
        return pairs, TrainingSources(_hash_files(files), _hash_files(hold_out))
    with open_named(config) as index:
        pairs = build_pairs(index.abstracts(), excluded, seed)
        return pairs, TrainingSources((describe_index(index),), _hash_files(hold_out))


def _hash_files(paths: tuple[Path, ...]) -> tuple[SetSource, ...]:
    """Return the name and SHA-256 of files."""
    from engine.relevance.sets.testset import SetSource

    return tuple(SetSource(path.name, FileReceipt.of(path).sha256) for path in paths)


def _read_abstracts(files: tuple[Path, ...]) -> Iterator[Abstract]:
    """Yield the records of files, and report how many could not be read."""
    from engine.collect.source import read_source

    for path in files:
        n_rejected = 0
        for entry in read_source(path):
            if isinstance(entry, Abstract):
                yield entry
            n_rejected += isinstance(entry, Rejection)
        if n_rejected:
            say(f"{path}: {pluralize(n_rejected, 'record')} could not be read, skipped", err=True)


def _report(written: WrittenEncoder) -> None:
    """Print a summary of the training, and the next command."""
    run = written.trained.run
    fingerprint = written.identity.fingerprint[:12]
    say(f"{written.folder}: {pluralize(run.steps, 'step')} in {run.seconds:,.0f} s, fingerprint {fingerprint}")
    if run.log:
        first, last = run.log[0], run.log[-1]
        say(f"mean loss {first.loss:.4f} up to step {first.step:,}, {last.loss:.4f} at the end")
    for average in written.trained.averages:
        say(f"  {average.alpha:4.0%} trained  dev nDCG@10 {average.score:.4f}")
    say(f"mean cosine of two unrelated texts: {written.spread.mean:.3f}, by the base {written.base_spread.mean:.3f}")
    for problem in written.problems:
        say(f"Warning: {problem}", err=True)
    say(f"Next: engine promote {quote_word(written.folder)} -i NAME")
