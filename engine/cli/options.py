"""Options that commands share, and the index that they mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from engine.config import Config
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.query.index import Index


def index_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add -i and --indexes, given to the command as one Config."""

    def run(indexes: str | None, index: str | None, **given: Any) -> None:
        command(config=Config.load(indexes, index), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--indexes", metavar="DIR", help="Folder of the indexes [ENGINE_INDEXES; ./indexes]."),
        click.option("-i", "--index", metavar="NAME", help="Which index [ENGINE_INDEX; the only one there]."),
    ):
        option(run)
    return run


SEARCH_DEVICE = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Where to compare vectors [cpu]."
)


def opened(config: Config, device: str = "cpu") -> Index:
    """The index that is meant, open."""
    from engine.query.index import open_index

    return open_index(config.existing(), follow=False, device=device)


def day(text: str) -> date:
    """The day meant by "2026-11-20" or "7d".

    Raises:
        UsageError: neither.
    """
    try:
        if text.endswith("d"):
            return datetime.now(UTC).astimezone().date() - timedelta(days=int(text[:-1]))
        return date.fromisoformat(text)
    except (ValueError, OverflowError) as err:
        raise UsageError(f"--since {text!r} is not a date: expected YYYY-MM-DD, or days like 7d") from err
