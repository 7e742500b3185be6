"""The description of an index stays readable, however much it holds."""

from engine.reindex.reports.summary import _list_generations


def test_many_generations_are_counted() -> None:
    assert [_list_generations(range(1, n)) for n in (1, 3, 201)] == [
        "none",
        "000001, 000002",
        "200, from 000001 to 000200",
    ]
