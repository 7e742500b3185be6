"""Areas of a map."""

import numpy as np
import pytest

from engine.errors import UsageError
from engine.serve.work.area import parse_area

PLACES = np.array([[0.5, 0.4], [2, 0.5], [0.5, -1], [0.9, 0.2], [0.1, 0.8]], np.float32)


@pytest.mark.parametrize(
    ("area", "rows"),
    [
        ("0,0 1,0 1,1 0,1", [0, 3, 4]),
        ("1,1 0,1 0,0 1,0", [0, 3, 4]),  # in any order of the corners
        ("0,0 1,0 0.95,0.95", [0, 3]),  # a triangle
        ("-1,-2 3,-2 3,3 -1,3", [0, 1, 2, 3, 4]),
        ("0,0 0,0 0,0", []),
        ("0,0 1,1 1,0 0,1", [3, 4]),  # crossed: the triangles at its sides are inside, what is below them is not
        ("8,8 9,8 9,9", []),
    ],
)
def test_the_points_in_an_area(area: str, rows: list[int]) -> None:
    assert parse_area(area).find_rows(PLACES).tolist() == rows


@pytest.mark.parametrize(
    "area",
    ["", "1,2", "1,2 3,4", "a,b c,d e,f", "1 2 3", "1,2,3 4,5 6,7", "nan,0 1,0 1,1", "1e999,0 1,0 0,1", "0,0 " * 201],
)
def test_what_is_no_area_is_refused(area: str) -> None:
    with pytest.raises(UsageError, match="expected 3 to 200 corners, like 0,0 1,0 1,1"):
        parse_area(area)
