"""The encoder of a run on three nodes, against the same run on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.config import Settings
from engine.encode.models.folder import DOCUMENTS, read_identity
from engine.errors import CorruptError, EncoderError
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.scale import clusterencoder
from engine.scale.clusterencoder import ClusterEncoder, ClusterEncoderSettings, EncoderWorker
from engine.scale.nodeencoder import NodeSetup
from engine.scale.opening import choose_encoder
from tests.conftest import CURRENT, SAMPLE, jsonl, silent
from tests.scale.test_job import change_byte, export, make_folder, read_vectors

FILE = SAMPLE / "abstracts.jsonl"
ROWS = [
    {"id": f"delta-{number}", "title": f"Gout {number}", "abstract": "Colchicine. " * number} for number in range(90)
]


class Dying(EncoderWorker):
    """A worker that dies over one text."""

    def encode(self, texts: Sequence[str]) -> Any:
        if any("deadly" in text for text in texts):
            import os

            os._exit(1)
        return super().encode(texts)


def test_a_night_on_a_cluster_publishes_the_same_bytes_although_a_node_dies(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusterencoder, "_PAGE", 8)
    there, here = make_folder(tmp_path / "there", nodes.address), make_folder(tmp_path / "here", nodes.address)
    night = jsonl(tmp_path / "night.jsonl", ROWS)
    victims = [nodes.add_node(num_cpus=1, object_store_memory=80_000_000)]
    nodes.wait_for_nodes()

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase == "encoding" and done and victims:
            nodes.remove_node(victims.pop(), allow_graceful=False)

    elsewhere = choose_encoder(there.path)
    for file, progress in ((FILE, kill), (night, silent)):
        settings = Settings.load(there.path)
        done = index_sources(there, Order((file,), settings, elsewhere=elsewhere), progress)
        made = index_sources(here, Order((file,), settings), silent)
        assert done.counts == made.counts
        assert done.counts.encoded > 0
        assert [one.name for one in done.encodings] == [one.name for one in made.encodings]
    assert not victims
    assert read_vectors(there) == read_vectors(here) != []


def test_texts_that_kill_every_worker_are_named(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusterencoder, "EncoderWorker", Dying)
    monkeypatch.setattr(clusterencoder, "_MOST_DEATHS", 2)
    encoder = open_encoder(nodes, *(CURRENT / "encoders").iterdir())
    with pytest.raises(EncoderError, match="2 workers died over the same 1 texts, the first 'a deadly text'"):
        encoder.encode(["a deadly text"])
    assert len(encoder.encode(["gout"]).vectors) == 1
    encoder.close()
    with pytest.raises(EncoderError, match="encodes documents only"):
        encoder.encode_queries(["gout"])


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
