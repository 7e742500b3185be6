import pytest

from engine.reindex.intake.gaps import find_gaps


def files(*numbers: int, year: int = 26) -> list[str]:
    return [f"pubmed{year}n{number:04}.xml.gz" for number in numbers]


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        ([], ()),
        (files(1300), ()),
        (files(1300, 1301, 1302), ()),
        (files(1302, 1300), ("pubmed26n1301",)),
        (files(1, 2, 1274, 1275), ("pubmed26n0003 to pubmed26n1273",)),
        (files(1300, 1303, 1304, 1306), ("pubmed26n1301 to pubmed26n1302", "pubmed26n1305")),
        (files(1299, 1300, year=25) + files(1335, 1336), ()),  # a new year begins somewhere else
        (files(1299, 1301, year=25) + files(1335, 1337), ("pubmed25n1300", "pubmed26n1336")),
        ([*files(1300, 1302), "Copy of pubmed26n1301 (1).xml", "pubmed26n1302.xml.gz"], ()),
        (["corpus.jsonl", "export.ris", *files(7)], ()),
    ],
)
def test_gaps_by_hand(names: list[str], gaps: tuple[str, ...]) -> None:
    assert find_gaps(names) == gaps
