"""The MeSH tree, read from NLM's mtreesYYYY.bin: one line like "Gout;C05.550.114.423" per tree number."""

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
_MAX_BYTES = 50 << 20  # NLM's file is 3 MB
GET_IT = (
    "Download mtrees2026.bin from https://nlmpubs.nlm.nih.gov/projects/mesh/MESH_FILES/meshtrees/ "
    'and set it in index.toml: mesh_tree = "FILE"'
)
_N_SUGGESTED = 3


@dataclass(frozen=True, slots=True)
class MeshTree:
    """Headings by tree number. A heading may have several tree numbers."""

    numbers: tuple[str, ...]  # ascending
    headings: tuple[str, ...]  # in the order of the numbers

    def list_headings_below(self, name_or_number: str) -> tuple[str, ...]:
        """Return a heading and all headings below it, at all its tree numbers, each once, in tree order.

        Raises:
            UsageError: there is no such heading or tree number.
        """
        wanted = name_or_number.strip()
        places = zip(self.numbers, self.headings, strict=True)
        tops = [number for number, heading in places if heading.casefold() == wanted.casefold()]
        if not tops and wanted.upper() in self.numbers:
            tops = [wanted.upper()]
        if not tops:
            close = ", ".join(self.find_similar_headings(wanted)) or "none"
            raise UsageError(
                f"{wanted[:80]!r} is neither a MeSH heading nor a tree number in the mesh_tree file of index.toml. "
                f"Similar headings: {close}"
            )
        return tuple(dict.fromkeys(heading for top in tops for heading in self.walk_branch(top)))

    def walk_branch(self, number: str) -> Iterator[str]:
        """Yield the heading at a tree number, then those below it."""
        yield self.headings[bisect_left(self.numbers, number)]
        first = bisect_left(self.numbers, f"{number}.")
        yield from self.headings[first : bisect_left(self.numbers, f"{number}/")]  # "/" follows "."

    def find_similar_headings(self, name: str) -> list[str]:
        """Return up to 3 similar headings: first those with all words of a name, then those spelled alike."""
        folded_headings = {heading.casefold(): heading for heading in self.headings}
        words = _split_heading(name)
        with_words = [folded for folded in folded_headings if words and words <= _split_heading(folded)]
        spelled_alike = get_close_matches(name[:200].casefold(), folded_headings, _N_SUGGESTED)
        return [folded_headings[folded] for folded in dict.fromkeys((*sorted(with_words, key=len), *spelled_alike))][
            :_N_SUGGESTED
        ]


def _split_heading(name: str) -> set[str]:
    """Return the set of words of a heading."""
    return set(re.findall(r"\w+", name.casefold()))


def read_mesh_tree(path: Path) -> MeshTree:
    """Read NLM's file of the MeSH tree.

    Raises:
        ConfigError: the file can't be read, or has another format.
    """
    try:
        lines = read_text(path, _MAX_BYTES).split("\n")
    except SourceError as err:
        raise ConfigError(f"the MeSH tree can't be read: {err}. {GET_IT}") from err
    entries = []
    for n, line in enumerate(lines, 1):
        heading, _, number = line.strip().rpartition(";")
        if heading.strip() and NUMBER.fullmatch(number.strip()):
            entries.append((number.strip(), heading.strip()))
        elif line.strip():
            problem = f"line {n} is {line.strip()[:60]!r}, expected a line like 'Gout;C05.550.114.423'"
            raise ConfigError(f"the MeSH tree {path}: {problem}. {GET_IT}")
    if not entries:
        raise ConfigError(f"the MeSH tree {path} is empty. {GET_IT}")
    numbers, headings = zip(*sorted(entries), strict=True)
    return MeshTree(numbers, headings)
