"""Names copied from a PDF select what the names themselves select."""

from collections.abc import Callable

import pytest

from engine import Filters, open_index
from engine.corpus.selection.spellings import list_copied_spellings
from engine.index.generations.folder import IndexFolder
from tests.conftest import Report

RECORD = {
    "id": "pdf",
    "title": "A",
    "journal": "Annals of the Rheumatic Diseases",
    "authors": ["Müller A"],
    "mesh": ["Arthritis, Rheumatoid"],
    "keywords": ["first-line"],
    "language": "eng",
    "notes": ["first efficacy"],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("journals", "Annals\u00a0of the Rheu\u00admatic Diseases"),
        ("journals", "Annals of the Rheu-\nmatic\r\n  Diseases "),
        ("journals", "\ufeffannals of the rheu\u200bmatic*"),
        ("journals", "Annals of the Rheu\u00ac\nmatic Diseases"),
        ("journals", "Annals of the Rheu\u00acmatic Diseases"),
        ("journals", "Annals of the Rheu\x02\r\nmatic Diseases\x00"),
        ("journals", "Annals of the Rheu\ufffematic Diseases"),
        ("authors", "Mu\u0308ller"),
        ("authors", "Mül\u00adler\u00a0A"),
        ("mesh", "Arthritis,\nRheumatoid"),
        ("keywords", "\ufb01rst-\nline"),
        ("languages", "eng\u200b"),
        ("notes", "\ufb01rst\u00a0e\ufb03cacy"),
    ],
)
def test_a_name_copied_from_a_pdf_selects_its_records(
    toy: IndexFolder, add: Callable[..., Report], field: str, value: str
) -> None:
    add(RECORD)
    with open_index(toy.path) as index:
        found = [one.record_id for one in index.abstracts(Filters(**{field: [value]}))]
    assert found == ["pdf"]


def test_a_plain_name_has_no_other_spelling_and_one_as_given_stands_first() -> None:
    assert list_copied_spellings(["Gout", "first-line"]) == ["Gout", "first-line"]
    assert list_copied_spellings(["Lancet\u00a0"]) == ["Lancet\u00a0", "Lancet"]
    assert list_copied_spellings(["Rheu-\nmatic"]) == ["Rheu-\nmatic", "Rheumatic", "Rheu-matic"]
    assert list_copied_spellings(["\u200b"]) == ["\u200b"]


@pytest.mark.parametrize(
    "copied", ["10.1000/\nab-1", "10.1000/ab\u20101", "\uff14\uff12", "\uff30\uff2d\uff29\uff24\uff1a42"]
)
def test_an_id_copied_from_a_pdf_names_its_record(toy: IndexFolder, add: Callable[..., Report], copied: str) -> None:
    add({**RECORD, "doi": "10.1000/ab-1", "pmid": "42"})
    with open_index(toy.path) as index:
        assert index.get(copied).record_id == "pdf"
