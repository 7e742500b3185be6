from pathlib import Path

import pytest

from engine.collect.facts import SourceFacts, read_facts
from engine.errors import SourceError
from engine.records.abstract import Rejection


def test_facts_are_counts_a_person_can_check(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(
        b'{"pmid": 1, "title": "a", "year": 2001, "doi": "10.1/x"}\n'
        b'{"doi": "10.1/y", "abstract": "Sj\xf6gren", "year": 1999, "keywords": ["k"]}\n'
        b'{"id": "own", "title": "caf\xe9", "year": 2000}\n'
        b'{"title": "no id"}\n'
        b"\n" + b"{}\n" * 7
    )
    reason = "neither title nor abstract, so there is nothing to search"
    assert read_facts(path) == SourceFacts(
        format="JSONL",
        n_bytes=path.stat().st_size,
        n_records=4,
        n_deletions=0,
        n_rejected=7,
        fields=(("title", 3), ("abstract", 1), ("year", 3), ("pmid", 1), ("doi", 2), ("keywords", 1)),
        years=(1999, 2001),
        ids=(("PMID", 1), ("DOI", 1), ("own", 1), ("TEXT", 1)),
        others=(),
        remarks=(("bytes that are not UTF-8, read as Windows-1252", 2, "line 2"),),
        rejections=tuple(Rejection("source", f"line {line}", reason) for line in range(6, 11)),
    )


def test_filled_columns_of_no_field_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text("title,Site,Reviewer 2\na,Bern,\nb,Bonn,yes\nc,,NA\n")
    assert read_facts(path).others == (("Site", 2), ("Reviewer 2", 1))
    path.write_text("".join(f'{{"title": "a", "k{n}": 1}}\n' for n in range(300)))
    found = read_facts(path).others
    assert (found[0], len(found)) == (("further ones", 100), 201)


def test_deletions_are_counted_and_an_empty_file_of_records_has_no_years(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text(
        "<PubmedArticleSet><DeleteCitation><PMID>1</PMID><PMID>2</PMID></DeleteCitation></PubmedArticleSet>"
    )
    found = read_facts(path)
    assert (found.format, found.n_records, found.n_deletions, found.years, found.fields) == (
        "PubMed XML",
        0,
        2,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("TI  - a\nU2  - L12345", "Embase"),
        ("TI  - a\nAN  - WOS:000520500900002", "WOS"),
        ("TI  - a\nAN  - CN-02017416", "CENTRAL"),
        ("TI  - a", "TEXT"),
    ],
)
def test_ids_are_counted_by_their_kind(tmp_path: Path, line: str, kind: str) -> None:
    (tmp_path / "source").write_text(f"TY  - JOUR\n{line}\nER  -\n")
    assert read_facts(tmp_path / "source").ids == ((kind, 1),)


def test_the_format_can_be_named_and_a_file_that_breaks_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text("title\nTY  - JOUR\n")
    assert read_facts(path).n_records == 0
    assert read_facts(path, "CSV").n_records == 1
    with pytest.raises(SourceError, match="no such file"):
        read_facts(tmp_path / "absent")
