"""What the workers of a cluster run on. Only the choice: no node of the tests has a GPU."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.encode.models.folder import read_identity
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity
from engine.scale.encoding.nodeencoder import Seats, choose_seats
from engine.scale.opening import choose_encoder
from tests.conftest import CURRENT

CORES = Seats(6, {"num_cpus": 1}, "cpu")


@pytest.fixture(scope="module")
def identity() -> EncoderIdentity:
    (exported,) = (CURRENT / "encoders").iterdir()
    return read_identity(exported)


def test_one_worker_for_each_gpu_and_for_each_core_without_gpus(identity: EncoderIdentity) -> None:
    with_gpus, without = {"CPU": 6.0, "GPU": 2.0}, {"CPU": 6.0}
    needs = {"num_cpus": 1, "num_gpus": 1}
    assert choose_seats(with_gpus, identity, "auto") == Seats(2, needs, "auto")
    assert choose_seats(with_gpus, identity, "cuda") == Seats(2, needs, "cuda")
    assert choose_seats(with_gpus, identity, "cpu") == CORES
    assert choose_seats(with_gpus, replace(identity, precision="int8"), "auto") == CORES
    assert choose_seats(without, identity, "auto") == CORES
    assert choose_seats({}, identity, "auto").count == 1  # waits for the first node


def test_a_device_that_no_node_has_is_refused(identity: EncoderIdentity) -> None:
    with pytest.raises(EncoderError, match="no node of the cluster has the device cuda. Use --device cpu"):
        choose_seats({"CPU": 6.0}, identity, "cuda")
    with pytest.raises(EncoderError, match="no node of the cluster has the device mps"):
        choose_seats({"CPU": 6.0, "GPU": 1.0}, identity, "mps")
    with pytest.raises(EncoderError, match="an int8 encoder runs on a CPU only"):
        choose_seats({"CPU": 6.0, "GPU": 1.0}, replace(identity, precision="int8"), "cuda")


def test_texts_are_encoded_here_without_a_cluster_and_with_an_object_store(tmp_path: Path) -> None:
    assert choose_encoder(tmp_path) is None
    for storage, is_there in (("s3://bucket/pubmed", False), ("/mnt/pubmed", True)):
        (tmp_path / "index.toml").write_text(f'backend = "ray"\n[ray]\nstorage = "{storage}"\n')
        assert (choose_encoder(tmp_path) is not None) is is_there
