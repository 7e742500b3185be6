"""What random pairs of records score: by hand, against brute force, and carried from one generation to the next."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import open_index
from engine.config import Settings
from engine.corpus.storage.store import open_database
from engine.index.generations import manifest as manifests
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import dump_manifest, read_manifest
from engine.index.search.flat import FlatIndex
from engine.index.search.layout import write_file
from engine.index.search.parts import Part, SegmentedIndex
from engine.options import IndexSettings
from engine.query.answers.explanation import find_percentile
from engine.query.answers.verdict import VERSION
from engine.receipts import open_json
from engine.records.abstract import Abstract
from engine.records.encoder import Encoded, EncoderIdentity, Vectors
from engine.records.generation import Calibration, Manifest, Standards
from engine.reindex.generation import calibrate
from engine.reindex.generation.calibrate import (
    _FEWEST,
    _OTHERS,
    _QUERIES,
    _SHARES,
    _compute_quantiles,
    _draw_others,
    _is_current,
    _measure_calibration,
)
from engine.reindex.generation.order import Order, Report
from engine.reindex.runs.retune import tune_index
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY_MODEL, forget_standards, jsonl, silent
from tests.corpus.drafts import opened, origin

pytestmark = pytest.mark.usefixtures("all_probes")
Add = Callable[..., Report]


class Axes:
    """Reads a number n as the unit vector along axis n; of any other text it can't read a word."""

    page, ahead = 32, 1

    def __init__(self, dim: int) -> None:
        self.identity = EncoderIdentity("axes", dim, 8, "mean", True, "r", "fp32", "w", "t", "c")

    def encode(self, texts: Sequence[str]) -> Encoded:
        vectors = np.zeros((len(texts), self.identity.dim), np.float32)
        for row, text in enumerate(texts):
            if text.isdecimal():
                vectors[row, int(text)] = 1
        return Encoded(vectors, np.array([text.isdecimal() for text in texts], np.int64))

    encode_queries = encode

    def close(self) -> None:
        """Nothing to give back."""


def axes(numbers: Sequence[int], dim: int) -> Vectors:
    return np.eye(dim, dtype=np.float32)[list(numbers)]


def measured(folder: Path, titles: Sequence[str], vectors: Vectors, each: int = 1) -> Calibration | None:
    """The calibration of records with these titles and vectors, so many for each, in order.

    A record whose title is blank has "2" for an abstract.
    """
    with opened(folder / "abstracts.db", 1) as draft:
        for n, title in enumerate(titles):
            draft.intake.put(Abstract(f"r{n}", title, "" if title.strip() else "2"), origin(1))
        doc_ids = np.repeat(draft.read_ids(), each)
    write_file(folder / "vectors.faiss", doc_ids, vectors.shape[1], [vectors])
    dim = vectors.shape[1]
    index = SegmentedIndex([Part(FlatIndex(folder / "vectors.faiss", dim), np.empty(0, np.int64))], dim)
    with closing(open_database(folder / "abstracts.db")) as corpus:
        return _measure_calibration(corpus, index, Axes(dim))


def test_records_that_are_all_the_same(tmp_path: Path) -> None:
    found = measured(tmp_path, ["1"] * 30, axes([1] * 30, 4))
    assert found == Calibration(_SHARES, (1.0,) * len(_SHARES), (1.0,) * len(_SHARES), 30 * 29, 30)
    assert find_percentile(found, 1.0, of_records=True) == 0.0


def test_a_record_is_never_compared_with_itself(tmp_path: Path) -> None:
    found = measured(tmp_path, [str(n) for n in range(40)], axes(range(40), 40))
    assert found == Calibration(_SHARES, (0.0,) * len(_SHARES), (0.0,) * len(_SHARES), 40 * 39, 40)


def test_a_title_that_cannot_be_read_asks_nothing_and_the_others_stay_with_their_records(tmp_path: Path) -> None:
    titles = [str(n) if n % 9 else "unreadable" for n in range(40)]
    found = measured(tmp_path, titles, axes(range(40), 40))
    assert found == Calibration(_SHARES, (0.0,) * len(_SHARES), (0.0,) * len(_SHARES), 35 * 39, 40)


def test_titles_and_whole_records_are_measured_apart(tmp_path: Path) -> None:
    found = measured(tmp_path, ["1"] * 25, axes([0] * 25, 2))
    assert found is not None and set(found.texts) == {0.0} and set(found.records) == {1.0}


def test_a_record_without_a_title_gives_its_abstract(tmp_path: Path) -> None:
    found = measured(tmp_path, [" "] * 25, axes([2] * 25, 3))
    assert found is not None and found.n_pairs == 25 * 24 and set(found.texts) == {1.0}


def test_of_a_record_in_passages_the_best_counts(tmp_path: Path) -> None:
    """Record n has the axes 0 and n + 1: a text on axis 0 finds it there, and their mean is at 45 degrees to both."""
    vectors = axes([axis for n in range(25) for axis in (0, n + 1)], 26)
    found = measured(tmp_path, ["0"] * 25, vectors, each=2)
    assert found is not None and found.n_pairs == 25 * 24
    assert set(found.texts) == {1.0} and set(found.records) == {0.707107}


def test_shares_by_hand(tmp_path: Path) -> None:
    """Of 21 records one is another: 40 of 420 pairs score 0, the others 1. 40 / 420 is 9.5 percent."""
    numbers = [0] * 20 + [1]
    found = measured(tmp_path, [str(n) for n in numbers], axes(numbers, 2))
    assert found is not None and found.n_pairs == 420
    assert found.texts == found.records == tuple(0.0 if share < 40 / 420 else 1.0 for share in _SHARES)
    assert found.shares[8:10] == (0.09, 0.1) and found.texts[8:10] == (0.0, 1.0)


def test_shares_are_finer_towards_the_top() -> None:
    assert len(_SHARES) == 99 + 9 + 9 and _SHARES == tuple(sorted(set(_SHARES)))
    assert (_SHARES[0], _SHARES[98], _SHARES[99], _SHARES[107], _SHARES[108], _SHARES[-1]) == (
        *(0.01, 0.99, 0.991),
        *(0.999, 0.9991, 0.9999),
    )


@pytest.mark.parametrize(("n", "n_read"), [(1, 1), (_FEWEST - 1, _FEWEST - 1), (30, _FEWEST - 1)])
def test_too_few_records_or_readable_titles_are_not_measured(tmp_path: Path, n: int, n_read: int) -> None:
    titles = [str(i) for i in range(n_read)] + ["unreadable"] * (n - n_read)
    assert measured(tmp_path, titles, axes(range(n), 30)) is None


def test_just_enough_are(tmp_path: Path) -> None:
    found = measured(tmp_path, [str(i) for i in range(_FEWEST)], axes(range(_FEWEST), 30))
    assert found is not None and found.n_pairs == _FEWEST * (_FEWEST - 1)


def test_a_large_corpus_is_sampled(tmp_path: Path) -> None:
    numbers = [n % 4 for n in range(1000)]
    found = measured(tmp_path, [str(n) for n in numbers], axes(numbers, 4))
    assert found is not None and found.n_pairs == _QUERIES * _OTHERS == 32_768
    for values in (found.texts, found.records):  # of random pairs three in four have different axes
        assert [values[i] for i in (0, 72, 76, 98)] == [0.0, 0.0, 1.0, 1.0]


def test_the_same_vectors_give_the_same_numbers(tmp_path: Path) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    once.mkdir()
    again.mkdir()
    vectors = np.random.default_rng(3).normal(size=(500, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    titles = [str(n % 4) for n in range(500)]
    found = measured(once, titles, vectors)
    assert found is not None and len(set(found.texts)) > 100
    assert found == measured(again, titles, vectors)


@given(st.integers(2, 400), st.data(), st.integers(0, 99))
def test_others_are_drawn_without_the_record_and_each_once(n: int, data: st.DataObject, seed: int) -> None:
    row = data.draw(st.integers(0, n - 1))
    found = _draw_others(np.random.default_rng(seed), row, n).tolist()
    assert len(found) == min(_OTHERS, n - 1) and found == sorted(set(found))
    assert row not in found and found[0] >= 0 and found[-1] < n


def test_every_other_record_may_be_drawn() -> None:
    generator = np.random.default_rng(0)
    assert set(np.concatenate([_draw_others(generator, 7, 300) for _ in range(50)])) == set(range(300)) - {7}


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=300))
def test_quantiles_against_plain_python(scores: list[float]) -> None:
    found = _compute_quantiles([np.array(scores, np.float32)])
    ordered = sorted(scores)
    for share, value in zip(_SHARES, found, strict=True):
        place = share * (len(ordered) - 1)
        low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
        assert value == pytest.approx(low + (place - int(place)) * (high - low), abs=2e-6)
        assert value == round(value, 6)
    assert all(a <= b for a, b in zip(found, found[1:], strict=False))


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=20, max_size=400), st.integers(-1100, 1100))
def test_a_percentile_is_the_share_of_pairs_to_within_one_step(thousandths: list[int], thousandth: int) -> None:
    """The oracle counts; quantiles are a hundredth apart, and one of n pairs may lie on either side."""
    n, values = len(thousandths), _compute_quantiles([np.array(thousandths, np.float64) / 1000])
    found = find_percentile(Calibration(_SHARES, values, values, n, 40), thousandth / 1000, of_records=False)
    lower = 100 * sum(value < thousandth for value in thousandths) / n
    assert found == pytest.approx(lower, abs=1 + 100 / n)


def test_a_run_measures_what_every_pair_scores(toy: IndexFolder, add: Add) -> None:
    """44 records: each title against the 43 others, all of them; the oracle compares them all."""
    new = [f"Gout in {who}" for who in ("marathon runners", "brewers", "sailors", "old age")]
    add(*({"id": title, "title": title} for title in new))
    found = toy.open_current().manifest.calibration
    assert found is not None and found.n_pairs == 44 * 43 and found.shares == _SHARES
    generation = toy.open_current()
    stored = FlatIndex(generation.segments[0].files.vectors, generation.manifest.encoder.dim).vectors.astype(np.float64)
    with open_index(toy.path) as index:
        titles = [index.get(f"toy-{n:02d}").title for n in range(1, 41)] + new
        asked = index.encode(titles).astype(np.float64)
    apart = ~np.eye(44, dtype=bool)
    assert np.allclose(found.texts, np.quantile((asked @ stored.T)[apart], _SHARES), rtol=0, atol=2e-6)
    assert np.allclose(found.records, np.quantile((stored @ stored.T)[apart], _SHARES), rtol=0, atol=2e-6)
    assert -1 <= found.texts[0] < found.texts[-1] <= 1


def test_it_outlives_the_manifest_as_a_file(toy: IndexFolder, add: Add) -> None:
    add({"id": "gout", "title": "Gout"})
    path = toy.get_generation_path(2)
    manifest = read_manifest(path)
    assert manifest.calibration is not None
    content = open_json(dump_manifest(manifest).encode())
    assert content is not None and manifests._build_manifest(content) == manifest
    assert (path / "manifest.json").read_text(encoding="utf-8") == dump_manifest(manifest)


def test_a_small_index_is_published_without(tmp_path: Path) -> None:
    folder = IndexFolder(tmp_path / "small")
    rows = jsonl(tmp_path / "rows.jsonl", [{"id": f"r{n}", "title": f"Gout {n}"} for n in range(_FEWEST - 1)])
    assert index_sources(folder, Order((rows,), IndexSettings(model=str(TOY_MODEL), device="cpu")), silent).published
    assert folder.open_current().manifest.calibration is None
    more = jsonl(tmp_path / "more.jsonl", [{"id": "one more", "title": "Lupus"}])
    index_sources(folder, Order((more,), IndexSettings(device="cpu")), silent)
    held = folder.open_current().manifest.calibration
    assert held is not None and held.n_pairs == _FEWEST * (_FEWEST - 1)


def test_a_night_carries_it_over(toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    add({"id": "a", "title": "A"})
    held = toy.open_current().manifest.calibration
    monkeypatch.setattr(calibrate, "_measure_calibration", lambda *_: pytest.fail("measured again"))
    add({"id": "b", "title": "B"}, {"id": "a", "title": "Reworded"})
    manifest = toy.open_current().manifest
    assert manifest.generation == 3 and manifest.counts.abstracts == 42
    assert held is not None and manifest.calibration == held


def test_an_index_that_has_grown_is_measured_again(toy: IndexFolder, add: Add) -> None:
    forget_standards(toy)
    add({"id": "a", "title": "A"})
    held = toy.open_current().manifest.calibration
    add(*({"id": f"n{n}", "title": f"New {n}"} for n in range(5)))
    grown = toy.open_current().manifest.calibration
    assert held is not None and grown is not None and (held.n_pairs, grown.n_pairs) == (41 * 40, 46 * 45)


def test_an_index_with_codes_has_one_too(toy: IndexFolder, add: Add) -> None:
    forget_standards(toy)
    add({"id": "a", "title": "A"}, factory="IVF4,RaBitQfs")
    held = toy.open_current().manifest.calibration
    assert held is not None and held.n_pairs == 41 * 40
    settings = Settings(toy.path / "index.toml", device="cpu", factory="IVF2,RaBitQfs")
    assert tune_index(toy, settings, rebuild=False, progress=silent).published
    assert toy.open_current().manifest.calibration == held


HELD = Calibration((0.5,), (0.1,), (0.2,), 7, 40, Standards(VERSION, 0.0, 0.0, (), ()))


@pytest.fixture
def held(toy: IndexFolder) -> Manifest:
    """The manifest of 40 abstracts with some calibration."""
    return replace(toy.open_current().manifest, calibration=HELD)


@pytest.mark.parametrize(("n", "holds"), [(36, False), (37, True), (40, True), (43, True), (44, False)])
def test_it_holds_while_the_index_is_about_as_large(held: Manifest, n: int, holds: bool) -> None:
    assert _is_current(held, held.encoder.fingerprint, n) is holds


def test_it_holds_for_one_encoder_only(held: Manifest) -> None:
    other = replace(held.encoder, weights_sha256="0" * 64)
    assert not _is_current(held, other.fingerprint, 40)
    assert not _is_current(replace(held, calibration=None), held.encoder.fingerprint, 40)


@pytest.mark.parametrize("standards", [None, Standards(VERSION - 1, 0.0, 0.0, (), ())])
def test_it_is_measured_again_where_it_serves_no_verdict(held: Manifest, standards: Standards | None) -> None:
    old = replace(held, calibration=replace(HELD, standards=standards))
    assert not _is_current(old, held.encoder.fingerprint, 40)
