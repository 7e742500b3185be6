"""Commands that serve indexes to browsers and programs."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.group import main
from engine.cli.options import INDEXES
from engine.config import Config, serve_token
from engine.errors import MissingExtraError, UsageError
from engine.terminal import say

_NAMES = click.option(
    "-i", "--index", "names", multiple=True, metavar="NAME", help="Index to serve [all indexes]. May be repeated."
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
) -> None:
    """Serve a web page and an HTTP API, on this machine only.

    The page is at /, the API under /api/v1 (described by /api/v1/openapi.json), and Prometheus metrics are at /metrics.
    A new generation is served within a second. To serve other machines, set --host and a token, in ENGINE_TOKEN or in a
    file: programs send it as Authorization: Bearer, browsers ask for it as a password. Ctrl-C stops the server.

    \b
    engine serve
    engine serve -i rheumatology --port 8080 --open
    """
    folders = _find_folders(Config.load(indexes), names)
    try:
        from engine.serve.run import Address
        from engine.serve.run import serve as run
    except ModuleNotFoundError as err:
        raise MissingExtraError(f"{err.name} (needed to serve)", "[cpu,serve], [gpu,serve] or [lite,serve]") from err

    def ready(url: str) -> None:
        say(f"{url} serves {', '.join(folder.name for folder in folders)}; press Ctrl-C to stop", err=True)
        if open_page:
            click.launch(url)

    run(folders, Address(host, port, allow_host, _read_token(token_file), cors, root_path, proxies), ready)


def _find_folders(config: Config, names: tuple[str, ...]) -> list[Path]:
    """Return the folders of the named indexes, or of all."""
    selected = names or ((config.index,) if config.index else tuple(config.list_names()))
    return [config.select_index(name).find_existing() for name in dict.fromkeys(selected)] or [config.find_existing()]


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
