import errno
import gzip
import io
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import stamps
from engine.errors import EngineError, SourceError, UsageError
from engine.files import (
    check_new_folder,
    check_target,
    check_targets,
    decode_lines,
    open_whole,
    read_lines,
    read_text,
    sniff_delimiter,
    write_file,
    write_path_whole,
    write_text,
)
from engine.options import Filters, Query
from engine.query.searchlog import Record, write_record
from engine.references.formats import FORMATS, write
from engine.relevance.sets.judgments import Judgments, write_judgments
from engine.relevance.sets.runs import Ranked, Run, write_run
from engine.relevance.sets.testset import SetText, TestSet, write_set
from tests.references.found import BARE, cite

RECORD = Record(
    1,
    "0.1",
    "2026-01-01",
    "toy",
    1,
    "2026-01-01",
    2,
    "m",
    "f",
    "a",
    Query("x", filters=Filters()),
    None,
    "",
    0,
    (),
    (),
    "",
)
WRITERS: dict[str, Callable[[Path], None]] = {
    "write_file": lambda path: write_file(path, [b"new"], overwrite=False),
    "write_text": lambda path: write_text(path, ["n", "ew"], overwrite=False),
    "search record": lambda path: write_record(path, RECORD, overwrite=False),
    "run": lambda path: write_run(Run("r", {"q": (Ranked("a", 1.0),)}), path, overwrite=False),
    **{f"hits{suffix}": lambda path: write(path, [cite(BARE)], "gout") for suffix in FORMATS},
}  # what writes a file that must not be there yet


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as on exFAT and many network mounts

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_works_without_hard_links(tmp_path: Path, no_links: None, name: str) -> None:
    path = tmp_path / (name if name.startswith("hits") else "new")
    WRITERS[name](path)
    assert names(tmp_path) == [path.name] and path.stat().st_size > 2
    before = path.read_bytes()
    with pytest.raises(UsageError, match=rf"{path.name} exists\. Write over it: --overwrite"):
        WRITERS[name](path)
    assert names(tmp_path) == [path.name] and path.read_bytes() == before


def test_what_replaces_files_works_without_hard_links(
    tmp_path: Path, no_links: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_set = TestSet("s", (SetText("d", "t"),), (SetText("q", "t"),), Judgments({"q": {"d": 1}}))
    monkeypatch.setattr(stamps, "cache_folder", lambda: tmp_path / "cache")
    for _ in range(2):
        write_judgments(test_set.judgments, tmp_path / "qrels.tsv")
        write_set(test_set, tmp_path / "set")
        stamps.keep({"a": "b"}, "facts.json")
        with write_path_whole(tmp_path / "library", overwrite=True) as part:
            part.write_text("by a library")
        with open_whole(tmp_path / "stream", overwrite=True) as file:
            file.write("text")
    assert names(tmp_path) == ["cache", "library", "qrels.tsv", "set", "stream"]
    assert names(tmp_path / "cache") == ["facts.json"] and stamps.load_entries("facts.json") == {"a": "b"}
    assert names(tmp_path / "set") == ["corpus.jsonl", "qrels.tsv", "queries.jsonl", "set.json"]


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES])
def test_other_ways_to_refuse_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(code, "no links here")

    monkeypatch.setattr(os, "link", link)
    write_file(tmp_path / "new", [b"whole"], overwrite=False)
    assert (tmp_path / "new").read_bytes() == b"whole" and names(tmp_path) == ["new"]


def test_a_name_taken_without_links_is_free_again_on_failure(
    tmp_path: Path, no_links: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(EngineError, match="new can't be written: Input/output error"):
        write_file(tmp_path / "new", [b"x"], overwrite=False)
    assert names(tmp_path) == []


def test_a_file_is_overwritten_only_on_request_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "hits.json"
    path.write_text("mine")
    path.chmod(0o640)
    for call in (
        lambda: check_target(path, overwrite=False),
        lambda: write_file(path, [b"new"], overwrite=False),
        lambda: open_whole(path, overwrite=False).__enter__(),
    ):
        with pytest.raises(UsageError, match=r"hits.json exists. Write over it: --overwrite"):
            call()
    assert path.read_text() == "mine"
    check_target(path, overwrite=True)
    write_file(path, [b"new"], overwrite=True)
    assert path.read_text() == "new" and names(tmp_path) == ["hits.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_system_without_modes_can_be_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chmod(self: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as on FAT

    path = tmp_path / "a"
    path.write_text("mine")
    path.chmod(0o640)
    monkeypatch.setattr(Path, "chmod", chmod)
    write_file(path, [b"new"], overwrite=True)
    assert path.read_text() == "new"


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_text(tmp_path / "new", [""], overwrite=False)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    write_text(tmp_path / "link", ["one"], overwrite=False)
    write_text(tmp_path / "link", ["two"], overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "two" and names(tmp_path / "real") == ["file"]


def test_what_utf8_can_not_hold_becomes_a_question_mark(tmp_path: Path) -> None:
    write_text(tmp_path / "a", ["gout \udcff"], overwrite=False)
    with open_whole(tmp_path / "b", overwrite=False) as file:
        file.write("gout \udcff\r\n")
    assert (tmp_path / "a").read_bytes() == b"gout ?" and (tmp_path / "b").read_bytes() == b"gout ?\r\n"


def test_folders_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    os.mkfifo(tmp_path / "b.csv")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"a.csv is a folder, expected a file. Name a file in it: .*a.csv/hits.csv"):
        check_target(tmp_path / "a.csv", overwrite=True, example="hits.csv")
    with pytest.raises(UsageError, match=r"b.csv is a pipe or a device, expected a file"):
        check_target(tmp_path / "b.csv", overwrite=True)
    for folder in ("none", "file"):
        with pytest.raises(UsageError, match=rf"there is no folder .*{folder}. Make it first: mkdir -p .*{folder}"):
            check_target(tmp_path / folder / "hits.csv", overwrite=False)


def test_standard_output_is_no_file_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for check in (lambda path: check_target(path, overwrite=True), check_new_folder):
        with pytest.raises(UsageError, match=r"the output is -, expected the name of a file or folder"):
            check(Path("-"))
        check(Path("-a"))


def test_a_file_may_be_named_once(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    check_targets([tmp_path / "a", tmp_path / "b"], overwrite=False)
    for other in (tmp_path / "a", tmp_path / "link", tmp_path / "x" / ".." / "a"):
        with pytest.raises(UsageError, match="is named twice, expected another file for each output"):
            check_targets([tmp_path / "a", tmp_path / "b", other], overwrite=False)


def test_a_new_folder_holds_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    check_new_folder(folder)
    check_new_folder(tmp_path / "above" / "made", ["a"])
    folder.mkdir()
    (folder / "a").touch()
    check_new_folder(folder, ["a", "b"])
    with pytest.raises(UsageError, match="made exists, expected a new folder. Name another: -o FOLDER; or remove it"):
        check_new_folder(folder)
    (folder / "notes").touch()
    with pytest.raises(UsageError, match="made holds notes, expected a new folder or one with only a, b"):
        check_new_folder(folder, ["b", "a"])
    with pytest.raises(UsageError, match="a is a file, expected a new folder"):
        check_new_folder(folder / "a", ["a"])


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may write anywhere: be somebody else meanwhile."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that may be read but not written to, with a file in it."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "old.csv").write_text("mine")
    folder.chmod(0o555)
    return folder


def test_a_folder_that_may_not_be_written_to_is_refused(closed: Path, nobody: None) -> None:
    for name in ("hits.csv", "old.csv"):
        with pytest.raises(UsageError, match=rf"{name} can't be written: no permission in .*closed"):
            check_target(closed / name, overwrite=True)
    with pytest.raises(UsageError, match="below/made can't be made: no permission in .*closed"):
        check_new_folder(closed / "below" / "made")


@pytest.fixture
def sealed(closed: Path) -> Iterator[Path]:
    """The same folder, and it may not be looked into either."""
    closed.chmod(0o000)
    yield closed
    closed.chmod(0o755)


def test_a_folder_that_may_not_be_looked_into_is_refused(sealed: Path, nobody: None) -> None:
    with pytest.raises(UsageError, match=r"hits.csv can't be written: no permission in .*closed"):
        check_target(sealed / "hits.csv", overwrite=True)
    with pytest.raises(UsageError, match=r"hits.csv can't be written: there is no folder .*below"):
        check_target(sealed / "below" / "hits.csv", overwrite=True)


def meanwhile(path: Path) -> Iterator[bytes]:
    """Content during whose writing the file appears."""
    yield b"new"
    path.write_text("theirs")


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, request: pytest.FixtureRequest, linked: bool
) -> None:
    if not linked:
        request.getfixturevalue("no_links")
    path = tmp_path / "hits.ris"
    with pytest.raises(UsageError, match=r"hits.ris exists. Write over it: --overwrite"):
        write_file(path, meanwhile(path), overwrite=False)
    assert path.read_text() == "theirs" and names(tmp_path) == ["hits.ris"]
    write_file(path, meanwhile(path), overwrite=True)
    assert path.read_text() == "new"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stream(path: Path, *, overwrite: bool) -> None:
    with open_whole(path, overwrite=overwrite) as file:
        for _ in range(100):
            file.write("x" * 1000)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "fill", [stream, lambda path, overwrite: write_text(path, ["x" * 1000] * 100, overwrite=overwrite)]
)
def test_when_the_disk_is_full_nothing_is_left_and_nothing_is_lost(
    tmp_path: Path, full_disk: None, fill: Callable[..., None], overwrite: bool
) -> None:
    path = tmp_path / "hits"
    if overwrite:
        path.write_text("mine")
    with pytest.raises(EngineError, match="hits can't be written: File too large. Name a file elsewhere, or make room"):
        fill(path, overwrite=overwrite)
    assert names(tmp_path) == (["hits"] if overwrite else [])
    assert not overwrite or path.read_text() == "mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError, UsageError, ValueError])
@pytest.mark.parametrize("open_file", [open_whole, write_path_whole])
def test_whatever_stops_it_nothing_is_left_and_the_error_passes(
    tmp_path: Path, open_file: Callable[..., object], error: type[BaseException]
) -> None:
    (tmp_path / "old").write_text("mine")
    for name in ("new", "old"):
        with pytest.raises(error, match="stopped"), open_file(tmp_path / name, overwrite=True) as file:
            (file.write if open_file is open_whole else file.write_text)("half")
            raise error("stopped")
    assert names(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "mine"


def test_a_library_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineError, match="new can't be written: No such file"),
        write_path_whole(tmp_path / "new", overwrite=True),
    ):
        pass
    assert names(tmp_path) == []


LINES = [(1, "a\tö"), (3, "  b ")]


@pytest.mark.parametrize(
    "content",
    [
        "a\tö\n\n  b ".encode(),
        "\ufeffa\tö\r\n \r\n  b \r\n".encode(),
        "a\tö\n\n  b \n".encode("utf-16"),
        gzip.compress("a\tö\n\n  b ".encode(), mtime=0),
    ],
)
def test_lines_and_text_of_any_spelling(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert list(read_lines(tmp_path / "a")) == LINES
    text = read_text(tmp_path / "a", 1000)
    assert [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()] == LINES and "\r" not in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\nb\xff\n", r"not UTF-8"),
        (b"a\nb\0\n", r"holds a NUL"),
        (b"PK\x03\x04", r"a is a ZIP or Excel file"),
        (gzip.compress(b"a\n" * 99, mtime=0)[:-4], r"a: the gzip data ends early"),
        (b"\x1f\x8b\x08\xff", r"a: (broken gzip data|the gzip data ends early)"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a").write_bytes(content)
    for read in (lambda: list(read_lines(tmp_path / "a")), lambda: read_text(tmp_path / "a", 1000)):
        with pytest.raises(SourceError, match=says):
            read()


def test_the_line_of_a_wrong_byte_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\n\n\xff\n")
    with pytest.raises(SourceError, match=r"a, line 3: not UTF-8, expected text. Save the file as UTF-8"):
        list(read_lines(tmp_path / "a"))
    with pytest.raises(SourceError, match=r"a is not UTF-8 text \(byte 3\). Save it as UTF-8"):
        read_text(tmp_path / "a", 1000)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \n\n", gzip.compress(b"", mtime=0)])
def test_lines_of_nothing_are_refused_and_a_text_may_be_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SourceError, match="a is empty"):
        list(read_lines(tmp_path / "a"))
    assert read_text(tmp_path / "a", 1000).strip() == ""


def test_a_text_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x" * 11)
    assert read_text(tmp_path / "a", 11) == "x" * 11
    with pytest.raises(SourceError, match="a has more than 10 bytes"):
        read_text(tmp_path / "a", 10)
    with pytest.raises(SourceError, match="/dev/zero has more than 1,000 bytes"):
        read_text(Path("/dev/zero"), 1000)


def test_files_that_can_not_be_opened_are_told_apart(tmp_path: Path) -> None:
    for name, says in (("none", "none: no such file"), (".", "is a folder: name the files in it"), ("a\0b", "null")):
        with pytest.raises(SourceError, match=says):
            read_text(tmp_path / name, 10)


def test_the_delimiter_with_the_most_known_columns_wins(tmp_path: Path) -> None:
    def n_known(cells: list[str]) -> int:
        return len({"pmid", "title"} & set(cells))

    assert sniff_delimiter("pmid;title", n_known) == (";", ["pmid", "title"])
    assert sniff_delimiter("x|pmid\ttitle", n_known) == ("\t", ["x|pmid", "title"])
    assert sniff_delimiter("pmid|title|a,b", n_known)[0] == "|"
    assert sniff_delimiter("a;b", n_known) == (",", ["a;b"])  # nothing is known: the first of all
    assert sniff_delimiter("", n_known) == (",", [])


def test_byte_order_marks_stay_on_every_line_where_none_is_named() -> None:
    raw = "\ufeffa\n\ufeffb\n\ufeffc".encode()
    for end in (b"", b"\xe9"):  # the second one is Windows-1252: its block is decoded line by line
        stream = io.BufferedReader(io.BytesIO(raw + b"\n" + end))
        assert [line[:1] for _, line, _ in decode_lines(stream, "x", marks="")][:3] == ["\ufeff"] * 3
    assert [line for _, line, _ in decode_lines(io.BufferedReader(io.BytesIO(raw)), "x", marks="")][-1] == "\ufeffc"
    assert [line for _, line, _ in decode_lines(io.BufferedReader(io.BytesIO(raw)), "x")] == ["a\n", "b\n", "c"]
