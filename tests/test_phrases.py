import doctest

from engine import phrases
from engine.records import encoder


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(phrases).failed == doctest.testmod(encoder).failed == 0
    assert (doctest.testmod(phrases).attempted, doctest.testmod(encoder).attempted) == (2, 1)
