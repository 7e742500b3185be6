import doctest

from engine import records


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(records) == (0, 2)
