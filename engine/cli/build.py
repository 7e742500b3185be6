"""Commands that make and update an index."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.group import fail, main
from engine.cli.options import day, index_options
from engine.cli.template import template
from engine.config import Config, Settings, check_name
from engine.errors import DurabilityError, EngineError, GenerationError, UsageError
from engine.records import many
from engine.terminal import as_json, leave, progress, say

if TYPE_CHECKING:
    from engine.collect.facts import SourceFacts
    from engine.index.folder import IndexFolder
    from engine.reindex.order import Report


UNSET = {
    "model": "the index's own; all-MiniLM-L6-v2 for a new index",
    "recipe": "the index's own; whole for a new index",
    "precision": "the index's own; fp32 for a new index",
    "factory": "auto",
    "recall": "the index's own; 0.99 for a new one",
}  # what holds where nothing is said
PRECISION = click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    help="Of the encoder [the index's own; fp32]; int8 is faster on a CPU and gives other vectors.",
)
RECIPE = click.option(
    "--recipe",
    type=click.Choice(["whole", "passages"]),
    help="Texts cut where the encoder stops reading, or whole in passages [the index's own; whole].",
)
DEVICE = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to encode [auto].")


@main.command()
@click.argument("name")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@index_options
def init(config: Config, name: str, sources: tuple[str, ...]) -> None:
    """Write a commented index.toml for an index: its sources, model and guards. Nothing is indexed yet.

    SOURCE is a file, a folder to watch or a glob in quotation marks.

    \b
    engine init rheumatology /data/pubmed/updatefiles "/data/exports/*.ris"
    engine reindex rheumatology --dry-run
    """
    check_name(name)
    path = config.indexes / name / "index.toml"
    # A shell's relative paths start here, those of index.toml at the folder of the index.
    absolute = tuple(str(Path(source).expanduser().absolute()) for source in sources)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template(name, absolute))
    except FileExistsError as err:
        raise UsageError(f"{path} is there already. Edit it, or see what is in force: engine config {name}") from err
    say(f"{path} written. {'Then' if sources else 'Name the sources in it, then'}: engine reindex {name} --dry-run")
    for source in absolute:
        if not has_magic(source) and not Path(source).exists():
            say(f"note: {source} is not there yet")


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@index_options
@click.option("-m", "--model", help="sentence-transformers folder or hub id [the index's own; all-MiniLM-L6-v2].")
@PRECISION
@RECIPE
@DEVICE
@click.option("--re-encode", is_flag=True, help="Encode every text again; with -m, by another model than before.")
def index(
    config: Config,
    sources: tuple[Path, ...],
    model: str | None,
    precision: str | None,
    recipe: str | None,
    device: str | None,
    re_encode: bool,
) -> None:
    """Add or update the records of files: PubMed XML, MEDLINE, RIS, EndNote XML, BibTeX, CSV, JSONL, OpenAlex.

    The format is told by the content; gzip is fine. Only new and changed texts are encoded. Searches go on meanwhile
    and see the result when it is complete.

    \b
    engine index corpus.jsonl.gz -i rheumatology
    engine index pubmed26n1300.xml.gz more.csv -i rheumatology
    engine index corpus.jsonl.gz -i tuned -m ./my-model
    """
    from engine.index.folder import IndexFolder
    from engine.reindex.order import Order
    from engine.reindex.run import index_sources

    folder = IndexFolder(config.target())
    settings = Settings.load(folder.path, model=model, precision=precision, recipe=recipe, device=device)
    order = Order.of(settings, sources=sources, re_encode=re_encode)
    with writing(folder), progress() as report:
        done = index_sources(folder, order, report)
    tell(folder, done)


@main.command()
@click.argument("name", required=False)
@index_options
@click.option("-n", "--dry-run", is_flag=True, help="Print the plan and touch nothing.")
@click.option("--full", is_flag=True, help="Read every file again; let go of records that their file no longer has.")
@click.option("--since", metavar="DATE|Nd", help="Look only at files changed on or after a day, or N days ago.")
@click.option("--allow-mass-change", is_flag=True, help="Without the guard against mass deletion and change.")
@click.option("-m", "--model", help="Model, if not that of index.toml.")
@PRECISION
@RECIPE
@DEVICE
@click.option("--json", "as_object", is_flag=True, help="The plan or report as one JSON object.")
def reindex(
    config: Config,
    name: str | None,
    dry_run: bool,
    full: bool,
    since: str | None,
    allow_mass_change: bool,
    model: str | None,
    precision: str | None,
    recipe: str | None,
    device: str | None,
    as_object: bool,
) -> None:
    """Bring an index up to date with the sources in its index.toml. Files that were applied before are skipped.

    Changed texts are encoded, nothing else. A run that was stopped is taken up where it was. A run that would delete
    or change more than the guard's share of the records stops before it publishes (exit 7).

    \b
    engine reindex rheumatology --dry-run
    engine reindex rheumatology
    engine reindex rheumatology --since 7d
    """
    from engine.index.folder import IndexFolder
    from engine.reindex.plan import plan_lines
    from engine.reindex.update import Request, plan_reindex
    from engine.reindex.update import reindex as run

    folder = IndexFolder(config.named(name).target())
    settings = Settings.load(folder.path, model=model, precision=precision, recipe=recipe, device=device)
    request = Request(full, day(since) if since else None, allow_mass_change)
    if dry_run:
        with progress() as report:
            plan = plan_reindex(folder, settings, request, report)
        say(as_json(plan_fields(folder, asdict(plan))) if as_object else "\n".join(plan_lines(folder.path.name, plan)))
        return
    with writing(folder), progress() as report:
        done = run(folder, settings, request, report)
    tell(folder, done, as_object=as_object)


@main.command(name="config")
@click.argument("name", required=False)
@index_options
@click.option("-m", "--model", help="As on the command line of a run.")
@PRECISION
@RECIPE
@DEVICE
@click.option("--json", "as_object", is_flag=True, help="One JSON object.")
def show_config(
    config: Config,
    name: str | None,
    model: str | None,
    precision: str | None,
    recipe: str | None,
    device: str | None,
    as_object: bool,
) -> None:
    """Show the settings in force and where each comes from: flag, variable, index.toml, default.

    \b
    engine config rheumatology
    ENGINE_DEVICE=cuda engine config rheumatology
    """
    path = config.named(name).existing()
    settings = Settings.load(path, model=model, precision=precision, recipe=recipe, device=device)
    origins = dict(settings.origins)
    values = {key: getattr(settings, key) for key in origins}
    values["sources"] = [source.path + (f" ({source.format})" if source.format else "") for source in settings.sources]
    if as_object:
        say(as_json({"index": str(path), **{k: {"value": v, "from": origins[k]} for k, v in values.items()}}))
        return
    say(f"index: {path}")
    for key, value in values.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        say(f"  {key} = {UNSET.get(key, '(none)') if value is None else shown or '(none)'}  [{origins[key]}]")


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--format", "kind", help="Read as this format, whatever the content looks like.")
@click.option("--json", "as_object", is_flag=True, help="One JSON object a line.")
def sources(files: tuple[Path, ...], kind: str | None, as_object: bool) -> None:
    """Say what files are: format, records, fields, and what is odd about them. Nothing is indexed.

    Exit 0 when all can be read, 1 with a line for each that can't.

    \b
    engine sources export.ris pubmed26n1300.xml.gz
    """
    from engine.collect.facts import source_facts

    failed = 0
    for path in files:
        try:
            facts = source_facts(path, kind)
        except EngineError as err:
            failed += 1
            say(f"Error: {err}", err=True)
            continue
        say(as_json({"file": str(path), **asdict(facts)}) if as_object else "\n".join(facts_lines(path, facts)))
    if failed and len(files) > 1:
        fail(f"{failed} of {len(files)} files can't be read", 1)
    if failed:
        leave(1)


def facts_lines(path: Path, facts: SourceFacts) -> Iterator[str]:
    """What a file is, in words."""
    counts = [many(facts.n_records, "record")]
    counts += [many(facts.n_deletions, "deletion")] if facts.n_deletions else []
    counts += [f"{facts.n_rejected:,} rejected"] if facts.n_rejected else []
    years = ", " + " to ".join(map(str, sorted(set(facts.years)))) if facts.years else ""
    yield f"{path}: {facts.format}, {', '.join(counts)}{years}"
    yield "  fields: " + (", ".join(f"{name} {n:,}" for name, n in facts.fields) or "none")
    yield "  known by: " + (", ".join(f"{kind} {n:,}" for kind, n in facts.ids) or "nothing")
    yield from (f"  {what}: {n:,} (first: {place})" for what, n, place in facts.remarks)
    yield from (f"  rejected: {rejection}" for rejection in facts.rejections)
    if (more := facts.n_rejected - len(facts.rejections)) > 0:
        yield f"  … and {more:,} more rejected"


@contextmanager
def writing(folder: IndexFolder) -> Iterator[None]:
    """Let SIGTERM end the block like an interrupt; say of a failing disk that nothing was published.

    Raises:
        GenerationError: the disk is full or not writable.
    """
    kept = "what it had encoded is kept, and the same command goes on from there. The index is as it was"
    signal.signal(signal.SIGTERM, lambda *_: fail(f"terminated; {kept}", 143))
    try:
        yield
    except KeyboardInterrupt:
        fail(f"interrupted; {kept}", 130)
    except OSError as err:
        where = f"{err.filename}: " if err.filename else ""
        text = f"{where}{err.strerror or err}. Nothing was published. Check space and permissions of {folder.path}"
        raise GenerationError(text) from err


def tell(folder: IndexFolder, done: Report, *, as_object: bool = False) -> None:
    """Print what a run did.

    Raises:
        DurabilityError: it is published, but nothing can be printed.
    """
    from engine.reindex.summary import report_fields, summary

    try:
        if as_object:
            say(as_json(report_fields(folder.path.name, done)))
        else:
            for line in summary(folder.path.name, done):
                say(line)
        sys.stdout.flush()
    except OSError as err:
        text = f"generation {done.generation:06d} is published, but the summary could not be printed: {err.strerror}"
        raise DurabilityError(text) from err


def plan_fields(folder: IndexFolder, plan: dict[str, Any]) -> dict[str, Any]:
    """A plan as plain fields; files by their paths."""
    files = plan.pop("files")
    paths = {kind: [str(source["path"]) for source in files[kind]] for kind in ("read", "known")}
    return {"index": folder.path.name, **plan, "files": {**paths, "vanished": files["vanished"]}}
