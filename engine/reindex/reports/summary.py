"""Summaries of runs and generations: text for people, plain fields for programs."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.config import Settings
from engine.encode.models.recipe import PASSAGES
from engine.errors import ConfigError
from engine.index.generations.folder import WORDS, Generation, IndexFolder
from engine.index.generations.segment import CODES, DATABASE, MAP, VECTORS
from engine.phrases import pluralize
from engine.query.opening.corpus import open_corpus
from engine.records.encoder import EncoderIdentity
from engine.records.generation import Counts, Encoding, FileReading, Manifest
from engine.reindex.generation.order import Report
from engine.reindex.reports.filetable import build_readings, format_readings
from engine.reindex.reports.forecast import NextRun, estimate_run

_MOST_NAMED = 8  # generations in one line


def summarise_report(name: str, report: Report) -> Iterator[str]:
    """Yield the lines of a report for people; counts of zero are left out."""
    counts, total = report.counts, pluralize(report.counts.abstracts, "abstract")
    if not report.published:
        yield f"{name}: nothing new, generation {report.generation:06d} stays ({total})"
    else:
        yield f"{name}: generation {report.generation:06d} published, {total}, {report.seconds:.1f} s"
    changes = (
        ("added", counts.added),
        ("with a changed text", counts.text_changed),
        ("with changed metadata only", counts.metadata_changed),
        ("unchanged", counts.unchanged),
        ("deleted", counts.deleted),
        ("newly retracted", counts.newly_retracted),
        ("merged into another record", counts.merged),
        ("encoded", counts.encoded),
        ("reused from a stopped run", counts.resumed),
        ("more than once in one file", counts.duplicates),
    )
    if report.known:
        yield f"  files read: {len(report.files):,}; applied before and skipped: {report.known:,}"
    yield from format_readings(report.readings, report.skipped)
    yield "  this run: " + (", ".join(f"{n:,} {what}" for what, n in changes if n) or "nothing")
    yield from (
        f"  encoded with {encoding.made_by}: {encoding.texts:,}{_format_rate(encoding)}"
        for encoding in report.encodings
    )
    yield from _note_truncation(name, counts, report.recipe, report.readings[0].path if report.readings else "FILE")
    if counts.without_abstract:
        yield f"  without an abstract, searchable by title: {counts.without_abstract:,}"
    if counts.retracted:
        yield f"  retracted, kept and flagged: {counts.retracted:,}"
    yield from (f"  note: {note}" for note in report.notes)
    for kind, n, place in report.remarks:
        yield f"  {kind}: {n:,} (first: {place})"
    if counts.rejected:
        yield f"  rejected: {counts.rejected:,}"
        yield from (f"    {rejection}" for rejection in report.rejections)
        if report.published and counts.rejected > len(report.rejections):
            yield f"    … all of them are in the table rejections of {name}'s state.db"
        elif counts.rejected > len(report.rejections):
            yield f"    … and {counts.rejected - len(report.rejections):,} more"


def list_report_fields(name: str, report: Report) -> dict[str, Any]:
    """Return a report as plain fields."""
    return {"index": name} | asdict(report)


def _note_truncation(name: str, counts: Counts, recipe: str, file: str = "FILE") -> Iterator[str]:
    """Yield lines on texts that the encoder did not read to the end, if there are any, and what to do.

    file: path of one of the sources, for the command.
    """
    if not counts.truncated:
        return
    share = 100 * counts.truncated / counts.abstracts
    yield f"  longer than the encoder reads, so matched by their beginning only: {counts.truncated:,} ({share:.0f} %)"
    if recipe != PASSAGES:
        command = f"engine index {shlex.quote(file)} -i {shlex.quote(name)} --recipe passages --re-encode"
        yield f"    to encode every text again, long ones in parts: {command}"


def list_status_fields(folder: IndexFolder) -> dict[str, Any]:
    """Return the current generation of an index as plain fields."""
    generation = folder.open_current(quick=True)
    manifest = generation.manifest
    content = asdict(manifest)
    del content["probes"]
    content["encoder"]["fingerprint"] = manifest.encoder.fingerprint
    with contextlib.suppress(ConfigError):  # `engine config` says what is wrong with index.toml
        content["next_run"] = asdict(_estimate_next(folder, generation))
    return {"index": folder.path.name, "path": str(folder.path), "generations": folder.list_numbers()} | content


def _list_generations(numbers: Sequence[int]) -> str:
    """Return the numbers of generations for a line: of many, how many there are, and the first and last."""
    names = [f"{number:06d}" for number in numbers]
    if len(names) > _MOST_NAMED:
        return f"{len(names)}, from {names[0]} to {names[-1]}"
    return ", ".join(names) or "none"


def format_status(folder: IndexFolder) -> Iterator[str]:
    """Yield the lines of a description of the current generation."""
    generation = folder.open_current(quick=True)
    manifest = generation.manifest
    counts = manifest.counts
    sizes = _list_sizes(generation)
    n_bytes = sum(n for _, n in sizes)
    others = _list_generations([n for n in folder.list_numbers() if n != manifest.generation])
    title = f"generation {manifest.generation:06d} of {manifest.created}"
    yield f"{folder.path.name}: {title}, {pluralize(counts.abstracts, 'abstract')}"
    yield f"  folder: {folder.path} ({n_bytes / 1e6:,.1f} MB; other generations: {others})"
    yield f"  encoder: {_format_encoder(manifest)}"
    yield from (f"    {line}" for line in _describe_texts(manifest.encoder))
    if manifest.encodings:
        last = manifest.encodings[-1]
        yield f"  encoded by: {', '.join(dict.fromkeys(e.made_by for e in manifest.encodings))}{_format_rate(last)}"
    yield f"  vectors: {manifest.factory}, {manifest.metric.replace('_', ' ')} (cosine)"
    if manifest.ann:
        ann = manifest.ann
        depth = f"{pluralize(ann.n_probe, 'list')} and {pluralize(ann.n_rerank, 'exact score')} a search"
        titles = pluralize(ann.n_queries, "title")
        yield f"    {depth}: recall@10 {ann.recall:.3f} of an exact search, measured on {titles}"
    yield f"    {_describe_segments(manifest)}"
    yield f"  size: {', '.join(f'{what} {n / 1e6:,.1f} MB' for what, n in sizes if n)}"
    try:
        yield f"  next run: {_describe_next_run(_estimate_next(folder, generation))}"
    except ConfigError as err:
        yield f"  next run: {err}"
    yield f"  newest source: {manifest.newest_source}"
    yield from _note_truncation(folder.path.name, counts, manifest.encoder.recipe)
    if counts.without_abstract:
        yield f"  without an abstract, searchable by title: {counts.without_abstract:,}"
    if counts.retracted:
        yield f"  retracted, kept and flagged: {counts.retracted:,}"


def _list_sizes(generation: Generation) -> list[tuple[str, int]]:
    """Return (what, bytes) of the parts of a generation."""
    shared = [file for segment in generation.segments for file in segment.receipt.files]
    named = {DATABASE: "records", VECTORS: "vectors", CODES: "codes", MAP: "map"}
    sizes = dict.fromkeys([*named.values(), "words", "history and tombstones"], 0)
    for file in shared:
        sizes[named[file.name]] += file.n_bytes
    for file in generation.manifest.files:
        sizes["words" if file.name.startswith(WORDS) else "history and tombstones"] += file.n_bytes
    sizes["history and tombstones"] += sum(s.entry.dead.n_bytes for s in generation.segments if s.entry.dead)
    return list(sizes.items())


def _describe_segments(manifest: Manifest) -> str:
    """Describe the segments of a generation and their dead records as one line."""
    n, n_dead = sum(s.n_records for s in manifest.segments), sum(s.n_dead for s in manifest.segments)
    text = pluralize(len(manifest.segments), "segment")
    if n_dead:
        text += f", {n_dead:,} of {n:,} records in them dead ({100 * n_dead / n:.1f} %)"
    return text


def _estimate_next(folder: IndexFolder, generation: Generation) -> NextRun:
    """Forecast the next run, with the settings in index.toml.

    Raises:
        ConfigError: index.toml can't be used.
    """
    return estimate_run(generation, Settings.load(folder.path).most_in_one_segment)


def _describe_next_run(run: NextRun) -> str:
    """Describe what the next run may cost as one line."""
    merged = "merges no segment"
    if run.n_merged:
        merged = f"writes {pluralize(run.n_merged, 'segment')} again ({pluralize(run.n_records, 'record')}, "
        merged += f"{run.n_bytes / 1e6:,.1f} MB)"
    text = f"with {pluralize(run.n_changed, 'change')}, {merged} and needs about {run.n_space / 1e6:,.1f} MB of disk"
    if run.n_postponed:
        text += f"; {pluralize(run.n_postponed, 'large segment')} should be merged: engine compact"
    return text


def list_source_fields(folder: IndexFolder) -> dict[str, Any]:
    """Return the files of the current generation, oldest first, as plain fields, under the key "sources"."""
    return {"sources": [asdict(reading) for reading in _read_readings(folder)]}


def format_sources(folder: IndexFolder) -> Iterator[str]:
    """Yield a table of the files of the current generation, oldest first."""
    readings = [replace(r, file=f"{r.generation:06d} {r.file}") for r in _read_readings(folder)]
    yield from format_readings(readings, most=None)


def _read_readings(folder: IndexFolder) -> tuple[FileReading, ...]:
    """Return the readings of files that the current generation is made from, oldest first."""
    with contextlib.closing(open_corpus(folder.open_current(quick=True))) as corpus:
        return build_readings(corpus.read_sources())


def _format_rate(encoding: Encoding) -> str:
    """Format the rate of an encoding; "" if it is not known."""
    return f" ({encoding.texts_per_s:,.0f} texts a second)" if encoding.texts_per_s else ""


def _format_encoder(manifest: Manifest) -> str:
    """Format the encoder as one line."""
    encoder = manifest.encoder
    return (
        f"{encoder.model}, {encoder.dim} dimensions, {encoder.max_length} tokens, {encoder.pooling} pooling, "
        f"{encoder.precision}, {encoder.recipe!r}, fingerprint {encoder.fingerprint[:12]}"
    )


def _describe_texts(encoder: EncoderIdentity) -> Iterator[str]:
    """Yield what is put around texts before they are encoded, and what else is not as in most encoders."""
    for what, prompt in (("query", encoder.query_prompt), ("document", encoder.document_prompt)):
        if prompt:
            left_out = "" if encoder.prompt_pooled else ", left out of pooling"
            yield f"{what} prompt: {prompt!r}{left_out}"
    if encoder.template:
        yield f"template: {encoder.template!r}"
    if encoder.modules:
        yield f"modules: {encoder.modules}"
    if encoder.cut_from:
        yield f"vectors cut from {encoder.cut_from} to {encoder.dim} dimensions"
    if (tower := encoder.query_tower) is not None:
        name = f"{tower.model}, " if tower.model else ""
        modules = f", {tower.modules}" if tower.modules else ""
        yield f"queries by weights of their own: {name}{tower.max_length} tokens, {tower.pooling} pooling{modules}"
