from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from engine.corpus.contributions import KEPT_APART, TWO_PMIDS
from engine.corpus.draft import Draft
from engine.corpus.intake import NOWHERE, Change
from engine.corpus.merge import Origin
from engine.corpus.store import Corpus
from engine.records import Abstract
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


def test_one_doi_from_two_files_is_one_record_with_both_sources(draft: Draft, tmp_path: Path) -> None:
    draft.intake.put(SCOPUS, origin(1, "RIS"))
    assert stored(draft.intake.put(PUBMED, origin(2, "PubMed XML"))) == (1, Change.ADDED)
    draft.connection.commit()
    corpus = Corpus(tmp_path / "abstracts.db")
    found = corpus.fetch([1])[1]
    assert (found.record_id, found.title, found.abstract, found.journal) == (
        "Scopus:2-s2.0-1", "Gout and diet", "Beer.", "J Gout",
    )  # fmt: skip
    assert [(s.format, s.own_id) for s in corpus.said(1)] == [("RIS", "Scopus:2-s2.0-1"), ("PubMed XML", "PMID:7")]
    corpus.close()


def test_a_second_source_is_a_change_of_metadata_and_comes_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    with opened(path, 2) as draft:
        assert stored(draft.intake.put(SCOPUS, origin(2, "RIS"))) == (1, Change.METADATA)
        assert draft.count_to_encode(everything=False) == 0
    with opened(path, 3) as draft:
        assert stored(draft.intake.put(SCOPUS, origin(3, "RIS"))) == (1, Change.NONE)
        assert stored(draft.intake.put(PUBMED, origin(4, "PubMed XML"))) == (1, Change.NONE)


def test_what_a_source_says_anew_replaces_only_what_it_said(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    draft.intake.put(SCOPUS, origin(2, "RIS"))
    draft.intake.put(replace(SCOPUS, journal="Journal of Gout", abstract=""), origin(3, "RIS"))
    found = draft.intake.contributions.row(1)
    assert (found.title, found.abstract, found.journal) == ("Gout and diet", "Beer.", "Journal of Gout")


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


def test_files_without_dates_go_by_their_release(draft: Draft) -> None:
    draft.intake.put(replace(PUBMED, title="later"), Origin("PubMed XML", 1, 20250004))
    assert stored(draft.intake.put(replace(PUBMED, title="earlier"), Origin("PubMed XML", 2, 20250003))) == (
        NOWHERE, Change.OUTDATED,
    )  # fmt: skip
    assert titles(draft) == ["later"]


def test_a_deletion_holds_against_older_files_and_other_sources_but_not_against_later_ones(draft: Draft) -> None:
    intake = draft.intake
    intake.put(PUBMED, Origin("PubMed XML", 1, 20250002))
    intake.put(SCOPUS, origin(2, "RIS"))
    assert intake.delete("PMID:7", 20250003) == [1]
    assert stored(intake.put(PUBMED, Origin("PubMed XML", 3, 20250001))) == (NOWHERE, Change.HELD_BACK)
    assert stored(intake.put(replace(SCOPUS, pmid="7"), origin(4, "RIS"))) == (NOWHERE, Change.HELD_BACK)
    assert stored(intake.put(PUBMED, Origin("PubMed XML", 5, 20250004))) == (2, Change.ADDED)
    assert intake.delete("PMID:7", 20250003) == []  # the old deletion again
    assert intake.delete("PMID:7", 20250005) == [2]


def test_an_unnumbered_deletion_holds_only_for_what_came_before(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1))
    assert draft.intake.delete("PMID:7") == [1]
    assert stored(draft.intake.put(PUBMED, origin(2))) == (2, Change.ADDED)


def test_deletions_outlive_the_run(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.delete("PMID:7", 20250003)
    with opened(path, 2) as draft:
        assert draft.intake.put(PUBMED, Origin("PubMed XML", 9, 20250001)).change is Change.HELD_BACK


def test_records_of_one_file_are_never_merged(draft: Draft) -> None:
    for number in range(3):
        draft.intake.put(replace(SCOPUS, record_id=f"W{number}", pmid="7"), origin(1))
    assert len(titles(draft)) == 3


def test_one_doi_with_other_titles_or_other_pmids_stays_apart(draft: Draft) -> None:
    draft.intake.put(PUBMED, origin(1))
    congress = draft.intake.put(replace(SCOPUS, title="P-214 Lupus nephritis in Brazil"), origin(2))
    assert (congress.doc_id, congress.remark) == (2, KEPT_APART)
    comment = draft.intake.put(replace(PUBMED, record_id="PMID:8", pmid="8"), origin(3))
    assert (comment.doc_id, comment.remark) == (3, TWO_PMIDS)


def test_two_records_become_one_when_a_source_tells_that_they_are(draft: Draft) -> None:
    draft.intake.put(replace(PUBMED, doi=None), origin(1, "PubMed XML"))
    draft.intake.put(SCOPUS, origin(2, "RIS"))
    assert len(titles(draft)) == 2
    outcome = draft.intake.put(PUBMED, origin(3, "PubMed XML"))  # now with its DOI
    assert (outcome.doc_id, outcome.absorbed) == (1, (2,))
    found = draft.intake.contributions.row(1)
    assert (found.record_id, found.title, found.journal) == ("PMID:7", "Gout and diet", "J Gout")
    assert [c.format for c in draft.intake.contributions.of(1)] == ["PubMed XML", "RIS"]
    assert draft.intake.put(SCOPUS, origin(4, "RIS")).doc_id == 1


def test_a_retraction_of_a_record_that_is_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        assert not draft.intake.put(replace(PUBMED, record_id="PMID:8", pmid="8", retracted=True), origin(1)).retracted
        draft.intake.put(PUBMED, origin(1))
    with opened(path, 2) as draft:
        outcome = draft.intake.put(replace(PUBMED, retracted=True), origin(2))
        assert (outcome.change, outcome.retracted) == (Change.METADATA, True)


def test_what_the_encoder_cannot_read_is_not_stored(draft: Draft) -> None:
    assert draft.intake.put(replace(PUBMED, title=" ", abstract="\n"), origin(1)).change is Change.UNREADABLE
    assert titles(draft) == []


def test_what_a_file_no_longer_says_leaves_in_a_full_run_unless_another_source_says_it(tmp_path: Path) -> None:
    from engine.corpus.draft import SourceFile

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
        assert draft.intake.drop_unseen(again.source_id) == [(2, True), (3, False)]
        left = {row[0] for row in draft.connection.execute("SELECT record_id FROM abstracts")}
        assert left == {"stays", "PMID:7"}
        assert draft.intake.contributions.row(3).abstract == "Beer and wine."


def test_a_change_that_gets_no_vector_is_put_back_with_its_sources(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with opened(old, 1) as draft:
        draft.intake.put(PUBMED, origin(1, "PubMed XML"))
    new.write_bytes(old.read_bytes())
    with opened(new, 2, old) as draft:
        draft.intake.put(replace(PUBMED, abstract="Changed"), origin(2, "PubMed XML"))
        assert draft.intake.put(SCOPUS, origin(3, "RIS")).doc_id == 1
        assert draft.intake.restore(1)
        assert draft.intake.contributions.row(1) == PUBMED
        assert [(c.format, c.abstract.title) for c in draft.intake.contributions.of(1)] == [
            ("PubMed XML", "Gout and diet")
        ]
        assert not draft.intake.restore(1)


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    from engine.reindex.gather import text_digest
    from tests.conftest import V1

    path = tmp_path / "abstracts.db"
    path.write_bytes((V1 / "generations" / "000001" / "abstracts.db").read_bytes())
    before = Corpus(path)
    toys = before.fetch(list(range(1, 41)))
    assert before.said(1) == [] and len(toys) == 40
    before.close()
    with Draft(path, 2, "now", text_digest) as draft:
        assert stored(draft.intake.put(toys[1], origin(2))) == (1, Change.NONE)
        assert [c.format for c in draft.intake.contributions.of(1)] == ["JSONL"]
        assert [c.format for c in draft.intake.contributions.of(2)] == [""]
        assert len(draft.ids()) == 40
    after = Corpus(path)
    assert after.fetch([2])[2] == toys[2]
    after.close()
