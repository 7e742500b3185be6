"""Write constraints.txt, the versions that the scripts install, from those in .venv. Run it with the Python in .venv.

For the newest versions: rm -r .venv, then scripts/test --newest, then this script.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions

import environment

HEADER = """\
# The versions with which the gate passed, with Python 3.11 on Linux; scripts/environment.py gives them to pip. torch is
# not among them, since its builds differ. Written by scripts/make_constraints.py.
"""
LEFT_OUT = {"abstract-engine", "pip", "setuptools", "torch", "wheel"}  # of what every environment holds


def normalize(name: str) -> str:
    """Return the name of a package as indexes write it: PyYAML and pyyaml are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def format_constraints() -> str:
    """Return a line for each package that this Python has, by name; builds of one version are not told apart."""
    versions = {normalize(each.metadata["Name"]): each.version.partition("+")[0] for each in distributions()}
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items()) if name not in LEFT_OUT]
    return HEADER + "".join(lines)


def main() -> None:
    """Write the file."""
    if sys.prefix != str(environment.VENV):
        environment.stop(f"Found {sys.executable}, expected {environment.PYTHON}. Run: scripts/test, then use that one")
    environment.CONSTRAINTS.write_text(format_constraints(), encoding="utf-8")
    environment.say(f"wrote {environment.CONSTRAINTS.relative_to(environment.ROOT)}")


if __name__ == "__main__":
    main()
