import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USER_FILE = """
from engine import Answer, Hit, Query, open_index

with open_index("indexes/sample") as index:
    hits: list[Hit] = index.search("gout", mode="hybrid")
    index.search_batch(["gout"], mode="keyword")
    index.new("gout", since=1, mode="semantic")
    answer: Answer = index.ask(Query("gout", mode="hybrid", fusion="rrf"))
    index.search("gout", mode="dense")  # refused
    index.search_batch(["gout"], mode="dense")  # refused
    index.new("gout", since=1, mode="dense")  # refused
    Query("gout", mode="dense")  # refused
    Query("gout", fusion="sum")  # refused
"""


@pytest.mark.slow
def test_mypy_accepts_the_names_of_modes_and_refuses_others(tmp_path: Path) -> None:
    file = tmp_path / "user.py"
    file.write_text(USER_FILE, encoding="utf-8")
    command = (sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--config-file", "pyproject.toml", str(file))
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    refused = [number for number, line in enumerate(USER_FILE.splitlines(), 1) if line.endswith("# refused")]
    errors = re.findall(r"user\.py:(\d+): error: (.*)", run.stdout)
    assert [int(number) for number, _ in errors] == refused, run.stdout + run.stderr
    assert all('"Literal[' in message and message.endswith("[arg-type]") for _, message in errors)
