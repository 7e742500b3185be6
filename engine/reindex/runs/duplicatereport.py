"""The report of duplicates: every group that is proposed or decided, with its reasons, who decided what, and when."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.collect.values.export import guard_formula
from engine.corpus.storage.journal import DecisionKind
from engine.errors import UsageError
from engine.files import write_text
from engine.phrases import pluralize
from engine.references.writers.markdown import escape_markdown
from engine.reindex.runs.decisions import Duplicates, describe_group

SUFFIXES = (".csv", ".json", ".md")
_GROUP = ("group", "decision", "number", "who", "made", "undone", "undone_by", "score", "same", "other")
_MEMBER = ("record_id", "title", "authors", "year", "journal", "volume", "issue", "pages", "pmid", "doi")


def write_report(path: Path, duplicates: Duplicates, *, overwrite: bool) -> None:
    """Write the report as CSV with a row for each record, as JSON or as Markdown, by the suffix of the file.

    Raises:
        UsageError: another suffix, or the file exists.
        OSError: it can't be written.
    """
    rows = _list_report_groups(duplicates)
    formats = {".csv": _format_csv, ".json": _format_json, ".md": _format_markdown}
    if path.suffix.lower() not in formats:
        raise UsageError(f"{path} has no suffix of a report, expected one of {', '.join(SUFFIXES)}")
    write_text(path, formats[path.suffix.lower()](rows), overwrite=overwrite)


def _list_report_groups(duplicates: Duplicates) -> list[dict[str, Any]]:
    """Return the groups as plain fields: decided ones by number, then proposed ones.

    `decision` is "merge", "keep-apart" or "proposed". A decision that was undone has the date and the person.
    """
    undone = {each.undoes: each for each in duplicates.decisions if each.kind is DecisionKind.UNDO}
    decided = []
    for each in duplicates.decisions:
        if each.kind is DecisionKind.UNDO:
            continue
        end = undone.get(each.number)
        decision = {"decision": str(each.kind), "number": each.number, "who": each.who, "made": each.made}
        decided.append({**each.details, **decision, "undone": end and end.made, "undone_by": end and end.who})
    proposed = [{**describe_group(group), "decision": "proposed"} for group in duplicates.proposed]
    return [{name: group.get(name) for name in (*_GROUP, "members")} for group in (*decided, *proposed)]


def _format_json(groups: list[dict[str, Any]]) -> Iterator[str]:
    """Yield one JSON array of the groups."""
    yield json.dumps(groups, ensure_ascii=False, indent=1) + "\n"


def _format_csv(groups: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a header and a row for each record of each group."""
    yield _format_row([*_GROUP, *_MEMBER])
    for group in groups:
        for member in group["members"] or [{}]:
            yield _format_row([*(group[name] for name in _GROUP), *(member.get(name) for name in _MEMBER)])


def _format_row(values: list[Any]) -> str:
    """Return a line of CSV; a list has "; " between its items, and no cell acts as a formula."""
    cells = ["; ".join(value) if isinstance(value, (list, tuple)) else value for value in values]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(
        [guard_formula(cell) if isinstance(cell, str) else cell for cell in cells]
    )
    return out.getvalue().removesuffix("\r\n") + "\n"


def _format_markdown(groups: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a heading, the counts, and a list of the groups with their records."""
    yield f"# Duplicates\n\n{pluralize(len(groups), 'group')}\n"
    for group in groups:
        yield f"\n## {group['group']}: {_describe_decision(group)}\n\n"
        if group["same"]:
            score = f"score {group['score']:.2f}; " if group["score"] is not None else ""
            yield f"{score}same {', '.join(group['same'])}"
            yield (f"; other {', '.join(group['other'])}" if group["other"] else "") + "\n\n"
        for member in group["members"] or []:
            facts = (member.get(name) for name in ("record_id", "year", "journal", "title", "pmid", "doi"))
            yield f"- {' · '.join(escape_markdown(str(fact)) for fact in facts if fact)}\n"


def _describe_decision(group: dict[str, Any]) -> str:
    """Return what was decided, by whom and when."""
    if group["decision"] == "proposed":
        return "proposed"
    made = f"{group['decision']} ({group['number']}), {escape_markdown(group['who'])}, {group['made']}"
    return made + (f"; undone {group['undone']} by {escape_markdown(group['undone_by'])}" if group["undone"] else "")
