"""An open generation: its vectors, its corpus and, once a text is searched, its encoder."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import Settings
from engine.corpus.boolean.evaluation import Matches, find_matches
from engine.corpus.boolean.tree import Search
from engine.corpus.selection.filters import Qualified, find_qualified
from engine.corpus.selection.meshtree import MeshTree, read_mesh_tree
from engine.corpus.storage.store import Corpus
from engine.corpus.words.wordindex import WordIndex
from engine.encode.execution.encoder import Encoder
from engine.errors import CorruptError, GenerationError
from engine.index.files.openfiles import OpenFiles
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.generations.vectors import OpenRanker
from engine.index.search.ranker import Ranker
from engine.options import Filters
from engine.query.opening.corpus import open_corpus
from engine.records.answer import Span
from engine.records.encoder import Vectors
from engine.records.generation import Manifest

if TYPE_CHECKING:
    from engine.encode.crossencoder.runner import OnnxReranker

_REMEMBERED = 16  # filters
_RERANKERS = 2  # that stay loaded
_EXPLAINED = 500  # records whose sentences stay encoded: some 15 kB each


@dataclass(frozen=True, slots=True)
class EncodedSentences:
    """The sentences of one abstract that the encoder can read."""

    spans: tuple[Span, ...]
    vectors: Vectors  # (sentences, dim), in the same order


class OpenGeneration:
    """Everything that a query needs, from one generation. Closed when it is garbage-collected."""

    def __init__(
        self,
        folder: IndexFolder,
        generation: Generation,
        pointer: bytes,
        open_ranker: OpenRanker,
        before: OpenGeneration | None = None,
    ) -> None:
        """Open vectors and corpus; the encoder is loaded when the first text is encoded.

        pointer is what CURRENT held before the generation was opened; open_ranker opens what ranks its vectors. Files
        that the generation `before` has open are not opened again.

        Raises:
            CorruptError: a file can't be read, or vectors and corpus disagree in number.
            ConfigError: the ranker needs a GPU or a cluster, and there is none.
        """
        self.folder = folder
        self.generation = generation
        self.manifest: Manifest = generation.manifest
        self.pointer = pointer
        self.corpus: Corpus = open_corpus(generation, before.corpus if before else None)
        self.closing = weakref.finalize(self, self.corpus.close)
        self.files = OpenFiles.of(generation.list_files())
        self.vectors: Ranker = open_ranker(generation, before.vectors if before else None)
        if self.vectors.size != self.manifest.counts.abstracts:
            raise CorruptError(
                f"{self.vectors.path} holds {self.vectors.size:,} vectors, its manifest says "
                f"{self.manifest.counts.abstracts:,}. Run: engine verify"
            )
        self.lock = threading.Lock()
        self.loaded: Encoder | None = None
        self.encoder_files = OpenFiles((), ())  # of the loaded encoder, which maps them
        self.word_lock = threading.Lock()  # words are looked up while the encoder is loaded
        self.words: WordIndex | None = None
        self.rerank_lock = threading.Lock()
        self.rerankers: dict[tuple[str, str], OnnxReranker] = {}  # by model and precision as asked for, newest last
        self.reranker_files: dict[tuple[str, str], OpenFiles] = {}  # of the loaded ones, which map them
        self.may_export = True  # a reranker that the folder does not hold yet
        self.filtered: dict[Filters, Qualified] = {}
        self.matched: dict[Search, Matches] = {}
        self.sentences: dict[int, EncodedSentences] = {}

    def get_encoder(self) -> Encoder:
        """Return the query encoder of this generation, checked and loaded on first use and after a change of its files.

        If changed files can't be loaded, the change stays, and the next call tries again.

        Raises:
            EncoderMismatchError: the folder holds another encoder.
            CorruptError: its files differ from their receipt.
            EncoderError: missing or unusable.
        """
        with self.lock:
            if self.loaded is None or self.encoder_files.find_change(replaced=False):
                self.loaded = None
                path = self.folder.get_encoder_path(self.manifest.encoder.fingerprint)
                files = OpenFiles.of(path.glob("*"))
                self.loaded = _load_encoder(path, self.manifest)
                self.encoder_files = files
            return self.loaded

    def get_reranker(self, model: str, precision: str) -> tuple[OnnxReranker, tuple[str, ...]]:
        """Return a reranker, loaded on first use, and the note on one that was exported for it.

        Raises:
            EncoderError: missing or unusable.
            CorruptError: its files differ from their receipt.
            MissingExtraError: it has to be exported, and torch is not installed.
        """
        from engine.encode.crossencoder.runner import OnnxReranker
        from engine.query.opening.rerankers import list_rerankers, provide_reranker

        with self.rerank_lock:
            key, notes = (model, precision), tuple[str, ...]()
            if key in self.reranker_files and self.reranker_files[key].find_change(replaced=False):
                self.rerankers.pop(key, None)  # its files stay until it is loaded, so that the change is reported
            if key not in self.rerankers:
                before = list_rerankers(self.folder)
                path = provide_reranker(self.folder, model, precision, may_export=self.may_export)
                files = OpenFiles.of(path.glob("*"))
                loaded = OnnxReranker(path)
                if loaded.identity not in before:
                    notes = (f"the reranker was exported to {path}, where later searches find it",)
                while len(self.rerankers) >= _RERANKERS:
                    oldest = next(iter(self.rerankers))
                    del self.rerankers[oldest]
                    self.reranker_files.pop(oldest, None)
                self.rerankers[key], self.reranker_files[key] = loaded, files
            return self.rerankers[key], notes

    def get_words(self) -> WordIndex:
        """Return the words of this generation, opened on first use.

        Raises:
            GenerationError: the generation was deleted since it was opened.
            CorruptError: a file is missing or damaged.
        """
        with self.word_lock:
            if self.words is None:
                if not self.generation.words.is_dir():
                    raise GenerationError(
                        f"{self.generation.path} was deleted since it was opened, before its words were needed. Open "
                        "the index again"
                    )
                self.words = WordIndex(self.generation.words)
            return self.words

    def adopt_encoder(self, other: OpenGeneration) -> None:
        """Reuse the loaded encoder of another generation, if both have the same one, and its unchanged rerankers."""
        self.may_export = other.may_export
        rerankers, files = dict(other.rerankers), dict(other.reranker_files)  # which another thread may change
        changed = {key for key, each in files.items() if each.find_change(replaced=False)}
        self.rerankers = {key: each for key, each in rerankers.items() if key not in changed}
        self.reranker_files = {key: each for key, each in files.items() if key not in changed}
        if self.manifest.encoder.fingerprint == other.manifest.encoder.fingerprint:
            self.loaded, self.encoder_files = other.loaded, other.encoder_files

    def find_change(self) -> str | None:
        """Describe a file, of the encoder too, that was written to or cut off while it was open; None without one."""
        opened = (self.files, self.encoder_files, *self.reranker_files.values())
        return next(filter(None, (files.find_change(replaced=False) for files in opened)), None)

    def prepare(self, *, patience: float, n_connections: int) -> None:
        """Load the encoder, open the words and connections for parallel queries.

        From now on, each query of the database may take patience seconds at most.

        Raises:
            EngineError: the encoder is missing or damaged.
        """
        self.corpus.patience = patience
        self.corpus.widen(n_connections)
        self.get_words()
        self.get_encoder()

    def find_qualified(self, filters: Filters) -> Qualified:
        """Return the records that pass filters; recent results are cached, since a generation never changes.

        Raises:
            UsageError: an invalid filter.
            ConfigError: a filter by the MeSH tree without its file.
        """
        if filters.mesh_trees:  # whose file may change
            return find_qualified(self.corpus, filters, self.read_mesh_tree())
        found = self.filtered.get(filters)
        if found is None:
            found = find_qualified(self.corpus, filters)
            if len(self.filtered) >= _REMEMBERED:
                self.filtered.clear()
            self.filtered[filters] = found
        return found

    def find_matches(self, search: Search) -> Matches:
        """Return the records that a Boolean search finds; recent results are cached.

        Raises:
            UsageError: nothing in the last line can be looked up here.
            ConfigError: the file of the MeSH tree that index.toml names can't be read.
        """
        if search.has_exploded:  # the file of the tree may change
            return find_matches(self.corpus, self.get_words(), search, self.read_mesh_tree())
        found = self.matched.get(search)
        if found is None:
            found = find_matches(self.corpus, self.get_words(), search)
            if len(self.matched) >= _REMEMBERED:
                self.matched.clear()
            self.matched[search] = found
        return found

    def keep_sentences(self, encoded: Mapping[int, EncodedSentences]) -> None:
        """Keep the encoded sentences of explained records (by doc id), since a generation never changes."""
        if len(self.sentences) + len(encoded) > _EXPLAINED:
            self.sentences.clear()
        self.sentences.update(encoded)

    def read_mesh_tree(self) -> MeshTree | None:
        """Return the MeSH tree that index.toml names; None if it names none."""
        named = Settings.load(self.folder.path).mesh_tree
        return read_mesh_tree(self.folder.path / named) if named else None


def _load_encoder(path: Path, manifest: Manifest) -> Encoder:
    """Load the encoder of a generation, and check it meanwhile.

    Raises:
        EncoderMismatchError: the folder holds another encoder.
        CorruptError: its files differ from their receipt.
        EncoderError: missing or unusable.
    """
    from engine.encode.models.folder import check_encoder

    with ThreadPoolExecutor(1) as pool:  # hashing 90 MB takes as long as loading them
        checked = pool.submit(partial(check_encoder, path, manifest.encoder, quick=True))
        try:
            from engine.encode.execution.onnx import OnnxEncoder  # `similar` must not pay for it

            return OnnxEncoder(path)
        finally:
            checked.result()  # its error says more than that of a failed load


def open_latest(folder: IndexFolder, open_ranker: OpenRanker, before: OpenGeneration | None = None) -> OpenGeneration:
    """Open the current generation; again, when it was replaced and deleted between checking and opening it.

    Files that the generation `before` has open are not opened again.

    Raises:
        GenerationError: there is none, or it is not what its manifest says.
        ConfigError: the ranker needs a GPU or a cluster, and there is none.
    """
    while True:
        pointer = folder.read_pointer_bytes()
        generation = folder.open_current(quick=True)
        try:
            return OpenGeneration(folder, generation, pointer, open_ranker, before)
        except GenerationError:
            if folder.read_current() == generation.manifest.generation:
                raise


def open_kept(folder: IndexFolder, number: int, open_ranker: OpenRanker) -> OpenGeneration:
    """Open a generation by its number, whether it is the current one or not.

    Raises:
        GenerationError: it is not kept, or not what its manifest says.
        ConfigError: the ranker needs a GPU or a cluster, and there is none.
    """
    numbers = folder.list_numbers()
    if number not in numbers:
        if not numbers:
            raise folder.build_no_generation_error()
        raise GenerationError(f"{explain_not_kept(folder, number)}. Open the newest one: name no generation")
    return OpenGeneration(folder, folder.open_number(number, quick=True), folder.read_pointer_bytes(), open_ranker)


def explain_not_kept(folder: IndexFolder, number: int) -> str:
    """Explain that a generation is not kept, and name those that are."""
    found = ", ".join(f"{n:06d}" for n in folder.list_numbers())
    return f"{folder.path} does not keep generation {number:06d}: found {found}"
