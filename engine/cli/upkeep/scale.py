"""Commands for a cluster."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import FORMAT, index_options
from engine.cli.upkeep.build import guard_writing
from engine.config import Config, Settings
from engine.errors import ConfigError
from engine.phrases import pluralize
from engine.terminal import dump_json, say, show_progress


@main.group()
def scale() -> None:
    """Encode and search on a cluster of Ray where one machine is not enough.

    \b
    engine scale encode baseline/*.xml.gz -i pubmed
    engine scale status -i pubmed
    """


@scale.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@FORMAT
@index_options
@click.option("--re-encode", is_flag=True, help="Encode every text again. Required to change the model.")
@click.option("--json", "as_object", is_flag=True, help="Print the report as one JSON object.")
def encode(config: Config, sources: tuple[Path, ...], kind: str | None, re_encode: bool, as_object: bool) -> None:
    """Encode the texts of files on the nodes of a cluster.

    Nothing is published: `engine index` with the same files takes the vectors over. All nodes must have the files and
    the folder of the index at the same path. Stopped, the same command continues from there. The token of the cluster
    is in RAY_AUTH_TOKEN, its address in index.toml.

    \b
    engine scale encode baseline/*.xml.gz -i pubmed
    engine index baseline/*.xml.gz -i pubmed
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.intake.sources import Source
    from engine.scale.encoding.job import encode_sources

    folder = IndexFolder(config.find_target())
    settings = Settings.load(folder.path)
    files = tuple(Source(path, kind) for path in sources)
    with guard_writing(folder), show_progress() as report:
        done = encode_sources(folder, settings, files, report, re_encode=re_encode)
    if as_object:
        say(dump_json({"index": folder.path.name, **asdict(done)}))
        return
    say(
        f"{folder.path.name}: {pluralize(done.encoded, 'text')} encoded, {done.kept:,} encoded before, "
        f"{done.refused:,} without a vector, in {pluralize(done.units, 'part')} of files; "
        f"{pluralize(done.deaths, 'worker')} died. Then: engine index with the same files"
    )


@scale.command(name="status")
@index_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def show_cluster(config: Config, as_object: bool) -> None:
    """Show what the nodes of a cluster hold of an index.

    Shows each node with the bytes and generations that it holds, the copies of each segment, and how many generations
    the nodes are behind the current one.

    \b
    engine scale status -i pubmed
    """
    from engine.index.generations.folder import IndexFolder
    from engine.scale.opening import load_cluster_settings
    from engine.scale.placement.clusterstatus import format_cluster_status, read_cluster_status

    folder = IndexFolder(config.find_existing())
    cluster = load_cluster_settings(folder.path)
    if cluster is None:
        raise ConfigError(
            f"{folder.name} is searched on this machine. Name a cluster in {folder.path / 'index.toml'}: backend = "
            '"ray", and [ray] address'
        )
    found = read_cluster_status(folder, cluster)
    say(dump_json(asdict(found)) if as_object else "\n".join(format_cluster_status(found)))
