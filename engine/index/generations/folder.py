"""The folder of one index on disk: its generations, and which of them is current."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from engine.errors import CorruptError, GenerationError, NoGenerationError
from engine.index.generations import manifest as manifests
from engine.index.generations.segment import Segment, SegmentFiles, check_segment, read_receipt
from engine.index.generations.tombstones import read_tombstones
from engine.receipts import FileReceipt
from engine.records.generation import Manifest, SegmentEntry

STATE = "state.db"  # sources, history and deletions of a generation
AXES = "axes.npz"  # of the map
PROBE_TEXTS = "probes.npz"  # texts by which the encoder is recognised
WORDS = "words"  # folder of the index of words
# "000007" ("000000" before the first generation). The engine adds a space and the first 16 digits of the SHA-256 of the
# manifest, so that a damaged pointer can't lead to another generation.
_POINTER = re.compile(r"(\d{6})(?: ([0-9a-f]{16}))?\n?")
_ADVICE = "Run: engine verify"  # ends the messages about a damaged file, until it is known what else there is


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A published generation whose files match its manifest."""

    path: Path
    manifest: Manifest
    segments: tuple[Segment, ...]  # in the order of the manifest

    @property
    def state(self) -> Path:
        """The SQLite file of sources, history and deletions."""
        return self.path / STATE

    @property
    def axes(self) -> Path:
        """The file of the axes of the map."""
        return self.path / AXES

    @property
    def probes(self) -> Path:
        """The file of the probes; an older generation has them in its manifest."""
        return self.path / PROBE_TEXTS

    def list_files(self) -> list[Path]:
        """List the data files that the generation consists of, those of its segments included."""
        shared = [segment.files.path / file.name for segment in self.segments for file in segment.receipt.files]
        return [*(self.path / file.name for file in self.manifest.files), *shared]

    @property
    def words(self) -> Path:
        """The folder of the words."""
        return self.path / WORDS


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """The paths and the pointer of one index. Nothing here writes."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the index: the name of the real folder, whatever link or relative path leads to it."""
        return self.path.resolve().name

    @property
    def pointer(self) -> Path:
        """The file that names the current generation."""
        return self.path / "CURRENT"

    @property
    def lock(self) -> Path:
        """The lock file of the writer."""
        return self.path / "LOCK"

    @property
    def decisions(self) -> Path:
        """The journal of decisions, which no generation contains."""
        return self.path / "decisions.db"

    @property
    def building(self) -> Path:
        """The folder in which the next generation is built."""
        return self.path / "building"

    @property
    def building_segment(self) -> SegmentFiles:
        """The folder in which the segment of the next generation is built."""
        return SegmentFiles(self.building / "segment")

    @property
    def building_generation(self) -> Path:
        """The folder in which the next generation's own files are built."""
        return self.building / "generation"

    @property
    def shards(self) -> Path:
        """The folder with the vectors of a stopped run. Unlike ``building``, it is kept for the next run."""
        return self.path / "shards"

    @property
    def generations(self) -> Path:
        """The folder of the published generations."""
        return self.path / "generations"

    @property
    def segments(self) -> Path:
        """The folder of the segments that the generations share."""
        return self.path / "segments"

    def get_segment_files(self, name: str) -> SegmentFiles:
        """Return the paths of a segment."""
        return SegmentFiles(self.segments / name)

    def get_generation_path(self, number: int) -> Path:
        """Return the folder of a generation."""
        return self.generations / f"{number:06d}"

    def get_encoder_path(self, fingerprint: str) -> Path:
        """Return the folder of an encoder."""
        return self.path / "encoders" / fingerprint

    def list_numbers(self) -> list[int]:
        """List the numbers of the generations on disk, ascending."""
        if not self.generations.is_dir():
            return []
        return sorted(int(p.name) for p in self.list_entries(self.generations) if re.fullmatch(r"\d{6}", p.name))

    def list_entries(self, folder: Path) -> list[Path]:
        """List what is in one of the folders of the index, in order of name.

        Raises:
            CorruptError: it is missing, no folder, or can't be read.
        """
        try:
            return sorted(folder.iterdir())
        except OSError as err:
            raise CorruptError(
                f"{folder} can't be read: {err.strerror}. Expected a folder that belongs to the index. Restore it "
                f"from a copy, or rebuild the index: {manifests.suggest_rebuild(self.path)}"
            ) from err

    def read_pointer_bytes(self) -> bytes:
        """Return the bytes of CURRENT, unchecked; empty if it can't be read. Other bytes mean another generation."""
        try:
            return self.pointer.read_bytes()
        except OSError:
            return b""

    def read_pointer(self) -> int:
        """Return the number in CURRENT, unchecked; 0 if there is none that can be read."""
        try:
            return int(self.read_pointer_bytes()[:6])
        except ValueError:
            return 0

    def read_current(self) -> int:
        """Return the number of the current generation.

        Raises:
            NoGenerationError: nothing was published yet.
            CorruptError: there are generations, but the pointer is missing, unreadable or damaged.
        """
        try:
            text = self.pointer.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError as err:
            if self.list_numbers():
                raise self.build_pointer_error("is missing") from err
            raise self.build_no_generation_error() from err
        except OSError as err:
            raise CorruptError(f"{self.pointer} can't be read: {err.strerror}") from err
        match = _POINTER.fullmatch(text)
        if not match:
            raise self.build_pointer_error(f"holds {text[:40]!r}, expected six digits")
        number, check = int(match[1]), match[2]
        if number == 0:
            raise self.build_no_generation_error()
        if check is not None and self.get_generation_path(number).is_dir() and self.format_pointer(number) != text:
            try:
                self.check(number)  # if the generation itself is damaged, this names the file
            except GenerationError as err:
                self.raise_with_command(err, number)
            raise self.build_pointer_error(f"names generation {number:06d}, but was written for another one")
        return number

    def build_no_generation_error(self) -> NoGenerationError:
        """Build the error for an index that was never published."""
        has_settings = (self.path / "index.toml").exists()
        command = f"engine reindex {self.path.name}" if has_settings else f"engine index FILE -i {self.path.name}"
        return NoGenerationError(f"{self.path} has no index yet. Run: {command}")

    def build_pointer_error(self, what: str) -> CorruptError:
        """Build the error for a pointer that can't be followed."""
        if not (numbers := self.list_numbers()):
            return CorruptError(
                f"{self.pointer} {what}. Expected it in {self.generations}, which holds none. Restore that folder "
                f"from a copy, or rebuild the index: {manifests.suggest_rebuild(self.path)}"
            )
        present = ", ".join(f"{n:06d}" for n in numbers)
        command = self._suggest_rollback()
        advice = f"Check the newest one and point to it: {command}" if command else self._suggest_copy()
        return CorruptError(f"{self.pointer} {what}. Generations here: {present}. {advice}")

    def _suggest_rollback(self, damaged: int | None = None) -> str | None:
        """Return the command that points to the newest complete generation but `damaged`; None if there is none."""
        others = (n for n in reversed(self.list_numbers()) if n != damaged and self._is_complete(n))
        number = next(others, None)
        return None if number is None else self._format_rollback(number)

    def _is_complete(self, number: int) -> bool:
        """Return whether all files of a generation are there, with the right sizes. Their content is not read."""
        path = self.get_generation_path(number)
        try:
            manifest = manifests.read_manifest(path)
            receipts = [(path, manifest.files)]
            for entry in manifest.segments:
                files = self.get_segment_files(entry.name)
                receipts += [
                    (files.path, read_receipt(files, entry.sha256).files),
                    (path, (entry.dead,) if entry.dead else ()),
                ]
            return all((place / file.name).stat().st_size == file.n_bytes for place, each in receipts for file in each)
        except (GenerationError, OSError):
            return False

    def format_pointer(self, number: int) -> str:
        """Return the text of CURRENT for a generation.

        Raises:
            CorruptError: the manifest of the generation can't be read.
        """
        path = self.get_generation_path(number) / manifests.NAME
        try:
            return f"{number:06d} {FileReceipt.of(path).sha256[:16]}\n"
        except OSError as err:
            command = self._suggest_rollback(number)
            advice = f"Run: {command}" if command else self._suggest_copy()
            raise CorruptError(f"{path} can't be read: {err.strerror}. {advice}") from err

    def check(self, number: int, *, quick: bool = False) -> Generation:
        """Check every file of a generation against its manifest, by size and SHA-256; `open_number` gives more advice.

        quick: large files that were hashed before and have not changed since are not hashed again.

        Raises:
            CorruptError: a file is missing or changed, or SQLite left a file beside the database.
        """
        path = self.get_generation_path(number)
        if not path.is_dir():
            raise self.build_pointer_error(f"names generation {number:06d}, which does not exist")
        manifest = manifests.read_manifest(path)
        if manifest.generation != number:
            raise CorruptError(
                f"{path / manifests.NAME} belongs to generation {manifest.generation:06d}, expected {number:06d}. "
                "Run: engine verify"
            )
        for problem in (file.find_problem(path, quick=quick) for file in manifest.files):
            if problem:
                raise CorruptError(f"{problem}. Run: engine verify")
        encoder = manifest.encoder.fingerprint
        segments = tuple(self.open_segment(number, encoder, entry, quick=quick) for entry in manifest.segments)
        return Generation(path, manifest, segments)

    def open_segment(self, number: int, encoder: str, entry: SegmentEntry, *, quick: bool) -> Segment:
        """Check and return a segment of the generation of this number, made with the encoder of this fingerprint.

        Raises:
            CorruptError: it is missing or damaged, or has another encoder.
        """
        files, path = self.get_segment_files(entry.name), self.get_generation_path(number)
        if not files.path.is_dir():
            raise CorruptError(f"{files.path} is missing, a segment of generation {number:06d}. Run: engine verify")
        receipt = read_receipt(files, entry.sha256)
        if receipt.fingerprint != encoder:
            raise CorruptError(
                f"{files.receipt} is of the encoder {receipt.fingerprint[:12]}, expected {encoder[:12]}. "
                "Run: engine verify"
            )
        check_segment(files, receipt, quick=quick)
        if entry.dead and (problem := entry.dead.find_problem(path, quick=quick)):
            raise CorruptError(f"{problem}. Run: engine verify")
        dead = read_tombstones(path / entry.dead.name) if entry.dead else np.empty(0, np.int64)
        return Segment(files, entry, receipt, dead)

    def open_current(self, *, quick: bool = False) -> Generation:
        """Check and return the current generation; quick as in `check`.

        Between reading the pointer and reading the files, a writer may publish a generation and delete an old one. So
        a failure counts only if the pointer has not moved meanwhile.

        Raises:
            GenerationError: nothing was published yet, or the current generation does not match its manifest.
        """
        number = self.read_current()
        while True:
            try:
                return self.check(number, quick=quick)
            except GenerationError as err:
                latest = self.read_current()
                if latest == number:
                    self.raise_with_command(err, number)
                number = latest

    def open_number(self, number: int, *, quick: bool = False) -> Generation:
        """Check and return a generation by its number; quick as in `check`.

        Raises:
            GenerationError: it does not match its manifest; the message says what helps.
        """
        try:
            return self.check(number, quick=quick)
        except GenerationError as err:
            self.raise_with_command(err, number)

    def raise_with_command(self, error: GenerationError, damaged: int) -> NoReturn:
        """Raise the error about a damaged generation with the advice that helps.

        Raises:
            GenerationError: of the type of the error.
        """
        text = str(error)
        if not text.endswith(_ADVICE):
            raise error
        raise type(error)(f"{text.removesuffix(_ADVICE)}{self._advise(damaged)}") from error

    def _advise(self, damaged: int) -> str:
        """Return what helps with a damaged generation: going back to the newest other one without damage, if any.

        Generations share files, so the damage may be in all of them.
        """
        current = self.read_pointer()
        if damaged != current and self._is_whole(current):
            return f"Generation {current:06d}, which is current, is not damaged"
        others = (n for n in reversed(self.list_numbers()) if n not in (damaged, current) and self._is_whole(n))
        number = next(others, None)
        return self._suggest_copy() if number is None else f"Run: {self._format_rollback(number)}"

    def _suggest_copy(self) -> str:
        """Return the advice for an index without a generation to go back to."""
        return (
            "No generation here is without damage. Restore the file from a copy, or rebuild the index: "
            f"{manifests.suggest_rebuild(self.path)}"
        )

    def complete_advice(self, problems: Iterable[str]) -> str:
        """Return problems of a generation whose files are as written, line by line, with what helps.

        Generations share segments, so going back need not help.
        """
        lines = [problem.removesuffix(_ADVICE).rstrip(" .") for problem in problems]
        if not all(": engine " in line for line in lines):
            lines.append(f"Restore the index from a copy, or rebuild it: {manifests.suggest_rebuild(self.path)}")
        return "\n  ".join(lines)

    def _is_whole(self, number: int) -> bool:
        """Return whether all files of a generation are as they were written."""
        try:
            self.check(number, quick=True)
        except GenerationError:
            return False
        return True

    def _format_rollback(self, number: int) -> str:
        """Return the command that points to a generation."""
        return f"engine rollback -i {self.path.name} --to {number}"
