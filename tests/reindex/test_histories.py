"""Histories of runs, written as many segments and as one: every answer is the same."""

import json
import shutil
import tempfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine.config import Settings
from engine.corpus.flow import count_flow
from engine.corpus.history import find_changed, find_differences, read_events
from engine.errors import SourceError
from engine.index.generations.folder import IndexFolder
from engine.options import Filters, Query
from engine.query.index import get_generation, open_index
from engine.query.opening.corpus import open_corpus
from engine.reindex.generation.verify import verify
from engine.reindex.runs.compaction import compact_index
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from tests.conftest import CURRENT, TOY_MODEL, examples, jsonl, order_of, silent, spare_export

WORDS = ("gout", "knee", "lupus", "colchicine", "pain", "trial")
ROWS = st.lists(
    st.tuples(st.integers(1, 12), st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), st.integers(2000, 2003)),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row[0],
)
MANY, ONE = "many", "one"
QUERIES = (
    Query("gout pain", top_k=20),
    Query("knee trial", top_k=3, mode="hybrid"),
    Query("lupus", filters=Filters(years=((2001, None),)), top_k=20),
    Query(like=("r1",), top_k=5),
)
BY_WORDS = (Query("gout knee", mode="keyword", top_k=20), Query("+pain -lupus", mode="keyword", top_k=20))


def hide_days(value: object) -> object:
    """A flow without the days of reading: midnight may come between the two sides."""
    if isinstance(value, dict):
        return {name: bool(one) if name.endswith("_read") else hide_days(one) for name, one in value.items()}
    return [hide_days(one) for one in value] if isinstance(value, list | tuple) else value


class Histories(RuleBasedStateMachine):
    @initialize(rows=ROWS)
    def begin(self, rows: list[tuple[int, list[str], int]]) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folders = {name: IndexFolder(self.place / name) for name in (MANY, ONE)}
        for folder in self.folders.values():
            shutil.copytree(CURRENT / "encoders", folder.path / "encoders")  # spares the export
        self.release = 0
        self.deleted: set[str] = set()  # by PubMed
        first = [
            (1, ["gout"], 2000),
            (2, ["knee", "pain"], 2001),
            *((n + 20, [word], 2002) for n, word in enumerate(WORDS)),
        ]
        self.write("0", first)
        self.run("0")
        self.write("1", rows)
        self.run("1")

    def write(self, name: str, rows: list[tuple[int, list[str], int]]) -> None:
        lines = (
            {
                "id": f"r{n}", "title": f"{' '.join(words)} {n}", "abstract": f"A {words[0]} of {n}.", "year": year,
                "pmid": str(n) if n % 2 else None, "journal": words[0].title(), "mesh": words,
            }
            for n, words, year in rows
        )  # fmt: skip
        path = self.place / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def run(self, *names: str, **order: object) -> None:
        files = [path for name in names for path in self.place.glob(f"{name}.*") if path.is_file()]
        reports = {}
        for name, folder in self.folders.items():
            below = 0 if name == MANY else 1_000_000
            asked = order_of(*files, model=str(TOY_MODEL), one_segment_below=below, **order)
            try:
                report = index_sources(folder, asked, silent)
                reports[name] = (report.counts, report.published, report.readings, report.remarks, report.rejections)
            except SourceError as err:
                reports[name] = str(err).replace(str(folder.path), "")
        assert reports[MANY] == reports[ONE]
        self.compare()

    def compare(self, *, same_scores: bool = True) -> None:
        found = {name: self.describe(folder) for name, folder in self.folders.items()}
        for part in found[ONE]:
            assert found[MANY][part] == found[ONE][part], part
        for query in BY_WORDS:
            answers = [self.answer(folder, query) for folder in self.folders.values()]
            if same_scores:
                assert answers[0] == answers[1]
            assert {hit[0] for hit in answers[0][0]} == {hit[0] for hit in answers[1][0]}
            assert answers[0][1] == answers[1][1]
        generation = self.folders[MANY].open_current()
        assert verify(self.folders[MANY], generation, deep=False) == []

    def answer(self, folder: IndexFolder, query: Query) -> tuple[list[tuple[object, ...]], int]:
        with open_index(folder.path) as index:
            answer = index.ask(query)
        return [(hit.id, hit.rank, hit.score, hit.bm25, hit.title) for hit in answer.hits], answer.n_qualified

    def describe(self, folder: IndexFolder) -> dict[str, object]:
        """What an index holds and answers, but for the scores of words."""
        found: dict[str, object] = {}
        with open_index(folder.path) as index:
            found["records"] = list(index.abstracts())
            found["sources"] = [index.get_sources(record.record_id) for record in index.abstracts()]
            for query in QUERIES:
                ids = {record.record_id for record in found["records"]}
                found[str(query)] = [asdict(hit) for hit in index.ask(query).hits] if set(query.like) <= ids else []
            doc_ids, vectors = get_generation(index).vectors.read_all_vectors()
            found["vectors"] = sorted(zip(doc_ids.tolist(), vectors.tolist(), strict=True))
        with closing(open_corpus(folder.open_current(quick=True))) as corpus:
            found["events"] = [asdict(event) | {"created": ""} for event in read_events(corpus)]
            found["changed"] = find_changed(corpus, max(1, corpus.read_generation() - 1))
            flow = count_flow(corpus)
            assert flow.left == corpus.count_totals().abstracts
            found["flow"] = hide_days(asdict(flow))
            found["files"] = corpus.read_sources()
        return found

    @rule(name=st.sampled_from(["1", "2"]), rows=ROWS, full=st.booleans())
    def a_file_changes(self, name: str, rows: list[tuple[int, list[str], int]], full: bool) -> None:
        self.write(name, rows)
        self.run(name, full=full)
        with open_index(self.folders[MANY].path) as index:
            given = {f"r{n}" for n, *_ in rows if str(n) not in self.deleted}
            assert given <= {record.record_id for record in index.abstracts()}

    @rule(full=st.booleans())
    def a_file_moves(self, full: bool) -> None:
        (self.place / "1.jsonl").replace(self.place / "2.jsonl")
        self.run("2", full=full)
        shutil.copy(self.place / "2.jsonl", self.place / "1.jsonl")

    @rule(pmids=st.frozensets(st.sampled_from(["1", "3", "5", "7", "21"]), min_size=1, max_size=2))
    def pubmed_deletes(self, pmids: frozenset[str]) -> None:
        self.release += 1
        self.deleted |= pmids
        gone = "".join(f"<PMID Version='1'>{pmid}</PMID>" for pmid in sorted(pmids))
        path = self.place / f"pubmed26n{self.release:04d}.xml"
        path.write_text(f"<PubmedArticleSet><DeleteCitation>{gone}</DeleteCitation></PubmedArticleSet>")
        self.run(path.stem)

    @rule()
    def everything_is_encoded_again(self) -> None:
        self.run("1", re_encode=True)

    @rule()
    def it_goes_back_one_generation(self) -> None:
        numbers = self.folders[ONE].list_numbers()
        if len(numbers) > 1 and self.folders[ONE].read_current() == numbers[-1]:
            for folder in self.folders.values():
                roll_back(folder, numbers[-2])
            with closing(open_corpus(self.folders[ONE].check(numbers[-1]))) as new:
                with closing(open_corpus(self.folders[ONE].check(numbers[-2]))) as old:
                    one = list(find_differences(old, new))
            with closing(open_corpus(self.folders[MANY].check(numbers[-1]))) as new:
                with closing(open_corpus(self.folders[MANY].check(numbers[-2]))) as old:
                    assert list(find_differences(old, new)) == one
            self.compare()

    @rule()
    def both_are_compacted(self) -> None:
        loaded = Settings.load(self.folders[MANY].path, device="cpu")
        report = compact_index(self.folders[MANY], loaded, silent)
        if report.published:
            asked = order_of(model=str(TOY_MODEL), republish=True, verb="compact")
            index_sources(self.folders[ONE], asked, silent)
        current = self.folders[MANY].open_current().segments
        assert len(current) == 1 and not len(current[0].dead)
        self.compare()

    def teardown(self) -> None:
        if hasattr(self, "place"):
            shutil.rmtree(self.place)


class TestHistories(Histories.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(examples(0.08), stateful_step_count=6)


@pytest.mark.slow
class TestManyHistories(Histories.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


def test_a_file_with_an_earlier_content_of_another_one_is_a_file_of_its_own(tmp_path: Path) -> None:
    folder = spare_export(IndexFolder(tmp_path / "index"))
    other, gout = ({"id": name, "title": f"{name} in adults", "abstract": "Pain."} for name in ("lupus", "gout"))
    for name, row in (("1", gout), ("1", other), ("2", gout)):
        source = jsonl(tmp_path / f"{name}.jsonl", [row])
        index_sources(folder, order_of(source, model=str(TOY_MODEL), full=True), silent)
    with closing(open_corpus(folder.open_current(quick=True))) as corpus:
        flow = count_flow(corpus)
    assert [(origin.name, origin.found, origin.left) for origin in flow.origins] == [
        ("1.jsonl", 1, 1),
        ("2.jsonl", 1, 1),
    ]
    assert (flow.found, flow.duplicates, flow.left) == (2, {}, 2)


GOUT, CHANGED, OTHER = (
    {"id": name, "title": f"{name} in adults", "abstract": "Pain.", "year": year}
    for name, year in (("gout", 2000), ("gout", 2002), ("lupus", 2001))
)


@pytest.mark.parametrize("below", [0, 1_000_000])  # each run makes a segment of its own, and all are in one
@pytest.mark.parametrize(
    ("runs", "left"),
    [
        ([("A", GOUT), ("B", GOUT), ("B", OTHER)], {"gout", "lupus"}),
        ([("A", GOUT), ("B", GOUT), ("A", OTHER)], {"gout", "lupus"}),
        ([("A", GOUT), ("B", GOUT), ("A", OTHER), ("B", CHANGED)], {"gout", "lupus"}),
        ([("A", GOUT), ("B", GOUT), ("A", OTHER), ("B", CHANGED), ("B", OTHER)], {"lupus"}),
        ([("A", GOUT), ("B", GOUT), ("C", GOUT), ("C", OTHER), ("A", OTHER)], {"gout", "lupus"}),
        ([("A", GOUT), ("B", GOUT), ("C", GOUT), ("A", OTHER), ("C", OTHER)], {"gout", "lupus"}),
        ([("A", GOUT), ("B", GOUT), ("C", GOUT), ("A", OTHER), ("C", OTHER), ("B", OTHER)], {"lupus"}),
        ([("A", GOUT), ("B", GOUT), ("A", CHANGED), ("B", CHANGED), ("A", OTHER), ("B", OTHER)], {"lupus"}),
        ([("A", GOUT), ("B", GOUT), ("A", CHANGED), ("A", OTHER)], {"gout", "lupus"}),
        ([("A", GOUT), ("B", GOUT), ("A", CHANGED), ("B", OTHER), ("A", OTHER)], {"lupus"}),
    ],
)
def test_a_record_stays_as_long_as_a_file_gives_it(
    tmp_path: Path, runs: list[tuple[str, dict[str, object]]], left: set[str], below: int
) -> None:
    folder = spare_export(IndexFolder(tmp_path / "index"))
    for name, row in runs:
        # Its own record keeps a file from being skipped as a copy of another one.
        own = {"id": f"only {name}", "title": f"only {name}", "abstract": ""}
        source = jsonl(tmp_path / f"{name}.jsonl", [row, own])
        index_sources(folder, order_of(source, model=str(TOY_MODEL), full=True, one_segment_below=below), silent)
    with open_index(folder.path) as index:
        found = {record.record_id for record in index.abstracts()}
    assert found == left | {f"only {name}" for name, _ in runs}
    with closing(open_corpus(folder.open_current(quick=True))) as corpus:
        assert count_flow(corpus).left == len(found)


YEARS = st.dictionaries(st.integers(0, 2), st.sampled_from((2000, 2001)), min_size=1, max_size=2)
READINGS = st.dictionaries(st.sampled_from("ABC"), YEARS, min_size=1, max_size=2)


@given(runs=st.lists(st.tuples(st.sampled_from((True, True, False)), READINGS), min_size=4, max_size=8))
@settings(examples(0.5))
def test_an_index_holds_what_its_files_give(runs: list[tuple[bool, dict[str, dict[int, int]]]]) -> None:
    present: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = spare_export(IndexFolder(Path(place) / "index"))
        for full, readings in runs:
            files = []
            for name, years in readings.items():
                rows = [{"id": f"r{n}", "title": f"Gout {n} in adults", "year": year} for n, year in years.items()]
                own = {"id": f"only {name}", "title": f"only {name}"}
                files.append(jsonl(Path(place) / f"{name}.jsonl", [*rows, own]))
                present[name] = {row["id"] for row in (*rows, own)} | (set() if full else present.get(name, set()))
            index_sources(folder, order_of(*files, model=str(TOY_MODEL), full=full), silent)
            with open_index(folder.path) as index:
                assert {record.record_id for record in index.abstracts()} == set().union(*present.values())
