"""A test set as an index of its own, so that its queries are asked as people ask theirs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.files import write_text
from engine.index.files import durable
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.progress import Progress
from engine.query.index import Index, open_index
from engine.records.encoder import EncoderIdentity
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import TestSet


@contextmanager
def index_test_set(
    test_set: TestSet, encoder: EncoderIdentity, models: Sequence[Path], device: str, progress: Progress
) -> Iterator[tuple[Index, Judgments]]:
    """Index the documents of a test set in a temporary folder, and open it; yield its judgments by the new ids, too.

    The documents are named by their places, since an id may look like that of a publication. models: the folders of
    the exported encoder and of the rerankers that the index gets, each named by its fingerprint.

    Raises:
        EngineError: the documents can't be indexed.
    """
    names = {document.id: f"d{place}" for place, document in enumerate(test_set.documents)}
    rows = (
        json.dumps({"id": names[one.id], "title": one.title, "abstract": one.body}) + "\n" for one in test_set.documents
    )
    grades = {
        query_id: {names.get(record_id, record_id): grade for record_id, grade in judged.items()}
        for query_id, judged in test_set.judgments.grades.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder, source = IndexFolder(Path(scratch, "set")), Path(scratch, "documents.jsonl")
        for model in models:
            durable.copy_folder(model, folder.get_encoder_path(model.name))
        write_text(source, rows, overwrite=False)
        index_sources(folder, Order((source,), IndexSettings(device=device), encoder=encoder), progress)
        with open_index(folder.path, follow=False) as index:
            yield index, replace(test_set.judgments, grades=grades)
