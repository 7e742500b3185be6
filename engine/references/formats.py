"""Write hits to a file in the format that its suffix names: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine import files
from engine.errors import UsageError
from engine.references.bibtex import write_bibtex
from engine.references.citation import Cited
from engine.references.markdown import write_markdown
from engine.references.medline import write_medline
from engine.references.objects import write_json_array, write_json_lines
from engine.references.ris import write_ris
from engine.references.table import write_delimited
from engine.references.workbook import write_workbook

_Pieces = Callable[[Sequence[Cited], str], Iterator[str]]  # of a text, from hits and a line about the search

_TEXTS: dict[str, _Pieces] = {
    ".ris": write_ris,
    ".nbib": write_medline,
    ".bib": write_bibtex,
    ".json": write_json_array,
    ".jsonl": write_json_lines,
    ".md": write_markdown,
}
DELIMITERS = {".csv": ",", ".tsv": "\t"}
FORMATS = (".ris", ".nbib", ".bib", ".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".md")  # suffixes that are known


def check_format(path: Path) -> None:
    """Refuse a path whose suffix names no format.

    Raises:
        UsageError: an unknown suffix.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: no format has the suffix {path.suffix!r}. Known are {', '.join(FORMATS)}")


def write(
    path: Path,
    cited: Sequence[Cited],
    title: str,
    *,
    overwrite: bool = False,
    raw: bool = False,
    changes: Sequence[str] | None = None,
) -> None:
    """Write hits to a file, whose suffix names the format. Until it is whole it has another name, in the same folder.

    Args:
        path: the file.
        cited: the hits with their records, in order.
        title: a line about the search; the heading in Markdown, the title of the workbook in XLSX.
        overwrite: whether a file of that name may be replaced.
        raw: whether CSV and TSV are written without protection against formulas.
        changes: the kind of change of each hit, the first column of CSV and TSV; other formats leave it out.

    Raises:
        UsageError: an unknown suffix; else as files.write_file.
        EngineError: as files.write_file.
    """
    check_format(path)
    pieces = render_hits(path.suffix.lower(), cited, title, raw=raw, changes=changes)
    files.write_file(path, pieces, overwrite=overwrite)


def render_hits(
    suffix: str, cited: Sequence[Cited], title: str, *, raw: bool = False, changes: Sequence[str] | None = None
) -> Iterator[bytes]:
    """Yield the pieces of a file in the format of this suffix, with "?" for lone surrogates."""
    if suffix == ".xlsx":
        yield write_workbook(cited, title)
    elif suffix in DELIMITERS:
        yield write_delimited(cited, DELIMITERS[suffix], raw=raw, changes=changes).encode("utf-8", "replace")
    else:
        yield from (piece.encode("utf-8", "replace") for piece in _TEXTS[suffix](cited, title))
