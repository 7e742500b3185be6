"""Errors as responses: a status, a code for programs and a message for people."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from engine.errors import (
    AbstractNotFoundError,
    BusyError,
    ClusterError,
    ConfigError,
    CorruptError,
    DiskFullError,
    EncoderError,
    EngineError,
    FormatVersionError,
    GenerationError,
    NoMeshTreeError,
    NotSavedError,
    UnknownIndexError,
    UnknownWatchError,
    UnreadableQueryError,
    UsageError,
)

# From the most specific to the most general. Errors of the server itself (status 500) may name its files, so their
# messages appear in the log only.
KNOWN: tuple[tuple[type[EngineError], HTTPStatus, str], ...] = (
    (UnknownIndexError, HTTPStatus.NOT_FOUND, "unknown_index"),
    (UsageError, HTTPStatus.BAD_REQUEST, "bad_request"),
    (AbstractNotFoundError, HTTPStatus.NOT_FOUND, "record_not_found"),
    (UnreadableQueryError, HTTPStatus.BAD_REQUEST, "unreadable_query"),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    (ClusterError, HTTPStatus.SERVICE_UNAVAILABLE, "cluster"),
    (NoMeshTreeError, HTTPStatus.BAD_REQUEST, "no_mesh_tree"),
    (DiskFullError, HTTPStatus.INSUFFICIENT_STORAGE, "disk_full"),
    (NotSavedError, HTTPStatus.SERVICE_UNAVAILABLE, "not_saved"),
    (UnknownWatchError, HTTPStatus.BAD_REQUEST, "unknown_watch"),
    (ConfigError, HTTPStatus.INTERNAL_SERVER_ERROR, "settings"),
    (CorruptError, HTTPStatus.INTERNAL_SERVER_ERROR, "damaged"),
    (EncoderError, HTTPStatus.INTERNAL_SERVER_ERROR, "encoder"),
    (FormatVersionError, HTTPStatus.INTERNAL_SERVER_ERROR, "format"),
    (GenerationError, HTTPStatus.INTERNAL_SERVER_ERROR, "generation"),
)
SETTINGS = "The settings of the index can't be used; the server's log says why."
_MESSAGES = {  # code -> message that names no files of the server
    "settings": SETTINGS,
    "disk_full": "Nothing was saved: the disk of the server is full. Ask whoever runs it to make room, then try again.",
    "cluster": (
        "A part of the index can't be searched now. Try again in a second, or ask whoever runs the server to run: "
        "engine scale status"
    ),
    "not_saved": "Nothing was saved: the server can't write decisions now. Try again later, or ask whoever runs it.",
}
_OURS = "The server could not answer; its log says why. Ask whoever runs it to run: engine verify"
_GONE = 499  # not standardised, but proxies use it to count clients that disconnect; no client receives it
_RETRY_AFTER = "1"  # seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as reported to the client."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, object]:
        """The JSON object: error, with code and message."""
        return {"error": {"code": self.code, "message": self.message}}


class BodyError(Exception):
    """A request body that is refused."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def classify_error(error: Exception) -> Failure:
    """Return an error as reported to the client."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return Failure(status, status.name.lower(), error.detail, tuple((error.headers or {}).items()))
    if isinstance(error, BodyError):
        return error.failure
    if isinstance(error, ClientDisconnect):
        return Failure(_GONE, "client_gone", "The client disconnected before it was answered.")
    for kind, status, code in KNOWN:
        if isinstance(error, kind):
            ours = status is HTTPStatus.INTERNAL_SERVER_ERROR
            message = _MESSAGES.get(code) or (_OURS if ours else str(error))
            wait = (("Retry-After", _RETRY_AFTER),) if isinstance(error, BusyError | ClusterError) else ()
            return Failure(status, code, message, wait)
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", _OURS)
