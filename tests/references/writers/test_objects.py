import json

from engine.records.abstract import Abstract
from engine.references.writers.objects import write_json_array, write_json_lines
from tests.references.found import BARE, FULL, cite, cite_all

KEYS = "rank id score title abstract year journal authors pmid doi retracted".split()
MORE = (
    "mesh publication_types keywords languages vernacular_title other_abstracts orcids notices volume issue pages issns "
    "published publisher place pmcid urls affiliations cited_ids databases accessions labels notes rights other_tags"
).split()


def test_an_array_and_lines_hold_the_same_objects() -> None:
    found = cite_all([FULL, BARE])
    array, lines = "".join(write_json_array(found, "")), "".join(write_json_lines(found, ""))
    objects = json.loads(array)
    assert objects == [json.loads(line) for line in lines.splitlines()]
    assert list(objects[1]) == KEYS + MORE
    assert objects[0]["notices"] == ["has an erratum", "is an expression of concern"]
    assert (objects[0]["retracted"], objects[1]["pmid"], objects[1]["authors"]) == (True, None, [])
    assert "Größe" in array


def test_scores_stand_between_hit_and_record() -> None:
    (line,) = write_json_lines([cite(BARE, fused=0.5, semantic_rank=1)], "")
    assert list(json.loads(line)) == [*KEYS, "fused", "semantic_rank", *MORE]


def test_nothing_is_still_json() -> None:
    assert (json.loads("".join(write_json_array([], ""))), "".join(write_json_lines([], ""))) == ([], "")


def test_an_object_is_one_line_to_every_reader() -> None:
    (line,) = write_json_lines([cite(Abstract("a", "a\x85b\u2028c\nd\x0ce", ""))], "")
    assert len(line.splitlines()) == 1 and json.loads(line)["title"] == "a\x85b\u2028c\nd\x0ce"
