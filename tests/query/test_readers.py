"""Readers of every kind while generations are published and deleted under them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from tests.conftest import ROOT

READERS = 6
COMMANDS = 2
RUNS = 8


class Readers:
    """Threads that ask on and on. An answer is the set of run numbers in its titles: one number, or it was mixed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stop = threading.Event()
        self.errors: list[object] = []
        self.answers: list[set[str]] = []
        self.threads = [threading.Thread(target=self.ask, args=(n % 2 == 0,)) for n in range(READERS)]
        self.threads += [threading.Thread(target=self.command) for _ in range(COMMANDS)]

    def note(self, titles: Iterable[str]) -> None:
        self.answers.append({title.split()[1] for title in titles if title.startswith("run ")})

    def ask(self, follow: bool) -> None:
        """An open index that follows what is published, or moves when told to."""
        try:
            with open_index(self.folder, follow=follow) as index:
                while not self.stop.is_set():
                    if not follow:
                        index.refresh()
                    self.note(hit.title for hit in index.search("colchicine run", top_k=50))
        except Exception as err:
            self.errors.append(err)

    def command(self) -> None:
        """The command line, a process a query."""
        args = ["search", "colchicine run", "-n", "50", "-i", self.folder.name, "--indexes", str(self.folder.parent)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        while not self.stop.is_set():
            done = subprocess.run(
                [sys.executable, "-m", "engine", *args], capture_output=True, text=True, env=environment
            )
            if done.returncode:
                self.errors.append(done.stderr)
            self.note(json.loads(line)["title"] for line in done.stdout.splitlines())


def test_eight_readers_while_generations_come_and_go(toy: IndexFolder, add: Callable[..., Report]) -> None:
    def write(number: int) -> None:
        add(*({"id": f"token-{n}", "title": f"run {number:03d} colchicine"} for n in range(6)))

    write(0)
    readers = Readers(toy.path)
    for thread in readers.threads:
        thread.start()
    for number in range(1, RUNS + 1):
        write(number)
    readers.stop.set()
    for thread in readers.threads:
        thread.join()
    assert readers.errors == []
    assert [found for found in readers.answers if len(found) != 1] == []
    assert len(readers.answers) > 100 and len(set.union(*readers.answers)) > RUNS / 2
    assert toy.list_numbers() == [RUNS, RUNS + 1, RUNS + 2]
