import math
import random
import re
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.words.wordindex import LOCKS, WordIndex
from engine.corpus.words.wording import parse_wording
from engine.corpus.words.wordwriter import write_words
from engine.errors import CorpusError
from engine.index.files.durable import seal, share_file
from tests.conftest import examples
from tests.corpus.words.toys import DOCS, NONE, Doc, number_docs

HAND = number_docs([("Gout", "beer"), ("Beer", "gout beer"), ("Knee", "gouty"), ("hip", "bone")])


def write(folder: Path, texts: list[tuple[int, str, str]], parent: Path | None = None, *gone: int) -> WordIndex:
    """Write the words of a generation and seal them."""
    assert write_words(folder, parent, np.array(gone, np.int64), texts, share_file) is False
    seal(folder)
    return WordIndex(folder)


def snap(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return inode and content of each file."""
    return {file.name: (file.stat().st_ino, file.read_bytes()) for file in folder.iterdir()}


def find(words: WordIndex, text: str) -> list[int]:
    return sorted(doc_id for doc_id, _ in words.rank(parse_wording(text), 100)[0])


def test_a_generation_adds_changes_and_deletes(tmp_path: Path) -> None:
    first = write(tmp_path / "1", HAND)
    assert find(first, "gout") == [1, 2] and first.size == 4
    second = write(tmp_path / "2", [(2, "Wine", "hip"), (9, "gout", "")], tmp_path / "1", 1, 2)
    assert second.read_ids().tolist() == [2, 3, 4, 9]
    assert find(second, "gout") == [9] and find(second, "beer") == [] and find(second, "hip") == [2, 4]
    third = write(tmp_path / "3", [], tmp_path / "2", 2, 3, 4, 9)
    assert third.size == 0 and find(third, "gout") == [] and third.read_ids().tolist() == []
    assert third.find_allowed(parse_wording("-gout")) is not None
    assert find(first, "gout") == [1, 2] and find(WordIndex(tmp_path / "1"), "gout") == [1, 2]


def test_the_files_of_the_parent_are_shared_and_never_change(tmp_path: Path) -> None:
    write(tmp_path / "1", HAND)
    before = snap(tmp_path / "1")
    write(tmp_path / "2", [(9, "gout", "")], tmp_path / "1", 1)
    after = snap(tmp_path / "2")
    assert snap(tmp_path / "1") == before
    shared = before.keys() & after.keys() - {"meta.json", ".managed.json"}
    assert len(shared) == 6 and all(before[name] == after[name] for name in shared)
    for name in ("meta.json", ".managed.json"):
        assert before[name][0] != after[name][0] and before[name][1] != after[name][1]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o444 for file in (tmp_path / "2").iterdir())
    assert not set(LOCKS) & (before.keys() | after.keys())


def test_many_small_generations_are_merged_and_leave_nothing_behind(tmp_path: Path) -> None:
    parent: Path | None = None
    for number in range(1, 31):
        words = write(tmp_path / str(number), [(number, f"w{number}", "gout")], parent)
        parent = tmp_path / str(number)
        assert words.searcher.num_segments <= 8 + math.log(number, 3)  # each of those set aside is so much larger
        names = [file.name for file in parent.iterdir() if file.name[0] not in ".m"]
        assert len({name.split(".")[0] for name in names}) == words.searcher.num_segments
    assert find(words, "gout") == list(range(1, 31)) and find(words, "w17") == [17]
    assert find(WordIndex(tmp_path / "7"), "gout") == list(range(1, 8))


def test_a_large_segment_is_not_written_again_with_small_ones(tmp_path: Path) -> None:
    base = write(tmp_path / "0", [(n, f"w{n}", "gout") for n in range(1, 101)])
    (large,) = {file.name for file in (tmp_path / "0").iterdir() if file.suffix == ".idx"}
    records = set(range(1, 101))
    for number in range(1, 41):  # each replaces a record of the large segment, and most one of a small one
        gone = [number, number + 199] if number > 1 else [number]
        texts = [(number + 200, f"w{number}", "gout"), *((n + 300, "knee", "gout") for n in gone[1:])]
        base = write(tmp_path / str(number), texts, tmp_path / str(number - 1), *gone)
        records = records - set(gone) | {doc_id for doc_id, _, _ in texts}
        assert base.read_ids().tolist() == sorted(records) and len(find(base, "gout")) == len(records)
        assert (tmp_path / str(number) / large).samefile(tmp_path / "0" / large)
        assert base.searcher.num_segments <= 8 + math.log(number + 1, 3)
        names = {file.name.split(".")[0] for file in (tmp_path / str(number)).iterdir() if file.name[0] not in ".m"}
        assert len(names) == base.searcher.num_segments
    assert find(base, "w40") == [240] and find(base, "w39") == []
    assert find(WordIndex(tmp_path / "1"), "w1") == [201]  # older generations stay as they were


def test_where_links_are_refused_files_are_copied_and_it_is_said(tmp_path: Path) -> None:
    def copy(source: Path, target: Path) -> bool:
        target.write_bytes(source.read_bytes())
        return False

    write(tmp_path / "1", HAND)
    assert write_words(tmp_path / "2", tmp_path / "1", NONE, [(9, "gout", "")], copy) is True
    assert find(WordIndex(tmp_path / "2"), "gout") == [1, 2, 9]
    assert all(file.stat().st_nlink == 1 for file in (tmp_path / "1").iterdir())


def count_all(words: WordIndex) -> dict[tuple[str, str], int]:
    """The number of records with each word, by field."""
    return {(field, word): n for field in ("title", "text", "stems") for word, n in words.count_words(field, "")}


@examples(0.3)
@given(
    history=st.lists(
        st.tuples(st.sets(st.integers(1, 12), max_size=5), st.sets(st.integers(1, 12), max_size=5)), max_size=6
    ),
    seed=st.integers(0, 99),
)
def test_any_history_gives_the_words_of_a_new_index(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[set[int], set[int]]], seed: int
) -> None:
    folder, pick = tmp_path_factory.mktemp("history"), random.Random(seed)
    records: dict[int, Doc] = dict(enumerate(DOCS[:6], 1))
    words = write(folder / "0", [(doc_id, *doc) for doc_id, doc in records.items()])
    for number, (gone, put) in enumerate(history, 1):
        lost = sorted((gone | put) & records.keys())
        records = {doc_id: doc for doc_id, doc in records.items() if doc_id not in gone}
        fresh = {doc_id: pick.choice(DOCS) for doc_id in sorted(put)}
        records |= fresh
        texts = [(doc_id, *doc) for doc_id, doc in fresh.items()]
        words = write(folder / str(number), texts, folder / str(number - 1), *lost)
    new = write(folder / "new", [(doc_id, *records[doc_id]) for doc_id in sorted(records)])
    assert words.read_ids().tolist() == new.read_ids().tolist() == sorted(records)
    assert count_all(words) == count_all(new)
    assert all(words.has_text(doc_id, *doc) for doc_id, doc in records.items())
    for text in ("gout", "hip bon*", '"hip pain" -knee', "title:bone", "+pain gout", "gout-hip"):
        assert find(words, text) == find(new, text)


def test_words_of_another_text_are_noticed(tmp_path: Path) -> None:
    words = write(tmp_path / "1", HAND)
    assert words.has_text(2, "beer", "GOUT, beer") and words.has_text(2, "", "")
    for title, abstract in (("beer", "beer gout"), ("gout", ""), ("", "beer gout beer")):
        assert not words.has_text(2, title, abstract)
    assert not words.has_text(5, "", "")
    counts = count_all(words)
    assert counts["text", "gout"] == 2 and counts["stems", "gouti"] == 1 and counts["title", "gout"] == 1
    assert ("title", "bone") not in counts


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    texts = [(number, f"w{number}", " ".join(f"x{number * 50 + n}" for n in range(50))) for number in range(2000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(CorpusError, match=r"words could not be written: .*Nothing was published. Check the free"):
            write_words(tmp_path / "words", None, NONE, texts, share_file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["meta.json", ".managed.json"])
def test_a_damaged_parent_is_reported(tmp_path: Path, name: str) -> None:
    write(tmp_path / "1", HAND)
    (tmp_path / "1" / name).chmod(0o644)
    (tmp_path / "1" / name).write_text("{", encoding="utf-8")
    with pytest.raises(CorpusError, match=re.escape(str(tmp_path / "2")) + " could not be written: "):
        write_words(tmp_path / "2", tmp_path / "1", NONE, [], share_file)


def test_an_error_of_the_texts_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="lost"):
        write_words(tmp_path / "1", None, NONE, (_fail() for _ in range(1)), share_file)


def _fail() -> tuple[int, str, str]:
    raise KeyError("lost")


def test_a_very_long_text_is_compared_in_parts_in_memory_that_does_not_grow_with_it(tmp_path: Path) -> None:
    text = " ".join(f"w{number % 997}" for number in range(60_000))
    words = write(tmp_path / "1", [(1, "", text)])
    searched: list[int] = []
    search = words._search

    def record(query: Any, *args: Any, **options: Any) -> Any:
        searched.append(str(query).count("Term("))
        return search(query, *args, **options)

    words._search = record  # type: ignore[method-assign]
    assert words.has_text(1, "", text)
    assert len(searched) <= 8 and max(searched) < 1100
    assert not words.has_text(1, "", text.replace("w0 w1 ", "w1 w0 ", 1))
    assert not words.has_text(1, "", f"{text} w1")
    assert words.has_text(1, "", " ".join(text.split()[:5000])) and not words.has_text(1, "", "w1 w2 " * 2000)


def test_a_word_that_is_too_long_for_the_index_breaks_no_phrase(tmp_path: Path) -> None:
    text = f"gout and {'x' * 70_000} of the knee"
    words = write(tmp_path / "1", [(1, "", text), (2, "", "y" * 70_000)])
    assert words.has_text(1, "", text) and words.has_text(2, "", "y" * 70_000)
    assert not words.has_text(1, "", "knee gout and")
