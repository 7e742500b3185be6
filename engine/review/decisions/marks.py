"""Marks of decisions in the files of screening tools: what ASReview, Rayyan, Zotero and tables write, and we too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.corpus.storage.journal import DecisionKind
from engine.records.abstract import Abstract

_WORDS = {
    DecisionKind.INCLUDE: ("1", "yes", "y", "true", "include", "included", "relevant", "in"),
    DecisionKind.EXCLUDE: ("0", "no", "n", "false", "exclude", "excluded", "irrelevant", "not relevant", "out"),
    DecisionKind.MAYBE: ("maybe", "unsure", "unclear", "uncertain", "can't tell", "cannot tell", "?"),
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words}
# Columns of tables, in lower case with "_" between words, the one that counts first.
_DECISION = (
    *("decision", "screening_decision", "label_included", "final_included", "included", "included_label"),
    *("included_final", "included_flag", "include", "inclusion_status", "asreview_label", "label"),
)
_REASON = ("exclusion_reason", "reason", "reason_for_exclusion", "exclusion_reasons")
_NOTE, _LABELS, _REVIEWER = "decision_note", "decision_labels", "reviewer"
COLUMNS = ("decision", "label_included", "exclusion_reason", _NOTE, _LABELS, _REVIEWER)  # of our own tables
_NOTES = (_NOTE, "asreview_note")
# DistillerSR: a row for each reviewer and level, a column for each question.
_REFID, _USER, _LEVEL = "refid", "user", "level"
_QUESTION = re.compile(r"(?<![^\W_])(?:include|included|inclusion|eligible|relevant)(?![^\W_])")
_COVIDENCE = "covidence_"  # "Covidence #"
_COVIDENCE_REASON = re.compile(r"\bExclusion reason: *([^;\n]*)")
# Covidence names a file after its list: review_12345_excluded_csv_20240131120000.csv.
_COVIDENCE_LIST = re.compile(r"(?:^|_)review_\d+_(included|excluded|irrelevant)_[a-z]+_\d{8}", re.I)
_ASREVIEW = re.compile(r"\bASReview_(relevant|irrelevant)\b")
_RAYYAN = re.compile(r"(RAYYAN-INCLUSION|RAYYAN-EXCLUSION-REASONS|USER-NOTES): *")
_PERSON = r'"((?:[^"\\]|\\.)*)" *=> *'
_RAYYAN_PERSON = re.compile(_PERSON + r'"(\w+)"')
_RAYYAN_NOTES = re.compile(_PERSON + r'\[((?: *,? *"(?:[^"\\]|\\.)*")*) *\]')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_IN_BRACES = re.compile(r'\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}')
_REASONS = re.compile(r'(?:[^"|\n][^|\n,]*|"(?:[^"\\]|\\.)*"[^|\n,]*|,)*')  # one with commas is in quotation marks
_ONE_REASON = re.compile(r'\s*("(?:[^"\\]|\\.)*"(?=\s*(?:,|$))|[^,]+)')
_TAG = re.compile(r"(included?|excluded?|maybe)(?:\s*[:\-–]\s*(.+))?", re.I)  # of Zotero: "excluded: wrong drug"
_TAG_WORDS = {DecisionKind.INCLUDE: "included", DecisionKind.EXCLUDE: "excluded", DecisionKind.MAYBE: "maybe"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision on a record as a file has it."""

    kind: DecisionKind  # include, exclude or maybe
    who: str = ""  # "" if the file does not say
    reason: str = ""
    note: str = ""
    labels: tuple[str, ...] = ()
    level: int = field(default=0, compare=False)  # of screening; that of a later level counts


def read_marks(record: Abstract, file: str = "") -> list[Mark]:
    """Return the decisions that a record carries, at most one for each reviewer; none if it carries none.

    They are looked for in this order: a column of a table (`decision`, `label_included` …), Rayyan's note, ASReview's
    note, Covidence's note or the name of its file, a tag such as Zotero's ("excluded: wrong population"). The first
    that is there counts. Labels that the tool gave the record come with a decision.
    """
    columns = dict(_split_tag(tag) for tag in record.other_tags if ": " in tag)
    found = (
        _read_columns(columns)
        or _read_rayyan(record.notes)
        or _read_asreview(record.notes)
        or _read_covidence(record.notes if _COVIDENCE in columns else (), file)
        or _read_tags(record)
    )
    labels = tuple(label for label in record.labels if not is_decision_tag(label))
    return [replace(mark, labels=tuple(dict.fromkeys((*mark.labels, *labels)))) for mark in found]


def read_cells(cells: Mapping[str, str]) -> list[Mark]:
    """Return the decisions in a row of a table that names its record by an id alone."""
    return _read_columns({_name_column(name): cell.strip() for name, cell in cells.items()})


def has_decision(names: Iterable[str]) -> bool:
    """Return whether a table has a column of decisions."""
    columns = {_name_column(name) for name in names}
    return not columns.isdisjoint(_DECISION) or (_REFID in columns and any(map(_QUESTION.search, columns)))


def strip_columns(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags that no field takes, without those that hold a decision of another review or tool."""
    names = {*_DECISION, *_REASON, *_NOTES, _LABELS, _REVIEWER}
    return tuple(tag for tag in tags if ": " not in tag or _split_tag(tag)[0] not in names)


def is_decision_tag(tag: str) -> bool:
    """Return whether a tag is a decision: "included", "excluded: wrong drug"."""
    return _TAG.fullmatch(tag.strip()) is not None


def list_tags(kind: DecisionKind | None, marks: Sequence[Mark]) -> list[str]:
    """Return the tag of a record, as reference managers keep it: included, maybe, "excluded: wrong drug"; none if open.

    A record in conflict has one tag: "conflict".
    """
    if kind is None:
        return ["conflict"]
    reason = next((mark.reason for mark in reversed(marks) if mark.reason and mark.kind is kind), "")
    reason = " ".join(reason.split())
    return [f"{_TAG_WORDS[kind]}: {reason}" if reason else _TAG_WORDS[kind]] if kind in _TAG_WORDS else []


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
    people = [
        f"{_quote(mark.who)}=>{_quote(_TAG_WORDS[mark.kind].title())}" for mark in marks if mark.kind in _TAG_WORDS
    ]
    reasons = ",".join(dict.fromkeys(_quote_reason(mark.reason) for mark in marks if mark.reason))
    notes = [f"{_quote(mark.who)}=>[{_quote(mark.note)}]" for mark in marks if mark.note]
    parts = [f"RAYYAN-INCLUSION: {{{', '.join(people)}}}"] if people else []
    parts += [f"RAYYAN-EXCLUSION-REASONS: {reasons}"] if reasons else []
    parts += [f"USER-NOTES: {{{', '.join(notes)}}}"] if notes else []
    if parts:
        yield " | ".join(parts)


def _quote(text: str) -> str:
    """Return a text in quotation marks, on one line."""
    return json.dumps(text, ensure_ascii=False)


def _quote_reason(reason: str) -> str:
    """Return a reason for a list with commas between; in quotation marks if it holds what would end it, or a brace."""
    return _quote(reason) if re.search(r'[",|\n{]', reason) else reason


def strip_marks(note: str) -> str:
    """Return a note without the decisions that ASReview and Rayyan wrote into it."""
    note = _ASREVIEW.sub("", note)
    for name, value in reversed(list(_find_rayyan(note))):
        note = note[: name.start()] + note[value[1] :]
    return note.strip(" |\n.")


def _find_rayyan(note: str) -> Iterator[tuple[re.Match[str], tuple[int, int]]]:
    """Yield each part that Rayyan wrote into a note: the match of its name, and where its value starts and ends."""
    place = 0
    while match := _RAYYAN.search(note, place):
        value = _IN_BRACES.match(note, match.end()) or _REASONS.match(note, match.end())
        place = value.end() if value else match.end()
        yield match, (match.end(), place)


def _name_column(name: str) -> str:
    """Return the name of a column in the form of _DECISION."""
    return re.sub(r"\W+", "_", name.strip().lower())


def _split_tag(tag: str) -> tuple[str, str]:
    """Return name and value of a tag that no field takes, the name in the form of _DECISION."""
    name, _, value = tag.partition(": ")
    return _name_column(name), value.strip()


def _read_columns(columns: Mapping[str, str]) -> list[Mark]:
    """Return the decision in the columns of a table."""
    is_distiller = _REFID in columns
    names = (*_DECISION, *(filter(_QUESTION.search, columns) if is_distiller else ()))
    kind = next(filter(None, (_read_kind(columns[name]) for name in names if columns.get(name))), None)
    if kind is None:
        return []
    reason = next((columns[name] for name in _REASON if columns.get(name)), "")
    labels = tuple(filter(None, (label.strip() for label in columns.get(_LABELS, "").split(";"))))
    who = columns.get(_REVIEWER, "") or (columns.get(_USER, "") if is_distiller else "")
    level = re.search(r"\d{1,9}", columns.get(_LEVEL, "")) if is_distiller else None
    return [
        Mark(
            kind,
            "" if ";" in who else who,
            reason if kind is DecisionKind.EXCLUDE else "",
            next((columns[name] for name in _NOTES if columns.get(name)), ""),
            labels,
            int(level[0]) if level else 0,
        )
    ]


def _read_kind(cell: str) -> DecisionKind | None:
    """Return the decision that a cell is: "1.0", "Yes", "Include: adults"; None if it is none."""
    word = cell.lower().strip().removesuffix(".0")
    first = re.split(r"\s*[:;,(–-]", word)[0].strip()
    return _KINDS.get(word) or (None if first.isdigit() else _KINDS.get(first))


def _read_rayyan(notes: Iterable[str]) -> list[Mark]:
    """Return the decisions in Rayyan's note, one for each reviewer; a note without one leaves the record undecided."""
    parts: dict[str, str] = {}
    for note in notes:
        parts |= {match[1]: note[start:end].strip() for match, (start, end) in _find_rayyan(note)}
    found = (part.strip() for part in _ONE_REASON.findall(parts.get("RAYYAN-EXCLUSION-REASONS", "")))
    reasons = "; ".join(_unquote(part[1:-1]) if part[:1] == '"' == part[-1:] else part for part in found if part)
    written = {_unquote(who): texts for who, texts in _RAYYAN_NOTES.findall(parts.get("USER-NOTES", ""))}
    said = {_unquote(who): word for who, word in _RAYYAN_PERSON.findall(parts.get("RAYYAN-INCLUSION", ""))}
    marks = []
    for who in said | written:
        kind = _KINDS.get(said.get(who, "").lower(), DecisionKind.UNDECIDED)
        note = "\n".join(map(_unquote, _QUOTED.findall(written.get(who, ""))))
        if note or kind is not DecisionKind.UNDECIDED:
            marks.append(Mark(kind, who, reasons if kind is DecisionKind.EXCLUDE else "", note))
    return marks


def _unquote(text: str) -> str:
    """Return the text between quotation marks; one that is escaped in no known way stays as it is."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _read_covidence(notes: Iterable[str], file: str) -> list[Mark]:
    """Return the decision in Covidence's note, or that of the list that its file is named after."""
    reasons = dict.fromkeys(match[1].strip() for note in notes for match in _COVIDENCE_REASON.finditer(note))
    if reason := "; ".join(filter(None, reasons)):
        return [Mark(DecisionKind.EXCLUDE, reason=reason)]
    match = _COVIDENCE_LIST.search(file)
    return [Mark(_KINDS[match[1].lower()])] if match else []


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
