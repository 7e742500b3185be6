"""One export in the style of each text format with tags, with what is in it. The values were read off the files."""

from pathlib import Path
from typing import NamedTuple

import pytest

from engine.collect.source import FORMATS, check_source, read_source
from engine.records.abstract import Abstract, Rejection, Remark

EXPORTS = Path(__file__).parents[1] / "data" / "exports"
NOT_TAGGED = {"PubMed XML", "EndNote XML", "JSON", "OpenAlex", "JSONL", "XLSX", "CSV"}


class Counts(NamedTuple):
    """Numbers of records, and of records with each field."""

    records: int
    title: int
    abstract: int
    year: int
    authors: int
    journal: int
    pmid: int
    doi: int
    volume: int
    pages: int


FILES = {
    "cochrane.txt": ("Cochrane", Counts(2, 2, 2, 2, 2, 2, 1, 2, 1, 1)),
    "medline.nbib": ("MEDLINE", Counts(2, 2, 1, 2, 1, 2, 2, 1, 2, 2)),
    "ovid_labels.txt": ("Ovid", Counts(2, 2, 1, 2, 2, 2, 2, 1, 1, 1)),
    "ovid_tagged.txt": ("Ovid", Counts(3, 3, 2, 3, 3, 3, 2, 1, 3, 3)),
    "pubmed_abstracts.txt": ("PubMed text", Counts(3, 3, 2, 3, 2, 3, 3, 2, 3, 3)),
    "records.bib": ("BibTeX", Counts(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
    "records.ris": ("RIS", Counts(2, 2, 1, 2, 1, 1, 1, 1, 1, 1)),
    "refer.enw": ("Refer", Counts(2, 2, 2, 2, 2, 2, 1, 1, 1, 2)),
    "refworks.txt": ("RefWorks", Counts(2, 2, 2, 2, 2, 1, 1, 1, 1, 1)),
    "webofscience.ciw": ("Web of Science", Counts(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)),
}
# (title, abstract, year, authors, journal, PMID, DOI, volume, pages)
RECORDS: dict[str, list[tuple[object, ...]]] = {
    "refer.enw": [
        (
            "Walking speed after knee replacement",
            "BACKGROUND: Speed was measured for 12 months.\nRESULTS: It rose by 10 % of the first value.",
            2019,
            ("Marlow, Jane A.", "Okoro, Paul", "Knee Study Group"),
            "Invented Annals of Rheumatology",
            "30000201",
            "10.5555/iar.2019.101",
            "12",
            "101-109",
        ),
        (
            "Ultrasound of the hand in early arthritis",
            "Ultrasound found synovitis in 20 of 50 hands.",
            2021,
            ("Haddad, Rima",),
            "Pretended Congress of Imaging",
            None,
            None,
            "",
            "44",
        ),
    ],
    "ovid_tagged.txt": [
        (
            "Grip strength and hand pain.",
            "Grip was measured every month. It followed pain only loosely.",
            2017,
            ("Brandt, Otto", "Moreau, Luc"),
            "Fictional Journal of Hand Therapy",
            "30000211",
            "10.5555/fjht.2017.120",
            "14",
            "120-128",
        ),
        (
            "Cost of early referral to a specialist.",
            "Early referral cost 310 more per patient.",
            2018,
            ("Sato K.", "Lind M."),
            "Pretended Health Economics",
            "30000212",
            None,
            "8",
            "33-34",
        ),
        (
            "A record of Embase alone.",
            "",
            2019,
            ("Lind M.",),
            "Pretended Health Economics",
            None,  # 620000213 is a number of Embase
            None,
            "9",
            "77",
        ),
    ],
    "ovid_labels.txt": [
        (
            "Gout flares in the first year of treatment.",
            "Flares were counted every week.\nThey fell after month six.",
            2016,
            ("Rossi, Anna", "Weber, Max"),
            "Invented Journal of Crystals",
            "30000221",
            "10.5555/ijc.2016.11",
            "5",
            "11-9",
        ),
        (
            "Letter without an abstract",
            "",
            2017,
            ("Rossi, Anna", "Weber, Max"),
            "Invented Journal of Crystals",
            "30000222",
            None,
            "",
            "",
        ),
    ],
    "refworks.txt": [
        (
            "Shoulder pain in swimmers",
            "We followed 40 swimmers. IS 5 of them an exception? No. VO2 was not measured.",
            2015,
            ("Beck, Ann", "Nunez, Jose"),
            "Made Up Journal of Sports",
            "30000231",
            "10.5555/mujs.2015.55",
            "7",
            "55-61",
        ),
        ("Joints explained", "All joints in 12 chapters.", 2011, ("Okoro, Paul",), "", None, None, "", ""),
    ],
    "cochrane.txt": [
        (
            "Exercise for chronic neck pain: a randomised trial",
            "AIM: To test exercise. METHODS: 80 people were randomised. RESULTS: Pain fell by 12 points.",
            2020,
            ("Lind M", "Sato K"),
            "Pretended trials journal",
            "30000241",
            "10.5555/ptj.2020.301",
            "21",
            "301-310",
        ),
        (
            "Splints for thumb osteoarthritis",
            "Abstract - Background Splints are common.",
            2018,
            ("Moreau L", "Brandt O", "Haddad R"),
            "Cochrane Database of Systematic Reviews",
            None,
            "10.5555/14651858.CD990242.pub2",
            "",
            "",
        ),
    ],
    "pubmed_abstracts.txt": [
        (
            "Sleep and fatigue in lupus: a cohort of 200 people.",
            "BACKGROUND: Fatigue is common in lupus. We asked three things: 1. whether sleep matters, 2. whether pain "
            "matters.\nMETHODS: We followed 200 people for 12 months.\nRESULTS: Sleep explained a third.",
            2020,
            ("Marlow JA", "O'Neil-Roe P", "van der Berg K Jr", "Lupus Sleep Group"),
            "Invented Ann Rheum",
            "30000251",
            "10.5555/iar.2020.234",
            "79",
            "234-241",
        ),
        ("[Pain of the heel].", "", 2005, (), "Rev Inventada", "30000252", None, "12", "7"),
        (
            "Retracted: a drug for gout.",
            "The drug helped.",
            2021,
            ("Weber M", "Rossi A"),
            "Pretend Lancet",
            "30000253",
            "10.5555/pl.2021.12",
            "397",
            "e12",
        ),
    ],
}


def read_records(path: Path) -> list[Abstract]:
    found = list(read_source(path))
    assert not [entry for entry in found if isinstance(entry, Rejection | Remark)]
    return [entry for entry in found if isinstance(entry, Abstract)]


def count_fields(records: list[Abstract]) -> Counts:
    fields = Counts._fields[1:]
    return Counts(len(records), *(sum(bool(getattr(record, field)) for record in records) for field in fields))


def test_every_tagged_format_has_a_file() -> None:
    assert {known for known, _ in FILES.values()} == {known.name for known in FORMATS} - NOT_TAGGED
    assert FILES.keys() == {path.name for path in EXPORTS.iterdir()}


@pytest.mark.parametrize("name", FILES)
def test_every_field_of_an_export_is_read(name: str) -> None:
    expected, counts = FILES[name]
    assert check_source(EXPORTS / name).name == expected
    assert count_fields(read_records(EXPORTS / name)) == counts


@pytest.mark.parametrize("name", RECORDS)
def test_records_have_the_values_of_the_file(name: str) -> None:
    found = [
        (one.title, one.abstract, one.year, one.authors, one.journal, one.pmid, one.doi, one.volume, one.pages)
        for one in read_records(EXPORTS / name)
    ]
    assert found == RECORDS[name]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seam", [b"\n", b"\n\n\xef\xbb\xbf", b"\r\n\r\n"])
def test_two_joined_exports_give_the_records_of_both(tmp_path: Path, name: str, seam: bytes) -> None:
    raw = (EXPORTS / name).read_bytes()
    (tmp_path / "joined").write_bytes(raw + seam + raw)
    once = read_records(EXPORTS / name)
    assert [one.title for one in read_records(tmp_path / "joined")] == [one.title for one in once] * 2


NOT_JOINED = ("records.bib", "medline.nbib", "refworks.txt", "pubmed_abstracts.txt")


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_JOINED])
def test_exports_joined_without_a_line_end_give_the_records_of_both(tmp_path: Path, name: str) -> None:
    raw = (EXPORTS / name).read_bytes().rstrip()
    (tmp_path / "joined").write_bytes(raw + b"\n\n" + raw[raw.find(b"<1>") :] if b"<1>" in raw else raw + raw)
    records = [entry for entry in read_source(tmp_path / "joined") if isinstance(entry, Abstract)]
    assert [one.title for one in records] == [one.title for one in read_records(EXPORTS / name)] * 2


@pytest.mark.parametrize("name", FILES)
def test_line_ends_and_encodings_change_nothing(tmp_path: Path, name: str) -> None:
    text = (EXPORTS / name).read_text(encoding="utf-8")
    for raw in (text.replace("\n", "\r\n").encode(), text.replace("\n", "\r").encode(), text.encode("utf-16")):
        (tmp_path / "source").write_bytes(raw)
        assert read_records(tmp_path / "source") == read_records(EXPORTS / name)
