"""The demo of a cluster: three nodes, of which one is killed in the middle of questions."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.scale.conftest import require_ray


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_answer_changes_while_a_node_is_killed() -> None:
    require_ray()
    script = [sys.executable, str(ROOT / "scripts" / "cluster_demo.py")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "raylet" not in done.stdout
    lines = done.stdout.splitlines()
    commands = [
        line.partition("engine ")[2].split()[0] for line in lines if line.startswith("$ ") and "engine " in line
    ]
    assert commands == ["scale", "index", "index", "scale", "search", "search", "scale", "search", "search"]
    assert lines.count("The outputs are the same.") == 2
    asked = [int(found[1]) for line in lines if (found := re.match(r" ?(\d+) \d+\.\d+ s  the same answer, ", line))]
    assert asked == list(range(1, 13))
    killed = next(i for i, line in enumerate(lines) if line.endswith("is killed"))
    assert lines[killed - 1].startswith(" 4 ")
    assert lines[-1] == "The demo is complete."
