import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import Filters, Hit, Index, Query, open_index
from engine.corpus.history import read_events
from engine.corpus.storage.store import RecordSource
from engine.encode.models.folder import read_identity, write_receipt
from engine.errors import (
    AbstractNotFoundError,
    CorruptError,
    EncoderError,
    EncoderMismatchError,
    GenerationError,
    NoGenerationError,
    UsageError,
)
from engine.index.generations.folder import IndexFolder
from engine.index.map.corpusmap import read_layout, read_points
from engine.index.search.ivf import IvfIndex
from engine.options import IndexSettings
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.runs.rollback import roll_back
from tests.conftest import CURRENT, TOY, TOY_MODEL, copy_toy, segment_of, silent

Add = Callable[..., Report]


def test_search_finds_a_text_by_itself(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        text = "Colchicine in gout. We gave colchicine to 21 adults with gout. Pain fell by 1 % (invented)."
        first, second, *_ = index.search(text, top_k=5)
        assert (first.rank, first.id, first.title) == (1, "toy-01", "Colchicine in gout")
        assert first.score == pytest.approx(1, abs=1e-5)
        assert second.score < first.score
        assert first.authors == ("Ada Toy1", "Béla Example")


def test_top_k_is_filled_when_there_are_enough(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert len(index) == 40
        for top_k in (1, 10, 40, 41, 100_000_000):
            hits = index.nearest("gout", top_k)
            assert len(hits) == min(top_k, 40)
            assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_batch_equals_single(toy: IndexFolder) -> None:
    queries = ["gout", "knee osteoarthritis and prednisone", "gout"]
    with open_index(toy.path) as index:
        assert index.search_batch(queries, top_k=7) == [index.search(query, top_k=7) for query in queries]
        assert index.search_batch([]) == []


def test_similar_leaves_the_record_itself_out(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        hits = index.similar("toy-01", top_k=3)
        assert len(hits) == 3
        assert "toy-01" not in {hit.id for hit in hits}
        assert len(index.similar("toy-01", top_k=100)) == 39
        vector = index.encode(
            ["Colchicine in gout. We gave colchicine to 21 adults with gout. Pain fell by 1 % (invented)."]
        )
        others = [hit for hit in index.search_batch(["x"], top_k=40)[0] if hit.id != "toy-01"]
        assert len(others) == 39 and vector.shape == (1, 32)


def test_same_text_twice_is_two_hits(toy: IndexFolder, add: Add) -> None:
    add(
        {
            "id": "twin",
            "title": "Colchicine in gout",
            "abstract": "We gave colchicine to 21 adults with gout. Pain fell by 1 % (invented).",
        }
    )
    with open_index(toy.path) as index:
        first, second = index.search(
            "Colchicine in gout. We gave colchicine to 21 adults with gout. Pain fell by 1 % (invented).", top_k=2
        )
        assert (first.id, second.id) == ("toy-01", "twin")
        assert first.score == second.score
        assert index.similar("toy-01", top_k=1)[0].id == "twin"


def test_get_gives_the_record_as_it_came(toy: IndexFolder, add: Add) -> None:
    add({"pmid": 123, "title": " As it\u2009came ", "abstract": "a\nb", "mesh": ["Gout"]})
    with open_index(toy.path) as index:
        found = index.get("PMID:123")
        assert (found.title, found.abstract, found.mesh) == (" As it\u2009came ", "a\nb", ("Gout",))
        with pytest.raises(AbstractNotFoundError, match="no record 'nope' in this index"):
            index.get("nope")
        with pytest.raises(AbstractNotFoundError, match="no record 'nope' in this index"):
            index.similar("nope")


def test_encode_gives_unit_vectors(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        vectors = index.encode(["gout", "lupus"])
        assert vectors.shape == (2, 32) and vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert index.encode([]).shape == (0, 32)


@pytest.mark.parametrize("query", ["", " \n\t", "\x00", "\u2009"])
def test_a_blank_query_is_refused(toy: IndexFolder, query: str) -> None:
    with open_index(toy.path) as index, pytest.raises(UsageError, match="the query is blank"):
        index.search(query)


def test_a_query_without_a_word_is_refused(toy: IndexFolder) -> None:
    with open_index(toy.path) as index, pytest.raises(EncoderError, match="no word that the encoder can read"):
        index.search("\u200b")


def test_odd_arguments_are_refused_or_understood(toy: IndexFolder, add: Add) -> None:
    add({"pmid": 123, "title": "A"})
    with open_index(toy.path) as index:
        assert index.get(123).record_id == "PMID:123"  # type: ignore[arg-type]
        assert len(index.search("gout", top_k=np.int64(5))) == 5  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="None was given, expected a string"):
            index.search(None)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="record_id holds None, expected a record id"):
            index.similar(None)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="folder is None, expected the path of an index"):
            open_index(None)  # type: ignore[arg-type]
        index._pid += 1  # as in a forked child
        with pytest.raises(UsageError, match="opened before a fork"):
            index.search("gout")


@pytest.mark.parametrize("top_k", [0, -1, 2.5, True, "10"])
def test_a_senseless_top_k_is_refused(toy: IndexFolder, top_k: int) -> None:
    with open_index(toy.path) as index, pytest.raises(UsageError, match="expected a whole number from 1"):
        index.search("gout", top_k=top_k)


def test_one_string_is_not_a_batch(toy: IndexFolder) -> None:
    with open_index(toy.path) as index, pytest.raises(UsageError, match="expected a list of strings"):
        index.search_batch("gout")


def test_odd_queries_are_answered(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        for query in (
            "\ud800 gout",
            "'; DROP TABLE abstracts; --",
            "gout " * 5000,
            "IL-2 or (covid-19",
            "😀",
            "\x1b[2J gout",
        ):
            assert len(index.search(query, top_k=3)) == 3


def test_a_boolean_search_that_cannot_be_read_is_refused(toy: IndexFolder) -> None:
    with (
        open_index(toy.path) as index,
        pytest.raises(UsageError, match=r"the parenthesis \( at character 9 is not closed"),
    ):
        index.search("IL-2 OR (covid-19", top_k=3)


def test_an_open_index_follows_what_is_published(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path) as following, open_index(toy.path, follow=False) as pinned:
        add({"id": "new", "title": "Brand new record on gout"})
        assert len(following.search("x", top_k=100)) == 41
        assert following.generation == 2
        assert len(pinned.search("x", top_k=100)) == 40
        assert pinned.generation == 1
        assert pinned.refresh() and not pinned.refresh()
        assert pinned.get("new").title == "Brand new record on gout"
        roll_back(toy, None)
        assert following.search("x", top_k=100) == following.search("x", top_k=40)
        assert following.generation == 1


def test_a_pinned_index_answers_after_its_generation_was_deleted(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path, follow=False) as pinned:
        before = pinned.search("gout", top_k=40)
        for n in range(4):
            add({"id": f"n{n}", "title": f"New {n}"}, keep_generations=1)
        assert toy.list_numbers() == [5]
        assert pinned.search("gout", top_k=40) == before


def test_a_following_index_changes_its_encoder_with_the_generation(toy: IndexFolder, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")

    from engine.reindex.generation.order import Order
    from engine.reindex.runs.run import index_sources

    other = Path(shutil.copytree(TOY_MODEL, tmp_path / "other"))
    path = other / "1_Pooling" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pooling_mode": "cls"}))
    with open_index(toy.path) as following:
        before = following.search("gout in adults", top_k=5)
        index_sources(toy, Order((TOY,), IndexSettings(model=str(other), device="cpu"), re_encode=True), silent)
        with open_index(toy.path) as fresh:
            assert following.search("gout in adults", top_k=5) == fresh.search("gout in adults", top_k=5) != before


def test_readers_do_not_wait_for_the_one_that_opens_a_new_generation(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    with open_index(toy.path) as index:
        add({"id": "new", "title": "New"})
        real = IndexFolder.open_current

        def slow(self: IndexFolder, *, quick: bool = False) -> object:
            opening.set()
            assert go_on.wait(30)
            return real(self, quick=quick)

        monkeypatch.setattr(IndexFolder, "open_current", slow)
        first = threading.Thread(target=index.search, args=("gout",))
        first.start()
        assert opening.wait(30)
        assert len(index.search("gout", top_k=99)) == 40  # answered from the old generation meanwhile
        go_on.set()
        first.join()
        assert len(index.search("gout", top_k=99)) == 41


def test_an_index_that_was_deleted_and_made_again_is_noticed(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    add({"id": "new", "title": "New"})
    aside = shutil.copytree(toy.path, tmp_path / "aside")
    shutil.rmtree(toy.path)
    copy_toy(toy.path)
    add({"id": "other", "title": "Other"})
    with open_index(toy.path) as index:
        assert index.get("other").title == "Other"
        shutil.rmtree(toy.path)
        shutil.copytree(aside, toy.path)  # another generation 000002
        assert index.get("new").title == "New"


def test_opening_follows_a_pointer_that_moves_meanwhile(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer publishes and deletes the old generation after a reader has read the pointer."""
    real, calls = IndexFolder.check, []

    def check(self: IndexFolder, number: int, *, quick: bool = False) -> object:
        calls.append(number)
        if len(calls) == 1:
            monkeypatch.setattr(IndexFolder, "check", real)
            add({"id": "new", "title": "New"}, keep_generations=1)
            monkeypatch.setattr(IndexFolder, "check", check)
        return real(self, number, quick=quick)

    monkeypatch.setattr(IndexFolder, "check", check)
    with open_index(toy.path, follow=False) as index:
        assert (index.generation, len(index)) == (2, 41)
    assert calls == [1, 2]


def test_opening_survives_the_deletion_of_what_was_just_checked(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = IndexFolder.open_current

    def checked_and_gone(self: IndexFolder, *, quick: bool = False) -> object:
        found = real(self, quick=quick)
        monkeypatch.setattr(IndexFolder, "open_current", real)
        add({"id": "new", "title": "New"}, keep_generations=1)
        return found

    monkeypatch.setattr(IndexFolder, "open_current", checked_and_gone)
    with open_index(toy.path, follow=False) as index:
        assert (index.generation, len(index)) == (2, 41)


def test_a_closed_index_says_so(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    index.close()
    index.close()
    with pytest.raises(GenerationError, match="was closed. Open it again"):
        index.search("gout")


def test_threads_share_an_index_while_it_is_republished(toy: IndexFolder, add: Add) -> None:
    """Every answer is of one generation: generation n has 39 + n records, and says so in their titles."""
    errors: list[BaseException] = []
    stop = threading.Event()

    def read(index: Index) -> None:
        try:
            while not stop.is_set():
                hits = index.search("gout", top_k=1000)
                new = {hit.id for hit in hits if hit.id.startswith("n")}
                assert new == {f"n{i}" for i in range(len(hits) - 40)}, (len(hits), new)
                assert index.similar("toy-01", top_k=2)
        except BaseException as err:
            errors.append(err)

    with open_index(toy.path) as index:
        threads = [threading.Thread(target=read, args=(index,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for n in range(6):
            add({"id": f"n{n}", "title": f"New {n}"}, keep_generations=2)
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(index.search("gout", top_k=1000)) == 46


def test_another_encoder_beside_the_index_is_refused(toy: IndexFolder) -> None:
    """A folder swapped for one of another identity: named, refused, no answer; what needs no encoder still works."""
    (folder,) = (toy.path / "encoders").iterdir()
    (folder / "encoder.json").chmod(0o644)
    write_receipt(folder, replace(read_identity(folder), weights_sha256="f" * 64))
    with open_index(toy.path) as index:
        with pytest.raises(EncoderMismatchError, match=r"weights ffffffffffff\).*built with .*toy-model"):
            index.search("gout")
        assert len(index.similar("toy-01")) == 10


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder.data", "tokenizer.json"])
def test_a_changed_encoder_file_is_refused(toy: IndexFolder, name: str) -> None:
    (folder,) = (toy.path / "encoders").iterdir()
    (folder / name).chmod(0o644)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with open_index(toy.path) as index, pytest.raises(CorruptError, match=f"{name} was changed or damaged"):
        index.search("gout")


ASK = "import sys; from engine import open_index\nwith open_index(sys.argv[1]) as i: print([(h.id, h.score) for h in i.search('gout in adults', top_k=40)])"


def ask(path: Path, **options: object) -> str:
    done = subprocess.run([sys.executable, "-c", ASK, path], capture_output=True, text=True, check=True, **options)  # type: ignore[call-overload]
    return str(done.stdout)


def test_a_copy_anywhere_in_another_process_gives_the_same_answer(toy: IndexFolder, tmp_path: Path) -> None:
    here = ask(toy.path)
    elsewhere = tmp_path / "a folder with spaces ö"
    shutil.copytree(toy.path, elsewhere / "moved")
    assert ask(elsewhere / "moved") == here
    assert here.count("toy-") == 40


def test_read_only_media_give_the_same_answer(toy: IndexFolder, tmp_path: Path) -> None:
    here, disk = ask(toy.path), tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("mounting a file system read-only needs root and the right to")
    try:
        shutil.copytree(toy.path, disk / "toy")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (disk / "toy" / "LOCK").touch()
        assert ask(disk / "toy") == here
    finally:
        subprocess.run(["umount", disk], check=True)


def test_files_of_another_user_that_may_only_be_read_are_enough(toy: IndexFolder) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    for path in (toy.path, *toy.path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in toy.path.parents:
        if path.is_relative_to(Path(tempfile.gettempdir())) and path != Path(tempfile.gettempdir()):
            path.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forking beside threads
        ours = os.fork()
    if ours == 0:  # the child opens and reads; it runs no search, which after a fork could hang
        os._exit(as_nobody(toy.path))
    assert os.waitstatus_to_exitcode(os.waitpid(ours, 0)[1]) == 0


def as_nobody(path: Path) -> int:
    """0 when a user without rights can open the index and read a record, and can't write."""
    os.setgid(65534)
    os.setuid(65534)
    try:
        with open_index(path) as index:
            return int(index.get("toy-01").title != "Colchicine in gout" or os.access(path, os.W_OK))
    except BaseException:
        return 2


def test_new_ranks_exactly_what_changed_since_a_generation(toy: IndexFolder, add: Add) -> None:
    add({"id": "a", "title": "Gout and beer"}, {"id": "toy-40", "title": "Reworded, of lupus"})
    with open_index(toy.path) as index:
        row = index.get("toy-03")
    add({"id": "b", "title": "Knee pain"}, {"id": "toy-03", "title": row.title, "abstract": row.abstract, "year": 1})
    with open_index(toy.path) as index:
        found = index.new("gout", since=1, top_k=1000)
        assert {r.hit.id: r.change for r in found} == {
            "a": "added", "b": "added", "toy-40": "text changed", "toy-03": "metadata changed",
        }  # fmt: skip
        everything = index.search("gout", top_k=1000)
        changed = {r.hit.id for r in found}
        assert [r.hit.id for r in found] == [h.id for h in everything if h.id in changed]
        assert [r.hit.score for r in found] == [h.score for h in everything if h.id in changed]
        assert [r.hit.rank for r in found] == [1, 2, 3, 4]
        assert [r.hit.id for r in index.new("gout", since="2", top_k=2)] == [
            r.hit.id for r in found if r.hit.id in ("b", "toy-03")
        ]
        assert index.new("gout", since=3) == index.new("gout", since="2999-01-01") == []
        assert len(index.new("gout", since="2020-01-01", top_k=1000)) == len(index) == 42
        assert len(index.new("gout", since="2020-01-01T12:00:00+05:00", top_k=3)) == 3


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (4, "there is no generation 000004 yet, the current one is 000001. See: engine log"),
        ("soon", "'soon' is neither a generation's number nor a date like 2026-11-24"),
        ("", "'' is neither"),
        ("2026-13-45", "is neither"),
    ],
)
def test_a_since_that_means_nothing_is_refused(toy: IndexFolder, since: int | str, message: str) -> None:
    with open_index(toy.path) as index, pytest.raises(UsageError, match=message):
        index.new("gout", since=since)


def test_a_database_that_somebody_holds_is_read_and_built_upon_all_the_same(toy: IndexFolder, add: Add) -> None:
    database = toy.open_current().segments[0].files.database
    database.chmod(0o644)
    with closing(sqlite3.connect(database)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with open_index(toy.path) as index:
            assert index.get("toy-01").title == "Colchicine in gout"
        assert add({"id": "a", "title": "A"}).published
        holder.rollback()


def test_the_committed_toys_are_found_exactly(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        hits = index.nearest("does colchicine help in gout?", 5)
        assert [hit.id for hit in hits] == EXPECTED
        assert isinstance(hits[0], Hit)
        assert index.manifest.counts.abstracts == 40
        assert index.get("toy-40").title == "Zoledronate in giant cell arteritis"
        assert [hit.id for hit in index.similar("toy-01", top_k=3)] == EXPECTED_SIMILAR


def test_the_committed_index_knows_its_sources_and_history() -> None:
    with open_index(CURRENT) as index:
        record = index.get("PMID:101")
        assert (record.year, record.vernacular_title) == (1991, "Le petit train et la gonarthrose.")
        assert (record.authors, record.orcids) == (("Ada Toy", "The Toy Group"), ("0000-0002-1825-0097", ""))
        assert (index.get("102").retracted, index.get("103").notices) == (True, ("is a retraction notice",))
        assert index.get_sources("101") == [
            RecordSource("PubMed XML", "PMID:101", "pubmed26n0001.xml", 2, "pubmed26n0001.xml")
        ]
        assert {row.hit.id for row in index.new("toy", since=1)} == {"PMID:101", "PMID:102", "PMID:103"}
        snapshot = get_generation(index)
        assert [tuple(r) for r in snapshot.corpus.read_state("SELECT pmid, release FROM deletions")] == [
            ("104", 20260001)
        ]
        assert [event.files for event in read_events(snapshot.corpus)] == [("toy.jsonl",), ("pubmed26n0001.xml",)]


def test_the_committed_index_is_searched_by_its_codes() -> None:
    with open_index(CURRENT) as index:
        assert index.manifest.factory == "IVF4,RaBitQfs"
        ann = index.manifest.ann
        assert ann is not None and (ann.recall, ann.target, ann.n_queries, ann.n_trained) == (0.9953, 0.99, 43, 43)
        vectors = get_generation(index).vectors
        (part,) = vectors.parts
        assert not vectors.is_exact and isinstance(part.index, IvfIndex) and part.index.n_lists == 4
        hits = index.nearest("does colchicine help in gout?", 43)
        assert [hit.id for hit in hits if hit.id.startswith("toy")][:5] == EXPECTED
        assert [hit.id for hit in index.similar("toy-01", top_k=3)] == EXPECTED_SIMILAR


def test_the_committed_index_is_searched_by_words_and_filtered() -> None:
    with open_index(CURRENT) as index:
        words = index.ask(Query("colchicine +gout", mode="keyword", explain=True))
        assert (words.hits[0].id, words.n_qualified) == ("toy-01", 8)
        assert words.hits[0].bm25 == pytest.approx(5.9719, abs=1e-4)  # (2.0794 + 1.6441) * 1.6038
        assert words.hits[0].why is not None and words.hits[0].why.words == ("colchicine", "gout")
        calibration = index.manifest.calibration
        assert calibration is not None and (calibration.n_records, len(calibration.shares)) == (40, 117)
        both = index.search("pain", mode="hybrid", filters=Filters(journals=("invented*",), years=((1991, 1991),)))
        assert {hit.id for hit in both} == {"toy-01", "toy-31", "PMID:101"}
        (retracted,) = index.search("toy", filters=Filters(retracted=True, sources=("PubMed XML",)))
        assert retracted.id == "PMID:102"
        assert [hit.id for hit in index.search("x", filters=Filters(where="author = 'group toy'"))] == ["PMID:101"]


def test_the_committed_index_is_whole_and_has_a_map() -> None:
    generation = IndexFolder(CURRENT).open_current()
    (segment,) = generation.segments
    found, axes = read_points(segment.files.map), read_layout(generation.axes)
    assert (len(found.doc_ids), axes.axes.shape, axes.n_records) == (43, (2, 32), 40)
    assert found.made_with == axes.digest
    assert found.places[0].tolist() == pytest.approx(PLACE, abs=1e-5)
    assert verify(IndexFolder(CURRENT), generation, deep=True) == []


PLACE = [0.011231, 0.068081]
EXPECTED = ["toy-21", "toy-01", "toy-22", "toy-16", "toy-26"]
EXPECTED_SIMILAR = ["toy-06", "toy-21", "toy-31"]


@pytest.mark.parametrize("written", [False, True])
def test_files_that_were_written_to_are_opened_anew_with_the_next_generation(
    toy: IndexFolder, add: Add, written: bool
) -> None:
    path = segment_of(toy, 1).vectors
    with open_index(toy.path) as index:
        (before,) = get_generation(index).vectors.parts
        if written:  # and then to what it held
            content = path.read_bytes()
            path.chmod(0o644)
            path.write_bytes(content[:-1])
            path.write_bytes(content)
        add({"id": "gout", "title": "Gout"}, one_segment_below=0)
        assert index.refresh()
        after, _ = get_generation(index).vectors.parts
        assert after.index.path == path and (after.index is before.index) is not written


def test_an_index_says_what_it_is_and_shows_only_its_public_names(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert repr(index) == "<Index 'toy', generation 1, 40 records>"
        assert [name for name in dir(index) if not name.startswith("_")] == [
            *("abstracts", "ask", "ask_batch", "ask_new", "chase", "close", "encode", "generation", "get"),
            *("get_records", "get_sources", "load_encoder", "locate", "manifest", "name", "nearest", "nearest_to"),
            *("new", "path", "pin", "recall", "refresh", "search", "search_batch", "similar", "suggest", "vectors"),
        ]
    assert repr(index) == "<Index 'toy', closed>"


def test_a_missing_folder_is_explained() -> None:
    expected = "there is no folder sample, expected the path of an index, such as indexes/sample.*ENGINE_INDEXES"
    with pytest.raises(NoGenerationError, match=expected):
        open_index("sample")


def test_a_hit_is_shown_on_a_short_line() -> None:
    hit = Hit(1, "PMID:7", 0.81234567, "Colchicine " * 9, "Long abstract. " * 99, 2019, "", (), "7", None, False)
    assert repr(hit) == (
        "Hit(rank=1, id='PMID:7', score=0.8123, year=2019, "
        "title='Colchicine Colchicine Colchicine Colchicine Colchicine Colc…')"
    )
    assert repr(replace(hit, title="Gout")).endswith("title='Gout')")


def test_an_index_is_pickled_by_its_path(toy: IndexFolder) -> None:
    with open_index(toy.path) as index, pickle.loads(pickle.dumps(index)) as again:  # noqa: S301 - our own bytes
        assert (again.path, again.generation, again._follow) == (toy.path, 1, True)
        assert again.search("gout") == index.search("gout")
    with open_index(toy.path, generation=1) as index, pickle.loads(pickle.dumps(index)) as again:  # noqa: S301 - our own bytes
        assert (again.generation, again._is_pinned) == (1, True)


def test_all_abstracts_are_given_in_order(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        records = list(index.abstracts())
        assert [record.record_id for record in records[:2]] == ["toy-01", "toy-02"] and len(records) == 40
