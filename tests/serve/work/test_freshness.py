import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.query.index import Index
from engine.reindex.generation.order import Report
from engine.serve.work import freshness
from engine.serve.work.freshness import compute_tag, has_tag
from tests.conftest import CURRENT

Add = Callable[..., Report]


def request(path: str = "/", query: str = "q=gout", held: str | None = None) -> Request:
    headers = [] if held is None else [(b"if-none-match", held.encode())]
    scope = {"type": "http", "method": "GET", "scheme": "http", "server": ("localhost", 8000), "headers": headers}
    return Request({**scope, "path": path, "query_string": query.encode()})


def tag(*indexes: Index, path: str = "/", query: str = "q=gout") -> str:
    return compute_tag(request(path, query), indexes, ())


def test_the_same_question_to_the_same_generation_has_the_same_tag() -> None:
    with open_index(CURRENT) as index, open_index(CURRENT) as other:
        assert tag(index) == tag(index) == tag(other) == tag(index.pin())
        assert re.fullmatch(r'"[0-9a-f]{32}"', tag(index))


def test_another_question_has_another_tag() -> None:
    with open_index(CURRENT) as index:
        tags = {
            tag(index, path=path, query=query)
            for path in ("/", "/map")
            for query in ("", "q=gout", "q=Gout", "q=gout&n=5")
        }
    assert len(tags) == 8


def test_another_index_has_another_tag(toy: IndexFolder) -> None:
    with open_index(CURRENT) as one, open_index(toy.path) as other:
        tags = [tag(), tag(one), tag(other), tag(one, other), tag(other, one)]
    assert len(set(tags)) == 5


def test_a_copy_elsewhere_has_another_tag(tmp_path: Path) -> None:
    with open_index(CURRENT) as one, open_index(shutil.copytree(CURRENT, tmp_path / "copy")) as other:
        assert one.manifest == other.manifest and tag(one) != tag(other)


def test_a_new_generation_has_another_tag_once_it_is_served(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path, follow=False) as index:
        before, old = tag(index), index.pin()
        add({"id": "new", "title": "Gout"})
        assert tag(index) == before
        index.refresh()
        assert tag(index) != before and tag(old) == before


def test_a_generation_that_takes_the_place_of_another_has_another_tag(
    toy: IndexFolder, add: Add, tmp_path: Path
) -> None:
    add({"id": "new", "title": "Gout"})  # another generation 2
    path = tmp_path / "toy"
    tags = []
    for origin in (CURRENT, toy.path):
        shutil.copytree(origin, path)
        with open_index(path) as index:
            assert index.generation == 2
            tags.append(tag(index))
        shutil.rmtree(path)
    assert tags[0] != tags[1]


def test_another_state_of_index_toml_has_another_tag(toy: IndexFolder) -> None:
    settings = toy.path / "index.toml"
    with open_index(toy.path) as index:
        tags = [tag(index)]
        for text in ("[hybrid]\nweight = 0.5\n", "[hybrid]\nweight = 0.25\n"):
            settings.write_text(text, encoding="utf-8")
            os.utime(settings, ns=(10**18, 10**18))  # its length alone tells it
            tags.append(tag(index))
        os.utime(settings, ns=(10**18, 10**18 + 1))
        tags.append(tag(index))
        settings.unlink()
        assert tag(index) == tags[0] and len(set(tags)) == 4


def test_another_version_of_the_engine_has_another_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(CURRENT) as index:
        before = tag(index)
        monkeypatch.setattr(freshness, "__version__", "0.0.0")
        assert tag(index) != before


def test_other_names_and_other_templates_have_another_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(CURRENT) as index:
        tags = [compute_tag(request(), [index], names) for names in ((), ("toy",), ("toy", "old"))]
        monkeypatch.setattr(freshness, "_hash_templates", lambda: "another")
        assert len({*tags, tag(index)}) == 4


def test_a_question_may_hold_anything() -> None:
    with open_index(CURRENT) as index:
        assert tag(index, path="/\ud800\x00é", query="q=%ff%00") != tag(index)


@pytest.mark.parametrize("held", ['"a"', 'W/"a"', '"b", "a"', ' "b" ,W/"a" ', '"a","b"'])
def test_a_client_says_what_it_holds(held: str) -> None:
    assert has_tag(request(held=held), '"a"')


@pytest.mark.parametrize("held", [None, "", "a", '"b"', '"aa"', '"A"', "W/a", '"W/a"', 'w/"a"'])
def test_a_client_holds_nothing_else(held: str | None) -> None:
    assert not has_tag(request(held=held), '"a"')


def test_what_the_mesh_tree_has_a_say_in_is_asked_anew() -> None:
    with open_index(CURRENT) as index:
        held = tag(index, query="q=gout&mesh_tree=Gout")
    assert not has_tag(request(query="q=gout&mesh_tree=Gout", held=held), held)
    assert has_tag(request(query="q=gout&mesh=Gout", held=held), held)
