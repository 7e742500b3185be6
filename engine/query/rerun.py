"""Repeats a recorded search and compares: hits that entered, left or moved, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine import __version__
from engine.corpus.history import read_events
from engine.errors import EncoderMismatchError, EngineError, GenerationError
from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query.index import Index, answer_recorded, get_generation
from engine.query.opening.generation import OpenGeneration, explain_not_kept
from engine.query.opening.rerankers import list_rerankers
from engine.query.ranks.ranking import list_rule_numbers
from engine.query.searchlog import Record, describe_mesh_tree, hash_result
from engine.records.answer import SCORE_DECIMALS, Answer
from engine.records.generation import Manifest

CURRENT = "To repeat the search on the newest generation all the same: --current"


@dataclass(frozen=True, slots=True)
class RerunComparison:
    """A result beside the recorded one."""

    same: bool  # all hits in their order, all scores to six decimals
    answer: Answer
    entered: tuple[str, ...]  # ids of hits that are new, best first
    left: tuple[str, ...]  # ids of recorded hits that are no longer hits, best first
    moved: int  # recorded hits that have another rank
    result_sha256: str
    notes: tuple[str, ...]  # for people: how the index and the result differ
    # the kind of change of each hit; None if not only new or changed records were searched
    changes: tuple[str, ...] | None = None


def open_recorded(record: Record, folder: IndexFolder, *, device: str = "cpu") -> Index:
    """Open the generation that a record is of.

    Raises:
        GenerationError: it is no longer kept, or this is another index.
        EngineError: it can't be opened, or this is another index built with another encoder.
    """
    if folder.list_numbers() and record.generation not in folder.list_numbers():
        raise GenerationError(
            f"{explain_not_kept(folder, record.generation)}. {CURRENT}. "
            "To keep more generations from now on: keep_generations in index.toml"
        )
    index = Index(folder, follow=False, device=device, generation=record.generation)
    try:
        _check_same_generation(record, folder, index.manifest)
    except EngineError:
        index.close()
        raise
    return index


def _check_same_generation(record: Record, folder: IndexFolder, found: Manifest) -> None:
    """Refuse a generation that only has the same number.

    Raises:
        GenerationError: it was made at another time.
        EncoderMismatchError: it was built with another encoder.
    """
    here = f"{folder.path}, generation {found.generation:06d} of {found.created}"
    theirs = f"the record is of {record.index}, generation {record.generation:06d} of {record.generation_created}"
    if found.encoder.fingerprint != record.fingerprint:
        raise EncoderMismatchError(
            f"{here}, was built with {found.encoder.short_name} (fingerprint {found.encoder.fingerprint[:12]}), but "
            f"{theirs}, with {record.encoder} (fingerprint {record.fingerprint[:12]}): their scores can't be compared. "
            f"Name the index of the record: -i NAME. {CURRENT}"
        )
    if found.created != record.generation_created:
        raise GenerationError(
            f"{here}, is not what was recorded: {theirs}. Name the index of the record: -i NAME. {CURRENT}"
        )


def rerun(record: Record, index: Index) -> RerunComparison:
    """Repeat a recorded search and compare. On the recorded generation the result is the same to six decimals.

    Fails as Index.ask does.
    """
    query = _name_recorded_reranker(record, get_generation(index).folder)
    changes, answer = answer_recorded(index, query, record.since)
    before, now = record.ranks, {hit.id: hit.rank for hit in answer.hits}
    found = hash_result(answer.hits)
    same = found == record.result_sha256
    snapshot = get_generation(index)
    notes = _compare_index(record, snapshot) + _compare_rule(record, answer.query)
    if not same:
        notes += _explain_difference(record, answer, snapshot)
    return RerunComparison(
        same=same,
        answer=answer,
        entered=tuple(one for one in now if one not in before),
        left=tuple(one for one in before if one not in now),
        moved=sum(rank != now.get(one, rank) for one, rank in before.items()),
        result_sha256=found,
        notes=notes,
        changes=changes,
    )


def _name_recorded_reranker(record: Record, folder: IndexFolder) -> Query:
    """Return the recorded query with the fingerprint of its reranker, which no other one has.

    Raises:
        EncoderMismatchError: the index does not hold that reranker.
    """
    fingerprint = record.reranker_fingerprint
    if not fingerprint:
        return record.query
    known = list_rerankers(folder)
    if fingerprint not in {one.fingerprint for one in known}:
        found = ", ".join(f"{one.short_name} ({one.fingerprint[:12]})" for one in known) or "none"
        raise EncoderMismatchError(
            f"the record is of a search with the reranker {record.reranker} (fingerprint {fingerprint[:12]}), which "
            f"{folder.path} does not hold: found {found}. Search once with it: engine search gout -i {folder.name} "
            "--rerank MODEL"
        )
    return replace(record.query, rerank=fingerprint)


def _compare_index(record: Record, snapshot: OpenGeneration) -> tuple[str, ...]:
    """Describe how the index differs from the recorded one."""
    manifest, notes = snapshot.manifest, []
    there = f"generation {record.generation:06d} of {record.generation_created}"
    here = f"generation {manifest.generation:06d} of {manifest.created}"
    if there != here:
        notes.append(f"recorded on {there}, repeated on {here}")
    if (record.generation, record.generation_created) not in {
        (e.generation, e.created) for e in read_events(snapshot.corpus)
    }:
        notes.append(
            f"{snapshot.folder.path} does not go back to {there}: it is another index, was made anew or rolled back"
        )
    if manifest.encoder.fingerprint != record.fingerprint:
        notes.append(
            f"recorded with the encoder {record.encoder} (fingerprint {record.fingerprint[:12]}), repeated with "
            f"{manifest.encoder.short_name} (fingerprint {manifest.encoder.fingerprint[:12]}): scores can't be compared"
        )
    return tuple(notes)


def _compare_rule(record: Record, query: Query) -> tuple[str, ...]:
    """Describe how the numbers differ by which the engine ranks; an older record without them tells nothing."""
    now = list_rule_numbers(query)
    changed = [
        f"{name} {record.rule.get(name, 'none')}, now {now.get(name, 'none')}"
        for name in dict.fromkeys((*record.rule, *now))
        if record.rule.get(name) != now.get(name)
    ]
    if not changed or not record.rule:
        return ()
    return (f"ranked by another rule than recorded, so the order may differ: {'; '.join(changed)}",)


def _explain_difference(record: Record, answer: Answer, snapshot: OpenGeneration) -> tuple[str, ...]:
    """Explain what else may have caused a difference."""
    notes = []
    if tuple(hit.id for hit in answer.hits) == record.ids:
        most = max(abs(hit.score - score) for hit, score in zip(answer.hits, record.scores, strict=True))
        notes.append(
            f"the hits and their order are the same; scores differ by {most:.{SCORE_DECIMALS}f} at most. "
            "The last digits may depend on the processor and on versions of libraries"
        )
    if record.engine_version != __version__:
        notes.append(f"recorded with abstract-engine {record.engine_version}, repeated with {__version__}")
    if (tree := describe_mesh_tree(snapshot, record.query)) != record.mesh_tree:
        notes.append(f"recorded with the MeSH tree {record.mesh_tree or 'none'}, repeated with {tree or 'none'}")
    if snapshot.manifest.ann is not None:
        notes.append("the index is approximate: what it finds may depend on the device and on the FAISS version")
    return tuple(notes)
