"""The command that compares texts with each other, without a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import index_options, open_named
from engine.config import Config
from engine.errors import SourceError, UsageError
from engine.files import read_lines
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say

if TYPE_CHECKING:
    from engine.encode.execution.encoder import Encoder

_TEXTS_NAMED = 10  # texts named in a note


@main.command()
@click.argument("source")
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option(
    "--file", "file", type=click.Path(path_type=Path), metavar="FILE", help="File with further texts, one per line."
)
@index_options
@click.option(
    "--model", metavar="MODEL", help="Model to use instead of an index: a sentence-transformers folder or hub id."
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def similarity(
    config: Config, source: str, texts: tuple[str, ...], file: Path | None, model: str | None, as_object: bool
) -> None:
    """Compare SOURCE with other texts by cosine similarity.

    Uses the encoder of an index, or any sentence-transformers model. All texts are encoded as texts of records are,
    with the same prompt. Prints the cosine of each TEXT with SOURCE, at most 1, in the order given.

    \b
    engine similarity "pain in the knee" "gonarthrosis" "migraine"
    engine similarity "pain in the knee" --file sentences.txt --model sentence-transformers/all-MiniLM-L6-v2
    """
    all_texts = [source, *texts, *(_read_texts(file) if file else ())]
    _check_texts(all_texts)
    if model is not None and click.get_current_context().params["index"]:
        raise UsageError("-i and --model were given, expected one of them: the encoder of an index, or a model")
    from engine.encode.execution.similarity import measure_similarity

    with _open_encoder(config, model) as encoder:
        name, fingerprint = model or encoder.identity.model, encoder.identity.fingerprint
        similarities = measure_similarity(encoder, all_texts)
        notes = _format_cut_notes(similarities.cut, encoder.identity.max_length)
    if as_object:
        rows = [
            {"score": round(score, 6), "text": text}
            for score, text in zip(similarities.scores, all_texts[1:], strict=True)
        ]
        fields = {"source": source, "model": name, "fingerprint": fingerprint, "texts": rows, "notes": notes}
        click.echo(dump_json(fields))
        return
    for score, text in zip(similarities.scores, all_texts[1:], strict=True):
        say(f"{score:7.4f}  {join_lines(text)}")
    for note in notes:
        say(note, err=True)


def _read_texts(path: Path) -> list[str]:
    """Read the lines of a text file that are not blank."""
    try:
        return [line.strip() for _, line in read_lines(path)]
    except SourceError as err:
        raise UsageError(f"{err}. Expected one text per line") from err


def _check_texts(all_texts: Sequence[str]) -> None:
    """Check that there are a source and at least one other text, and that none is blank."""
    from engine.encode.models.recipe import clean_text

    if len(all_texts) < 2:
        raise UsageError("there is no text to compare SOURCE with. Give texts, or a file of texts: --file FILE")
    for number, text in enumerate(all_texts):
        if not clean_text(text):
            name = f"text {number}" if number else "SOURCE"
            raise UsageError(f"{name} is blank ({text[:40]!r}), expected some words")


def _format_cut_notes(numbers: Sequence[int], limit: int) -> list[str]:
    """Return a note on the texts that are longer than the encoder reads; none if there are no such texts."""
    if not numbers:
        return []
    named = ", ".join(f"text {number}" if number else "SOURCE" for number in numbers[:_TEXTS_NAMED])
    more = ", \u2026" if len(numbers) > _TEXTS_NAMED else ""
    longer = f"{pluralize(len(numbers), 'text')} longer than the {limit:,} tokens that the encoder reads"
    return [f"{longer}, so compared by their beginning: {named}{more}. Divide them"]


@contextmanager
def _open_encoder(config: Config, model: str | None) -> Iterator[Encoder]:
    """Open the encoder of a model, or the query encoder of an index."""
    if model is None:
        with open_named(config) as index:
            yield index.load_encoder()
    else:
        from engine.reindex.encoding.encoders import open_model_encoder

        with open_model_encoder(model, lambda phase, done, total: say(phase, err=True)) as encoder:
            yield encoder
