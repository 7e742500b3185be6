"""A connection to a Ray cluster whose nodes hold the segments of one index.

Each node runs one Holder per index. Which nodes hold a segment follows from its name and the nodes alone (rendezvous
hashing: Thaler and Ravishankar, IEEE/ACM Trans Netw 1998;6:1), so nothing has to be agreed on, and a segment whose node
dies belongs to the next node at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.errors import BusyError, ClusterError, GenerationError
from engine.scale.nodes.connection import ADVICE, NAMESPACE, connect, name_place
from engine.scale.ranking.holder import GenerationKey, Holder

_DEADLINE = 4.0  # seconds that an answer may take, all retries together
_STARTING = 30.0  # seconds that the first answer over a connection may take while the Holders start
_HEDGE = 0.5  # seconds after which another copy is asked, too
_FRESH = 2.0  # seconds for which the list of nodes is used
_STALE = 15.0  # seconds after which a list of nodes that could not be renewed says nothing
_AVOIDED = 10.0  # seconds for which a node that failed or was slow is asked last
_PAUSE = 0.1  # seconds before nodes that all failed are asked again
_LARGE = 1 << 16  # bytes; an array from this size on is sent once for all nodes
_THREADS = 4  # of a Holder
_TICK = 5.0  # seconds between two looks at which nodes hold what


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Where a cluster is, and how it holds an index."""

    address: str | None  # HOST:PORT of its head; None: the cluster that runs on this machine
    storage: str  # folder of the index, as the nodes see it, or the address of an object store
    copies: int = 2  # of each segment, on different nodes
    cache_bytes: int = 10**11  # that each node keeps of an object store


@dataclass(slots=True)
class Traffic:
    """What a process has asked of a cluster."""

    calls: int = 0  # of nodes, each for one segment or several
    retries: int = 0  # segments that were asked for again because a node failed
    hedges: int = 0  # segments that were asked for again because a node was slow
    nodes: int = 0  # alive; 0 when the cluster has not said so for a while
    problems: tuple[str, ...] = ()  # segments that a node should hold and can't open


@dataclass(slots=True)
class _Round:
    """The calls of one question: which segments were answered, which nodes were asked for each."""

    names: Sequence[str]
    answers: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, set[str]] = field(default_factory=dict)  # nodes, by segment
    pending: dict[Any, tuple[str, list[str], float]] = field(default_factory=dict)  # node, segments, since when
    repeated: set[str] = field(default_factory=set)  # segments that were asked for before
    problem: str = ""  # the last one

    @property
    def left(self) -> list[str]:
        """The segments without an answer."""
        return [name for name in self.names if name not in self.answers]


class Cluster:
    """The nodes of a cluster, and the Holder of one index on each. Safe to use from several threads."""

    GONE = "the node died or left the cluster"

    def __init__(self, settings: ClusterSettings) -> None:
        """Connect, and start a Holder on each node.

        Raises:
            MissingExtraError: Ray is not installed.
            ConfigError: there is no token, or the cluster refuses it.
            ClusterError: there is no cluster at the address, or it has no node.
        """
        self.settings = settings
        self._place = name_place(settings.address)
        self._ray = connect(settings.address)
        self._holders: Mapping[str, Any] = {}  # by node
        self._places: Mapping[str, str] = {}  # address of each node
        self._listed = 0.0  # when
        self._has_answered = False
        self._avoided: dict[str, float] = {}  # until when, by node
        self._lister = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._traffic = Traffic()
        self._kept: weakref.WeakKeyDictionary[Any, tuple[GenerationKey, Sequence[str]]] = weakref.WeakKeyDictionary()
        self._is_watched = False
        self._settling: dict[str, Any] = {}  # call, by node
        self._problems: dict[str, tuple[str, ...]] = {}  # by node
        self._listing: Future[None] | None = None
        self._refresh(_DEADLINE)

    def list_holders(self) -> Mapping[str, Any]:
        """Return the Holder of each node that is alive, by the id of the node.

        Raises:
            ClusterError: the cluster does not say.
        """
        self._listed = 0.0
        self._refresh(_DEADLINE)
        return self._holders

    def choose_nodes(self, name: str) -> list[str]:
        """Return all nodes in the order in which they are asked for a segment; the first `copies` hold it."""
        return _order_nodes(name, self._holders)

    @property
    def traffic(self) -> Traffic:
        """What was asked so far, and how the nodes are now."""
        is_stale = time.monotonic() - self._listed > _STALE
        holders = {} if is_stale else self._holders  # a node that is gone has no problem; others have taken its place
        problems = [f"{self.name_node(node)}: {one}" for node in holders for one in self._problems.get(node, ())]
        with self._lock:
            return replace(self._traffic, nodes=len(holders), problems=tuple(problems))

    def keep_copies(self, owner: object, key: GenerationKey, names: Sequence[str]) -> None:
        """Let the first `copies` nodes of each segment hold it while the owner lives, whatever nodes join or die."""
        with self._lock:
            self._kept[owner] = key, tuple(names)
            is_watched, self._is_watched = self._is_watched, True
        if not is_watched:
            threading.Thread(target=_watch_nodes, args=(weakref.ref(self),), daemon=True).start()

    def restore_copies(self) -> None:
        """Let each node open what it should hold, unless its last call for that has not ended."""
        if not self._ray.is_initialized():
            return
        self._refresh(0.0)
        with self._lock:
            kept = dict(self._kept.values())
        holders = self._holders  # those of one moment: another thread lists the nodes
        shares: dict[str, dict[GenerationKey, list[str]]] = {node: {key: [] for key in kept} for node in holders}
        for key, names in kept.items():
            for name in names:
                for node in _order_nodes(name, holders)[: self.settings.copies]:
                    shares[node][key].append(name)
        for node, share in shares.items():
            if self._has_settled(node):
                self._settling[node] = holders[node].settle.remote(share)

    def _has_settled(self, node: str) -> bool:
        """Return whether the last call to a node has ended, and note the segments that it can't open."""
        call = self._settling.get(node)
        if call is None:
            return True
        if not self._ray.wait([call], timeout=0)[0]:
            return False
        answer = self._get_answer(self._settling.pop(node), 1.0)
        self._problems[node] = (answer,) if isinstance(answer, str) else tuple(answer)
        return True

    def name_node(self, node: str) -> str:
        """Return how a node is called in messages and tables."""
        return f"node {node[:8]} at {self.get_address(node)}"

    def get_address(self, node: str) -> str:
        """Return the address of a node."""
        return self._places.get(node, "an unknown address")

    def call(self, calls: Mapping[str, tuple[str, tuple[Any, ...]]], patience: float | None = None) -> dict[str, Any]:
        """Call a method of the Holder of each of some nodes, given with its arguments; return what they answer.

        The answer is a text where the call failed: GONE where the node is. patience: seconds; None: until they answer.
        """
        holders = self._holders
        refs = {
            node: getattr(holders[node], name).remote(*args) for node, (name, args) in calls.items() if node in holders
        }
        if refs:
            self._ray.wait(list(refs.values()), num_returns=len(refs), timeout=patience, fetch_local=False)
        return dict.fromkeys(calls, self.GONE) | {node: self._get_answer(ref, patience) for node, ref in refs.items()}

    def _get_answer(self, ref: Any, patience: float | None) -> Any:
        """Return what a call gave, or why it failed."""
        try:
            return self._ray.get(ref, timeout=None if patience is None else 0.1)
        except self._ray.exceptions.GetTimeoutError:
            return f"the node did not answer within {patience:g} s"
        except self._ray.exceptions.RayTaskError as err:
            return _describe_failure(err)
        except self._ray.exceptions.RayError:
            return self.GONE

    def ask(self, key: GenerationKey, names: Sequence[str], operation: str, *args: Any) -> list[Any]:
        """Return what an operation of a Holder gives for each segment, in the order of the names.

        A node that is slow or dead is replaced by the next one of each segment.

        Raises:
            GenerationError: the generation is no longer kept.
            ClusterError: no node answered for a segment within _DEADLINE seconds; the message names it. The first
                time, nodes that are silent and did not fail have _STARTING seconds.
            BusyError: none answered so soon, but none failed.
        """
        self._refresh(0.0 if self._holders else _DEADLINE)
        sent = [self._ray.put(a) if isinstance(a, np.ndarray) and a.nbytes >= _LARGE else a for a in args]
        start, state = time.monotonic(), _Round(names)
        while state.left:
            self._send(state, (key, operation, sent))
            seconds = _DEADLINE if self._has_answered or state.problem else _STARTING
            if time.monotonic() > start + seconds:
                raise self._build_error(state, seconds)
            if state.pending:
                self._collect(state, min(_HEDGE, start + seconds - time.monotonic()))
            elif state.left:
                time.sleep(_PAUSE)
                self._refresh(1.0)
                state.asked.clear()
        self._has_answered = True
        return [state.answers[name] for name in names]

    def _send(self, state: _Round, call: tuple[GenerationKey, str, list[Any]]) -> None:
        """Ask for the segments that nobody is being asked for, or only nodes that are slow, one call for each node."""
        key, operation, args = call
        holders = self._holders  # those of one moment: another thread lists the nodes
        now, groups = time.monotonic(), dict[str, list[str]]()
        prompt = {name for _, names, since in state.pending.values() if now - since < _HEDGE for name in names}
        for name in [name for name in state.left if name not in prompt]:
            asked = state.asked.setdefault(name, set())
            others = [node for node in _order_nodes(name, holders) if node not in asked]
            if others:
                self._count_repeat(state, name)
                state.repeated.add(name)
                node = min(others, key=lambda one: self._avoided.get(one, 0.0) > now)  # the first that is not avoided
                asked.add(node)
                groups.setdefault(node, []).append(name)
        with self._lock:
            self._traffic.calls += len(groups)
        for node, names in groups.items():
            call_ref = holders[node].answer.remote(key, names, operation, *args)
            state.pending[call_ref] = (node, names, now)

    def _count_repeat(self, state: _Round, name: str) -> None:
        """Count a segment that is asked for again: a hedge while another node has not answered, else a retry."""
        if name not in state.repeated:
            return
        with self._lock:
            if any(name in names for _, names, _ in state.pending.values()):
                self._traffic.hedges += 1
            else:
                self._traffic.retries += 1

    def _collect(self, state: _Round, patience: float) -> None:
        """Take what was answered meanwhile; nodes that failed or are slow are avoided for a while."""
        ready, _ = self._ray.wait(list(state.pending), num_returns=1, timeout=max(0.0, patience))
        for ref in ready:
            node, names, _ = state.pending.pop(ref)
            try:
                found = self._ray.get(ref)
            except self._ray.exceptions.RayError as err:
                if type(cause := getattr(err, "cause", None)) is GenerationError:
                    raise cause from None
                state.problem = _describe_failure(err)
                self._set_aside(node)
            else:
                for name, one in zip(names, found, strict=True):
                    state.answers.setdefault(name, one)
        late = time.monotonic() - _HEDGE
        for node, _, since in state.pending.values():
            if since <= late:
                self._set_aside(node)

    def _set_aside(self, node: str) -> None:
        """Ask a node last for a while."""
        self._avoided[node] = time.monotonic() + _AVOIDED

    def _refresh(self, patience: float) -> None:
        """List the nodes again unless that was done just now; wait for it so many seconds at most.

        Raises:
            ClusterError: there is no node, or the cluster does not say.
        """
        if time.monotonic() - self._listed < _FRESH:
            return
        if self._listing is None or self._listing.done():
            self._listing = self._lister.submit(self._list_nodes)
        if patience:
            wait([self._listing], patience)
            if self._listing.done() and (failure := self._listing.exception()) is not None:
                raise ClusterError(f"the cluster {self._place} failed: {failure}. {ADVICE}") from failure
            if not self._holders:
                raise ClusterError(f"the cluster {self._place} names no node that is alive. {ADVICE}")

    def _list_nodes(self) -> None:
        """List the nodes that are alive, and start a Holder on each that has none."""
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        workers = [node for node in alive if node["Resources"].get("CPU", 0) > 0] or alive
        nodes = {str(node["NodeID"]) for node in workers}
        known = {node: holder for node, holder in self._holders.items() if node in nodes}
        self._holders = known | {node: self._start_holder(node) for node in nodes - known.keys()}
        self._places = {str(node["NodeID"]): str(node["NodeManagerAddress"]) for node in workers}
        self._listed = time.monotonic()

    def _start_holder(self, node: str) -> Any:
        """Return the Holder of a node, started if there is none."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        index = hashlib.sha256(self.settings.storage.encode()).hexdigest()[:12]
        made = self._ray.remote(Holder).options(
            name=f"{index}-{node}",
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=3,
            max_concurrency=_THREADS,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        return made.remote(self.settings.storage, self.settings.cache_bytes)

    def _build_error(self, state: _Round, seconds: float) -> ClusterError | BusyError:
        """Build the error for segments that no node answered for: a BusyError if none failed and some still work."""
        if state.pending and not state.problem:
            return BusyError(
                f"the nodes of the cluster are behind: no answer for {', '.join(state.left[:5])} within {seconds:g} s. "
                "Try again in a few seconds; if that lasts, add nodes: engine scale status"
            )
        return ClusterError(
            f"no node of the cluster {self._place} answered for {', '.join(state.left[:5])} within "
            f"{seconds:g} s{f' ({state.problem})' if state.problem else ''}. {ADVICE}"
        )


def _order_nodes(name: str, nodes: Iterable[str]) -> list[str]:
    """Return nodes in the order in which they are asked for a segment."""
    return sorted(nodes, key=lambda node: hashlib.sha256(f"{name} {node}".encode()).digest())


def _watch_nodes(ref: weakref.ref[Cluster]) -> None:
    """Restore copies again and again, as long as the connection is used."""
    while (cluster := ref()) is not None:
        with contextlib.suppress(Exception):  # the next time may succeed; questions report what is wrong
            cluster.restore_copies()
        del cluster
        time.sleep(_TICK)


def _describe_failure(error: Exception) -> str:
    """Return the line of a failure that says most."""
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return (lines[0] if lines else type(cause).__name__)[:200]
