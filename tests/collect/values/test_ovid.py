import pytest

from engine.collect.values.ovid import LABELS, parse_source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann Knee. 78(3):328-335, 2019 Mar 05.", "Ann Knee|78|3|328-335|2019|2019-03-05"),
        ("Ann Knee. 78(Pt 2):e12, 2019 Mar.", "Ann Knee|78|Pt 2|e12|2019|2019-03"),
        ("Ecology & Knees. 201(2-3):327-334, November 15, 2004.", "Ecology & Knees|201|2-3|327-334|2004|2004-11-15"),
        ("Gazette of Patents. 1288(3), Nov. 16, 2004.", "Gazette of Patents|1288|3||2004|2004-11-16"),
        (
            "Ann Knee. 38 (5) (pp 1289-1296), 2019. Date of Publication: 01 May 2019.",
            "Ann Knee|38|5|1289-1296|2019|2019-05-01",
        ),
        (
            "Ann Knee. 10 (1) (no pagination), 2020. Article Number: 123. Date of Publication: 01 Dec 2020.",
            "Ann Knee|10|1|123|2020|2020-12-01",
        ),
        (
            "Proc Knee. Conference: 2nd Meeting: Part 2. Spain. 12 (Supplement 3) (no pagination), 2018. Date of Publication: 2018.",
            "Proc Knee|12|Supplement 3||2018|",
        ),
        ("Knee Psychology. Vol.43(5), Sep 2015, pp. 562-577.", "Knee Psychology|43|5|562-577|2015|2015-09"),
        (
            "Diss Abs: Section A. Vol.75(2-A(E)),2014, pp. No Pagination Specified.",
            "Diss Abs: Section A|75|2-A(E)||2014|",
        ),
        ("Acta Knee November/December 2010;6(2):611-613", "Acta Knee|6|2|611-613|2010|2010-11"),
        ("Fictional Journal of Knees. 2017.", "Fictional Journal of Knees||||2017|"),
        ("Knee. 2017 Feb 03.", "Knee||||2017|2017-02-03"),
        ("Not a source", "|||||"),
    ],
)
def test_sources_of_ovids_databases_are_read(text: str, expected: str) -> None:
    found = parse_source(text)
    fields = ("journal", "volume", "issue", "pages", "year", "published")
    assert "|".join(found.get(field, "") for field in fields) == expected


def test_names_of_fields_are_in_lower_case_and_have_one_tag() -> None:
    assert all(label == label.lower() for label in LABELS)
    assert LABELS["unique identifier"] == "UI"
