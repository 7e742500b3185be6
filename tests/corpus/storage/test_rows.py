import json

from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.storage.rows import build_row, dump_abstract, load_abstract
from engine.records.abstract import SOURCE_FIELDS, Abstract, Notice

ODD = ('a"b\\c', "tab\tline\nnull\0", "é 😀 \u2028 \ud800", "", "</script>\x7f")


def build(items: tuple[str, ...]) -> Abstract:
    return Abstract("a", "Gout", "", authors=items, mesh=items)


def read_authors(abstract: Abstract) -> object:
    return build_row(abstract)[SOURCE_FIELDS.index("authors")]


def test_lists_are_written_as_json_writes_them() -> None:
    for items in ((), ("",), ODD, (Notice.IS_ERRATUM, "plain")):
        assert read_authors(build(items)) == json.dumps(items, ensure_ascii=False)


@given(st.lists(st.text(st.characters())).map(tuple))
def test_any_list_comes_back(items: tuple[str, ...]) -> None:
    assert read_authors(build(items)) == json.dumps(items, ensure_ascii=False)
    assert load_abstract(dump_abstract(build(items))) == build(items)
