"""Storage of files for nodes: a folder, and an object store of moto's server; caches of nodes with a bound."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import ClusterError, ConfigError, CorruptError
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.generations.segment import Segment
from engine.index.generations.vectors import open_part
from engine.receipts import FileReceipt
from engine.scale.nodes.nodefiles import NodeFiles
from engine.scale.nodes.storage import Storage
from engine.scale.ranking.holder import Holder, build_key
from tests.conftest import Lasting

pytest.importorskip("fsspec", reason="needs the [ray] extra: fsspec is not installed")


@pytest.fixture(params=["folder", "memory", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind."""
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('bucket')}/toy"
    if request.param == "folder":
        return (tmp_path / "shared").as_uri()
    return f"memory://{tmp_path.name}"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The name of a bucket at a server on loopback that speaks as S3 does."""
    server = pytest.importorskip("moto.server", reason="needs moto[server]: it is not installed")
    pytest.importorskip("s3fs", reason="needs the [s3] extra: s3fs is not installed")
    import s3fs

    running = server.ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem().mkdir("bucket")
        yield "bucket"
    running.stop()


@pytest.fixture(scope="module")
def changed(lasting: Lasting) -> Path:
    """An index of two segments; a record was written again, so that the first segment has a dead one."""
    folder, add = lasting()
    add({"id": "toy-01", "title": "Colchicine, revised", "abstract": "Anew.", "year": 2024}, one_segment_below=1)
    return folder.path


@pytest.fixture
def generation(changed: Path, tmp_path: Path) -> Generation:
    """The generation of a copy of it."""
    return IndexFolder(Path(shutil.copytree(changed, tmp_path / "toy"))).open_current()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def open_all(node: NodeFiles, generation: Generation, used: tuple[str, ...] = ()) -> list[Segment]:
    """All segments of a generation as a node opens them."""
    number, path = generation.manifest.generation, generation.path / "manifest.json"
    manifest = node.read_manifest(number, FileReceipt.of(path).sha256)
    fingerprint = manifest.encoder.fingerprint
    return [node.open_segment(number, fingerprint, entry, used) for entry in manifest.segments]


def test_a_node_has_the_vectors_of_the_generation(address: str, generation: Generation) -> None:
    first = Storage(address).write_generation(generation)
    manifest = generation.path / "manifest.json"
    other = Storage(address)
    name = f"{other._root}/generations/{generation.path.name}/manifest.json"
    other._files.pipe_file(name, b" " * manifest.stat().st_size)  # of a run that failed, with the same number
    again = other.write_generation(generation)
    assert other._files.cat_file(name) == manifest.read_bytes()
    assert first.copied == 6  # two vectors, two receipts, dead records, the manifest
    assert (again.copied, again.kept) == (2, 4)  # the manifest and the dead records are written again
    node = NodeFiles(address, 10**9)
    found = open_all(node, generation)
    for one, other in zip(found, generation.segments, strict=True):
        dim = generation.manifest.encoder.dim
        here, there = open_part(one, dim, {}), open_part(other, dim, {})
        np.testing.assert_array_equal(here.index.doc_ids, there.index.doc_ids)
        np.testing.assert_array_equal(one.dead, other.dead)
    assert not list(node.folder.path.rglob("*.db"))  # what no node needs
    assert not list(node.folder.path.rglob("*.part*"))


def test_what_no_kept_generation_names_is_removed(address: str, generation: Generation, tmp_path: Path) -> None:
    storage = Storage(address)
    storage.write_generation(generation)
    (other := tmp_path / "note").write_text("of a person")
    storage._files.put_file(str(other), f"{storage._root}/segments/note")
    storage._files.makedirs(f"{storage._root}/segments/000009-0a0b0c0d", exist_ok=True)
    storage._files.put_file(str(other), f"{storage._root}/segments/000009-0a0b0c0d/vectors.faiss.part")
    names = [entry.name for entry in generation.manifest.segments]
    assert storage.drop_others([generation.manifest.generation], names) == ["segments/000009-0a0b0c0d"]
    assert storage.drop_others([generation.manifest.generation], names[:1]) == [f"segments/{names[1]}"]
    assert storage.drop_others([], names[:1]) == [f"generations/{generation.path.name}"]
    assert storage._files.exists(f"{storage._root}/segments/note")


def test_damage_in_storage_is_refused_and_damage_in_a_cache_is_replaced(address: str, generation: Generation) -> None:
    storage = Storage(address)
    storage.write_generation(generation)
    open_all(node := NodeFiles(address, 10**9), generation)
    vectors = node.folder.get_segment_files(generation.segments[0].entry.name).vectors
    content = bytearray(vectors.read_bytes())
    for damaged in (bytes(content[:-1]), bytes([*content[:-1], content[-1] ^ 1])):
        vectors.write_bytes(damaged)
        open_all(NodeFiles(address, 10**9), generation)
        assert vectors.read_bytes() == content
    name = vectors.relative_to(node.folder.path).as_posix()
    for damaged in (bytes(content[:-1]), bytes([*content[:-1], content[-1] ^ 1])):
        storage._files.pipe_file(f"{storage._root}/{name}", damaged)
        vectors.unlink(missing_ok=True)
        with pytest.raises(CorruptError, match=f"{name} has the SHA-256 .*, expected .*Remove it there"):
            open_all(node, generation)
        assert not list(node.folder.path.rglob("*.part*"))
    storage._files.rm(f"{storage._root}/{name}")
    with pytest.raises(ClusterError, match=f"{name} can't be used: .*Check ray.storage"):
        open_all(node, generation)


def test_a_cache_keeps_its_bound(generation: Generation, tmp_path: Path) -> None:
    address = (tmp_path / "shared").as_uri()
    Storage(address).write_generation(generation)
    sizes = {one.entry.name: one.files.vectors.stat().st_size for one in generation.segments}
    first, second = sizes
    node = NodeFiles(address, max(sizes.values()) + 100)  # not two, with their receipts
    open_all(node, generation)
    assert os.listdir(node.folder.segments) == [second]
    with pytest.raises(ClusterError, match=r"the cache of this node may hold .* Set ray.cache_gb higher"):
        open_all(node, generation, used=(second,))
    assert not node.folder.get_segment_files(first).vectors.exists()


def test_a_cache_drops_generations_that_are_not_kept(
    generation: Generation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, number = (tmp_path / "shared").as_uri(), generation.manifest.generation
    Storage(address).write_generation(generation)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    holder, key = Holder(address, 10**9), build_key(generation)
    names = [entry.name for entry in generation.manifest.segments]
    assert holder.answer(key, names, "count")
    folder = holder._files.folder
    for other in (number - 1, number + 7):
        shutil.copytree(folder.get_generation_path(number), folder.get_generation_path(other))
    holder.drop([key])
    assert folder.list_numbers() == [number, number + 7]  # one that is being placed is not kept yet
    assert holder.answer(key, names, "count")
    in_place = Holder(str(generation.path.parent.parent), 0)
    in_place.drop([replace(key, number=number + 1)])
    assert generation.path.exists()


def test_an_address_that_can_not_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="holds a password, expected none"):
        Storage("s3://me:secret@host/bucket")
    with pytest.raises(ConfigError, match="ray.storage is 'tape://x': .*Expected a folder, or s3://BUCKET"):
        Storage("tape://x")
    with pytest.raises(ConfigError, match=r"ray.storage is 's3://\[x': Invalid IPv6 URL"):
        Storage("s3://[x")


def test_a_node_reads_a_folder_in_place(generation: Generation, cache: Path) -> None:
    node = NodeFiles(str(generation.path.parent.parent), 0)
    assert [one.files.path for one in open_all(node, generation)] == [one.files.path for one in generation.segments]
    assert not cache.joinpath("cluster").exists()
    vectors = generation.segments[0].files.vectors
    vectors.write_bytes(vectors.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="bytes, expected"):
        open_all(node, generation)


def test_another_manifest_is_refused(generation: Generation) -> None:
    node: Any = NodeFiles(str(generation.path.parent.parent), 0)
    with pytest.raises(CorruptError, match=r"has the manifest .*, expected 000000000000"):
        node.read_manifest(generation.manifest.generation, "0" * 64)
