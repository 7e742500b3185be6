"""Vectors computed elsewhere: exported, taken over and exported again they are the same bytes; what differs is encoded."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.encode.models.recipe import hash_text, prepare_text
from engine.errors import CorruptError, EncoderError, EncoderMismatchError, EngineError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.vectorfolder import VectorTable
from engine.query.index import get_generation
from engine.query.storedvectors import export_vectors
from engine.records.encoder import Encoded, Vectors
from engine.reindex.encoding.vectorise import EncodingRun, Given, vectorise
from engine.reindex.encoding.vectorsource import TAKEN, VectorSource
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.intake.gather import Gathered
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY, TOY_MODEL, jsonl, order_of, silent
from tests.query.test_storedvectors import LONG
from tests.reindex.encoding.test_vectorise import DIM, Stub, drafted, run_of, vector_of

Run = Callable[..., subprocess.CompletedProcess[str]]
Add = Callable[..., Report]
DATA = ("vectors.npy", "ids.jsonl")


def export(index: IndexFolder, folder: Path, kind: str = "npy") -> Path:
    """Export the vectors of an index."""
    with open_index(index.path) as opened:
        export_vectors(get_generation(opened), folder, silent, kind, overwrite=False)
    return folder


def take(folder: Path, target: Path, *sources: Path, **settings: object) -> Report:
    """Index files with the vectors of a folder."""
    given = {"model": str(TOY_MODEL)} | settings
    return index_sources(IndexFolder(target), order_of(*sources, vectors=VectorSource(folder), **given), silent)


def make(folder: Path, vectors: Vectors, rows: Iterable[dict[str, object]], fingerprint: str) -> Path:
    """Make a folder as a user would."""
    folder.mkdir()
    np.save(folder / "vectors.npy", vectors)
    jsonl(folder / "ids.jsonl", rows)
    (folder / "manifest.json").write_text(json.dumps({"fingerprint": fingerprint}))
    return folder


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "ids.jsonl").read_text(encoding="utf-8").splitlines()]


def change(folder: Path, vectors: Vectors | None = None, rows: list[dict[str, object]] | None = None) -> Path:
    """Change a folder of vectors as its user may, who then removes the digests of its files."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if vectors is not None:
        np.save(folder / "vectors.npy", vectors)
    if rows is not None:
        jsonl(folder / "ids.jsonl", rows)
    return folder


def lengths_of(index: IndexFolder) -> list[tuple[object, ...]]:
    with open_index(index.path) as opened:
        return [tuple(row)[1:] for row in get_generation(opened).corpus.read_all("record_id, n_tokens, truncated")]


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_the_same_bytes_and_the_same_answers(toy: IndexFolder, tmp_path: Path, kind: str) -> None:
    first = export(toy, tmp_path / "first", kind)
    report = take(first, tmp_path / "indexes" / "copy", TOY)
    assert (report.counts.added, report.counts.encoded, report.counts.resumed) == (40, 0, 0)
    assert [(each.made_by, each.texts) for each in report.encodings] == [(TAKEN, 40)] and not report.remarks
    copy = IndexFolder(tmp_path / "indexes" / "copy")
    again = export(copy, tmp_path / "again", kind)
    for name in DATA if kind == "npy" else ("vectors.parquet",):
        assert (again / name).read_bytes() == (first / name).read_bytes(), name
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (first, again)]
    assert manifests[0]["fingerprint"] == manifests[1]["fingerprint"] and manifests[0]["files"] == manifests[1]["files"]
    assert lengths_of(copy) == lengths_of(toy)
    assert verify(copy, copy.open_current(), deep=True) == []
    with open_index(toy.path) as one, open_index(copy.path) as other:
        for text in ("gout", "knee pain and prednisone", "lupus OR gout"):
            assert other.search(text, top_k=40) == one.search(text, top_k=40)
            assert other.nearest(text, 40) == one.nearest(text, 40)
        assert other.similar("toy-03", top_k=40) == one.similar("toy-03", top_k=40)


def test_passages_are_taken_over(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    row = {"id": "long", "title": "Gout", "abstract": LONG}
    add(row, recipe="passages", re_encode=True)
    first = export(toy, tmp_path / "first")
    rows = jsonl(tmp_path / "long.jsonl", [row])
    report = take(first, tmp_path / "indexes" / "copy", TOY, rows, recipe="passages")
    assert report.counts.encoded == 0 and report.encodings[0].texts == len(rows_of(first)) > 41
    again = export(IndexFolder(tmp_path / "indexes" / "copy"), tmp_path / "again")
    for name in DATA:
        assert (again / name).read_bytes() == (first / name).read_bytes(), name
    for record_id, kept in (("short", 1), ("gap", -1)):  # a passage is missing at the end, or at the start
        lines = rows_of(first)
        matrix = np.load(first / "vectors.npy")
        at = next(
            n for n, line in enumerate(lines) if line["id"] == "long" and line["passage"] == (1 if kept < 0 else 2)
        )
        folder = change(
            Path(shutil.copytree(first, tmp_path / record_id)), np.delete(matrix, at, 0), lines[:at] + lines[at + 1 :]
        )
        report = take(folder, tmp_path / "indexes" / record_id, TOY, rows, recipe="passages")
        assert report.counts.encoded == 1
        ((remark, n, place),) = report.remarks
        assert n == 1 and place == "record long" and remark.endswith(", so encoded here")


def test_what_differs_is_encoded_and_counted(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    first = export(toy, tmp_path / "first")
    rows = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
    rows[0]["title"] += ", revised"
    rows.append({"id": "new", "title": "Gout in pregnancy", "abstract": "Nine cases (invented)."})
    lines, matrix = rows_of(first), np.load(first / "vectors.npy")
    matrix[5], matrix[6] = np.nan, 2 * matrix[6]
    lines[8] = lines[7]
    change(first, matrix, lines)
    done = engine("index", jsonl(tmp_path / "rows.jsonl", rows), "-i", "copy", "-m", TOY_MODEL, "--vectors", first)
    assert done.returncode == 0, done.stderr
    assert "41 added, 6 encoded" in done.stdout and f"encoded with {TAKEN}: 35" in done.stdout
    assert "vectors given for another text, so encoded here: 1 (first: record toy-01)" in done.stdout
    assert "no vectors given, so encoded here: 2 (first: record toy-09)" in done.stdout
    assert "vectors given with NaN, or not of length 1, so encoded here: 2 (first: record toy-06)" in done.stdout
    assert "vectors given more than once, so encoded here: 1 (first: record toy-08)" in done.stdout
    plain = engine("index", tmp_path / "rows.jsonl", "-i", "plain", "-m", TOY_MODEL)
    assert plain.returncode == 0
    answers = [engine("search", "gout", "-i", name, "-n", "41").stdout for name in ("copy", "plain")]
    assert [json.loads(line)["id"] for line in answers[0].splitlines()] == [
        json.loads(line)["id"] for line in answers[1].splitlines()
    ]
    status = engine("status", "-i", "copy").stdout
    assert TAKEN in status


def test_vectors_made_by_a_user_without_hashes(toy: IndexFolder, tmp_path: Path) -> None:
    with open_index(toy.path) as index:
        records = list(index.abstracts())
        vectors = index.encode([prepare_text(record.title, record.abstract) for record in records])
        fingerprint = index.manifest.encoder.fingerprint
    folder = make(tmp_path / "own", vectors, ({"id": record.record_id} for record in records), fingerprint)
    report = take(folder, tmp_path / "indexes" / "copy", TOY)
    assert report.counts.encoded == 0 and report.encodings[0].texts == 40
    hashed = (
        {"id": one.record_id, "text_sha256": hash_text(prepare_text(one.title, one.abstract)).upper()}
        for one in records
    )
    folder = make(tmp_path / "hashed", vectors, hashed, fingerprint)
    assert take(folder, tmp_path / "indexes" / "other", TOY).encodings[0].texts == 40


def test_a_table_of_other_programs(toy: IndexFolder, tmp_path: Path) -> None:
    folder = export(toy, tmp_path / "first")
    rows = rows_of(folder)
    change(folder, np.load(folder / "vectors.npy")[[0, *range(40)]], [{"id": "\ud800"}, *rows])
    text = (folder / "ids.jsonl").read_text().replace("\n", "\r\n\r\n")
    (folder / "ids.jsonl").write_text("\ufeff" + text, encoding="utf-8")
    assert take(folder, tmp_path / "indexes" / "copy", TOY).encodings[0].texts == 40


def test_parquet_that_is_damaged_below_its_head(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [arrow] extra")
    from pyarrow import parquet

    empty = pyarrow.array([[] for _ in range(9)], pyarrow.list_(pyarrow.float32(), 0))
    parquet.write_table(pyarrow.table({"id": list("abcdefghi"), "vector": empty}), tmp_path / "vectors.parquet")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"vectors\.parquet can't be read: .*\. Expected a folder"):
        VectorSource(tmp_path)


def test_vectors_of_other_texts_are_noticed(toy: IndexFolder, tmp_path: Path) -> None:
    first = export(toy, tmp_path / "first")
    lines = [{"id": row["id"]} for row in rows_of(first)]
    change(first, np.roll(np.load(first / "vectors.npy"), 1, axis=0), lines)
    with pytest.raises(
        EncoderError, match="the vector given for toy-01 is not that of .*: cosine .*Nothing was published"
    ):
        take(first, tmp_path / "indexes" / "copy", TOY)
    assert IndexFolder(tmp_path / "indexes" / "copy").read_pointer() == 0


def test_only_what_needs_a_vector_is_looked_up(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    first = export(toy, tmp_path / "first")
    report = index_sources(toy, order_of(TOY, vectors=VectorSource(first)), silent)
    assert not report.published and not report.remarks
    again = index_sources(toy, order_of(TOY, vectors=VectorSource(first), re_encode=True), silent)
    assert again.counts.encoded == 0 and again.encodings[0].texts == 40


WRONG: list[tuple[str, Callable[[Path], object], type[EngineError], str]] = [
    ("no manifest", lambda at: (at / "manifest.json").unlink(), UsageError, "has no manifest.json, expected a folder"),
    ("text", lambda at: (at / "manifest.json").write_text("gout"), UsageError, "is no manifest of vectors"),
    (
        "version",
        lambda at: (at / "manifest.json").write_text('{"format_version": 9}'),
        UsageError,
        "has the version 9, expected 1",
    ),
    (
        "no matrix",
        lambda at: (change(at), (at / "vectors.npy").unlink()),
        UsageError,
        "can't be read: No such file or directory. Expected a folder",
    ),
    ("cut off", lambda at: (at / "vectors.npy").write_bytes(b"\x93NUMPY"), CorruptError, "has 6 bytes, expected"),
    (
        "float64",
        lambda at: change(at, np.load(at / "vectors.npy").astype(np.float64)),
        UsageError,
        r"holds float64 in the shape \(40, 32\), expected float32 in rows",
    ),
    ("flat", lambda at: change(at, np.ones(40, np.float32)), UsageError, r"in the shape \(40,\), expected float32"),
    ("objects", lambda at: change(at, np.array([[{}]])), UsageError, r"Python objects in dtype\. Expected a folder"),
    (
        "a damaged head",
        lambda at: (change(at), (at / "vectors.npy").write_bytes(b"\x93NUMPY\x01\0\x03\0(3\n")),
        UsageError,
        r"vectors\.npy can't be read: .*\. Expected a folder",
    ),
    (
        "a list as manifest",
        lambda at: (at / "manifest.json").write_text("[]"),
        UsageError,
        "has another structure. Expected",
    ),
    (
        "not finite",
        lambda at: change(at, np.full((40, 32), np.nan, np.float32)),
        UsageError,
        "length nan, expected 1. Make these",
    ),
    (
        "an archive of arrays",
        lambda at: (change(at), np.savez(at / "a", a=1), (at / "a.npz").replace(at / "vectors.npy")),
        UsageError,
        r"is an archive of arrays \(\.npz\), expected one matrix",
    ),
    ("cubic", lambda at: change(at, np.ones((1, 40, 32), np.float32)), UsageError, r"numpy\.save\(.*vectors\.reshape"),
    (
        "a receipt of another form",
        lambda at: (at / "manifest.json").write_text('{"files": [{"name": "ids.jsonl", "n_bytes": "1", "sha256": 1}]}'),
        UsageError,
        "is no manifest of vectors: it has another structure",
    ),
    (
        "no JSON",
        lambda at: (change(at), (at / "ids.jsonl").write_text('{"id": "a"}\n\n{"id"')),
        UsageError,
        r"ids\.jsonl can't be read at line 3: ",
    ),
    ("a row less", lambda at: change(at, rows=rows_of(at)[1:]), UsageError, "has 39 rows, but .* holds 40 vectors"),
    ("a row more", lambda at: change(at, rows=[*rows_of(at), {"id": "x"}]), UsageError, "has 41 rows"),
    ("no id", lambda at: change(at, rows=[{"key": 1}] * 40), UsageError, "row 1: id is None, expected the id"),
    ("a number", lambda at: change(at, rows=[{"id": 7}] * 40), UsageError, "row 1: id is 7, expected the id"),
    ("a list", lambda at: change(at, rows=[[1]] * 40), UsageError, "row 1: id is None"),  # type: ignore[list-item]
    (
        "passage",
        lambda at: change(at, rows=[{"id": "a", "passage": 0}] * 40),
        UsageError,
        "passage is 0, expected a num",
    ),
    ("hash", lambda at: change(at, rows=[{"id": "a", "text_sha256": "xy"}] * 40), UsageError, "expected 64 hexadec"),
    (
        "not scaled",
        lambda at: change(at, 3 * np.load(at / "vectors.npy")),
        UsageError,
        "40 of 40 vectors can't be used: row 1 has the length 3, expected 1. Scale them",
    ),
]


@pytest.mark.parametrize(("spoil", "kind", "problem"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_a_folder_that_can_t_be_used_is_refused(
    toy: IndexFolder, tmp_path: Path, spoil: Callable[[Path], object], kind: type[EngineError], problem: str
) -> None:
    folder = export(toy, tmp_path / "first")
    spoil(folder)
    with pytest.raises(kind, match=problem):
        VectorSource(folder)


def test_a_line_that_is_cut_off(toy: IndexFolder, tmp_path: Path) -> None:
    folder = change(export(toy, tmp_path / "first"))
    text = (folder / "ids.jsonl").read_text()
    (folder / "ids.jsonl").write_text(text[:-20])
    with pytest.raises(UsageError, match="ids.jsonl can't be read"):
        VectorSource(folder)


def test_vectors_of_another_encoder_are_refused(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    folder = export(toy, tmp_path / "first")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"fingerprint": "0" * 64}))
    done = engine("index", TOY, "-i", "copy", "-m", TOY_MODEL, "--vectors", folder)
    assert done.returncode == EncoderMismatchError.exit_code
    assert f"names the encoder '{'0' * 64}', expected the fingerprint of" in done.stderr
    assert manifest["fingerprint"] in done.stderr
    (folder / "manifest.json").write_text("{}")
    unnamed = engine("index", TOY, "-i", "copy", "-m", TOY_MODEL, "--vectors", folder)
    assert unnamed.returncode == EncoderMismatchError.exit_code and "names no encoder, expected the" in unnamed.stderr
    (folder / "manifest.json").write_text(json.dumps(manifest))
    narrow = np.load(folder / "vectors.npy")[:, :16]
    change(folder, narrow / np.linalg.norm(narrow, axis=1, keepdims=True))
    with pytest.raises(EncoderMismatchError, match="holds vectors of 16 dimensions, expected 32"):
        take(folder, tmp_path / "indexes" / "copy", TOY)


class Failing(Stub):
    """Fails after its twelfth call."""

    def encode(self, texts: list[str]) -> Encoded:  # type: ignore[override]
        if len(self.pages) >= 12:
            raise EncoderError("stopped")
        return super().encode(texts)


def given_to(run: EncodingRun, folder: Path, gathered: Gathered, every: int) -> EncodingRun:
    """Give a run the vectors of one record in `every`."""
    rows = [(f"m{i}", prepare_text(f"Title {i}", f"Abstract {i}")) for i in range(0, 300, every)]
    lines = ({"id": name, "text_sha256": hash_text(text)} for name, text in rows)
    make(folder, np.array([vector_of(text) for _, text in rows]), lines, run.encoder.identity.fingerprint)
    return replace(run, given=Given(VectorSource(folder), lambda texts: np.full(len(texts), 5)))


@pytest.mark.parametrize("again", [True, False])
def test_a_stopped_run_goes_on_with_the_vectors_or_without(tmp_path: Path, again: bool) -> None:
    with drafted(tmp_path, 300) as (draft, gathered):
        run = given_to(run_of(tmp_path, draft, gathered, Failing(page=16, ahead=1)), tmp_path / "given", gathered, 2)
        run.shards.every = 0.0
        with pytest.raises(EncoderError, match="stopped"):
            vectorise(run, None)
        (tmp_path / "second").mkdir()
        with drafted(tmp_path / "second", 300) as (second, gathered):
            rest = replace(run_of(tmp_path / "second", second, gathered, Stub(page=16, ahead=1)), shards=run.shards)
            n_kept = rest.shards.load()
            assert n_kept > 0
            given = replace(run.given, source=VectorSource(tmp_path / "given")) if again and run.given else None
            found = vectorise(replace(rest, given=given), None)
            assert (found.n_resumed, gathered.n_taken) == (n_kept, 150 if again else 0)
            assert found.n_encoded == 300 - n_kept - gathered.n_taken
            texts = second.read_texts_of(found.doc_ids.tolist())
            wanted = np.array([vector_of(prepare_text(text.title, text.abstract)) for text in texts])
            assert np.array_equal(np.concatenate(list(found.read_chunks())), wanted)


def test_parquet_is_read_by_row_group(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [arrow] extra")
    from pyarrow import parquet

    matrix = np.eye(9, DIM, dtype=np.float32)
    vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(matrix.reshape(-1)), DIM)
    table = pyarrow.table({"vector": vectors, "id": [f"m{at}" for at in range(9)]})
    (tmp_path / "manifest.json").write_text('{"fingerprint": "f"}')
    parquet.write_table(table, tmp_path / "vectors.parquet", row_group_size=4)
    read = VectorTable(tmp_path)
    assert read.shape == (9, DIM)
    for first in range(9):
        for n in range(1, 10 - first):
            assert np.array_equal(read.read_vectors(first, n), matrix[first : first + n])
    assert [row.record_id for row in read.read_rows()] == [f"m{at}" for at in range(9)]
    parquet.write_table(pyarrow.table({"id": ["m"], "vector": ["gout"]}), tmp_path / "vectors.parquet")
    with pytest.raises(UsageError, match=re.escape("has the columns id: string, vector: string, expected id: string")):
        VectorTable(tmp_path)


@pytest.mark.parametrize("kind", ["list_", "large_list"])
def test_parquet_of_pandas_and_polars_is_read(tmp_path: Path, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [arrow] extra")
    from pyarrow import parquet

    def write(vectors: list[list[float] | None]) -> VectorTable:
        column = pyarrow.array(vectors, getattr(pyarrow, kind)(pyarrow.float32()))
        ids = pyarrow.array([f"m{at}" for at in range(len(vectors))], pyarrow.large_string())
        parquet.write_table(
            pyarrow.table({"id": ids, "vector": column}), tmp_path / "vectors.parquet", row_group_size=4
        )
        return VectorTable(tmp_path)

    (tmp_path / "manifest.json").write_text('{"fingerprint": "f"}')
    matrix = np.eye(9, DIM, dtype=np.float32)
    read = write(matrix.tolist())
    assert read.shape == (9, DIM) and np.array_equal(read.read_vectors(2, 6), matrix[2:8])
    assert [row.record_id for row in read.read_rows()] == [f"m{at}" for at in range(9)]
    read = write([None, *matrix.tolist()])
    assert read.shape == (10, DIM) and np.isnan(read.read_vectors(0, 1)).all()
    assert np.array_equal(read.read_vectors(1, 9), matrix)
    read = write([*matrix[:6].tolist(), [1.0]])
    with pytest.raises(UsageError, match=rf"row 7: the vector has 1 values, expected {DIM} as in the first one"):
        read.read_vectors(3, 4)
    assert write([None, None]).shape == (2, 0)
