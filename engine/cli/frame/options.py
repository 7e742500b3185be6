"""Options that several commands share, and the index that they name."""

from __future__ import annotations

import getpass
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.config import Config
from engine.errors import SourceError, UsageError
from engine.options import BY_FIELD, FILTERS, RANKING, SETTINGS, SIMILAR_RANKING, Filters, Query, QueryOption, ValueKind

if TYPE_CHECKING:
    from engine.query.index import Index


Command = Callable[..., None]
_Decorator = Callable[[Command], Command]
FILE = click.Path(dir_okay=False, path_type=Path)


def find_login() -> str:
    """Return the login name of the user; "unknown" where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def add_options(target: str, options: Sequence[_Decorator], read: Callable[..., Any]) -> _Decorator:
    """Return a decorator that adds options to a command and passes it the result of `read` as the argument `target`."""

    def decorate(command: Command) -> Command:
        def carrier() -> None:
            """Carry the parameters."""

        for option in reversed(options):
            option(carrier)
        params: list[click.Parameter] = carrier.__click_params__  # type: ignore[attr-defined]
        names = dict.fromkeys(str(param.name) for param in params)

        def run(**arguments: Any) -> None:
            values = {name: arguments.pop(name) for name in names}
            command(**{target: read(**values)}, **arguments)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__click_params__ = [*getattr(command, "__click_params__", []), *params]  # type: ignore[attr-defined]
        return run

    return decorate


def _build_query_option(option: QueryOption, *, from_file: bool = False) -> _Decorator:
    """Return the click option of a query option; with from_file, a list of ids is read from a file."""
    flags = option.flags or (f"--{option.name.replace('_', '-')}",)
    unset = f" [{option.unset}]" if option.unset else ""
    text = option.file_help if from_file else f"{option.help.removesuffix('.')}{unset}." if unset else option.help
    settings: dict[str, Any] = {"help": text, "metavar": option.metavar, "default": option.default}
    if from_file:
        settings |= {"type": FILE, "default": None}
    elif option.kind is ValueKind.SWITCH:
        settings |= {"is_flag": True}
    elif option.kind is ValueKind.INTEGER:
        high = None if math.isinf(option.high) else int(option.high)
        settings |= {
            "type": click.IntRange(int(option.low), high),
            "metavar": "N",
            "show_default": bool(option.default),
        }
    elif option.kind is ValueKind.NUMBER:
        settings |= {"type": float}
    elif option.kind is ValueKind.CHOICE:
        settings |= {"type": click.Choice([str(choice) for choice in option.choices])}
        settings |= {"default": option.default and str(option.default), "show_default": option.default is not None}
    elif option.kind.is_repeatable:
        settings |= {"multiple": True}
    elif option.kind is ValueKind.TEXT:
        settings |= {"default": None}
    return click.option(*flags, option.field, **settings)


def build_setting_option(field: str) -> _Decorator:
    """Return the click option of a setting of index.toml."""
    option = next(setting for setting in SETTINGS if setting.field == field)
    kind: Any = click.Choice(option.choices) if option.choices else option.kind
    if option.low is not None:
        kind = click.FloatRange(option.low, option.high)
    return click.option(
        *option.flags, option.field, type=kind, help=f"{option.help.removesuffix('.')} [{option.unset}]."
    )


def _read_filters(**values: Any) -> Filters:
    """Return the filters that the options set.

    Raises:
        UsageError: an expression is empty, or ids or years can't be read.
    """
    if values["where"] == "":  # from an empty shell variable; ignoring it would silently filter nothing
        raise UsageError("--where is empty, expected an expression like 'year >= 2015'")
    for option in FILTERS:
        if option.kind is ValueKind.IDS and values[option.field] is not None:
            values[option.field] = read_id_file(values[option.field])
    return Filters(**values)


def read_id_file(path: Path) -> tuple[str, ...]:
    """Return the ids of the records in a file that an option names, as the index of this command has them.

    Raises:
        UsageError: the file can't be read, or names no record.
        GenerationError: the file holds records, and there is no index, or it is damaged.
    """
    from engine.index.generations.folder import IndexFolder
    from engine.query.question.recordlist import read_record_list

    given = click.get_current_context().params
    return read_record_list(path, IndexFolder(Config.load(given["indexes"], given["index"]).find_existing()))


def read_query(**values: Any) -> Query:
    """Return the query that the options set, without its text."""
    filters = _read_filters(**{option.field: values.pop(option.field) for option in FILTERS})
    for option in RANKING:
        if option.kind is ValueKind.CHOICE and values[option.field] is not None:
            values[option.field] = next(choice for choice in option.choices if choice == values[option.field])
    return Query(filters=filters, **values)


_FILTERS = tuple(_build_query_option(option, from_file=option.kind is ValueKind.IDS) for option in FILTERS)
filter_options = add_options("filters", _FILTERS, _read_filters)
query_options = add_options("query", (*map(_build_query_option, RANKING), *_FILTERS), read_query)
similar_options = add_options("query", (*map(_build_query_option, SIMILAR_RANKING), *_FILTERS), read_query)


def _parse_format(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the name of a format of source files. The readers are imported only when one is named.

    Raises:
        click.BadParameter: there is no such format; the message lists the known ones.
    """
    if value is None:
        return None
    from engine.collect.source import get_format

    try:
        return get_format(value).name
    except SourceError as err:
        raise click.BadParameter(str(err), ctx, param) from err


FORMAT = click.option(
    "--format",
    "kind",
    callback=_parse_format,
    metavar="FORMAT",
    help='Read all files as this format ("RIS", "CSV" …) instead of detecting it.',
)
INDEXES = click.option("--indexes", metavar="DIR", help="Folder of the indexes [ENGINE_INDEXES; ./indexes].")
index_options = add_options(
    "config",
    (click.option("-i", "--index", metavar="NAME", help="Index to use [ENGINE_INDEX; the only one]."), INDEXES),
    Config.load,
)
STRATEGY = click.option(
    "--strategy",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read a Boolean search from FILE, of one line or of numbered lines.",
)
KNOWN = click.option(
    "--known",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with the known records: one PMID, DOI or id per line, or an export such as RIS.",
)
LIKE, UNLIKE = (_build_query_option(BY_FIELD[name]) for name in ("like", "unlike"))
MODE, MIN_SCORE = (_build_query_option(replace(BY_FIELD[name], default=None)) for name in ("mode", "min_score"))
TOP_K, SORT = (_build_query_option(BY_FIELD[name]) for name in ("top_k", "sort"))
SEARCH_DEVICE = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Device that compares the vectors [cpu]."
)


def open_named(config: Config, device: str = "cpu") -> Index:
    """Open the index that the configuration names."""
    from engine.scale.opening import open_for_command

    return open_for_command(config.find_existing(), device)


def parse_day(text: str) -> date:
    """Return the day of "2026-11-20", or the day that is 7 days ago for "7d".

    Raises:
        UsageError: the text is neither a date nor a number of days.
    """
    try:
        if text.endswith("d"):
            return datetime.now(UTC).astimezone().date() - timedelta(days=int(text[:-1]))
        return date.fromisoformat(text)
    except (ValueError, OverflowError) as err:
        raise UsageError(f"--since {text!r} is not a date: expected YYYY-MM-DD, or a number of days like 7d") from err
