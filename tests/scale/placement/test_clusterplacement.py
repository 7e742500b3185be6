"""Generations are placed on the nodes before they become current, and dropped when they are kept no longer."""

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import open_index
from engine.errors import ClusterError, GenerationError
from engine.index.generations import publish
from engine.index.generations.folder import IndexFolder
from engine.index.search import layout
from engine.index.search.flat import FlatIndex
from engine.options import Query
from engine.query.index import open_index as open_locally
from engine.reindex.generation.order import Report
from engine.reindex.runs.rollback import roll_back
from engine.scale.placement.clusterplacement import ClusterPlacement
from engine.scale.ranking.cluster import ClusterSettings
from tests.conftest import Command, Lasting
from tests.scale.ranking.test_cluster import wait_for, write_settings

GOUT = Query("gout", mode="semantic")


@pytest.fixture(scope="module")
def made(lasting: Lasting, nodes: Any) -> Iterator[tuple[IndexFolder, Callable[..., Report], ClusterPlacement]]:
    """An index, what adds to it and places it, and what places."""
    folder, add = lasting()
    write_settings(folder.path, nodes.address, folder.path)
    placement = ClusterPlacement(ClusterSettings(nodes.address, str(folder.path)))
    wait_for(lambda: open_index(folder.path)).close()
    yield folder, partial(add, placement=placement, one_segment_below=1), placement


def held(placement: ClusterPlacement) -> dict[tuple[int, str], set[str]]:
    """The nodes that hold each segment of each generation."""
    cluster = placement._get_cluster()
    found: dict[tuple[int, str], set[str]] = {}
    for node, segments in cluster.call(dict.fromkeys(cluster.list_holders(), ("list_held", ()))).items():
        for one in segments:
            assert one.n_bytes > 0
            found.setdefault((one.key.number, one.name), set()).add(node)
    return found


def test_each_segment_is_held_by_its_nodes_before_the_generation_is_current(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, add, placement = made
    seen: list[tuple[int, dict[tuple[int, str], set[str]]]] = []
    point_to = publish.point_to

    def look(folder: IndexFolder, number: int) -> None:
        seen.append((folder.read_pointer(), held(placement)))
        point_to(folder, number)

    monkeypatch.setattr(publish, "point_to", look)
    number = add({"id": "one", "title": "Gout once"}).generation
    ((before, nodes_of),) = seen
    assert before == number - 1
    cluster = placement._get_cluster()
    for entry in folder.open_current(quick=True).manifest.segments:
        assert nodes_of[number, entry.name] == set(cluster.choose_nodes(entry.name)[:2])
    assert placement.find_problems(folder.open_current()) == []


def test_a_generation_that_a_node_sees_otherwise_is_not_published(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement], nodes: Any, tmp_path: Path
) -> None:
    folder, add, _ = made
    storage = tmp_path / "storage"
    shutil.copytree(folder.path, storage)
    number = folder.read_current()
    other = ClusterPlacement(ClusterSettings(nodes.address, str(storage)))
    wait_for(lambda: other.place(folder.open_current()))  # type: ignore[arg-type, return-value]
    with pytest.raises(
        ClusterError, match=r"node \w{8} at .* does not hold segment \S+ of generation .*CURRENT was not"
    ):
        add({"id": "two", "title": "Gout twice"}, placement=other)
    assert (folder.read_current(), folder.list_numbers()[-1]) == (number, number)
    assert {key for key, _ in held(other)} == {number}


def test_a_pinned_reader_of_a_dropped_generation_gets_an_error(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement],
) -> None:
    folder, add, placement = made
    with open_index(folder.path, generation=(old := folder.read_current())) as pinned:
        assert pinned.ask(GOUT).hits
        new = add({"id": "three", "title": "Gout thrice"}, keep_generations=1).generation
        assert {key for key, _ in held(placement)} == {new} and folder.list_numbers() == [new]
        with pytest.raises(GenerationError, match=f"generation {old:06d} is no longer kept"):
            pinned.ask(GOUT)
    with open_index(folder.path) as index:
        assert index.ask(GOUT).generation == new


def test_going_back_checks_what_the_nodes_hold_first(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement], nodes: Any, tmp_path: Path
) -> None:
    folder, add, placement = made
    old = folder.read_current()
    new = add({"id": "four", "title": "Gout again"}).generation
    elsewhere = ClusterPlacement(ClusterSettings(nodes.address, str(tmp_path)))
    with pytest.raises(ClusterError, match=f"of generation {old:06d}"):
        roll_back(folder, None, elsewhere)
    assert folder.read_current() == new
    assert roll_back(folder, None, placement) == folder.read_current() == old
    placement.drop(folder, [old])
    assert {key for key, _ in held(placement)} == {old}


def test_fewer_nodes_than_copies_are_refused(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement], nodes: Any
) -> None:
    folder, _, _ = made
    many = ClusterPlacement(ClusterSettings(nodes.address, str(folder.path), copies=9))
    with pytest.raises(ClusterError, match="has 3 of the 9 nodes that must hold each segment"):
        many.place(folder.open_current())


@pytest.mark.slow
def test_nodes_copy_what_they_search_from_an_object_store(lasting: Lasting, nodes: Any, tmp_path: Path) -> None:
    folder, add = lasting()
    storage = (tmp_path / "store").as_uri()
    placement = ClusterPlacement(ClusterSettings(nodes.address, storage))
    wait_for(lambda: placement.place(folder.open_current()))  # type: ignore[arg-type, return-value]
    for text in ("Gout once", "Gout twice"):
        add({"id": text, "title": text}, placement=placement, one_segment_below=1, keep_generations=1)
    settings = f'backend = "ray"\n[ray]\naddress = "{nodes.address}"\nstorage = "{storage}"\n'
    (folder.path / "index.toml").write_text(settings)
    with open_locally(folder.path) as here, open_index(folder.path) as there:
        assert len(there.manifest.segments) == 3
        assert there.ask(GOUT) == here.ask(GOUT)
        kept = [f"{there.manifest.generation:06d}"]
    assert sorted(path.name for path in (tmp_path / "store" / "generations").iterdir()) == kept
    names = sorted(path.relative_to(tmp_path / "store").as_posix() for path in (tmp_path / "store").rglob("*.*"))
    assert [name for name in names if not name.endswith(("vectors.faiss", ".json"))] == []


def test_a_deep_check_finds_a_changed_a_missing_and_a_foreign_row_on_a_node(
    lasting: Lasting, nodes: Any, tmp_path: Path, engine: Command
) -> None:
    folder, _ = lasting()
    manifest = folder.open_current(quick=True).manifest
    storage, name, dim = tmp_path / "storage", manifest.segments[0].name, manifest.encoder.dim
    shutil.copytree(folder.path, storage)
    write_settings(folder.path, nodes.address, storage)
    place = ("-i", "toy", "--indexes", str(folder.path.parent))
    sound = engine("verify", "--deep", *place)
    assert "what the nodes hold agree" in sound.stdout, sound.stderr
    path = IndexFolder(storage).get_segment_files(name).vectors
    ids, vectors = (index := FlatIndex(path, dim)).doc_ids.copy(), np.array(index.vectors)
    changed = vectors.copy()
    changed[7] = vectors[8]
    for other_ids, other in ((ids, changed), (ids[:-1], vectors[:-1]), (np.append(ids, 99), vectors[[*ids - 1, 0]])):
        path.unlink()
        layout.write_file(path, other_ids, dim, iter([other]))
        found = engine("verify", "--deep", *place)
        assert found.returncode == 3
        assert len(re.findall(rf"node \w{{8}} at \S+, segment {name}: \S+vectors.faiss", found.stderr)) == 2
