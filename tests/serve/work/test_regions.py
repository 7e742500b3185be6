"""The named regions of a map."""

import gc

import numpy as np

from engine import open_index
from engine.query.index import Index
from engine.serve.work.drawing import draw_map_of
from engine.serve.work.regions import _found, read_regions
from tests.conftest import CURRENT


def test_every_point_is_in_one_region_and_the_largest_comes_first(index: Index) -> None:
    found, places = read_regions(index), draw_map_of(index).map.places
    assert [region.number for region in found.regions] == list(range(1, len(found.regions) + 1))
    sizes = [region.n_records for region in found.regions]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == len(places) == len(index)
    for region in found.regions:
        rows = found.list_rows(region.number)
        assert len(rows) == region.n_records
        assert np.allclose(region.place, np.median(places[rows], axis=0), atol=1e-5)
        assert region.label == " · ".join(region.terms[:2]) or not region.terms


def test_regions_are_found_once_and_forgotten_with_their_generation() -> None:
    gc.collect()
    before = len(_found)
    with open_index(CURRENT) as index:
        assert read_regions(index) is read_regions(index.pin())
        assert len(_found) == before + 1
        with open_index(CURRENT) as again:
            assert np.array_equal(read_regions(again).numbers, read_regions(index).numbers)
            assert read_regions(again).regions == read_regions(index).regions
    del index, again
    gc.collect()
    assert len(_found) == before
