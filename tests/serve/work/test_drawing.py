import gc
import struct
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from engine import open_index
from engine.errors import CorruptError
from engine.index.generations.folder import AXES as AXES_FILE
from engine.index.generations.folder import IndexFolder
from engine.index.map.corpusmap import Axes, CorpusMap
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.serve.work.drawing import _NAMED, Drawing, _drawings, draw_map_of
from tests.conftest import CURRENT, segment_of

Add = Callable[..., Report]
AXES = Axes(np.array([1, 0, 0], np.float32), np.array([[1, 0, 0], [0, 0, 1]], np.float32), np.array([0.75, 0.25]), 3)
PLACES = np.array([[0, 1], [2, -3], [4.5, 5]], np.float32)
MADE = Drawing(
    CorpusMap(np.array([2, 5, 9]), PLACES, AXES),
    np.array([1990, 0, 2019], np.uint16),
    np.array([1, 0, 2], np.uint16),
    ("A", "B"),
)


def test_points_are_laid_out_as_the_browser_reads_them() -> None:
    assert MADE.dump_points(np.array([2, 1, 2], np.uint16)) == (
        b"MAP2" + struct.pack("<I3f3f3H3H3H", 3, 0, 2, 4.5, 1, -3, 5, 1990, 0, 2019, 1, 0, 2, 2, 1, 2)
    )


def test_no_points_are_a_head_alone() -> None:
    nothing = np.zeros(0, np.uint16)
    empty = Drawing(CorpusMap(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), AXES), nothing, nothing, ())
    assert empty.dump_points(nothing) == b"MAP2\x00\x00\x00\x00" and empty.find_rows([1]) == []


def test_a_vector_has_its_place_along_the_axes_from_the_middle() -> None:
    assert MADE.place(np.array([1.5, 7, -2], np.float32)) == (0.5, -2.0)
    assert MADE.place(np.array([1.1234567, 0, 0], np.float32)) == (0.123457, 0.0)


def test_rows_are_the_places_of_records_in_their_order() -> None:
    assert MADE.find_rows([9, 2]) == [2, 0]
    assert all(type(row) is int for row in MADE.find_rows([9, 2]))


def test_the_map_of_a_generation_has_a_point_for_each_record() -> None:
    with open_index(CURRENT) as index:
        found = draw_map_of(index)
        corpus = get_generation(index).corpus
        assert found.map.doc_ids.tolist() == corpus.read_ids().tolist()
        assert len(found.dump_points(found.years)) == 8 + 43 * 14
        assert found.names == ("Invented Journal of Toys",)
        assert found.years[:3].tolist() == [1991, 1992, 1993] and found.journals[:3].tolist() == [1, 1, 1]
        assert (found.years[-1], found.journals[-1]) == (0, 0)  # has neither
        row = found.find_rows([corpus.find_doc_id("toy-07")])[0]
        text = "Colchicine in gout. We gave colchicine to 21 adults with gout. Pain fell by 1 % (invented)."
        assert found.place(index.encode([text])[0]) == pytest.approx(found.map.places[0].tolist(), abs=1e-5)
        assert found.years[row] == index.get("toy-07").year


def test_a_map_is_read_once() -> None:
    with open_index(CURRENT) as index:
        assert draw_map_of(index) is draw_map_of(index) is draw_map_of(index.pin())


def test_a_drawing_is_forgotten_with_its_generation() -> None:
    gc.collect()
    before = len(_drawings)
    with open_index(CURRENT) as index:
        draw_map_of(index)
        assert len(_drawings) == before + 1
    del index
    gc.collect()
    assert len(_drawings) == before


def test_a_map_once_read_is_there_when_its_file_is_gone(tmp_path: Path) -> None:
    folder = IndexFolder(Path(copytree(CURRENT, tmp_path / "copy")))
    with open_index(folder.path) as index:
        found = draw_map_of(index)
        segment_of(folder, 2).map.unlink()
        (folder.get_generation_path(2) / AXES_FILE).unlink()
        assert draw_map_of(index) is found


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_damaged_map_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    folder = IndexFolder(Path(copytree(CURRENT, tmp_path / "copy")))
    with open_index(folder.path) as index:
        path = segment_of(folder, 2).map
        path.chmod(0o644)
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(CorruptError, match=r"map\.npz can't be read .*engine verify"):
                draw_map_of(index)


def test_only_the_journals_with_most_records_have_a_number(toy: IndexFolder, add: Add) -> None:
    rows = [
        {"id": f"{journal}{n}", "title": f"Gout {journal} {n}", "journal": journal}
        for journal in "ABCDEFGHI"
        for n in range(2)
    ]
    rows = [row for row in rows if row["id"] != "C1"]  # one of C, two of all others
    add(*rows, {"id": "bare", "title": "No journal"})
    with open_index(toy.path) as index:
        found = draw_map_of(index)
        assert found.names == ("Invented Journal of Toys", *"ABDEFGH") and len(found.names) == _NAMED
        corpus = get_generation(index).corpus
        by_id = dict(zip(corpus.read_ids().tolist(), found.journals.tolist(), strict=True))
        assert [by_id[corpus.find_doc_id(one)] for one in ("toy-40", "A0", "A1", "H1", "C0", "I0", "bare")] == [
            1,
            2,
            2,
            8,
            0,
            0,
            0,
        ]
