"""`engine suggest`: a search from known records."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from engine.reindex.generation.order import Report

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS = (
    {"id": "z1", "title": "Zorbing falls", "abstract": "Wristfold after zorbing.", "pmid": "9000001"},
    {"id": "z2", "title": "Wristfold in zorbers", "abstract": "They were zorbing."},
    {"id": "z3", "title": "Zorbing", "abstract": "A wristfold.", "doi": "10.1/z3"},
    {"id": "z4", "title": "Untold", "abstract": ""},
    {"id": "y1", "title": "Zorbing for fun", "abstract": "No injury."},
)
RIS = """TY  - JOUR
TI  - Zorbing falls
AN  - 9000001
ER  -

TY  - JOUR
TI  - Wristfold in zorbers
ER  -

TY  - JOUR
TI  - Not in any index
DO  - 10.1/absent
ER  -
"""


def test_a_search_is_built_from_a_list_or_an_export(engine: Run, add: Callable[..., Report], tmp_path: Path) -> None:
    add(*ROWS)
    listed, export = tmp_path / "known.txt", tmp_path / "known.ris"
    listed.write_text("9000001\nz2\n10.1/z3\nz4\nnope\n")
    export.write_text(RIS)
    done = engine("suggest", "--known", listed, "-i", "toy")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["known", "records", "term"]
    assert '3/4          4  "zorbing"[tiab]' in done.stdout
    assert "This search finds 3 of 4 known records among 3 of 45, and 3 of 4 if built without them:" in lines
    assert "PubMed:  wristfold[tiab]" in lines and "Ovid:  wristfold.ti,ab." in lines
    assert lines[-5:] == [
        "",
        "Missed:",
        "z4  Untold  [no abstract in the index, so its words may be in the full text only]",
        "",
        "Not in this index: nope",
    ]
    listed.write_text("9000001\nz2\n" + "".join(f"x{n}\n" for n in range(1, 24)))
    assert engine("suggest", "--known", listed, "-i", "toy").stdout.endswith(", x20 and 3 more: --json lists them\n")
    fields = json.loads(engine("suggest", "--known", export, "-i", "toy", "--json").stdout)
    assert [one["id"] for one in fields["known"]] == ["z1", "z2"] and fields["absent"] == ["DOI:10.1/absent"]
    assert fields["searches"][0]["lines"].keys() == {"PubMed", "Ovid", "Embase"}


def test_too_few_known_records_are_told(engine: Run, add: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("toy-01\n")
    done = engine("suggest", "--known", tmp_path / "one.txt", "-i", "toy")
    assert (done.returncode, done.stdout) == (2, "")
    assert "1 known record in the index, expected 2 to 200" in done.stderr
    assert engine("suggest", "-i", "toy").returncode == 2
