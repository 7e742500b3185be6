"""Small files that are easily misread, with the records that must come out of each."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engine.collect.source import read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract

_DATA = Path(os.environ.get("ENGINE_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "cases"
_LINES = (_DATA / "expected.jsonl").read_text(encoding="utf-8").splitlines() if _DATA.is_dir() else []
CASES: dict[str, dict[str, Any]] = {case["file"]: case for case in map(json.loads, _LINES)}

# Files that are not read as expected yet. A file that is read as expected must not be listed here.
EXPECTED_WRONG: set[str] = set()


@pytest.mark.parametrize("file", CASES)
def test_case_is_read_as_expected(shared: Path, file: str) -> None:
    fault = find_fault(CASES[file], shared / "cases" / "files" / file)
    if file in EXPECTED_WRONG:
        assert fault, f"{file} is read as expected: remove it from EXPECTED_WRONG"
    else:
        assert not fault


def test_no_case_is_left_out(shared: Path) -> None:
    assert {path.name for path in (shared / "cases" / "files").iterdir()} == CASES.keys()
    assert CASES.keys() >= EXPECTED_WRONG


def find_fault(case: Mapping[str, Any], path: Path) -> str:
    """What is wrong with a file's records: "" if all of it is right."""
    try:
        abstracts = [entry for entry in read_source(path) if isinstance(entry, Abstract)]
    except SourceError as err:
        return "" if "refused" in case and is_right(str(err), case["refused"]) else f"refused: {err}"
    records = [asdict(entry) for entry in {entry.record_id: entry for entry in abstracts}.values()]  # one for each id
    if not records and "refused" in case:
        return "neither read nor refused"
    expected, left = list(case["records"]), list(records)
    for wanted in expected:
        match = next((one for one in left if all(is_right(one[key], value) for key, value in wanted.items())), None)
        if match is None:
            shown = [{key: one[key] for key in wanted} for one in left]
            return f"expected {wanted}\nleft of {len(records)} records: {shown}"
        left.remove(match)
    return f"{len(left)} records too many: {left}" if left else ""


def is_right(value: object, wanted: Any) -> bool:
    """Whether a value is the expected one, as the README of the cases defines it."""
    if isinstance(wanted, dict) and "any" in wanted:
        return any(is_right(value, choice) for choice in wanted["any"])
    if isinstance(wanted, dict):
        text = squeeze(str(value))
        return squeeze(wanted.get("has", "")) in text and not ("lacks" in wanted and squeeze(wanted["lacks"]) in text)
    if isinstance(wanted, list):
        return isinstance(value, list | tuple) and len(value) == len(wanted) and all(map(is_right, value, wanted))
    if not isinstance(wanted, str):
        return (value or None) is None if wanted is None else value == wanted
    if not isinstance(value, str):
        return False
    text, whole = squeeze(value), squeeze(wanted)
    return text.startswith(whole[:-1].rstrip()) if whole.endswith("…") else text == whole


def squeeze(text: str) -> str:
    """The text with every run of blanks as one."""
    return " ".join(text.split())
