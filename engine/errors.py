"""Every error of the engine. A message says what was found, what was expected and the next command.

EngineError                      exit 1
├── UsageError                   exit 2   the request itself makes no sense: top_k 0, an impossible name
│   ├── UnknownIndexError                 no index of this name is open
│   └── UnknownRerankerError              no reranker of this name was added to the index
├── ConfigError
│   ├── MissingExtraError                 a library of an extra is not installed
│   ├── NoMeshTreeError                   a filter needs NLM's file of the MeSH tree
│   └── UnknownWatchError                 no question is saved under this name
├── SourceError                           a file that can't be read as abstracts: names file and place
│   ├── UnknownFormatError                of no format that the engine reads
│   └── NoRecordError                     files without a record that can be indexed
├── DownloadError                exit 8   files could not be fetched from a mirror
├── MassChangeError              exit 7   a reindex would delete or change more than its guard allows
├── CorpusError
│   ├── AbstractNotFoundError
│   └── NotSavedError                     a decision that can't be written
│       └── DiskFullError                 because the disk is full
├── EncoderError                          a model that can't be used, or that returned no usable vectors
│   ├── UnreadableQueryError              a text in which the encoder can read no word
│   └── EncoderMismatchError     exit 6   the index was built with another encoder
├── ClusterError                          nodes of a cluster that do not answer for a part of the index
├── BusyError                             more requests at once than the server accepts
└── GenerationError
    ├── NoGenerationError                 nothing was indexed yet
    ├── FormatVersionError                written by another version of the engine
    ├── CorruptError             exit 3   a file is not what its receipt says
    ├── LockedError              exit 4   another process is writing this index
    └── DurabilityError          exit 5   published, but the disk did not confirm
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Anything that the engine refuses or fails at, with a message for people."""

    exit_code: ClassVar[int] = 1


class UsageError(EngineError):
    """A request that no index could answer."""

    exit_code = 2


class UnknownIndexError(UsageError):
    """No index of this name is open."""


class UnknownRerankerError(UsageError):
    """No reranker of this name was added to the index, and none may be."""


class ConfigError(EngineError):
    """Settings or an installation that can't work."""


class MissingExtraError(ConfigError):
    """A library of one of the extras is missing."""

    def __init__(self, library: str, extras: str) -> None:
        super().__init__(
            f"{library} is not installed. Install one extra, and only one: {extras}. "
            f"For example: pip install 'abstract-engine{extras.partition(']')[0]}]'"
        )


class NoMeshTreeError(ConfigError):
    """A filter by the MeSH tree, and index.toml names no file of it."""


class UnknownWatchError(ConfigError):
    """No question is saved under this name."""


class SourceError(EngineError):
    """A source file that can't be read as abstracts."""


class UnknownFormatError(SourceError):
    """A file of no format that the engine reads."""


class NoRecordError(SourceError):
    """Source files in which no record can be indexed, for an index that has none."""


class DownloadError(EngineError):
    """Files could not be fetched from a mirror."""

    exit_code = 8


class MassChangeError(EngineError):
    """A reindex that would delete or change a larger share of the records than its guard allows."""

    exit_code = 7


class CorpusError(EngineError):
    """The stored abstracts can't be used."""


class AbstractNotFoundError(CorpusError):
    """No abstract has this record id."""


class NotSavedError(CorpusError):
    """A decision that can't be written; those made before are kept."""


class DiskFullError(NotSavedError):
    """A decision that can't be written, because the disk is full."""


class EncoderError(EngineError):
    """A model that can't be used, or whose vectors can't."""


class UnreadableQueryError(EncoderError):
    """A text in which the encoder can read no word."""


class EncoderMismatchError(EncoderError):
    """The index holds vectors of another encoder."""

    exit_code = 6


class ClusterError(EngineError):
    """A cluster that does not answer, or not for all parts of an index."""


class BusyError(EngineError):
    """More requests at once than the server accepts, or an answer that takes too long. Try again a little later."""


class GenerationError(EngineError):
    """A published index that can't be opened or written."""


class NoGenerationError(GenerationError):
    """There is no index here yet."""


class FormatVersionError(GenerationError):
    """The generation was written in a format that this version does not read."""


class CorruptError(GenerationError):
    """A file differs from its receipt."""

    exit_code = 3


class LockedError(GenerationError):
    """Another process is writing this index."""

    exit_code = 4


class DurabilityError(GenerationError):
    """The new generation is visible, but the disk did not confirm that it would survive a power cut."""

    exit_code = 5
