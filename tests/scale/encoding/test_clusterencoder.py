"""The encoder of a run on three nodes, against the same run on this machine."""

import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.config import Settings
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.folder import DOCUMENTS, read_identity
from engine.errors import CorruptError, EncoderError
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.scale.encoding import clusterencoder
from engine.scale.encoding.clusterencoder import ClusterEncoder, ClusterEncoderSettings, _EncoderWorker
from engine.scale.encoding.nodeencoder import NodeSetup
from engine.scale.opening import choose_encoder
from tests.conftest import CURRENT, SAMPLE, jsonl, silent
from tests.scale.conftest import NODES
from tests.scale.encoding.test_job import change_byte, export, make_folder, read_vectors

FILE = SAMPLE / "abstracts.jsonl"
ROWS = [
    {"id": f"delta-{number}", "title": f"Gout {number}", "abstract": "Colchicine. " * number} for number in range(90)
]


class Dying(_EncoderWorker):
    """A worker that dies over one text."""

    def encode(self, texts: Sequence[str]) -> Any:
        if any("deadly" in text for text in texts):
            import os

            os._exit(1)
        return super().encode(texts)


class Waiting(_EncoderWorker):
    """A worker that waits until the one on the node to be killed has texts; that one never gives them back."""

    def open(self, setup: NodeSetup) -> None:
        super().open(setup)
        self.folder = Path(setup.folder).parent.parent

    def encode(self, texts: Sequence[str]) -> Any:
        import ray

        begun = self.folder / "begun"
        if ray.get_runtime_context().get_node_id() == (self.folder / "victim").read_text():
            begun.write_text("")
            time.sleep(600)
        while not begun.exists():
            time.sleep(0.02)
        return super().encode(texts)


@pytest.mark.slow
def test_a_night_on_a_cluster_publishes_the_same_bytes_although_a_node_dies(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusterencoder, "_PAGE", 8)
    monkeypatch.setattr(clusterencoder, "_EncoderWorker", Waiting)
    there, here = make_folder(tmp_path / "there", nodes.address), make_folder(tmp_path / "here", nodes.address)
    victim = nodes.add_node(num_cpus=1, object_store_memory=80_000_000)
    nodes.wait_for_nodes()
    (there.path / "victim").write_text(victim.node_id)
    killer = Thread(target=kill_working, args=(nodes, victim, there.path / "begun"), daemon=True)
    killer.start()
    elsewhere, settings = choose_encoder(there.path), Settings.load(there.path)
    for file in FILE, jsonl(tmp_path / "night.jsonl", ROWS):
        done = index_sources(there, Order((file,), settings, elsewhere=elsewhere), silent)
        made = index_sources(here, Order((file,), settings), silent)
        assert done.counts == made.counts
        assert done.counts.encoded > 0
        assert [one.made_by for one in done.encodings] == [one.made_by for one in made.encodings]
    assert not killer.is_alive()
    assert read_vectors(there) == read_vectors(here) != []


def kill_working(nodes: Any, victim: Any, begun: Path) -> None:
    """Kill a node once its worker has texts."""
    while not begun.exists():
        time.sleep(0.02)
    nodes.remove_node(victim, allow_graceful=False)


@pytest.mark.slow
def test_texts_that_kill_every_worker_are_named(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusterencoder, "_EncoderWorker", Dying)
    monkeypatch.setattr(clusterencoder, "_MOST_DEATHS", 2)
    encoder = open_encoder(nodes, *(CURRENT / "encoders").iterdir())
    with pytest.raises(EncoderError, match="2 workers died over the same 1 texts, the first 'a deadly text'"):
        encoder.encode(["a deadly text"])
    assert len(encoder.encode(["gout"]).vectors) == 1
    encoder.close()
    with pytest.raises(EncoderError, match="encodes documents only"):
        encoder.encode_queries(["gout"])


class FakeWorker:
    """A worker of a node; what it is asked fails once that has died."""

    def __init__(self, is_dead: bool, error: type[Exception]) -> None:
        self.is_dead, self.error, self.n_asked = is_dead, error, 0

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *_: partial(self.answer, name))

    def answer(self, name: str) -> str:
        self.n_asked += 1
        if self.is_dead:
            raise self.error("the node died")
        return name


class FakeRay:
    """Ray with a cluster whose workers of now are dead, and those that are started later are not."""

    exceptions = SimpleNamespace(RayError=RuntimeError, RayTaskError=ArithmeticError)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 8}

    def remote(self, **_: Any) -> Any:
        return lambda _: SimpleNamespace(remote=lambda: FakeWorker(False, RuntimeError))

    def get(self, call: Any) -> Any:
        return call()


def test_workers_that_died_while_they_were_free_are_no_fault_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusterencoder, "connect", lambda _: FakeRay())
    (exported,) = (CURRENT / "encoders").iterdir()
    setup = NodeSetup(str(exported), read_identity(exported))
    encoder = ClusterEncoder(ClusterEncoderSettings(None, "auto"), setup)
    encoder._n_begun = 8
    dead = [FakeWorker(True, RuntimeError) for _ in range(8)]
    for worker in dead:
        encoder._free.put(worker)
    assert encoder.encode(["gout"]) == "encode"  # type: ignore[comparison-overlap]
    assert all(worker.n_asked for worker in dead)


def test_texts_have_the_vectors_of_this_machine(nodes: Any) -> None:
    (exported,) = (CURRENT / "encoders").iterdir()
    texts = [row["title"] for row in ROWS]
    with closing(open_encoder(nodes, exported)) as there, closing(OnnxEncoder(exported)) as here:
        found, expected = there.encode(texts), here.encode(texts)
        assert (there.identity, there.ahead, len(there.encode([]).vectors)) == (here.identity, 2 * NODES, 0)
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    np.testing.assert_array_equal(found.n_tokens, expected.n_tokens)
    assert found.made_by == expected.made_by


def test_a_node_with_another_encoder_is_refused(nodes: Any, tmp_path: Path) -> None:
    exported = export(tmp_path)
    change_byte(exported / DOCUMENTS.weights)
    encoder = open_encoder(nodes, exported)
    for _ in range(2):
        with pytest.raises(CorruptError, match=DOCUMENTS.weights):
            encoder.encode(["gout"])
    encoder.close()


def open_encoder(nodes: Any, exported: Path) -> ClusterEncoder:
    """Open an exported encoder on the nodes."""
    setup = NodeSetup(str(exported), read_identity(exported))
    return ClusterEncoder(ClusterEncoderSettings(nodes.address, "auto"), setup)
