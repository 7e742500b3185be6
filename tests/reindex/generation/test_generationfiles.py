"""The current generation as a run opens it."""

import pytest

from engine.index.generations.folder import IndexFolder
from engine.index.search import flat
from engine.reindex.generation.generationfiles import open_current_vectors


def test_the_vectors_of_published_segments_are_opened_without_reading_their_ids(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat, "check_order", lambda *_: pytest.fail("all ids were read"))
    assert open_current_vectors(toy.open_current()).size == 40
