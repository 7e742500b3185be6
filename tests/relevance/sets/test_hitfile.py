import io
import json
from pathlib import Path

import pytest

from engine.options import Query
from engine.records.answer import Answer, Hit
from engine.relevance.sets.hitfile import SUFFIXES, choose_writer


def hit(rank: int, name: str, score: float, title: str = "T", fused: float | None = None) -> Hit:
    return Hit(rank, name, score, title, "", None, "", (), None, None, False, fused=fused)


def written(suffix: str, *answers: Answer, raw: bool = False) -> list[str]:
    file = io.StringIO()
    writer = choose_writer(Path(f"a{suffix}"), file, raw=raw)
    for number, answer in enumerate(answers, 1):
        writer.write(f"q{number}", answer)
    return file.getvalue().splitlines()


def test_scores_of_a_run_fall_from_line_to_line() -> None:
    tied = Answer(Query("x", mode="semantic"), 1, (hit(1, "a b", 0.5), hit(2, "c", 0.5)), 2)
    fused = Answer(Query("x", mode="hybrid"), 1, (hit(1, "d", 0.1, fused=0.9), hit(2, "e", 0.95)), 2)
    lines = [line.split() for line in written(".trec", tied, fused)]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("q1", "a_b", "1"),
        ("q1", "c", "2"),
        ("q2", "d", "1"),
        ("q2", "e", "2"),
    ]
    scores = [float(line[4]) for line in lines]
    assert scores[0] == 0.5 > scores[1] > 0.499 and scores[2] == 0.9 and scores[3] == pytest.approx(-1.05)


def test_tables_are_safe_to_open_unless_raw() -> None:
    answer = Answer(Query("x"), 1, (hit(1, "a", 0.5, "=1+1\n2"),), 1)
    assert written(".csv", answer)[1] == "q1,1,a,0.5,,,'=1+1 2"
    assert written(".tsv", answer, raw=True)[1] == "q1\t1\ta\t0.5\t\t\t=1+1 2"


def test_each_suffix_has_its_writer() -> None:
    answer = Answer(Query("x"), 1, (hit(1, "a", 0.5),), 1)
    assert json.loads(written(".jsonl", answer)[0])["query_id"] == "q1"
    assert [len(written(suffix, answer)) for suffix in SUFFIXES] == [1, 1, 1, 2, 2]
