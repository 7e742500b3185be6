"""Measure `engine serve` under load from this process, over loopback: start, open loop, saturation, while publishing.

    python scripts/bench_serve.py INDEX_FOLDER QUERIES.jsonl.gz [--seconds 60] [--rate 20] [--publish 5] [--rounds 3]

The server runs in a process of its own, on a copy of the index: the last part publishes into it. Open loop: requests
are sent at a fixed rate whether earlier ones are answered or not, and a time counts from when a request was due, so
that waiting in line is not hidden. Saturated: 8 connections, each asks again as soon as it is answered. Questions come
in an order that --seed fixes; ten hits each, by meaning. The first page is that of a search in headless Chromium, from
when the server was ready until it is laid out with its script run; empty where there is no Chromium. Prints JSON and
tables.
"""

import argparse
import asyncio
import gzip
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import bench_machine as bench
import numpy as np

CONNECTIONS = 8  # of the saturated part
DEADLINE = 30.0  # seconds for one answer
ADDED = 10  # records a published generation brings


@dataclass(slots=True)
class Load:
    """What a part of the load saw."""

    seconds: list[float] = field(default_factory=list)
    generations: set[str] = field(default_factory=set)
    errors: int = 0
    wall: float = 0.0

    @property
    def row(self) -> dict[str, float | int]:
        """What is reported of it."""
        p50, p95, p99, worst = (round(1000 * float(x), 1) for x in np.quantile(self.seconds, (0.5, 0.95, 0.99, 1)))
        return {
            "requests": len(self.seconds),
            "errors": self.errors,
            "per second": round(len(self.seconds) / self.wall, 1),
            "p50 ms": p50,
            "p95 ms": p95,
            "p99 ms": p99,
            "worst ms": worst,
            "generations": len(self.generations),
        }


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; over a new connection where the server has closed the kept one meanwhile."""
        if self.streams is not None and self.streams[0].at_eof():
            self.close()
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))

    def close(self) -> None:
        """Let the connection go."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def ask(connection: Connection, text: str, since: float, load: Load) -> None:
    """Ask one question; a time counts from `since`."""
    try:
        path = f"/api/v1/search?mode=semantic&n=10&q={quote(text)}"
        status, headers, body = await asyncio.wait_for(connection.get(path), DEADLINE)
        good = status == 200 and len(json.loads(body)["hits"]) == 10
        load.generations.add(headers.get("engine-generation", ""))
    except (OSError, EOFError, TimeoutError, ValueError) as err:
        print(f"failed: {err!r}", file=sys.stderr)
        good = False
        connection.close()
    load.errors += not good
    load.seconds.append(time.perf_counter() - since)


async def open_loop(port: int, texts: list[str], rate: float, seconds: float) -> Load:
    """Questions at a fixed rate, over as many connections as it takes."""
    load, idle, running = Load(), [Connection(port) for _ in range(4)], set[asyncio.Task[None]]()
    every = list(idle)

    async def one(text: str, due: float) -> None:
        connection = idle.pop() if idle else Connection(port)
        if connection not in every:
            every.append(connection)
        await ask(connection, text, due, load)
        idle.append(connection)

    started = time.perf_counter()
    for n in range(int(rate * seconds)):
        due = started + n / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.add(asyncio.create_task(one(texts[n % len(texts)], due)))
    await asyncio.gather(*running)
    load.wall = time.perf_counter() - started
    for connection in every:
        connection.close()
    return load


async def saturated(port: int, texts: list[str], seconds: float) -> Load:
    """As many questions as are answered."""
    load, started, place = Load(), time.perf_counter(), iter(range(10**9))

    async def worker() -> None:
        connection = Connection(port)
        while time.perf_counter() - started < seconds:
            await ask(connection, texts[next(place) % len(texts)], time.perf_counter(), load)
        connection.close()

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    load.wall = time.perf_counter() - started
    return load


def engine(verb: str, folder: Path, *more: str) -> list[str]:
    """Return a command about the index in a folder."""
    return [sys.executable, "-m", "engine", verb, *more, "--indexes", str(folder.parent), "-i", folder.name]


def first_page(port: int) -> float | None:
    """Seconds until the first page of a search is there, in a browser that is open already; None without one."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None or find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        started = time.perf_counter()
        page.goto(f"http://127.0.0.1:{port}/?q=knee+pain+after+running")
        page.wait_for_selector("html.scripted .hit")
        seconds = time.perf_counter() - started
        browser.close()
    return round(seconds, 2)


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, dict[str, float | None]]]:
    """Return a running server and how long it took: to be ready, and then to the first page of a search."""
    started = time.perf_counter()
    command = engine("serve", folder, "--port", "0")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        line = running.stderr.readline()
        port = int(line.split("/ serves")[0].rsplit(":", 1)[1])
        ready = time.perf_counter() - started
        try:
            yield port, {"ready_s": round(ready, 2), "first_page_s": first_page(port)}
        finally:
            running.terminate()
            running.wait(timeout=30)


async def publish(folder: Path, times: int, seconds: float) -> int:
    """Publish generations spread over some seconds; returns how many were."""
    done = 0
    for n in range(times):
        due = time.perf_counter() + seconds / times
        source = folder.parent / f"more{n}.jsonl"
        rows = ({"id": f"more-{n}-{i}", "title": f"Invented record {i} of part {n}"} for i in range(ADDED))
        source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        command = engine("index", folder, str(source))
        running = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done += await running.wait() == 0
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return done


async def while_publishing(port: int, texts: list[str], folder: Path, options: argparse.Namespace) -> tuple[Load, int]:
    return await asyncio.gather(
        open_loop(port, texts, options.rate, options.seconds), publish(folder, options.publish, options.seconds)
    )


def main() -> None:
    parser = bench.options(__doc__ or "", rounds=3)
    parser.add_argument("index", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--publish", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    machine = bench.machine()
    with gzip.open(options.queries, "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    random.Random(options.seed).shuffle(texts)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(options.index, Path(scratch, options.index.name)))
        starts, rows = [], {}
        for n in range(options.rounds):
            with server(folder) as (port, times):
                starts.append(times)
                rows[f"open loop, {options.rate:g}/s, round {n + 1}"] = asyncio.run(
                    open_loop(port, texts, options.rate, options.seconds)
                ).row
                rows[f"saturated, {CONNECTIONS} connections, round {n + 1}"] = asyncio.run(
                    saturated(port, texts, options.seconds / 3)
                ).row
        with server(folder) as (port, _):
            load, published = asyncio.run(while_publishing(port, texts, folder, options))
            rows[f"open loop, {options.rate:g}/s, {published} generations published"] = load.row
    bench.report(
        {"machine": machine, "starts": starts, "rows": rows},
        bench.table(list(starts[0]), [list(start.values()) for start in starts]),
        bench.table(["", *next(iter(rows.values()))], [[name, *row.values()] for name, row in rows.items()]),
    )


if __name__ == "__main__":
    main()
