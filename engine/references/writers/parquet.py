"""Parquet, for programs that read Arrow: typed columns, written in blocks. Needs the extra [arrow]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

from engine.arrow import load_arrow
from engine.errors import EngineError
from engine.files import write_path_whole
from engine.records.abstract import Abstract
from engine.records.answer import Hit
from engine.references.values.citation import Cited
from engine.references.values.fields import choose_columns, list_cited_fields

_BLOCK = 1000  # records of a row group
_KINDS = {"int": "int64", "float": "float64", "bool": "bool_"}  # annotation -> type of Arrow; others are texts
_ANNOTATIONS = {
    field.name: str(field.type).removesuffix(" | None") for kind in (Abstract, Hit) for field in fields(kind)
}


def write_parquet(
    path: Path, cited: Iterable[Cited], *, overwrite: bool = False, changes: Sequence[str] | None = None
) -> None:
    """Write records as a table with the columns of CSV, block by block; the file is whole or not there.

    Numbers and booleans have their types and lists are lists of texts. An unknown number, PMID or DOI is null, another
    text or list is empty, as in JSON. A lone surrogate becomes "?".

    Args:
        path: the file.
        cited: the records in order, all with a hit or all without.
        overwrite: whether a file of that name may be replaced.
        changes: the kind of change of each hit, for a first column "change"; None leaves that column out.

    Raises:
        MissingExtraError: pyarrow is not installed.
        UsageError: the file exists and may not be replaced, or can't be written.
        EngineError: the disk is full, or another error of the system.
    """
    arrow, parquet = load_arrow()
    columns, records = choose_columns(cited)
    names = (*(["change"] if changes is not None else []), *columns)
    schema = arrow.schema({name: _find_type(arrow, name) for name in names})
    try:
        with write_path_whole(path, overwrite=overwrite) as part, parquet.ParquetWriter(part, schema) as writer:
            for rows in _build_blocks(records, changes):
                arrays = [arrow.array([row.get(name) for row in rows], schema.field(name).type) for name in names]
                writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
    except OSError as err:
        raise EngineError(
            f"{path} can't be written: {err.strerror or err}. Name a file elsewhere, or make room"
        ) from err


def _find_type(arrow: Any, name: str) -> Any:
    """Return the type of a column."""
    annotation = _ANNOTATIONS.get(name, "str")
    return (
        arrow.list_(arrow.string())
        if annotation.startswith("tuple")
        else getattr(arrow, _KINDS.get(annotation, "string"))()
    )


def _build_blocks(records: Iterator[Cited], changes: Sequence[str] | None) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of the table, block by block."""
    done = 0
    while block := list(islice(records, _BLOCK)):
        rows = [{name: _clean(value) for name, value in list_cited_fields(one).items()} for one in block]
        if changes is not None:
            rows = [{"change": changes[done + at]} | row for at, row in enumerate(rows)]
        yield rows
        done += len(block)


def _clean(value: Any) -> Any:
    """Return a value without lone surrogates, which UTF-8 can't hold."""
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
