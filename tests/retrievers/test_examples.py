"""The examples of the page on other programs run, each where its package is installed."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r'^```python title="(\w+)_example.py"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
PACKAGES = {"langchain": "langchain_core", "llamaindex": "llama_index", "haystack": "haystack", "mteb": "mteb"}


def test_each_program_has_an_example() -> None:
    assert EXAMPLES.keys() == PACKAGES.keys()


@pytest.mark.parametrize("name", PACKAGES)
def test_an_example_runs(name: str, sample: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec(PACKAGES[name]) is None:
        pytest.skip(f"needs the [{name}] extra")
    (tmp_path / "indexes").mkdir()
    shutil.copytree(sample.path, tmp_path / "indexes" / "sample")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[name], f"{name}_example.py", "exec"), {})
