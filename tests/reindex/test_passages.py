"""An index of passages: the end of a long abstract is found, and everything else holds as for whole texts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import Filters, Query, open_index
from engine.encode.models.recipe import PASSAGES, RECIPE
from engine.encode.texts.passages import load_recipe
from engine.errors import ConfigError, EncoderMismatchError
from engine.index.generations.folder import IndexFolder
from engine.index.search.flat import FlatIndex
from engine.options import MODES
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY_MODEL, jsonl, order_of, silent

Index = Callable[..., Report]
FILLER = "Adults with lupus took prednisone and were seen again after a year of treatment with this drug. "
LONG = FILLER * 12 + "In the end colchicine helped against gout."


def row(number: int, abstract: str = LONG, **more: object) -> dict[str, object]:
    return {"id": f"r{number}", "title": f"Lupus {number}", "abstract": abstract, **more}


@pytest.fixture
def folder(tmp_path: Path) -> IndexFolder:
    return IndexFolder(tmp_path / "indexes" / "long")


@pytest.fixture
def put(folder: IndexFolder, tmp_path: Path) -> Index:
    def run(*rows: dict[str, object], **order: object) -> Report:
        source = jsonl(tmp_path / f"{len(list(tmp_path.glob('*.jsonl')))}.jsonl", rows)
        given = {"model": str(TOY_MODEL), "device": "cpu", "recipe": "passages", **order}
        return index_sources(folder, order_of(source, **given), silent)

    return run


def vectors_of(folder: IndexFolder) -> FlatIndex:
    generation = folder.open_current()
    (segment,) = generation.segments
    return FlatIndex(segment.files.vectors, generation.manifest.encoder.dim)


def test_every_passage_is_stored_as_it_is_encoded(folder: IndexFolder, put: Index) -> None:
    done = put(row(1), row(2, "Short."), row(3, ""))
    assert (done.counts.abstracts, done.counts.encoded, done.counts.truncated) == (3, 3, 0)
    manifest = folder.open_current().manifest
    assert manifest.encoder.recipe == PASSAGES
    texts = load_recipe(manifest.encoder, folder.get_encoder_path(manifest.encoder.fingerprint))
    with open_index(folder.path) as index:
        for doc_id, record in get_generation(index).corpus.fetch([1, 2, 3]).items():
            wanted = index.encode(texts(record.title, record.abstract))
            stored, counts = get_generation(index).vectors.read_vectors(np.array([doc_id]))
            assert counts.tolist() == [len(wanted)] and np.allclose(stored, wanted, atol=1e-6)
        n = [len(texts(r.title, r.abstract)) for r in get_generation(index).corpus.fetch([1, 2, 3]).values()]
        assert n[0] > 2 and n[1:] == [1, 1] and get_generation(index).vectors.n_rows == sum(n)
        lengths = [
            tuple(r) for r in get_generation(index).corpus.read_rows("SELECT n_tokens, truncated FROM abstracts")
        ]
        assert lengths[0][0] > 200 and [cut for _, cut in lengths] == [0, 0, 0]
    assert verify(folder, folder.open_current(), deep=True) == []


def test_a_record_is_one_hit_with_the_score_of_its_best_passage(folder: IndexFolder, put: Index) -> None:
    put(row(1), row(2, FILLER * 12), row(3, "Short."))
    with open_index(folder.path) as index:
        assert len(index) == 3
        texts = load_recipe(index.manifest.encoder, folder.get_encoder_path(index.manifest.encoder.fingerprint))
        for mode in MODES:
            hits = index.ask(Query("colchicine helped against gout", mode=mode)).hits
            assert len({hit.id for hit in hits}) == len(hits) == (1 if mode == "keyword" else 3)
            for hit in hits:
                point = index.encode(["colchicine helped against gout"])[0]
                best = (index.encode(texts(hit.title, hit.abstract)) @ point).max()
                assert hit.score == pytest.approx(float(best), abs=1e-6)
        answer = index.ask(Query("gout", filters=Filters(ids=("r1", "r3")), explain=True))
        assert {hit.id for hit in answer.hits} == {"r1", "r3"} and answer.n_qualified == 2
        assert {hit.id for hit in index.similar("r1")} == {"r2", "r3"}


def test_only_what_changed_is_encoded_and_the_rest_carried_over(folder: IndexFolder, put: Index) -> None:
    put(row(1), row(2), row(3, "Short."))
    before = vectors_of(folder)
    kept = np.array(before.vectors[before.find_all_rows(np.array([1, 3]))[0]])
    done = put(row(2, "Now it is short."), row(4), row(1, year=2020))
    assert (done.counts.encoded, done.counts.metadata_changed) == (2, 1)
    after = vectors_of(folder)
    assert np.array_equal(after.vectors[after.find_all_rows(np.array([1, 3]))[0]], kept)
    assert after.find_all_rows(np.array([1, 2, 3, 4]))[1].tolist()[1:3] == [1, 1]
    assert verify(folder, folder.open_current(), deep=True) == []
    roll_back(folder, 1)
    assert vectors_of(folder).n_rows == before.n_rows


def test_a_stopped_run_goes_on_where_it_was(folder: IndexFolder, put: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.reindex.runs import run

    monkeypatch.setattr(run, "_finish", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        put(row(1), row(2, "Short."))
    monkeypatch.undo()
    done = put(row(1), row(2, "Short."))
    assert (done.counts.resumed, done.counts.encoded) == (2, 0)
    assert verify(folder, folder.open_current(), deep=True) == []


def test_another_recipe_is_another_encoder(folder: IndexFolder, put: Index) -> None:
    put(row(1))
    with pytest.raises(EncoderMismatchError, match=f"'{PASSAGES}'.* is now .*'{RECIPE}'.*--re-encode"):
        put(row(2), recipe="whole")
    assert put(row(2), recipe=None).counts.abstracts == 2
    assert put(row(3), recipe="whole", re_encode=True).counts.encoded == 3
    assert vectors_of(folder).n_rows == 3 and folder.open_current().manifest.encoder.recipe == RECIPE
    assert put(row(4), recipe="passages", re_encode=True).counts.encoded == 4
    assert verify(folder, folder.open_current(), deep=True) == []


def test_white_space_decides_nothing(folder: IndexFolder, put: Index) -> None:
    parts = [f"Sentence {n} is about lupus and its treatment" for n in range(20)]
    put(row(1, "\n".join(parts)))
    done = put(row(1, " ".join(parts)))
    assert (done.published, done.counts.encoded) == (True, 0)
    assert verify(folder, folder.open_current(), deep=True) == []


def test_passages_are_compared_exhaustively(put: Index) -> None:
    with pytest.raises(ConfigError, match="factory 'IVF1,RaBitQfs' does not support passages"):
        put(row(1), factory="IVF1,RaBitQfs")


def test_damage_is_found(folder: IndexFolder, put: Index) -> None:
    put(row(1), row(2))
    generation = folder.open_current()
    flat, path = vectors_of(folder), generation.segments[0].files.vectors
    from engine.index.search.layout import write_file

    path.unlink()
    swapped = np.array(flat.vectors)[::-1].copy()
    write_file(path, flat.doc_ids, flat.dim, [swapped])
    assert any("does not match its text" in problem for problem in verify(folder, generation, deep=True))
    path.unlink()
    write_file(path, flat.doc_ids[1:], flat.dim, [np.array(flat.vectors[1:])])
    n_rows = len(flat.doc_ids)
    found = verify(folder, generation, deep=True)
    assert f"{path} has {n_rows - 1:,} rows, the receipt says {n_rows:,}" in found
    (segment,) = generation.segments
    receipt = replace(segment.receipt, n_rows=n_rows - 1)
    signed = replace(generation, segments=(replace(segment, receipt=receipt),))
    assert any("vectors, its text gives" in problem for problem in verify(folder, signed, deep=True))


def test_by_command_line(engine: Callable[..., object], tmp_path: Path) -> None:
    source = jsonl(tmp_path / "rows.jsonl", [row(1), row(2, "Short.")])
    done = engine("index", source, "-i", "long", "-m", TOY_MODEL, "--recipe", "passages")
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    told = engine("status")
    assert "passages 256/1" in told.stdout  # type: ignore[attr-defined]
