"""Files encoded on three nodes, then indexed, against the same files encoded by this process."""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from engine.config import Settings
from engine.encode.models.folder import DOCUMENTS, read_identity
from engine.errors import ClusterError, ConfigError, CorruptError, EncoderMismatchError, SourceError
from engine.index.generations.folder import IndexFolder
from engine.query.index import open_index
from engine.receipts import FileReceipt
from engine.reindex.encoding.shards import Shards
from engine.reindex.generation.order import Order, Report
from engine.reindex.generation.verify import verify
from engine.reindex.intake.sources import Source
from engine.reindex.runs.run import index_sources
from engine.scale.encoding import job
from engine.scale.encoding.job import encode_sources
from engine.scale.encoding.nodeencoder import NodeSetup, Seats
from engine.scale.encoding.unitworker import UncountedFile, Unit, UnitCounts, UnitWorker, WorkerSetup
from tests.conftest import CURRENT, HERE, SAMPLE, TOY_MODEL, jsonl, silent, spare_export
from tests.scale.conftest import NODES

PUBMED = HERE / "data" / "pubmed26n0001.xml"  # PMID 101, 102, 103; it deletes 104
ROWS = ({"id": "PMID:104", "title": "A toy that is deleted later"}, {"id": "r-1", "title": "Gout in its first wording"})
REVISED = ({"id": "r-1", "title": "Gout, revised", "abstract": "Another text."},)
RECORDS = 30  # of a unit


@dataclass(frozen=True)
class Encoded:
    """An index whose texts were encoded on the cluster, before anything is published."""

    folder: IndexFolder
    files: tuple[Path, ...]
    report: Any


@pytest.fixture(scope="module")
def encoded(nodes: Any, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encoded]:
    """Real files, one of them twice, a record that is revised and one that is deleted, encoded on the cluster."""
    place = tmp_path_factory.mktemp("job")
    again = Path(shutil.copy(SAMPLE / "abstracts.jsonl", place / "again.jsonl"))
    rows, revised = jsonl(place / "rows.jsonl", ROWS), jsonl(place / "revised.jsonl", REVISED)
    real = shared / "formats" / "pubmed_xml" / "pubmed.xml"
    files = (SAMPLE / "abstracts.jsonl", SAMPLE / "pubmed.xml", again, real, rows, revised, PUBMED)
    folder = make_folder(place / "indexes" / "there", nodes.address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_CACHE", str(place / "cache"))
        patch.setattr(job, "_RECORDS", RECORDS)
        yield Encoded(folder, files, encode(folder, files))


def make_folder(path: Path, address: str) -> IndexFolder:
    """Make the folder of an index that names a cluster and holds the exported toy model."""
    path.mkdir(parents=True)
    text = f'model = "{TOY_MODEL.as_posix()}"\ndevice = "cpu"\nbackend = "ray"\n[ray]\naddress = "{address}"\n'
    (path / "index.toml").write_text(text)
    return spare_export(IndexFolder(path))


def encode(folder: IndexFolder, files: Sequence[Path]) -> Any:
    """Encode files on the cluster that the folder names."""
    return encode_sources(folder, Settings.load(folder.path), [Source(path) for path in files], silent)


def index(folder: IndexFolder, files: Sequence[Path]) -> Report:
    """Index files in this process."""
    return index_sources(folder, Order(tuple(files), Settings.load(folder.path)), silent)


def copy_folder(encoded: Encoded, target: Path) -> IndexFolder:
    """Copy the index, its shards with it."""
    return IndexFolder(Path(shutil.copytree(encoded.folder.path, target)))


def read_vectors(folder: IndexFolder) -> list[bytes]:
    """Return the bytes of the vectors of each segment."""
    return [path.read_bytes() for path in sorted(folder.path.glob("segments/*/vectors.faiss"))]


def list_shards(folder: IndexFolder) -> list[Path]:
    """Return the shards of an index."""
    return sorted(folder.shards.glob("*/*.shard"))


def test_an_index_takes_over_what_the_nodes_encoded(encoded: Encoded, nodes: Any, tmp_path: Path) -> None:
    assert (encoded.report.units, encoded.report.kept, encoded.report.refused) == (4 + 1 + 1 + 1 + 1 + 1, 0, 0)
    assert encoded.report.encoded == 120 + 5 + 5 + 2 + 1 + 3
    assert len(list_shards(encoded.folder)) == encoded.report.units  # the second copy of a file is no work
    there, here = copy_folder(encoded, tmp_path / "there"), make_folder(tmp_path / "here", nodes.address)
    taken, made = index(there, encoded.files), index(here, encoded.files)
    assert (taken.counts.encoded, made.counts.resumed) == (0, 0)
    assert taken.counts.resumed == made.counts.encoded > 120
    assert read_vectors(there) == read_vectors(here) != []
    published = there.open_current()
    assert verify(there, published, deep=True) == []
    assert published.manifest.id_sum == here.open_current().manifest.id_sum
    with open_index(there.path) as opened:
        ids = [record.record_id for record in opened.abstracts()]
        assert len(ids) == len(set(ids)) == taken.counts.abstracts
        assert {"PMID:101", "PMID:102", "PMID:103"} < set(ids)
        assert "PMID:104" not in ids
        assert opened.get("r-1").title == "Gout, revised"


def test_a_damaged_part_is_found_and_encoded_again(
    encoded: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = copy_folder(encoded, tmp_path / "there"), SAMPLE / "abstracts.jsonl"
    *_, flipped, truncated = sorted(list_shards(folder), key=lambda path: path.stat().st_size)  # both of RECORDS texts
    truncated.write_bytes(truncated.read_bytes()[:-1])
    content = bytearray(flipped.read_bytes())
    content[-40] ^= 1  # in its last row
    flipped.write_bytes(content)
    monkeypatch.setattr(job, "_RECORDS", 500)  # another cut finds the same texts
    done = encode(folder, [file])
    assert (done.units, done.encoded, done.kept) == (1, RECORDS + 1, 120 - RECORDS - 1)
    counts = index(folder, [file]).counts
    assert (counts.encoded, counts.resumed) == (0, 120)


def test_an_encoder_that_differs_by_a_byte_on_a_node_is_refused(
    encoded: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, prepare = copy_folder(encoded, tmp_path / "there"), job.prepare_encoders

    def prepare_and_change(*args: Any) -> Any:
        encoder, queries = prepare(*args)
        change_byte(queries.folder / DOCUMENTS.weights)
        return encoder, queries

    monkeypatch.setattr(job, "prepare_encoders", prepare_and_change)
    with pytest.raises(CorruptError, match=rf"{DOCUMENTS.weights} .*expected.*engine index FILE -m MODEL"):
        encode(folder, [PUBMED])


def export(place: Path) -> Path:
    """Return a copy of the exported toy model."""
    (exported,) = (CURRENT / "encoders").iterdir()
    return Path(shutil.copytree(exported, place / exported.name))


def set_up(exported: Path, place: Path) -> WorkerSetup:
    """Return the setup of a worker with this encoder."""
    return WorkerSetup(NodeSetup(str(exported), read_identity(exported)), str(place / "shards"))


def change_byte(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.fixture
def on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be one of a node that asks for a token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")


def test_a_worker_refuses_a_node_that_asks_for_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(ConfigError, match="asks nobody for a token.*RAY_AUTH_MODE=token"):
        UnitWorker().open(set_up(export(tmp_path), tmp_path))


@pytest.mark.parametrize("name", [DOCUMENTS.tokenizer, DOCUMENTS.graph, DOCUMENTS.weights, "encoder.json"])
def test_a_worker_refuses_each_changed_file(name: str, on_a_node: None, tmp_path: Path) -> None:
    exported = export(tmp_path)
    setup = set_up(exported, tmp_path)
    UnitWorker().open(setup)
    change_byte(exported / name)
    with pytest.raises(CorruptError, match=name):
        UnitWorker().open(setup)


def test_a_worker_refuses_another_encoder(on_a_node: None, tmp_path: Path) -> None:
    exported = export(tmp_path)
    other = replace(read_identity(exported), recipe="passages")
    with pytest.raises(EncoderMismatchError, match="passages"):
        UnitWorker().open(WorkerSetup(NodeSetup(str(exported), other), str(tmp_path / "shards")))


def test_a_worker_reads_on_in_its_file_and_refuses_another_file(on_a_node: None, tmp_path: Path) -> None:
    exported = export(tmp_path)
    rows = [{"id": str(number), "title": f"Gout {number}"} for number in range(7)]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    sha256 = FileReceipt.of(path).sha256
    worker = UnitWorker()
    worker.open(set_up(exported, tmp_path))
    for start, count in ((0, 2), (3, 2), (5, 2), (2, 1)):  # on, over one, on, back
        assert worker.encode(Unit(str(path), None, sha256, start, count)) == UnitCounts(count, 0, 0)
    shards = Shards(tmp_path / "shards", read_identity(exported).dim, math.inf)
    assert shards.load() == 7
    path.write_text(path.read_text() + "\n")
    with pytest.raises(SourceError, match="is not the file that was counted"):
        worker.encode(Unit(str(path), None, sha256, 0, 2))


def test_each_worker_counts_a_file_and_stays_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_RECORDS", 10)
    one, two, same, empty = (UncountedFile(name, None) for name in ("one", "two", "same", "empty"))
    waiting = job._Waiting([one, two, one, same, empty])
    assert len(waiting) == 4 and waiting.take(None, []) == one
    assert waiting.add_units(one, "A", 25) == 3
    first = waiting.take(("A", None), [])
    assert first == Unit("one", None, "A", 0, 10)
    assert [waiting.take(None, [first]) for _ in range(3)] == [two, same, empty]  # another worker shares no file yet
    assert (waiting.add_units(two, "B", 10), waiting.add_units(same, "A", 25), waiting.add_units(empty, "C", 0)) == (
        1,
        0,
        0,
    )
    assert waiting.take(None, [first]) == Unit("two", None, "B", 0, 10)
    last = waiting.take(("B", None), [first])
    assert last == Unit("one", None, "A", 10, 10)
    waiting.give_back(last)
    assert [waiting.take(("A", None), []) for _ in range(3)] == [last, Unit("one", None, "A", 20, 5), None]
    waiting.give_back(two)
    assert len(waiting) == 1 and waiting.take(None, []) == two


@pytest.mark.slow
def test_files_are_counted_on_the_nodes(nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker encodes the file that it has counted, while others are not counted yet."""

    class Noting(UnitWorker):
        def count(self, file: UncountedFile) -> tuple[str, int]:
            self.note(f"count {file.path}")
            return super().count(file)

        def encode(self, unit: Unit) -> UnitCounts:
            self.note(f"encode {unit.path}")
            return super().encode(unit)

        def note(self, line: str) -> None:
            with (tmp_path / "notes").open("a") as file:
                file.write(f"{line}\n")

    monkeypatch.setattr(job, "UnitWorker", Noting)
    paths = [jsonl(tmp_path / f"{n}.jsonl", [{"id": f"{n}", "title": f"Gout {n}"}]) for n in range(3 * NODES)]
    report = encode(make_folder(tmp_path / "there", nodes.address), paths)
    assert (report.units, report.encoded) == (3 * NODES, 3 * NODES)
    lines = (tmp_path / "notes").read_text().splitlines()
    assert sorted(lines) == sorted(f"{what} {path}" for what in ("count", "encode") for path in paths)
    assert lines.index(next(line for line in lines if line.startswith("encode"))) < 2 * NODES


@pytest.mark.parametrize("seats", [Seats(0, {}, "cpu"), Seats(1, {"num_cpus": 99}, "cpu")])
def test_a_cluster_without_a_free_core_is_reported(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seats: Seats
) -> None:
    monkeypatch.setattr(job, "choose_seats", lambda *_: seats)
    monkeypatch.setattr(job, "_PATIENCE", 0.5)
    monkeypatch.setattr(job, "_WAIT", 0.2)
    with pytest.raises(ClusterError, match="no node of the cluster had a free core .* ray status"):
        encode(make_folder(tmp_path / "there", nodes.address), [SAMPLE / "abstracts.jsonl"])
