"""The command that compares texts with each other, without searching."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.group import main
from engine.cli.options import index_options, opened
from engine.config import Config, cache_folder
from engine.errors import EncoderError, EngineError, SourceError, UsageError
from engine.files import read_lines
from engine.records import many
from engine.terminal import as_json, one_line, say

if TYPE_CHECKING:
    from engine.encode.encoder import Encoder
    from engine.reindex.encoders import Choice

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

    The texts are encoded by the encoder of an index, or by any sentence-transformers model, and printed in the order
    given. The cosine is at most 1.

    \b
    engine similarity "pain in the knee" "gonarthrosis" "migraine"
    engine similarity "pain in the knee" --file sentences.txt --model sentence-transformers/all-MiniLM-L6-v2
    """
    given = [source, *texts, *(lines_of(file) if file else ())]
    check_texts(given)
    if model is not None and click.get_current_context().params["index"]:
        raise UsageError("-i and --model were given, expected one of them: the encoder of an index, or a model")
    with model_encoder(model) if model is not None else index_encoder(config) as encoder:
        name, fingerprint = model or encoder.identity.model, encoder.identity.fingerprint
        scores, notes = cosines(encoder, given)
    if as_object:
        rows = [{"score": round(score, 6), "text": text} for score, text in zip(scores, given[1:], strict=True)]
        fields = {"source": source, "model": name, "fingerprint": fingerprint, "texts": rows, "notes": notes}
        click.echo(as_json(fields))
        return
    for score, text in zip(scores, given[1:], strict=True):
        say(f"{score:7.4f}  {one_line(text)}")
    for note in notes:
        say(note, err=True)


def lines_of(path: Path) -> list[str]:
    """The lines of a text file that are not blank."""
    try:
        return [line.strip() for _, line in read_lines(path)]
    except SourceError as err:
        raise UsageError(f"{err}. Expected a text a line") from err


def check_texts(given: Sequence[str]) -> None:
    """There must be a source and something to compare it with, and none of it blank."""
    from engine.encode.recipe import clean_text

    if len(given) < 2:
        raise UsageError("there is nothing to compare SOURCE with. Give texts, or a file of them: --file FILE")
    for number, text in enumerate(given):
        if not clean_text(text):
            what = f"text {number}" if number else "SOURCE"
            raise UsageError(f"{what} is blank ({text[:40]!r}), expected some words")


def cosines(encoder: Encoder, given: Sequence[str]) -> tuple[list[float], list[str]]:
    """The cosine of the first text to each other one, and what to say of texts that are too long."""
    from engine.encode.encoder import encode_checked
    from engine.encode.recipe import clean_text

    found = encode_checked(encoder, [clean_text(text) for text in given])
    if found.refused:
        position, reason = found.refused[0]
        raise EncoderError(f"the text {given[position][:60]!r} can't be compared: {reason}. Put it in other words")
    limit = encoder.identity.max_length
    vectors = found.vectors.astype("float64")
    scores = (vectors[1:] @ vectors[0]).clip(-1, 1)
    return list(map(float, scores)), cut_notes([n for n, tokens in enumerate(found.n_tokens) if tokens > limit], limit)


def cut_notes(numbers: Sequence[int], limit: int) -> list[str]:
    """What to say of texts that are longer than the encoder reads."""
    if not numbers:
        return []
    named = ", ".join(f"text {number}" if number else "SOURCE" for number in numbers[:_TEXTS_NAMED])
    more = ", \u2026" if len(numbers) > _TEXTS_NAMED else ""
    longer = f"{many(len(numbers), 'text')} longer than the {limit:,} tokens that the encoder reads"
    return [f"{longer}, so compared by the beginning: {named}{more}"]


@contextmanager
def index_encoder(config: Config) -> Iterator[Encoder]:
    """The query encoder of an index."""
    with opened(config) as index:
        yield index.load_encoder()


@contextmanager
def model_encoder(model: str) -> Iterator[Encoder]:
    """The encoder of a model folder or hub id, exported the first time and kept in the user's cache."""
    import tempfile  # 8 ms, which no other command must pay for

    from engine.encode.onnx import OnnxEncoder
    from engine.reindex.encoders import choose

    choice = choose(None, model, None, re_encode=False)
    with tempfile.TemporaryDirectory() as scratch:
        with closing(OnnxEncoder(exported(choice, kept_encoders() or Path(scratch)))) as encoder:
            yield encoder


def kept_encoders() -> Path | None:
    """Folder of exported encoders in the user's cache; None where nothing can be kept."""
    cache = cache_folder()
    if cache is None:
        return None
    try:
        (cache / "encoders").mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return cache / "encoders" if os.access(cache / "encoders", os.W_OK) else None


def exported(choice: Choice, parent: Path) -> Path:
    """Folder of the exported encoder: the one that is there, if it is sound, or one made now."""
    import tempfile

    from engine.encode.receipt import check_encoder
    from engine.reindex.encoders import export

    folder = parent / choice.identity.fingerprint
    with suppress(EngineError):
        check_encoder(folder, choice.identity, quick=True)
        return folder
    say(f"exporting the encoder of {choice.identity.model}, which is done once", err=True)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        made = Path(scratch, "encoder")
        made.mkdir()
        export(choice, made)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process was quicker
            made.rename(folder)
    check_encoder(folder, choice.identity)
    return folder
