"""The whole pipeline on the bundled sample with the real weights, and one golden number."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.verify import verify
from tests.conftest import SAMPLE

GOLDEN_NDCG_AT_10 = 0.8349  # mean over the 18 judged queries


def queries() -> dict[str, str]:
    lines = (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["text"] for row in map(json.loads, lines)}


def qrels() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    with (SAMPLE / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found.setdefault(row["query_id"], {})[row["doc_id"]] = int(row["relevance"])
    return found


def ndcg(ranking: list[str], grades: dict[str, int], k: int) -> float:
    """nDCG@k with gain = grade and discount 1/log2(rank + 1) (Järvelin & Kekäläinen 2002)."""
    gains = [grades.get(doc_id, 0) for doc_id in ranking[:k]]
    ideal = sorted(grades.values(), reverse=True)[:k]
    return dcg(gains) / dcg(ideal)


def dcg(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def test_ndcg_by_hand() -> None:
    assert ndcg(["a", "b"], {"a": 1}, 10) == 1
    assert ndcg(["b", "a"], {"a": 1}, 10) == pytest.approx(1 / math.log2(3))
    assert ndcg(["b"], {"a": 2}, 10) == 0


def test_the_sample_is_what_it_says() -> None:
    rows = [json.loads(line) for line in (SAMPLE / "abstracts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 120 and all(row["invented"] is True for row in rows)
    ids = {row["id"] for row in rows} | {f"PMID:9900000{n}" for n in range(1, 6)}
    assert len(queries()) >= 15 and queries().keys() == qrels().keys()
    assert all(doc_id in ids for grades in qrels().values() for doc_id in grades)


def test_some_queries_share_no_word_with_their_answer(sample: IndexFolder) -> None:
    with open_index(sample.path) as index:
        apart = 0
        for query_id, text in queries().items():
            for doc_id, grade in qrels()[query_id].items():
                record = index.get(doc_id)
                words = {word.strip(".,;:()?").lower()[:5] for word in f"{record.title} {record.abstract}".split()}
                asked = {word.strip(".,?").lower()[:5] for word in text.split() if len(word) > 4}
                apart += grade == 2 and not asked & words
    assert apart >= 5


def test_golden_ndcg(sample: IndexFolder) -> None:
    with open_index(sample.path) as index:
        runs = index.search_batch(list(queries().values()), top_k=10, mode="semantic")
    scores = [ndcg([hit.id for hit in hits], qrels()[q], 10) for q, hits in zip(queries(), runs, strict=True)]
    assert float(np.mean(scores)) == pytest.approx(GOLDEN_NDCG_AT_10, abs=5e-4)


def test_the_sample_index_is_sound(sample: IndexFolder) -> None:
    generation = sample.open_current()
    assert verify(sample, generation, deep=True) == []
    counts = generation.manifest.counts
    assert (counts.abstracts, counts.retracted, counts.without_abstract, counts.rejected) == (125, 1, 3, 0)
    assert counts.truncated >= 20


def test_every_record_comes_out_as_it_went_in(sample: IndexFolder) -> None:
    with open_index(sample.path) as index:
        for row in map(json.loads, (SAMPLE / "abstracts.jsonl").read_text(encoding="utf-8").splitlines()):
            found = index.get(row["id"])
            assert (found.title, found.abstract, found.year, list(found.authors)) == (
                row["title"],
                row["abstract"],
                row["year"],
                row["authors"],
            )
        assert len(index.search("retracted", top_k=125)) == 125
        assert index.get("PMID:99000004").retracted
        assert index.get("10.99999/invented.4").record_id == "PMID:99000004"


def test_the_snippet_of_an_older_model_card_runs(model_folder: Path) -> None:
    """The usage example of a card written by sentence-transformers 3.4, on our model folder."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder), device="cpu")
    sentences = [
        "..",
        "To investigate sicca symptoms in patients with rheumatoid arthritis (RA) with respect to constancy, temporal "
        "changes of prevalence, and possible risk factors.",
        "Clinical trials in early diffuse SSc have consistently shown a placebo group response with a declining modified "
        "Rodnan skin score (mRSS), with negative outcomes. Our objective was to identify strategies using clinical "
        "characteristics or laboratory values to improve trial design.",
    ]
    embeddings = model.encode(sentences)
    assert list(embeddings.shape) == [3, 384]
    similarities = model.similarity(embeddings, embeddings)
    assert list(similarities.shape) == [3, 3]
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Normalize"]
    assert model.max_seq_length == 256
    assert model[1].pooling_mode == "mean"
