from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.collect.values.labels import split_labels
from engine.records.abstract import Abstract

NOTE = 'RAYYAN-INCLUSION: {"Ann"=>"Included"} | RAYYAN-LABELS: gout,to read | RAYYAN-EXCLUSION-REASONS: wrong outcome'
REST = 'RAYYAN-INCLUSION: {"Ann"=>"Included"} | RAYYAN-EXCLUSION-REASONS: wrong outcome'


@pytest.mark.parametrize(
    ("note", "rest", "labels"),
    [
        (NOTE, (REST,), ("gout", "to read")),
        ("RAYYAN-LABELS: gout", (), ("gout",)),
        ("mine | RAYYAN-LABELS: gout ,, b", ("mine",), ("gout", "b")),
        ("RAYYAN-LABELS: gout | mine", ("mine",), ("gout",)),
        ("mine\nRAYYAN-LABELS: gout\nmore", ("mine\n\nmore",), ("gout",)),
        ("RAYYAN-LABELS: | RAYYAN-INCLUSION: x", ("RAYYAN-INCLUSION: x",), ()),
        ("my labels: gout", ("my labels: gout",), ()),
    ],
)
def test_rayyans_labels_leave_their_note(note: str, rest: tuple[str, ...], labels: tuple[str, ...]) -> None:
    assert split_labels([note]) == (rest, labels)


@pytest.mark.parametrize(
    "content",
    [
        f"TY  - JOUR\nTI  - Knee\nN1  - {NOTE}\nER  - \n",
        'title,notes\nKnee,"' + NOTE.replace('"', '""') + '"\n',
        f"@article{{k, title = {{Knee}}, note = {{{NOTE.replace('{', '').replace('}', '')}}}}}",
        f"<xml><records><record><titles><title>Knee</title></titles><notes>{NOTE.replace('>', '&gt;')}</notes></record></records></xml>",
        '{"title": "Knee", "notes": "' + NOTE.replace('"', '\\"') + '"}\n',
    ],
)
def test_every_format_gives_the_same_labels(tmp_path: Path, content: str) -> None:
    path = tmp_path / "source"
    path.write_text(content)
    (found,) = read_source(path)
    assert isinstance(found, Abstract)
    assert (found.labels, len(found.notes)) == (("gout", "to read"), 1)
    assert found.notes[0].replace("{", "").replace("}", "") == REST.replace("{", "").replace("}", "")
