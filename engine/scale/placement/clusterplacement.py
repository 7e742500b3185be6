"""Placing of generations on the nodes of a cluster, before they become current and when they are kept no longer."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from engine.errors import ClusterError, EngineError, GenerationError
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.generations.manifest import read_manifest
from engine.index.generations.vectors import open_part
from engine.index.search.parts import SegmentedIndex
from engine.scale.nodes.nodefiles import is_remote
from engine.scale.nodes.storage import Storage
from engine.scale.ranking.cluster import Cluster, ClusterSettings
from engine.scale.ranking.holder import GenerationKey, build_key, read_key
from engine.scale.ranking.segmentfacts import SegmentFacts, describe_segment, find_difference

_ROUNDS = 30  # in which nodes may die and others take their place, before placing is given up
_PAUSE = 1.0  # seconds after a round in which a node died
_PATIENCE = 5.0  # seconds for what needs no reading
_ADVICE = "CURRENT was not changed. Look at the nodes, then run the same command again: engine scale status"


class ClusterPlacement:
    """A Placement on the nodes of a cluster. The first `copies` nodes of each segment hold it."""

    def __init__(self, settings: ClusterSettings) -> None:
        """Keep the settings; the connection is made on first use."""
        self._settings = settings
        self._cluster: Cluster | None = None

    def connect(self) -> None:
        """Connect to the cluster, unless that was done.

        Raises:
            ClusterError: it does not answer.
        """
        self._get_cluster()

    def place(self, generation: Generation) -> None:
        """Let the nodes open all segments, and compare what they have open with the files here.

        An object store gets the files first. A node that dies meanwhile is replaced by the next one of each segment.

        Raises:
            ClusterError: a node differs, or there are too few; the message names node and segment.
        """
        cluster, key, expected = self._get_cluster(), build_key(generation), _describe(generation, deep=False)
        if is_remote(self._settings.storage):
            Storage(self._settings.storage).write_generation(generation)
        try:
            self._place(cluster, key, expected)
        except ClusterError:
            cluster.call(dict.fromkeys(cluster.list_holders(), ("release", (key,))), _PATIENCE)
            raise

    def drop(self, folder: IndexFolder, kept: Sequence[int]) -> None:
        """Close other generations than the kept ones on all nodes that answer, and remove them from an object store."""
        keys, names, is_complete = [], set[str](), True
        for number in kept:
            try:
                keys.append(read_key(path := folder.get_generation_path(number), number))
                names |= {entry.name for entry in read_manifest(path).segments}
            except (GenerationError, OSError):
                is_complete = False  # what is damaged here may name other segments
        if not is_complete:
            return
        with contextlib.suppress(EngineError):
            cluster = self._get_cluster()
            cluster.call(dict.fromkeys(cluster.list_holders(), ("drop", (keys,))), _PATIENCE)
            if is_remote(self._settings.storage):
                Storage(self._settings.storage).drop_others(kept, names)

    def find_problems(self, generation: Generation) -> list[str]:
        """Return how what the nodes hold of a generation differs from the files here.

        All vectors are compared, on each node that should hold a segment and on each that has it open.

        Raises:
            ClusterError: the cluster does not answer.
        """
        cluster, key, expected = self._get_cluster(), build_key(generation), _describe(generation, deep=True)
        nodes = cluster.list_holders()
        wanted = {(node, name) for name in expected for node in cluster.choose_nodes(name)[: self._settings.copies]}
        for node, held in cluster.call(dict.fromkeys(nodes, ("list_held", ())), _PATIENCE).items():
            wanted |= {(node, one.name) for one in held if one.key == key} if isinstance(held, list) else set()
        return [
            f"{cluster.name_node(node)}, segment {name}: {problem}"
            for node, name, problem in _compare(cluster, key, expected, wanted, deep=True)
            if problem
        ]

    def _get_cluster(self) -> Cluster:
        """Return the cluster, connected on first use.

        Raises:
            ClusterError: it does not answer.
        """
        if self._cluster is None:
            self._cluster = Cluster(self._settings)
        return self._cluster

    def _place(self, cluster: Cluster, key: GenerationKey, expected: Mapping[str, SegmentFacts]) -> None:
        """Ask until the first `copies` nodes of each segment hold it.

        Raises:
            ClusterError: a node differs, or there are too few.
        """
        confirmed: set[tuple[str, str]] = set()
        failure = ""
        for _ in range(_ROUNDS):
            wanted = set(self._choose_holders(cluster, expected)) - confirmed
            if not wanted:
                return
            failure = ""
            for node, name, problem in _compare(cluster, key, expected, wanted, deep=False):
                what = (
                    f"{cluster.name_node(node)} does not hold segment {name} of generation {key.number:06d}: {problem}"
                )
                if problem and problem != Cluster.GONE:
                    raise ClusterError(f"{what}. {_ADVICE}")
                failure = what if problem else failure
                confirmed |= set() if problem else {(node, name)}
            if failure:
                time.sleep(_PAUSE)
        raise ClusterError(f"{failure}. {_ADVICE}")

    def _choose_holders(self, cluster: Cluster, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield each node that must hold a segment, with its name.

        Raises:
            ClusterError: there are fewer nodes than copies.
        """
        n, copies = len(cluster.list_holders()), self._settings.copies
        if n < copies:
            raise ClusterError(
                f"the cluster has {n} of the {copies} nodes that must hold each segment ([ray] copies in index.toml). "
                f"{_ADVICE}"
            )
        for name in names:
            yield from ((node, name) for node in cluster.choose_nodes(name)[:copies])


def _describe(generation: Generation, *, deep: bool) -> dict[str, SegmentFacts]:
    """Return the facts of each segment of a generation, from the files here."""
    encoder = generation.manifest.encoder
    return {
        segment.entry.name: describe_segment(
            SegmentedIndex([open_part(segment, encoder.dim, {})], encoder.dim), encoder.fingerprint, deep=deep
        )
        for segment in generation.segments
    }


def _compare(
    cluster: Cluster,
    key: GenerationKey,
    expected: Mapping[str, SegmentFacts],
    wanted: Collection[tuple[str, str]],
    *,
    deep: bool,
) -> Iterator[tuple[str, str, str | None]]:
    """Yield node, segment and what is wrong with it there, for each that is wanted; None: nothing."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for node, name in sorted(wanted):
        names[node].append(name)
    answers = cluster.call({node: ("describe", (key, some, deep)) for node, some in names.items()})
    for node, some in names.items():
        found = answers[node]
        for name, one in zip(some, [found] * len(some) if isinstance(found, str) else found, strict=True):
            yield node, name, one if isinstance(one, str) else find_difference(expected[name], one)
