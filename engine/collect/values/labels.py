"""Labels that screening tools write into notes."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Rayyan's: RAYYAN-INCLUSION: {"Ann"=>"Included"} | RAYYAN-LABELS: a,b | RAYYAN-EXCLUSION-REASONS: x
_TOOL = "RAYYAN-"
_RAYYAN_LABELS = re.compile(
    r"(?:^|(?P<before>\s*\|\s*))RAYYAN-LABELS:[ \t]*(?P<labels>[^|\n]*?)\s*(?P<after>\|[ \t]*|$)", re.M
)


def split_labels(notes: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (the notes without the labels that Rayyan wrote into them, these labels), each once.

    Decisions and reasons stay in the notes.

    >>> split_labels(['RAYYAN-INCLUSION: {"Ann"=>"Included"} | RAYYAN-LABELS: gout,to read'])
    (('RAYYAN-INCLUSION: {"Ann"=>"Included"}',), ('gout', 'to read'))
    """
    kept, labels = list[str](), list[str]()
    for note in notes:
        if _TOOL in note:
            labels += (part for match in _RAYYAN_LABELS.finditer(note) for part in re.split(r"[,;]", match["labels"]))
            note = _RAYYAN_LABELS.sub(_keep_mark, note).strip()
        kept.append(note)
    labels = [label.strip() for label in labels]
    return tuple(dict.fromkeys(filter(None, kept))), tuple(dict.fromkeys(filter(None, labels)))


def _keep_mark(match: re.Match[str]) -> str:
    """Return what stays where labels stood: the mark between what is before them and what is after."""
    return " | " if match["before"] and match["after"] else ""
