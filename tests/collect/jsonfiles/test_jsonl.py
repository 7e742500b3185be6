import json
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract, Entry, Rejection, Remark


def read(path: Path, *lines: object) -> list[Entry]:
    """Entries of a file of raw lines; objects are written as JSON."""
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return list(read_source(path))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source.jsonl"


def test_every_field_comes_out_as_it_went_in(source: Path) -> None:
    row = {
        "id": "W1",
        "title": " Two  spaces, a tab\t and Größe ",
        "abstract": "Line one\nline two \u2009≥ 5 µg\x00 end",
        "year": 2021,
        "journal": "Cartilage",
        "authors": ["Ann Beck", "José Núñez"],
        "pmid": "31793330",
        "doi": "https://doi.org/10.1177/1947603519890754",
        "mesh": ["Knee"],
        "retracted": True,
        "unknown": [1, 2],
    }
    assert read(source, row) == [
        Abstract(
            record_id="W1",
            title=str(row["title"]),
            abstract=str(row["abstract"]),
            year=2021,
            journal="Cartilage",
            authors=("Ann Beck", "José Núñez"),
            pmid="31793330",
            doi="10.1177/1947603519890754",
            mesh=("Knee",),
            retracted=True,
            other_tags=("unknown: [1, 2]",),
        )
    ]


@pytest.mark.parametrize("written", ["0000 0002 1825 0097", "0000\u20130002\u20131825\u20130097"])
def test_an_orcid_is_one_however_it_is_written(source: Path, written: str) -> None:
    (found,) = read(source, {"id": 1, "title": "a", "authors": ["A"], "orcids": [written]})
    assert isinstance(found, Abstract) and found.orcids == ("0000-0002-1825-0097",)


def test_beir_names_are_understood(source: Path) -> None:
    assert read(source, {"_id": "MED-10", "title": "Statins", "text": "Body", "metadata": {}}) == [
        Abstract("MED-10", "Statins", "Body")
    ]


def test_a_bad_line_is_rejected_by_number_and_the_rest_is_read(source: Path) -> None:
    found = read(source, {"id": 1, "title": "a"}, b'{"id": 2, "title": ', b"[1]", b"", {"id": 3, "title": "c"})
    assert [type(entry).__name__ for entry in found] == ["Abstract", "Rejection", "Rejection", "Abstract"]
    assert str(found[1]).startswith("source.jsonl, line 2: not JSON")
    assert str(found[2]) == "source.jsonl, line 3: a JSON list, expected an object"


@pytest.mark.parametrize(
    ("row", "record_id"),
    [
        ({"id": 0}, "0"),
        ({"id": -3}, "-3"),
        ({"id": 2**63 - 1}, "9223372036854775807"),
        ({"id": 12.0}, "12"),
        ({"id": " x "}, "x"),
        ({"pmid": 31793330}, "PMID:31793330"),
        ({"pmid": "PMID: 31793330"}, "PMID:31793330"),
        ({"pmid": "31793330.0"}, "PMID:31793330"),
        ({"doi": "doi:10.1/x"}, "DOI:10.1/x"),
        ({"pmid": 0, "doi": "10.1/x"}, "DOI:10.1/x"),
        ({"id": float("nan"), "pmid": 5}, "PMID:5"),
        ({"id": "W1", "pmid": "none"}, "W1"),
        ({"pmid": "https://pubmed.ncbi.nlm.nih.gov/5/"}, "PMID:5"),
        ({"doi": "https://doi.org/10.1/X"}, "DOI:10.1/x"),
        ({"openalex_id": "https://openalex.org/W5"}, "W5"),
        ({"key": "K"}, "K"),
        ({"key": "K", "pmid": 5}, "PMID:5"),
        ({"ut": "WOS:000520500900002", "key": "K"}, "WOS:000520500900002"),
    ],
)
def test_the_record_id_is_the_sources_own_or_pmid_or_doi(source: Path, row: dict[str, object], record_id: str) -> None:
    found = read(source, {**row, "title": "a"})
    assert isinstance(found[-1], Abstract)
    assert found[-1].record_id == record_id


def test_without_any_id_the_text_decides(source: Path) -> None:
    text = {"title": "a", "abstract": "b"}
    ids = [
        entry.record_id
        for entry in read(source, text, {**text, "year": 1999}, {**text, "title": "b"})
        if isinstance(entry, Abstract)
    ]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] == "TEXT:7e18f737311b2dc3"  # of indexes that exist


@pytest.mark.parametrize("other", [{"year": 1999}, {"journal": "K"}, {"authors": ["Roe, R."]}, {"title": "b"}])
def test_without_an_abstract_year_journal_and_first_author_decide_too(source: Path, other: dict[str, object]) -> None:
    row = {"title": "Editorial", "year": 2000, "journal": "J", "authors": ["Beck, A.", "Lee, B."]}
    again = {**row, "journal": "j ", "authors": ["Beck, A."]}
    ids = [entry.record_id for entry in read(source, row, again, {**row, **other}) if isinstance(entry, Abstract)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "a"}, "neither title nor abstract, so there is nothing to search"),
        ({"id": "a", "title": " \n", "abstract": ""}, "neither title nor abstract"),
        (
            {"n": 1, "answer": {"hits": [{"title": "A"}], "n": 1}},
            r"records are inside answer\.hits\. Write one a line: jq -c '\.answer\.hits\[\]' FILE > records\.jsonl",
        ),
        ({"id": "a", "title": [1]}, "title is list, expected text"),
        ({"id": "a", "abstract": {"en": "b"}}, "abstract is dict, expected text"),
    ],
)
def test_an_unusable_record_is_rejected_with_its_line(source: Path, row: dict[str, object], reason: str) -> None:
    (found,) = [entry for entry in read(source, {"id": 9, "title": "ok"}, row) if isinstance(entry, Rejection)]
    assert found.place == "line 2"
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found.reason)


def test_lone_surrogates_are_replaced_and_remarked(source: Path) -> None:
    found = read(source, b'{"id": "a", "title": "half \\ud83d pair \\ud83d\\ude00"}')
    assert found == [
        Remark("invalid characters (lone surrogates), stored as U+FFFD", "line 1"),
        Abstract("a", "half \ufffd pair \U0001f600", ""),
    ]


@pytest.mark.parametrize("text", ["within 2â€‰years", "2 Ã— 2", "SjÃ¶gren", "5 Â°C"])
def test_mojibake_is_remarked_and_stored_as_it_came(source: Path, text: str) -> None:
    remark, abstract = read(source, {"id": "a", "title": text})
    assert isinstance(remark, Remark) and "mojibake" in remark.kind
    assert isinstance(abstract, Abstract) and abstract.title == text


@pytest.mark.parametrize("text", ["Ângela", "TNF-α ≥ 5 µg", "naïve", "Â", "NÃO", "€ 5"])
def test_ordinary_text_is_not_called_mojibake(source: Path, text: str) -> None:
    assert len(read(source, {"id": "a", "title": text})) == 1


def test_a_latin1_line_is_read_as_windows_1252_and_remarked(source: Path) -> None:
    remark, abstract = read(source, b'{"id": "a", "title": "Sj\xf6gren \x96 5"}')
    assert isinstance(remark, Remark) and "not UTF-8" in remark.kind
    assert isinstance(abstract, Abstract) and abstract.title == "Sjögren – 5"


@pytest.mark.parametrize(
    ("row", "remark"),
    [
        ({"id": [1]}, "invalid id, ignored"),
        ({"id": True}, "invalid id, ignored"),
        ({"id": "a\nb"}, "invalid id, ignored"),
        ({"id": "x" * 300}, "invalid id, ignored"),
        ({"pmid": 0}, "invalid PMID, ignored"),
        ({"pmid": -5}, "invalid PMID, ignored"),
        ({"pmid": "12a"}, "invalid PMID, ignored"),
        ({"pmid": 2**63 - 1}, "invalid PMID, ignored"),
        ({"year": "in press"}, "invalid year, ignored"),
        ({"year": 0}, "invalid year, ignored"),
        ({"abstract": [{"text": "a"}]}, "title or abstract that is not text, ignored"),
    ],
)
def test_a_bad_id_pmid_or_year_costs_no_record(source: Path, row: dict[str, object], remark: str) -> None:
    found = read(source, {**row, "title": "t"}, {**row, "title": "t", "key": "K"})
    assert [str(type(entry).__name__) for entry in found] == ["Remark", "Abstract"] * 2
    assert found[0] == Remark(remark, "line 1")
    assert isinstance(found[1], Abstract) and found[1].record_id.startswith("TEXT:") and found[1].year is None
    assert isinstance(found[3], Abstract) and found[3].record_id == "K" and found[3].pmid is None


@pytest.mark.parametrize("row", [{"pmid": "NA"}, {"id": "-"}, {"year": "n/a"}, {"pmid": float("nan")}, {"doi": "none"}])
def test_how_people_write_a_missing_value_is_no_fault(source: Path, row: dict[str, object]) -> None:
    assert [type(entry) for entry in read(source, {**row, "title": "t"})] == [Abstract]


def test_the_pieces_of_a_title_are_joined(source: Path) -> None:
    (found,) = read(source, {"id": "a", "title": ["Knee", "pain"]})
    assert isinstance(found, Abstract) and found.title == "Knee pain"


def test_nan_is_a_missing_value(source: Path) -> None:
    assert read(source, b'{"id": "a", "title": "t", "abstract": NaN, "year": NaN}') == [Abstract("a", "t", "")]


@pytest.mark.parametrize("doi", ["10.1/\ud800", "10.1/a\x1b[2J", "10.1/" + "x" * 300])
def test_a_doi_that_cannot_be_one_is_no_id_and_kept(source: Path, doi: str) -> None:
    *_, found = read(source, {"doi": doi, "title": "a"})
    assert isinstance(found, Abstract) and found.doi is None and found.record_id.startswith("TEXT:")
    assert found.other_tags == (f"DOI: {doi}".replace("\ud800", "\ufffd"),)


@pytest.mark.parametrize("authors", ["[{[]: 1}]", "[" * 5000, "['a', 5, None]", {"a": 1}, [["x"]], 7])
def test_odd_authors_never_stop_a_run(source: Path, authors: object) -> None:
    (found,) = read(source, {"id": "a", "title": "a", "authors": authors})
    assert isinstance(found, Abstract)


def test_bom_and_utf16_are_read(source: Path) -> None:
    text = '{"id": "a", "title": "Sjögren"}\n'
    table = "title\tid\tabstract\nSjögren\ta\tone\u2028two\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-be"):
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        source.write_text(mark + text, encoding=encoding)
        assert list(read_source(source)) == [Abstract("a", "Sjögren", "")], encoding
        source.write_text(mark + table, encoding=encoding, newline="")
        assert list(read_source(source)) == [Abstract("a", "Sjögren", "one\u2028two")], encoding


def test_a_megabyte_of_abstract_is_one_record(source: Path) -> None:
    body = "word " * 200_000
    assert read(source, {"id": "a", "title": "t", "abstract": body}) == [Abstract("a", "t", body)]


def test_a_line_without_end_is_refused(source: Path) -> None:
    with pytest.raises(SourceError, match=r"line 2: longer than 33,554,432 bytes"):
        read(source, {"id": 1, "title": "a"}, b'{"id": 2, "title": "' + b"x" * (33 << 20) + b'"}')


@pytest.mark.parametrize(
    "line", [b'{"a":' * 100_000, b'{"id": ' + b"1" * 5000 + b', "title": "t"}'], ids=["deep", "long"]
)
def test_what_the_json_module_gives_up_on_is_a_bad_line(source: Path, line: bytes) -> None:
    found = read(source, {"id": 1, "title": "a"}, line)
    assert isinstance(found[1], Rejection) and found[1].reason.startswith("not JSON")


def test_surrogates_are_found_in_every_text(source: Path) -> None:
    row = {"id": "a", "title": "t", "keywords": ["\ud800"], "languages": ["\ud801"], "journal": "\ud802"}
    _, found = read(source, row)
    assert found == Abstract("a", "t", "", journal="\ufffd", keywords=("\ufffd",), languages=("\ufffd",))
