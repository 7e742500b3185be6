"""The counts of files: whatever they hold and in whatever order they are read, nothing is lost or counted twice."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.draft import Draft, SourceFile
from engine.corpus.merging.merge import Origin
from engine.corpus.merging.sightings import Fate
from engine.records.abstract import Abstract
from engine.records.generation import FileCounts
from tests.conftest import examples
from tests.corpus.drafts import opened

WORKS = (
    Abstract("", "Gout and diet", "Beer.", pmid="1", doi="10.1/a"),
    Abstract("", "Colchicine for acute gout", "", pmid="2", doi="10.1/b"),
    Abstract("", "Lupus in men", "Rare.", pmid="3", doi="10.1/c"),
    Abstract("", "Editorial", "", doi="10.1/d"),
    Abstract("", "Editorial", "", pmid="5"),
    Abstract("", " ", "", pmid="6"),  # rejected
)
GOUT = Abstract("PMID:1", "Gout and diet", "Beer.", pmid="1", doi="10.1/a")
Files = list[tuple[str, list[Abstract]]]


@st.composite
def records(draw: st.DrawFn) -> Abstract:
    """A work as a database gives it: with both its numbers, or one, or none, which makes its id; with gaps."""
    work = draw(st.sampled_from(WORKS))
    pmid, doi = (draw(st.sampled_from((value, value, None))) for value in (work.pmid, work.doi))
    abstract = draw(st.sampled_from((work.abstract, work.abstract, "")))
    record_id = f"PMID:{pmid}" if pmid else f"DOI:{doi}" if doi else f"TEXT:{work.title} {abstract}"
    journal = draw(st.sampled_from(("", "J Gout")))
    return replace(work, record_id=record_id, pmid=pmid, doi=doi, abstract=abstract, journal=journal)


def files(names: Sequence[str]) -> st.SearchStrategy[Files]:
    """Files with these names, in this order."""
    return st.tuples(*(st.tuples(st.just(name), st.lists(records(), max_size=4)) for name in names)).map(list)


histories = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).flatmap(files)  # a file may get a new version


def read(draft: Draft, name: str, records: Sequence[Abstract], kind: str = "RIS", release: int = 0) -> None:
    """Read a file into a draft, as gather does."""
    content = f"{name} {records!r}"
    source_id = draft.note_source(SourceFile(name, f"/{name}", len(content), content, kind, release))
    for record in records:
        draft.intake.put(record, Origin(kind, source_id, release))


def count(draft: Draft) -> list[FileCounts]:
    draft.ledger.settle_sightings()
    counts = [reading.counts for reading in draft.write_counts({})]
    for each in counts:
        assert each.read == sum(getattr(each, fate.value) for fate in Fate)
        assert min(getattr(each, fate.value) for fate in Fate) >= 0
    check_sightings(draft)
    return counts


def check_sightings(draft: Draft) -> None:
    """Each record of the index is given by files, of which it came from exactly one."""
    rows = draft.connection.execute("SELECT doc_id, rule FROM sightings").fetchall()
    ids = {row[0] for row in draft.connection.execute("SELECT id FROM abstracts")}
    assert {doc_id for doc_id, _ in rows} == ids
    assert Counter(doc_id for doc_id, rule in rows if rule is None) == Counter(ids)


def show(counts: FileCounts) -> dict[str, int]:
    return {name: n for name in FileCounts.__slots__ if (n := getattr(counts, name))}


@given(histories, st.booleans())
@examples(0.6)
def test_the_records_of_each_file_are_the_sum_of_its_counts(history: Files, one_run: bool) -> None:
    runs = [history] if one_run else [[file] for file in history]
    with tempfile.TemporaryDirectory() as folder:
        for number, run in enumerate(runs, 1):
            with opened(Path(folder, "abstracts.db"), number) as draft:
                before = draft.count_totals().abstracts
                for name, given_records in run:
                    read(draft, name, given_records)
                counts = count(draft)
                assert [each.read for each in counts] == [len(given_records) for _, given_records in run]
                if number == 1 and len(dict(run)) == len(run):
                    assert draft.count_totals().abstracts == before + sum(each.added for each in counts)


@given(files("abc"))
@examples(0.4)
def test_reading_again_adds_nothing_and_says_unchanged(library: Files) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            with opened(Path(folder, "abstracts.db"), number) as draft:
                before = draft.count_totals().abstracts
                for name, given_records in library:
                    read(draft, name, given_records)
                counts = count(draft)
                after = draft.count_totals().abstracts
    assert after == before
    assert all(each.read == each.unchanged + each.repeated + each.rejected for each in counts)


@given(files("abc").filter(lambda library: all(map(names_each_work_once, library))), st.randoms())
@examples(0.4)
def test_the_order_of_the_files_does_not_change_the_set_of_records(library: Files, random: Random) -> None:
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder, opened(Path(folder, "abstracts.db"), 1) as draft:
            for name, given_records in library:
                read(draft, name, given_records)
            count(draft)
            found.append(Counter(draft.connection.execute("SELECT pmid, doi, title FROM abstracts").fetchall()))
        library = random.sample(library, len(library))
    assert found[0] == found[1]


def names_each_work_once(file: tuple[str, list[Abstract]]) -> bool:
    """Whether a file gives no work under two ids: it would keep them apart, and the others depend on what it gave."""
    return len({record.title for record in file[1]}) == len({record.record_id for record in file[1]})


def test_a_file_that_only_repeats_another_is_merged_and_not_repeated(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", 1) as draft:
        read(draft, "a", [GOUT, GOUT])
        read(draft, "b", [GOUT])
        assert [show(each) for each in count(draft)] == [
            {"read": 2, "repeated": 1, "added": 1},
            {"read": 1, "merged": 1},
        ]
    with opened(tmp_path / "a.db", 2) as draft:
        read(draft, "b", [GOUT])  # one of three files with the same values: neither the first nor the last
        read(draft, "c", [GOUT])
        read(draft, "b", [replace(GOUT, journal="J Gout")])
        assert [show(each) for each in count(draft)] == [
            {"read": 1, "unchanged": 1},
            {"read": 1, "merged": 1},
            {"read": 1, "metadata_changed": 1},
        ]


def test_a_work_given_twice_with_different_numbers_is_not_split_when_it_is_read_again(tmp_path: Path) -> None:
    lupus = Abstract("PMID:3", "Lupus in men", "Rare.", pmid="3")
    for number in (1, 2):
        with opened(tmp_path / "a.db", number) as draft:
            read(draft, "a", [replace(lupus, record_id="DOI:10.1/c", pmid=None, doi="10.1/c")])
            read(draft, "b", [lupus, replace(lupus, doi="10.1/c")])
            counts = [show(each) for each in count(draft)]
    assert counts == [{"read": 1, "unchanged": 1}, {"read": 2, "repeated": 1, "unchanged": 1}]


def test_records_found_to_be_one_count_as_merged(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", 1) as draft:
        read(draft, "a", [replace(GOUT, doi=None)])
        read(draft, "b", [replace(GOUT, record_id="DOI:10.1/a", pmid=None)])
        read(draft, "c", [replace(GOUT, record_id="Scopus:1")])
        assert [show(each) for each in count(draft)] == [
            {"read": 1, "added": 1},
            {"read": 1, "merged": 1},
            {"read": 1, "merged": 1},
        ]
        rules = draft.connection.execute("SELECT file_id, rule FROM sightings ORDER BY file_id").fetchall()
        assert rules == [(1, None), (2, "DOI"), (3, "PMID")]


def test_all_numbered_files_of_pubmed_are_one_source(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", 1) as draft:
        read(draft, "pubmed26n0001.xml", [GOUT], "PubMed XML", 20260001)
        read(draft, "pubmed26n0003.xml", [replace(GOUT, title="Gout, diet")], "PubMed XML", 20260003)
        assert [show(each) for each in count(draft)] == [{"read": 1, "added": 1}, {"read": 1, "text_changed": 1}]
    with opened(tmp_path / "a.db", 2) as draft:
        read(draft, "pubmed26n0002.xml", [replace(GOUT, title="x")], "PubMed XML", 20260002)
        draft.intake.delete("PMID:1", 20260004)
        read(draft, "export.nbib", [GOUT], "MEDLINE")
        draft.ledger.settle_sightings()
        counts = [reading.counts for reading in draft.write_counts({1: 1})]
        assert [show(each) for each in counts] == [{"read": 1, "withdrawn": 1}, {"read": 1, "withdrawn": 1}]


def test_a_work_that_is_corrected_leaves_the_record_it_was_merged_with(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", 1) as draft:
        read(draft, "a", [GOUT])
        read(draft, "b", [replace(GOUT, record_id="W1", pmid=None)])
    with opened(tmp_path / "a.db", 2) as draft:
        read(draft, "b", [replace(GOUT, record_id="W1", pmid=None, doi="10.1/z")])
        assert [show(each) for each in count(draft)] == [{"read": 1, "added": 1}]


@pytest.mark.parametrize("doubtful", [False, True])
def test_a_full_run_forgets_what_a_file_no_longer_gives(tmp_path: Path, doubtful: bool) -> None:
    other = replace(GOUT, record_id="PMID:2", pmid="2", doi=None, title="Lupus")
    with opened(tmp_path / "a.db", 1) as draft:
        read(draft, "a", [GOUT, other])
        read(draft, "b", [GOUT])
    with opened(tmp_path / "a.db", 2) as draft:
        read(draft, "a", [other])
        draft.intake.drop_unseen(3, {3} if doubtful else set())
        assert [show(each) for each in count(draft)] == [{"read": 1, "unchanged": 1}]
        found = draft.connection.execute("SELECT doc_id, file_id, rule FROM sightings ORDER BY 1, 2").fetchall()
        assert found == ([(1, 1, None), (1, 2, "PMID"), (2, 1, None)] if doubtful else [(1, 2, None), (2, 1, None)])
