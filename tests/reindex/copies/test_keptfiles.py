"""What is kept beside the generations is checked by verify and by a backup."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision
from engine.errors import CorruptError
from engine.index.generations.folder import IndexFolder
from engine.receipts import FileReceipt
from engine.reindex.copies.backup import make_backup
from engine.reindex.copies.keptfiles import find_kept_problems
from tests.conftest import silent


def damage_decisions(folder: IndexFolder) -> Path:
    """Write over the pages behind the first one."""
    content = bytearray(folder.decisions.read_bytes())
    content[4096:] = b"A" * len(content[4096:])
    folder.decisions.write_bytes(content)
    return folder.decisions


def damage_memory(folder: IndexFolder) -> Path:
    """Cut the memory of the saved questions off."""
    path = folder.path / "watches.json"
    path.write_text("{")
    return path


def damage_fetched(folder: IndexFolder) -> Path:
    """Write something else into a fetched file."""
    (path,) = folder.path.glob("queries/*/*")
    path.write_bytes(b"garbage")
    return path


@pytest.mark.parametrize("damage", [damage_decisions, damage_memory, damage_fetched])
def test_damage_is_named(toy: IndexFolder, tmp_path: Path, damage: Callable[[IndexFolder], Path]) -> None:
    Journal(toy.decisions, "gout").append("ann", [NewDecision(DecisionKind.START, ())])
    (toy.path / "watches.json").write_text('{"version": 1, "runs": 0, "watches": {}}')
    fetched = toy.path / "queries" / "pubmed-gout"
    fetched.mkdir(parents=True)
    (fetched / "all.xml.gz").write_bytes(b"whole")
    receipt = FileReceipt.of(fetched / "all.xml.gz")
    row = asdict(receipt) | {"is_full": True, "started": "2026-01-01T00:00:00+00:00", "n_counted": 1, "n_records": 1}
    state = {"service": "pubmed", "query": "gout", "fetches": [row | {"missing": []}]}
    fetched.with_suffix(".json").write_text(json.dumps(state))
    assert not [*find_kept_problems(toy)]
    make_backup(toy, tmp_path / "whole", silent)
    path = damage(toy)
    (problem,) = find_kept_problems(toy)
    assert str(path) in problem
    with pytest.raises(CorruptError, match=path.name):
        make_backup(toy, tmp_path / "damaged", silent)
    assert not (tmp_path / "damaged").exists()


def test_an_index_without_such_files_has_no_problem(toy: IndexFolder) -> None:
    assert not [*find_kept_problems(toy)]
