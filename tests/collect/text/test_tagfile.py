from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract, Remark

KNEE = "TY  - JOUR\nTI  - Knee\nAB  - Pain.\nER  - \n"
HAND = "TY  - JOUR\nTI  - Hand\nAB  - Grip.\nER  - \n"
PMID_1 = "PMID- 1\nOWN - NLM\nTI  - Knee\nAB  - Pain.\n"
PMID_2 = "PMID- 2\nOWN - NLM\nTI  - Hand\nAB  - Grip.\n"
WOS = "FN Clarivate Analytics Web of Science\nVR 1.0\n"
PT_1, PT_2 = "PT J\nTI Knee\nAB Pain.\nER\n", "PT J\nTI Hand\nAB Grip.\nER\n"
BIB_1, BIB_2 = "@article{a, title={Knee}, abstract={Pain.}}\n", "@article{b, title={Hand}, abstract={Grip.}}\n"
JSON_1, JSON_2 = '{"title": "Knee", "abstract": "Pain."}\n', '{"title": "Hand", "abstract": "Grip."}\n'
BOTH = [("Knee", "Pain."), ("Hand", "Grip.")]


def read(path: Path, text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(title, abstract) of the records, and the places of tagged lines outside records."""
    path.write_bytes(text.encode())
    entries = list(read_source(path))
    outside = [
        entry.place
        for entry in entries
        if isinstance(entry, Remark) and entry.kind == "tagged lines outside records, ignored"
    ]
    return [(entry.title, entry.abstract) for entry in entries if isinstance(entry, Abstract)], outside


@pytest.mark.parametrize("seam", ["", "\n", "\ufeff", "\n\ufeff", "\r", "\r\n\ufeff\r\n", "\n\n\ufeff\ufeff"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (KNEE, HAND),
        (PMID_1, PMID_2),
        (WOS + PT_1, PT_2),
        (WOS + PT_1 + "EF\n", WOS + PT_2),
        (BIB_1, BIB_2),
        (JSON_1, JSON_2),
    ],
)
def test_joined_files_give_the_records_of_both(tmp_path: Path, first: str, second: str, seam: str) -> None:
    assert read(tmp_path / "source", first.rstrip("\n") + seam + second) == (BOTH, [])


def test_two_exports_of_one_format_may_look_different(tmp_path: Path) -> None:
    indented = "".join(f"  {line}\n" for line in HAND.splitlines())
    assert read(tmp_path / "source", KNEE + indented) == (BOTH, [])
    assert read(tmp_path / "source", KNEE + HAND.replace("  -", " -")) == (BOTH, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"\u00a0{line}\n" for line in text.splitlines()),
        lambda text: text.replace("  - ", "\u00a0\u00a0- "),
        lambda text: text.replace("  - ", " \u00a0-\u00a0"),
        lambda text: text.replace("  - ", "  – "),
        lambda text: text.replace("  - ", "  — "),
        lambda text: text.replace("  - ", "  -"),
        lambda text: text.replace("  - ", "   - "),
        lambda text: text.replace("  - ", "\t- "),
        lambda text: text.replace("  - ", " - "),
        lambda text: (
            text.lower().replace("knee", "Knee").replace("hand", "Hand").replace("pain", "Pain").replace("grip", "Grip")
        ),
        lambda text: text.replace("\n", "\r"),
    ],
)
def test_tags_are_read_however_they_are_padded(tmp_path: Path, change: object) -> None:
    text = KNEE + "\n" + HAND
    assert read(tmp_path / "source", change(text)) == (BOTH, [])  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        "TI  - Knee\nAB  - Pain.\nTY  - JOUR\nPY  - 2019\nER  - \n\nTI  - Hand\nAB  - Grip.\nTY  - JOUR\nPY  - 2020\nER  - \n",
        "TI  - Knee\nAB  - Pain.\nTY  - JOUR\nPY  - 2019\nER  - \nTI  - Hand\nAB  - Grip.\nTY  - JOUR\nPY  - 2020\nER  - \n",
        "TY  - JOUR\nTI  - Knee\nER  - \nAB  - Pain.\nTY  - JOUR\nTI  - Hand\nER  - \nAB  - Grip.\n",
        "TY  - JOUR\nTI  - Knee\nER  - \nAB  - Pain.\n\nTY  - JOUR\nTI  - Hand\nER  - \nAB  -\n  Grip.\n",
        "TI  - Knee\nAB  - Pain.\nPY  - 2019\nER  - \nTI  - Hand\nAB  - Grip.\nPY  - 2020\nER  - \n",
        "TI  - Knee\nAB  - Pain.\nPY  - 2019\n\nTI  - Hand\nAB  - Grip.\nPY  - 2020\n",
        "TI  - Knee\nAB  - Pain.\nPY  - 2019\n\n\n" + HAND,
        KNEE + "\nTI  - Hand\nAB  - Grip.\nPY  - 2020\n",
        "PMID- 1\nTI  - Knee\nAB  - Pain.\n\nOWN - NLM\nTI  - Hand\nAB  - Grip.\n",
        "OWN - NLM\nTI  - Knee\nAB  - Pain.\n\n" + PMID_2,
        "OWN - NLM\nPMID- 1\nTI  - Knee\nAB  - Pain.\n\nOWN - NLM\nPMID- 2\nTI  - Hand\nAB  - Grip.\n",
        "PMID-1\nTI  -Knee\nAB  -Pain.\n\nPMID-2\nTI  -Hand\nAB  -Grip.\n",
        WOS + "TI Knee\nAB Pain.\nPT J\nPY 2019\nER\n\nTI Hand\nAB Grip.\nPT J\nPY 2020\nER\n",
        WOS + "AU A\nTI Knee\nAB Pain.\nER\n\nAU B\nTI Hand\nAB Grip.\nER\nEF\n",
        PT_1 + PT_2,
        PMID_1 + "\n" + HAND,
        KNEE + "\n" + PMID_2,
    ],
)
def test_tags_outside_records_belong_to_the_record_that_they_touch(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "source", text) == (BOTH, [])


def test_tagged_lines_that_belong_to_no_record_are_counted(tmp_path: Path) -> None:
    between = "\nC1  - Search\nDB  - Embase\n\n"
    assert read(tmp_path / "source", KNEE + between + HAND) == (BOTH, ["line 6", "line 7"])
    assert read(tmp_path / "source", "DB  - Embase\n\n" + KNEE + HAND + "\nC1  - Search\n") == (
        BOTH,
        ["line 1", "line 12"],
    )


def test_a_line_of_another_format_inside_a_value_is_text(tmp_path: Path) -> None:
    quoted = KNEE.replace("Pain.", "Pain.\nPMID- 3\n   TY  - JOUR\n@article{a,")
    assert read(tmp_path / "source", quoted + HAND)[0] == [("Knee", "Pain. PMID- 3 TY  - JOUR @article{a,"), BOTH[1]]


TABLE = 'title,abstract,notes\nKnee,Pain.,"see\n{}"\nHand,Grip.,\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("CSV", TABLE.format(line))
            for line in ("PMID- 3", "TY  - JOUR\nER  - ", "@article{a,\n}", "PT J", "FN Clarivate")
        ),
        *(("CSV", TABLE.replace("title", "Titel").format(line)) for line in ("PMID- 3", "TY  - JOUR", "@article{a,")),
        ("CSV", 'rank,id,score,title,abstract\n1,A,0.5,Knee,Pain.\n2,B,0.4,Hand,"Grip.\nPMID- 3"\n'),
        ("RIS", KNEE.replace("Pain.", "Pain.\n@article{a,\nFN Clarivate\ntitle,abstract")),
        ("RIS", "Searched on Monday\n1. gout.ti,ab.\n" + KNEE),
        ("RIS", "\n \n\ufeff1.\n" + KNEE),
        ("MEDLINE", PMID_1.replace("Pain.", "Pain.\nTY  - JOUR")),
        ("BibTeX", "% A library\n" + BIB_1.replace("Pain.", "\nTY  - JOUR\nPMID- 3\n")),
        ("BibTeX", "@comment{jabref}\n" + BIB_1 + "TY  - JOUR\n"),
        ("Web of Science", WOS + PT_1.replace("Pain.", "Pain.\nTY  - JOUR\nPMID- 3")),
        ("JSONL", '{"title": "Knee"}\nTY  - JOUR\n'),
    ],
)
def test_the_first_line_decides_the_format(tmp_path: Path, name: str, text: str) -> None:
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        (tmp_path / "source").write_bytes(text.encode(codec))
        assert check_source(tmp_path / "source").name == name
