from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from engine.corpus.draft import Draft, SourceFile
from engine.corpus.merging.contributions import _KEPT_APART, _TWO_PMIDS
from engine.corpus.merging.intake import _SUFFIXED, _TAKEN_OVER, NOWHERE
from engine.corpus.merging.ledger import Change
from engine.corpus.merging.merge import Origin
from engine.corpus.merging.sightings import Fate
from engine.corpus.storage.store import open_database
from engine.records.abstract import Abstract
from tests.corpus.drafts import opened, origin, stored

PUBMED = Abstract("PMID:7", "Gout and diet", "Beer.", 2020, pmid="7", doi="10.1/Gout")
SCOPUS = Abstract("Scopus:2-s2.0-1", "Gout and Diet", "Beer and wine.", 2020, "J Gout", doi="10.1/gout")
TITLE = "SELECT title FROM abstracts WHERE id = 1"


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[Draft]:
    with opened(tmp_path / "abstracts.db", 1) as made:
        yield made


def titles(draft: Draft) -> list[str]:
    return [row[0] for row in draft.connection.execute("SELECT title FROM abstracts ORDER BY id")]


def test_one_doi_from_two_files_is_one_record_with_both_sources(tmp_path: Path) -> None:
    with opened(tmp_path / "abstracts.db", 1) as draft:
        draft.intake.put(SCOPUS, origin(1, "RIS"))
        assert stored(draft.intake.put(PUBMED, origin(2, "PubMed XML"))) == (1, Change.ADDED)
    corpus = open_database(tmp_path / "abstracts.db")
    record = corpus.fetch([1])[1]
    assert (record.record_id, record.title, record.abstract, record.journal) == (
        "Scopus:2-s2.0-1", "Gout and diet", "Beer.", "J Gout",
    )  # fmt: skip
    assert [(s.format, s.own_id) for s in corpus.read_claims(1)] == [
        ("RIS", "Scopus:2-s2.0-1"),
        ("PubMed XML", "PMID:7"),
    ]
    corpus.close()


def test_a_second_source_is_a_metadata_change_and_unchanged_when_repeated(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    with opened(path, 2) as draft:
        assert stored(draft.intake.put(SCOPUS, origin(2, "RIS"))) == (1, Change.METADATA)
        assert draft.count_to_encode(everything=False) == 0
    with opened(path, 3) as draft:
        assert stored(draft.intake.put(SCOPUS, origin(3, "RIS"))) == (1, Change.NONE)
        assert stored(draft.intake.put(PUBMED, origin(4, "PubMed XML"))) == (1, Change.NONE)


def test_a_revision_replaces_only_the_record_of_its_source(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    draft.intake.put(SCOPUS, origin(2, "RIS"))
    draft.intake.put(replace(SCOPUS, journal="Journal of Gout", abstract=""), origin(3, "RIS"))
    record = draft.ledger.contributions.read_record_row(1)
    assert (record.title, record.abstract, record.journal) == ("Gout and diet", "Beer.", "Journal of Gout")


def test_the_newest_revision_wins_in_every_order_of_files(tmp_path: Path) -> None:
    files = [
        (replace(PUBMED, title="v1 old", revised="2020-01-01"), 20200001),
        (replace(PUBMED, title="v1 new", revised="2021-01-01"), 20210005),
        (replace(PUBMED, title="v2", version=2, revised="2020-06-01"), 20200009),
    ]
    for number, order in enumerate(permutations(files)):
        with opened(tmp_path / f"{number}.db", 1) as draft:
            for source_id, (abstract, release) in enumerate(order, 1):
                draft.intake.put(abstract, Origin("PubMed XML", source_id, release))
            assert titles(draft) == ["v2"], order


def test_files_without_dates_are_ordered_by_release(draft: Draft) -> None:
    draft.intake.put(replace(PUBMED, title="later"), Origin("PubMed XML", 1, 20250004))
    assert stored(draft.intake.put(replace(PUBMED, title="earlier"), Origin("PubMed XML", 2, 20250003))) == (
        NOWHERE, Change.OUTDATED,
    )  # fmt: skip
    assert titles(draft) == ["later"]


def test_a_deletion_applies_to_older_files_and_other_sources_but_not_to_later_files(draft: Draft) -> None:
    intake = draft.intake
    intake.put(PUBMED, Origin("PubMed XML", 1, 20250002))
    intake.put(SCOPUS, origin(2, "RIS"))
    assert intake.delete("PMID:7", 20250003) == [1]
    assert stored(intake.put(PUBMED, Origin("PubMed XML", 3, 20250001))) == (NOWHERE, Change.DELETED)
    assert stored(intake.put(replace(SCOPUS, pmid="7"), origin(4, "RIS"))) == (NOWHERE, Change.DELETED)
    assert stored(intake.put(PUBMED, Origin("PubMed XML", 5, 20250004))) == (2, Change.ADDED)
    assert intake.delete("PMID:7", 20250003) == []  # the old deletion again
    assert intake.delete("PMID:7", 20250005) == [2]


def test_an_unnumbered_deletion_applies_only_to_earlier_records(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1))
    assert draft.intake.delete("PMID:7") == [1]
    assert stored(draft.intake.put(PUBMED, origin(2))) == (2, Change.ADDED)


def test_deletions_outlive_the_run(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.delete("PMID:7", 20250003)
    with opened(path, 2) as draft:
        assert draft.intake.put(PUBMED, Origin("PubMed XML", 9, 20250001)).change is Change.DELETED


def test_records_of_one_file_are_never_merged(draft: Draft) -> None:
    for number in range(3):
        draft.intake.put(replace(SCOPUS, record_id=f"W{number}", pmid="7"), origin(1))
    assert len(titles(draft)) == 3


def test_records_with_one_doi_but_different_titles_or_pmids_are_kept_apart(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1))
    congress = draft.intake.put(replace(SCOPUS, title="P-214 Lupus nephritis in Brazil"), origin(2))
    assert (congress.doc_id, congress.remark) == (2, _KEPT_APART)
    comment = draft.intake.put(replace(PUBMED, record_id="PMID:8", pmid="8"), origin(3))
    assert (comment.doc_id, comment.remark) == (3, _TWO_PMIDS)


def test_two_records_are_merged_when_a_source_links_them(draft: Draft) -> None:
    draft.intake.put(replace(PUBMED, doi=None), origin(1, "PubMed XML"))
    draft.intake.put(SCOPUS, origin(2, "RIS"))
    assert len(titles(draft)) == 2
    outcome = draft.intake.put(PUBMED, origin(3, "PubMed XML"))  # now with its DOI
    assert (outcome.doc_id, outcome.absorbed) == (1, (2,))
    record = draft.ledger.contributions.read_record_row(1)
    assert (record.record_id, record.title, record.journal) == ("PMID:7", "Gout and diet", "J Gout")
    assert [c.format for c in draft.ledger.contributions.read_claims(1)] == ["PubMed XML", "RIS"]
    assert draft.intake.put(SCOPUS, origin(4, "RIS")).doc_id == 1


def test_a_retraction_of_an_existing_record_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.put(replace(PUBMED, record_id="PMID:8", pmid="8", retracted=True), origin(1))
        draft.intake.put(PUBMED, origin(1))
        assert [draft.ledger.is_newly_retracted(doc_id) for doc_id in (1, 2)] == [False, False]
    with opened(path, 2) as draft:
        outcome = draft.intake.put(replace(PUBMED, retracted=True), origin(2))
        assert outcome.change is Change.METADATA and draft.ledger.is_newly_retracted(outcome.doc_id)


def test_a_record_without_readable_text_is_not_stored(draft: Draft) -> None:
    assert draft.intake.put(replace(PUBMED, title=" ", abstract="\n"), origin(1)).change is Change.UNREADABLE
    assert titles(draft) == []


def test_a_full_run_removes_records_missing_from_their_file_unless_another_source_has_them(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    file = SourceFile("a.jsonl", "/a.jsonl", 1, "aa", "JSONL")
    other = SourceFile("b.ris", "/b.ris", 1, "bb", "RIS")
    with opened(path, 1) as draft:
        first, second = origin(draft.note_source(file)), origin(draft.note_source(other), "RIS")
        for name in ("stays", "goes"):
            draft.intake.put(replace(PUBMED, record_id=name, pmid=None, doi=None), first)
        draft.intake.put(PUBMED, first)
        draft.intake.put(SCOPUS, second)
    with opened(path, 2) as draft:
        again = origin(draft.note_source(replace(file, sha256="cc")))
        draft.intake.put(replace(PUBMED, record_id="stays", pmid=None, doi=None), again)
        assert draft.intake.drop_unseen(again.source_id, ()) == [(2, "goes")]
        left = {row[0] for row in draft.connection.execute("SELECT record_id FROM abstracts")}
        assert left == {"stays", SCOPUS.record_id}  # the name went with the source that gave it
        assert draft.ledger.contributions.read_record_row(3).abstract == "Beer and wine."


def test_a_change_without_a_vector_is_restored_with_its_sources(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with opened(old, 1) as draft:
        draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    old.rename(new)
    with opened(new, 2) as draft:
        draft.intake.put(replace(PUBMED, abstract="Changed"), origin(2, "PubMed XML"))
        assert draft.intake.put(SCOPUS, origin(3, "RIS")).doc_id == 1
        assert draft.ledger.restore(1) == [1]
        assert draft.ledger.contributions.read_record_row(1) == PUBMED
        assert [(c.format, c.abstract.title) for c in draft.ledger.contributions.read_claims(1)] == [
            ("PubMed XML", "Gout and diet")
        ]
        assert draft.ledger.restore(1) == []


CONGRESS = [
    Abstract("DOI:10.1/acr", f"P-{n:03d} {what}", f"We saw {what}.", 2020, doi="10.1/acr")
    for n, what in enumerate(("Gout in Japan", "Lupus nephritis in Brazil", "Pain after knee surgery"))
]


def test_a_congress_with_one_doi_for_all_its_abstracts_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        remarks = [draft.intake.put(row, origin(1, "RIS")).remark for row in CONGRESS]
        assert remarks == [None, _SUFFIXED, _SUFFIXED]
        assert titles(draft) == [row.title for row in CONGRESS]
    with opened(path, 2) as draft:  # the same file again, in another order, and one of them revised
        rows = [CONGRESS[2], replace(CONGRESS[1], abstract="We saw more."), CONGRESS[0]]
        assert [stored(draft.intake.put(row, origin(2, "RIS"))) for row in rows] == [
            (3, Change.NONE), (2, Change.TEXT), (1, Change.NONE),
        ]  # fmt: skip
    with opened(path, 3) as draft:  # and from another database, which knows them by the same DOI
        assert [draft.intake.put(row, origin(3, "BibTeX")).doc_id for row in reversed(CONGRESS)] == [3, 2, 1]


def test_a_large_congress_is_kept_apart_without_comparing_all_pairs(draft: Draft) -> None:
    for n in range(200):
        draft.intake.put(Abstract(f"Embase:L{n}", f"Poster {n} on a matter of its own", "x", doi="10.1/acr"), origin(n))
    assert len(titles(draft)) == 200


@pytest.mark.parametrize("kinds", [("JSONL", "CSV"), ("CSV", "JSONL")])
def test_the_number_1_of_two_formats_is_two_records(draft: Draft, kinds: tuple[str, str]) -> None:
    draft.intake.put(Abstract("1", "Gout and diet", "x"), origin(1, kinds[0]))
    other = draft.intake.put(Abstract("1", "Lupus in pregnancy", "y"), origin(2, kinds[1]))
    assert (other.doc_id, other.remark) == (2, _SUFFIXED)
    same = draft.intake.put(Abstract("1", "Gout and Diet.", "z"), origin(3, kinds[1]))
    assert same.doc_id == 1
    assert draft.intake.put(Abstract("1", "Lupus in pregnancy", "y"), origin(4, kinds[1])).doc_id == 2


def files(draft: Draft, *names: str) -> list[Origin]:
    return [origin(draft.note_source(SourceFile(n, f"/{n}", 1, n, "JSONL"))) for n in names]


def test_a_new_title_under_a_sources_own_id_replaces_the_record_and_is_reported(draft: Draft) -> None:
    a, b, again = files(draft, "a", "b", "b")
    draft.intake.put(Abstract("K1", "Gout and diet", "x", 2000), a)
    assert draft.intake.put(Abstract("K1", "Lupus in pregnancy", ""), b).remark == _TAKEN_OVER
    assert draft.ledger.contributions.read_record_row(1) == Abstract(
        "K1", "Lupus in pregnancy", ""
    )  # nothing of the other work
    assert draft.intake.put(Abstract("K1", "Knee pain", "x"), again).remark is None  # the same file, revised
    assert titles(draft) == ["Knee pain"]


def test_a_bare_number_identifies_a_row_only_within_its_file(draft: Draft) -> None:
    a, b, again = files(draft, "a", "b", "a")
    draft.intake.put(Abstract("1", "Gout and diet", "x"), a)
    assert draft.intake.put(Abstract("1", "Lupus in pregnancy", "x"), b).remark == _SUFFIXED
    assert titles(draft) == ["Gout and diet", "Lupus in pregnancy"]
    assert draft.intake.put(Abstract("1", "Gout and diet!", "y"), again).doc_id == 1


FULL = Abstract("DOI:10.1/g", "Gout and diet", "A long abstract.", 2020, authors=("Liu",), doi="10.1/g")
THIN = Abstract("DOI:10.1/g", "Gout and Diet", "", doi="10.1/g", keywords=("beer",))


@pytest.mark.parametrize("order", [(FULL, THIN), (THIN, FULL)])
def test_two_exports_of_one_format_are_two_sources(draft: Draft, order: tuple[Abstract, Abstract]) -> None:
    for row, where in zip(order, files(draft, "full.ris", "thin.ris"), strict=True):
        draft.intake.put(row, replace(where, format="RIS"))
    record = draft.ledger.contributions.read_record_row(1)
    assert (record.abstract, record.year, record.authors, record.keywords) == (
        "A long abstract.",
        2020,
        ("Liu",),
        ("beer",),
    )
    assert record.title == order[1].title  # the newest word
    assert len(draft.ledger.contributions.read_claims(1)) == 2


def test_a_work_twice_in_a_library_keeps_the_values_of_both_entries(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    for generation in (1, 2):  # read again, it is the same
        with opened(path, generation) as draft:
            library = Origin("EndNote XML", 1)
            first = draft.intake.put(FULL, library)
            again = draft.intake.put(THIN, library)
            assert (first.doc_id, again.doc_id, again.fate) == (1, 1, Fate.REPEATED)
            record = draft.ledger.contributions.read_record_row(1)
            assert (record.title, record.abstract, record.keywords) == ("Gout and Diet", "A long abstract.", ("beer",))
            assert again.change is (Change.ADDED if generation == 1 else Change.NONE)
    with opened(path, 3) as draft:  # a row of the source's own making is replaced, gaps and all
        draft.intake.put(replace(FULL, record_id="K", doi=None), origin(2))
        draft.intake.put(replace(THIN, record_id="K", doi=None), origin(2))
        assert draft.ledger.contributions.read_record_row(2).abstract == ""


def test_the_newest_record_stays_preferred_when_all_files_are_read_again(draft: Draft) -> None:
    old, new = FULL, replace(FULL, abstract="A corrected abstract.")
    june, fix, june_again, fix_again = files(draft, "june.ris", "fix.ris", "june.ris", "fix.ris")
    for row, where in ((old, june), (new, fix), (new, fix_again), (old, june_again)):
        draft.intake.put(row, replace(where, format="RIS"))
        assert len(titles(draft)) == 1
    assert draft.ledger.contributions.read_record_row(1).abstract == "A corrected abstract."


def test_identical_weekly_exports_do_not_accumulate(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"

    def week(draft: Draft, number: int) -> Origin:
        return replace(files(draft, f"week-{number}.ris")[0], format="RIS")

    with opened(path, 1) as draft:
        draft.intake.put(FULL, week(draft, 0))
    with opened(path, 2) as draft:
        for number in range(1, 6):
            assert draft.intake.put(FULL, week(draft, number)).change is Change.NONE
        assert len(draft.ledger.contributions.read_claims(1)) == 1
        draft.intake.put(THIN, week(draft, 5))  # one of them shrinks, the first one still says all
        assert draft.ledger.contributions.read_record_row(1).abstract == "A long abstract."
        draft.intake.put(replace(THIN, year=2021), week(draft, 5))
        assert [c.abstract.year for c in draft.ledger.contributions.read_claims(1)] == [2020, 2021]
        assert draft.ledger.contributions.read_record_row(1).year == 2021
        draft.intake.put(replace(FULL, abstract="Other."), week(draft, 0))  # and now the first one, too
        years = [claim.abstract.year for claim in draft.ledger.contributions.read_claims(1)]
        assert years == [2020, 2021, 2020]  # weeks 1 to 4 say what they said
        assert draft.ledger.contributions.read_record_row(1).abstract == "Other."


def test_correcting_a_wrong_pmid_splits_the_merged_records(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    wrong = Abstract("K1", "Lupus in pregnancy", "About lupus.", pmid="7")
    with opened(path, 1) as draft:
        draft.intake.put(wrong, origin(1))
        draft.intake.put(replace(PUBMED, abstract="", doi=None), origin(2, "PubMed XML"))
        assert titles(draft) == ["Gout and diet"]
        assert draft.ledger.contributions.read_record_row(1).abstract == "About lupus."
    with opened(path, 2) as draft:
        assert stored(draft.intake.put(replace(wrong, pmid="6"), origin(3))) == (2, Change.ADDED)
        one, two = (draft.ledger.contributions.read_record_row(n) for n in (1, 2))
        assert (one.record_id, one.title, one.abstract) == ("PMID:7", "Gout and diet", "")  # K1 named it, and left
        assert (two.record_id, two.title, two.pmid) == ("K1", "Lupus in pregnancy", "6")


def test_a_record_id_is_removed_with_its_source_and_can_return(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    named = replace(PUBMED, record_id="K")
    file, other = (
        SourceFile("a.jsonl", "/a.jsonl", 1, "aa", "JSONL"),
        SourceFile("u.xml", "/u.xml", 1, "bb", "PubMed XML"),
    )
    with opened(path, 1) as draft:
        draft.intake.put(named, origin(draft.note_source(file)))
        draft.intake.put(PUBMED, origin(draft.note_source(other), "PubMed XML"))
        draft.intake.put(replace(PUBMED, record_id="x", pmid=None, doi=None), origin(1))
    with opened(path, 2) as draft:
        again = draft.note_source(replace(file, sha256="cc"))
        assert draft.intake.drop_unseen(again, ()) == [(2, "x")]
        assert draft.ledger.contributions.read_record_id(1) == "PMID:7"
        assert draft.intake.put(replace(named, pmid=None, doi=None), origin(again)).change is Change.ADDED


def test_the_older_of_two_merged_records_keeps_its_doc_id(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    draft.intake.put(Abstract("K", "Gout and diet", "x"), origin(2))
    outcome = draft.intake.put(Abstract("K", "Gout and diet", "x", pmid="7"), origin(3))
    assert (outcome.doc_id, outcome.absorbed) == (1, (2,))
    assert draft.ledger.contributions.read_record_id(1) == "PMID:7"


def test_two_records_of_one_file_stay_apart_when_one_gains_the_doi_of_the_other(tmp_path: Path) -> None:
    one, two = (Abstract(n, "Gout and diet", n, doi=d) for n, d in (("A", "10.1/x"), ("B", None)))
    for number, order in enumerate(((0, 1), (1, 0))):
        path = tmp_path / f"{number}.db"
        file = SourceFile("a.jsonl", "/a.jsonl", 1, "aa", "JSONL")
        with opened(path, 1) as draft:
            first = origin(draft.note_source(file))
            draft.intake.put(one, first)
            draft.intake.put(two, first)
        with opened(path, 2) as draft:
            again = origin(draft.note_source(replace(file, sha256="bb")))
            rows = [one, replace(two, doi="10.1/x")]
            for place in order:
                draft.intake.put(rows[place], again)
            assert len(titles(draft)) == 2


def test_merged_records_are_split_again_if_they_get_no_vector(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with opened(old, 1) as draft:
        draft.intake.put(Abstract("K", "Gout and diet", "x"), origin(1))
        draft.intake.put(PUBMED, origin(2, "PubMed XML"))
    old.rename(new)
    with opened(new, 2) as draft:
        outcome = draft.intake.put(Abstract("K", "Gout and diet", "x", pmid="7"), origin(3))
        assert outcome.absorbed == (2,)
        assert draft.ledger.restore(1) == [1, 2]
        assert [draft.ledger.contributions.read_record_row(n) for n in (1, 2)] == [
            Abstract("K", "Gout and diet", "x"),
            PUBMED,
        ]
        assert [len(draft.ledger.contributions.read_claims(n)) for n in (1, 2)] == [1, 1]
        assert draft.ledger.list_to_encode() == []


def test_a_deletion_older_than_a_new_issue_is_not_remembered(draft: Draft) -> None:
    draft.intake.put(PUBMED, Origin("PubMed XML", 1, 20261301))
    assert draft.intake.delete("PMID:7", 20261300) == []
    fresh = draft.intake.put(replace(PUBMED, title="Gout, revised", revised="2026-01-01"), origin(2, "PubMed XML"))
    assert fresh.change is Change.ADDED and titles(draft) == ["Gout, revised"]


def test_a_record_whose_new_version_is_not_stored_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    one, two = (SourceFile(n, f"/{n}", 1, n, "PubMed XML") for n in ("1.xml", "2.xml"))
    newer, older = (replace(PUBMED, title=t, revised=r) for t, r in (("New", "2022-01-01"), ("Old", "2021-01-01")))
    blank = Abstract("PMID:8", "Knee", "", pmid="8")
    with opened(path, 1) as draft:
        first, second = (origin(draft.note_source(file), "PubMed XML") for file in (one, two))
        draft.intake.put(newer, first)
        draft.intake.put(older, second)
        draft.intake.put(blank, first)
        draft.intake.put(replace(blank, record_id="PMID:9", pmid="9"), second)
    with opened(path, 2) as draft:
        again = [origin(draft.note_source(replace(f, sha256="x")), "PubMed XML") for f in (one, two)]
        assert draft.intake.put(older, again[1]).change is Change.OUTDATED  # 1.xml has it no more
        assert draft.intake.put(replace(blank, title=" "), again[0]).change is Change.UNREADABLE
        assert draft.intake.drop_unseen(again[0].source_id, [again[1].source_id]) == []  # of 2.xml not all was read
        assert draft.intake.drop_unseen(again[0].source_id, []) == [(3, "PMID:9")]


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    a, b = (SourceFile("export.ris", f"/{n}/export.ris", 1, n, "RIS") for n in "ab")
    with opened(path, 1) as draft:
        draft.intake.put(Abstract("a", "A", ""), origin(draft.note_source(a), "RIS"))
        draft.intake.put(Abstract("b", "B", ""), origin(draft.note_source(b), "RIS"))
    with opened(path, 2) as draft:
        again = origin(draft.note_source(replace(a, sha256="x")), "RIS")
        draft.intake.put(Abstract("a", "A", ""), again)
        assert draft.intake.drop_unseen(again.source_id, ()) == []


def test_the_newest_pubmed_record_is_preferred_in_either_format(draft: Draft) -> None:
    draft.intake.put(replace(PUBMED, title="XML", revised="2020-01-01"), origin(1, "PubMed XML"))
    draft.intake.put(replace(PUBMED, title="nbib", revised="2025-01-01"), origin(2, "MEDLINE"))
    assert titles(draft) == ["nbib"]
    draft.intake.put(replace(PUBMED, title="XML", revised="2026-01-01"), origin(3, "PubMed XML"))
    assert titles(draft) == ["XML"]


@pytest.mark.parametrize("kind", ["JSONL", "table", "PubMed XML"])
def test_one_id_from_two_files_stays_one_record_when_its_pmid_changes(draft: Draft, kind: str) -> None:
    one = Abstract("r0", "Gout in men", "", pmid="6")
    draft.intake.put(one, origin(1, "JSONL"))
    draft.intake.put(replace(one, pmid=None), origin(2, kind))
    for _ in range(2):
        draft.intake.put(replace(one, pmid="5", languages=("eng",)), origin(2, kind))
    rows = draft.connection.execute("SELECT record_id, pmid FROM abstracts").fetchall()
    assert [tuple(row) for row in rows] == [("r0", "5")]
