"""References of EPPI-Reviewer with their codes."""

import json
from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract

EXPORT = Path(__file__).parents[2] / "data" / "reviews" / "eppi.json"


@pytest.mark.parametrize("indent", [None, 1])
def test_codes_become_labels_and_decisions(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "eppi.json"
    path.write_text(json.dumps(json.loads(EXPORT.read_text(encoding="utf-8")), indent=indent))
    assert check_source(path).name == "JSON"
    records = [entry for entry in read_source(path) if isinstance(entry, Abstract)]
    assert [(record.record_id, record.year, record.labels) for record in records] == [
        ("9001", 1991, ("Pilot",)), ("9002", 1992, ()), ("9003", 1993, ()), ("9004", 1994, ()),
    ]  # fmt: skip
    first, second, third, fourth = records
    assert (first.title, first.journal) == ("Colchicine in gout", "Invented Journal of Toys")
    assert first.authors == ("Toy1 Ada", "Example Béla") and first.publication_types == ("Journal, Article",)
    assert "decision: include" in first.other_tags and "ShortTitle: Toy1 (1991)" in first.other_tags
    assert {"decision: exclude", "exclusion_reason: EXCLUDE on design"} <= set(second.other_tags)
    assert "exclusion_reason: EXCLUDE on population" in third.other_tags
    assert not any(tag.startswith("decision") for tag in fourth.other_tags)


@pytest.mark.parametrize(
    "code_sets", ["[]", '[{"Attributes": 1}]', '[{"Attributes": {"AttributesList": [1, {"AttributeId": [2]}]}}]']
)
def test_odd_code_sets_cost_no_reference(tmp_path: Path, code_sets: str) -> None:
    path = tmp_path / "eppi.json"
    references = '[{"ItemId": 1, "Title": "Gout", "Codes": [1, {"AttributeId": [2]}, {"AttributeId": 3}]}]'
    path.write_text(f'{{"CodeSets": {code_sets},\n"References": {references}}}')
    (record,) = read_source(path)
    assert isinstance(record, Abstract) and record.title == "Gout"


def test_references_of_another_object_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"Title": "Gout",\n"References": [{"Title": "Cited"}]}')
    assert [entry.title for entry in read_source(path) if isinstance(entry, Abstract)] == ["Gout"]
