"""The made-up corpus of benchmarks: the engine reads what was asked for, and a small corpus is the beginning of a large one."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.records.abstract import Abstract, Deletion
from tests.conftest import ROOT, TOY

sys.path.insert(0, str(ROOT / "scripts"))
import scale_corpus

TITLES = ("Gout in toys", "Pain & play")
RECORDS = [
    Abstract(
        "a", TITLES[0], "We gave 1 < 2 drugs. Pain fell.", 1999, "Toys", ("Toy, Ada", "Béla Example"), mesh=("Gout",)
    ),
    Abstract("b", TITLES[1], "One sentence", 2003, "Play & Work", (), mesh=()),
    Abstract("c", "No abstract", ""),
]


@pytest.fixture
def pool() -> scale_corpus.Pool:
    return scale_corpus.Pool.of(RECORDS)


def read(path: Path) -> dict[str, Abstract]:
    return {entry.record_id: entry for entry in read_source(path) if isinstance(entry, Abstract)}


def test_a_pool_has_the_parts_of_the_records_with_a_text(pool: scale_corpus.Pool) -> None:
    assert pool.titles == (("Gout in", "toys"), ("Pain &", "play"))
    assert pool.sentences == ("We gave 1 < 2 drugs.", "Pain fell.", "One sentence")
    assert (pool.lengths, pool.years, pool.journals) == ((2, 1), (1999, 2003), ("Toys", "Play & Work"))
    assert (pool.authors, pool.mesh) == ((("Toy, Ada", "Béla Example"),), (("Gout",),))


def test_sources_without_a_text_are_refused() -> None:
    with pytest.raises(SystemExit, match="no record with title and abstract"):
        scale_corpus.Pool.of(RECORDS[2:])


def test_the_sources_are_read_by_the_engine() -> None:
    assert len(scale_corpus.read_pool([TOY]).titles) == 40


def test_a_baseline_has_so_many_records_of_the_pool(
    pool: scale_corpus.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_corpus, "PER_FILE", 4)
    files = list(scale_corpus.write_baseline(tmp_path, pool, 10))
    assert [path.name for path in files] == [f"pubmed26n000{i}.xml.gz" for i in (1, 2, 3)]
    found = [read(path) for path in files]
    assert [len(each) for each in found] == [4, 4, 2]
    record = found[0]["PMID:10000003"]
    assert record.title.split()[0] in ("Gout", "Pain")
    assert record.year in pool.years
    assert record.journal in pool.journals
    assert record.doi == "10.5555/scale.10000003"
    assert record.mesh == ("Gout",)
    assert {name for each in found for one in each.values() for name in one.authors} == {"Ada Toy", "Béla Example"}
    assert {len(scale_corpus.split_sentences(one.abstract)) for each in found for one in each.values()} <= {1, 2}


def test_a_small_corpus_is_the_beginning_of_a_large_one(pool: scale_corpus.Pool, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    (first,) = scale_corpus.write_baseline(small, pool, 3)
    (whole,) = scale_corpus.write_baseline(large, pool, 6)
    assert list(read(whole).items())[:3] == list(read(first).items())
    assert not list(large.glob("*.part"))


def test_an_update_changes_adds_and_deletes_so_many(pool: scale_corpus.Pool, tmp_path: Path) -> None:
    (baseline,) = scale_corpus.write_baseline(tmp_path, pool, 300)
    before = read(baseline)
    for night in (0, 1):
        path = scale_corpus.write_update(tmp_path, pool, 300, night)
        assert path.name == f"pubmed26n000{2 + night}.xml.gz"
        after, gone = read(path), {one.record_id for one in read_source(path) if isinstance(one, Deletion)}
        new = {f"PMID:{scale_corpus.FIRST_PMID + number}" for number in range(300 + 100 * night, 400 + 100 * night)}
        assert (len(after), len(gone)) == (200, 20)
        assert after.keys() - before.keys() == new
        assert gone <= before.keys() - after.keys()
        known = after.keys() & before.keys()
        kept_text = [name for name in known if after[name].abstract == before[name].abstract]
        assert 50 <= len(kept_text) < 100  # of three sentences some texts come out the same
        assert all(after[name].revised > before[name].revised for name in known)


def test_no_record_is_met_twice() -> None:
    met = Counter(number for night in range(8) for number in scale_corpus.choose_met(1000, night))
    assert len(met) == 8 * 120
    assert set(met.values()) == {1}
    assert 0 <= min(met) and max(met) < 1000
    # each night is spread over the corpus
    assert all(len({number // 100 for number in scale_corpus.choose_met(1000, night)}) == 10 for night in range(8))


def test_more_nights_than_records_are_refused() -> None:
    with pytest.raises(SystemExit, match="1000 records suffice for 8 nights, asked for night 9"):
        scale_corpus.choose_met(1000, 8)
