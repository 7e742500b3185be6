"""The locked versions satisfy pyproject.toml, whole, and name no place from which they came."""

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts import environment
from tests.conftest import ROOT

sys.path.append(str(ROOT / "scripts"))

import make_constraints

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
INSTALLED = [*PROJECT["project"]["dependencies"], *EXTRAS["cpu"], *EXTRAS["serve"], *GROUPS["dev"]]
LINES = environment.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
LOCKED = dict(line.split("==") for line in LINES if not line.startswith("#"))


def test_each_line_is_a_name_and_a_version() -> None:
    for name, version in LOCKED.items():
        assert str(Requirement(f"{name}=={version}")) == f"{name}=={version}"
        assert make_constraints.normalize(name) == name and "+" not in version
    assert list(LOCKED) == sorted(LOCKED) and len(LOCKED) > 100
    assert not [line for line in LINES if "/" in line and not line.startswith("#")]


@pytest.mark.slow  # quick, but what is not locked harms no gate: pip takes the newest
def test_what_the_scripts_install_is_locked_except_torch() -> None:
    needed = {make_constraints.normalize(Requirement(text).name) for text in INSTALLED}
    assert needed - set(LOCKED) == {"torch"}


@pytest.mark.parametrize("text", sorted({*INSTALLED, *sum(EXTRAS.values(), [])}))
def test_the_locked_version_is_one_that_pyproject_allows(text: str) -> None:
    requirement = Requirement(text)
    version = LOCKED.get(make_constraints.normalize(requirement.name))
    assert version is None or requirement.specifier.contains(version)
    if requirement.name == "torch":
        assert requirement.specifier.contains(environment.CPU_TORCH)


def test_a_package_has_the_same_bounds_in_every_list() -> None:
    bounds: dict[str, set[str]] = {}
    for requirement in map(Requirement, [*INSTALLED, *sum(EXTRAS.values(), [])]):
        bounds.setdefault(make_constraints.normalize(requirement.name), set()).add(str(requirement.specifier))
    assert not {name: found for name, found in bounds.items() if len(found) > 1}


def test_the_file_is_made_from_the_packages_at_hand() -> None:
    made = make_constraints.format_constraints()
    assert made.startswith(make_constraints.HEADER) and "torch==" not in made and "abstract-engine==" not in made
    assert [line for line in LINES if line.startswith("#")] == make_constraints.HEADER.splitlines()
    assert f"\npytest=={pytest.__version__}\n" in made


def test_another_python_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_constraints.environment, "VENV", tmp_path)
    with pytest.raises(SystemExit, match="1"):
        make_constraints.main()
    assert capsys.readouterr().err.startswith(f"Found {sys.executable}, expected ")
