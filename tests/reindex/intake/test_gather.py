"""Files of every format, in any mix and order: what is read is rejected, merged or kept, and nothing depends on the order."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collect.source import read_source
from engine.corpus.draft import Draft, DraftFiles
from engine.corpus.merging.sightings import Fate
from engine.corpus.storage.idsets import NO_IDS
from engine.corpus.storage.store import SegmentDatabase
from engine.errors import SourceError
from engine.records.abstract import Abstract, Rejection
from engine.records.generation import FileCounts
from engine.reindex.intake.gather import count_files, gather, hash_prepared
from engine.reindex.intake.sources import Source
from tests.conftest import examples, silent
from tests.corpus.drafts import publish

# Works with both numbers, with one, with none, and one without a text; each format has some of them.
FILES = {
    "one.ris": "TY  - JOUR\nTI  - Gout and diet\nAB  - Beer.\nDO  - 10.1000/a\nER  - \nTY  - JOUR\nAU  - Roe, R\nER  - \n",
    "two.nbib": "PMID- 1\nTI  - Gout and diet\nAB  - Beer.\nLID - 10.1000/a [doi]\n\nPMID- 2\nTI  - Lupus\nAB  - Rare.\n",
    "three.bib": "@article{a, title = {Gout and diet}, doi = {10.1000/A}}\n@article{b, title = {Lupus}, pmid = {2}}\n",
    "four.csv": "title,abstract,pmid\nGout and diet,Beer.,1\nKnees,Two.,\nKnees,Two.,\n,,\n",
    "five.jsonl": '{"title": "Knees", "abstract": "Two."}\n{"title": "Lupus", "abstract": "Rare.", "pmid": 2}\n{"year": 2019}\n',
    "six.xml": "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>2</PMID><Article><ArticleTitle>Lupus"
    "</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>",
    "seven.xml": "<xml><records><record><titles><title>Gout and diet</title></titles><electronic-resource-num>10.1000/a"
    "</electronic-resource-num></record></records></xml>",
    "eight.ciw": "FN Clarivate\nPT J\nTI Hips\nUT WOS:000123456700001\nER\nPT J\nTI Lupus\nPM 2\nER\nEF\n",
}


def read_files(
    folder: Path, files: Sequence[Path], n_times: int = 1
) -> tuple[list[list[FileCounts]], set[tuple[str, ...]]]:
    """The counts of the files of each reading, and the ids of the records."""
    counts, keys, published = list[list[FileCounts]](), set[tuple[str, ...]](), None
    for number in range(1, n_times + 1):
        made = DraftFiles(folder / f"{number}.db", folder / f"{number}.state")
        with Draft(made, number, "2026-01-01T00:00:00+00:00", hash_prepared, published) as draft:
            gathered = gather(draft, [Source(path) for path in files], silent)
            count_files(draft, gathered)
            counts.append([reading.counts for reading in gathered.readings])
            assert [each.read for each in counts[-1]] == list(map(count_records, files))
            if draft.base:
                draft.merge_segments([0])
            rows = draft.connection.execute("SELECT pmid, lower(doi) FROM abstracts")
            keys = {tuple(map(str, row)) for row in rows}
            assert (
                len(draft.connection.execute("SELECT id FROM abstracts").fetchall()) == draft.count_totals().abstracts
            )
            last = draft.read_last_ids()
            draft.finish()
        published = publish([SegmentDatabase(made.database, NO_IDS)], made.state, last)
    return counts, keys


def count_records(path: Path) -> int:
    return sum(isinstance(entry, Abstract | Rejection) for entry in read_source(path))


def check_sums(counts: Sequence[FileCounts]) -> None:
    for each in counts:
        assert each.read == sum(getattr(each, fate.value) for fate in Fate)


mixes = st.lists(st.sampled_from(sorted(FILES)), min_size=1, unique=True)


def write_files(folder: Path, names: Sequence[str]) -> list[Path]:
    for name in names:
        (folder / name).write_text(FILES[name])
    return [folder / name for name in names]


@given(mixes, st.randoms())
@examples(0.5)
def test_what_is_read_is_rejected_merged_or_kept_in_any_order(names: list[str], random: Random) -> None:
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            ((counts,), keys) = read_files(Path(folder), write_files(Path(folder), names))
        check_sums(counts)
        assert sum(each.read for each in counts) == sum(
            each.rejected + each.repeated + each.merged + each.added for each in counts
        )
        found.append((sum(each.added for each in counts), sum(each.read for each in counts), keys))
        names = random.sample(names, len(names))
    assert found[0] == found[1]


@given(mixes)
@examples(0.3)
def test_reading_again_adds_nothing(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (_, again), _ = read_files(Path(folder), write_files(Path(folder), names), n_times=2)
    check_sums(again)
    assert all(each.read == each.rejected + each.repeated + each.unchanged for each in again)


def readable(path: Path) -> bool:
    """Whether a file of a case can be read to its end; those that can't are no part of a mix."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            read_files(Path(folder), [path])
        except SourceError:
            return False
    return True


@pytest.mark.parametrize("seed", range(3))
def test_real_exports_in_any_mix_keep_the_sums_and_add_nothing_again(shared: Path, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    files = sorted((shared / "cases" / "files").iterdir()) + sorted((shared / "formats" / "ris").iterdir())
    mix = [path for path in random.sample(files, 20) if readable(path)]
    states = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (first, again), keys = read_files(folder, mix, n_times=2)
        check_sums([*first, *again])
        assert sum(each.added for each in again) == 0
        states.append((sum(each.read for each in first), {key for key in keys if key != ("None", "None")}))
        mix = random.sample(mix, len(mix))
    assert states[0] == states[1]
