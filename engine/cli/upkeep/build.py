"""Commands that make and update an index."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.frame.group import fail, main, raise_signals
from engine.cli.frame.options import FORMAT, INDEXES, add_options, build_setting_option, index_options, parse_day
from engine.cli.upkeep.template import format_template
from engine.config import Config, Settings, SourcePattern, check_name
from engine.errors import DurabilityError, EngineError, GenerationError, UsageError
from engine.files import write_text
from engine.options import SETTINGS
from engine.phrases import pluralize
from engine.redaction import redact_url
from engine.terminal import dump_json, leave, say, show_progress

if TYPE_CHECKING:
    from engine.collect.facts import SourceFacts
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.generation.order import Report


_ENCODING = ("model", "precision", "recipe", "template", "query_prompt", "document_prompt", "query_model", "pooling")
_settings_options = add_options(
    "flags", tuple(map(build_setting_option, (*_ENCODING, "device", "map_kind", "publish_every"))), dict
)


@main.command()
@click.argument("name")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@FORMAT
@INDEXES
def init(name: str, sources: tuple[str, ...], kind: str | None, indexes: str | None) -> None:
    """Write a commented index.toml for a new index. Index nothing yet.

    The file lists the sources, the model and the guards against mass changes; edit it as you like. SOURCE is a file, a
    folder to watch, or a glob pattern in quotes. It must exist, and a pattern must match a file.

    \b
    engine init rheumatology /data/pubmed/updatefiles "/data/exports/*.ris"
    engine reindex rheumatology --dry-run
    """
    from engine.reindex.intake.sources import check_pattern

    check_name(name)
    path = Config.load(indexes).indexes / name / "index.toml"
    # Paths on the command line are relative to this folder, but those in index.toml to the folder of the index.
    absolute = tuple(str(Path(source).expanduser().absolute()) for source in sources)
    if path.exists():
        raise UsageError(f"{path} already exists. Edit it, or show its settings: engine config {name}")
    for source in absolute:
        check_pattern(path.parent, SourcePattern(source))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, [format_template(name, absolute, kind)], overwrite=False)
    say(f"{path} written. {'Then' if sources else 'Name the sources in it, then'}: engine reindex {name} --dry-run")


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@FORMAT
@index_options
@_settings_options
@click.option("--re-encode", is_flag=True, help="Encode every text again. Required to change the model with -m.")
@click.option(
    "--vectors",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Take vectors from a folder, of the records whose id and text are the same; encode the others.",
)
@click.option("--json", "as_object", is_flag=True, help="Print the report as one JSON object.")
def index(
    config: Config,
    sources: tuple[Path, ...],
    kind: str | None,
    flags: dict[str, object],
    re_encode: bool,
    vectors: Path | None,
    as_object: bool,
) -> None:
    """Add the records of files to an index, or update them.

    Reads PubMed XML, MEDLINE and abstracts as text, RIS, EndNote XML, Refer, RefWorks, Ovid, Cochrane, BibTeX, Web of
    Science, OpenAlex, CSV, TSV, XLSX, JSON and JSONL, plain or gzipped. The first line of a file decides its format,
    unless you name it with --format. Only new and changed texts are encoded. Searches keep running on the old
    generation until the new one is complete.

    \b
    engine index corpus.jsonl.gz -i rheumatology
    engine index pubmed26n1300.xml.gz more.csv -i rheumatology
    engine index corpus.jsonl.gz -i tuned -m ./my-model
    engine index corpus.jsonl.gz -i copy --vectors ./vectors
    """
    index_files(config, sources, kind, flags, re_encode=re_encode, vectors=vectors, as_object=as_object)


def index_files(
    config: Config,
    paths: Sequence[Path],
    kind: str | None = None,
    flags: Mapping[str, object] | None = None,
    *,
    re_encode: bool = False,
    vectors: Path | None = None,
    as_object: bool = False,
) -> None:
    """Add the records of files to the index that the configuration names, and print the report.

    vectors: a folder of vectors to take over.

    Raises:
        EngineError: a file can't be read, or nothing was published.
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.encoding.vectorsource import VectorSource
    from engine.reindex.generation.order import Order
    from engine.reindex.intake.sources import Source
    from engine.reindex.runs.filegroups import make_generations
    from engine.reindex.runs.run import index_sources
    from engine.scale.opening import choose_encoder, choose_placement

    folder = IndexFolder(config.find_target())
    settings = Settings.load(folder.path, **(flags or {}))
    order = Order(
        settings=settings,
        files=tuple(Source(path, kind) for path in paths),
        re_encode=re_encode,
        vectors=None if vectors is None else VectorSource(vectors),
        elsewhere=choose_encoder(folder.path),
        placement=choose_placement(folder.path),
    )
    with guard_writing(folder), show_progress() as report:
        result = index_sources(folder, order, report, make_generations)
    _print_report(folder, result, as_object=as_object)


@main.command()
@click.argument("name", required=False)
@index_options
@click.option("--dry-run", is_flag=True, help="Print the plan without changing anything.")
@click.option(
    "--full", is_flag=True, help="Read every file again, and remove records that their file no longer contains."
)
@click.option("--since", metavar="DATE|Nd", help="Read only files changed on or after DATE, or in the last N days.")
@click.option(
    "--allow-mass-change", is_flag=True, help="Turn off the guard against mass deletions and changes for this run."
)
@_settings_options
@click.option("--json", "as_object", is_flag=True, help="Print the plan or report as one JSON object.")
def reindex(
    config: Config,
    name: str | None,
    dry_run: bool,
    full: bool,
    since: str | None,
    allow_mass_change: bool,
    flags: dict[str, object],
    as_object: bool,
) -> None:
    """Bring an index up to date with the sources in its index.toml.

    Files that were read before are skipped. Only new and changed texts are encoded. A run that was stopped continues
    where it stopped. A run that would delete or change more records than the guard allows stops before it publishes
    (exit 7).

    \b
    engine reindex rheumatology --dry-run
    engine reindex rheumatology
    engine reindex rheumatology --since 7d
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.intake.plan import plan_lines
    from engine.reindex.runs.update import Request, plan_reindex
    from engine.reindex.runs.update import reindex as run
    from engine.scale.opening import choose_encoder, choose_placement

    folder = IndexFolder(config.select_index(name).find_target())
    settings = Settings.load(folder.path, **flags)
    day, placement = parse_day(since) if since else None, choose_placement(folder.path)
    request = Request(full, day, allow_mass_change, placement, choose_encoder(folder.path))
    if dry_run:
        with show_progress() as report:
            plan = plan_reindex(folder, settings, request, report)
        say(
            dump_json(_list_plan_fields(folder, asdict(plan)))
            if as_object
            else "\n".join(plan_lines(folder.path.name, plan))
        )
        return
    with guard_writing(folder), show_progress() as report:
        result = run(folder, settings, request, report)
    _print_report(folder, result, as_object=as_object)


@main.command(name="config")
@click.argument("name", required=False)
@index_options
@_settings_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def show_config(
    config: Config,
    name: str | None,
    flags: dict[str, object],
    as_object: bool,
) -> None:
    """Show the settings of an index and where each one comes from.

    A setting comes from an option, an environment variable, index.toml or the default, in this order.

    \b
    engine config rheumatology
    ENGINE_DEVICE=cuda engine config rheumatology
    """
    path = config.select_index(name).find_existing()
    settings = Settings.load(path, **flags)
    origins = dict(settings.origins)
    values = {key: getattr(settings, key) for key in origins}
    values["download_url"] = redact_url(settings.download_url) if settings.download_url else None
    values["sources"] = [source.describe() for source in settings.sources]
    if as_object:
        say(dump_json({"index": str(path), **{k: {"value": v, "from": origins[k]} for k, v in values.items()}}))
        return
    unset = {option.field: option.unset for option in SETTINGS if option.unset and option.unset != "none"}
    say(f"index: {path}")
    for key, value in values.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        say(f"  {key} = {unset.get(key, '(none)') if value is None else shown or '(none)'}  [{origins[key]}]")


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@FORMAT
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object per line.")
def sources(files: tuple[Path, ...], kind: str | None, as_object: bool) -> None:
    """Describe files: format, records, fields and problems.

    Nothing is indexed. Exit code 0: all files can be read; 1: at least one cannot, and the message says why.

    \b
    engine sources export.ris pubmed26n1300.xml.gz
    """
    from engine.collect.facts import read_facts

    failed = 0
    for path in files:
        try:
            facts = read_facts(path, kind)
        except EngineError as err:
            failed += 1
            say(f"Error: {err}", err=True)
            continue
        say(dump_json({"file": str(path), **asdict(facts)}) if as_object else "\n".join(_format_facts(path, facts)))
    if failed and len(files) > 1:
        fail(f"{failed} of {len(files)} files can't be read", 1)
    if failed:
        leave(1)


def _format_facts(path: Path, facts: SourceFacts) -> Iterator[str]:
    """Yield lines that describe a file."""
    counts = [pluralize(facts.n_records, "record")]
    counts += [pluralize(facts.n_deletions, "deletion")] if facts.n_deletions else []
    counts += [f"{facts.n_rejected:,} rejected"] if facts.n_rejected else []
    years = ", " + " to ".join(map(str, sorted(set(facts.years)))) if facts.years else ""
    yield f"{path}: {facts.format}, {', '.join(counts)}{years}"
    yield "  fields: " + (", ".join(f"{name} {n:,}" for name, n in facts.fields) or "none")
    yield "  ids: " + (", ".join(f"{kind} {n:,}" for kind, n in facts.ids) or "none")
    if facts.others:
        yield "  kept in other_tags: " + ", ".join(f"{name} {n:,}" for name, n in facts.others)
    yield from (f"  {what}: {n:,} (first: {place})" for what, n, place in facts.remarks)
    yield from (f"  rejected: {rejection}" for rejection in facts.rejections)
    if (more := facts.n_rejected - len(facts.rejections)) > 0:
        yield f"  … and {more:,} more rejected"


@contextmanager
def guard_writing(folder: IndexFolder) -> Iterator[None]:
    """Let signals end the block; report of a failing disk that nothing was published.

    Raises:
        GenerationError: the disk is full or not writable.
    """
    kept = (
        "the texts encoded so far are kept, and the same command continues from there. Nothing half-made was published"
    )
    try:
        with raise_signals(kept):
            yield
    except OSError as err:
        where = f"{err.filename}: " if err.filename else ""
        text = f"{where}{err.strerror or err}. Nothing was published. Check space and permissions of {folder.path}"
        raise GenerationError(text) from err


def _print_report(folder: IndexFolder, result: Report, *, as_object: bool = False) -> None:
    """Print the report of a run.

    Raises:
        DurabilityError: the generation is published, but nothing can be printed.
    """
    from engine.reindex.reports.summary import list_report_fields, summarise_report

    try:
        if as_object:
            say(dump_json(list_report_fields(folder.path.name, result)))
        else:
            for line in summarise_report(folder.path.name, result):
                say(line)
        sys.stdout.flush()
    except OSError as err:
        text = f"generation {result.generation:06d} is published, but the summary could not be printed: {err.strerror}"
        raise DurabilityError(text) from err


def _list_plan_fields(folder: IndexFolder, plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as plain fields, with files as their paths."""
    files = plan.pop("files")
    paths = {kind: [str(source["path"]) for source in files[kind]] for kind in ("read", "known")}
    return {"index": folder.path.name, **plan, "files": {**paths, "vanished": files["vanished"]}}
