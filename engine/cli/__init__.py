"""The command line, with thin commands. Stages are imported inside the commands, so that help appears at once.

Next: nothing. ``build`` makes and updates indexes, ``nightly`` updates one every night (``schedule`` writes the files
for systemd and cron), ``find`` searches them, ``references`` and ``vectors`` write what they hold, ``look`` shows and
checks them, ``translate`` shows how a Boolean search is read, ``duplicates`` decides on duplicates, ``compact`` merges
segments, ``backup`` copies an index and restores it, ``tune`` tunes a large one. ``recall`` and ``rerun`` check
searches, ``suggest`` builds them from known records, ``chase`` follows citations, ``screen`` ranks records for
screening, ``review`` keeps decisions, ``flow`` counts them for a diagram, ``serve`` serves browsers and programs.
``models`` lists models; ``similarity`` compares texts; ``evaluate`` and ``knownitems`` measure rankings; ``train``,
``promote`` and ``explain_card`` deal with encoders.

``options`` and ``judgments`` are what several commands read, ``delivery``, ``hits`` and ``table`` how hits are printed
and written, ``curve`` how a recall curve is drawn, and ``group`` turns errors into messages and exit codes.
"""

# isort: off
# commands are listed in this order
from engine.cli import build, fetch, nightly, find, references, vectors, look, duplicates
from engine.cli import translate, recall, suggest, chase, rerun, similarity, compact, backup, tune
from engine.cli import evaluate, knownitems, models, screen, review, flow, serve, train, promote, explain_card

# isort: on
from engine.cli.group import main

__all__ = [
    "backup",
    "build",
    "chase",
    "compact",
    "duplicates",
    "evaluate",
    "explain_card",
    "fetch",
    "find",
    "flow",
    "knownitems",
    "look",
    "main",
    "models",
    "nightly",
    "promote",
    "recall",
    "references",
    "rerun",
    "review",
    "screen",
    "serve",
    "similarity",
    "suggest",
    "train",
    "translate",
    "tune",
    "references",
    "vectors",
]
