from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to be written and read; its name says nothing about its format."""
    return tmp_path / "source"
