import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SourceError
from engine.relevance.sets.runs import Ranked, Run, read_run, write_run

LINES = ["1 Q0 a 1 0.9 tag", "1 Q0 b 2 0.5 tag", "2 Q0 a 1 -3.5 tag"]


def run_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "a.trec"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ids(run: Run, query_id: str) -> list[str]:
    return [one.record_id for one in run.rankings[query_id]]


def test_a_run_is_read(tmp_path: Path) -> None:
    expected = Run("tag", {"1": (Ranked("a", 0.9), Ranked("b", 0.5)), "2": (Ranked("a", -3.5),)})
    assert read_run(run_file(tmp_path, *LINES)) == expected
    (tmp_path / "b.trec.gz").write_bytes(gzip.compress("\n".join(LINES).encode()))
    assert read_run(tmp_path / "b.trec.gz") == expected


def test_ranks_order_a_ranking_and_lines_where_ranks_are_equal(tmp_path: Path) -> None:
    assert ids(read_run(run_file(tmp_path, "1 Q0 b 2 0.5 t", "2 Q0 z 1 1 t", "1 Q0 a 1 0.9 t")), "1") == ["a", "b"]
    assert ids(read_run(run_file(tmp_path, "1 Q0 z 0 7 t", "1 Q0 b 0 7 t", "1 Q0 a 0 7 t")), "1") == ["z", "b", "a"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["1 Q0 a 1 0.9 t", "1 Q0 b 2 0.8 t", "1 Q0 a 3 0.7 t"],
            "line 3: record 'a' is already ranked for query '1' on line 1",
        ),
        (["1 Q0 a 1 nan t"], "line 1: the score is 'nan', expected a finite number"),
        (["1 Q0 a 1 inf t"], "line 1: the score is 'inf'"),
        (["1 Q0 a 1 0.5 t", "1 Q0 b 2 0.6 t"], "line 2: rank 2 has the score 0.6, rank 1 on line 1 has 0.5"),
        (["1 Q0 a 1 0.5 t", "1 Q0 b 2 high t"], "line 2: rank '2' and score 'high', expected numbers"),
        (["1 Q0 a first 0.5 t"], "line 1: rank 'first' and score"),
        (["1 Q0 a 1 0.5"], "line 1: found .*, expected six columns"),
        ([""], "is empty"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_run(run_file(tmp_path, *lines))


WORDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=5)
RANKINGS = st.dictionaries(
    WORDS, st.lists(st.tuples(WORDS, st.floats(-1, 40)), min_size=1, unique_by=lambda p: p[0]), max_size=3
)


@given(WORDS, RANKINGS.filter(bool))
def test_what_is_written_is_read_in_its_order_with_falling_scores(
    tmp_path_factory: pytest.TempPathFactory, name: str, rankings: dict[str, list[tuple[str, float]]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / "run.trec"
    run = Run(
        name, {q: tuple(Ranked(*pair) for pair in pairs) for q, pairs in rankings.items()}
    )  # in any order of scores
    write_run(run, path)
    found = read_run(path)
    assert found.name == name and found.rankings.keys() == rankings.keys()
    for query_id, ranking in found.rankings.items():
        assert [one.record_id for one in ranking] == [record_id for record_id, _ in rankings[query_id]]
        scores = [one.score for one in ranking]
        assert all(better > worse for better, worse in zip(scores, scores[1:], strict=False))


def test_scores_that_fall_are_written_as_they_are(tmp_path: Path) -> None:
    write_run(Run("a b", {"q 1": (Ranked("DOI:10.1/a b", 0.25), Ranked("x", 0.25), Ranked("y", -0.5))}), tmp_path / "r")
    assert (tmp_path / "r").read_text(encoding="utf-8").splitlines() == [
        "q_1 Q0 DOI:10.1/a_b 1 0.250000 a_b",
        "q_1 Q0 x 2 0.249999 a_b",
        "q_1 Q0 y 3 -0.500000 a_b",
    ]
