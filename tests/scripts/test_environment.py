"""The installation into .venv, with a pip that only writes down what it was asked."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import environment
from tests.conftest import ROOT

PIP = """#!/bin/sh
case "$*" in
  *--report*) echo '{report}' ;;
  *"import torch"*) exit 1 ;;
  *) echo "$*" >> {calls}; echo "Collecting numpy>=1.26"; echo "ERROR: no space left" ;;
esac
case "$*" in
  *" -c "*) exit {locked} ;;
  *--report* | *"import torch"*) ;;
  *) exit {code} ;;
esac
"""


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Make a tree with a false .venv, and return what pip was asked since the last call."""
    calls = tmp_path / "calls"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "pip").touch()
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["pytest >= 9"]\n')
    (tmp_path / "constraints.txt").write_text("pytest==9.0\n")
    paths = {"ROOT": "", "VENV": ".venv", "PYTHON": ".venv/bin/python", "LOG": ".venv/install.log"}
    for name, path in {**paths, "CONSTRAINTS": "constraints.txt"}.items():
        monkeypatch.setattr(environment, name, tmp_path / path)
    monkeypatch.setattr(environment, "has_nvidia", lambda: False)

    def asked(*, code: int = 0, locked: int = 0, needs: tuple[str, ...] = ()) -> list[str]:
        report = json.dumps({"install": [{"metadata": {"version": "2.13.0+cpu", "requires_dist": list(needs)}}]})
        python = tmp_path / ".venv" / "bin" / "python"
        python.write_text(PIP.format(report=report, calls=calls, code=code, locked=locked))
        python.chmod(0o755)
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [line.split(" off ")[1].replace(f"{tmp_path}/", "") for line in lines]

    asked()
    return asked


def test_nothing_is_installed_twice(
    pip: Callable[..., list[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.prepare(for_tests=False)
    assert pip() == ["torch==2.13.0+cpu", "-c constraints.txt -e .[cpu,serve]"]
    shown = capfd.readouterr().out.splitlines()
    assert shown[0].startswith("== installing into .venv: about 2.5 GB and 5 minutes")
    assert shown[-1].startswith("== installing the engine with [cpu,serve] … done, ")
    assert "Collecting" not in "".join(shown)
    environment.prepare(for_tests=True)
    assert pip() == ["-c constraints.txt pytest>=9"]
    environment.prepare(for_tests=True)
    environment.prepare(for_tests=False)
    assert pip() == []
    for name in ("pyproject.toml", "constraints.txt"):
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        environment.prepare(for_tests=False)
        assert pip()[-1] == "-c constraints.txt -e .[cpu,serve]"


def test_a_build_of_torch_with_cuda_is_not_chosen(pip: Callable[..., list[str]]) -> None:
    pip(needs=("sympy", "nvidia-cublas==13"))
    environment.prepare(for_tests=False)
    assert pip() == ["-c constraints.txt -e .[cpu,serve]"]


def test_a_failure_names_the_log_and_is_tried_again(
    pip: Callable[..., list[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pip(code=1, locked=1)
    with pytest.raises(SystemExit, match="1"):
        environment.prepare(for_tests=False)
    shown = capfd.readouterr().err
    assert "ERROR: no space left" in shown and f"its whole output is in {tmp_path / '.venv' / 'install.log'}" in shown
    pip()
    environment.prepare(for_tests=False)
    assert pip()[-1] == "-c constraints.txt -e .[cpu,serve]"


def test_versions_that_cannot_be_had_give_way_to_the_newest(
    pip: Callable[..., list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    pip(locked=1)
    environment.prepare(for_tests=True)
    shown = capfd.readouterr().out
    assert shown.count("pip can't install the versions of constraints.txt here: taking the newest") == 2
    assert pip()[1:] == [
        "-c constraints.txt -e .[cpu,serve]",
        "-e .[cpu,serve]",
        "-c constraints.txt pytest>=9",
        "pytest>=9",
    ]
    environment.prepare(for_tests=True)
    assert pip() == []


def test_the_newest_versions_are_installed_where_they_are_asked_for(pip: Callable[..., list[str]]) -> None:
    environment.prepare(for_tests=True)
    pip()
    environment.prepare(for_tests=True, is_newest=True)
    assert pip()[-2:] == ["-e .[cpu,serve]", "pytest>=9"]


@pytest.mark.parametrize("name", ["test", "quickstart"])
def test_a_python_that_is_too_old_is_refused(name: str, tmp_path: Path) -> None:
    for python in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (tmp_path / python).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / python).chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run([ROOT / "scripts" / name], capture_output=True, text=True, env={"PATH": path})
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed: apt-get install python3")


@pytest.mark.parametrize("name", ["quickstart", "test", "nightly_reindex"])
def test_a_script_is_read_by_sh_and_by_python(name: str) -> None:
    script = ROOT / "scripts" / name
    shell = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    compile(script.read_text(encoding="utf-8"), name, "exec")
    if name == "test":  # the others have no short way out
        ways = ([script], ["sh", script], [sys.executable, script])
        shown = [subprocess.run([*way, "--help"], capture_output=True, text=True, env=shell) for way in ways]
        assert [each.returncode for each in shown] == [0, 0, 0]
        assert len({each.stdout for each in shown}) == 1 and "usage: scripts/test" in shown[0].stdout


def test_an_old_python_is_told_which_one_is_needed() -> None:
    for name in ("quickstart", "test"):
        code = (ROOT / "scripts" / name).read_text(encoding="utf-8").replace("(3, 11)", "(99, 0)")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr[:32]) == (1, "Python 3.11 or newer is needed, ")


def test_commands_are_where_the_system_puts_them() -> None:
    loaded = "import hashlib, json, shutil, subprocess, sys, tomllib; sys.platform = 'win32'\n"
    code = f"{loaded}import quickstart, gate, environment as e; print(e.PYTHON, e.find_command('pip'), quickstart.NEXT)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True)
    scripts = environment.VENV / "Scripts"
    assert done.stdout.split()[:2] == [str(scripts / "python.exe"), str(scripts / "pip.exe")], done.stderr
    assert "\n   .venv\\Scripts\\activate\n" in done.stdout
    assert environment.find_command("engine") == environment.VENV / "bin" / "engine"


def test_the_workflow_runs_the_two_commands_of_the_readme_on_every_system() -> None:
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    for part in ("ubuntu-latest, macos-latest, windows-latest", '"3.11", "3.12", "3.13", "3.14"', "fail-fast: false"):
        assert part in text
    for name in ("quickstart", "test"):
        assert f"run: python scripts/{name}\n" in text
        assert f"scripts/{name}" in (ROOT / "README.md").read_text(encoding="utf-8")
