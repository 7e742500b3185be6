"""EPPI-Reviewer's JSON: references whose codes refer to the code sets that stand before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CODE_SETS = "CodeSets"
REFERENCES = "References"
_KINDS = {"include": "include", "exclude": "exclude"}  # beginning of the type of a code, and the decision that it is
_FIELDS = {  # the keys that are no usual ones
    "ItemId": "id",
    "ParentTitle": "journal",
    "TypeName": "publication type",
}


@dataclass(frozen=True, slots=True)
class Code:
    """A code that reviewers give to references."""

    name: str
    decision: str  # include or exclude, "" for any other code


def read_codes(code_sets: Any) -> dict[Any, Code]:
    """Return the codes of all sets by their AttributeId."""
    return {number: code for code_set in _get_list(code_sets) for number, code in _read_branch(code_set)}


def _read_branch(node: Any) -> Iterator[tuple[Any, Code]]:
    """Yield the codes below a code set or a code."""
    below = node.get("Attributes") if isinstance(node, dict) else None
    for item in _get_list(below.get("AttributesList") if isinstance(below, dict) else None):
        if isinstance(item, dict) and isinstance(item.get("AttributeId"), int | str):
            kind = str(item.get("AttributeType", "")).strip().lower()
            decision = next((name for start, name in _KINDS.items() if kind.startswith(start)), "")
            yield item["AttributeId"], Code(str(item.get("AttributeName", "")).strip(), decision)
            yield from _read_branch(item)


def translate_reference(row: Mapping[str, Any], codes: Mapping[Any, Code]) -> dict[str, Any]:
    """Return a reference with usual keys; its codes become labels, and a decision with its reason.

    A reference with a code that excludes is excluded, whatever other codes it has: it was included at an earlier stage.
    """
    given = [codes[item["AttributeId"]] for item in _get_list(row.get("Codes")) if _is_known(item, codes)]
    excluding = [code.name for code in given if code.decision == "exclude"]
    values = {_FIELDS.get(key, key): value for key, value in row.items() if key not in ("Codes", "Outcomes")}
    values["labels"] = list(dict.fromkeys(code.name for code in given if not code.decision))
    if excluding or any(code.decision for code in given):
        values["decision"] = "exclude" if excluding else "include"
    if excluding:
        values["exclusion_reason"] = "; ".join(dict.fromkeys(excluding))
    return values


def _is_known(item: Any, codes: Mapping[Any, Code]) -> bool:
    """Return whether an item of a reference's codes names a code of the sets."""
    return isinstance(item, dict) and isinstance(item.get("AttributeId"), int | str) and item["AttributeId"] in codes


def _get_list(value: Any) -> list[Any]:
    """Return a value that is a list; an empty one for any other."""
    return value if isinstance(value, list) else []
