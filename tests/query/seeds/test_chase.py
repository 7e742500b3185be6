"""Citations followed by hand, and against a graph of all records."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Index, open_index
from engine.corpus.storage.store import Corpus
from engine.errors import AbstractNotFoundError, UsageError
from engine.query.seeds.chase import Chase, ChaseRoute, _MissingWork, chase_citations, list_chase_fields
from engine.records.abstract import Abstract
from tests.conftest import Lasting, examples
from tests.corpus.drafts import opened, origin
from tests.corpus.segments import divide

ROWS = (
    {"id": "a", "title": "A", "pmid": "1", "references": ["PMID:2", "DOI:10.1000/c", "PMID:99", "Roe, 2001, J"]},
    {"id": "b", "title": "B", "pmid": "2", "references": ["doi: 10.1000/C", "PMID:99", "PMID:98", "Poe, PMID: 99"]},
    {"id": "c", "title": "C", "doi": "10.1000/c", "year": 2001, "references": ["PMID:1"]},
    {"id": "d", "title": "D", "references": ["PMID:2", "Poe, 2002"]},
    {"id": "e", "title": "E", "references": ["d"]},  # no id that other databases use
)


@pytest.fixture(scope="module")
def index(lasting: Lasting) -> Iterator[Index]:
    folder, add = lasting()
    add(*ROWS)
    with open_index(folder.path, follow=False) as opened_index:
        yield opened_index


def rows(chase: Chase) -> list[tuple[object, ...]]:
    return [(one.step, one.id, one.cited_by, one.cites) for one in chase.found]


def test_citations_are_followed_in_both_directions(index: Index) -> None:
    chase = index.chase(["1"])
    assert rows(chase) == [(1, "c", 1, 1), (1, "b", 1, 0)]
    assert (chase.n_records, chase.n_lists, chase.known, chase.absent) == (45, 5, ("a",), ())
    assert (chase.n_read, chase.n_read_lists, chase.n_references) == (1, 1, 4)
    assert (chase.n_inside, chase.n_outside, chase.n_unread) == (2, 1, 1)
    assert chase.missing == (_MissingWork("PMID:99", 1),)


def test_each_direction_alone_and_further_steps(index: Index) -> None:
    backward = index.chase(["2", "nope", "b"], forward=False)
    assert rows(backward) == [(1, "c", 1, None)]
    assert backward.missing == (_MissingWork("PMID:98", 1), _MissingWork("PMID:99", 1))  # once for each citing record
    assert (backward.n_references, backward.n_inside, backward.n_outside, backward.n_unread) == (4, 1, 3, 0)
    assert backward.absent == ("nope",)
    assert backward.notes == ("1 known record given again under another id, counted once",)
    forward = index.chase(["2"], backward=False, depth=2)
    assert rows(forward) == [(1, "a", None, 1), (1, "d", None, 1), (2, "c", None, 1)]
    assert (forward.n_read, forward.n_references, forward.missing) == (0, 0, ())
    assert rows(index.chase(["d"], depth=10)) == [(1, "b", 1, 0), (2, "a", 0, 1), (2, "c", 1, 0)]
    assert rows(index.chase(["toy-01"])) == [] and index.chase(["toy-01"]).n_read_lists == 0


def test_the_keys_of_a_chase_for_programs(index: Index) -> None:
    fields = list_chase_fields(index.chase(["1"]))
    assert fields["read"] == {
        "records": 1, "with_references": 1, "references": 4, "inside": 2, "missing": 1, "without_id": 1,
    }  # fmt: skip
    assert fields["found"][0] == {
        "id": "c", "title": "C", "year": 2001, "journal": "", "step": 1, "cited_by": 1, "cites": 1,
    }  # type: ignore[index] # fmt: skip
    assert fields["missing"] == [{"id": "PMID:99", "cited_by": 1}]


@pytest.mark.parametrize(
    ("known", "choice", "message"),
    [
        ("a", {}, "known is 'a', expected a list"),
        ([], {}, "expected a list of PMIDs, DOIs or record ids"),
        (["a"], {"backward": False, "forward": False}, "expected one of them or both"),
        (["a"], {"depth": 0}, "depth is 0, expected a whole number from 1 to 10"),
        (["a"], {"depth": 11}, "depth is 11, expected"),
    ],
)
def test_wrong_questions_are_refused(index: Index, known: Sequence[str], choice: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        index.chase(known, **choice)  # type: ignore[arg-type]


def test_known_records_of_another_index_are_told(index: Index) -> None:
    with pytest.raises(AbstractNotFoundError, match="none of 2 known records is in this index: PMID:5, PMID:6"):
        index.chase(["PMID:5", "PMID:6"])


WORKS = 7  # works 0 to 6; the first few are records
SPELLINGS = (
    "PMID:70{0}",
    "DOI:10.1000/W{0}",
    "Roe, 200{0}, J, DOI 10.1000/w{0}",
    "W90{0}",
    "Roe 200{0}",
    "doi.org/10.1000/w{0}",
)
Reference = tuple[int, int]  # work, spelling


def build_record(number: int, kind: int, references: Sequence[Reference]) -> Abstract:
    """A record of a work that has a PMID, a DOI, both, or is of OpenAlex."""
    record = Abstract(f"W90{number}" if kind == 3 else f"r{number}", f"Title {number}", "Text")
    record = replace(record, pmid=f"70{number}" if kind in (0, 2) else None, doi=f"10.1000/w{number}" if kind else None)
    return replace(record, cited_ids=tuple(SPELLINGS[spelling].format(work) for work, spelling in references))


def is_named(kind: int, spelling: int) -> bool:
    """Whether a spelling names a record of this kind."""
    return {0: kind in (0, 2), 3: kind == 3, 4: False}.get(spelling, kind in (1, 2, 3))


def name_missing(work: int, spelling: int) -> str:
    """The id under which a work that is not found is listed; "" if it has none."""
    return {0: f"PMID:70{work}", 3: f"W90{work}", 4: ""}.get(spelling, f"DOI:10.1000/w{work}")


def chase_by_hand(
    kinds: Sequence[int], lists: Sequence[Sequence[Reference]], known: set[int], route: ChaseRoute
) -> tuple[list[tuple[int, int, int | None, int | None]], Counter[str], tuple[int, int, int]]:
    """The records found, the missing works, and the counts of references, from the whole graph."""
    edges = {
        (n, work) for n, items in enumerate(lists) for work, spelling in items
        if work < len(kinds) and work != n and is_named(kinds[work], spelling)
    }  # fmt: skip
    seen, edge, found = set(known), set(known), []
    missing, inside, outside, unread = Counter[str](), 0, 0, 0
    for step in range(1, route.steps + 1):
        cited = Counter(to for of, to in edges if of in edge) if route.backward else Counter()
        citing = Counter(of for of, to in edges if to in edge) if route.forward else Counter()
        for n in edge if route.backward else ():
            named = [
                name_missing(*one) for one in lists[n] if one[0] >= len(kinds) or not is_named(kinds[one[0]], one[1])
            ]
            unread += named.count("")
            outside += len(named) - named.count("")
            inside += len(lists[n]) - len(named)
            missing.update(set(named) - {""})
        edge = (cited.keys() | citing.keys()) - seen
        seen |= edge
        order = sorted(edge, key=lambda n: (-cited[n] - citing[n], n))
        found += [(step, n, cited[n] if route.backward else None, citing[n] if route.forward else None) for n in order]
    return found, missing, (inside, outside, unread)


REFERENCES = st.lists(st.tuples(st.integers(0, WORKS - 1), st.integers(0, len(SPELLINGS) - 1)), max_size=5)


@examples(0.5)
@given(
    kinds=st.lists(st.integers(0, 3), min_size=1, max_size=5), lists=st.lists(REFERENCES, min_size=5, max_size=5),
    known=st.sets(st.integers(0, 4), min_size=1), n_segments=st.integers(1, 3),
    direction=st.sampled_from([(True, True), (True, False), (False, True)]), steps=st.integers(1, 3),
)  # fmt: skip
def test_a_chase_is_that_of_the_whole_graph(
    kinds: list[int],
    lists: list[list[Reference]],
    known: set[int],
    n_segments: int,
    direction: tuple[bool, bool],
    steps: int,
) -> None:
    route = ChaseRoute(*direction, steps)
    known = {n % len(kinds) for n in known}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "abstracts.db")
        with opened(path, 1) as draft:
            for n, kind in enumerate(kinds):
                draft.intake.put(build_record(n, kind, lists[n]), origin(1))
        segments, state = divide(path, Path(place), n_segments, Random(len(kinds)))
        with closing(Corpus(segments, state)) as corpus:
            manifest = SimpleNamespace(generation=1, counts=SimpleNamespace(abstracts=len(kinds)))
            names = [build_record(n, kind, ()).record_id for n, kind in enumerate(kinds)]
            snapshot = SimpleNamespace(corpus=corpus, manifest=manifest)
            chase = chase_citations(snapshot, [names[n] for n in known], route)  # type: ignore[arg-type]
    found, missing, counts = chase_by_hand(kinds, lists[: len(kinds)], known, route)
    assert [(one.step, names.index(one.id), one.cited_by, one.cites) for one in chase.found] == found
    assert {work.id: work.cited_by for work in chase.missing} == missing
    assert (chase.n_inside, chase.n_outside, chase.n_unread) == counts
    assert chase.n_references == sum(counts) and chase.n_lists == sum(map(bool, lists[: len(kinds)]))
