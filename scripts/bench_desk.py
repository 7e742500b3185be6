"""Measure the screening view: decisions by keyboard in Chromium, from the key to the next paint.

scripts/bench_desk.py INDEX [--keys 200] [--pause 0.5] [--decisions 0] [--work FOLDER]

INDEX is the folder of an index; it is copied, and the copy gets a review, with some decisions if asked for. A server of
its own keeps the decisions. Each key decides about a record once the one before is painted and a pause has passed, less
than a reader needs. Prints the time from a key to the paint of the next record, and the round trip of a decision, both
in milliseconds of wall time: run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from bench_machine import machine, report, table
from playwright.sync_api import Page, sync_playwright

from engine import open_index
from engine.corpus.storage.journal import DecisionKind
from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings

CRITERIA = "Randomised trials of drugs for arthritis\nAdults\nPain or function as an outcome"
KEYS = "eeieemeei1"
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
_WATCH = """() => {
  window.paints = [];
  let pressed = null;
  addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
  new MutationObserver(() => {
    if (pressed === null || !document.querySelector("form.decide")) return;
    const began = pressed;
    pressed = null;
    requestAnimationFrame(() => { const channel = new MessageChannel();
      channel.port1.onmessage = () => window.paints.push(performance.now() - began);
      channel.port2.postMessage(null); });
  }).observe(document.getElementById("card"), { childList: true });
}"""
_ROUND_TRIPS = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.name.endsWith("/review/decide")).map((entry) => entry.responseEnd - entry.startTime)"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.5)
    parser.add_argument("--decisions", type=int, default=0)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as place:
        folder = IndexFolder(Path(shutil.copytree(given.index, Path(place) / "indexes" / given.index.name)))
        n_records = _start_review(folder, given.decisions)
        with _serve(folder) as address:
            paints, trips = _press_keys(address, given.keys, given.pause)
    report(
        {"machine": machine(), "records": n_records, "decisions before": given.decisions, "keys": given.keys},
        table(
            ("ms", "n", "p50", "p99", "most"),
            [_summarise("key to next paint", paints), _summarise("decision, round trip", trips)],
        ),
    )


def _start_review(folder: IndexFolder, n_decisions: int) -> int:
    """Start a review with decisions on records drawn with a fixed seed; return the number of records."""
    review = Review(folder, "bench")
    review.start("ann", ReviewSettings(CRITERIA, ("wrong population",), ("trial*",), ("mice",)))
    with open_index(folder.path) as index:
        records = [(each.record_id, "arthritis" in each.title.lower()) for each in index.abstracts()]
    drawn = np.random.default_rng(0).permutation(len(records))[:n_decisions].tolist()
    for is_in in (True, False):
        names = [records[row][0] for row in drawn if records[row][1] is is_in]
        if names:
            review.decide("ann", names, NewLabel(DecisionKind.INCLUDE if is_in else DecisionKind.EXCLUDE))
    return len(records)


@contextmanager
def _serve(folder: IndexFolder) -> Iterator[str]:
    """Yield the address of a server of the review."""
    command = [sys.executable, "-m", "engine", "serve", "--indexes", str(folder.path.parent), "--port", "0"]
    command += ["-i", folder.name, "--review", "bench", "--who", "ann"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ}) as running:
        assert running.stderr is not None
        line = running.stderr.readline()
        try:
            yield line.split()[0]
        finally:
            running.terminate()


def _press_keys(address: str, n_keys: int, pause: float) -> tuple[list[float], list[float]]:
    """Return the times from each key to the next paint, and of the round trips, in milliseconds."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}review")
        page.wait_for_load_state("networkidle")
        page.evaluate(_WATCH)
        page.evaluate("performance.setResourceTimingBufferSize(100000)")
        for n in range(n_keys):
            page.wait_for_timeout(1000 * pause)
            page.keyboard.press(KEYS[n % len(KEYS)])
            page.wait_for_function("(n) => window.paints.length > n", arg=n, timeout=60_000)
        page.wait_for_function("() => !Object.keys(localStorage).some((name) => name.startsWith('review '))")
        found = list(page.evaluate("window.paints")), list(page.evaluate(_ROUND_TRIPS))
        browser.close()
    return found


def _summarise(name: str, times: Sequence[float]) -> Sequence[object]:
    """Return a row of the table."""
    p50, p99 = np.percentile(times, (50, 99)).tolist()
    return name, len(times), round(p50, 1), round(p99, 1), round(max(times), 1)


if __name__ == "__main__":
    main()
