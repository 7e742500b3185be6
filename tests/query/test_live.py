"""An open index whose files are changed below it: right answers or a clear error, never garbage and no bus error."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import open_index
from engine.errors import CorruptError
from engine.index.generations.folder import IndexFolder
from engine.query import index as indexing
from engine.reindex.generation.order import Report
from tests.conftest import ROOT, segment_of

Damage = Callable[[Path], object]


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


DAMAGES: dict[str, Damage] = {
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "replaced": replace,
}


@pytest.fixture
def files(toy: IndexFolder) -> Path:
    """The folder of the files of a segment, which may be written to."""
    folder = segment_of(toy, 1).path
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("name", ["abstracts.db", "vectors.faiss"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_noticed_before_the_next_answer_and_its_repair_too(
    toy: IndexFolder, files: Path, name: str, damage: Damage, follow: bool
) -> None:
    with open_index(toy.path, follow=follow) as index:
        before = index.search("gout", mode="hybrid")
        good = (files / name).read_bytes()
        damage(files / name)
        for _ in range(2):
            with pytest.raises(
                CorruptError, match=rf"{name} was .* while it was open, and can't be used: .*{name} .*exp"
            ):
                index.search("gout", mode="hybrid")
        with pytest.raises(CorruptError, match=rf"{name} was"):
            index.get("toy-01")
        (files / name).write_bytes(good)
        assert index.search("gout", mode="hybrid") == before


def test_a_damaged_folder_is_not_read_again_until_it_changes(
    toy: IndexFolder, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[IndexFolder] = []
    real = indexing.open_latest
    monkeypatch.setattr(indexing, "open_latest", lambda folder, *rest: tries.append(folder) or real(folder, *rest))
    with open_index(toy.path) as index:
        tries.clear()
        (files / "map.npz").write_bytes(b"x")
        for _ in range(3):
            with pytest.raises(
                CorruptError,
                match=r"map.npz was changed: it has 1 bytes, expected .*No generation here is without damage",
            ):
                index.search("gout")
        assert len(tries) == 1
        (files / "map.npz").write_bytes(b"xy")
        with pytest.raises(CorruptError, match=r"map.npz was changed: it has 2 bytes"):
            index.search("gout")
        assert len(tries) == 2


def test_a_backup_put_back_over_an_open_index_does_no_harm(toy: IndexFolder, tmp_path: Path) -> None:
    backup = Path(shutil.copytree(toy.path, tmp_path / "backup"))
    with open_index(toy.path) as index, index.pin() as still:
        before = index.search("gout")
        subprocess.run(["cp", "-rf", f"{backup}/.", toy.path], check=True)
        assert index.search("gout") == before
        with pytest.raises(CorruptError, match=r"was written to while it was open. Check .* engine verify -i toy"):
            still.search("gout")
        assert index.pin().search("gout") == before


def test_a_backup_put_in_place_by_renaming_does_no_harm(toy: IndexFolder, tmp_path: Path) -> None:
    backup = Path(shutil.copytree(toy.path, tmp_path / "backup"))
    with open_index(toy.path) as index, index.pin() as still:
        before = index.search("gout")
        toy.path.rename(tmp_path / "old")
        assert still.search("gout") == before
        backup.rename(toy.path)
        assert index.search("gout") == before and still.search("gout") == before


def test_a_generation_that_was_deleted_is_served_on(toy: IndexFolder, add: Callable[..., Report]) -> None:
    with open_index(toy.path) as index, index.pin() as still:
        before = still.search("gout")
        add({"id": "new", "title": "Gout"}, keep_generations=1)
        assert not toy.get_generation_path(1).exists()
        assert still.search("gout") == before and index.search("gout") != before


@pytest.mark.parametrize("in_memory", [0, 4 << 20])
def test_a_file_that_is_cut_off_raises_no_bus_error(toy: IndexFolder, files: Path, in_memory: int) -> None:
    program = (
        "import os, sys; from engine import open_index; from engine.index.files import openfiles; from engine.index.search import layout\n"
        f"layout._IN_MEMORY = {in_memory}\n"
        "index = open_index(sys.argv[1]); index.search('gout'); os.truncate(sys.argv[2], 0)\n"
        f"if {in_memory}: openfiles.OpenFiles.find_change = lambda self, replaced=True: None  # during a search\n"
        "try: print(len(index.search('gout')))\n"
        "except Exception as err: print(type(err).__name__)"
    )
    command = [sys.executable, "-c", program, toy.path, files / "vectors.faiss"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (0, "10\n" if in_memory else "CorruptError\n"), done.stderr


def test_an_encoder_that_is_changed_below_an_open_index_gives_no_other_vectors(toy: IndexFolder) -> None:
    with open_index(toy.path, follow=False) as index, index.pin() as still:
        before = [each.search("gout of the knee", mode="semantic") for each in (index, still)]
        (data,) = (toy.path / "encoders").glob("*/encoder.data")
        data.chmod(0o644)
        good = data.read_bytes()
        for damage in ("zeros", "cut off", "empty"):
            DAMAGES[damage](data)
            for each in (index, still):
                with pytest.raises(CorruptError, match=r"encoder\.data .*, expected"):
                    each.search("gout of the hand", mode="semantic")
            data.write_bytes(good)
            assert [each.search("gout of the knee", mode="semantic") for each in (index, still)] == before
        replace(data)  # what is mapped is as it was
        assert [each.search("gout of the knee", mode="semantic") for each in (index, still)] == before
