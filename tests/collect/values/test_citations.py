import pytest

from engine.collect.values.citations import parse_citation


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "Ann Med. 2020 May 1;3(2):1-9. doi: 10.5555/x.",
            ("Ann Med", "2020", "3", "2", "1-9", "2020-05-01", "10.5555/x"),
        ),
        ("Ann Med. 2020;3:e12. Epub 2019 Nov 2.", ("Ann Med", "2020", "3", None, "e12", None, None)),
        ("Ann Made-up Med.  2020", ("Ann Made-up Med", "2020", None, None, None, None, None)),
        (
            "Cancer (2004) 102:4 (253-258). Date of Publication: 1 May 2004",
            ("Cancer", "2004", "102", "4", "253-258", "2004-05-01", None),
        ),
        ("Cancer (2004) 102 SUPPL. 1", ("Cancer", "2004", "102", None, None, None, None)),
        (
            "Ann Med. 2019 Dec 31:1-10. doi: 10.5555/x.",
            ("Ann Med", "2019", None, None, "1-10", "2019-12-31", "10.5555/x"),
        ),
        (
            "Pre [Preprint]. 2020 May 5:2020.05.01.20087619.",
            ("Pre [Preprint]", "2020", None, None, "2020.05.01.20087619", "2020-05-05", None),
        ),
        (
            "Ann Med. 2020 Mar 28-Apr 3;395(10):7; discussion 9.",
            ("Ann Med", "2020", "395", "10", "7; discussion 9", "2020-03-28", None),
        ),
        ("Ann Med", (None,) * 7),
    ],
)
def test_a_citation_gives_its_parts(text: str, values: tuple[str | None, ...]) -> None:
    found = parse_citation(text)
    fields = ("journal", "year", "volume", "issue", "pages", "published", "doi")
    assert tuple(found.get(field) for field in fields) == values
