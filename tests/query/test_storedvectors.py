"""`engine vectors export`, Index.vectors and search by vector."""

import hashlib
import json
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.encode.models.recipe import hash_text, prepare_text
from engine.errors import AbstractNotFoundError, CorruptError, UsageError
from engine.index.generations import vectorfolder
from engine.index.generations.folder import IndexFolder
from engine.index.generations.vectorfolder import VectorBlock, VectorFacts, write_vector_folder
from engine.query import storedvectors
from engine.query.index import get_generation
from engine.query.storedvectors import export_vectors
from engine.reindex.generation.order import Report
from tests.conftest import silent

Run = Callable[..., subprocess.CompletedProcess[str]]
Add = Callable[..., Report]
LONG = " ".join(f"In group {n} the patients were given methotrexate and their gout was measured." for n in range(60))


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "ids.jsonl").read_text(encoding="utf-8").splitlines()]


def test_all_vectors_with_their_ids_and_a_manifest(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    done = engine("vectors", "export", "-i", "toy", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    matrix, rows = np.load(tmp_path / "out" / "vectors.npy"), rows_of(tmp_path / "out")
    assert (matrix.shape, matrix.dtype) == ((40, 32), np.float32)
    with open_index(toy.path) as index:
        records = list(index.abstracts())
        assert [row["id"] for row in rows] == [record.record_id for record in records]
        assert np.array_equal(index.vectors([record.record_id for record in records]), matrix)
        expected = [hash_text(prepare_text(record.title, record.abstract)) for record in records]
        assert [row["text_sha256"] for row in rows] == expected
        assert manifest["fingerprint"] == index.manifest.encoder.fingerprint
    assert {row["passage"] for row in rows} == {1}
    assert (manifest["dimension"], manifest["dtype"], manifest["generation"]) == (32, "float32", 1)
    assert (manifest["n_records"], manifest["n_vectors"], manifest["index"]) == (40, 40, "toy")
    for file in manifest["files"]:
        content = (tmp_path / "out" / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["n_bytes"], file["sha256"])
    said = f"40 vectors of 40 records to {tmp_path / 'out'} (32 dimensions, float32, encoder "
    assert done.stderr.splitlines()[-1].startswith(said + manifest["fingerprint"][:12])


def test_blocks_make_the_same_files(toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(toy.path) as index:
        snapshot = get_generation(index)
        export_vectors(snapshot, tmp_path / "whole", silent, overwrite=False)
        monkeypatch.setattr(storedvectors, "_BLOCK", 7)
        export_vectors(snapshot, tmp_path / "blocks", silent, overwrite=False)
    for name in (vectorfolder.MANIFEST, *vectorfolder.KINDS["npy"]):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "blocks" / name).read_bytes(), name


def test_passages_have_a_row_each(toy: IndexFolder, add: Add, engine: Run, tmp_path: Path) -> None:
    add({"id": "long", "title": "Gout", "abstract": LONG}, recipe="passages", re_encode=True)
    assert engine("vectors", "export", "-o", tmp_path / "out").returncode == 0
    rows, matrix = rows_of(tmp_path / "out"), np.load(tmp_path / "out" / "vectors.npy")
    places = [at for at, row in enumerate(rows) if row["id"] == "long"]
    assert len(places) > 2 and places == list(range(places[0], places[-1] + 1))
    assert [rows[at]["passage"] for at in places] == list(range(1, len(places) + 1))
    assert len({rows[at]["text_sha256"] for at in places}) == 1
    with open_index(toy.path) as index:
        assert len(matrix) == len(rows) == get_generation(index).vectors.n_rows > len(index)
        mean = matrix[places].astype(np.float64).mean(axis=0)
        assert np.allclose(index.vectors(["long"])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_a_folder_is_never_mixed_or_half_written(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert engine("vectors", "export", "-o", out).returncode == 0
    refused = engine("vectors", "export", "-o", out)
    assert refused.returncode == 2 and "holds exported vectors. Write over them: --overwrite" in refused.stderr
    assert engine("vectors", "export", "-o", out, "--overwrite").returncode == 0
    (out / "mine.txt").write_text("x")
    refused = engine("vectors", "export", "-o", out, "--overwrite")
    assert refused.returncode == 2 and "holds mine.txt, expected a new folder" in refused.stderr
    facts = VectorFacts("toy", 1, "model", "f" * 64, "whole", 2, 2, 2)
    block = VectorBlock(["one"], ["d" * 64], np.array([1]), np.array([[1, 0]], np.float32))
    with pytest.raises(CorruptError, match="toy gave 1 vectors of 1 records, its manifest says 2 of 2"):
        write_vector_folder(tmp_path / "short", facts, [block], overwrite=False)
    assert not (tmp_path / "short" / "manifest.json").exists()


def test_memory_does_not_grow_with_the_vectors(tmp_path: Path) -> None:
    n, dim = 4096, 64  # 1 MB of vectors a block
    one = VectorBlock([f"PMID:{at}" for at in range(n)], ["d" * 64] * n, np.ones(n, np.int64), np.ones((n, dim), "f4"))
    facts = VectorFacts("toy", 1, "model", "f" * 64, "whole", dim, 24 * n, 24 * n)
    tracemalloc.start()
    try:
        write_vector_folder(tmp_path / "out", facts, (one for _ in range(24)), overwrite=False)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out" / "vectors.npy").stat().st_size > 24 << 20


def test_vectors_in_the_order_of_the_ids(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        found = index.vectors(["toy-02", "toy-01", "toy-02"])
        assert (found.shape, found.dtype) == ((3, 32), np.float32)
        assert np.array_equal(found[0], found[2]) and not np.array_equal(found[0], found[1])
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        assert index.vectors([]).shape == (0, 32)
        with pytest.raises(AbstractNotFoundError, match="2 ids not in this index: nope, other"):
            index.vectors(["toy-01", "nope", "other"])
        with pytest.raises(UsageError, match="ids is 'toy-01', expected a list of record ids"):
            index.vectors("toy-01")


def test_a_vector_finds_what_its_text_finds(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        (vector,) = index.encode(["gout and diet"])
        assert index.nearest_to(vector, 5) == index.nearest("gout and diet", 5)
        assert index.nearest_to((3 * vector).tolist(), 5) == index.nearest("gout and diet", 5)
        (stored,) = index.vectors(["toy-07"])
        assert index.nearest_to(stored, 1)[0].id == "toy-07"


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        (np.ones(31), r"has the shape \(31,\), expected \(32,\)"),
        (np.ones((1, 32)), r"has the shape \(1, 32\), expected \(32,\)"),
        (np.zeros(32), "is zero, so it has no direction"),
        (np.full(32, np.nan), "holds NaN or infinity"),
        (np.full(32, 1j), "expected 32 numbers"),
        ("gout", "expected 32 numbers"),
    ],
)
def test_what_is_no_vector_of_this_index(toy: IndexFolder, vector: object, problem: str) -> None:
    with open_index(toy.path) as index, pytest.raises(UsageError, match=problem):
        index.nearest_to(vector)
