"""From a fresh clone to a first search: environment, install, index of the bundled sample, one query."""

from __future__ import annotations

import subprocess
import sys

import environment

QUERY = "painful toe after beer and seafood"
ACTIVATE = r".venv\Scripts\activate" if environment.ENDING else ". .venv/bin/activate"
NEXT = f"""done. Read on in docs/quickstart.md (first search) or docs/review.md (a review), or use your own files:
   {ACTIVATE}
   engine index YOUR_FILE -i mine
   engine search 'your question' -i mine
   engine serve --open"""


def engine(*args: str) -> None:
    """Run one command of the engine; leave with its exit code if it fails."""
    done = subprocess.run([environment.find_command("engine"), *args], cwd=environment.ROOT)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Install, index, search."""
    environment.prepare(for_tests=False)
    environment.say("indexing the bundled sample: 125 invented abstracts (the first run exports the model, some 20 s)")
    engine("index", "engine/sample/abstracts.jsonl", "engine/sample/pubmed.xml", "-i", "sample")
    environment.say(f'engine search "{QUERY}" -i sample -n 3')
    engine("search", QUERY, "-i", "sample", "-n", "3", "--table")
    environment.say(NEXT)


if __name__ == "__main__":
    main()
