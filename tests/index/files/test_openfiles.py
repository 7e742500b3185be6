"""Changes below open files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.index.files.openfiles import OpenFiles


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Two files of 1,000 bytes."""
    found = [tmp_path / "a", tmp_path / "b"]
    for path in found:
        path.write_bytes(bytes(1000))
        os.utime(path, ns=(0, 10**18))
    return found


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(1000))
    os.utime(other, ns=(0, 10**18))
    other.replace(path)


HARMLESS: tuple[Callable[[Path], object], ...] = (
    lambda path: path.read_bytes(),
    lambda path: path.chmod(0o444),
    lambda path: os.link(path, path.with_name("link")),
    lambda path: path.unlink(),
)
CHANGES: tuple[tuple[Callable[[Path], object], str], ...] = (
    (lambda path: path.write_bytes(b""), "b was changed: it has 0 bytes, expected 1,000, while it was open"),
    (lambda path: path.write_bytes(bytes(1001)), "b was changed: it has 1,001 bytes, expected 1,000, while"),
    (lambda path: path.write_bytes(b"x" * 1000), "b was written to while it was open"),
    (replace, "b was replaced by another file while it was open"),
)


@pytest.mark.parametrize("touch", HARMLESS)
def test_what_leaves_the_content_is_no_change(paths: list[Path], touch: Callable[[Path], object]) -> None:
    files = OpenFiles.of(paths)
    assert files.find_change() is None
    touch(paths[1])
    assert files.find_change() is None


@pytest.mark.parametrize(("touch", "said"), CHANGES)
def test_a_change_is_described(paths: list[Path], touch: Callable[[Path], object], said: str) -> None:
    files = OpenFiles.of(paths)
    before = files.read_states()
    touch(paths[1])
    assert said in str(files.find_change())
    assert files.read_states()[0] == before[0] and files.read_states()[1] != before[1]
    assert (files.find_change(replaced=False) is None) == (touch is replace)


def test_a_file_that_comes_back_as_it_was_is_no_change(paths: list[Path]) -> None:
    files = OpenFiles.of(paths)
    paths[0].rename(paths[0].with_name("away"))
    assert files.find_change() is None
    paths[0].with_name("away").rename(paths[0])
    assert files.find_change() is None
