"""Exports read by other programs: every record arrives, with its title."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.references.citation import Cited
from engine.references.formats import write
from tests.references.found import BARE, FULL

pytestmark = pytest.mark.slow
TITLES = [FULL.title, BARE.title]


def export(path: Path) -> Path:
    write(path, [Cited(None, FULL), Cited(None, BARE)], "")
    return path


@pytest.mark.parametrize(("suffix", "kind"), [(".bib", "bibtex"), (".csl.json", "csljson")])
def test_pandoc(tmp_path: Path, suffix: str, kind: str) -> None:
    if not shutil.which("pandoc"):
        pytest.skip("pandoc is not installed")
    command = ["pandoc", "-f", kind, "-t", "csljson", str(export(tmp_path / f"a{suffix}"))]
    items = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert [item["title"] for item in items] == TITLES
    assert (items[0]["volume"], items[0]["page"]) == ("58", "253-258")


def test_biopython(tmp_path: Path) -> None:
    medline = pytest.importorskip("Bio.Medline", reason="biopython is not installed")
    with export(tmp_path / "a.nbib").open(encoding="utf-8") as file:
        records = list(medline.parse(file))
    assert [record["TI"] for record in records] == TITLES
    assert (records[0]["VI"], records[0]["PG"]) == ("58", "253-258")


def test_pybtex(tmp_path: Path) -> None:
    database = pytest.importorskip("pybtex.database", reason="pybtex is not installed")
    entries = database.parse_file(export(tmp_path / "a.bib")).entries.values()
    assert [entry.fields["title"] for entry in entries] == [f"{{{title}}}" for title in TITLES]
