"""The walkthrough from the first fetch to the news."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_all_commands_do_what_they_should() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "walkthrough.py")]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    commands = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("$ engine ")]
    assert commands == ["fetch", "index", "watch", "nightly", "nightly"]
    assert "flares: 1 of 2 new or changed records" in done.stdout
    assert done.stdout.endswith("The walkthrough is complete.\n")
