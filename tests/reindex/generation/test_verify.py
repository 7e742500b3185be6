"""The deep check of an index of several segments: a sample of all its records, and no dead ones."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
import pytest

from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.texts.probes import PROBES
from engine.index.generations.folder import IndexFolder
from engine.index.generations.segment import SegmentFiles
from engine.index.search.flat import FlatIndex
from engine.index.search.layout import write_file
from engine.records.encoder import Encoded
from engine.reindex.generation import verify as verifying
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from tests.rerankers import seal_empty

Add = Callable[..., Report]


@pytest.fixture
def several(toy: IndexFolder, add: Add) -> IndexFolder:
    """Segments of 40, 5, 3, 1 and 1 records; toy-03 is dead in the first."""
    add(
        *({"id": f"a{n}", "title": f"Gout {n}"} for n in range(4)),
        {"id": "toy-03", "title": "New"},
        one_segment_below=0,
    )
    for name, n in (("b", 3), ("c", 1), ("d", 1)):
        add(*({"id": f"{name}{i}", "title": f"Knee {name} {i}"} for i in range(n)), one_segment_below=0)
    assert [segment.n_live for segment in toy.open_current().segments] == [39, 5, 3, 1, 1]
    return toy


def test_a_damaged_reranker_and_an_unreadable_index_toml_are_named(toy: IndexFolder) -> None:
    one = seal_empty(toy.path / "encoders")
    assert verify(toy, toy.open_current(), deep=False) == []
    (toy.path / "encoders" / one.fingerprint / "encoder.onnx").unlink()
    (toy.path / "index.toml").write_text(f'[rerank]\nmodel = "{"0" * 64}"\n', encoding="utf-8")
    lost, absent = verify(toy, toy.open_current(), deep=False)
    assert f"{one.fingerprint}/encoder.onnx is missing, expected 12 bytes. Put the reranker back" in lost
    assert "index.toml names the reranker with fingerprint 000000000000, which" in absent
    (toy.path / "index.toml").write_text("[rerank", encoding="utf-8")
    (problem,) = verify(toy, toy.open_current(), deep=False)
    assert "index.toml is not TOML" in problem


def test_a_run_deletes_what_a_newer_reranker_has_replaced(toy: IndexFolder, add: Add) -> None:
    new, old = (seal_empty(toy.path / "encoders", weights=str(days), age=days * 86_400.0) for days in (2, 3))
    add({"id": "a", "title": "Gout"})
    assert [toy.get_encoder_path(one.fingerprint).exists() for one in (new, old)] == [True, False]


@pytest.mark.parametrize(("size", "counts"), [(64, [39, 5, 3, 1, 1]), (7, [5, 1, 0, 0, 1]), (1, [1, 0, 0, 0, 0])])
def test_a_sample_is_of_all_records_by_the_sizes_of_the_segments(
    several: IndexFolder, monkeypatch: pytest.MonkeyPatch, size: int, counts: list[int]
) -> None:
    encoded: list[str] = []
    real = OnnxEncoder.encode

    def note(self: OnnxEncoder, texts: Sequence[str]) -> Encoded:
        encoded.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(OnnxEncoder, "encode", note)
    monkeypatch.setattr(verifying, "_SAMPLE", size)
    generation = several.open_current()
    assert verify(several, generation, deep=True) == []
    assert len(encoded) - len(PROBES) == sum(counts)
    assert [len(places) for places in verifying._choose_sample(generation)] == counts


def damage(files: SegmentFiles, sql: str) -> None:
    """Change the rows of a segment."""
    files.database.chmod(0o644)
    with closing(sqlite3.connect(files.database)) as connection, connection:
        connection.execute(sql)


def test_only_live_texts_are_compared(several: IndexFolder) -> None:
    generation = several.open_current()
    first = generation.segments[0].files
    damage(first, "UPDATE abstracts SET title = 'Edited' WHERE record_id = 'toy-03'")
    assert verify(several, generation, deep=True) == []
    damage(first, "UPDATE abstracts SET abstract = abstract || '?' WHERE record_id = 'toy-04'")
    assert f"{first.database}: the text of id 4 is not the one that was encoded" in verify(
        several, generation, deep=True
    )


def test_a_vector_of_a_small_segment_is_compared_with_its_text(several: IndexFolder) -> None:
    generation = several.open_current()
    files = generation.segments[1].files
    flat = FlatIndex(files.vectors, generation.manifest.encoder.dim)
    swapped, doc_ids = np.array(flat.vectors)[::-1].copy(), np.array(flat.doc_ids)
    files.vectors.unlink()
    write_file(files.vectors, doc_ids, flat.dim, [swapped])
    found = verify(several, generation, deep=True)
    assert len(found) == 4 and all("does not match its text" in problem for problem in found)
