from pathlib import Path

import pytest

from engine.corpus.storage.store import AppliedFile
from engine.errors import MassChangeError
from engine.receipts import FileReceipt
from engine.records.generation import Counts, FileCounts
from engine.reindex.intake.plan import Files, Limits, Plan, explain_refusal, guard, plan_lines, sort_out
from engine.reindex.intake.sources import Source


def file(name: str, sha256: str) -> Source:
    return Source(Path("/d", name), None, FileReceipt(name, len(name), sha256))


A, B, TWIN = file("a.xml", "aa"), file("b.xml", "bb"), file("c.xml", "aa")


def applied(name: str, sha256: str, path: str = "") -> AppliedFile:
    return AppliedFile(1, name, path or f"/d/{name}", 5, sha256, "PubMed XML", 0, FileCounts(1, added=1))


def test_known_content_is_skipped_whatever_its_name() -> None:
    found = sort_out([A, B, TWIN], [applied("a.xml", "aa")], ["/d/old.xml", "/d/old.xml"], everything=False)
    assert found == Files((B,), (A, TWIN), ("/d/old.xml",))


def test_a_file_that_was_moved_is_not_reported_as_gone() -> None:
    history = [applied("old.xml", "aa"), applied("lost.xml", "zz"), applied("a.xml", "bb")]
    assert sort_out([TWIN], history, ["/d/old.xml", "/d/lost.xml"], everything=False).vanished == ("/d/lost.xml",)


def test_known_size_with_other_content_is_read() -> None:
    assert sort_out([A], [applied("a.xml", "xx")], [], everything=False).read == (A,)


def test_a_file_that_went_back_to_an_earlier_content_is_read() -> None:
    history = [applied("a.xml", "aa"), applied("a.xml", "bb")]
    assert sort_out([A], history, [], everything=False).read == (A,)
    assert sort_out([A], [*history, applied("a.xml", "aa")], [], everything=False).read == ()
    assert sort_out([TWIN], history, [], everything=False).read == ()  # elsewhere it says nothing new


def test_a_full_run_reads_known_files_once_each() -> None:
    assert sort_out([A, B, TWIN], [applied("a.xml", "aa")], [], everything=True) == Files((A, B), (TWIN,), ())


LIMITS = Limits(0.1, 0.2)


@pytest.mark.parametrize(
    ("counts", "held", "stops"),
    [
        (Counts(0, 0, 0, 0, 0, deleted=10), 100, None),
        (
            Counts(0, 0, 0, 0, 0, deleted=11),
            100,
            r"11 of 100 records \(11.0 %\) would be deleted, more than the limit of 10 %",
        ),
        (Counts(0, 0, 0, 0, 0, text_changed=10, metadata_changed=10), 100, None),
        (Counts(0, 0, 0, 0, 0, text_changed=10, metadata_changed=11), 100, r"21 of 100 records .* would be changed"),
        (Counts(0, 0, 0, 0, 0, added=1000), 100, None),
        (Counts(0, 0, 0, 0, 0, deleted=5), 0, None),
    ],
)
def test_the_guard_counts_shares_of_what_was_held(counts: Counts, held: int, stops: str | None) -> None:
    guard(counts, held, None)
    if stops is None:
        assert explain_refusal(counts, held, LIMITS) is None
        guard(counts, held, LIMITS)
    else:
        with pytest.raises(MassChangeError, match=stops) as stopped:
            guard(counts, held, LIMITS)
        assert "--allow-mass-change" in str(stopped.value) and stopped.value.exit_code == 7


def test_a_plan_in_words_names_counts_examples_and_the_guard() -> None:
    plan = Plan(
        n_current=40,
        files=Files((A,), (B,), ()),
        counts=Counts(41, 0, 0, 0, 0, added=2, deleted=1, unchanged=1200, encoded=2),
        examples=(("added", ("PMID:1 (a.xml)", "PMID:2 (a.xml)")), ("deleted", ("PMID:9 (a.xml)",))),
        remarks=(("odd", 3, "a.xml, PMID:1"),),
        rejections=(),
        notes=("a note",),
        refusal="too much",
    )
    assert list(plan_lines("toy", plan)) == [
        "toy: plan for 40 records now; nothing was changed",
        "  files to read: 1; applied before and skipped: 1",
        "    a.xml",
        "  new: 2, for example PMID:1 (a.xml); PMID:2 (a.xml)",
        "  deleted: 1, for example PMID:9 (a.xml)",
        "  unchanged: 1,200",
        "  texts to encode: 2",
        "  odd: 3 (first: a.xml, PMID:1)",
        "  note: a note",
        "  the guard would stop this run: too much",
    ]
