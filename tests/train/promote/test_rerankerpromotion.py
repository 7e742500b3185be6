"""A reranker that helps is named in index.toml; a refused one changes nothing there."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.cli.template import format_template
from engine.config import Settings
from engine.errors import ConfigError
from engine.index.folder import IndexFolder
from engine.records.reranker import RerankerIdentity
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetText, TestSet
from engine.train.promote import rerankerpromotion
from engine.train.promote.rerankerpromotion import _name_reranker, _RerankerPromotion, _shorten, promote_reranker
from tests.conftest import silent

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
def promote(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(rerankerpromotion, "OnnxReranker", Counting)
    monkeypatch.setattr(rerankerpromotion, "provide_reranker", lambda *_, **__: Path())

    def run(**given: object) -> _RerankerPromotion:
        settings = Settings.load(toy.path)
        guards = given.pop("guards", ())
        return promote_reranker(toy, "m", [make_set()], guards, settings, silent, n_queries=100, **given)  # type: ignore[arg-type]

    return run


def test_one_that_helps_is_named_by_its_fingerprint(toy: IndexFolder, promote) -> None:  # type: ignore[no-untyped-def]
    tested = promote(only_test=True)
    assert tested.primary.difference.low > 0 and not tested.reasons and not tested.is_named
    assert Settings.load(toy.path).rerank_model is None
    assert promote().is_named
    assert Settings.load(toy.path).rerank_model == IDENTITY.fingerprint


def test_one_that_harms_a_guard_is_refused(toy: IndexFolder, promote, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Counting, "sign", -1.0)
    before = (toy.path / "index.toml").read_bytes() if (toy.path / "index.toml").exists() else None
    tested = promote(guards=[make_set("guard")])
    assert any("guard may lose" in reason for reason in tested.reasons)
    assert any("known items gain -" in reason for reason in tested.reasons) and not tested.is_named
    assert ((toy.path / "index.toml").read_bytes() if before is not None else None) == before


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
