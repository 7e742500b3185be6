"""The command line: one thin command per verb. Stages are imported inside the commands, so that help is instant.

Next: nothing. ``build`` makes and updates indexes, ``nightly`` updates one every night (``schedule`` writes what
systemd and cron need), ``find`` asks them, ``look`` tells of them, ``tune`` sets how deep a large one looks;
``recall`` and ``rerun`` check searches, ``similarity`` compares texts; ``evaluate`` and ``knownitems`` measure,
``screen`` ranks what is to be screened, ``serve`` answers browsers and programs; ``train``, ``promote`` and
``explain_card`` are about encoders.
"""

# isort: off
from engine.cli import build, nightly, find, look, recall, rerun, similarity, tune  # commands are listed in this order
from engine.cli import evaluate, knownitems, screen, serve, train, promote, explain_card

# isort: on
from engine.cli.group import main

__all__ = [
    "build",
    "evaluate",
    "explain_card",
    "find",
    "knownitems",
    "look",
    "main",
    "nightly",
    "promote",
    "recall",
    "rerun",
    "screen",
    "serve",
    "similarity",
    "train",
    "tune",
]
