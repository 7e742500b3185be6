"""The programs that scripts start as text, which no type checker reads, import what is there."""

import ast
import re
from importlib import import_module

import pytest

from tests.conftest import ROOT

FROM = re.compile(r"^from (engine[\w.]*) import (.+)$", re.MULTILINE)
PLAIN = re.compile(r"^import (.*\bengine\b.*)$", re.MULTILINE)
PROGRAMS = [
    (path.name, node.value)
    for path in sorted((ROOT / "scripts").glob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and FROM.search(node.value)
]


def test_programs_are_found() -> None:
    assert {name for name, _ in PROGRAMS} == {
        "bench_cluster.py",
        "bench_collect.py",
        "bench_readers.py",
        "bench_segments.py",
        "bench_start.py",
    }


@pytest.mark.parametrize(("script", "program"), PROGRAMS)
def test_what_a_program_imports_is_there(script: str, program: str) -> None:
    for module, names in FROM.findall(program):
        missing = [name for name in re.split(r",\s*", names) if not hasattr(import_module(module), name)]
        assert not missing, (script, module, missing)
    for names in PLAIN.findall(program):
        for module in re.split(r",\s*", names):
            import_module(module)
