"""Commands that serve indexes to browsers and programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import INDEXES, add_options, find_login
from engine.config import Config, serve_token
from engine.errors import MissingExtraError, UsageError
from engine.terminal import say

_NAMES = click.option(
    "-i", "--index", "names", multiple=True, metavar="NAME", help="Index to serve [all indexes]. May be repeated."
)


@dataclass(frozen=True, slots=True)
class _ReviewOptions:
    """The options of `engine serve` that are about a review."""

    review: str | None
    reviewers: tuple[str, ...]
    who: str | None
    is_open: bool


_review_options = add_options(
    "asked",
    (
        click.option("--review", metavar="NAME", help="Review whose decisions are kept; the only mode that writes."),
        click.option(
            "--reviewer",
            "reviewers",
            multiple=True,
            metavar="NAME=FILE",
            help="Reviewer, and the file with their token. May be repeated.",
        ),
        click.option(
            "--who", metavar="NAME", help="Reviewer who decides on this machine, without a token [your login]."
        ),
        click.option(
            "--open-decisions",
            "is_open",
            is_flag=True,
            help="Show every decision to every reviewer, and share the work among them.",
        ),
    ),
    _ReviewOptions,
)


@main.command()
@_NAMES
@INDEXES
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="File with the access token that clients must send."
)
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="Additional host name of the server. May be repeated."
)
@click.option(
    "--cors", multiple=True, metavar="ORIGIN", help="Origin of web pages that may read answers. May be repeated."
)
@click.option("--root-path", metavar="PATH", default="", help="Path of the site behind a proxy, such as /search.")
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="IP address or network of a proxy that may set the path in X-Forwarded-Prefix [none]. May be repeated.",
)
@_review_options
def serve(
    names: tuple[str, ...],
    indexes: str | None,
    host: str,
    port: int,
    open_page: bool,
    token_file: Path | None,
    allow_host: tuple[str, ...],
    cors: tuple[str, ...],
    root_path: str,
    proxies: tuple[str, ...],
    asked: _ReviewOptions,
) -> None:
    """Serve a web page and an HTTP API, on this machine only.

    The page is at /, the API under /api/v1 (described by /api/v1/openapi.json), and Prometheus metrics are at /metrics.
    A new generation is served within a second. To serve other machines, set --host and a token, in ENGINE_TOKEN or in a
    file: programs send it as Authorization: Bearer, browsers ask for it as a password. Ctrl-C stops the server.

    With --review, reviewers screen the records of one index at /review, and the server keeps their decisions. Without
    it, the server writes nothing. Nobody sees another's decision on a record before their own. Without --reviewer, all
    decisions are yours.

    \b
    engine serve
    engine serve -i rheumatology --port 8080 --open
    engine serve -i rheumatology --review main
    engine serve -i rheumatology --review main --reviewer ann=ann.token --reviewer bob=bob.token
    """
    reviewers, rules = _read_reviewers(asked), _build_rules(asked)
    folders = _find_folders(Config.load(indexes), names)
    try:
        from engine.serve.run import Address
        from engine.serve.run import serve as run
        from engine.serve.work.openreview import ReviewRules
    except ModuleNotFoundError as err:
        raise MissingExtraError(f"{err.name} (needed to serve)", "[cpu,serve], [gpu,serve] or [lite,serve]") from err

    def ready(url: str) -> None:
        say(f"{url} serves {', '.join(folder.name for folder in folders)}; press Ctrl-C to stop", err=True)
        page = f"{url}review" if asked.review else url
        if asked.review:
            say(f"{page} screens the review {asked.review}", err=True)
        if open_page:
            click.launch(page)

    address = Address(host, port, allow_host, _read_token(token_file), cors, root_path, proxies, reviewers)
    run(folders, address, ready, ReviewRules(*rules) if rules else None)


def _find_folders(config: Config, names: tuple[str, ...]) -> list[Path]:
    """Return the folders of the named indexes, or of all."""
    selected = names or ((config.index,) if config.index else tuple(config.list_names()))
    return [config.select_index(name).find_existing() for name in dict.fromkeys(selected)] or [config.find_existing()]


def _build_rules(asked: _ReviewOptions) -> tuple[str, str, bool] | None:
    """Return name of the review, who decides without a token, and whether decisions are hidden; None without a review.

    Raises:
        UsageError: an option of a review is given, but no review; or two ways to say who decides.
    """
    if not asked.review:
        for option, given in (
            ("--reviewer", asked.reviewers),
            ("--who", asked.who),
            ("--open-decisions", asked.is_open),
        ):
            if given:
                raise UsageError(f"{option} was given without a review, expected --review NAME, too")
        return None
    if asked.who and asked.reviewers:
        raise UsageError("--who and --reviewer were given, expected one of them: a token says who decides")
    return asked.review, asked.who or find_login(), not asked.is_open


def _read_reviewers(asked: _ReviewOptions) -> dict[str, str]:
    """Return name and token of each reviewer.

    Raises:
        UsageError: one is not of the form NAME=FILE, a name is given twice, or a file has no token.
    """
    tokens: dict[str, str] = {}
    for text in asked.reviewers:
        name, is_pair, file = text.partition("=")
        name = name.strip()
        if not (name and is_pair and file.strip() and name.isprintable()):
            raise UsageError(f"--reviewer is {text[:80]!r}, expected a name and a file, like ann=ann.token")
        if name in tokens:
            raise UsageError(f"the reviewer {name} was given twice, expected one token for each")
        tokens[name] = _read_token(Path(file)) or ""
    return tokens


def _read_token(path: Path | None) -> str | None:
    """Read the token from a file, or else from ENGINE_TOKEN; None if neither is given.

    Raises:
        UsageError: the file contains no token.
    """
    if path is None:
        return serve_token()
    try:
        token = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise UsageError(f"{path} contains no token of letters and digits. Make one: openssl rand -hex 32 > {path}")
    return token


@main.command()
@_NAMES
@INDEXES
def mcp(names: tuple[str, ...], indexes: str | None) -> None:
    """Serve search tools to an assistant over MCP.

    MCP is the Model Context Protocol, here over standard input and output. The assistant starts this command itself:
    add it to the settings of the assistant.

    \b
    engine mcp -i rheumatology --indexes /data/indexes
    """
    folders = _find_folders(Config.load(indexes), names)
    try:
        from engine.serve.api.tools import serve_tools
    except ModuleNotFoundError as err:
        raise MissingExtraError(f"{err.name} (needed for engine mcp)", "[cpu,mcp], [gpu,mcp] or [lite,mcp]") from err
    serve_tools(folders)
