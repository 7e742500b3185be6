"""The command that trains an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.group import main
from engine.cli.judged import index_source
from engine.cli.options import index_options, opened
from engine.config import Config
from engine.errors import MissingExtraError, SourceError, UsageError
from engine.records import Abstract, FileReceipt, Rejection, many
from engine.terminal import progress, say

if TYPE_CHECKING:
    from engine.relevance.testset import SourceFile
    from engine.train.corpuspairs import CorpusPairs
    from engine.train.finish import Finished
    from engine.train.settings import Settings, Sources

FILE = click.Path(path_type=Path)
SETTINGS = (  # of all recipes, then of some; each may be left out, and the recipe has its own
    click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Passes over the rows."),
    click.option("--batch", "batch_size", type=click.IntRange(1), metavar="N", help="Rows of a step."),
    click.option(
        "--mini-batch", "mini_batch_size", type=click.IntRange(1), metavar="N", help="Rows in memory at once."
    ),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="At its highest."),
    click.option("--weight-decay", type=click.FloatRange(0), help="Of AdamW."),
    click.option("--warmup", type=click.FloatRange(0), help="Steps; below 1 a share of all steps."),
    click.option("--max-length", type=click.IntRange(8), metavar="TOKENS", help="Read of a text in training only."),
    click.option("--max-steps", type=click.IntRange(1), metavar="N", help="Stop after so many steps."),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of order and chance [42]."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to train [auto]."),
    click.option("--mixed/--no-mixed", default=None, help="Multiply in bfloat16 [where the device can]."),
    click.option("--negatives", type=click.IntRange(0, 47), metavar="N", help="adapt: hard negatives a pair [1]."),
    click.option("--guide", metavar="MODEL", help="adapt: what tells false negatives [the base]."),
    click.option("--temperature", type=click.FloatRange(0, min_open=True), help="adapt: of the loss [0.05]."),
    click.option("--margin", type=click.FloatRange(0, 1), help="adapt: between positive and negative [0.05]."),
    click.option("--orthogonal", type=click.FloatRange(0), help="adapt: weight of the regularisation [0.1]."),
    click.option("--matryoshka", metavar="DIMS", help="adapt: shorter dimensions too, like 256,128."),
    click.option("--lora", type=click.IntRange(0), metavar="RANK", help="adapt: train adapters of this rank only."),
    click.option("--teacher", metavar="MODEL", help="distill: the encoder to learn from."),
    click.option("--project", is_flag=True, default=None, help="distill: from a teacher of another dimension."),
)


def setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every setting."""
    for option in reversed(SETTINGS):
        command = option(command)
    return command


@main.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=FILE)
@click.option("--recipe", type=click.Choice(["seed", "adapt", "distill"]), required=True, help="How to train.")
@click.option("-o", "--output", type=FILE, metavar="FOLDER", help="Folder of the new encoder [encoder-RECIPE].")
@click.option("--base", metavar="MODEL", help="Encoder to start from [all-MiniLM-L6-v2].")
@click.option("--reading", type=click.Choice(["fit", "printed"]), default="fit", help="seed: which schedule [fit].")
@click.option("--check", is_flag=True, help="Only look the pairs over.")
@click.option("--force", is_flag=True, help="seed: train on pairs that were refused.")
@click.option("--pairs", "as_pairs", is_flag=True, help="adapt, distill: the files hold pairs, not abstracts.")
@click.option(
    "--hold-out",
    type=FILE,
    metavar="FILE",
    multiple=True,
    help="Leave out what FILE has; seed: tell.",
)
@index_options
@setting_options
def train(
    config: Config,
    files: tuple[Path, ...],
    recipe: str,
    output: Path | None,
    base: str | None,
    reading: str,
    check: bool,
    force: bool,
    as_pairs: bool,
    hold_out: tuple[Path, ...],
    **given: Any,
) -> None:
    """Train an encoder: a folder for `engine index -m FOLDER`, or for `engine promote FOLDER`.

    \b
    seed     labelled pairs (CSV, JSON lines, Parquet: sentence_0, sentence_1, label), cosine moved to the label.
             The pairs are looked over first, and refused where they would spoil the encoder.
    adapt    abstracts, or an index: a title finds its body, a conclusion its objective. No labels are needed.
    distill  abstracts, or an index: vectors are moved to where a better encoder, the --teacher, has them.

    adapt and distill never train on a tenth of all publications: the known items that `engine promote` tests with. A
    run that was stopped goes on where it was when the same command is given again.

    \b
    engine train pairs.csv --recipe seed --check
    engine train -i rheumatology --recipe adapt -o better
    """
    from engine.encode.model import DEFAULT_MODEL
    from engine.train.settings import check_recipe, defaults

    check_recipe(recipe, len(files), click.get_current_context().params["index"], check=check)
    settings = told_settings(
        defaults(recipe, base or DEFAULT_MODEL, output or Path(f"encoder-{recipe}"), reading), given
    )
    if recipe == "seed" or check:
        done = on_pairs(files, settings, hold_out, check=check, force=force)
    else:
        done = on_corpus(config, files, settings, hold_out, as_pairs=as_pairs)
    if done is not None:
        tell(done)


def told_settings(start: Settings, given: dict[str, Any]) -> Settings:
    """The settings with what was given on the command line."""
    told = {name: value for name, value in given.items() if value is not None}
    if dims := told.pop("matryoshka", None):
        try:
            told["matryoshka"] = tuple(int(dim) for dim in dims.split(","))
        except ValueError as err:
            raise UsageError(f"--matryoshka {dims!r}, expected dimensions like 256,128") from err
    return replace(start, **told)


def on_pairs(
    files: tuple[Path, ...], settings: Settings, hold_out: tuple[Path, ...], *, check: bool, force: bool
) -> Finished | None:
    """Look labelled pairs over and, unless only that was wanted, train on them."""
    from engine.encode.model import locate
    from engine.train.lint import lint, text_lines
    from engine.train.pairs import read_pairs

    table = read_pairs(files, need_label=settings.recipe == "seed")
    held_out = read_pairs(hold_out, need_label=False) if hold_out else None
    report = lint(table, locate(settings.base), settings.batch_size, held_out, settings.epochs)
    for line in text_lines(report):
        say(line, err=not check)
    if check:
        click.get_current_context().exit(1 if report.refused else 0)
    if report.refused and not force:
        raise SourceError("these pairs were refused, for the reasons above. To train on them all the same: --force")
    with progress() as shown, needing_extra():
        from engine.train.start import train_on_pairs

        return train_on_pairs(table, report, settings, shown, lambda expected: say(str(expected), err=True))


def on_corpus(
    config: Config, files: tuple[Path, ...], settings: Settings, hold_out: tuple[Path, ...], *, as_pairs: bool
) -> Finished:
    """Make pairs of abstracts, or take those of files, and train on them."""
    with progress() as shown, needing_extra():
        from engine.train.start import train_without_labels

        pairs, sources = pairs_from(config, files, hold_out, settings.seed, as_pairs=as_pairs)
        n = len(pairs.titles) + len(pairs.conclusions) + len(pairs.mesh)
        say(f"{many(n, 'pair')} of {many(pairs.n_records, 'record')}, {pairs.n_held_out:,} held out", err=True)
        return train_without_labels(pairs, sources, settings, shown, lambda one: say(str(one), err=True))


@contextmanager
def needing_extra() -> Iterator[None]:
    """Say which extra is missing, where one is."""
    try:
        yield
    except ImportError as err:
        raise MissingExtraError(f"{err.name} (needed to train)", "[cpu,train] or [gpu,train]") from err


def pairs_from(
    config: Config, files: tuple[Path, ...], hold_out: tuple[Path, ...], seed: int, *, as_pairs: bool
) -> tuple[CorpusPairs, Sources]:
    """Pairs of files of abstracts, of an index, or as files have them; and what was read for them."""
    from engine.train.corpuspairs import pairs_in, pairs_of
    from engine.train.pairs import read_pairs
    from engine.train.settings import Sources

    if as_pairs:
        if hold_out:
            raise UsageError("--hold-out names abstracts, which pairs don't name: take such rows out")
        return pairs_in(read_pairs(files, need_label=False)), Sources(receipts(files))
    if files:
        return pairs_of(abstracts(files), abstracts(hold_out), seed), Sources(receipts(files), receipts(hold_out))
    with opened(config) as index:
        pairs = pairs_of(index.abstracts(), abstracts(hold_out), seed)
        return pairs, Sources((index_source(index),), receipts(hold_out))


def receipts(paths: tuple[Path, ...]) -> tuple[SourceFile, ...]:
    """Files by name and SHA-256."""
    from engine.relevance.testset import SourceFile

    return tuple(SourceFile(path.name, FileReceipt.of(path).sha256) for path in paths)


def abstracts(files: tuple[Path, ...]) -> Iterator[Abstract]:
    """Yield every usable record of files, saying how many were not."""
    from engine.collect.source import read_source

    for path in files:
        n_rejected = 0
        for entry in read_source(path):
            if isinstance(entry, Abstract):
                yield entry
            n_rejected += isinstance(entry, Rejection)
        if n_rejected:
            say(f"{path}: {many(n_rejected, 'record')} could not be read and were left out", err=True)


def tell(done: Finished) -> None:
    """Say what was made and how to use it."""
    trained = done.tuned.trained
    mark = done.identity.fingerprint[:12]
    say(f"{done.folder}: {many(trained.steps, 'step')} in {trained.seconds:,.0f} s, fingerprint {mark}")
    if trained.log:
        first, last = trained.log[0], trained.log[-1]
        say(f"mean loss {first.loss:.4f} up to step {first.step:,}, {last.loss:.4f} at the end")
    for one in done.tuned.tried:
        say(f"  {one.alpha:4.0%} tuned  dev nDCG@10 {one.score:.4f}")
    say(f"two unrelated texts: mean cosine {done.spread.mean:.3f}, the base {done.base_spread.mean:.3f}")
    for problem in done.problems:
        say(f"Warning: {problem}", err=True)
    say(f"Next: engine promote {done.folder} -i NAME")
