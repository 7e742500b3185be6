"""What a run is asked for, what it works on, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.index.folder import Generation, IndexFolder
from engine.options import IndexSettings
from engine.records.abstract import Rejection
from engine.records.generation import AnnSettings, Counts
from engine.reindex.plan import Limits
from engine.reindex.sources import Source
from engine.reindex.tune import Trial


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    sources: tuple[Path, ...] = ()
    settings: IndexSettings = field(default_factory=IndexSettings)
    re_encode: bool = False  # encode everything again, with another model if one is named
    files: tuple[Source, ...] = ()  # more sources, with a forced format or hashed already
    full: bool = False  # remove what the files, read again, no longer contain
    note_files: bool = False  # publish also when the records stay as they are and only the files are new
    limits: Limits | None = None  # the guard; None: there is none
    republish: bool = False  # make a generation although no record has changed
    rebuild: bool = False  # of an approximate index: train its lists anew
    verb: str = "index"

    @property
    def everything(self) -> tuple[Source, ...]:
        """All sources, in order."""
        return (*map(Source, self.sources), *self.files)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    generation: int
    published: bool  # False: nothing had changed, the current generation stays
    counts: Counts
    rejections: tuple[Rejection, ...]  # the first few
    remarks: tuple[tuple[str, int, str], ...]  # (what, how often, where first)
    seconds: float
    files: tuple[str, ...] = ()  # names of those read
    known: int = 0  # files skipped, since their content was applied before
    notes: tuple[str, ...] = ()  # on the sources as a whole, and on how the index is searched
    factory: str = ""  # of the published generation
    ann: AnnSettings | None = None  # how it is searched, where that is not exact
    trials: tuple[Trial, ...] = ()  # settings that were measured


@dataclass(frozen=True, slots=True)
class Build:
    """One run under way."""

    folder: IndexFolder
    order: Order
    current: Generation | None
    number: int
    started: float
    created: str

    @property
    def held(self) -> int:
        """Records of the current generation."""
        return self.current.manifest.counts.abstracts if self.current else 0

    @property
    def parent(self) -> int | None:
        """Number of the current generation."""
        return self.current.manifest.generation if self.current else None
