"""Print the packages of the dev group of pyproject.toml, one a line; older pips can't install groups themselves."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
print("\n".join(need.replace(" ", "") for need in project["dependency-groups"]["dev"]))
