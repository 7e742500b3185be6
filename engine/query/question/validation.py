"""Validation of queries and their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import numpy as np

from engine.arguments import check_ids, check_list, check_switch, check_whole, show_value
from engine.corpus.history import find_generation_before
from engine.encode.models.recipe import clean_text
from engine.errors import UsageError
from engine.options import (
    BY_FIELD,
    FUSIONS,
    MAX_RERANK_DEPTH,
    MODES,
    RELEVANCE,
    RERANK_PRECISIONS,
    SIMILAR_MODE,
    Filters,
    Fusion,
    Mode,
    Query,
)
from engine.query.opening.generation import OpenGeneration
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

MAX_TEXT = 100_000  # characters of a query; the longest abstracts have some 10,000
_Choice = TypeVar("_Choice", Mode, Fusion, str)
_IDS = "a list of ids"
_BLANK = "the query is blank. Give some words, for example: engine search 'knee pain after running'"
_GROUPS, _SORTS = BY_FIELD["group_by"].choices, BY_FIELD["sort"].choices


def check_query(query: Query) -> Query:
    """Return the query with checked, plain values.

    Raises:
        UsageError: a value is invalid; the message says what was expected.
    """
    if not isinstance(query, Query):
        raise UsageError(f"{show_value(query)} was given, expected engine.Query, such as Query('knee pain')")
    if not isinstance(query.text, str):
        raise UsageError(f"{show_value(query.text)} was given, expected a string")
    if len(query.text) > MAX_TEXT:
        raise UsageError(f"the query has {len(query.text):,} characters, expected at most {MAX_TEXT:,}")
    mode = _check_choice("mode", query.mode, MODES)
    fusion = None if query.fusion is None else check_fusion(query.fusion)
    query = replace(query, like=check_ids("like", query.like, _IDS), unlike=check_ids("unlike", query.unlike, _IDS))
    if not isinstance(query.filters, Filters):
        raise UsageError(f"filters is {type(query.filters).__name__}, expected engine.Filters")
    fractions: dict[str, Any] = {name: _check_fraction(query, name) for name in ("weight", "diversify", "min_score")}
    query = replace(query, **fractions)
    _check_choice("sort", query.sort, _SORTS)
    if query.sort != RELEVANCE and query.diversify:
        raise UsageError("diversify and sort were given, expected one of them: each sets the order of the hits")
    if query.group_by is not None:
        _check_choice("group_by", query.group_by, _GROUPS)
    query = _check_reranking(query)
    feedback, explain = check_switch("feedback", query.feedback), check_switch("explain", query.explain)
    query = replace(query, feedback=feedback, explain=explain)
    if query.feedback and mode == "keyword":
        raise UsageError("keyword mode can't use feedback, which moves the meaning. Use --mode semantic or hybrid")
    mode = _check_examples(query, mode)
    top_k, offset = check_whole("top_k", query.top_k, 1), check_whole("offset", query.offset, 0)
    return replace(query, mode=mode, fusion=fusion, top_k=top_k, offset=offset)


def _check_choice(name: str, value: str, choices: tuple[_Choice, ...]) -> _Choice:
    """Return the choice that equals a value.

    Raises:
        UsageError: the value is not among the choices.
    """
    for choice in choices:
        if isinstance(value, str) and choice == value:
            return choice
    raise UsageError(f"{name} is {show_value(value)}, expected one of {', '.join(choices)}")


def check_fusion(value: str) -> Fusion:
    """Return the fusion of this name.

    Raises:
        UsageError: there is no such fusion.
    """
    return _check_choice("fusion", value, FUSIONS)


def _check_fraction(query: Query, name: str) -> float | None:
    """Return weight, diversify or min_score as a plain number; None if it is not given.

    A min_score beyond the cosines is accepted: all records reach it, or none.

    Raises:
        UsageError: not a finite number, or a weight or diversify out of range.
    """
    option, value = BY_FIELD[name], getattr(query, name)
    is_cosine = name == "min_score"
    expected = f"a {'cosine' if is_cosine else 'number'} from {option.low:g} to {option.high:g}"
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as err:
        raise UsageError(f"{name} is {show_value(value)}, expected {expected}") from err
    if isinstance(value, str) or not (math.isfinite(number) and (is_cosine or option.low <= number <= option.high)):
        raise UsageError(f"{name} is {show_value(value)}, expected {expected}")
    return number


def _check_reranking(query: Query) -> Query:
    """Return the query with checked values of the second stage.

    Raises:
        UsageError: a model that is no text or blank, a depth out of range, or an unknown precision.
    """
    if query.rerank is not None and (not isinstance(query.rerank, str) or not query.rerank.strip()):
        raise UsageError(f"rerank is {show_value(query.rerank)}, expected a folder, a hub id or none")
    if query.rerank_precision is not None:
        _check_choice("rerank_precision", query.rerank_precision, RERANK_PRECISIONS)
    if query.rerank_depth is None:
        return query
    return replace(query, rerank_depth=check_whole("rerank_depth", query.rerank_depth, 1, MAX_RERANK_DEPTH))


def freeze_lists(value: Any) -> Any:
    """Return lists as tuples, inner ones too."""
    return tuple(map(freeze_lists, value)) if isinstance(value, list) else value


def _check_examples(query: Query, mode: Mode) -> Mode:
    """Return the mode that a query is answered in: examples alone hold no words, so hybrid compares them by meaning.

    Raises:
        UsageError: there is nothing that the mode can search for.
    """
    if clean_text(query.text):
        if (query.like or query.unlike) and mode == "keyword":
            raise UsageError("keyword mode can't use examples. Use --mode semantic or hybrid")
        return mode
    if not query.like:
        raise UsageError(_BLANK)
    if mode == "keyword":
        raise UsageError("examples hold no words for keyword mode. Add a text, or use --mode semantic")
    return SIMILAR_MODE


def resolve_since(snapshot: OpenGeneration, since: int | str | date) -> int:
    """Return the generation after which a record counts as new.

    Raises:
        UsageError: no such generation yet, or not a date.
    """
    if isinstance(since, date):
        since = since.isoformat()
    if not isinstance(since, str) or (since.isdecimal() and len(since) < 10):
        return _check_generation(int(since) if isinstance(since, str) else since, snapshot.manifest.generation)
    try:
        given = datetime.fromisoformat(since)
        moment = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as err:
        raise UsageError(f"{since[:40]!r} is neither a generation's number nor a date like 2026-11-24") from err
    return find_generation_before(snapshot.corpus, moment.isoformat(timespec="seconds"))


def _check_generation(value: Any, newest: int) -> int:
    """Return the number of a generation, 0 for before the first.

    Raises:
        UsageError: no whole number, or one beyond the newest generation.
    """
    try:
        number = check_whole("since", value, 0)
    except UsageError as err:
        raise UsageError(
            f"since is {show_value(value)}, expected a generation's number or a date like 2026-11-24"
        ) from err
    if number > newest:
        raise UsageError(f"there is no generation {number:06d} yet, the current one is {newest:06d}. See: engine log")
    return number


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        UsageError: a string instead of a list of strings, or no list.
    """
    if isinstance(texts, str):
        raise UsageError("a single string was given, expected a list of strings: [query]")
    return check_list("the batch", texts, "a list of strings")


def check_query_texts(queries: Sequence[str]) -> list[str]:
    """Return queries as the encoder takes them.

    Raises:
        UsageError: a string instead of a list of strings, or a blank query.
    """
    given = check_texts(queries)
    if odd := [query for query in given if not isinstance(query, str)]:
        raise UsageError(f"{show_value(odd[0])} was given, expected a string")
    texts = [clean_text(query) for query in given]
    if "" in texts:
        raise UsageError(_BLANK)
    return texts


def check_doc_ids(ids: Any) -> DocIds:
    """Return doc ids as int64 (n,).

    Raises:
        UsageError: no row of whole numbers, ascending.
    """
    expected = "doc ids, int64 and ascending"
    try:
        found = np.array(check_list("only", ids, expected))
    except ValueError:  # of rows of different lengths
        found = np.array(None)
    if found.ndim != 1 or (found.size and (found.dtype.kind not in "iu" or (found[:-1] >= found[1:]).any())):
        raise UsageError(f"only is {show_value(ids)}, expected {expected}")
    return found.astype(np.int64)


def check_vector(vector: object, dim: int) -> Vectors:
    """Return a vector to search by: float32 (dim,), scaled to unit length.

    Raises:
        UsageError: it is no row of dim finite numbers, or has no direction.
    """
    try:
        given = np.array(vector)
        numbers = given.astype(np.float64, casting="same_kind" if given.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError, OverflowError) as err:
        raise UsageError(f"the vector is {show_value(vector)}, expected {dim} numbers") from err
    if numbers.shape != (dim,):
        raise UsageError(f"the vector has the shape {numbers.shape}, expected ({dim},), as the vectors of this index")
    length = float(np.linalg.norm(numbers))
    if not math.isfinite(length) or length == 0:
        problem = "is zero" if length == 0 else "holds NaN or infinity"
        raise UsageError(f"the vector {problem}, so it has no direction, expected {dim} finite numbers")
    found: Vectors = (numbers / length).astype(np.float32)
    return found
