"""The MeSH tree as NLM publishes it: mtreesYYYY.bin, a line "Gout;C05.550.114.423" for each place of a heading."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from engine.errors import ConfigError, SourceError, UsageError
from engine.files import read_text

NUMBER = re.compile(r"[A-Z][0-9]{2}(\.[0-9]+)*")
_MAX_BYTES = 50 << 20  # NLM's file has 3 MB
GET_IT = (
    "Download mtrees2026.bin from https://nlmpubs.nlm.nih.gov/projects/mesh/MESH_FILES/meshtrees/ "
    'and name it in index.toml: mesh_tree = "FILE"'
)
_N_SUGGESTED = 3


@dataclass(frozen=True, slots=True)
class MeshTree:
    """Headings by their tree numbers. A heading may stand in several places."""

    numbers: tuple[str, ...]  # ascending
    headings: tuple[str, ...]  # in the order of the numbers

    def list_headings_below(self, name_or_number: str) -> tuple[str, ...]:
        """A heading and all below it, wherever it stands, each once, in the order of the tree.

        Raises:
            UsageError: no such heading or tree number.
        """
        wanted = name_or_number.strip()
        places = zip(self.numbers, self.headings, strict=True)
        tops = [number for number, heading in places if heading.casefold() == wanted.casefold()]
        if not tops and wanted.upper() in self.numbers:
            tops = [wanted.upper()]
        if not tops:
            close = ", ".join(self.close_to(wanted)) or "none that is close"
            raise UsageError(
                f"{wanted[:80]!r} is neither a MeSH heading nor a tree number of the file that mesh_tree in index.toml "
                f"names. Close ones: {close}"
            )
        return tuple(dict.fromkeys(heading for top in tops for heading in self.walk_branch(top)))

    def walk_branch(self, number: str) -> Iterator[str]:
        """Yield the heading at a tree number, then those below it."""
        yield self.headings[bisect_left(self.numbers, number)]
        first = bisect_left(self.numbers, f"{number}.")
        yield from self.headings[first : bisect_left(self.numbers, f"{number}/")]  # "/" follows "."

    def close_to(self, name: str) -> list[str]:
        """Headings that may be meant: with the same words in another order first, then spelled alike."""
        known = {heading.casefold(): heading for heading in self.headings}
        words = _split_heading(name)
        same = [folded for folded in known if words and words <= _split_heading(folded)]
        alike = get_close_matches(name[:200].casefold(), known, _N_SUGGESTED)
        return [known[folded] for folded in dict.fromkeys((*sorted(same, key=len), *alike))][:_N_SUGGESTED]


def _split_heading(name: str) -> set[str]:
    """The words of a heading, in no order."""
    return set(re.findall(r"\w+", name.casefold()))


def read_mesh_tree(path: Path) -> MeshTree:
    """Read NLM's file.

    Raises:
        ConfigError: it can't be read, or is not such a file.
    """
    try:
        lines = read_text(path, _MAX_BYTES).split("\n")
    except SourceError as err:
        raise ConfigError(f"the MeSH tree can't be read: {err}. {GET_IT}") from err
    places = []
    for n, line in enumerate(lines, 1):
        heading, _, number = line.strip().rpartition(";")
        if heading.strip() and NUMBER.fullmatch(number.strip()):
            places.append((number.strip(), heading.strip()))
        elif line.strip():
            found = f"line {n} is {line.strip()[:60]!r}, expected a line like 'Gout;C05.550.114.423'"
            raise ConfigError(f"the MeSH tree {path}: {found}. {GET_IT}")
    if not places:
        raise ConfigError(f"the MeSH tree {path} is empty. {GET_IT}")
    numbers, headings = zip(*sorted(places), strict=True)
    return MeshTree(numbers, headings)
