import doctest
import os
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest

from engine import stamps
from engine.config import SourcePattern
from engine.corpus.storage.store import AppliedFile
from engine.errors import SourceError
from engine.receipts import FileReceipt
from engine.records.generation import FileCounts
from engine.reindex.intake import sources as module
from engine.reindex.intake.sources import Source, _Listing, hash_source, list_sources, release_of, select_since

ROW = '{"id": "a", "title": "A"}\n'
PATTERN = SourcePattern


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in (
        "up/pubmed26n0010.xml", "up/pubmed25n1400.xml", "up/b10.jsonl", "up/b9.jsonl", "up/deeper/c.jsonl",
        "up/b9.jsonl.md5", "up/half.part", "up/.hidden/x.jsonl", "x/one.jsonl",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<PubmedArticleSet></PubmedArticleSet>" if "pubmed" in name else ROW)
        os.utime(path, (10**9, 10**9))
    return tmp_path


def listed(place: Path, *patterns: SourcePattern, applied: Sequence[AppliedFile] = ()) -> _Listing:
    return list_sources(place, patterns, applied)


def build_applied(path: Path, receipt: FileReceipt) -> AppliedFile:
    return AppliedFile(1, path.name, str(path), receipt.n_bytes, receipt.sha256, "JSONL", 0, FileCounts())


def names(listing: _Listing) -> list[str]:
    return [source.name for source in listing.sources]


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(module) == (0, 1)


def test_a_watched_folder_gives_others_by_name_and_pubmed_by_release(place: Path) -> None:
    found = listed(place, PATTERN("up"))
    assert names(found) == ["b9.jsonl", "b10.jsonl", "c.jsonl", "pubmed25n1400.xml", "pubmed26n0010.xml"]
    assert found.notes == ()


def test_of_other_files_the_newest_comes_last(place: Path) -> None:
    os.utime(place / "up" / "b9.jsonl", (2 * 10**9, 2 * 10**9))
    assert names(listed(place, PATTERN("up")))[:3] == ["b10.jsonl", "c.jsonl", "b9.jsonl"]


def test_patterns_come_in_their_order_and_a_file_comes_once(place: Path) -> None:
    found = listed(place, PATTERN("x/*.jsonl", "JSONL"), PATTERN("x"), PATTERN(str(place / "up" / "b9.jsonl")))
    assert names(found) == ["one.jsonl", "b9.jsonl"]
    assert found.sources[0].format == "JSONL"


def test_what_is_no_source_in_a_watched_folder_is_left_out_aloud(place: Path) -> None:
    (place / "x" / "README.txt").write_text("These are the exports of the library.\nAsk Ann.\n")
    found = listed(place, PATTERN("x"))
    assert names(found) == ["one.jsonl"]
    assert len(found.notes) == 1 and "README.txt is skipped" in found.notes[0]


def test_a_broken_file_in_a_watched_folder_is_not_left_out(place: Path) -> None:
    (place / "x" / "broken.jsonl.gz").write_bytes(b"\x1f\x8b\x08garbage")
    assert "broken.jsonl.gz" in names(listed(place, PATTERN("x")))


@pytest.mark.parametrize("path", ["gone", "gone/*.ris", "gone/a.ris", "/no/such/folder"])
def test_a_place_that_vanished_is_never_read_as_all_deleted(place: Path, path: str) -> None:
    with pytest.raises(SourceError, match=r"does not exist .*Nothing was changed or deleted.*disk mounted"):
        listed(place, PATTERN("x"), PATTERN(path))


@pytest.mark.parametrize("path", ["empty", "empty/*.ris"])
def test_a_folder_that_lost_its_files_stops_and_one_that_never_had_any_does_not(place: Path, path: str) -> None:
    (place / "empty").mkdir()
    assert listed(place, PATTERN(path)).notes == (f"{place / path} contains no files yet",)
    with pytest.raises(SourceError, match="contains no files now, but 1 were read from it before"):
        listed(
            place, PATTERN(path), applied=[build_applied(place / "empty" / "a.ris", FileReceipt("a.ris", 1, "0" * 64))]
        )


def test_a_folder_with_brackets_in_its_name_is_a_folder(place: Path) -> None:
    odd = place / "exports [2024]"
    odd.mkdir()
    (odd / "one.jsonl").write_text(ROW)
    assert names(listed(place, PATTERN("exports [2024]"))) == ["one.jsonl"]
    assert names(list_sources(odd, [PATTERN("*.jsonl")], ())) == ["one.jsonl"]
    assert names(listed(place, PATTERN("x/[n-p]*.jsonl"))) == ["one.jsonl"]


def test_an_unknown_format_is_refused_with_those_there_are(place: Path) -> None:
    with pytest.raises(SourceError, match="unknown format 'Word'"):
        listed(place, PATTERN("x", "Word"))


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("pubmed26n1300.xml.gz", 20261300), ("PubMed26n0001.xml", 20260001), ("medline16n0902.xml.gz", 20160902),
        ("Copy of pubmed26n1300 (1).xml.gz", 20261300), ("pubmed26n13000.xml", 0), ("export.ris", 0), ("pubmed-2026.xml", 0),
    ],
)  # fmt: skip
def test_the_release_is_told_from_pubmeds_own_names_only(name: str, release: int) -> None:
    assert release_of(name) == release


def test_since_goes_by_the_day_of_the_last_change(place: Path) -> None:
    old, fresh = Source(place / "up" / "b9.jsonl"), Source(place / "x" / "one.jsonl")
    os.utime(old.path, (0, 0))
    assert select_since([old, fresh], date(2000, 1, 1)) == (fresh,)
    assert select_since([old, fresh], date(1970, 1, 1)) == (old, fresh)


@pytest.fixture
def known(place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, AppliedFile]:
    """A file that an index was made from, and that was hashed then."""
    monkeypatch.setattr(stamps, "_SETTLED", 0.0)
    monkeypatch.setattr(stamps, "_LARGE", 1)
    path = place / "x" / "one.jsonl"
    receipt = hash_source(Source(path)).receipt
    assert receipt == FileReceipt.of(path)
    return path, build_applied(path, receipt)


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file that is opened or hashed fail."""
    monkeypatch.setattr(FileReceipt, "of", None)
    monkeypatch.setattr(module, "check_source", None)


def test_an_untouched_known_file_is_not_read_again(
    place: Path, known: tuple[Path, AppliedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, applied = known
    expected = Source(path, None, FileReceipt.of(path))
    forbid_reading(monkeypatch)
    (source,) = listed(place, PATTERN("x"), applied=[applied]).sources
    assert hash_source(source) == source == expected


def test_a_known_content_at_another_place_is_not_read_again_either(
    place: Path, known: tuple[Path, AppliedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = place / "y"
    (place / "x").rename(other)
    forbid_reading(monkeypatch)
    (source,) = listed(place, PATTERN("y"), applied=[known[1]]).sources
    assert (source.path, hash_source(source)) == (other / "one.jsonl", source)


def rewrite_with_old_times(path: Path) -> None:
    before = path.stat()
    path.write_text(ROW.replace("A", "B"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_another(path: Path) -> None:
    beside = path.with_name("beside")
    beside.write_text(ROW.replace("A", "B"))
    beside.replace(path)


@pytest.mark.parametrize("touch", [rewrite_with_old_times, replace_by_another, Path.touch])
def test_a_touched_known_file_is_read_again(
    place: Path, known: tuple[Path, AppliedFile], touch: Callable[[Path], None]
) -> None:
    path, applied = known
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    touch(path)
    (source,) = listed(place, PATTERN("x"), applied=[applied]).sources
    assert source.receipt is None
    assert hash_source(source).receipt == FileReceipt.of(path)


def test_a_hashed_file_that_the_index_was_not_made_from_is_looked_at(
    place: Path, known: tuple[Path, AppliedFile]
) -> None:
    other = build_applied(known[0], FileReceipt("one.jsonl", len(ROW), "0" * 64))
    (source,) = listed(place, PATTERN("x"), applied=[other]).sources
    assert source.receipt is None


def test_a_small_file_is_always_read(
    place: Path, known: tuple[Path, AppliedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "_LARGE", 1 << 10)
    (source,) = listed(place, PATTERN("x"), applied=[known[1]]).sources
    assert source.receipt is None
