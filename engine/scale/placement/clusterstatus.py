"""What the nodes of a cluster hold of an index."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import GenerationError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import read_manifest
from engine.phrases import pluralize
from engine.scale.ranking.cluster import Cluster, ClusterSettings
from engine.scale.ranking.holder import GenerationKey, HeldSegment, read_key

_PATIENCE = 2.0  # seconds for the answer of the nodes


@dataclass(frozen=True, slots=True)
class _NodeStatus:
    """One node that is alive."""

    node: str
    address: str
    segments: int  # that it has open, each counted once
    bytes: int  # of their vectors and codes
    generations: tuple[int, ...]  # of which it has segments open
    problem: str | None = None  # why it did not answer


@dataclass(frozen=True, slots=True)
class _SegmentStatus:
    """A segment of the current generation."""

    segment: str
    records: int  # alive
    nodes: tuple[str, ...]  # that hold it


@dataclass(frozen=True, slots=True)
class _ClusterStatus:
    """The nodes and the segments of an index."""

    index: str
    generation: int  # that is current
    copies: int  # that each segment should have
    held: int | None  # the newest generation of which every segment has a copy, the current one at most
    behind: int  # generations that were published since
    nodes: tuple[_NodeStatus, ...]
    segments: tuple[_SegmentStatus, ...]


def read_cluster_status(folder: IndexFolder, settings: ClusterSettings) -> _ClusterStatus:
    """Ask the nodes what they hold. Nothing is opened by that.

    Raises:
        ClusterError: no cluster answers.
        GenerationError: nothing was published, or a manifest can't be read.
    """
    current = folder.read_current()
    wanted = dict(_list_segments(folder, current))
    cluster = Cluster(settings)
    answers = cluster.call(dict.fromkeys(cluster.list_holders(), ("list_held", ())), _PATIENCE)
    held: Mapping[str, Sequence[HeldSegment]] = {
        node: found for node, found in answers.items() if not isinstance(found, str)
    }
    whole = next((number for number in wanted if _is_whole(wanted[number], held.values())), None)
    names = [
        (entry.name, entry.n_records - entry.n_dead)
        for entry in read_manifest(folder.get_generation_path(current)).segments
    ]
    key = wanted[current][0]
    return _ClusterStatus(
        folder.name,
        current,
        settings.copies,
        whole,
        sum(number > (whole or 0) for number in wanted),
        tuple(_describe_node(cluster, node, answers[node]) for node in sorted(answers)),
        tuple(_SegmentStatus(name, n, tuple(_list_nodes(key, name, held))) for name, n in sorted(names)),
    )


def format_cluster_status(status: _ClusterStatus) -> Iterator[str]:
    """Yield the lines of a status for people."""
    behind = f"{pluralize(status.behind, 'generation')} behind" if status.behind else "up to date"
    held = "none whole" if status.held is None else f"{status.held:06d} whole"
    yield f"{status.index}: generation {status.generation:06d} is current; the nodes hold {held}, {behind}"
    for node in status.nodes:
        numbers = ", ".join(f"{number:06d}" for number in node.generations) or "none"
        what = f"{pluralize(node.segments, 'segment')}, {node.bytes:,} bytes, generations {numbers}"
        yield f"  node {node.node[:8]} at {node.address}: {node.problem or what}"
    for segment in status.segments:
        nodes = ", ".join(node[:8] for node in segment.nodes) or "none"
        yield (
            f"  segment {segment.segment}: {pluralize(segment.records, 'record')}, {len(segment.nodes)} of "
            f"{status.copies} copies (nodes: {nodes})"
        )


def _list_segments(folder: IndexFolder, current: int) -> Iterator[tuple[int, tuple[GenerationKey, set[str]]]]:
    """Yield the generations up to the current one, newest first, each with its key and the names of its segments.

    Raises:
        GenerationError: the manifest of the current one can't be read; older ones are left out.
    """
    for number in reversed(folder.list_numbers()):
        path = folder.get_generation_path(number)
        if number == current:
            yield number, (read_key(path, number), {entry.name for entry in read_manifest(path).segments})
        elif number < current:
            with contextlib.suppress(GenerationError, OSError):
                yield number, (read_key(path, number), {entry.name for entry in read_manifest(path).segments})


def _is_whole(wanted: tuple[GenerationKey, set[str]], held: Collection[Sequence[HeldSegment]]) -> bool:
    """Return whether each segment of a generation is open on some node."""
    key, names = wanted
    return names <= {one.name for some in held for one in some if one.key == key}


def _list_nodes(key: GenerationKey, name: str, held: Mapping[str, Sequence[HeldSegment]]) -> Iterator[str]:
    """Yield the nodes that have a segment of a generation open."""
    for node in sorted(held):
        if any((one.key, one.name) == (key, name) for one in held[node]):
            yield node


def _describe_node(cluster: Cluster, node: str, answer: str | Sequence[HeldSegment]) -> _NodeStatus:
    """Return the status of a node by what it answered."""
    address = cluster.get_address(node)
    if isinstance(answer, str):
        return _NodeStatus(node, address, 0, 0, (), answer)
    sizes = {one.name: one.n_bytes for one in answer}
    numbers = tuple(sorted({one.key.number for one in answer}))
    return _NodeStatus(node, address, len(sizes), sum(sizes.values()), numbers)
