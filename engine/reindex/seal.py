"""The final step of a generation: its files are written, read back and checked, and its manifest is made."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine import __version__
from engine.corpus.merging.ledger import Change
from engine.corpus.storage.store import Totals, open_database
from engine.encode.onnx import OnnxEncoder
from engine.encode.probes import PROBES
from engine.errors import CorruptError
from engine.index import flat, layout, manifest, publish
from engine.index.folder import DATABASE, VECTORS, IndexFolder
from engine.records.generation import Calibration, Counts, Encoding, Manifest, Probe, hash_ids, join_encodings
from engine.reindex.gather import Gathered
from engine.reindex.order import Build
from engine.reindex.searchable import Searchable
from engine.reindex.vectorise import Vectorised
from engine.reindex.verify import check_content


def write_vectors(folder: IndexFolder, vectorised: Vectorised) -> None:
    """Write vectors.faiss in chunks, then delete the spool."""
    layout.write_file(folder.building / VECTORS, vectorised.row_ids, vectorised.spool.dim, vectorised.read_chunks())
    vectorised.spool.remove()


def count_generation(totals: Totals | Counts, gathered: Gathered, n_encoded: int) -> Counts:
    """Return the counts of a generation: its totals and the changes of this run."""
    return Counts(
        abstracts=totals.abstracts,
        retracted=totals.retracted,
        without_abstract=totals.without_abstract,
        without_title=totals.without_title,
        truncated=totals.truncated,
        added=gathered.count(Change.ADDED),
        text_changed=gathered.count(Change.TEXT),
        metadata_changed=gathered.count(Change.METADATA),
        unchanged=gathered.count(Change.NONE),
        deleted=gathered.deleted,
        duplicates=sum(reading.counts.repeated for reading in gathered.readings),
        rejected=gathered.rejected,
        encoded=n_encoded,
        newly_retracted=len(gathered.retracted),
        merged=gathered.merged,
        resumed=gathered.n_resumed,
    )


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a run before it is sealed."""

    build: Build
    queries: OnnxEncoder
    gathered: Gathered
    vectorised: Vectorised
    searchable: Searchable
    calibration: Calibration | None


def seal_generation(done: Finished) -> Manifest:
    """Sync the finished files, check them from disk and return their manifest.

    Raises:
        CorruptError: the files on disk don't agree.
    """
    build, queries, vectorised = done.build, done.queries, done.vectorised
    building = build.folder.building
    files = publish.seal_files(building)
    corpus = open_database(building / DATABASE)
    try:
        totals, corpus_ids = corpus.count_totals(), corpus.read_ids()
    finally:
        corpus.close()
    probes = queries.encode(PROBES).vectors
    sealed = Manifest(
        format_version=manifest.FORMAT_VERSION,
        generation=build.number,
        parent=build.parent,
        created=build.created,
        engine_version=__version__,
        encoder=queries.identity,
        metric=flat.METRIC,
        factory=str(done.searchable.factory),
        counts=count_generation(totals, done.gathered, vectorised.n_encoded),
        ids_sha256_corpus=hash_ids(corpus_ids),
        ids_sha256_vectors=hash_ids(vectorised.doc_ids),
        files=files,
        probes=tuple(Probe(text, tuple(map(float, row))) for text, row in zip(PROBES, probes, strict=True)),
        newest_source=_find_newest_source(build),
        seconds=round(time.monotonic() - build.started, 3),
        ann=done.searchable.ann,
        calibration=done.calibration,
        encodings=join_encodings(_list_kept_encodings(build), list_encodings(done.gathered, build.number)),
    )
    for problem in check_content(building, sealed):
        raise CorruptError(f"the new generation failed its check, so it was not published: {problem}")
    return sealed


def list_encodings(gathered: Gathered, generation: int) -> tuple[Encoding, ...]:
    """Return how the texts of a run were encoded, the way with the most texts last."""
    used = sorted((n, name) for name, n in gathered.made_by.items() if n)
    return tuple(Encoding(name, generation, generation, n, gathered.texts_per_s) for n, name in used)


def _list_kept_encodings(build: Build) -> tuple[Encoding, ...]:
    """Return the encodings of the vectors that are carried over."""
    if build.current is None or build.order.re_encode:
        return ()
    return build.current.manifest.encodings


def _find_newest_source(build: Build) -> str:
    """Return the name of the last file of this run; if it read none, of the current generation."""
    if build.order.everything:
        return build.order.everything[-1].name
    return build.current.manifest.newest_source if build.current else ""
