"""The folder of one index on disk: which generation is current, which are there, and opening one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import CorruptError, GenerationError, NoGenerationError
from engine.index import manifest as manifests
from engine.receipts import FileReceipt
from engine.records.generation import Manifest

DATABASE = "abstracts.db"
VECTORS = "vectors.faiss"  # the exact vectors
CODES = "codes.faiss"  # beside them in a large index: the vectors compressed, for finding candidates
MAP = "map.npz"  # a place in two dimensions for each record
# "000007" ("000000" before the first); as the engine writes it, then a space and the first 16 digits of the SHA-256 of
# the manifest, so that a damaged pointer can't lead to another generation.
_POINTER = re.compile(r"(\d{6})(?: ([0-9a-f]{16}))?\n?")
_SIDE_FILES = ("-wal", "-journal", "-shm")


@dataclass(frozen=True, slots=True)
class Generation:
    """A published generation whose files are what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / DATABASE

    @property
    def vectors(self) -> Path:
        """The FAISS file of the exact vectors."""
        return self.path / VECTORS

    @property
    def map(self) -> Path:
        """The places of the records, where there are any."""
        return self.path / MAP

    @property
    def codes(self) -> Path:
        """The FAISS file of the codes, where there are any."""
        return self.path / CODES


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """Paths and pointers of one index. Reading methods write nothing."""

    path: Path

    @property
    def name(self) -> str:
        """What the index is called: the folder's own name, whatever link or relative path leads to it."""
        return self.path.resolve().name

    @property
    def pointer(self) -> Path:
        """The file that names the current generation."""
        return self.path / "CURRENT"

    @property
    def lock(self) -> Path:
        """The file that the one writer holds."""
        return self.path / "LOCK"

    @property
    def building(self) -> Path:
        """Where the next generation is made."""
        return self.path / "building"

    @property
    def shards(self) -> Path:
        """Vectors of a run that did not end, for the next one; it lies beside ``building``, which a run clears."""
        return self.path / "shards"

    @property
    def generations(self) -> Path:
        """Where published generations lie."""
        return self.path / "generations"

    def get_generation_path(self, number: int) -> Path:
        """Folder of a generation."""
        return self.generations / f"{number:06d}"

    def get_encoder_path(self, fingerprint: str) -> Path:
        """Folder of an encoder."""
        return self.path / "encoders" / fingerprint

    def list_numbers(self) -> list[int]:
        """Numbers of the generations on disk, ascending."""
        if not self.generations.is_dir():
            return []
        return sorted(int(p.name) for p in self.generations.iterdir() if re.fullmatch(r"\d{6}", p.name))

    def read_pointer_bytes(self) -> bytes:
        """CURRENT as it stands, unchecked; nothing when it can't be read. Other bytes mean another generation."""
        try:
            return self.pointer.read_bytes()
        except OSError:
            return b""

    def read_pointer(self) -> int:
        """The number in CURRENT as it stands, unchecked; 0 when there is none to be read."""
        try:
            return int(self.read_pointer_bytes()[:6])
        except ValueError:
            return 0

    def read_current(self) -> int:
        """Number of the current generation.

        Raises:
            NoGenerationError: nothing was published yet.
            CorruptError: the pointer is missing, unreadable or damaged although generations are there.
        """
        try:
            text = self.pointer.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError as err:
            if self.list_numbers():
                raise self.build_pointer_error("is missing") from err
            raise self.build_no_generation_error() from err
        except OSError as err:
            raise CorruptError(f"{self.pointer} can't be read: {err.strerror}") from err
        found = _POINTER.fullmatch(text)
        if not found:
            raise self.build_pointer_error(f"holds {text[:40]!r}, expected six digits")
        number, check = int(found[1]), found[2]
        if number == 0:
            raise self.build_no_generation_error()
        if check is not None and self.get_generation_path(number).is_dir() and self.format_pointer(number) != text:
            self.check(number)  # when the generation is what is damaged, this names its file
            raise self.build_pointer_error(f"names generation {number:06d}, but was written for another one")
        return number

    def build_no_generation_error(self) -> NoGenerationError:
        """The error for an index that was never published."""
        named = (self.path / "index.toml").exists()
        command = f"engine reindex {self.path.name}" if named else f"engine index FILE -i {self.path.name}"
        return NoGenerationError(f"{self.path} has no index yet. Run: {command}")

    def build_pointer_error(self, what: str) -> CorruptError:
        """The error for a pointer that can't be followed."""
        found = ", ".join(f"{n:06d}" for n in self.list_numbers()) or "none"
        newest = max(self.list_numbers(), default=1)
        return CorruptError(
            f"{self.pointer} {what}. Generations here: {found}. "
            f"Check the newest and point to it: engine rollback -i {self.path.name} --to {newest}"
        )

    def format_pointer(self, number: int) -> str:
        """What CURRENT holds for a generation.

        Raises:
            CorruptError: the generation has no manifest.
        """
        path = self.get_generation_path(number) / manifests.NAME
        try:
            return f"{number:06d} {FileReceipt.of(path).sha256[:16]}\n"
        except OSError as err:
            raise CorruptError(f"{path} can't be read: {err.strerror}. Run: engine rollback") from err

    def check(self, number: int, *, quick: bool = False) -> Generation:
        """Check every file of a generation against its manifest, by size and SHA-256.

        quick: large files that were hashed before and not touched since are not hashed again.

        Raises:
            CorruptError: missing, changed, or with files beside it that don't belong.
        """
        path = self.get_generation_path(number)
        if not path.is_dir():
            raise self.build_pointer_error(f"names generation {number:06d}, which is not there")
        manifest = manifests.read_manifest(path)
        if manifest.generation != number:
            found = f"{path / manifests.NAME} is that of generation {manifest.generation:06d}"
            raise CorruptError(f"{found}, expected {number:06d}. Run: engine rollback")
        for problem in (file.find_problem(path, quick=quick) for file in manifest.files):
            if problem:
                raise CorruptError(f"{problem}. Run: engine rollback")
        for side in (path / (DATABASE + suffix) for suffix in _SIDE_FILES):
            if side.exists():
                raise CorruptError(f"{side} does not belong there: something wrote to a published file. Delete it")
        return Generation(path, manifest)

    def open_current(self, *, quick: bool = False) -> Generation:
        """Check and return the current generation, following CURRENT while it moves; quick as in check.

        A writer may publish and delete an old generation between reading the pointer and reading the files; so a
        failure counts only when the pointer stands still.

        Raises:
            GenerationError: nothing was published yet, or the current generation is not what its manifest says.
        """
        number = self.read_current()
        while True:
            try:
                return self.check(number, quick=quick)
            except GenerationError:
                moved = self.read_current()
                if moved == number:
                    raise
                number = moved
