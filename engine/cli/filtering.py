"""Options that say which records may be hits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from engine.errors import UsageError
from engine.queries import Filters

MANY: tuple[tuple[str, str, str, str], ...] = (
    ("year", "years", "RANGE", "2015, 1998-2003, 2015- or -1990; records without a year never match."),
    ("journal", "journals", "NAME", "Whole name; * for any characters."),
    ("mesh", "mesh", "HEADING", "MeSH heading; * for any characters."),
    ("mesh-tree", "mesh_trees", "HEADING", "MeSH heading or tree number, and all below it (mesh_tree in index.toml)."),
    ("type", "types", "NAME", "Publication type: 'Randomized Controlled Trial'."),
    ("keyword", "keywords", "NAME", "Keyword of authors or databases."),
    ("author", "authors", "NAME", "Beginnings of the words of a name: 'smith j'."),
    ("language", "languages", "NAME", "eng, en or English."),
    ("source", "sources", "NAME", "File or format that a record comes from; * for any characters."),
)  # option, field of Filters, metavar, help


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the filters, given to the command as one Filters. Of one option several values are alternatives."""

    def run(ids: Path | None, exclude: Path | None, **given: Any) -> None:
        values = {field: given.pop(field) for _, field, _, _ in MANY}
        one = {name: given.pop(name) for name in ("retracted", "has_abstract", "where")}
        command(filters=filters_of(values, one, ids, exclude), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    files = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--where", metavar="EXPR", help="""'year >= 2015 and not mesh = "Animals"'."""),
        click.option("--exclude", type=files, help="Leave out the records listed in a file."),
        click.option("--ids", type=files, help="Only records listed in a file: PMIDs, DOIs or ids, one a line."),
        click.option("--has-abstract/--no-abstract", "has_abstract", default=None, help="With or without an abstract."),
        click.option("--retracted/--not-retracted", "retracted", default=None, help="Retracted ones only, or none."),
        *(
            click.option(f"--{name}", field, multiple=True, metavar=metavar, help=text)
            for name, field, metavar, text in reversed(MANY)
        ),
    ):
        option(run)
    return run


def filters_of(values: dict[str, Any], one: dict[str, Any], ids: Path | None, exclude: Path | None) -> Filters:
    """What the options say.

    Raises:
        UsageError: an empty expression, or ids or years that can't be read.
    """
    from engine.corpus.filters import years_of
    from engine.corpus.idlist import read_ids

    years = tuple(years_of(text) for text in values.pop("years"))
    if one["where"] == "":  # of a variable that a shell found empty: nothing would be filtered, and nobody told
        raise UsageError("--where is empty, expected an expression like 'year >= 2015'")
    one["where"] = one["where"] or ""
    listed = None if ids is None else read_ids(ids)
    return Filters(years=years, ids=listed, exclude=() if exclude is None else read_ids(exclude), **values, **one)
