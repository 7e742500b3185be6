"""The command line: one thin command per verb. Stages are imported inside the commands, so that help is instant.

Next: nothing. ``build`` makes and updates indexes, ``find`` asks them, ``look`` tells of them.
"""

from engine.cli import build, find, look
from engine.cli.group import main

__all__ = ["build", "find", "look", "main"]
