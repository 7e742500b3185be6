"""The claims of the benchmark of rerankers, by hand."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "scripts"))
import bench_rerank


@pytest.mark.parametrize(
    ("conclusion", "claim"),
    [
        ("In conclusion, our results suggest that colchicine helps. It is cheap.", "Colchicine helps."),
        ("These findings indicate that gout hurts.", "Gout hurts."),
        ("We conclude that rest is best.", "Rest is best."),
        ("Colchicine may reduce pain (n = 9).", "Colchicine may reduce pain (n = 9)."),
    ],
)
def test_a_conclusion_becomes_a_claim(conclusion: str, claim: str) -> None:
    assert bench_rerank.claim_of(conclusion) == claim
