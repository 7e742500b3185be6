"""The command line, with thin commands. Stages are imported inside the commands, so that help appears at once.

Next: nothing. The rooms: ``frame`` is what several commands share: ``group`` turns errors into messages and exit codes,
``options`` are read by many, ``delivery``, ``hits`` and ``table`` print and write hits, ``curve`` draws a recall curve,
and ``notification`` runs the command that gets the report of a run. ``upkeep``: ``fetch`` gets records by a query,
``build`` makes and updates indexes (``template`` writes a new index.toml), ``nightly`` updates one every night
(``schedule`` writes the files for systemd and cron), ``look`` shows and checks them, ``duplicates`` decides on
duplicates, ``compact`` merges segments, ``backup`` copies and restores an index, ``tune`` tunes a large index,
``scale`` encodes on a cluster.
``search``: ``find`` searches, ``batch`` many times, ``watch`` reports what is new for saved questions, ``references``
and ``vectors`` write what an index holds, ``translate`` shows how a Boolean search is read, ``recall`` and ``rerun``
check searches, ``suggest`` builds them from known records, ``chase`` follows citations, and ``similarity`` compares
texts. ``screening``: ``screen`` ranks records for screening, ``review`` keeps decisions, ``flow`` counts them for a
diagram. ``quality``: ``models`` lists models; ``evaluate`` and ``knownitems`` measure rankings by ``judgments``.
``training``: ``train``, ``promote`` and ``explain_card`` deal with encoders. ``serve`` serves browsers and programs.
"""

# isort: off
from engine.cli.upkeep import build, fetch, nightly  # commands are listed in this order
from engine.cli.search import find, watch, references, vectors
from engine.cli.upkeep import look, duplicates
from engine.cli.search import translate, recall, suggest, chase, rerun, similarity
from engine.cli.upkeep import compact, backup, tune, scale
from engine.cli.quality import evaluate, knownitems, models
from engine.cli.screening import screen, review, flow
from engine.cli import serve
from engine.cli.training import train, promote, explain_card

# isort: on
from engine.cli.frame.group import main

ROOMS = ("frame", "upkeep", "search", "screening", "quality", "training")  # a room imports only rooms to its left

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
    "scale",
    "screen",
    "serve",
    "similarity",
    "suggest",
    "train",
    "translate",
    "tune",
    "vectors",
    "watch",
]
