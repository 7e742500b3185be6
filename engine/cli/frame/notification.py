"""The command that gets the report of a run from cron."""

from __future__ import annotations

import subprocess

from engine.platform import split_command

_SECONDS = 60
_STDERR = 2  # descriptor


def run_notify_command(command: str, content: bytes) -> str:
    """Run a command with this content on its standard input; return why it failed, "" if it did not.

    What it prints goes to stderr, so that stdout holds only the report. The reason does not show the command's
    arguments: they may hold a token.
    """
    try:
        subprocess.run(_split(command), input=content, timeout=_SECONDS, check=True, stdout=_STDERR)
    except subprocess.CalledProcessError as err:
        return f"it ended with exit code {err.returncode}"
    except subprocess.TimeoutExpired:
        return f"it took longer than {_SECONDS} seconds"
    except (OSError, ValueError) as err:
        return f"{getattr(err, 'strerror', None) or err}"
    return ""


def _split(command: str) -> list[str] | str:
    """Return a command line as a process is started with it.

    Raises:
        ValueError: it is blank, or a quote is not closed.
    """
    words = split_command(command)
    if not words or not command.strip():
        raise ValueError("it is blank, expected a command like: mail -s news ann@example.org")
    return words
