"""A process that reads source files for another one: files asked for come in by stdin, their entries go out by stdout.

``readers`` starts it. It loads nothing but this stage and holds nothing worth saving: it ends when the other process
does, and may be killed at any time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from engine.collect.frames import FrameKind, Outbox, serialise_entries, serialise_error
from engine.collect.source import read_source


def _send_files(asked: Iterable[bytes], outbox: Outbox) -> None:
    """Read each file asked for and send its entries.

    Args:
        asked: a line of JSON for each file: its path, and the name of its format or null.
        outbox: where the frames go.
    """
    outbox.put(FrameKind.READY)
    for line in asked:
        path, format_name = json.loads(line)
        try:
            for batch in serialise_entries(read_source(Path(path), format_name)):
                outbox.put(FrameKind.ENTRIES, batch)
        except Exception as err:
            outbox.put(FrameKind.ERROR, serialise_error(err))
        else:
            outbox.put(FrameKind.END)


def main(most: int) -> None:
    """Run the process: answer what comes by stdin until that ends. `most` bytes of entries may wait to be sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the other process then ends this one
    with open(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # so that what a library prints is no frame
        outbox = Outbox(out, most, lambda: os._exit(0))
        _send_files(sys.stdin.buffer, outbox)
        outbox.close()
