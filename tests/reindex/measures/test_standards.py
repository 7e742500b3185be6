"""What questions of other fields and sentences of records reach: by hand, bounded, and the same each time."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine import open_index
from engine.config import Settings
from engine.corpus.words.wording import parse_wording
from engine.index.generations.folder import IndexFolder
from engine.options import MODES
from engine.query.answers.verdict import VERSION
from engine.query.index import get_generation
from engine.query.ranks.evidence import BEST
from engine.records.abstract import Abstract
from engine.records.encoder import Encoded, EncoderIdentity, Vectors
from engine.records.generation import Standards
from engine.reindex.measures import standards
from engine.reindex.measures.otherfields import QUESTIONS
from engine.reindex.measures.standards import SearchedParts, _choose_text, _measure_probe, _Probe, measure_standards
from engine.reindex.runs.compaction import compact_index
from tests.conftest import forget_standards, silent

pytestmark = pytest.mark.usefixtures("all_probes")


class Fixed:
    """Gives every question of another field one vector, and everything else another."""

    page, ahead = 1000, 1

    def __init__(self, identity: EncoderIdentity, other: Vectors, own: Vectors) -> None:
        self.identity, self.other, self.own = identity, other, own
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Encoded:
        raise AssertionError(f"encoded as texts of records: {texts}")

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        self.texts += texts
        rows = [self.other if text in QUESTIONS else self.own for text in texts]
        return Encoded(np.array(rows, np.float32), np.full(len(texts), 3, np.int64))

    def close(self) -> None:
        """Hold nothing."""


class Known(Fixed):
    """Gives each text of a record its own vector."""

    def __init__(self, identity: EncoderIdentity, known: dict[str, Vectors], other: Vectors) -> None:
        super().__init__(identity, other, other)
        self.known = known

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        rows = [self.known.get(text, self.other) for text in texts]
        return Encoded(np.array(rows, np.float32), np.full(len(texts), 3, np.int64))


def measure(folder: IndexFolder, other: int, own: int) -> tuple[Standards, list[str]]:
    """Measure with the vectors of two records as those of the questions and of the sentences."""
    with open_index(folder.path) as index:
        found = get_generation(index)
        points = found.vectors.get_points(np.array([other, own]))
        encoder = Fixed(found.manifest.encoder, points[0], points[1])
        parts = SearchedParts(found.corpus, found.vectors, found.get_words())
        return measure_standards(parts, found.vectors.doc_ids, encoder), encoder.texts


def test_an_encoder_that_tells_nothing_apart_gives_no_reaches(toy: IndexFolder) -> None:
    found, _ = measure(toy, 1, 1)
    assert found.version == VERSION and found.reaches == ()
    assert found.low == pytest.approx(1)  # every question is record 1
    assert found.high < 1  # few sentences are


def test_the_number_of_texts_is_fixed(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standards, "_RECORDS", 12)
    found, texts = measure(toy, 1, 2)
    assert len(texts) == len(QUESTIONS) + 12
    monkeypatch.setattr(standards, "_RECORDS", 9)
    too_few, texts = measure(toy, 1, 2)
    assert (too_few.reaches, too_few.low, len(texts)) == ((), 0.0, len(QUESTIONS) + 9)
    assert measure(toy, 1, 2)[0] == too_few


@pytest.mark.parametrize(
    ("title", "abstract", "text"),
    [
        ("Gout", "We asked 12 people. It hurts.", "It hurts."),
        ("Gout", "It hurts.", "Gout"),
        ("Gout", "", "Gout"),
        ("", "It hurts.", "It hurts."),
    ],
)
def test_the_text_of_a_record(title: str, abstract: str, text: str) -> None:
    assert _choose_text(Abstract("a", title, abstract)) == text


def test_what_is_reached(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        found = get_generation(index)
        doc_ids = found.vectors.doc_ids
        points = found.vectors.get_points(doc_ids)
        texts = [_choose_text(record) for record in index.abstracts()]
        away = -points.mean(axis=0)
        encoder = Known(found.manifest.encoder, dict(zip(texts, points, strict=True)), away / np.linalg.norm(away))
        parts = SearchedParts(found.corpus, found.vectors, found.get_words())
        measured = measure_standards(parts, doc_ids, encoder)
    assert (
        measured.high == pytest.approx(1) and measured.low < 0
    )  # each sentence is its record, other questions are away
    assert [reach.mode for reach in measured.reaches] == list(MODES)
    for reach in measured.reaches:
        for quantiles in (reach.unrelated, reach.neighbours):
            assert list(quantiles) == sorted(quantiles) and len(quantiles) == len(measured.shares)
        assert reach.unrelated[-1] < reach.neighbours[0]
    semantic, keyword, both = measured.reaches
    assert all(np.maximum(semantic.neighbours, keyword.neighbours) <= both.neighbours)


def test_each_mode_has_the_evidence_of_its_own_hits(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        found = get_generation(index)
        parts = SearchedParts(found.corpus, found.vectors, found.get_words())
        (vector,) = found.vectors.get_points(np.array([1]))
        ranked = [doc_id for doc_id, _ in parts.words.rank(parse_wording("colchicine"), 50, count=False)[0]]
        evidence = _measure_probe(parts, _Probe("colchicine", 1), vector, range(1, 12)).evidence
    expected = {doc_id for doc_id in ranked if doc_id != 1}
    assert 0 < len(expected) < BEST  # so that all of them are its hits
    assert {mode: len(each.hits) for mode, each in evidence.items()} == {
        "semantic": BEST,
        "keyword": len(expected),
        "hybrid": len(expected | set(range(2, 12))),
    }
    assert all(hit.share == 1 for hit in evidence["keyword"].hits)


def test_a_generation_without_them_gets_them_by_compaction(toy: IndexFolder) -> None:
    forget_standards(toy)
    assert compact_index(toy, Settings(toy.path / "index.toml", device="cpu"), silent).published
    calibration = toy.open_current().manifest.calibration
    assert calibration is not None and calibration.standards is not None
    assert calibration.standards.version == VERSION and calibration.standards.low > 0


def test_no_question_is_given_twice() -> None:
    assert len(set(QUESTIONS)) == len(QUESTIONS) == 48
