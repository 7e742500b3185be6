"""Search the bundled sample on three nodes of Ray on this machine, and kill one of them in the middle of questions.

Usage: python scripts/cluster_demo.py

Every command is printed with its output. Nothing outside a temporary folder is written, and no other machine is asked.
The nodes listen on loopback and want a token. Needs the extra [ray].
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster_nodes import ROOT, choose_node, kill_node, start_nodes
from walkthrough import run_command, say_command

from engine import Index, Query, open_index
from engine.errors import ClusterError

FILES = ("abstracts.jsonl", "pubmed.xml")
QUESTIONS = (
    "painful toe after beer and seafood",
    "fingers turning white in the cold, which tablets help",
    "switching back from a biosimilar to the originator",
    "shoulder stiffness in the morning at 70",
)
_NODES = 3
_ASKED = 12
_KILLED_BEFORE = 5  # the number of a question
_LOCALLY = {"ENGINE_BACKEND": "local"}


class DemoError(Exception):
    """An answer that is not the one of this machine alone."""


def write_settings(folder: Path, address: str) -> None:
    """Write the settings of the index, and print them."""
    path = folder / "indexes" / "demo" / "index.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'one_segment_below = 1\nbackend = "ray"\n[ray]\naddress = "{address}"\n', encoding="utf-8")
    say_command("cat", "indexes/demo/index.toml")
    print(path.read_text(encoding="utf-8"), end="", flush=True)


def build_index(folder: Path) -> None:
    """Encode the first file on the nodes and index it, then add the second one, so that there are two segments.

    Raises:
        WalkthroughError: a command failed.
    """
    for name in FILES:
        shutil.copy(ROOT / "engine" / "sample" / name, folder)
    run_command(folder, "scale", "encode", FILES[0], "-i", "demo")
    for name in FILES:
        run_command(folder, "index", name, "-i", "demo")


def compare_commands(folder: Path, question: str) -> None:
    """Ask in the shell, on the nodes and on this machine alone.

    Raises:
        WalkthroughError: a command failed.
        DemoError: the outputs differ.
    """
    command = ("search", question, "-i", "demo", "-n", "3", "--table")
    if run_command(folder, *command) != run_command(folder, *command, variables=_LOCALLY):
        raise DemoError("the nodes answer otherwise than this machine alone")
    print("The outputs are the same.", flush=True)


def ask_through_death(cluster: Any, folder: Path) -> None:
    """Ask again and again while the node that is asked first for the first segment is killed.

    Raises:
        EngineError: a question has no answer.
        DemoError: an answer is another one.
    """
    index = folder / "indexes" / "demo"
    expected = ask_locally(index)
    with ThreadPoolExecutor(1) as other, open_index(index) as there:
        segment = there.manifest.segments[0].name
        victim, killing = choose_node(cluster, index, segment), None
        for number in range(1, _ASKED + 1):
            if number == _KILLED_BEFORE:
                print("   a node that holds all records of the first file is killed", flush=True)
                killing = other.submit(kill_node, cluster, victim)
            ask_one(there, number, expected)
        if killing is not None:
            killing.result()


def ask_locally(index: Path) -> dict[str, Any]:
    """Return the answer of this machine alone to each question."""
    from engine.query.index import open_index as open_locally

    with open_locally(index) as here:
        return {text: here.ask(Query(text)) for text in QUESTIONS}


def ask_one(there: Index, number: int, expected: dict[str, Any]) -> None:
    """Ask the nodes one question, compare the whole answer and print a line.

    Raises:
        EngineError: it has no answer.
        DemoError: the answer is another one.
    """
    text = QUESTIONS[number % len(QUESTIONS)]
    started = time.perf_counter()
    answer = there.ask(Query(text))
    seconds = time.perf_counter() - started
    if answer != expected[text]:
        raise DemoError(f"another answer to {text!r}")
    print(f"{number:>2} {seconds:.3f} s  the same answer, {len(answer.hits)} hits: {text}", flush=True)


def run_demo(cluster: Any, folder: Path) -> None:
    """Index, search, and lose a node.

    Raises:
        EngineError: a question has no answer.
        WalkthroughError: a command failed.
        DemoError: an answer is not the one of this machine alone.
    """
    write_settings(folder, cluster.address)
    build_index(folder)
    run_command(folder, "scale", "status", "-i", "demo")
    compare_commands(folder, QUESTIONS[0])
    print(f"Now {_ASKED} questions in one process; each answer is compared with that of this machine alone:")
    ask_through_death(cluster, folder)
    n_alive = len(cluster.worker_nodes)
    if n_alive != _NODES - 1:
        raise ClusterError(f"{n_alive} nodes are left, expected {_NODES - 1}")
    print(f"{n_alive} of {_NODES} nodes are left.", flush=True)
    run_command(folder, "scale", "status", "-i", "demo")
    compare_commands(folder, QUESTIONS[1])


def main() -> int:
    """Run the demo, and return the exit code."""
    print(f"Starting {_NODES} nodes of Ray on this machine, and a head. This takes half a minute.", flush=True)
    with start_nodes(_NODES) as cluster, tempfile.TemporaryDirectory() as folder:
        run_demo(cluster, Path(folder))
    print("The demo is complete.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
