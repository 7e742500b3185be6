"""The rerankers that an index keeps: which ones are deleted, and what is wrong with them."""

from pathlib import Path

import pytest

from engine.config import Settings
from engine.encode.models.folder import WEIGHTS
from engine.errors import EncoderError
from engine.index.generations.folder import IndexFolder
from engine.query.opening.rerankers import (
    find_reranker_problems,
    list_rerankers,
    provide_reranker,
    prune_rerankers,
)
from tests.rerankers import seal_empty

DAYS = 86_400.0


@pytest.fixture
def encoders(toy: IndexFolder) -> Path:
    return toy.path / "encoders"


def name_in_settings(folder: IndexFolder, model: str) -> None:
    (folder.path / "index.toml").write_text(f'[rerank]\nmodel = "{model}"\n', encoding="utf-8")


def list_problems(folder: IndexFolder) -> list[str]:
    return list(find_reranker_problems(folder, Settings.load(folder.path)))


def test_one_is_deleted_once_a_newer_one_has_had_its_name_for_a_day(toy: IndexFolder, encoders: Path) -> None:
    old, older = (seal_empty(encoders, weights=str(days), age=days * DAYS) for days in (5, 9))
    other = seal_empty(encoders, "/models/other", weights="c", age=9 * DAYS)
    assert prune_rerankers(toy) == [older.fingerprint]
    fresh = seal_empty(encoders, weights="0", age=60)
    assert prune_rerankers(toy) == []
    assert list_rerankers(toy) == [fresh, old, other]


def test_one_that_index_toml_names_stays(toy: IndexFolder, encoders: Path) -> None:
    new, old = (seal_empty(encoders, weights=str(days), age=days * DAYS) for days in (2, 3))
    (toy.path / "index.toml").write_text("[rerank\n", encoding="utf-8")
    assert prune_rerankers(toy) == []
    name_in_settings(toy, old.fingerprint[:12])
    assert prune_rerankers(toy) == []
    name_in_settings(toy, new.fingerprint)
    assert prune_rerankers(toy) == [old.fingerprint] and list_rerankers(toy) == [new]


def test_a_damaged_one_stays_and_is_told(toy: IndexFolder, encoders: Path) -> None:
    whole, broken, sealed = (seal_empty(encoders, weights=str(days), age=days * DAYS) for days in (2, 3, 4))
    (encoders / broken.fingerprint / WEIGHTS).write_text("other data", encoding="utf-8")
    (encoders / sealed.fingerprint / "reranker.json").write_text("{}", encoding="utf-8")
    told = {problem.split(". ")[0].split("encoders/")[1][:12]: problem for problem in list_problems(toy)}
    assert told.keys() == {broken.fingerprint[:12], sealed.fingerprint[:12]}
    assert f"{WEIGHTS} has 10 bytes, expected 12. Put the reranker back" in told[broken.fingerprint[:12]]
    assert "reranker.json was changed or damaged" in told[sealed.fingerprint[:12]]
    assert prune_rerankers(toy) == [broken.fingerprint]
    assert (encoders / sealed.fingerprint).exists() and (encoders / whole.fingerprint).exists()


def test_one_in_a_folder_of_another_name_is_told(toy: IndexFolder, encoders: Path) -> None:
    one = seal_empty(encoders)
    (encoders / one.fingerprint).rename(encoders / ("0" * 64))
    (problem,) = list_problems(toy)
    assert f"{'0' * 64} holds /models/tiny (fp32, fingerprint {one.fingerprint[:12]}), expected" in problem


def test_one_that_index_toml_names_but_is_not_there_is_told(toy: IndexFolder, encoders: Path) -> None:
    name_in_settings(toy, "/models/exported on first use")
    assert list_problems(toy) == []
    name_in_settings(toy, "0123456789abcdef")
    (problem,) = list_problems(toy)
    assert "index.toml names the reranker with fingerprint 0123456789ab, which" in problem
    assert "--rerank MODEL" in problem


def test_a_name_that_is_nothing_is_answered_with_the_rerankers_that_there_are(toy: IndexFolder, encoders: Path) -> None:
    with pytest.raises(EncoderError, match="nothing is not a folder .*has no folder nothing.*") as told:
        provide_reranker(toy, "nothing", "fp32", may_export=True)
    assert "holds the rerankers" not in str(told.value)
    seal_empty(encoders)
    with pytest.raises(EncoderError, match="nothing is not a folder .* toy holds the rerankers tiny$"):
        provide_reranker(toy, "nothing", "fp32", may_export=True)
