"""Indexes with codes, made, kept current, tuned and given up again; small ones, since index.toml may ask for it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.config import Settings
from engine.errors import ConfigError, CorruptError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.vectors import open_vectors
from engine.index.search import factory as factories
from engine.index.search.ivf import IvfIndex
from engine.options import IndexSettings
from engine.reindex.encoding.shards import count_shards
from engine.reindex.generation import searchable
from engine.reindex.generation.order import Order, Report
from engine.reindex.generation.verify import verify
from engine.reindex.measures import tune
from engine.reindex.runs import run
from engine.reindex.runs.retune import tune_index
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY, TOY_MODEL, jsonl, segment_of, sign_again, silent

IVF = "IVF4,RaBitQfs"
Add = Callable[..., Report]


@pytest.fixture
def ivf(toy: IndexFolder, add: Add) -> IndexFolder:
    """The toy index with codes: 41 abstracts."""
    add({"id": "gout", "title": "Gout in marathon runners"}, factory=IVF)
    return toy


def index_of(folder: IndexFolder) -> IvfIndex:
    found = open_vectors(folder.open_current()).parts[0].index
    assert isinstance(found, IvfIndex)
    return found


def test_an_index_gets_codes_and_says_why_and_how_good_they_are(toy: IndexFolder, add: Add) -> None:
    report = add({"id": "gout", "title": "Gout"}, factory=IVF)
    manifest, (segment,) = toy.open_current().manifest, toy.open_current().segments
    assert (manifest.factory, segment.receipt.factory, report.factory) == (IVF, IVF, IVF)
    names = [file.name for file in segment.receipt.files]
    assert names == ["abstracts.db", "vectors.faiss", "codes.faiss", "map.npz"]
    ann = manifest.ann
    assert ann is not None and ann.recall >= ann.target == 0.99 and ann.n_queries == ann.n_trained == 41
    assert report.notes == (f"{IVF}: as index.toml says; recall@10 {ann.recall:.3f} measured on 41 titles",)
    assert report.ann == ann and any(trial.ms is not None for trial in report.trials)
    assert verify(toy, toy.open_current(), deep=True) == []


def test_nights_keep_the_codes_current_without_training_again(
    ivf: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable.codes, "train_lists", lambda *_: pytest.fail("the lists were trained again"))
    add({"id": "lupus", "title": "Lupus and the sun"}, factory=IVF)
    add({"id": "gout", "title": "Reworded: gout and beer"}, factory=IVF)
    assert verify(ivf, ivf.open_current(), deep=True) == []
    index = index_of(ivf)
    assert index.size == 42 and ivf.open_current().manifest.ann.n_trained == 41  # type: ignore[union-attr]
    queries = np.array(index.vectors[::5])
    index.settings = replace(index.settings, n_probe=4, n_rerank=42)
    assert index.search(queries, 42) == index.search_exhaustively(queries, 42)


def test_search_similar_and_new_work_on_it(ivf: IndexFolder, add: Add, toy: IndexFolder) -> None:
    add({"id": "lupus", "title": "Lupus and the sun"}, factory=IVF)
    with open_index(ivf.path) as index:
        for top_k in (1, 10, 42, 100):
            assert len(index.search("gout in runners", top_k=top_k)) == min(top_k, 42)
        assert index.search("Gout in marathon runners", top_k=1)[0].id == "gout"
        assert len(index.similar("gout", top_k=41)) == 41
        assert [row.hit.id for row in index.new("gout", since=2)] == ["lupus"]


def test_a_night_measures_near_the_setting_it_finds(ivf: IndexFolder, add: Add) -> None:
    held = ivf.open_current().manifest.ann
    assert held is not None
    report = add({"id": "lupus", "title": "Lupus and the sun"}, factory=IVF)
    tried = [trial.n_probe for trial in report.trials]
    assert min(tried) >= held.n_probe // 2 and len(tried) <= 3
    assert report.ann is not None and report.ann.recall >= 0.99
    everything = tune_index(
        ivf, Settings(ivf.path / "index.toml", device="cpu", factory=IVF), rebuild=False, progress=silent
    )
    assert [trial.n_probe for trial in everything.trials] == [1, 2, 4]


def test_a_deleted_record_leaves_the_codes(ivf: IndexFolder, tmp_path: Path) -> None:
    rest = jsonl(tmp_path / "rest.jsonl", [{"id": "gout", "title": "Gout"}, {"id": "b", "title": "B"}])
    index_sources(ivf, Order((rest,), IndexSettings(device="cpu", factory=IVF)), silent)
    rest.write_text('{"id": "b", "title": "B"}\n')
    gone = index_sources(ivf, Order((rest,), IndexSettings(device="cpu", factory=IVF), full=True), silent)
    assert gone.counts.deleted > 0
    index = index_of(ivf)
    assert np.array_equal(np.sort(index.read_code_ids()), index.doc_ids)
    assert len(index.doc_ids) == gone.counts.abstracts
    assert verify(ivf, ivf.open_current(), deep=True) == []


def test_an_index_that_outgrew_its_lists_trains_them_again(ivf: IndexFolder, tmp_path: Path) -> None:
    many = jsonl(tmp_path / "many.jsonl", ({"id": f"m{i}", "title": f"Gout {i}"} for i in range(140)))
    index_sources(ivf, Order((many,), IndexSettings(device="cpu", factory=IVF)), silent)
    assert ivf.open_current().manifest.ann.n_trained == 181  # type: ignore[union-attr]


def test_another_factory_or_none_takes_effect_with_tune(ivf: IndexFolder) -> None:
    settings = Settings(ivf.path / "index.toml", device="cpu", factory="IVF2_HNSW4,RaBitQfs")
    assert tune_index(ivf, settings, rebuild=False, progress=silent).factory == "IVF2_HNSW4,RaBitQfs"
    assert index_of(ivf).n_lists == 2
    done = tune_index(ivf, replace(settings, factory=None), rebuild=False, progress=silent)
    assert (done.published, done.factory, done.counts.encoded) == (True, "IDMap2,Flat", 0)
    assert ivf.open_current().manifest.ann is None and not ivf.open_current().segments[0].files.codes.exists()
    again = tune_index(ivf, replace(settings, factory=None), rebuild=False, progress=silent)
    assert not again.published and "There is nothing to tune" in again.notes[0]
    roll_back(ivf, None)
    assert index_of(ivf).n_lists == 2
    assert verify(ivf, ivf.open_current(), deep=True) == []


def test_the_recall_asked_for_stays_until_another_is(ivf: IndexFolder, add: Add) -> None:
    settings = Settings(ivf.path / "index.toml", device="cpu", factory=IVF, recall=0.9)
    tune_index(ivf, settings, rebuild=True, progress=silent)
    add({"id": "c", "title": "C"}, factory=IVF)
    ann = ivf.open_current().manifest.ann
    assert ann is not None and ann.target == 0.9 <= ann.recall


def test_a_recall_out_of_reach_is_said(toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "_DEPTHS", (1, 2))
    report = add({"id": "gout", "title": "Gout"}, factory=IVF)
    assert report.ann is not None and report.ann.recall < 0.99
    assert "recall@10 0.99 is not reached" in report.notes[1]
    assert all(trial.ms is None for trial in report.trials)


def test_the_size_decides(toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "_EXACT_BELOW", 42)
    assert add({"id": "a", "title": "A"}).factory == "IDMap2,Flat"
    report = add({"id": "b", "title": "B"})
    assert report.factory == "IVF32,RaBitQfs" and "42 abstracts, 42 or more" in report.notes[0]


def test_a_factory_that_cannot_be_built_publishes_nothing(toy: IndexFolder, add: Add) -> None:
    with pytest.raises(ConfigError, match="more lists than there are abstracts"):
        add({"id": "a", "title": "A"}, factory="IVF64,RaBitQfs")
    assert toy.read_current() == 1


def resigned(folder: IndexFolder) -> Iterator[str]:
    """Make the receipts of the current generation agree with its files again; what verification then finds."""
    sign_again(folder)
    yield from verify(folder, folder.open_current(), deep=False)


def test_codes_of_other_vectors_are_found_out(ivf: IndexFolder, add: Add) -> None:
    add({"id": "z", "title": "Z"}, factory=IVF)
    old, new = ((segment_of(ivf, n).path / "codes.faiss") for n in (2, 3))
    whole = new.read_bytes()
    new.chmod(0o644)
    with pytest.raises(CorruptError, match=r"codes\.faiss was changed or damaged"):
        new.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        ivf.open_current()
    new.write_bytes(old.read_bytes())
    assert any("holds 41 codes for 42 vectors" in problem for problem in resigned(ivf))


def test_codes_in_the_wrong_order_are_found_out(ivf: IndexFolder, tmp_path: Path) -> None:
    from engine.index.search import codes
    from engine.index.search.library import faiss

    words = TOY.read_text().split()
    rows = ({"id": f"m{i}", "title": " ".join(words[(7 * i) % 500 :][: 3 + i % 9])} for i in range(600))
    index_sources(
        ivf,
        Order((jsonl(tmp_path / "m.jsonl", rows),), IndexSettings(device="cpu", precision="fp32", factory=IVF)),
        silent,
    )
    held = index_of(ivf)
    index = faiss.deserialize_index(np.frombuffer(ivf.open_current().segments[0].files.codes.read_bytes(), np.uint8))
    index.reset()
    index.add_with_ids(np.array(held.vectors[::-1]), held.doc_ids)  # every id has the code of another
    ivf.open_current().segments[0].files.codes.chmod(0o644)
    ivf.open_current().segments[0].files.codes.write_bytes(codes.serialise_codes(index).tobytes())
    problems = list(resigned(ivf))
    assert any("are not found by their own codes" in problem for problem in problems)


def test_many_records_of_one_text_are_no_damage(ivf: IndexFolder, tmp_path: Path) -> None:
    """Their codes are the same, so which of them are candidates is chance; any will do."""
    rows = [{"id": f"e{i}", "title": "Editorial"} for i in range(2000)]
    rows += [{"id": f"m{i}", "title": f"Gout {i} in {i % 7}"} for i in range(2000)]
    done = index_sources(
        ivf,
        Order((jsonl(tmp_path / "m.jsonl", rows),), IndexSettings(device="cpu", precision="fp32", factory=IVF)),
        silent,
    )
    assert done.ann is not None and done.ann.recall >= 0.99
    assert verify(ivf, ivf.open_current(), deep=True) == []


def test_records_without_a_title_are_asked_for_by_their_text(tmp_path: Path) -> None:
    rows = ({"id": f"m{i}", "title": " ", "abstract": f"Gout {i}"} for i in range(30))
    folder = IndexFolder(tmp_path / "untitled")
    source = jsonl(tmp_path / "m.jsonl", rows)
    done = index_sources(
        folder, Order((source,), IndexSettings(model=str(TOY_MODEL), device="cpu", factory="IVF2,RaBitQfs")), silent
    )
    assert done.ann is not None and done.ann.n_queries == 30 and done.ann.recall >= 0.99


@pytest.mark.parametrize("factory", ["HNSW32", "IVF4096,RaBitQfs"])
def test_a_bad_factory_is_refused_before_anything_is_encoded(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    monkeypatch.setattr(run, "vectorise", lambda *_: pytest.fail("encoding began"))
    with pytest.raises(ConfigError, match="factory"):
        add({"id": "a", "title": "A"}, factory=factory)


def test_what_was_encoded_outlives_a_failure_after_encoding(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(searchable, "tune_lists", stopped)
        add({"id": "a", "title": "A"}, factory=IVF)
    assert count_shards(toy.shards) == 1
    tune_index(toy, Settings(toy.path / "index.toml", device="cpu", factory=IVF), rebuild=False, progress=silent)
    assert count_shards(toy.shards) == 1  # tuning does not take it for its own
    assert add({"id": "a", "title": "A"}, factory=IVF).counts.resumed == 1


def test_the_command_line(ivf: IndexFolder, engine: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    (ivf.path / "index.toml").write_text(f'factory = "{IVF}"\ndevice = "cpu"\n')
    done = engine("tune", "toy", "--recall", "0.95")
    assert done.returncode == 0 and "generation 000003 published" in done.stdout
    assert done.stdout.count("* ") == 1
    fields = json.loads(engine("tune", "--json", "--rebuild").stdout)
    assert fields["published"] and fields["ann"]["target"] == 0.95 and fields["trials"]
    status = engine("status").stdout
    assert f"vectors: {IVF}" in status and "recall@10" in status and "measured on 41 titles" in status
    assert len(engine("search", "gout", "-n", "5", "--nl").stdout.splitlines()) == 5
    assert engine("tune", "--recall", "2").returncode == 2


def test_a_fresh_index_may_have_codes_at_once(tmp_path: Path) -> None:
    folder = IndexFolder(tmp_path / "fresh")
    index_sources(folder, Order((TOY,), IndexSettings(model=str(TOY_MODEL), device="cpu", factory=IVF)), silent)
    assert index_of(folder).size == 40
    assert verify(folder, folder.open_current(), deep=True) == []
