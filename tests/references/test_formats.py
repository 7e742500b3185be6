import errno
import json
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from engine.errors import EngineError, UsageError
from engine.records import Abstract
from engine.references.cited import Cited
from engine.references.formats import FORMATS, check_target, content, write
from tests.references.found import BARE, FULL, cite, cite_all

LONG = [cite(Abstract(str(n), f"Title {n}", os.urandom(500).hex()), n + 1) for n in range(200)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [*FORMATS, ".RIS"])
def test_each_suffix_has_its_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hits{suffix}"
    check_target(path, overwrite=False)
    write(path, cite_all([FULL, BARE]), "gout (generation 000001)")
    assert names(tmp_path) == [path.name]
    begins = {
        ".ris": b"TY  - JOUR\r\n",
        ".nbib": b"PMID- 123\r\n",
        ".bib": b"@article{",
        ".csv": b"rank,id,score,",
        ".tsv": b"rank\tid\tscore\t",
        ".xlsx": b"PK\x03\x04",
        ".json": b'[\n{"rank": 1, ',
        ".jsonl": b'{"rank": 1, ',
        ".md": b"# gout (generation 000001)\n",
    }
    assert path.read_bytes().startswith(begins[suffix.lower()])


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_hits_are_a_file_too(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"hits{suffix}", [], "gout")
    assert names(tmp_path) == [f"hits{suffix}"]


def test_the_title_and_raw_are_passed_on(tmp_path: Path) -> None:
    formula = [cite(Abstract("a", "=1", ""))]
    write(tmp_path / "a.xlsx", formula, "gout")
    write(tmp_path / "a.csv", formula, "gout", raw=True)
    write(tmp_path / "b.csv", formula, "gout")
    assert openpyxl.load_workbook(tmp_path / "a.xlsx").properties.title == "gout"
    assert ",=1," in (tmp_path / "a.csv").read_text() and ",'=1," in (tmp_path / "b.csv").read_text()


def test_text_that_utf8_can_not_hold_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.md", [cite(BARE)], "gout \udcff")
    assert (tmp_path / "a.md").read_text(encoding="utf-8").startswith("# gout ?\n")
    write(tmp_path / "a.xlsx", [cite(BARE)], "gout \udcff")


@pytest.mark.parametrize("name", ["hits", "hits.doc", "hits.csv.gz"])
def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"no format has the suffix '.*'. Known are .ris, .nbib, .bib, .*, .md"):
        check_target(tmp_path / name, overwrite=True)


def test_a_file_is_overwritten_only_if_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "hits.json"
    path.write_text("mine")
    path.chmod(0o640)
    for call in (lambda: check_target(path, overwrite=False), lambda: write(path, [], "")):
        with pytest.raises(UsageError, match=r"hits.json exists. Write over it: --overwrite"):
            call()
    assert path.read_text() == "mine"
    check_target(path, overwrite=True)
    write(path, [], "", overwrite=True)
    assert json.loads(path.read_text()) == [] and names(tmp_path) == ["hits.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(tmp_path / "hits.md", [], "")
    assert (tmp_path / "hits.md").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "hits.json")
    write(tmp_path / "link.json", [], "")
    write(tmp_path / "link.json", [cite(BARE)], "", overwrite=True)
    assert (tmp_path / "link.json").is_symlink()
    assert len(json.loads((tmp_path / "real" / "hits.json").read_text())) == 1 and names(tmp_path / "real") == [
        "hits.json"
    ]


def test_folders_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    os.mkfifo(tmp_path / "b.csv")
    with pytest.raises(UsageError, match=r"a.csv is a folder. Name a file in it: .*a.csv/hits.csv"):
        check_target(tmp_path / "a.csv", overwrite=True)
    with pytest.raises(UsageError, match=r"b.csv is a pipe or a device"):
        check_target(tmp_path / "b.csv", overwrite=True)
    with pytest.raises(UsageError, match=r"there is no folder .*none. Make it first: mkdir -p .*none"):
        check_target(tmp_path / "none" / "hits.csv", overwrite=False)


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
    for folder in (tmp_path, *tmp_path.parents[:2]):
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


class Meanwhile(list[Cited]):
    """Hits during whose writing a file appears."""

    def __init__(self, appears: Path) -> None:
        super().__init__([cite(BARE)])
        self.appears = appears

    def __iter__(self) -> Iterator[Cited]:
        self.appears.write_text("theirs")
        return super().__iter__()


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hits.ris"
    with pytest.raises(UsageError, match=r"hits.ris exists. Write over it: --overwrite"):
        write(path, Meanwhile(path), "")
    assert path.read_text() == "theirs" and names(tmp_path) == ["hits.ris"]
    write(path, Meanwhile(path), "", overwrite=True)
    assert path.read_text().startswith("TY  - JOUR")


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # as on FAT

    monkeypatch.setattr(os, "link", without_links)
    path = tmp_path / "hits.ris"
    write(path, [cite(BARE)], "")
    assert path.read_text().startswith("TY  - JOUR") and names(tmp_path) == ["hits.ris"]
    path.unlink()
    with pytest.raises(UsageError, match=r"hits.ris exists"):
        write(path, Meanwhile(path), "")
    assert path.read_text() == "theirs" and names(tmp_path) == ["hits.ris"]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_when_the_disk_is_full_nothing_is_left_and_nothing_is_lost(
    tmp_path: Path, full_disk: None, suffix: str, overwrite: bool
) -> None:
    path = tmp_path / f"hits{suffix}"
    if overwrite:
        path.write_text("mine")
    if suffix == ".md":  # has no abstracts
        found = [cite(Abstract(str(n), "Title " * 40, "")) for n in range(200)]
    else:
        found = LONG
    with pytest.raises(EngineError, match=rf"hits{suffix} can't be written: File too large"):
        write(path, found, "", overwrite=overwrite)
    assert names(tmp_path) == ([path.name] if overwrite else [])
    assert not overwrite or path.read_text() == "mine"


def test_whatever_stops_it_nothing_is_left(tmp_path: Path) -> None:
    class Stopped(list[Cited]):
        def __iter__(self) -> Iterator[Cited]:
            raise KeyboardInterrupt("ctrl-c")

    with pytest.raises(KeyboardInterrupt, match="ctrl-c"):
        write(tmp_path / "hits.md", Stopped(), "")
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_content_is_that_of_the_file(tmp_path: Path, suffix: str) -> None:
    found = cite_all([FULL, BARE])
    write(tmp_path / f"hits{suffix}", found, "gout")
    made = b"".join(content(suffix, found, "gout"))
    if suffix == ".xlsx":  # holds the time of its making
        (tmp_path / "made.xlsx").write_bytes(made)
        rows = [list(openpyxl.load_workbook(path).active.values) for path in sorted(tmp_path.glob("*.xlsx"))]
        assert rows[0] == rows[1] and len(rows[0]) == 3
    else:
        assert made == (tmp_path / f"hits{suffix}").read_bytes()


def test_the_content_is_of_the_kind_that_is_asked_for() -> None:
    formula = [cite(Abstract("a", "=1", ""))]
    assert b",'=1," in b"".join(content(".csv", formula, ""))
    assert b",=1," in b"".join(content(".csv", formula, "", raw=True))
    tabs = b"".join(content(".tsv", formula, "", raw=True, changes=["added"])).split(b"\n")
    assert tabs[0].startswith(b"change\trank\tid\t") and tabs[1].startswith(b"added\t1\ta\t")
    assert b"".join(content(".md", [], "gout \udcff")).startswith(b"# gout ?\n")
    assert b'"title": "?"' in b"".join(content(".jsonl", [cite(Abstract("a", "\udcff", ""))], ""))
    assert b"b?c" in b"".join(content(".csv", [cite(Abstract("a", "b\udcffc", ""))], ""))
