"""The command that gets the report of a run from cron."""

from __future__ import annotations

import subprocess

from engine.platform import split_command

_SECONDS = 60


def run_notify_command(command: str, content: bytes) -> str:
    """Run a command with this content on its standard input; return why it failed, "" if it did not.

    The reason does not show the command's arguments: they may hold a token.
    """
    try:
        subprocess.run(split_command(command), input=content, timeout=_SECONDS, check=True)
    except subprocess.CalledProcessError as err:
        return f"it ended with exit code {err.returncode}"
    except subprocess.TimeoutExpired:
        return f"it took longer than {_SECONDS} seconds"
    except (OSError, ValueError) as err:
        return f"{getattr(err, 'strerror', None) or err}"
    return ""
