import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.corpus.storage.store import open_database
from engine.corpus.words.wordwriter import write_words
from engine.encode.execution.onnx import OnnxEncoder
from engine.errors import (
    ClusterError,
    CorruptError,
    DurabilityError,
    EncoderError,
    EncoderMismatchError,
    GenerationError,
    LockedError,
    SourceError,
    UsageError,
)
from engine.index.files import durable
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.search.flat import FlatIndex
from engine.options import IndexSettings
from engine.platform import sync_path
from engine.records.encoder import Encoded, Vectors
from engine.records.generation import DocIds, Totals, sum_ids
from engine.reindex.encoding import vectorise as vectorising
from engine.reindex.generation.order import Order, Report
from engine.reindex.generation.verify import verify
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY, TOY_MODEL, jsonl, segment_of, sign_again, silent

Add = Callable[..., Report]


def vectors_of(folder: IndexFolder) -> FlatIndex:
    generation = folder.open_current()
    (segment,) = generation.segments
    return FlatIndex(segment.files.vectors, generation.manifest.encoder.dim)


def tree(path: Path) -> dict[str, bytes]:
    """Every file that readers see."""
    files = {p.relative_to(path): p for p in path.rglob("*") if p.is_file() and p.name != "LOCK"}
    return {str(name): p.read_bytes() for name, p in files.items() if name.parts[0] != "shards"}


def test_new_changed_same_and_doubled_records_are_told_apart(toy: IndexFolder, add: Add) -> None:
    add({"id": "a", "title": "A"}, {"id": "b", "title": "B"}, {"id": "c", "title": "C", "year": 2000})
    report = add(
        {"id": "a", "title": "A"},
        {"id": "b", "title": "B changed"},
        {"id": "c", "title": "C", "year": 2001},
        {"id": "d", "title": "D"},
        {"id": "d", "title": "D", "year": 1999},
        {"id": "e", "title": "E first"},
        {"id": "e", "title": "E last"},
        {"id": "f"},
    )
    counts = report.counts
    assert report.published and report.generation == 3
    assert (counts.added, counts.text_changed, counts.metadata_changed, counts.unchanged) == (2, 1, 1, 1)
    assert (counts.duplicates, counts.rejected, counts.encoded, counts.abstracts) == (2, 1, 3, 45)
    with open_index(toy.path) as index:
        assert index.get("e").title == "E last"
        assert index.get("d").year == 1999
        assert index.get("c").year == 2001


def test_the_last_of_several_files_wins(toy: IndexFolder, tmp_path: Path) -> None:
    one = jsonl(tmp_path / "one.jsonl", [{"id": "a", "title": "first"}])
    two = jsonl(tmp_path / "two.jsonl", [{"id": "a", "title": "second"}])
    report = index_sources(toy, Order((one, two, one), IndexSettings(device="cpu")), silent)
    assert report.counts.duplicates == 0  # a file gives each record once
    assert [(r.counts.added, r.counts.merged, r.counts.text_changed) for r in report.readings] == [
        (1, 0, 0), (0, 1, 0), (0, 0, 1),
    ]  # fmt: skip
    with open_index(toy.path) as index:
        assert index.get("a").title == "first"


def test_the_same_files_again_change_nothing(toy: IndexFolder) -> None:
    before = tree(toy.path)
    report = index_sources(toy, Order((TOY,), IndexSettings(device="cpu")), silent)
    assert not report.published and report.generation == 1
    assert report.counts.unchanged == 40
    assert tree(toy.path) == before


def test_unchanged_vectors_are_carried_over_byte_for_byte(toy: IndexFolder, add: Add) -> None:
    before = vectors_of(toy)
    report = add(
        {"id": "toy-05", "title": "Another title"}, {"id": "toy-07", "title": "x", "year": 1}, {"id": "n", "title": "N"}
    )
    after = vectors_of(toy)
    assert report.counts.encoded == 3
    same = [i for i in before.doc_ids.tolist() if i not in (5, 7)]
    assert np.array_equal(
        before.vectors[before.find_rows(np.array(same))], after.vectors[after.find_rows(np.array(same))]
    )
    assert not np.array_equal(before.get_points(np.array([5])), after.get_points(np.array([5])))


def test_metadata_changes_never_load_the_encoder_with_texts(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    real = OnnxEncoder.encode

    def spy(self: OnnxEncoder, texts: Sequence[str]) -> Encoded:
        encoded.extend(texts)
        return real(self, texts)

    with open_index(toy.path) as index:
        row = index.get("toy-01")
    monkeypatch.setattr(vectorising, "encode_checked", lambda *_: pytest.fail("a text was encoded"))
    monkeypatch.setattr(OnnxEncoder, "encode", spy)
    report = add({"id": row.record_id, "title": row.title, "abstract": row.abstract, "year": 1800})
    assert (report.counts.metadata_changed, report.counts.encoded) == (1, 0)
    assert len(encoded) == 8  # the probe texts of the manifest


def test_pubmed_deletions_leave_index_and_corpus(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    add({"pmid": 7, "title": "Seven"}, {"pmid": 8, "title": "Eight"})
    source = tmp_path / "update.xml"
    source.write_text(
        "<PubmedArticleSet><DeleteCitation><PMID>7</PMID><PMID>99</PMID></DeleteCitation></PubmedArticleSet>"
    )
    report = index_sources(toy, Order((source,), IndexSettings(device="cpu")), silent)
    assert (report.counts.deleted, report.counts.abstracts) == (1, 41)
    with open_index(toy.path) as index:
        assert "PMID:7" not in {hit.id for hit in index.search("Seven", top_k=100)}
    assert not verify(toy, toy.open_current(), deep=True)


def test_an_index_is_never_emptied(tmp_path: Path, toy: IndexFolder) -> None:
    empty = jsonl(tmp_path / "empty.jsonl", [{"id": "a"}])
    fresh = IndexFolder(tmp_path / "indexes" / "fresh")
    with pytest.raises(SourceError, match="no record that can be indexed, so nothing was published"):
        index_sources(fresh, Order((empty,), IndexSettings(model=str(TOY_MODEL), device="cpu")), silent)
    assert fresh.list_numbers() == [] and not fresh.building.exists()


def test_the_manifest_says_what_is_there(toy: IndexFolder, add: Add) -> None:
    add(
        {"id": "long", "title": "knee " * 80, "retracted": True},
        {"id": "bare", "title": "Only a title"},
        {"id": "untitled", "abstract": "Only an abstract"},
    )
    generation = toy.open_current()
    manifest, (segment,) = generation.manifest, generation.segments
    counts = manifest.counts
    assert (counts.abstracts, counts.truncated, counts.retracted) == (43, 1, 1)
    assert (counts.without_abstract, counts.without_title) == (2, 1)
    assert (manifest.generation, manifest.parent, manifest.newest_source) == (2, 1, "rows.jsonl")
    assert manifest.id_sum == segment.receipt.id_sum == sum_ids(np.arange(1, 44))
    assert (manifest.last_id, manifest.last_contribution) == (43, 43)
    assert (segment.n_live, segment.entry.n_records, segment.entry.n_dead) == (43, 43, 0)
    assert (segment.receipt.n_rows, segment.receipt.generation) == (43, 2)
    assert segment.receipt.totals == Totals(43, 1, counts.without_abstract, counts.without_title, 1)
    assert (manifest.factory, manifest.metric) == ("IDMap2,Flat", "inner_product")
    own = {file.name for file in manifest.files if not file.name.startswith("words/")}
    assert own == {"axes.npz", "probes.npz", "state.db"}
    assert {file.name for file in segment.receipt.files} == {"abstracts.db", "map.npz", "vectors.faiss"}


def test_texts_that_share_a_beginning_are_both_kept_and_counted(toy: IndexFolder, add: Add) -> None:
    report = add({"id": "x", "title": "knee " * 100 + "one"}, {"id": "y", "title": "knee " * 100 + "two"})
    assert report.counts.truncated == 2
    with open_index(toy.path) as index:
        assert [hit.id for hit in index.search("knee " * 100, top_k=2)] == ["x", "y"]


@pytest.mark.parametrize(
    "content", [b"", b'{"id": 1, "title": "a"', gzip.compress(b"{" * 9, mtime=0)[:-3], b"<PubmedArticleSet><a>"]
)
def test_a_bad_source_leaves_everything_as_it_was(toy: IndexFolder, tmp_path: Path, content: bytes) -> None:
    before = tree(toy.path)
    good, bad = jsonl(tmp_path / "good.jsonl", [{"id": "a", "title": "A"}]), tmp_path / "bad"
    bad.write_bytes(content)
    if content.startswith(b'{"id"'):
        assert (
            index_sources(toy, Order((good, bad), IndexSettings(device="cpu")), silent).counts.rejected == 1
        )  # one bad line
        return
    with pytest.raises(SourceError, match="bad"):
        index_sources(toy, Order((good, bad), IndexSettings(device="cpu")), silent)
    assert tree(toy.path) == before
    assert not toy.building.exists()


def test_a_missing_source_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        index_sources(IndexFolder(tmp_path / "new"), Order((tmp_path / "absent",)), silent)
    assert not (tmp_path / "new").exists()


def stub(spoil: Callable[[list[str], np.ndarray], np.ndarray]) -> Callable[..., Encoded]:  # type: ignore[type-arg]
    real = OnnxEncoder.encode

    def encode(self: OnnxEncoder, texts: Sequence[str]) -> Encoded:
        encoded = real(self, texts)
        return Encoded(spoil(list(texts), encoded.vectors.copy()), encoded.n_tokens)

    return encode


def poison(texts: list[str], vectors: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    for row, text in enumerate(texts):
        if text.startswith("Poison"):
            vectors[row] = np.nan
    return vectors


def test_a_text_that_gets_no_vector_is_rejected_by_name(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxEncoder, "encode", stub(poison))
    report = add({"id": "good", "title": "Good"}, {"id": "bad", "title": "Poison"})
    assert (report.counts.added, report.counts.rejected, report.counts.abstracts) == (1, 1, 41)
    assert str(report.rejections[0]) == "encoder, record bad: the encoder returned NaN or infinity"
    monkeypatch.undo()
    assert not verify(toy, toy.open_current(), deep=True)


def test_an_update_that_gets_no_vector_leaves_the_record_as_it_was(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(toy.path)
    for title in ("\u200b", "Poison"):
        monkeypatch.setattr(OnnxEncoder, "encode", stub(poison))
        for _ in range(3):  # again and again: nothing new is nothing new
            report = add({"id": "toy-01", "title": title}, {"id": "new", "title": "\u200b"})
            assert not report.published and report.counts.rejected == 2
            assert "; the record stays as it was" in str(report.rejections[0])
        assert tree(toy.path) == before
        monkeypatch.undo()
    report = add({"id": "toy-01", "title": "\u200b", "year": 1}, {"id": "toy-02", "title": "Changed"})
    assert (report.counts.text_changed, report.counts.unchanged, report.counts.abstracts) == (1, 1, 40)
    with open_index(toy.path) as index:
        assert (index.get("toy-01").title, index.get("toy-01").year) == ("Colchicine in gout", 1991)
        assert index.similar("toy-01")
    assert not verify(toy, toy.open_current(), deep=True)


def test_re_encoding_keeps_the_old_text_of_an_update_that_gets_no_vector(toy: IndexFolder, add: Add) -> None:
    report = add({"id": "toy-01", "title": "\u200b"}, {"id": "n", "title": "\u200b"}, re_encode=True)
    assert (report.counts.abstracts, report.counts.encoded, report.counts.rejected) == (40, 40, 2)
    assert not verify(toy, toy.open_current(), deep=True)
    with open_index(toy.path) as index:
        assert index.get("toy-01").title == "Colchicine in gout"


def test_everything_is_encoded_again_without_a_file(toy: IndexFolder) -> None:
    report = index_sources(toy, Order(settings=IndexSettings(device="cpu"), re_encode=True), silent)
    assert (report.counts.abstracts, report.counts.encoded) == (40, 40)
    assert not verify(toy, toy.open_current(), deep=True)


def test_a_published_text_that_gets_no_vector_from_another_encoder_leaves_the_words(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(texts: list[str], vectors: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        vectors[["Colchicine in gout" in text for text in texts]] = np.nan
        return vectors

    monkeypatch.setattr(OnnxEncoder, "encode", stub(spoil))
    report = add({"id": "new", "title": "New"}, re_encode=True)
    monkeypatch.undo()
    assert (report.counts.abstracts, report.counts.deleted, report.counts.rejected) == (40, 1, 1)
    assert verify(toy, toy.open_current(), deep=False) == []
    with open_index(toy.path) as index:
        assert "toy-01" not in [hit.id for hit in index.search("colchicine", mode="keyword", top_k=50)]


def test_texts_without_words_are_rejected_however_many(toy: IndexFolder, add: Add) -> None:
    report = add(*({"id": f"w{n}", "title": "\u200b" * (n + 1)} for n in range(30)), {"id": "good", "title": "Good"})
    assert (report.counts.added, report.counts.rejected) == (1, 30)


def test_what_cannot_be_deleted_after_publishing_is_no_failure(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.index.generations import publish

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(publish, "_prune_encoders", fail)
    assert add({"id": "a", "title": "A"}).published


def test_a_run_that_fails_before_the_pointer_leaves_no_generation_behind(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.index.files import durable

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "replace_text", full)
    with pytest.raises(OSError, match="No space left"):
        add({"id": "a", "title": "A"})
    assert toy.list_numbers() == [1] and toy.read_current() == 1


def test_a_source_with_any_name_is_indexed(toy: IndexFolder, tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jsonl"))
    jsonl(source, [{"id": "a", "title": "A"}, {"id": "b"}])
    report = index_sources(toy, Order((source,), IndexSettings(device="cpu")), silent)
    assert report.published and str(report.rejections[0]).startswith("bad?.jsonl, line 2")
    assert toy.open_current().manifest.newest_source == "bad?.jsonl"


def test_an_encoder_that_fails_often_stops_the_run(toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(toy.path)
    monkeypatch.setattr(OnnxEncoder, "encode", stub(poison))
    with pytest.raises(EncoderError, match="no usable vector for 20 of 20 texts, so nothing was published"):
        add(*({"id": f"p{n}", "title": f"Poison {n}"} for n in range(20)))
    monkeypatch.setattr(OnnxEncoder, "encode", stub(lambda texts, vectors: vectors[::-1].copy()))
    with pytest.raises(EncoderError, match="different vectors alone and in a batch"):
        add(*({"id": f"s{n}", "title": f"Shuffled {n} " + "gout " * n} for n in range(9)))
    assert tree(toy.path) == before


def test_another_model_is_refused_by_both_names_and_may_re_encode(toy: IndexFolder, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    import json

    other = Path(shutil.copytree(TOY_MODEL, tmp_path / "other"))
    path = other / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 32}))
    before = tree(toy.path)
    with pytest.raises(EncoderMismatchError, match=r"built with tests/data/toy-model .* is now .*other .*--re-encode"):
        index_sources(toy, Order((TOY,), IndexSettings(model=str(other), device="cpu")), silent)
    assert tree(toy.path) == before
    report = index_sources(toy, Order((TOY,), IndexSettings(model=str(other), device="cpu"), re_encode=True), silent)
    assert report.counts.encoded == 40
    assert toy.open_current().manifest.encoder.max_length == 32
    assert not verify(toy, toy.open_current(), deep=True)
    assert len(list((toy.path / "encoders").iterdir())) == 2
    roll_back(toy, None)
    assert not verify(toy, toy.open_current(), deep=True)
    roll_back(toy, 2)
    index_sources(
        toy,
        Order(
            (jsonl(tmp_path / "n.jsonl", [{"id": "n", "title": "N"}]),), IndexSettings(device="cpu", keep_generations=1)
        ),
        silent,
    )
    assert len(list((toy.path / "encoders").iterdir())) == 1  # that of the deleted generation went with it
    assert not verify(toy, toy.open_current(), deep=True)


def test_int8_is_an_encoder_of_its_own_and_never_mixed(tmp_path: Path) -> None:
    folder = IndexFolder(tmp_path / "int8")
    index_sources(folder, Order((TOY,), IndexSettings(model=str(TOY_MODEL), device="cpu", precision="int8")), silent)
    held = folder.open_current().manifest.encoder
    assert held.precision == "int8"
    more = jsonl(tmp_path / "n.jsonl", [{"id": "n", "title": "N"}])
    for model in (None, str(TOY_MODEL)):  # what the index has counts where nothing is said
        index_sources(folder, Order((more,), IndexSettings(model=model, device="cpu")), silent)
        assert folder.open_current().manifest.encoder.fingerprint == held.fingerprint
    before = tree(folder.path)
    with pytest.raises(EncoderMismatchError, match=r"\(int8, .* is now .* \(fp32, .*--re-encode"):
        index_sources(folder, Order((more,), IndexSettings(device="cpu", precision="fp32")), silent)
    with pytest.raises(EncoderError, match="an int8 encoder runs on a CPU only"):
        index_sources(folder, Order((more,), IndexSettings(device="cuda")), silent)
    assert tree(folder.path) == before
    done = index_sources(folder, Order((more,), IndexSettings(device="cpu", precision="fp32"), re_encode=True), silent)
    assert done.counts.encoded == 41 and folder.open_current().manifest.encoder.precision == "fp32"
    assert verify(folder, folder.open_current(), deep=True) == []


def test_the_same_model_from_elsewhere_is_the_same(toy: IndexFolder, tmp_path: Path, add: Add) -> None:
    moved = shutil.copytree(TOY_MODEL, tmp_path / "moved")
    assert add({"id": "a", "title": "A"}, model=str(moved)).counts.encoded == 1


def test_an_encoder_exported_for_one_index_serves_its_neighbours(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as where torch is not installed
    fresh = IndexFolder(toy.path.parent / "fresh")
    report = index_sources(fresh, Order((TOY,), IndexSettings(model=str(TOY_MODEL), device="cpu")), silent)
    assert report.counts.encoded == 40
    assert not verify(fresh, fresh.open_current(), deep=True)
    # The committed vectors are of another machine, whose kernels round otherwise.
    assert np.allclose(vectors_of(fresh).vectors, vectors_of(toy).vectors, rtol=0, atol=1e-5)


def test_a_damaged_current_generation_is_not_built_upon(toy: IndexFolder, add: Add) -> None:
    path = segment_of(toy, 1).path / "vectors.faiss"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="vectors.faiss has"):
        add({"id": "a", "title": "A"})
    assert toy.list_numbers() == [1]


def test_a_second_writer_is_refused_and_changes_nothing(toy: IndexFolder, add: Add) -> None:
    before = tree(toy.path)
    with lock_for_writing(toy.lock):
        started = time.monotonic()
        with pytest.raises(LockedError, match="Nothing was changed; searches still work"):
            add({"id": "a", "title": "A"})
        assert time.monotonic() - started < 1
        assert tree(toy.path) == before
        with open_index(toy.path) as index:
            assert len(index.search("gout")) == 10


def test_too_little_room_is_said_before_the_work(toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.reindex.runs.run.count_free_bytes", lambda _: 1000)
    monkeypatch.setattr(vectorising, "encode_checked", lambda *_: pytest.fail("a text was encoded"))
    with pytest.raises(GenerationError, match="1,000 bytes free, about 1,1.* needed. Nothing was changed"):
        add({"id": "a", "title": "A"})


def test_a_merge_needs_space_for_the_databases_and_words_that_it_copies(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = segment_of(toy, 1).database.stat().st_size
    monkeypatch.setattr("engine.reindex.runs.run.count_free_bytes", lambda _: (1 << 20) + size + 40 * 1200)
    with pytest.raises(GenerationError, match="bytes free, about [0-9,]* needed"):
        index_sources(toy, Order(settings=IndexSettings(device="cpu"), republish=True), silent)


def test_a_last_sync_that_fails_is_its_own_outcome(toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        if path == toy.path:
            raise OSError(5, "Input/output error")
        sync_path(path)

    monkeypatch.setattr("engine.index.generations.publish.sync_path", fail)
    with pytest.raises(DurabilityError, match="generation 000002 .* is published, but the disk did not confirm it"):
        add({"id": "a", "title": "A"})
    assert toy.open_current().manifest.counts.abstracts == 41


def test_rollback_checks_moves_and_refuses(toy: IndexFolder, add: Add) -> None:
    with pytest.raises(UsageError, match="no generation before 000001: found 000001. Name one: --to NUMBER, or delete"):
        roll_back(toy, None)
    add({"id": "a", "title": "A"})
    add({"id": "b", "title": "B"})
    assert roll_back(toy, None) == 2
    assert roll_back(toy, 3) == 3
    with pytest.raises(UsageError, match="no generation 000009: found 000001, 000002, 000003"):
        roll_back(toy, 9)
    path = segment_of(toy, 1).path / "abstracts.db"
    path.chmod(0o644)
    path.write_bytes(b"x")
    with pytest.raises(CorruptError, match="abstracts.db has 1 bytes"):
        roll_back(toy, 1)
    assert toy.read_current() == 3
    assert roll_back(toy, 2) == 2
    report = add({"id": "c", "title": "C"})
    assert (report.generation, report.counts.abstracts) == (4, 42)  # goes on from 2, under a number never used
    assert toy.list_numbers() == [1, 2, 4]  # 3 was rolled back from
    assert roll_back(toy, None) == 2  # not 3: what 4 was made from


def test_a_rollback_mends_a_lost_pointer(toy: IndexFolder) -> None:
    toy.pointer.unlink()
    assert roll_back(toy, 1) == 1
    with open_index(toy.path) as index:
        assert len(index) == 40


def test_deep_verification_finds_what_checksums_cannot(toy: IndexFolder, add: Add) -> None:
    """Files re-signed after their content drifted apart: swapped vectors, a text edited in place."""
    import sqlite3

    from engine.index.search.layout import write_file

    path, words = segment_of(toy, 1).path, toy.get_generation_path(1) / "words"
    every = [*path.iterdir(), *words.iterdir()]
    for file in every:
        file.chmod(0o644)
    held = vectors_of(toy)
    originals = {file: file.read_bytes() for file in every}

    def resign() -> list[str]:
        sign_again(toy)
        return verify(toy, toy.open_current(), deep=True)

    def restore() -> None:
        shutil.rmtree(words)
        words.mkdir()
        for file, content in originals.items():
            file.write_bytes(content)

    def write_other_words(first: tuple[int, str, str], *others: tuple[int, str, str]) -> None:
        shutil.rmtree(words)
        with closing(open_database(path / "abstracts.db")) as corpus:
            texts = [(doc_id, title, abstract) for doc_id, title, abstract, _ in corpus.read_texts()]
        changed = {text[0]: text for text in (first, *others)}
        texts = [changed.get(text[0], text) for text in texts]
        write_words(words, None, np.empty(0, np.int64), texts, durable.share_file)

    swapped, originals_of_rows = held.vectors.copy(), held.vectors.copy()
    swapped[[3, 30]] = swapped[[30, 3]]
    ids = held.doc_ids.copy()
    write_file(path / "vectors.faiss", ids, held.dim, [swapped])
    assert any("does not match its text" in problem for problem in resign())
    restore()
    write_file(path / "vectors.faiss", ids[1:], held.dim, [originals_of_rows[1:]])
    assert any("in only one of" in problem for problem in resign())
    restore()
    db = sqlite3.connect(path / "abstracts.db")
    with db:
        db.execute("UPDATE abstracts SET title = 'Edited' WHERE id = 5")
    db.close()
    assert any("the text of id 5 is not the one that was encoded" in problem for problem in resign())
    assert any(" in stems, expected " in problem for problem in resign())
    restore()
    with closing(open_database(path / "abstracts.db")) as corpus:
        one, other = ((doc_id, title, abstract) for doc_id, title, abstract, _ in list(corpus.read_texts())[:2])
    write_other_words((one[0], *other[1:]), (other[0], *one[1:]))
    assert resign() == [f"{words}: the words of id {one[0]} are not those of its text"]
    write_other_words((99, "", ""))
    assert resign() == []
    write_other_words((one[0], one[1], one[2] + " zebra"))
    assert resign() == [f"{words}: 1 records have the word 'zebra' in stems, expected 0"]
    write_words(words.with_name("other"), words, np.array([one[0]]), [], durable.share_file)
    shutil.rmtree(words)
    words.with_name("other").rename(words)
    assert resign() == [f"{words.parent}: 1 ids are in only one of abstracts.db and words, the first is {one[0]}"]
    restore()
    assert resign() == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda ids, vectors: (ids[1:], vectors[1:]), "vectors.faiss has no vector for id 1"),
        (lambda ids, vectors: (ids + 1, vectors), "vectors.faiss has no vector for id 1"),
        (lambda ids, vectors: (ids, vectors * 2), "41 vectors are not finite and of length 1"),
    ],
    ids=["row lost", "ids moved", "not unit length"],
)
def test_a_generation_that_does_not_agree_with_itself_is_not_published(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch, spoil: Callable[..., tuple[object, ...]], message: str
) -> None:
    from engine.index.search import layout

    before, real = tree(toy.path), layout.write_file

    def spoiled(path: Path, doc_ids: DocIds, dim: int, chunks: Iterable[Vectors]) -> None:
        ids, vectors = spoil(doc_ids, np.concatenate(list(chunks)))
        real(path, ids, dim, [vectors])

    monkeypatch.setattr(layout, "write_file", spoiled)
    with pytest.raises(CorruptError, match=f"failed its check, so it was not published: .*{message}"):
        add({"id": "a", "title": "A"})
    assert tree(toy.path) == before


def test_leftovers_of_a_dead_run_are_cleared(toy: IndexFolder, add: Add) -> None:
    (toy.building / "encoder").mkdir(parents=True)
    for path in (toy.building_segment.path, toy.building_generation):
        path.mkdir()
        (path / "abstracts.db").write_bytes(b"half")
        (path / "abstracts.db-journal").write_bytes(b"x")
    unnamed = toy.segments / "000002-01234567"  # moved into place before the run died
    shutil.copytree(segment_of(toy, 1).path, unnamed)
    add({"id": "a", "title": "A"})
    assert not toy.building.exists() and not unnamed.exists()
    own = sorted(p.name for p in toy.get_generation_path(2).iterdir())
    assert own == ["axes.npz", "manifest.json", "probes.npz", "state.db", "words"]
    assert {path.name for path in toy.segments.iterdir()} == {segment_of(toy, n).path.name for n in (1, 2)}
    assert sorted(p.name for p in segment_of(toy, 2).path.iterdir()) == [
        "abstracts.db",
        "map.npz",
        "segment.json",
        "vectors.faiss",
    ]


def test_sigterm_leaves_the_old_generation_and_no_lock(toy: IndexFolder, tmp_path: Path) -> None:
    source = jsonl(
        tmp_path / "many.jsonl", ({"id": f"m{n}", "title": f"Many {n} " + "gout " * 60} for n in range(20_000))
    )
    command = [sys.executable, "-m", "engine", "index", source, "-i", "toy", "--indexes", toy.path.parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as writer:
        deadline = time.monotonic() + 60
        while not toy.building.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1)
        writer.terminate()
        assert writer.wait(timeout=5) == 143
    assert toy.read_current() == 1 and not toy.building.exists()
    with lock_for_writing(toy.lock):
        pass


class _Placement:
    """A Placement that notes what it is asked, with the number in CURRENT, and refuses if it is told to."""

    def __init__(self, folder: IndexFolder) -> None:
        self.folder, self.asked, self.refuses = folder, list[tuple[object, ...]](), False

    def connect(self) -> None:
        self.asked.append(("connect", self.folder.read_pointer()))

    def place(self, generation: Generation) -> None:
        self.asked.append(("place", self.folder.read_pointer(), generation.manifest.generation))
        if self.refuses:
            raise ClusterError("node 7 does not hold it")

    def drop(self, folder: IndexFolder, kept: Sequence[int]) -> None:
        self.asked.append(("drop", self.folder.read_pointer(), *kept, *folder.list_numbers()))

    def find_problems(self, generation: Generation) -> list[str]:
        return [f"node 7 holds {generation.manifest.generation} otherwise"]


def test_a_generation_is_placed_before_it_is_current(toy: IndexFolder, add: Callable[..., Report]) -> None:
    placement = _Placement(toy)
    add({"id": "new", "title": "Gout"}, placement=placement, keep_generations=1)
    assert placement.asked == [("connect", 1), ("place", 1, 2), ("drop", 2, 2, 1, 2)]  # before the files are deleted
    problems = verify(toy, toy.open_current(), deep=True, placement=placement)
    assert problems == ["node 7 holds 2 otherwise"]
    assert verify(toy, toy.open_current(), deep=False, placement=placement) == []


def test_a_generation_that_is_not_placed_leaves_everything_as_it_was(
    toy: IndexFolder, add: Callable[..., Report]
) -> None:
    placement = _Placement(toy)
    placement.refuses = True
    with pytest.raises(ClusterError, match="node 7 does not hold it"):
        add({"id": "new", "title": "Gout"}, placement=placement)
    assert (toy.read_current(), toy.list_numbers()) == (1, [1])
    placement.refuses = False
    assert add({"id": "new", "title": "Gout"}, placement=placement).generation == 2
    assert len(list(toy.segments.iterdir())) == 2  # none is left of the run that failed
    placement.refuses = True
    with pytest.raises(ClusterError, match="node 7 does not hold it"):
        roll_back(toy, None, placement)
    assert toy.read_current() == 2
    placement.refuses = False
    assert roll_back(toy, None, placement) == 1
