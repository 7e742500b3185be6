"""What costs grow with: a night with what changed, not with what is stored; memory hardly with a long abstract.

Bytes of system calls depend on no load, no cache and no machine.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from tests.conftest import CURRENT, ROOT, SAMPLE, TOY_MODEL, Command, command_environment

sys.path.insert(0, str(ROOT / "scripts"))
import bench_scale
import scale_corpus
from scale_child import read_counters
from scale_usage import fit_exponent

SIZES = (1_500, 6_000)  # a night changes less than a fifth of the smaller one, which would be written anew
# At most; a cost in proportion to the size has 1. Reads grow a little, with the depth of SQLite's trees.
EXPONENTS = {"written": 0.1, "read": 0.25}
# At most, for each record of the update and beside it.
BYTES = {"written": (25_000, 2_000_000), "read": (200_000, 10_000_000)}
# Small indexes are written as one segment; here segments are what is measured.
SETTINGS = ("one_segment_below = 0",)


def measure_night(n: int, folder: Path, engine: Command) -> dict[str, float]:
    """Index n made-up records, apply the update file of a night, and return what the night read and wrote."""
    inbox, index = folder / f"inbox-{n}", folder / "indexes" / f"n{n}"
    inbox.mkdir()
    pool = scale_corpus.read_pool([SAMPLE / "abstracts.jsonl", SAMPLE / "pubmed.xml"])
    list(scale_corpus.write_baseline(inbox, pool, n))
    run(engine, "init", index.name, inbox)
    shutil.copytree(CURRENT / "encoders", index / "encoders")  # spares the export
    bench_scale.configure(index / "index.toml", TOY_MODEL, SETTINGS)
    run(engine, "reindex", index.name)
    run(engine, "status", "-i", index.name)  # hashes the files once, so that the night finds them stamped
    scale_corpus.write_update(inbox, pool, n, 0)
    before = read_counters()
    run(engine, "reindex", index.name, "--allow-mass-change")
    after = read_counters()
    return {name: after[name] - before[name] for name in EXPONENTS}


def run(engine: Command, *args: str | Path) -> None:
    done = engine(*args)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sizes", [SIZES, pytest.param((2_000, 20_000), marks=pytest.mark.slow)])
def test_a_night_costs_what_changed(
    engine: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]
) -> None:
    monkeypatch.setattr("engine.stamps._SETTLED", 0.0)  # of files that are seconds old
    monkeypatch.setattr("engine.index.search.layout._IN_MEMORY", 0)  # vectors of a real index are mapped, not read
    found = {n: measure_night(n, tmp_path, engine) for n in sizes}
    for name, most in EXPONENTS.items():
        exponent = fit_exponent([(n, found[n][name]) for n in sizes])
        assert exponent is not None and exponent <= most, (name, exponent, found)
    for name, (each, beside) in BYTES.items():
        assert found[sizes[-1]][name] <= each * scale_corpus.PER_UPDATE + beside, (name, found)


def count_bytes(folder: IndexFolder) -> int:
    """Bytes of segments and generations; what several share counts once."""
    files = [
        file.stat() for part in (folder.segments, folder.generations) for file in part.rglob("*") if file.is_file()
    ]
    return sum({status.st_ino: status.st_size for status in files}.values())


def test_a_kept_generation_takes_little_beside_what_changed(toy: IndexFolder, add: Callable[..., Report]) -> None:
    """So thirty of them, of some thousand records, take little more than one."""
    sizes = []
    for night in range(17):  # small segments, of records and of words, are merged twice
        add({"id": f"toy-{night % 3 + 1:02}", "title": f"Revised {night}"}, keep_generations=99, one_segment_below=0)
        sizes.append(count_bytes(toy))
    assert len(toy.list_numbers()) == 18
    assert (sizes[-1] - sizes[0]) / 16 <= 70_000


def index_abstract(folder: Path, name: str, abstract: str) -> float:
    """Index one abstract in passages, in a process of its own, and return the most memory that it had in use, in MB."""
    source = folder / f"{name}.jsonl"
    source.write_text(json.dumps({"id": "1", "title": "Gout", "abstract": abstract}), encoding="utf-8")
    command = [sys.executable, "-m", "engine", "index", str(source), "-i", name]
    process = subprocess.Popen(
        [*command, "-m", str(TOY_MODEL), "--recipe", "passages"], env=command_environment(folder), cwd=folder
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@pytest.mark.slow
def test_a_long_abstract_in_passages_takes_little_memory(tmp_path: Path) -> None:
    index_abstract(tmp_path, "first", "Gout hurts.")  # exports the encoder, which takes far more
    for name in ("short", "long"):
        (tmp_path / "indexes" / name).mkdir()
        shutil.copytree(tmp_path / "indexes" / "first" / "encoders", tmp_path / "indexes" / name / "encoders")
    abstract = "Colchicine and low doses of steroids were compared in patients with flares of gout. " * 12_000
    short, long = index_abstract(tmp_path, "short", "Gout hurts."), index_abstract(tmp_path, "long", abstract)
    assert (long - short) * 1e6 / len(abstract) < 150
