"""Commands that exchange the vectors of an index with other programs."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.frame.group import Subcommands, main
from engine.cli.frame.options import index_options, open_named
from engine.config import Config
from engine.phrases import pluralize
from engine.terminal import say, show_progress


@main.group(cls=Subcommands)
def vectors() -> None:
    """Write the vectors of an index for other programs.

    \b
    engine vectors export -i rheumatology -o vectors
    """


@vectors.command(name="export")
@index_options
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="Folder to write."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["npy", "parquet"]),
    default="npy",
    show_default=True,
    help="Files to write: vectors.npy and ids.jsonl, or vectors.parquet, which needs the extra [arrow].",
)
@click.option("--overwrite", is_flag=True, help="Write over vectors that were exported to the folder before.")
def export_all(config: Config, output: Path, kind: str, overwrite: bool) -> None:
    """Write the stored vectors of all records to a folder.

    The folder gets three files. vectors.npy has a row of float32 for each vector. ids.jsonl has a line for each row:
    the id of the record, the number of the passage from 1, and the SHA-256 of the text of the record. manifest.json
    names the encoder, the numbers of records and vectors, and the digests of the files. Records are in the order of
    `engine export`. Vectors are written in blocks, so memory does not grow with the index.

    `engine index --vectors` takes such a folder instead of encoding the same records again.

    \b
    engine vectors export -i rheumatology -o vectors
    engine vectors export -i rheumatology -o vectors --format parquet
    """
    from engine.index.generations.vectorfolder import check_vector_folder
    from engine.query.index import get_generation
    from engine.query.storedvectors import export_vectors

    check_vector_folder(output, overwrite=overwrite)
    with open_named(config) as index, show_progress() as report:
        facts = export_vectors(get_generation(index), output, report, kind, overwrite=overwrite)
    counts = f"{pluralize(facts.n_vectors, 'vector')} of {pluralize(facts.n_records, 'record')}"
    say(f"{counts} to {output} ({facts.dimension} dimensions, float32, encoder {facts.fingerprint[:12]})", err=True)
