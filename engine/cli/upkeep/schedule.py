"""What systemd, cron or the Task Scheduler of Windows need to run a command every night, with all paths filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from subprocess import list2cmdline

from engine.platform import read_user_name

_SERVICE = """\
# /etc/systemd/system/{unit}.service
# Save the two parts under the names in their first lines, then:
#   sudo systemctl daemon-reload
#   sudo systemctl enable --now {unit}.timer
# Show its output: journalctl -u {unit}. Show when it runs next: systemctl list-timers
[Unit]
Description=Nightly update of the index {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={user}
WorkingDirectory={folder}
ExecStart={command}
Nice=10
IOSchedulingClass=idle
# A run ends within seconds after SIGTERM and keeps what it has encoded.
TimeoutStartSec=infinity
TimeoutStopSec=30
"""
_TIMER = """\
# /etc/systemd/system/{unit}.timer
[Unit]
Description=Nightly update of the index {name}

[Timer]
# PubMed publishes its daily update files in the afternoon, Eastern Time.
OnCalendar=*-*-* 02:30
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target"""
_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def format_systemd(name: str, command: Sequence[str], folder: Path) -> tuple[str, str]:
    """Return a service and a timer that run a command in a folder every night, as the current user."""
    fields = {
        "unit": f"engine-nightly-{name}",
        "name": name,
        "user": read_user_name(),
        "folder": str(folder).replace("%", "%%"),
        "command": " ".join(map(_quote_for_systemd, command)),
    }
    return _SERVICE.format(**fields), _TIMER.format(**fields)


def format_cron(name: str, command: Sequence[str], folder: Path) -> tuple[str, str]:
    """Return a comment and a line for `crontab -e`. cron mails any output, so a successful run prints none."""
    run = " ".join(map(shlex.quote, command))
    line = f'cd {shlex.quote(str(folder))} && output=$({run} 2>&1) || echo "$output"'
    note = f"# Every night at 02:30: update the index {name}. cron mails the output of a run that fails."
    return note, "30 2 * * * " + line.replace("%", r"\%")


def format_task(name: str, command: Sequence[str]) -> str:
    """Return the command with which the Task Scheduler of Windows runs another one every night.

    It is written as Windows splits a line into words; the inner command is one word of it.
    """
    task = ("schtasks", "/Create", "/SC", "DAILY", "/ST", "02:30", "/TN", f"engine-nightly-{name}")
    return list2cmdline([*task, "/TR", list2cmdline(command)])


def _quote_for_systemd(text: str) -> str:
    """Quote one word of ExecStart."""
    if not _PLAIN.fullmatch(text):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return text.replace("%", "%%").replace("$", "$$")
