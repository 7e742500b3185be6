"""Files come in order with the receipts of what was read, whoever reads them."""

import os
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import pytest

from engine.collect import readers
from engine.collect.source import read_source
from engine.corpus.draft import Draft, DraftFiles
from engine.errors import SourceError
from engine.receipts import FileReceipt
from engine.reindex.intake import reading
from engine.reindex.intake.gather import count_files, gather, hash_prepared
from engine.reindex.intake.reading import read_files
from engine.reindex.intake.sources import Source
from tests.conftest import HERE, TOY, jsonl, silent

PUBMED = HERE / "data" / "pubmed26n0001.xml"


@pytest.fixture(params=[1, 2], ids=["in this process", "in two others"])
def started(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Run with one core or with two; ids of the processes that were started."""
    pids = list[int]()

    class Watched(readers.Readers):
        def __init__(self, n_processes: int) -> None:
            super().__init__(n_processes)
            pids.extend(self.pids)

    monkeypatch.setattr(readers, "_WORTH", 1)
    monkeypatch.setattr(readers, "count_cores", lambda: request.param)
    monkeypatch.setattr(reading, "Readers", Watched)
    return pids


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files with records of others, changed ones, deletions, remarks and rejections."""
    rows = [{"id": f"a{n}", "title": f"Gout {n}", "doi": f"10.1000/{n}"} for n in range(30)]
    return [
        jsonl(tmp_path / "one.jsonl", rows),
        PUBMED,
        jsonl(tmp_path / "two.jsonl", [{"year": 2019}, *({**row, "id": row["doi"], "abstract": "B"} for row in rows)]),
        jsonl(tmp_path / "one.jsonl.2", [{**row, "title": f"Caf{chr(0xC3)}{chr(0xA9)}"} for row in rows[:20]]),
        *sorted((HERE / "data" / "exports").iterdir()),
        TOY,
    ]


def gather_all(folder: Path, files: list[Path]) -> tuple[object, ...]:
    """What reading files leaves in the database and in the counts."""
    folder.mkdir()
    with Draft(
        DraftFiles(folder / "abstracts.db", folder / "state.db"), 1, "2026-01-01T00:00:00+00:00", hash_prepared
    ) as draft:
        gathered = gather(draft, [Source(path) for path in files], silent)
        count_files(draft, gathered)
        state = [
            draft.connection.execute(f"SELECT * FROM state.{name}").fetchall()
            for name in ("sources", "rejections", "deletions")
        ]
        dump = [*draft.connection.iterdump(), *state]
        return (dump, gathered.changes, gathered.remark_counts, gathered.rejections, gathered.examples) + (
            [astuple(each) for each in gathered.readings],
            gathered.new_files,
            gathered.doubtful,
        )


def test_two_processes_leave_what_one_leaves(
    started: list[int], files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gather_all(tmp_path / "found", files)
    monkeypatch.setattr(readers, "count_cores", lambda: 1)
    n_started = len(started)
    assert found == gather_all(tmp_path / "expected", files)
    assert len(started) == n_started


def test_files_come_in_order_with_their_receipts(started: list[int], files: list[Path]) -> None:
    found = [(file.source.path, file.receipt, list(file.entries)) for file in read_files([Source(p) for p in files])]
    assert found == [(path, FileReceipt.of(path), list(read_source(path))) for path in files]


def test_a_receipt_that_is_there_is_not_taken_again(started: list[int]) -> None:
    given = FileReceipt("toy.jsonl", 1, "0" * 64)
    (file,) = (file for file in read_files([Source(TOY, receipt=given)]) if list(file.entries))
    assert file.receipt is given


def test_a_missing_file_is_told_when_its_turn_comes(started: list[int], tmp_path: Path) -> None:
    files = read_files([Source(TOY), Source(tmp_path / "none.ris"), Source(TOY)])
    assert len(list(next(files).entries)) > 1
    with pytest.raises(FileNotFoundError, match="none.ris"):
        next(files)


def test_the_first_error_in_order_counts(started: list[int], tmp_path: Path) -> None:
    (cut := tmp_path / "cut.xml").write_bytes(PUBMED.read_bytes()[:-40])
    (empty := tmp_path / "empty.ris").touch()
    with (
        Draft(
            DraftFiles(tmp_path / "abstracts.db", tmp_path / "state.db"), 1, "2026-01-01T00:00:00+00:00", hash_prepared
        ) as draft,
        pytest.raises(SourceError, match="^cut.xml is not well-formed XML"),
    ):
        gather(draft, [Source(TOY), Source(cut), Source(empty), Source(tmp_path / "none.ris")], silent)


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"id": "late", "title": "B"}\n')


def _rewrite(path: Path) -> None:
    path.write_text(path.read_text().replace("Gout 7", "Lump 7"))


@pytest.mark.parametrize("touch", [_append, _rewrite, Path.unlink])
def test_a_file_that_changes_after_it_was_read_ahead_is_refused(
    started: list[int], files: list[Path], tmp_path: Path, touch: Callable[[Path], None]
) -> None:
    second = files[0]

    def change(phase: str, done: int, total: int | None) -> None:
        if done == 500 and second.exists() and FileReceipt.of(second) == before:
            touch(second)

    first = jsonl(tmp_path / "first.jsonl", ({"id": f"b{n}", "title": f"A {n}"} for n in range(600)))
    before = FileReceipt.of(second)
    sources = [Source(first, receipt=FileReceipt.of(first)), Source(second, receipt=before)]
    with (
        Draft(
            DraftFiles(tmp_path / "abstracts.db", tmp_path / "state.db"), 1, "2026-01-01T00:00:00+00:00", hash_prepared
        ) as draft,
        pytest.raises((SourceError, FileNotFoundError), match=r"one.jsonl"),
    ):
        gather(draft, sources, change)


def test_an_error_while_merging_leaves_no_process(started: list[int], files: list[Path], tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt("stop")

    many = jsonl(tmp_path / "many.jsonl", ({"id": f"b{n}", "title": f"A {n}"} for n in range(600)))
    with (
        pytest.raises(KeyboardInterrupt, match="stop"),
        Draft(
            DraftFiles(tmp_path / "abstracts.db", tmp_path / "state.db"), 1, "2026-01-01T00:00:00+00:00", hash_prepared
        ) as draft,
    ):
        gather(draft, [Source(path) for path in (many, *files)], stop)
    for pid in started:
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(pid, 0)
