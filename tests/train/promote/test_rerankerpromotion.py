"""A reranker that helps is named in index.toml; a refused one changes nothing there."""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.cli.upkeep.template import format_template
from engine.config import Settings
from engine.encode.crossencoder import runner
from engine.encode.crossencoder.folder import check_reranker
from engine.errors import ConfigError
from engine.index.generations.folder import IndexFolder
from engine.records.reranker import RerankerIdentity
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetText, TestSet
from engine.train.promote import rerankerpromotion
from engine.train.promote.rerankerpromotion import _name_reranker, _RerankerPromotion, _shorten, promote_reranker
from tests.conftest import silent
from tests.rerankers import seal_empty

IDENTITY = RerankerIdentity("/models/good one", 64, "identity", "", "fp32", "a", "b", "c")
TOPICS = ("gout", "lupus", "knee pain", "asthma", "migraine")


class Counting:
    """A reranker that counts the words of the query in a text, times a sign."""

    identity = IDENTITY
    sign = 1.0

    def __init__(self, folder: Path) -> None:
        """Load nothing."""

    def score(self, query: str, texts: Sequence[str]) -> tuple[NDArray[np.float64], int]:
        words = query.lower().split()
        return np.array([self.sign * sum(text.lower().split().count(word) for word in words) for text in texts]), 0

    def close(self) -> None:
        """Close nothing."""


def make_set(name: str = "items", n: int = 100) -> TestSet:
    """Queries of one topic each; only the last document of a topic repeats it, far behind for the toy encoder."""
    documents = [SetText(f"a{at}{k}", topic + f" {k}") for at, topic in enumerate(TOPICS) for k in range(5)]
    documents += [SetText(f"b{at}", f"{topic} {topic} of dogs and cats") for at, topic in enumerate(TOPICS)]
    queries = tuple(SetText(f"q{at}", TOPICS[at % 5]) for at in range(n))
    return TestSet(name, tuple(documents), queries, Judgments({f"q{at}": {f"b{at % 5}": 1} for at in range(n)}))


@pytest.fixture
def promote(toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """promote(settings of index.toml, …): promotes the counting reranker, whose files are sealed but say nothing."""
    monkeypatch.setattr(runner, "OnnxReranker", Counting)
    exported = tmp_path / seal_empty(tmp_path, IDENTITY.model, weights=IDENTITY.weights_sha256).fingerprint
    monkeypatch.setattr(rerankerpromotion, "export_candidate", lambda *_, **__: exported)

    def run(**given: Any) -> _RerankerPromotion:
        settings = replace(Settings.load(toy.path), **given.pop("settings", {}))
        sets, guards = given.pop("sets", [make_set()]), given.pop("guards", ())
        return promote_reranker(toy, "m", sets, guards, settings, silent, n_queries=100, **given)

    return run


def test_one_that_helps_is_named_by_its_fingerprint(toy: IndexFolder, promote) -> None:  # type: ignore[no-untyped-def]
    tested = promote(only_test=True)
    assert tested.primary.difference.low > 0 and not tested.reasons and not tested.is_named
    assert Settings.load(toy.path).rerank_model is None
    assert not toy.get_encoder_path(IDENTITY.fingerprint).exists()
    assert promote().is_named
    assert Settings.load(toy.path).rerank_model == IDENTITY.fingerprint
    assert check_reranker(toy.get_encoder_path(IDENTITY.fingerprint)) == IDENTITY


def test_one_that_harms_a_guard_is_refused(toy: IndexFolder, promote, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Counting, "sign", -1.0)
    before = (toy.path / "index.toml").read_bytes() if (toy.path / "index.toml").exists() else None
    tested = promote(guards=[make_set("guard")])
    assert any("guard may lose" in reason for reason in tested.reasons)
    assert any("known items gain -" in reason for reason in tested.reasons) and not tested.is_named
    assert ((toy.path / "index.toml").read_bytes() if before is not None else None) == before
    assert not toy.get_encoder_path(IDENTITY.fingerprint).exists()


def test_it_is_tested_behind_words_and_meaning_as_the_settings_weigh_them(promote) -> None:  # type: ignore[no-untyped-def]
    """Words find the record that repeats a topic; meaning alone puts it below the four short ones."""
    words, meaning = (
        promote(settings={"hybrid_weight": weight}, only_test=True).primary.current for weight in (0.0, 1.0)
    )
    assert words > meaning > 0


@pytest.mark.parametrize("depth", [1, 3])
def test_what_lies_below_the_depth_keeps_its_place(promote, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Counting, "sign", 0.0)  # equal scores: the lower id first, among the reranked ones
    tested = promote(settings={"rerank_depth": depth}, only_test=True)
    assert tested.primary.candidate > 0
    assert depth > 1 or tested.primary.candidate == tested.primary.current


def test_a_query_that_cant_be_asked_is_told(promote) -> None:  # type: ignore[no-untyped-def]
    odd = make_set()
    odd = replace(odd, queries=(SetText("q0", "gout AND ("), *odd.queries[1:]))
    assert any("items: query q0 can't be answered" in note for note in promote(sets=[odd], only_test=True).notes)


def test_at_most_so_many_queries_are_asked() -> None:
    short = _shorten(make_set(), 10)
    assert [query.id for query in short.queries] == [f"q{at}" for at in range(0, 100, 11)]
    assert list(short.judgments.grades) == [query.id for query in short.queries]
    assert len(short.documents) == 30 and _shorten(short, 10) == short


@pytest.mark.parametrize(
    "text",
    [
        "",
        'mesh_tree = "t"  # mine\n',
        "[rerank]\n",
        '[rerank]\n# model = "x"\ndepth = 20\n[hybrid]\nweight = 0.4\n',
        '[rerank]\nmodel = "older"\n\n[download]\nfolder = "f"\n',
        format_template("toy", ()),
    ],
)
def test_all_else_in_index_toml_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "index.toml"
    path.write_text(text, encoding="utf-8")
    _name_reranker(Settings.load(tmp_path), IDENTITY)
    before, after = tomllib.loads(text), tomllib.loads(path.read_text(encoding="utf-8"))
    assert after.pop("rerank") == {**before.pop("rerank", {}), "model": IDENTITY.fingerprint}
    assert after == before
    assert "# good one" in path.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "model" not in line]
    assert not [line for line in kept if line not in path.read_text(encoding="utf-8").splitlines()]


def test_a_form_that_can_t_be_changed_safely_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.toml").write_text('rerank = { model = "x" }\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="Write under .rerank.: model = "):
        _name_reranker(Settings.load(tmp_path), IDENTITY)
    assert (tmp_path / "index.toml").read_text() == 'rerank = { model = "x" }\n'
