"""Questions are encoded as questions and records as records, by every caller: they may have other prompts or weights."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the [cpu] extra")

from engine import Query, open_index
from engine.encode.execution.onnx import OnnxEncoder
from engine.index.generations.folder import IndexFolder
from engine.query.index import Index
from engine.records.encoder import Encoded
from engine.reindex.runs.run import index_sources
from engine.relevance.scoring.exhaustive import search_documents
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetText, TestSet
from tests.conftest import jsonl, order_of, silent
from tests.encode.kinds import with_settings

WORDS = "gout knee pain lupus diet asthma migraine bone wine meat".split()
ROWS = [
    {
        "id": f"r{n}",
        "title": f"Title {WORDS[n % 10]} number{n}",
        "abstract": f"Body of {WORDS[n % 7]} first. Body of {WORDS[n % 3]} last {n}.",
    }
    for n in range(30)
]


class Heard:
    """What the encoder was given since it was last asked."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.documents: list[str] = []

    def take(self) -> tuple[list[str], list[str]]:
        """Return and forget the questions and the records."""
        taken = self.queries, self.documents
        self.queries, self.documents = [], []
        return taken


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    """What goes to each side of every encoder of this module."""
    heard, patch = Heard(), pytest.MonkeyPatch()

    def listen(name: str, texts: Callable[[], list[str]]) -> None:
        real = getattr(OnnxEncoder, name)

        def note(self: OnnxEncoder, given: Sequence[str]) -> Encoded:
            texts().extend(given)
            found: Encoded = real(self, given)
            return found

        patch.setattr(OnnxEncoder, name, note)

    listen("encode", lambda: heard.documents)
    listen("encode_queries", lambda: heard.queries)
    yield heard
    patch.undo()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, heard: Heard) -> tuple[Path, list[str], list[str]]:
    """An index of a model with prompts, and what was encoded to make it."""
    place = tmp_path_factory.mktemp("sides")
    with_settings(prompts={"query": "query: ", "document": "passage: "})(place / "model")
    folder = IndexFolder(place / "indexes" / "sides")
    heard.take()
    index_sources(folder, order_of(jsonl(place / "rows.jsonl", ROWS), model=str(place / "model")), silent)
    return folder.path, *heard.take()


@pytest.fixture
def index(built: tuple[Path, list[str], list[str]], heard: Heard) -> Iterator[Index]:
    with open_index(built[0]) as index:
        index.load_encoder()
        heard.take()
        yield index


def test_a_build_encodes_records_as_records_and_measures_with_questions(
    built: tuple[Path, list[str], list[str]],
) -> None:
    _, queries, documents = built
    whole = {f"{row['title']}. {row['abstract']}" for row in ROWS}
    assert whole <= set(documents) and not whole & set(queries)
    titles = {row["title"] for row in ROWS}  # calibration
    assert titles <= set(queries) and not titles & set(documents)
    assert any(text.startswith("Body of") for text in queries)  # sentences, for verdicts
    assert not any(text.startswith("Body of") for text in documents)


@pytest.mark.parametrize("mode", ["semantic", "hybrid", "keyword"])
def test_a_question_is_a_question_and_its_sentences_are_of_records(index: Index, heard: Heard, mode: str) -> None:
    index.ask(Query("gout and diet", mode=mode, top_k=3))  # type: ignore[arg-type]
    assert heard.take() == (["gout and diet"], [])
    hits = index.ask(Query("gout and diet", mode=mode, top_k=3, explain=True)).hits  # type: ignore[arg-type]
    queries, sentences = heard.take()
    assert queries == ["gout and diet"] and {f"{hits[0].abstract.partition('.')[0]}."} <= set(sentences)


def test_every_other_search_has_a_question_or_stored_vectors_alone(index: Index, heard: Heard) -> None:
    index.nearest("gout AND diet")
    index.search_batch(["knee pain", "lupus"])
    index.encode(["asthma"])
    index.recall(Query("wine"), ["r1"])
    index.locate(Query("meat"), ["r1"])
    index.ask(Query("bone", feedback=True, like=("r1",)))
    queries, documents = heard.take()
    assert set(queries) == {"gout AND diet", "knee pain", "lupus", "asthma", "wine", "meat", "bone"} and not documents
    index.similar("r1")
    index.similar(["r1", "r2"], unlike=["r3"])
    assert heard.take() == ([], [])


def test_a_test_set_has_questions_and_records(index: Index, heard: Heard) -> None:
    items = TestSet("s", (SetText("d", "Gout hurts."),), (SetText("q", "gout?"),), Judgments({"q": {"d": 1}}))
    search_documents(index.load_encoder(), items)
    assert heard.take() == (["gout?"], ["Gout hurts."])


def test_the_vectors_of_both_sides_differ_and_hits_compare_one_with_the_other(index: Index) -> None:
    encoder = index.load_encoder()
    text = f"{ROWS[4]['title']}. {ROWS[4]['abstract']}"
    asked, stored = encoder.encode_queries([text]).vectors[0], encoder.encode([text]).vectors[0]
    assert float(asked @ stored) < 0.9999
    hits = {hit.id: hit.score for hit in index.nearest(text, 30)}
    assert hits["r4"] == pytest.approx(float(asked @ stored), abs=1e-5)
    assert {hit.id: hit.score for hit in index.similar("r5", top_k=30)}["r4"] == pytest.approx(
        float(encoder.encode([f"{ROWS[5]['title']}. {ROWS[5]['abstract']}"]).vectors[0] @ stored), abs=1e-5
    )
