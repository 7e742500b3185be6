"""What is released: its files are those of the repository, and it works where it is installed, far from any clone."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLE, TOY_MODEL, copy_toy, jsonl

sys.path.append(str(ROOT / "scripts"))

import make_release
from make_constraints import normalize

Run = Callable[..., str]
SHELL = {"PATH": "/usr/bin:/bin", "ENGINE_INDEXES": "indexes"}  # knows nothing of the clone, nor of its environment


def takes_long(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that builds and installs."""
    return pytest.mark.network(pytest.mark.slow(pytest.mark.timeout(1800)(test)))


def test_the_page_of_the_package_has_no_link_that_leads_nowhere() -> None:
    text = (ROOT / "docs" / "package.md").read_text(encoding="utf-8")
    assert not [target for target in re.findall(r"\]\(([^)]*)\)", text) if "://" not in target]
    assert "<img" not in text and "](#" not in text


def test_files_that_are_missing_or_too_many_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    make_release.check_files(Path("a.whl"), {"a"}, {"a"})
    with pytest.raises(SystemExit, match="1"):
        make_release.check_files(Path("a.whl"), {"a", "b"}, {"a", "c"})
    assert capsys.readouterr().err == "a.whl lacks ['c'] and holds ['b']. See MANIFEST.in\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution, the wheel and the list of packages."""
    folder = tmp_path_factory.mktemp("release")
    make_release.make_release(folder / "dist", folder / "tools", Path(sys.executable))
    return folder / "dist"


@pytest.fixture(scope="module", params=["*.whl", "*.tar.gz"], ids=["wheel", "source"])
def installed(request: pytest.FixtureRequest, release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a fresh environment in which a distribution is installed, without git on its PATH."""
    place = tmp_path_factory.mktemp("installed")
    (path,) = release.glob(request.param)
    venv.create(place, with_pip=True)
    extras = f"abstract-engine[lite,serve] @ {path.as_uri()}"
    pip = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", extras]
    pip += ["-c", ROOT / "scripts" / "constraints.txt"]
    shell = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": str(place / "bin")}
    done = subprocess.run(pip, capture_output=True, text=True, cwd=place, env=shell)
    assert done.returncode == 0, done.stderr
    return place / "bin"


@pytest.fixture
def run_there(installed: Path, tmp_path: Path) -> Run:
    """Run the installed command in a folder that holds an exported encoder, which [lite] cannot make."""
    copy_toy(tmp_path / "indexes" / "toy")

    def run(*args: str | Path) -> str:
        command = [installed / "engine", *args]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**SHELL, "HOME": str(tmp_path)}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@takes_long
def test_the_packages_are_listed_without_a_place_of_this_machine(release: Path) -> None:
    text = (release / "packages.cdx.json").read_text(encoding="utf-8")
    listed = {normalize(each["name"]): each["version"] for each in json.loads(text)["components"]}
    assert listed["pytest"] == pytest.__version__ and {"lxml", "numpy", "torch"} <= set(listed)
    assert "file:" not in text and str(ROOT) not in text and sys.prefix not in text


@takes_long
def test_it_indexes_the_sample_searches_and_updates_at_night(run_there: Run, installed: Path, tmp_path: Path) -> None:
    assert "nightly" in run_there("--help")
    (sample,) = installed.parent.glob("lib/python*/site-packages/engine/sample")
    assert {path.name for path in sample.iterdir()} == {path.name for path in SAMPLE.iterdir()}
    done = run_there("index", sample / "abstracts.jsonl", sample / "pubmed.xml", "-i", "sample", "-m", TOY_MODEL)
    assert "125 abstracts" in done
    assert len(run_there("search", "gout", "-i", "sample", "-n", "3").splitlines()) == 3
    jsonl(tmp_path / "new.jsonl", [{"id": "new", "title": "New"}])
    (tmp_path / "indexes" / "sample" / "index.toml").write_text('[[sources]]\npath = "../../new.jsonl"\n')
    assert "1 added" in run_there("nightly", "sample", "--offline")
    assert "ExecStart=" + str(installed / "engine") in run_there("nightly", "sample", "--print-systemd")
    assert "126" in run_there("status", "-i", "sample")


@takes_long
def test_it_serves_pages_and_answers(run_there: Run, installed: Path, tmp_path: Path) -> None:
    command = [installed / "engine", "serve", "--port", "0"]
    output = tmp_path / "served"
    with output.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, cwd=tmp_path, env={**SHELL, "HOME": str(tmp_path)})
    try:
        while not (found := re.search(r"^(http://127\.0\.0\.1:[0-9]+)/ serves ", output.read_text(), re.MULTILINE)):
            assert server.poll() is None, output.read_text()
            time.sleep(0.1)
        for path in ("/", "/static/style.css", "/api/v1/search?q=gout"):
            with urllib.request.urlopen(found[1] + path, timeout=30) as answer:
                assert answer.status == 200 and answer.read(), path
    finally:
        server.terminate()
        server.wait(timeout=60)
