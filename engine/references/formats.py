"""Write records to a file in the format that its suffix names: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine import files
from engine.arrow import load_arrow
from engine.errors import UsageError
from engine.references.values.citation import Cited
from engine.references.writers.bibliography import STYLES, write_references
from engine.references.writers.bibtex import write_bibtex
from engine.references.writers.csl import write_csl
from engine.references.writers.endnote import write_endnote
from engine.references.writers.markdown import write_markdown
from engine.references.writers.medline import write_medline
from engine.references.writers.objects import write_json_array, write_json_lines
from engine.references.writers.parquet import write_parquet
from engine.references.writers.ris import write_ris
from engine.references.writers.table import write_delimited
from engine.references.writers.workbook import write_workbook

_Pieces = Callable[[Iterable[Cited], str], Iterator[str]]  # of a text, from records and a line about the search


@dataclass(frozen=True, slots=True)
class _FileFormat:
    """A format of files of references."""

    name: str
    media_type: str
    write: _Pieces | None = None  # None: it takes options, or is not a text
    has_columns: bool = False  # it has further columns of any name, such as those of decisions
    programs: str = ""  # that read it, for people


def _write_list(cited: Iterable[Cited], title: str, *, style: str) -> Iterator[str]:
    """Yield a list of references in one style."""
    return write_references(cited, style)


FORMATS = {
    ".ris": _FileFormat(
        "RIS",
        "application/x-research-info-systems; charset=utf-8",
        write_ris,
        programs="Zotero, EndNote, Rayyan, Covidence",
    ),
    ".nbib": _FileFormat("MEDLINE", "application/nbib; charset=utf-8", write_medline, programs="EndNote, Rayyan"),
    ".bib": _FileFormat("BibTeX", "application/x-bibtex; charset=utf-8", write_bibtex, programs="JabRef, LaTeX"),
    ".xml": _FileFormat("EndNote XML", "application/xml", write_endnote, programs="EndNote"),
    ".csl.json": _FileFormat(
        "CSL-JSON", "application/vnd.citationstyles.csl+json", write_csl, programs="Zotero, pandoc"
    ),
    ".csv": _FileFormat("CSV", "text/csv; charset=utf-8", has_columns=True, programs="Excel, ASReview, Rayyan"),
    ".tsv": _FileFormat("TSV", "text/tab-separated-values; charset=utf-8", has_columns=True, programs="spreadsheets"),
    ".xlsx": _FileFormat(
        "Excel",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        has_columns=True,
        programs="spreadsheets",
    ),
    ".json": _FileFormat("JSON", "application/json", write_json_array, has_columns=True, programs="scripts"),
    ".jsonl": _FileFormat("JSON lines", "application/jsonl", write_json_lines, has_columns=True, programs="scripts"),
    ".md": _FileFormat("Markdown", "text/markdown; charset=utf-8", write_markdown, programs="notes"),
    **{
        f".{name}.txt": _FileFormat(
            f"references ({style.label})",
            "text/plain; charset=utf-8",
            partial(_write_list, style=name),
            programs="Word, e-mail",
        )
        for name, style in STYLES.items()
    },
}  # by suffix
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_PARQUET = ".parquet"  # a file on disk only; it has columns of any name


def find_suffix(path: Path) -> str:
    """Return the suffix that names the format of a file, in lower case; it may have two parts: ".csl.json"."""
    last = path.suffix.lower()
    both = "".join(path.suffixes[-2:]).lower()
    return both if both in FORMATS else last


def check_format(path: Path) -> None:
    """Refuse a path whose suffix names no format.

    Raises:
        UsageError: an unknown suffix.
        MissingExtraError: Parquet, and pyarrow is not installed.
    """
    if find_suffix(path) == _PARQUET:
        load_arrow()
    elif find_suffix(path) not in FORMATS:
        known = ", ".join((*FORMATS, _PARQUET))
        raise UsageError(f"{path}: no format has the suffix {path.suffix!r}. Known are {known}")


def has_columns(path: Path) -> bool:
    """Return whether the format of a file has further columns of any name, such as those of decisions."""
    suffix = find_suffix(path)
    return suffix == _PARQUET or FORMATS[suffix].has_columns


def write(
    path: Path,
    cited: Iterable[Cited],
    title: str,
    *,
    overwrite: bool = False,
    raw: bool = False,
    changes: Sequence[str] | None = None,
) -> None:
    """Write records to a file, whose suffix names the format; until it is whole, under another name in its folder.

    Args:
        path: the file.
        cited: the records in order, all with a hit or all without; read one by one.
        title: a line about the search; the heading in Markdown, the title of the workbook in XLSX.
        overwrite: whether a file of that name may be replaced.
        raw: whether CSV and TSV are written without protection against formulas.
        changes: the kind of change of each hit, the first column of CSV, TSV and Parquet; other formats leave it out.

    Raises:
        UsageError: an unknown suffix; else as files.write_file.
        MissingExtraError: Parquet, and pyarrow is not installed.
        EngineError: as files.write_file.
    """
    check_format(path)
    if find_suffix(path) == _PARQUET:
        write_parquet(path, cited, overwrite=overwrite, changes=changes)
        return
    pieces = render_records(find_suffix(path), cited, title, raw=raw, changes=changes)
    files.write_file(path, pieces, overwrite=overwrite)


def render_records(
    suffix: str, cited: Iterable[Cited], title: str, *, raw: bool = False, changes: Sequence[str] | None = None
) -> Iterator[bytes]:
    """Yield the pieces of a file in the format of this suffix, with "?" for lone surrogates."""
    if suffix == ".xlsx":
        yield from write_workbook(cited, title)
        return
    write_pieces = FORMATS[suffix].write
    if write_pieces is None:
        pieces = write_delimited(cited, _DELIMITERS[suffix], raw=raw, changes=changes)
    else:
        pieces = write_pieces(cited, title)
    yield from (piece.encode("utf-8", "replace") for piece in pieces)
