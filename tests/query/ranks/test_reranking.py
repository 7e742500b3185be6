"""The second stage: its order by hand with scores that are given, and with a tiny cross-encoder from end to end."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine import open_index
from engine.deadline import Deadline, limit_time
from engine.encode.models.recipe import prepare_text
from engine.errors import BusyError, CorruptError, EncoderMismatchError, UnknownRerankerError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.publish import remove_unused
from engine.options import MODES, Filters, Mode, Query
from engine.query.index import Index, get_generation
from engine.query.opening.rerankers import list_rerankers
from engine.query.prisma import write_paragraph
from engine.query.rerun import rerun
from engine.query.searchlog import dump_record, make_record, read_record
from engine.records.reranker import RerankerIdentity
from tests.conftest import Command, copy_toy
from tests.rerankers import edit_json, make_reranker

DEPTH = 6


class Shortest:
    """A reranker that prefers short texts; of equal length, all are equal."""

    identity = RerankerIdentity("shortest", 64, "identity", "", "fp32", "a", "b", "c")

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def score(self, query: str, texts: Sequence[str]) -> tuple[NDArray[np.float64], int]:
        self.asked.append((query, tuple(texts)))
        return np.array([-float(len(text)) for text in texts]), 0


@pytest.fixture
def index(toy: IndexFolder) -> Iterator[Index]:
    with open_index(toy.path, follow=False) as opened:
        get_generation(opened).rerankers["shortest", "fp32"] = Shortest()  # type: ignore[assignment]
        yield opened


def asked(mode: Mode = "semantic", **options: object) -> Query:
    return Query("colchicine gout", mode=mode, rerank="shortest", rerank_depth=DEPTH, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
def test_the_first_hits_by_the_new_score_then_the_others_as_before(index: Index, mode: Mode) -> None:
    before = index.ask(Query("colchicine gout", mode=mode, top_k=12)).hits
    hits = index.ask(asked(mode, top_k=12)).hits
    place = {hit.id: get_generation(index).corpus.find_doc_id(hit.id) for hit in before}
    expected = sorted(
        before[:DEPTH], key=lambda hit: (len(prepare_text(hit.title, hit.abstract)), place[hit.id])
    ) + list(before[DEPTH:])
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    assert [hit.id for hit in hits] != [hit.id for hit in before]
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert {hit.id: (hit.score, hit.bm25, hit.fused) for hit in hits} == {
        hit.id: (hit.score, hit.bm25, hit.fused) for hit in before
    }
    assert [hit.rerank_score for hit in hits[:DEPTH]] == [
        -float(len(prepare_text(h.title, h.abstract))) for h in hits[:DEPTH]
    ]
    assert {hit.rerank_score for hit in hits[DEPTH:]} == {None}


@pytest.mark.parametrize("mode", MODES)
def test_pages_keep_one_order(index: Index, mode: Mode) -> None:
    whole = [hit.id for hit in index.ask(asked(mode, top_k=40)).hits]
    for size in (1, 4, 7):
        pages = [index.ask(asked(mode, top_k=size, offset=at)).hits for at in range(0, len(whole), size)]
        assert [hit.id for page in pages for hit in page] == whole
    assert [hit.id for hit in index.ask(asked(mode, top_k=3)).hits] == whole[:3]


def test_a_batch_answers_as_single_queries_do(index: Index) -> None:
    queries = [asked(), replace(asked(), text="lupus"), replace(asked(), mode="hybrid")]
    assert index.ask_batch(queries) == [index.ask(query) for query in queries]


def test_filters_and_a_minimum_cosine_come_first(index: Index) -> None:
    hits = index.ask(asked(filters=Filters(years=["1995-"]), top_k=40)).hits
    assert hits and all((hit.year or 0) >= 1995 for hit in hits)
    assert sum(hit.rerank_score is not None for hit in hits) == DEPTH
    least = index.ask(Query("colchicine gout", mode="semantic", top_k=4)).hits[-1].score
    few = index.ask(asked(min_score=least)).hits
    assert len(few) == 4 and all(hit.rerank_score is not None and hit.score >= least for hit in few)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("least", [None, 0.5])
def test_known_records_are_ranked_as_they_are_found(index: Index, mode: Mode, least: float | None) -> None:
    query = asked(mode, top_k=40, min_score=least)
    ranks = {hit.id: hit.rank for hit in index.ask(query).hits}
    ids = [abstract.record_id for abstract in index.abstracts()]
    known = {item.id: item.rank for item in index.recall(replace(query, top_k=10), ids).items}
    assert {name: rank for name, rank in known.items() if rank} == ranks
    found = index.locate(replace(query, top_k=2), ids).answer.hits
    assert {hit.id: hit.rank for hit in found} == ranks
    assert [hit.rerank_score for hit in found] == [hit.rerank_score for hit in index.ask(query).hits]


def test_index_toml_names_one_for_every_search(index: Index) -> None:
    with (index.path / "index.toml").open("a", encoding="utf-8") as file:
        file.write('[rerank]\nmodel = "shortest"\ndepth = 3\n')
    answer = index.ask(Query("colchicine gout"))
    assert answer.reranker == Shortest.identity
    assert (answer.query.rerank, answer.query.rerank_depth, answer.query.rerank_precision) == ("shortest", 3, "fp32")
    assert sum(hit.rerank_score is not None for hit in answer.hits) == 3
    plain = index.ask(Query("colchicine gout", rerank="none"))
    assert plain.reranker is None and plain.query.rerank is None and plain.query.rerank_depth is None
    assert [hit.rerank_score for hit in plain.hits] == [None] * 10
    assert index.ask(Query(like=("toy-01",))).reranker is None  # no text to compare
    assert index.ask(Query("gout", diversify=0.5)).reranker is None  # another order is wanted
    assert index.ask(Query("gout", sort="year")).reranker is None
    assert len(index.search("gout")) == 10
    assert [hit.rerank_score for hit in index.search("gout", mode="semantic", top_k=2)] != [None] * 2
    nearest = index.nearest("colchicine gout", 40)
    assert [hit.score for hit in nearest] == sorted((hit.score for hit in nearest), reverse=True)
    assert {hit.rerank_score for hit in nearest} == {None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "", "like": ("toy-01",)}, "a reranker compares a text with records, and the query has none"),
        ({"diversify": 0.3}, "diversify and rerank each put the hits in an order of their own"),
        ({"sort": "year"}, "sort and rerank each put the hits in an order of their own"),
        ({"rerank": " "}, "rerank is ' ', expected a folder, a hub id or none"),
        ({"rerank_depth": 0}, "rerank_depth is 0, expected a whole number from 1"),
        ({"rerank_depth": 1001}, "rerank_depth is 1,001, expected a whole number from 1 to 1,000"),
        ({"rerank_precision": "bf16"}, "rerank_precision is 'bf16', expected one of fp32, int8"),
    ],
)
def test_what_makes_no_sense_is_refused(index: Index, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        index.ask(replace(asked(), **options))  # type: ignore[arg-type]


def test_a_recorded_search_names_the_reranker_and_is_repeated_with_it(
    toy: IndexFolder, index: Index, tmp_path: Path
) -> None:
    record = make_record(index, index.ask(asked(top_k=8)))
    assert (record.reranker, record.reranker_fingerprint) == ("shortest", Shortest.identity.fingerprint)
    assert (record.query.rerank, record.query.rerank_depth) == ("shortest", DEPTH)
    assert record.rerank_scores.count(None) == 2
    (tmp_path / "record.json").write_bytes(dump_record(record))
    assert read_record(tmp_path / "record.json") == record
    assert (
        "The first hits, at most 6, were then ordered anew by the score of the cross-encoder shortest"
        in write_paragraph(record)
    )
    with pytest.raises(
        EncoderMismatchError, match="with the reranker shortest .fingerprint .*does not hold: found none"
    ):
        rerun(record, index)
    plain = make_record(index, index.ask(Query("gout")))
    (toy.path / "index.toml").write_text('[rerank]\nmodel = "shortest"\n', encoding="utf-8")
    assert plain.query.rerank == "none" and rerun(plain, index).same


def test_a_record_from_before_the_second_stage_is_repeated_without_it(index: Index, tmp_path: Path) -> None:
    from engine.receipts import open_json, seal_json

    content = open_json(dump_record(make_record(index, index.ask(Query("gout"))))) or {}
    for name in ("reranker", "reranker_fingerprint", "rerank_scores"):
        del content[name]
    for name in ("rerank", "rerank_depth", "rerank_precision"):
        del content["query"][name]
    path = tmp_path / "old.json"
    path.write_text(seal_json(content), encoding="utf-8")
    with (index.path / "index.toml").open("a", encoding="utf-8") as file:
        file.write('[rerank]\nmodel = "shortest"\n')
    assert read_record(path).query.rerank == "none" and rerun(read_record(path), index).same


# With a tiny cross-encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    return make_reranker(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, model: Path) -> IndexFolder:
    """The toy index with the tiny reranker exported into it; not to be written to."""
    folder = copy_toy(tmp_path_factory.mktemp("ready") / "indexes" / "toy")
    with open_index(folder.path, follow=False) as opened:
        answer = opened.ask(Query("gout", rerank=str(model)))
    assert "the reranker was exported to" in " ".join(answer.notes)
    return folder


@pytest.fixture
def copied(ready: IndexFolder, tmp_path: Path) -> IndexFolder:
    return IndexFolder(Path(shutil.copytree(ready.path, tmp_path / "indexes" / "toy")))


def test_scores_are_those_of_the_cross_encoder(ready: IndexFolder, model: Path) -> None:
    from sentence_transformers import CrossEncoder

    with open_index(ready.path, follow=False) as opened:
        answer = opened.ask(Query("gout", rerank=str(model), top_k=40, rerank_depth=30))
    reranked = [hit for hit in answer.hits if hit.rerank_score is not None]
    pairs = [("gout", prepare_text(hit.title, hit.abstract)) for hit in reranked]
    expected = CrossEncoder(str(model), device="cpu").predict(pairs, show_progress_bar=False)
    assert len(reranked) == 30 and answer.hits[:30] == tuple(reranked)
    assert [hit.rerank_score for hit in reranked] == pytest.approx(expected.tolist(), abs=1e-4)
    assert len({hit.rerank_score for hit in reranked}) > 10
    assert not [note for note in answer.notes if "exported" in note]


def test_the_commands_and_the_record(copied: IndexFolder, engine: Command, model: Path, tmp_path: Path) -> None:
    first = engine(
        "search", "gout", "--rerank", model, "--rerank-depth", "5", "-n", "7", "--json", "--record", "r.json"
    )
    rows = json.loads(first.stdout)
    assert [("rerank_score" in row) for row in rows] == [True] * 5 + [False] * 2
    assert all(-1 <= row["score"] <= 1 for row in rows)
    table = engine("search", "gout", "--rerank", "tiny", "-n", "3", "--table")
    verdict, header = table.stdout.splitlines()[:2]
    assert verdict.startswith("no verdict") and "rerank" in header
    again = engine("rerun", "r.json")
    assert (again.returncode, again.stdout.split(":")[0]) == (0, "same result")
    assert str(model) not in (tmp_path / "r.json").read_text()
    other = engine("search", "gout", "--rerank", tmp_path / "none-here")
    assert other.returncode == 1 and "none-here is not a folder" in other.stderr
    bi = engine("search", "gout", "--rerank", Path(__file__).parents[2] / "data" / "toy-model")
    assert bi.returncode == 1 and "is an encoder of single texts" in bi.stderr


def test_a_search_with_an_exported_reranker_loads_no_torch(copied: IndexFolder, model: Path) -> None:
    script = (
        "import sys; from engine.cli import main; "
        f"main(['search', 'gout', '--rerank', {str(model)!r}, '--json', '--indexes', {str(copied.path.parent)!r}], "
        "standalone_mode=False); print(*{m.split('.')[0] for m in sys.modules}, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0]["rerank_score"]
    assert not set(done.stderr.split()) & {"torch", "transformers", "sentence_transformers"}


def test_the_exported_reranker_is_kept_and_found_without_its_folder(copied: IndexFolder) -> None:
    remove_unused(copied, 3)
    (identity,) = list_rerankers(copied)
    with open_index(copied.path, follow=False) as opened:
        for name in (identity.fingerprint, identity.fingerprint[:12], "tiny", identity.model):
            assert opened.ask(Query("gout", rerank=name)).reranker == identity
        get_generation(opened).may_export = False
        with pytest.raises(
            UnknownRerankerError, match="toy has no reranker 'other' at fp32: found tiny. To add one, search"
        ):
            opened.ask(Query("gout", rerank="other"))
        with pytest.raises(UnknownRerankerError, match="toy has no reranker '/tmp' at fp32"):
            opened.ask(Query("gout", rerank="/tmp"))


def test_a_changed_folder_is_another_reranker(copied: IndexFolder, model: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(model, tmp_path / "changed"))
    edit_json(changed / "config_sentence_transformers.json", activation_fn="torch.nn.modules.linear.Identity")
    with open_index(copied.path, follow=False) as opened:
        scores = [[h.rerank_score for h in opened.ask(Query("gout", rerank=str(m))).hits] for m in (model, changed)]
    assert scores[0] != scores[1]
    assert len(list_rerankers(copied)) == 2


def test_a_damaged_reranker_is_noticed(copied: IndexFolder, model: Path) -> None:
    (path,) = copied.path.glob("encoders/*/reranker.json")
    data = path.with_name("encoder.data")
    data.chmod(0o644)
    data.write_bytes(b"x" + data.read_bytes()[1:])
    with open_index(copied.path, follow=False) as opened:
        with pytest.raises(CorruptError, match="encoder.data was changed or damaged"):
            opened.ask(Query("gout", rerank="tiny"))
        assert opened.ask(Query("gout", rerank=str(model))).reranker  # exported again


def test_a_reranker_that_is_changed_below_an_open_index_gives_no_other_scores(copied: IndexFolder) -> None:
    (path,) = copied.path.glob("encoders/*/reranker.json")
    data = path.with_name("encoder.data")
    data.chmod(0o644)
    good = data.read_bytes()
    with open_index(copied.path, follow=False) as opened:
        before = opened.ask(Query("gout", rerank="tiny")).hits
        data.write_bytes(bytes(len(good)))
        with pytest.raises(CorruptError, match="encoder.data was changed or damaged"):
            opened.ask(Query("gout", rerank="tiny"))
        data.write_bytes(good)
        assert opened.ask(Query("gout", rerank="tiny")).hits == before


def test_a_neighbour_s_reranker_is_copied(ready: IndexFolder, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbour = copy_toy(ready.path.parent / "neighbour")
    monkeypatch.setattr("engine.query.opening.rerankers._export", lambda *_: pytest.fail("exported"))
    with open_index(neighbour.path, follow=False) as opened:
        assert opened.ask(Query("gout", rerank=str(model))).reranker == list_rerankers(ready)[0]
    assert not list((neighbour.path / "encoders").glob(".*"))


def test_the_deadline_ends_it(ready: IndexFolder) -> None:
    with open_index(ready.path, follow=False) as opened:
        opened.ask(Query("gout", rerank="tiny"))
        with limit_time(Deadline(0.0)), pytest.raises(BusyError, match="the time for this answer is over"):
            opened.ask(Query("gout", rerank="tiny"))
