import inspect
from http import HTTPStatus

import pytest
from starlette.exceptions import HTTPException

from engine import errors
from engine.errors import (
    AbstractNotFoundError,
    BusyError,
    ClusterError,
    ConfigError,
    CorpusError,
    CorruptError,
    EncoderError,
    EncoderMismatchError,
    EngineError,
    FormatVersionError,
    GenerationError,
    MissingExtraError,
    NoMeshTreeError,
    SourceError,
    UnknownIndexError,
    UsageError,
)
from engine.serve.http.failures import _OURS, KNOWN, SETTINGS, BodyError, Failure, classify_error

SECRET = "/home/ann/index is broken"
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, EngineError)]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UsageError("n is 0"), 400, "bad_request"),
        (UnknownIndexError("n is 0"), 404, "unknown_index"),
        (AbstractNotFoundError("n is 0"), 404, "record_not_found"),
        (NoMeshTreeError("n is 0"), 400, "no_mesh_tree"),
    ],
)
def test_what_the_request_is_wrong_about_is_told(error: EngineError, status: int, code: str) -> None:
    assert classify_error(error) == Failure(status, code, "n is 0")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorruptError(SECRET), "damaged"),
        (EncoderError(SECRET), "encoder"),
        (EncoderMismatchError(SECRET), "encoder"),
        (FormatVersionError(SECRET), "format"),
        (GenerationError(SECRET), "generation"),
        (EngineError(SECRET), "internal"),
        (CorpusError(SECRET), "internal"),
        (SourceError(SECRET), "internal"),
        (ValueError(SECRET), "internal"),
        (OSError(SECRET), "internal"),
        (KeyError(), "internal"),
    ],
)
def test_what_the_server_is_wrong_about_is_told_in_the_log_alone(error: Exception, code: str) -> None:
    assert classify_error(error) == Failure(500, code, _OURS)
    assert "engine verify" in _OURS and SECRET not in _OURS


def test_who_asks_a_busy_server_is_told_when_to_ask_again() -> None:
    assert classify_error(BusyError("5 wait")) == Failure(503, "busy", "5 wait", (("Retry-After", "1"),))
    failure = classify_error(ClusterError(SECRET))
    assert (failure.status, failure.code, failure.headers) == (503, "cluster", (("Retry-After", "1"),))
    assert SECRET not in failure.message


@pytest.mark.parametrize("error", [ConfigError(SECRET), MissingExtraError(SECRET, "[cpu]")])
def test_settings_that_can_not_be_used_are_told_in_the_log_alone(error: EngineError) -> None:
    assert classify_error(error) == Failure(500, "settings", SETTINGS) and SECRET not in SETTINGS


@pytest.mark.parametrize("kind", [kind for kind, _, _ in KNOWN])
def test_none_of_the_known_is_hidden_by_a_more_general_one(kind: type[EngineError]) -> None:
    (expected,) = [(status, code) for one, status, code in KNOWN if one is kind]
    found = classify_error(kind("x"))
    assert (found.status, found.code) == expected


def test_codes_are_told_apart() -> None:
    codes = [code for _, _, code in KNOWN]
    assert len(set(codes)) == len(codes) and "internal" not in codes


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_the_engine_has_a_failure(kind: type[EngineError]) -> None:
    found = classify_error(kind("a", "b") if kind is MissingExtraError else kind("a"))
    assert found.status in (400, 404, 500, 503, 507)
    assert (found.message in (_OURS, SETTINGS)) == (found.status == 500)
    assert found.fields == {"error": {"code": found.code, "message": found.message}}


def test_errors_of_http_keep_status_words_and_headers() -> None:
    assert classify_error(HTTPException(404)) == Failure(404, "not_found", "Not Found")
    found = classify_error(HTTPException(405, "Not that way", headers={"Allow": "GET"}))
    assert found == Failure(405, "method_not_allowed", "Not that way", (("Allow", "GET"),))


def test_a_body_that_is_not_taken_says_why() -> None:
    failure = Failure(HTTPStatus.REQUEST_TIMEOUT, "slow_body", "Too slow")
    error = BodyError(failure)
    assert classify_error(error) is failure and str(error) == "Too slow"
