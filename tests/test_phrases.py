import doctest
import re
from pathlib import Path

from engine import phrases
from engine.records import encoder


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(phrases).failed == doctest.testmod(encoder).failed == 0
    assert (doctest.testmod(phrases).attempted, doctest.testmod(encoder).attempted) == (5, 1)


def test_paths_in_commands_of_messages_are_one_word() -> None:
    """A path with a blank must not become two words of the command that a message tells to run."""
    bare = re.compile(r"(?:mkdir -p|\brm(?: -\w+)?|engine restore|engine promote| -o) \{(?!quote_word|shlex)[^}]*\}")
    package = Path(phrases.__file__).parent
    assert [
        f"{path.name}: {found[0]}" for path in package.rglob("*.py") for found in bare.finditer(path.read_text("utf-8"))
    ] == []
