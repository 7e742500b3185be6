"""Recognition of records without an id in common, by title, year and first author, without reading all records."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.corpus.draft import Draft, DraftFiles
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.merging.base import Base
from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision, RecordIdentity
from engine.corpus.storage.store import Corpus
from engine.errors import CorruptError
from engine.index.generations.folder import IndexFolder
from engine.query.opening.corpus import open_corpus
from engine.reindex.generation.generationfiles import read_published
from engine.reindex.generation.order import Report
from engine.reindex.intake.gather import hash_prepared
from engine.reindex.runs.decisions import apply_decisions, decide, has_pending_decisions
from engine.reindex.runs.run import index_sources
from tests.conftest import order_of, silent
from tests.corpus.drafts import created

Add = Callable[..., Report]
GONE = RecordIdentity(("gone",), None, None, "Colchicine in gout", 1991, "Ada Toy1")  # but for the id, toy-01
SPELLED = ("Colchicine in gout", "COLCHICINE IN GOUT.", "[Colchicine—in gout]", "Cölchicine in\u00a0gout")


@pytest.fixture
def n_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that queries of published segments return."""
    seen: list[int] = []
    for kind in (Corpus, Base):
        real = kind.read_live

        def count(self: Corpus | Base, *args: str, real: Callable[..., object] = real) -> list[object]:
            rows = list(real(self, *args))  # type: ignore[call-overload]
            seen.append(len(rows))
            return rows

        monkeypatch.setattr(kind, "read_live", count)
    return seen


def open_finders(toy: IndexFolder, tmp_path: Path) -> Iterator[IdentityFinder]:
    """Finders over a published corpus and over a draft that continues it."""
    current = toy.open_current()
    with closing(open_corpus(current)) as corpus:
        yield IdentityFinder(corpus, words=current.words)
    files = DraftFiles(tmp_path / "new.db", tmp_path / "new.state")
    with Draft(files, 9, created(9), hash_prepared, read_published(current)) as draft:
        draft.parts.separate()
        yield IdentityFinder(draft.connection, draft.base)


@pytest.mark.parametrize("title", SPELLED)
def test_a_title_is_found_in_any_spelling_by_reading_few_rows(
    toy: IndexFolder, tmp_path: Path, n_rows: list[int], title: str
) -> None:
    for finder in open_finders(toy, tmp_path):
        n_rows.clear()
        assert finder.find(replace(GONE, title=title)) == 1
        assert sum(n_rows) <= 2, "more than the records with these words were read"
        for other in ({"title": f"{title} and more"}, {"year": 1990}, {"author": "Nobody"}, {"title": "?"}):
            assert finder.find(replace(GONE, **{"title": title} | other)) is None  # type: ignore[arg-type]
        assert sum(n_rows) <= 8


ODD = (  # a title, and another spelling of it
    ("Sjögren's syndrome of the knee", "SJOGREN’S SYNDROME OF THE KNEE"),
    ("TNF-α below 5 µg/mL – a study", "TNF α below 5 μg mL: a study"),
    ("To be or not to be", "to be, or not to be?"),
    ("A re\u00adview of zero\u200bwidth signs", "A review of zerowidth signs"),
    ("Mark™ pills №\u00a05 at 3㎎ per ㎖", "Mark™ pills № 5 at 3㎎ per ㎖."),
    ("करक हिन्दी में", "«करक हिन्दी में»"),
    ("ಕನ್ನಡ ಜ್ಞಾನ", "ಕನ್ನಡ ಜ್ಞಾನ!"),
    ("日本語のタイトル", "日本語のタイトル。"),
    ("مقالة عن النقرس", "مقالة عن النقرس؟"),
    ("Straße of the Ørsted ﬁlm ½", "STRASSE of the Orsted film ½"),
    ("x" * 300 + " and " + "long " * 3000, "X" * 300 + " and " + "long " * 3000),
)  # fmt: skip


def test_a_title_of_any_signs_is_found_in_words_as_by_reading_all(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    add(*({"id": f"odd{n}", "title": title, "year": 2001, "authors": ["Ada Odd"]} for n, (title, _) in enumerate(ODD)))
    with closing(open_corpus(toy.open_current())) as corpus:
        whole = IdentityFinder(corpus)  # as a build of everything at once compares
        for finder in open_finders(toy, tmp_path):
            for title in (spelled for pair in ODD for spelled in pair):
                lost = RecordIdentity(("lost",), None, None, title, 2001, "Ada Odd")
                assert finder.find(lost) == whole.find(lost), title
                assert whole.find(lost) is not None, title


def test_of_two_alike_none_is_taken_for_the_lost_one(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    add({"id": "twin", "title": GONE.title, "abstract": "Another.", "year": GONE.year, "authors": [GONE.author]})
    for finder in open_finders(toy, tmp_path):
        assert finder.find(GONE) is None


def test_what_a_run_has_changed_is_recognised_as_it_is_now(toy: IndexFolder, add: Add) -> None:
    """toy-01 gets another title, and a new record the old one, in the run that applies the decision."""
    other = RecordIdentity(("toy-02",), None, None, "", None, "")
    Journal(toy.decisions).append("someone", [NewDecision(DecisionKind.MERGE, (GONE, other), {})])
    same = {"abstract": "Another.", "year": GONE.year, "authors": [GONE.author]}
    report = add({"id": "toy-01", "title": "A new title", **same}, {"id": "heir", "title": GONE.title, **same})
    assert report.counts.abstracts == 40  # the new record and toy-02 are one
    with closing(open_corpus(toy.open_current())) as corpus:
        assert set(IdentityFinder(corpus).read_joined()) == {2, 41}


def test_a_part_is_found_by_its_own_title(toy: IndexFolder, tmp_path: Path, n_rows: list[int]) -> None:
    pair = tuple(RecordIdentity((name,), None, None, "", None, "") for name in ("toy-03", "toy-01"))
    Journal(toy.decisions).append("someone", [NewDecision(DecisionKind.MERGE, pair, {})])
    index_sources(toy, order_of(), silent)
    for finder in open_finders(toy, tmp_path):
        assert finder.find(GONE) == 1
        assert finder.find(replace(GONE, title="Colchicine in lupus", year=1993, author="Ada Toy3")) == 3


def test_a_decision_on_a_lost_record_reads_few_rows_at_night(toy: IndexFolder, add: Add, n_rows: list[int]) -> None:
    lost = replace(GONE, title="Never seen here")
    other = RecordIdentity(("toy-02",), None, None, "", None, "")
    Journal(toy.decisions).append("someone", [NewDecision(DecisionKind.MERGE, (lost, other), {})])
    assert not has_pending_decisions(toy, toy.open_current())
    add({"id": "new", "title": "New"}, one_segment_below=0)
    assert sum(n_rows) <= 10


def test_a_damaged_segment_is_named_when_titles_are_compared(toy: IndexFolder, tmp_path: Path) -> None:
    current = toy.open_current()
    path = current.segments[0].files.database
    files = DraftFiles(tmp_path / "new.db", tmp_path / "new.state")
    with (
        pytest.raises(CorruptError, match=rf"{path} can't be read: .*Run: engine verify --deep$"),
        Draft(files, 2, created(2), hash_prepared, read_published(current)) as draft,
    ):
        path.chmod(0o644)
        content = path.read_bytes()
        path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
        IdentityFinder(draft.connection, draft.base).find(GONE)


def test_records_are_found_together_as_one_by_one(toy: IndexFolder, add: Add, tmp_path: Path) -> None:
    title = "A trial of colchicine"
    rows: list[dict[str, object]] = [
        {"id": "N1", "pmid": "77", "doi": "10.1/ABC", "title": title, "abstract": "Gout.", "year": 2020},
        {"id": "N2", "doi": "10.1/def", "title": "Knees", "abstract": "Of men.", "year": 2021, "authors": ["Ann Lee"]},
        {"id": "N3", "title": "Hips", "abstract": "Of women.", "year": 2021},
        {"id": "N4", "title": "Hips", "abstract": "Of other women.", "year": 2021},
    ]
    add(*rows)
    decide(toy, DecisionKind.MERGE, ["toy-01", "N2"], "ann")
    apply_decisions(toy, order_of().settings, "duplicates", silent)
    generation = toy.open_current()
    with closing(open_corpus(generation)) as corpus:
        finder = IdentityFinder(corpus, words=generation.words)
        known = [finder.identify(doc_id) for doc_id in finder.source.read_ids().tolist()]  # type: ignore[union-attr]
        odd = [
            RecordIdentity(("gone", "N1"), title=title),  # by its second id
            RecordIdentity(("N1",), title="Quite another title"),  # the id, but not the title
            RecordIdentity(("N1",), pmid="78", title=title),  # the id, but not the PMID
            RecordIdentity(("x",), pmid="77"),
            RecordIdentity(("x",), doi="10.1/aBc", title="A TRIAL of colchicine"),
            RecordIdentity(("x",), doi="10.1/DEF", title="Knees"),  # a part
            RecordIdentity(("x",), title="knees", year=2021, author="Lee A"),  # by its text
            RecordIdentity(("x",), title="Hips", year=2021),  # of two alike none
            RecordIdentity((), title=""),
            RecordIdentity(("toy-02",), "77", "10.1/def", title="Knees"),  # three records: the PMID counts
        ]
        identities = [*known, *odd, *odd[::-1]]
        assert finder.find_all(identities) == [finder.find(each) for each in identities]
        assert finder.find_all([]) == []


def test_together_takes_as_many_queries_as_there_are_rules(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_corpus(toy.open_current())) as corpus:
        finder = IdentityFinder(corpus)
        known = [finder.identify(doc_id) for doc_id in corpus.read_ids().tolist()]
        queries: list[str] = []
        read = IdentityFinder.read
        monkeypatch.setattr(IdentityFinder, "read", lambda *given: queries.append(given[1]) or read(*given))
        assert finder.find_all(known) == corpus.read_ids().tolist()
        assert len(queries) <= 3
