"""Search records: the query, the generation and the result, so that a search can be repeated and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from engine import __version__, files
from engine.config import Settings
from engine.corpus.boolean.strategy import read_search
from engine.corpus.flow import Flow, OriginFlow
from engine.errors import CorruptError, FormatVersionError, GenerationError, UsageError
from engine.options import FUSIONS, MODES, NO_RERANKER, Filters, Query
from engine.query.index import Index, get_generation
from engine.query.opening.flows import read_flow
from engine.query.opening.generation import OpenGeneration
from engine.query.question.validation import freeze_lists, resolve_since
from engine.query.ranks.ranking import list_rule_numbers
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.answer import SCORE_DECIMALS, Answer, Hit
from engine.records.reranker import RerankerIdentity

_KIND = "search record of abstract-engine"
FORMAT_VERSION = 1
REMOVED = ("duplicates", "rejected", "withdrawn")  # why records were removed: cannot be read, deleted by PubMed
_EXPECTED = "expected a file that engine search … --record FILE.json wrote"


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """A database or register that records came from, or a file of an unknown one."""

    name: str
    kind: str  # database, register or file
    n_found: int  # records
    first_read: str  # the days on which its files were read: UTC, YYYY-MM-DD; "" if unknown
    last_read: str


@dataclass(frozen=True, slots=True)
class Record:
    """One search and its result."""

    format_version: int
    engine_version: str
    created: str  # UTC, ISO 8601: when it was searched
    index: str  # name of its folder
    generation: int
    generation_created: str  # UTC, ISO 8601
    n_abstracts: int  # in that generation
    encoder: str  # name of the model
    fingerprint: str  # of the encoder
    newest_source: str  # name of the file that was read last
    query: Query
    since: int | None  # only records new or changed since this generation were searched; None: all
    mesh_tree: str  # name and SHA-256 of the file, if a filter uses it
    n_qualified: int
    ids: tuple[str, ...]  # of the hits, best first
    scores: tuple[float, ...]  # their cosines, to six decimals
    result_sha256: str
    reranker: str = ""  # name of the model of the second stage; "" without one
    reranker_fingerprint: str = ""
    rerank_scores: tuple[float | None, ...] = ()  # of the hits, to six decimals; None below the depth
    rule: Mapping[str, float] = field(default_factory=dict)  # as list_rule_numbers; empty in older records, too
    sources: tuple[RecordedSource, ...] = ()  # of the generation; none in older records
    removed: Mapping[str, int] = field(default_factory=dict)  # records by why they were removed; those in REMOVED

    @property
    def ranks(self) -> dict[str, int]:
        """The rank of each hit."""
        return {record_id: rank for rank, record_id in enumerate(self.ids, self.query.offset + 1)}


def make_record(index: Index, answer: Answer, *, since: int | str | date | None = None) -> Record:
    """Record an answer of this index; since is the argument of ask_new, if that gave the answer.

    Raises:
        GenerationError: the index has moved to another generation than the answer is of.
    """
    snapshot = get_generation(index)
    manifest = snapshot.manifest
    if manifest.generation != answer.generation:
        raise GenerationError(
            f"the answer is of generation {answer.generation:06d}, the index has moved to {manifest.generation:06d}. "
            "Open it with follow=False, ask again, and record that answer"
        )
    reranker = _find_reranker(snapshot, answer)
    return Record(
        format_version=FORMAT_VERSION,
        engine_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        index=snapshot.folder.name,
        generation=manifest.generation,
        generation_created=manifest.created,
        n_abstracts=manifest.counts.abstracts,
        encoder=manifest.encoder.short_name,
        fingerprint=manifest.encoder.fingerprint,
        newest_source=manifest.newest_source,
        query=replace(answer.query, rerank=reranker.short_name if reranker else NO_RERANKER),
        since=None if since is None else resolve_since(snapshot, since),
        mesh_tree=describe_mesh_tree(snapshot, answer.query),
        n_qualified=answer.n_qualified,
        ids=tuple(hit.id for hit in answer.hits),
        scores=tuple(_round_score(hit.score) for hit in answer.hits),
        result_sha256=hash_result(answer.hits),
        reranker=reranker.short_name if reranker else "",
        reranker_fingerprint=reranker.fingerprint if reranker else "",
        rerank_scores=tuple(_round_optional(hit.rerank_score) for hit in answer.hits) if reranker else (),
        rule=list_rule_numbers(answer.query),
        sources=list_sources(flow := read_flow(snapshot)),
        removed=count_removed(flow),
    )


def list_sources(flow: Flow) -> tuple[RecordedSource, ...]:
    """Return the databases, registers and files of a flow, in its order."""
    return tuple(
        RecordedSource(each.name, _name_kind(each), each.found, each.first_read, each.last_read)
        for each in flow.origins
    )


def _name_kind(origin: OriginFlow) -> str:
    """Return what an origin is; a file of an unknown database is named after itself."""
    if origin.is_register:
        return "register"
    return "file" if origin.name in {file.name for file in origin.files} else "database"


def count_removed(flow: Flow) -> dict[str, int]:
    """Return the number of records of a flow that were removed, by the keys of REMOVED."""
    return dict(zip(REMOVED, (sum(flow.duplicates.values()), flow.rejected, flow.withdrawn), strict=True))


def _find_reranker(snapshot: OpenGeneration, answer: Answer) -> RerankerIdentity | None:
    """Return the reranker of an answer, also where nothing was left to rank; None without a second stage."""
    query = answer.query
    if answer.reranker is not None or query.rerank is None:
        return answer.reranker
    return snapshot.get_reranker(query.rerank, str(query.rerank_precision))[0].identity


def _round_optional(score: float | None) -> float | None:
    """Return a score as it is recorded, where there is one."""
    return None if score is None else _round_score(score)


def _round_score(score: float) -> float:
    """Return a score as it is recorded; never -0.0."""
    return round(score, SCORE_DECIMALS) + 0.0


def hash_result(hits: Iterable[Hit]) -> str:
    r"""Return the SHA-256 of a line "rank\tid\tscore\n" for each hit, the score with six decimals."""
    lines = (f"{hit.rank}\t{hit.id}\t{_round_score(hit.score):.{SCORE_DECIMALS}f}\n" for hit in hits)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def describe_mesh_tree(snapshot: OpenGeneration, query: Query) -> str:
    """Return name and SHA-256 of the MeSH tree file; "" if neither a filter nor the text uses it."""
    search = None if query.filters.mesh_trees else read_search(query.text)
    uses_tree = bool(query.filters.mesh_trees) or (search is not None and search.has_exploded)
    named = Settings.load(snapshot.folder.path).mesh_tree if uses_tree else None
    if named is None:
        return ""
    receipt = FileReceipt.of(snapshot.folder.path / named)
    return f"{receipt.name}, SHA-256 {receipt.sha256}"


def write_record(path: Path, record: Record, *, overwrite: bool) -> None:
    """Write a record as JSON that carries its own SHA-256. The file appears whole or not at all.

    Raises:
        UsageError: as files.write_file.
        EngineError: as files.write_file.
    """
    files.write_file(path, [dump_record(record)], overwrite=overwrite)


def dump_record(record: Record) -> bytes:
    """Return a record as JSON that carries its own SHA-256."""
    # A broken terminal may have put lone surrogates into the query: no encoding has them, and no tokenizer reads them.
    sayable = json.dumps({"kind": _KIND, **asdict(record)}, ensure_ascii=False).encode("utf-8", "ignore")
    return seal_json(json.loads(sayable)).encode("utf-8")


def read_record(path: Path) -> Record:
    """Read a record and check that nobody has changed it.

    Raises:
        UsageError: it can't be read, or is no record.
        FormatVersionError: written by a newer engine.
        CorruptError: changed since it was written.
    """
    try:
        raw = path.read_bytes()
        content = json.loads(raw.decode("utf-8"))
    except OSError as err:
        raise UsageError(f"{path} can't be read: {err.strerror}; {_EXPECTED}") from err
    except (ValueError, RecursionError) as err:
        raise UsageError(f"{path} is not JSON, {_EXPECTED}") from err
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise UsageError(f"{path} is not the record of a search, {_EXPECTED}")
    if content.get("format_version") != FORMAT_VERSION:
        found = f"{path} has format version {content.get('format_version')}, this engine reads {FORMAT_VERSION}"
        raise FormatVersionError(f"{found}. Upgrade abstract-engine")
    if (sealed := open_json(raw)) is None:
        raise CorruptError(
            f"{path} was changed since it was written: its SHA-256 is not the one it states. "
            "Take the file as the engine wrote it, or record the search again"
        )
    try:
        return _build_record(sealed)
    except (TypeError, ValueError, KeyError, AttributeError) as err:
        raise FormatVersionError(
            f"{path} holds what this engine does not know ({err}). Upgrade abstract-engine"
        ) from err


def _build_record(content: dict[str, Any]) -> Record:
    """Build the record of a checked object.

    Raises:
        TypeError: an unknown or a missing field.
        ValueError: an unknown mode or fusion.
        KeyError: no query, or no filters.
    """
    fields = {name: freeze_lists(value) for name, value in content["query"].items()}
    fields.setdefault("rerank", NO_RERANKER)  # recorded before there was a second stage
    fields["filters"] = Filters(**{name: freeze_lists(value) for name, value in fields["filters"].items()})
    if fields["mode"] not in MODES or fields["fusion"] not in (None, *FUSIONS):
        raise ValueError(f"mode {fields['mode']!r}, fusion {fields['fusion']!r}")
    others = {name: freeze_lists(value) for name, value in content.items() if name not in ("kind", "query")}
    others["sources"] = tuple(RecordedSource(**each) for each in others.get("sources", ()))
    return Record(**others, query=Query(**fields))
