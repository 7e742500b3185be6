import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import open_index, options
from engine.errors import (
    CorruptError,
    EncoderMismatchError,
    FormatVersionError,
    GenerationError,
    NoGenerationError,
    UsageError,
)
from engine.index.generations.folder import IndexFolder
from engine.options import FUSIONS, MODES, Filters, Query, ValueKind
from engine.query.ranks import ranking
from engine.query.rerun import open_recorded, rerun
from engine.query.searchlog import (
    Record,
    RecordedSource,
    dump_record,
    hash_result,
    make_record,
    read_record,
    write_record,
)
from engine.receipts import open_json, seal_json
from engine.records.answer import Hit
from engine.reindex.generation.order import Report
from engine.reindex.runs.rollback import roll_back
from tests.conftest import segment_of

Add = Callable[..., Report]
NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(str.strip)  # a blank one is refused
NAMES = st.lists(NAME, max_size=3).map(tuple)
YEAR = st.none() | st.integers(-10, 3000)
YEARS = st.tuples(YEAR, YEAR).filter(lambda pair: None in pair or pair[0] <= pair[1])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = {
    ValueKind.NAMES: NAMES,
    ValueKind.IDS: NAMES,
    ValueKind.YEARS: st.lists(YEARS, max_size=3).map(tuple),
    ValueKind.EITHER: st.none() | st.booleans(),
    ValueKind.TEXT: TEXT,
}
CONDITIONS: dict[str, st.SearchStrategy[object]] = {option.field: VALUES[option.kind] for option in options.FILTERS}
CONDITIONS["ids"] = st.none() | NAMES  # no ids at all and an empty list differ
FILTERS = st.builds(Filters, **CONDITIONS)
SHARE = st.none() | st.floats(0, 1)
QUERIES = st.builds(
    Query, st.text(st.characters(exclude_categories=["Cs"])), NAMES, NAMES, st.sampled_from(MODES), FILTERS, st.integers(1), st.integers(0),
    st.none() | st.floats(-1, 1), SHARE, st.none() | st.sampled_from(FUSIONS), SHARE, st.booleans(), st.sampled_from([None, "journal", "year"]),
)  # fmt: skip


def hit(rank: int, record_id: str, score: float) -> Hit:
    return Hit(rank, record_id, score, "", "", None, "", (), None, None, False)


def plain(query: Query) -> Record:
    return Record(
        1, "0.1.0", "2026-11-25T10:00:00+00:00", "toy", 1, "2026-11-01T00:00:00+00:00", 40, "model", "f" * 64,
        "a.xml", query, None, "", 2, ("a", "b"), (0.5, -0.25), "0" * 64,
    )  # fmt: skip


@pytest.fixture
def recorded(toy: IndexFolder) -> Record:
    with open_index(toy.path) as index:
        return make_record(index, index.ask(Query("gout", mode="semantic", top_k=5)))


@pytest.fixture
def later(toy: IndexFolder, recorded: Record, add: Add) -> IndexFolder:
    """The toy index one generation after the record, with a hit more."""
    add({"id": "new", "title": "Gout gout", "abstract": "Gout and more gout."})
    return toy


def test_the_digest_is_that_of_ranks_ids_and_scores_to_six_decimals() -> None:
    hits = [hit(3, "PMID:1", 0.12345649), hit(4, "x", -1e-9)]
    assert hash_result(hits) == hashlib.sha256(b"3\tPMID:1\t0.123456\n4\tx\t0.000000\n").hexdigest()
    assert hash_result([]) == hashlib.sha256(b"").hexdigest()
    assert hash_result([hit(3, "PMID:1", 0.1234571), hits[1]]) != hash_result(hits)
    assert hash_result(hits[::-1]) != hash_result(hits)


def test_a_record_holds_what_was_asked_and_what_came(toy: IndexFolder, recorded: Record) -> None:
    with open_index(toy.path) as index:
        hits, manifest = index.nearest("gout", 5), index.manifest
    assert recorded.ids == tuple(one.id for one in hits) and len(set(recorded.ids)) == 5
    assert recorded.scores == pytest.approx([one.score for one in hits], abs=5e-7)
    assert recorded.ranks == {one.id: one.rank for one in hits}
    assert (recorded.index, recorded.generation, recorded.n_abstracts, recorded.n_qualified) == ("toy", 1, 40, 40)
    assert (recorded.newest_source, recorded.generation_created) == ("toy.jsonl", manifest.created)
    day = manifest.created[:10]
    assert recorded.sources == (RecordedSource("toy.jsonl", "file", 40, day, day),)
    assert recorded.removed == {"duplicates": 0, "rejected": 0, "withdrawn": 0}
    assert (recorded.fingerprint, recorded.encoder) == (manifest.encoder.fingerprint, manifest.encoder.short_name)
    assert (
        recorded.query == Query("gout", mode="semantic", top_k=5, rerank="none")
        and recorded.since is None
        and recorded.mesh_tree == ""
    )


def test_an_answer_of_another_generation_is_not_recorded(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path) as index:
        answer = index.ask(Query("gout"))
        add({"id": "new", "title": "Gout"})
        index.refresh()
        with pytest.raises(GenerationError, match=r"the answer is of generation 000001, .* moved to 000002"):
            make_record(index, answer)


@given(QUERIES, st.none() | st.integers(0, 9))
def test_what_is_written_is_read(query: Query, since: int | None) -> None:
    source = RecordedSource("Scopus", "database", 3, "2026-11-01", "2026-11-02")
    record = replace(plain(query), since=since, sources=(source,), removed={"duplicates": 1})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.json")
        write_record(path, record, overwrite=False)
        read = read_record(path)
        assert [p.name for p in Path(folder).iterdir()] == ["r.json"]
    assert read == record
    assert hash(read.query) == hash(query)


def test_a_lone_surrogate_is_left_out(tmp_path: Path) -> None:
    write_record(tmp_path / "r.json", plain(Query("a\udce4b")), overwrite=False)
    assert read_record(tmp_path / "r.json").query.text == "ab"


def test_a_file_is_written_over_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, plain(Query("one")), overwrite=False)
    with pytest.raises(UsageError, match=r"r\.json exists\. Write over it: --overwrite"):
        write_record(path, plain(Query("two")), overwrite=False)
    assert read_record(path).query.text == "one"
    write_record(path, plain(Query("two")), overwrite=True)
    assert read_record(path).query.text == "two"


def test_every_changed_value_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, plain(Query("gout", filters=Filters(years=((2015, None),)))), overwrite=False)
    whole = path.read_text(encoding="utf-8")
    for old, new in (
        ("gout", "gour"),
        ("2015", "2016"),
        ('"n_qualified": 2', '"n_qualified": 3'),
        ('"a"', '"c"'),
        ("\n", "\n "),
    ):
        assert old in whole
        path.write_text(whole.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(CorruptError, match="was changed since it was written"):
            read_record(path)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", UsageError, "is not JSON, expected a file that engine search"),
        (b"\xff\xfe", UsageError, "is not JSON"),
        (b"[" * 100_000, UsageError, "is not JSON"),
        (b"[]", UsageError, "is not the record of a search"),
        (b'{"hits": []}', UsageError, "is not the record of a search"),
        (b'{"kind": "search record of abstract-engine", "format_version": 2}', FormatVersionError, "format version 2, this engine reads 1. Upgrade"),
        (b'{"kind": "search record of abstract-engine"}', FormatVersionError, "format version None"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, content: bytes, error: type[Exception], says: str) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(error, match=says):
        read_record(tmp_path / "r.json")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.json can't be read: No such file"):
        read_record(tmp_path / "no.json")


@pytest.mark.parametrize(
    "change", [{"wish": 1}, {"query": {"mode": "magic"}}, {"query": {"filters": {"colour": []}}}, {"query": {}}]
)
def test_what_a_newer_engine_adds_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    content = json.loads(json.dumps({"kind": "search record of abstract-engine", **asdict(plain(Query("x")))}))
    changed = change.get("query")
    content |= {"query": {**content["query"], **changed} if changed else {}} if "query" in change else change
    (tmp_path / "r.json").write_text(seal_json(content), encoding="utf-8")
    with pytest.raises(FormatVersionError, match="holds what this engine does not know .* Upgrade abstract-engine"):
        read_record(tmp_path / "r.json")


def test_the_kept_generation_gives_the_same_whatever_came_later(later: IndexFolder, recorded: Record) -> None:
    with open_recorded(recorded, later) as index:
        assert index.generation == 1
        found = rerun(recorded, index)
    assert found.same and found.result_sha256 == recorded.result_sha256
    assert (found.entered, found.left, found.moved, found.notes) == ((), (), 0, ())
    assert tuple(one.id for one in found.answer.hits) == recorded.ids


def test_the_newest_generation_says_what_entered_and_left(later: IndexFolder, recorded: Record) -> None:
    with open_index(later.path) as index:
        found = rerun(recorded, index)
    assert not found.same and found.result_sha256 != recorded.result_sha256
    assert [one.id for one in found.answer.hits] == ["new", *recorded.ids[:4]]  # by hand: one above all the others
    assert (found.entered, found.left, found.moved) == (("new",), recorded.ids[4:], 4)
    (note,) = found.notes
    assert note.startswith("recorded on generation 000001 of") and "repeated on generation 000002 of" in note


def test_an_offset_counts_in_ranks(later: IndexFolder, toy: IndexFolder) -> None:
    with open_index(toy.path, generation=1) as index:
        record = make_record(index, index.ask(Query("gout", top_k=3, offset=2)))
    assert list(record.ranks.values()) == [3, 4, 5]
    with open_index(toy.path) as index:
        found = rerun(record, index)
    assert (len(found.entered), len(found.left), found.moved) == (1, 1, 2)


def test_only_scores_that_differ_are_a_difference(toy: IndexFolder, recorded: Record) -> None:
    first, *others = recorded.scores
    other = replace(recorded, scores=(first + 2e-6, *others), result_sha256="0" * 64, engine_version="0.0.9")
    with open_index(toy.path) as index:
        found = rerun(other, index)
    assert not found.same and (found.entered, found.left, found.moved) == ((), (), 0)
    assert "the hits and their order are the same; scores differ by 0.000002 at most" in found.notes[0]
    assert found.notes[1] == "recorded with abstract-engine 0.0.9, repeated with 0.1.0"


def test_what_a_later_index_toml_says_changes_nothing(toy: IndexFolder, add: Add) -> None:
    add({"id": "new", "title": "Gout", "abstract": "Knee pain."})
    with open_index(toy.path) as index:
        record = make_record(index, index.ask(Query("gout knee", mode="hybrid", top_k=40)))
        new = make_record(index, index.ask_new(Query("gout knee", top_k=40), since=0)[1], since=0)
    assert (record.query.weight, record.query.fusion) == (None, "convex")  # the weight is that of the question
    (toy.path / "index.toml").write_text('[hybrid]\nweight = 0.9\nfusion = "rrf"\n', encoding="utf-8")
    with open_index(toy.path) as index:
        assert make_record(index, index.ask(Query("gout knee", mode="hybrid", top_k=40))).ids != record.ids
        assert rerun(record, index).same and rerun(new, index).same


def test_another_rule_of_ranking_is_named(toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(toy.path) as index:
        write_record(
            tmp_path / "r.json", make_record(index, index.ask(Query("gout knee pain care", top_k=9))), overwrite=False
        )
        record = read_record(tmp_path / "r.json")
        assert rerun(record, index).notes == ()
        monkeypatch.setattr(ranking, "DEFAULT_WEIGHT", 0.1)
        (note,) = [note for note in rerun(record, index).notes if "rule" in note]
        assert note == "ranked by another rule than recorded, so the order may differ: weight 0.6, now 0.1"
        older = replace(record, rule={})
        assert not any("rule" in note for note in rerun(older, index).notes)
        fixed = make_record(index, index.ask(Query("gout", mode="hybrid", weight=0.3)))
        assert fixed.rule == {"fused": 1000}
        assert make_record(index, index.ask(Query("gout", mode="keyword"))).rule == {}


def test_a_filtered_search_with_examples_is_repeated(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    add({"id": "new", "title": "Gout", "abstract": "Knee pain.", "year": 2020})
    query = Query("gout", ("toy-01",), ("toy-02",), filters=Filters(years=((1995, None),)), top_k=4, min_score=0.1)
    with open_index(toy.path) as index:
        write_record(tmp_path / "r.json", make_record(index, index.ask(query)), overwrite=False)
        assert rerun(read_record(tmp_path / "r.json"), index).same


def test_what_was_new_is_searched_again_among_what_was_new(later: IndexFolder, add: Add) -> None:
    add({"id": "newer", "title": "Gout", "abstract": "More gout still."})
    with open_index(later.path) as index:
        rows, answer = index.ask_new(Query("gout"), since=1)
        record = make_record(index, answer, since=1)
        assert record.since == 1 and set(record.ids) == {"new", "newer"}
        found = rerun(record, index)
        assert found.same and found.changes == ("added", "added")
        assert make_record(index, answer, since="2100-01-01").since == 3
        none = make_record(index, index.ask_new(Query("gout"), since=3)[1], since=3)
        assert (
            rerun(none, index).changes == ()
            and rerun(make_record(index, index.ask(Query("gout"))), index).changes is None
        )


def test_another_mesh_tree_is_named(toy: IndexFolder, add: Add) -> None:
    add({"id": "a", "title": "Gout", "mesh": ["Gout"]}, {"id": "b", "title": "Knee", "mesh": ["Knee"]})
    (toy.path / "index.toml").write_text('mesh_tree = "tree.bin"\n', encoding="utf-8")
    (toy.path / "tree.bin").write_text("Gout;C05.1\n", encoding="utf-8")
    with open_index(toy.path) as index:
        record = make_record(index, index.ask(Query("gout", filters=Filters(mesh_trees=("gout",)))))
        assert record.ids == ("a",) and record.mesh_tree.startswith("tree.bin, SHA-256 ")
        assert rerun(record, index).same
    (toy.path / "tree.bin").write_text("Gout;C05.1\nKnee;C05.1.2\n", encoding="utf-8")
    with open_index(toy.path) as index:
        found = rerun(record, index)
    assert found.entered == ("b",) and f"recorded with the MeSH tree {record.mesh_tree}" in found.notes[0]


def test_a_generation_that_is_gone_is_refused_with_what_is_kept(later: IndexFolder, recorded: Record) -> None:
    shutil.rmtree(later.get_generation_path(1))
    with pytest.raises(
        GenerationError, match=r"does not keep generation 000001: found 000002\. .*--current.*keep_generations"
    ):
        open_recorded(recorded, later)


def test_another_index_is_refused_with_both_named(toy: IndexFolder, recorded: Record) -> None:
    other = replace(recorded, index="lupus", generation_created="2020-01-01T00:00:00+00:00")
    with pytest.raises(
        GenerationError, match=r"toy, generation 000001 of 2026.* is not what was recorded: .*lupus.* of 2020-01-01"
    ):
        open_recorded(other, toy)
    with open_index(toy.path) as index:
        found = rerun(other, index)
    assert found.same and "does not go back to generation 000001 of 2020-01-01" in found.notes[1]


def test_another_encoder_is_refused_unless_the_newest_generation_is_asked_for(
    toy: IndexFolder, recorded: Record
) -> None:
    other = replace(recorded, encoder="theirs", fingerprint="0" * 64)
    with pytest.raises(
        EncoderMismatchError, match=r"toy-model \(fingerprint 01e77ff2420f\).* theirs \(fingerprint 000000000000\)"
    ):
        open_recorded(other, toy)
    with open_index(toy.path) as index:
        assert "scores can't be compared" in rerun(other, index).notes[0]


def test_an_index_that_has_moved_back_says_so(later: IndexFolder) -> None:
    with open_index(later.path) as index:
        record = make_record(index, index.ask(Query("gout", top_k=2)))
    roll_back(later, 1)
    with open_index(later.path) as index:
        assert "does not go back to generation 000002" in rerun(record, index).notes[1]
    with open_recorded(record, later) as index:
        assert rerun(record, index).same


def test_an_index_stays_at_the_generation_that_was_asked_for(later: IndexFolder, add: Add) -> None:
    with open_index(later.path, generation=1) as index:
        assert (index.generation, len(index), index._follow) == (1, 40, False)
        add({"id": "newer", "title": "Gout"})
        assert not index.refresh()
        assert (index.generation, len(index.search("gout", top_k=50))) == (1, 40)
    with open_index(later.path) as index:
        assert (index.generation, len(index)) == (3, 42)
    with pytest.raises(
        GenerationError, match="does not keep generation 000007: found 000001, 000002, 000003. Open the newest"
    ):
        open_index(later.path, generation=7)


def test_no_index_has_no_generation(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoGenerationError, match="has no index yet"):
        open_index(tmp_path / "empty", generation=1)


def test_a_damaged_generation_is_refused(later: IndexFolder, recorded: Record) -> None:
    database = segment_of(later, 1).path / "abstracts.db"
    database.chmod(0o644)
    database.write_bytes(database.read_bytes() + b"x")
    with pytest.raises(CorruptError, match=r"abstracts\.db has .* bytes, expected"):
        open_recorded(recorded, later)


def test_the_bytes_of_a_record_are_those_of_its_file(tmp_path: Path) -> None:
    record = plain(Query("größe", filters=Filters(years=((2015, None),))))
    write_record(tmp_path / "r.json", record, overwrite=False)
    assert dump_record(record) == (tmp_path / "r.json").read_bytes() == dump_record(replace(record))
    assert dump_record(record) != dump_record(replace(record, n_qualified=3))


def test_the_bytes_of_a_record_are_sealed_json_in_utf8() -> None:
    found = open_json(dump_record(plain(Query("größe \ud800"))))
    assert found is not None and found["kind"] == "search record of abstract-engine"
    assert (found["query"]["text"], found["ids"]) == ("größe ", ["a", "b"])
    assert "größe".encode() in dump_record(plain(Query("größe")))
