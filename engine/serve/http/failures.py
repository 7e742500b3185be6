"""The one place where an error becomes a status, a code for programs and a message for people."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from engine.errors import (
    AbstractNotFoundError,
    BusyError,
    ConfigError,
    CorruptError,
    EncoderError,
    EngineError,
    FormatVersionError,
    GenerationError,
    NoMeshTreeError,
    UnknownIndexError,
    UnreadableQueryError,
    UsageError,
)

# From the most special to the most general; what is no fault of the request, and may name files of the server, is told
# in the log alone.
KNOWN: tuple[tuple[type[EngineError], HTTPStatus, str], ...] = (
    (UnknownIndexError, HTTPStatus.NOT_FOUND, "unknown_index"),
    (UsageError, HTTPStatus.BAD_REQUEST, "bad_request"),
    (AbstractNotFoundError, HTTPStatus.NOT_FOUND, "record_not_found"),
    (UnreadableQueryError, HTTPStatus.BAD_REQUEST, "unreadable_query"),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    (NoMeshTreeError, HTTPStatus.BAD_REQUEST, "no_mesh_tree"),
    (ConfigError, HTTPStatus.INTERNAL_SERVER_ERROR, "settings"),
    (CorruptError, HTTPStatus.INTERNAL_SERVER_ERROR, "damaged"),
    (EncoderError, HTTPStatus.INTERNAL_SERVER_ERROR, "encoder"),
    (FormatVersionError, HTTPStatus.INTERNAL_SERVER_ERROR, "format"),
    (GenerationError, HTTPStatus.INTERNAL_SERVER_ERROR, "generation"),
)
SETTINGS = "The settings of the index can't be used; the server's log says why."
_MESSAGES = {"settings": SETTINGS}  # in the place of one that may name files of the server
_OURS = "The server could not answer; its log says why. Ask whoever runs it to run: engine verify"
_GONE = 499  # of nobody's standard, but what proxies count those by who leave; nobody sees it
_RETRY_AFTER = "1"  # seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """What is said of an error."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, object]:
        """The keys of JSON."""
        return {"error": {"code": self.code, "message": self.message}}


class BodyError(Exception):
    """A body that is not taken."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def classify_error(error: Exception) -> Failure:
    """The failure that an error is."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return Failure(status, status.name.lower(), error.detail, tuple((error.headers or {}).items()))
    if isinstance(error, BodyError):
        return error.failure
    if isinstance(error, ClientDisconnect):
        return Failure(_GONE, "client_gone", "The client has gone before it was answered.")
    for kind, status, code in KNOWN:
        if isinstance(error, kind):
            ours = status is HTTPStatus.INTERNAL_SERVER_ERROR
            message = _MESSAGES.get(code) or (_OURS if ours else str(error))
            wait = (("Retry-After", _RETRY_AFTER),) if isinstance(error, BusyError) else ()
            return Failure(status, code, message, wait)
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", _OURS)
