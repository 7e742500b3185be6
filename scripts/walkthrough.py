"""Walk through a night from the first fetch to the news, with real commands and a small PubMed on this machine.

Usage: python scripts/walkthrough.py

Every command is printed with its output. Nothing outside a temporary folder is written, and no other machine is asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

_MODEL = ROOT / "tests" / "data" / "toy-model"
_NEWS = Path("indexes", "gout", "news", "000001", "news.txt")


class WalkthroughError(Exception):
    """A command that did not do what it should."""


def run_command(folder: Path, *words: str, code: int = 0, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    """Run `engine` in a folder, print the command and its output, and return the output.

    variables: of its environment, beside those of this process.

    Raises:
        WalkthroughError: it ended with another exit code.
    """
    say_command(*(f"{name}={value}" for name, value in variables.items()), "engine", *words)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"} | dict(variables)
    command = [sys.executable, "-m", "engine", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    print(done.stdout, end="", flush=True)
    if done.returncode != code:
        raise WalkthroughError(f"engine {words[0]} ended with {done.returncode}, expected {code}")
    return done.stdout


def say_command(*words: str) -> None:
    """Print a command as it is typed; the model of the tests goes by its name."""
    shown = (word.replace(str(_MODEL), _MODEL.name) for word in words)
    print("$", " ".join(f"'{word}'" if set(word) & set(" []()$") else word for word in shown), flush=True)


def walk_through(folder: Path, service: Any, library: Any) -> str:
    """Fetch, index, watch, spend two nights, and return the news of the first.

    Raises:
        WalkthroughError: a command failed, or the news are not those expected.
    """
    library.add(*(service.Paper(pmid, title="Gout in adults") for pmid in range(1, 41)))
    run_command(folder, "fetch", "pubmed", "gout", "-o", "gout.xml.gz", "--base-url", library.url)
    run_command(folder, "index", "gout.xml.gz", "-i", "gout", "-m", str(_MODEL))
    run_command(folder, "watch", "add", "flares", "gout[tiab] AND flare[tiab]", "-i", "gout")
    settings = folder / "indexes" / "gout" / "index.toml"
    with settings.open("a", encoding="utf-8") as file:
        file.write(f'\n[[sources]]\npubmed = "gout"\nurl = "{library.url}"\n')
    say_command("cat", "indexes/gout/index.toml")
    print(settings.read_text(encoding="utf-8"), end="", flush=True)
    today = date.today()
    library.add(
        service.Paper(101, entered=today, title="Gout flare"), service.Paper(102, entered=today, title="Gout and diet")
    )  # two records that PubMed has since the fetch
    run_command(folder, "nightly", "gout")
    say_command("cat", _NEWS.as_posix())
    news = (folder / _NEWS).read_text(encoding="utf-8")
    print(news, end="", flush=True)
    run_command(folder, "nightly", "gout")
    if "Gout flare no. 101" not in news or "no. 102" in news or (folder / _NEWS.parent.parent / "000002").exists():
        raise WalkthroughError("the news are not the one record that is new for the question, reported once")
    return news


def main() -> int:
    """Walk through, and return the exit code."""
    sys.path.insert(0, str(ROOT))
    service = import_module("tests.collect.fetch.literature")  # as the tests have it
    with tempfile.TemporaryDirectory() as folder, service.serve_library(service.Library()) as library:
        walk_through(Path(folder), service, library)
    print("The walkthrough is complete.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
