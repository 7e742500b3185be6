"""Run the command line as ``python -m engine``."""

from __future__ import annotations

from engine.cli import main

if __name__ == "__main__":  # processes that are spawned for several GPUs import this module again
    main(prog_name="engine")
