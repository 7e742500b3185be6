"""The command line: one thin command per verb. Stages are imported inside the commands, so that help is instant.

Next: nothing. ``build`` makes and updates indexes, ``find`` asks them, ``look`` tells of them, ``tune`` sets how deep a
large one looks; ``recall`` and ``rerun`` check searches, ``similarity`` compares texts.
"""

from engine.cli import build, find, look, recall, rerun, similarity, tune
from engine.cli.group import main

__all__ = ["build", "find", "look", "main", "recall", "rerun", "similarity", "tune"]
