"""Marks of decisions in the files of screening tools: what ASReview, Rayyan, Zotero and tables write, and we too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.corpus.storage.journal import DecisionKind
from engine.records.abstract import Abstract

_WORDS = {
    DecisionKind.INCLUDE: ("1", "yes", "y", "true", "include", "included", "relevant", "in"),
    DecisionKind.EXCLUDE: ("0", "no", "n", "false", "exclude", "excluded", "irrelevant", "out"),
    DecisionKind.MAYBE: ("maybe", "unsure", "?"),
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words}
# Columns of tables, in lower case with "_" between words, the one that counts first.
_DECISION = (
    "decision",
    "screening_decision",
    "label_included",
    "final_included",
    "included",
    "asreview_label",
    "label",
)
_REASON = ("exclusion_reason", "reason", "reason_for_exclusion", "exclusion_reasons")
_NOTE, _LABELS, _REVIEWER = "decision_note", "decision_labels", "reviewer"
COLUMNS = ("decision", "label_included", "exclusion_reason", _NOTE, _LABELS, _REVIEWER)  # of our own tables
_ASREVIEW = re.compile(r"\bASReview_(relevant|irrelevant)\b")
_RAYYAN = re.compile(r"RAYYAN-(INCLUSION|EXCLUSION-REASONS): *([^|\n]*)")
_RAYYAN_PERSON = re.compile(r'"((?:[^"\\]|\\.)*)" *=> *"(\w+)"')
_TAG = re.compile(r"(included?|excluded?|maybe)(?:\s*[:\-–]\s*(.+))?", re.I)  # of Zotero: "excluded: wrong drug"


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision on a record as a file has it."""

    kind: DecisionKind  # include, exclude or maybe
    who: str = ""  # "" if the file does not say
    reason: str = ""
    note: str = ""
    labels: tuple[str, ...] = ()


def read_marks(record: Abstract) -> list[Mark]:
    """Return the decisions that a record carries, at most one for each reviewer; none if it carries none.

    They are looked for in this order: a column of a table (`decision`, `label_included` …), Rayyan's note, ASReview's
    note, a tag such as Zotero's ("excluded: wrong population"). The first that is there counts.
    """
    columns = dict(_split_tag(tag) for tag in record.other_tags if ": " in tag)
    for found in (_read_columns(columns), _read_rayyan(record.notes), _read_asreview(record.notes), _read_tags(record)):
        if found:
            return found
    return []


def list_columns(kind: DecisionKind | None, marks: Sequence[Mark]) -> dict[str, str]:
    """Return the cells of COLUMNS for a record; kind is what the reviewers decided together, None is a conflict."""
    label = {DecisionKind.INCLUDE: "1", DecisionKind.EXCLUDE: "0"}
    reason = next((mark.reason for mark in reversed(marks) if mark.reason), "")
    cells = (
        "conflict" if kind is None else "" if kind is DecisionKind.UNDECIDED else str(kind),
        "" if kind is None else label.get(kind, ""),
        reason if kind is DecisionKind.EXCLUDE else "",
        "\n".join(dict.fromkeys(mark.note for mark in marks if mark.note)),
        "; ".join(dict.fromkeys(label for mark in marks for label in mark.labels)),
        "; ".join(dict.fromkeys(mark.who for mark in marks if mark.who)),
    )
    return dict(zip(COLUMNS, cells, strict=True))


def list_notes(kind: DecisionKind | None, marks: Sequence[Mark]) -> Iterator[str]:
    """Yield the notes that carry decisions where a format has no columns, as ASReview and Rayyan write them."""
    words = {DecisionKind.INCLUDE: "relevant", DecisionKind.EXCLUDE: "irrelevant"}
    if kind in words:
        yield f"ASReview_{words[kind]}"
    rayyan = {DecisionKind.INCLUDE: "Included", DecisionKind.EXCLUDE: "Excluded", DecisionKind.MAYBE: "Maybe"}
    people = [
        f'{json.dumps(mark.who, ensure_ascii=False)}=>"{rayyan[mark.kind]}"' for mark in marks if mark.kind in rayyan
    ]
    reasons = ",".join(dict.fromkeys(mark.reason for mark in marks if mark.reason))
    parts = [f"RAYYAN-INCLUSION: {{{', '.join(people)}}}"] if people else []
    parts += [f"RAYYAN-EXCLUSION-REASONS: {reasons}"] if reasons else []
    if parts:
        yield " | ".join(parts)
    yield from dict.fromkeys(mark.note for mark in marks if mark.note)


def strip_marks(note: str) -> str:
    """Return a note without the decisions that ASReview and Rayyan wrote into it."""
    return _RAYYAN.sub("", _ASREVIEW.sub("", note)).strip(" |\n.")


def _split_tag(tag: str) -> tuple[str, str]:
    """Return name and value of a tag that no field takes, the name in the form of _DECISION."""
    name, _, value = tag.partition(": ")
    return re.sub(r"\W+", "_", name.strip().lower()), value.strip()


def _read_columns(columns: Mapping[str, str]) -> list[Mark]:
    """Return the decision in the columns of a table."""
    found = (_KINDS.get(columns[name].lower().removesuffix(".0")) for name in _DECISION if columns.get(name))
    kind = next((each for each in found if each), None)
    if kind is None:
        return []
    reason = next((columns[name] for name in _REASON if columns.get(name)), "")
    labels = tuple(filter(None, (label.strip() for label in columns.get(_LABELS, "").split(";"))))
    who = columns.get(_REVIEWER, "")
    return [
        Mark(
            kind,
            "" if ";" in who else who,
            reason if kind is DecisionKind.EXCLUDE else "",
            columns.get(_NOTE, ""),
            labels,
        )
    ]


def _read_rayyan(notes: Iterable[str]) -> list[Mark]:
    """Return the decisions in Rayyan's note, one for each reviewer."""
    parts = {name: value.strip() for note in notes for name, value in _RAYYAN.findall(note)}
    reasons = "; ".join(filter(None, (part.strip() for part in parts.get("EXCLUSION-REASONS", "").split(","))))
    marks = []
    for who, word in _RAYYAN_PERSON.findall(parts.get("INCLUSION", "")):
        if kind := _KINDS.get(word.lower()):
            marks.append(Mark(kind, json.loads(f'"{who}"'), reasons if kind is DecisionKind.EXCLUDE else ""))
    return marks


def _read_asreview(notes: Iterable[str]) -> list[Mark]:
    """Return the decision in ASReview's note."""
    words = [word for note in notes for word in _ASREVIEW.findall(note)]
    return [Mark(_KINDS[words[-1]])] if words else []


def _read_tags(record: Abstract) -> list[Mark]:
    """Return the decision in a tag that a person gave."""
    for tag in (*record.labels, *record.keywords):
        if match := _TAG.fullmatch(tag.strip()):
            kind = _KINDS[match[1].lower()]
            return [Mark(kind, reason=(match[2] or "") if kind is DecisionKind.EXCLUDE else "")]
    return []
