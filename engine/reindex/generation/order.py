"""The input, the state and the report of an indexing run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.corpus.draft import DraftFiles
from engine.index.generations.folder import STATE, Generation, IndexFolder
from engine.index.generations.placement import Placement
from engine.index.generations.segment import Segment
from engine.options import IndexSettings
from engine.records.abstract import Rejection
from engine.records.encoder import EncoderIdentity
from engine.records.generation import AnnSettings, Counts, Encoding, FileReading
from engine.reindex.encoding.encoders import OpenEncoder
from engine.reindex.encoding.vectorsource import VectorSource
from engine.reindex.intake.plan import Limits
from engine.reindex.intake.sources import Source
from engine.reindex.measures.tune import Trial


@dataclass(frozen=True, slots=True)
class RunStart:
    """Where a run began that publishes several generations."""

    source_id: int  # of the first file that it read
    doc_id: int  # the first that it could give
    has_more: bool = True  # files that later generations read


@dataclass(frozen=True, slots=True)
class Order:
    """The input of a run."""

    sources: tuple[Path, ...] = ()
    settings: IndexSettings = field(default_factory=IndexSettings)
    re_encode: bool = False  # encode everything again; the model may change
    files: tuple[Source, ...] = ()  # more sources, with a fixed format or hashed already
    full: bool = False  # remove records that the files no longer contain
    note_files: bool = False  # publish also if the files are new but all their records were rejected
    limits: Limits | None = None  # limits of the guard; None: no guard
    republish: bool = False  # make a generation of one segment even if no record has changed
    rebuild: bool = False  # train the lists of an approximate index again
    verb: str = "index"
    encoder: EncoderIdentity | None = None  # of a first generation: its folder holds it, so no model is looked for
    begun: RunStart | None = None  # None: with this generation
    vectors: VectorSource | None = field(default=None, compare=False)  # computed elsewhere
    elsewhere: OpenEncoder | None = field(default=None, compare=False)  # None: texts are encoded on this machine
    placement: Placement | None = field(default=None, compare=False)  # None: the generation is searched here

    @property
    def everything(self) -> tuple[Source, ...]:
        """All sources, in order."""
        return (*map(Source, self.sources), *self.files)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run."""

    generation: int
    published: bool  # False: nothing has changed, the current generation stays
    counts: Counts
    rejections: tuple[Rejection, ...]  # the first few
    remarks: tuple[tuple[str, int, str], ...]  # (text, count, first place)
    seconds: float
    files: tuple[str, ...] = ()  # names of the files read
    known: int = 0  # files skipped because their content was applied before
    readings: tuple[FileReading, ...] = ()  # the files read, with what became of their records
    skipped: tuple[FileReading, ...] = ()  # the files skipped, with what they gave when they were read
    notes: tuple[str, ...] = ()  # on the sources and on how the index is searched
    encodings: tuple[Encoding, ...] = ()  # how the texts of this run were encoded
    recipe: str = ""  # text recipe of the generation
    factory: str = ""  # of the published generation
    ann: AnnSettings | None = None  # settings of an approximate search; None: exact
    trials: tuple[Trial, ...] = ()  # settings that were tried


@dataclass(frozen=True, slots=True)
class Build:
    """A run in progress."""

    folder: IndexFolder
    order: Order
    current: Generation | None
    number: int
    started: float
    created: str

    @property
    def draft_files(self) -> DraftFiles:
        """The databases of the next generation."""
        return DraftFiles(self.folder.building_segment.database, self.folder.building_generation / STATE)

    def list_segments(self) -> tuple[Segment, ...]:
        """Return the segments of the current generation."""
        return self.current.segments if self.current else ()

    @property
    def n_current(self) -> int:
        """Number of records of the current generation; 0 if there is none."""
        return self.current.manifest.counts.abstracts if self.current else 0

    @property
    def parent(self) -> int | None:
        """Number of the current generation; None if there is none."""
        return self.current.manifest.generation if self.current else None
