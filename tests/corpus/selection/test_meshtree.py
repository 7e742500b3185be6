from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.selection.meshtree import MeshTree, read_mesh_tree
from engine.errors import ConfigError, UsageError

LINES = """Body Regions;A01
Joint Diseases;C05.550
Arthritis;C05.550.114
Arthritis, Rheumatoid;C05.550.114.154
Gout;C05.550.114.423
Arthritis, Gouty;C05.550.114.423.410
Chondrocalcinosis;C05.550.1145
Rheumatic Diseases;C05.799
Gout;C05.799.414
Tophi, Invented;C05.799.414.500
Arthritis, Gouty;C05.799.414.410
Sjögren's Syndrome, Invented;C05.799.900
"""


@pytest.fixture
def tree(tmp_path: Path) -> MeshTree:
    path = tmp_path / "mtrees2026.bin"
    path.write_text(LINES, encoding="utf-8")
    return read_mesh_tree(path)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Body Regions", ["Body Regions"]),
        ("Gout", ["Gout", "Arthritis, Gouty", "Tophi, Invented"]),  # below both of its places, each once
        (" gOUT ", ["Gout", "Arthritis, Gouty", "Tophi, Invented"]),
        ("C05.550.114.423", ["Gout", "Arthritis, Gouty"]),  # below this place alone
        ("c05.550.114", ["Arthritis", "Arthritis, Rheumatoid", "Gout", "Arthritis, Gouty"]),  # not C05.550.1145
        (
            "C05.799",
            ["Rheumatic Diseases", "Gout", "Arthritis, Gouty", "Tophi, Invented", "Sjögren's Syndrome, Invented"],
        ),
        ("SJÖGREN'S syndrome, invented", ["Sjögren's Syndrome, Invented"]),
    ],
)
def test_headings_below(tree: MeshTree, asked: str, expected: list[str]) -> None:
    assert list(tree.list_headings_below(asked)) == expected


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ("Gouti", "'Gouti' is neither a MeSH heading nor a tree number .* Similar headings: Gout$"),
        ("rheumatoid arthritis", "Similar headings: Arthritis, Rheumatoid"),
        ("C05.550.114.4", "'C05.550.114.4' is neither"),
        ("C05", "'C05' is neither"),
        ("", "'' is neither .* Similar headings: none"),
        ("Gout*", "Similar headings: Gout"),
        ("\udc80" * 5000, "Similar headings: none"),
    ],
)
def test_names_that_are_not_in_the_tree(tree: MeshTree, asked: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        tree.list_headings_below(asked)


@pytest.mark.parametrize(
    "text", [LINES.replace("\n", "\r\n"), "\ufeff" + LINES, LINES.replace("\n", "\n\n"), LINES.replace(";", " ; ")]
)
def test_line_ends_marks_and_spaces_do_not_matter(tree: MeshTree, tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(text.encode())
    assert read_mesh_tree(path) == tree


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty. Download mtrees2026.bin from https://nlmpubs"),
        (b"\n \n", "is empty"),
        (b"Gout;C05\n<xml>\n", "line 2 is '<xml>', expected a line like 'Gout;C05.550.114.423'"),
        (b"Gout;5.550\n", "line 1 is 'Gout;5.550'"),
        (b"Gout;C05.\n", "line 1 is"),
        (b";C05\n", "line 1 is ';C05'"),
        (b"\x1f\x8b\x08\xff", "gzip data"),
    ],
)
def test_invalid_trees(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "tree.bin"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=match) as caught:
        read_mesh_tree(path)
    assert str(path) in str(caught.value)
    assert 'mesh_tree = "FILE"' in str(caught.value)


def test_a_missing_or_too_large_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="can't be read: .*none.bin: no such file"):
        read_mesh_tree(tmp_path / "none.bin")
    with pytest.raises(ConfigError, match="can't be read: .* is a folder"):
        read_mesh_tree(tmp_path)
    path = tmp_path / "mtrees.bin"
    path.write_text(LINES, encoding="utf-8")
    monkeypatch.setattr("engine.corpus.selection.meshtree._MAX_BYTES", 20)
    with pytest.raises(ConfigError, match="has more than 20 bytes"):
        read_mesh_tree(path)


numbers = st.lists(st.sampled_from(("1", "11", "100", "2")), max_size=3).map(lambda parts: ".".join(("C05", *parts)))


@given(st.dictionaries(numbers, st.sampled_from(("Gout", "Arthritis", "Beer", "Humans")), min_size=1))
def test_headings_below_share_the_tree_number_of_the_heading(places: dict[str, str]) -> None:
    order = sorted(places)
    tree = MeshTree(tuple(order), tuple(places[number] for number in order))
    for number in order:
        below = [places[other] for other in order if f"{other}.".startswith(f"{number}.")]
        assert tree.list_headings_below(number) == tuple(dict.fromkeys(below))
        tops = [other for other in order if places[other] == places[number]]
        expected = {places[other] for other in order if any(f"{other}.".startswith(f"{top}.") for top in tops)}
        assert set(tree.list_headings_below(places[number])) == expected
