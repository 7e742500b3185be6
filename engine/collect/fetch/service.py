"""A service that answers queries: asked by POST, at its pace, and asked again where that may help."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

from engine.collect.fetch.client import Cause, Mirror, TransferError, explain_failure, read_page
from engine.collect.fetch.pace import Pace
from engine.redaction import HIDDEN

_T = TypeVar("_T")
_TRIES = {Cause.MIRROR: 7, Cause.CONTENT: 3}
_MAX_ANSWER = 512 << 20  # bytes
_MAX_WAIT = 300.0  # seconds; a server that asks for more is left for another run
_MAX_ERROR = 64 << 10  # bytes; a longer answer is no error
_MAX_SHOWN = 300  # characters of what a service says


class ReportedError(Exception):
    """What a service says is wrong."""

    def __init__(self, said: str, cause: Cause = Cause.CONTENT) -> None:
        super().__init__(said)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Service:
    """A service, and how it may be asked. `repr` shows no secret."""

    name: str
    mirror: Mirror
    pace: Pace
    n_at_once: int  # requests that may be open at the same time
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)  # sent with every request
    secrets: tuple[str, ...] = field(default=(), repr=False)  # among the fields

    def ask(self, name: str, fields: Mapping[str, str], read: Callable[[bytes], _T]) -> _T:
        """Return what `read` makes of the answer. A request that failed is sent again after a pause, a few times.

        Args:
            name: the program below the address of the service.
            fields: of the form.
            read: reads the body of the answer; it may raise a TransferError, as any other failure does.

        Raises:
            TransferError: the last try failed, or the error is one that another try can't fix.
        """
        form = urlencode({**fields, **self.fields}).encode("ascii")
        attempt = 0
        while True:
            self.pace.wait()
            try:
                with explain_failure(self.mirror, name), self._explain_reports():
                    return self._ask_once(name, form, read)
            except TransferError as err:
                attempt += 1
                if attempt >= _TRIES.get(err.cause, 0) or err.wait > _MAX_WAIT:
                    raise
                self.pace.delay(err.wait)
                time.sleep(max(err.wait, self.mirror.back_off * 2 ** (attempt - 1)))

    @contextmanager
    def _explain_reports(self) -> Iterator[None]:
        """Turn what the service says is wrong into a message without secrets.

        Raises:
            TransferError: it says so inside the block.
        """
        try:
            yield
        except ReportedError as err:
            said = self.hide(str(err))[:_MAX_SHOWN]
            raise TransferError(f"{self.name} answers: {said}", err.cause) from None

    def _ask_once(self, name: str, form: bytes, read: Callable[[bytes], _T]) -> _T:
        """Send one request and read its answer.

        Raises:
            TransferError: it failed.
            ReportedError: the service says what is wrong.
        """
        try:
            content = read_page(self.mirror, name, _MAX_ANSWER, form).content
        except TransferError as err:
            self._explain_refusal(err, read)
            raise
        if said := _find_json_error(content):
            raise ReportedError(said, Cause.MIRROR)
        return read(content)

    def _explain_refusal(self, error: TransferError, read: Callable[[bytes], object]) -> None:
        """Raise what the body of an error answer says; return where it says nothing that is known.

        Raises:
            ReportedError: the service says what is wrong.
        """
        said = _find_json_error(error.detail)
        if "api key" in said.lower():
            raise ReportedError("the API key is wrong. Correct NCBI_API_KEY, or unset it", Cause.REFUSED) from None
        if error.cause is Cause.REFUSED and error.detail.lstrip().startswith(b"<?xml"):
            with suppress(TransferError):
                read(error.detail)

    def hide(self, text: str) -> str:
        """Return a text on one line, without the secrets that are sent to the service."""
        text = self.mirror.address.hide(" ".join(text.split()))
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _find_json_error(content: bytes) -> str:
    """Return the error that a JSON answer names: "API rate limit exceeded"; "" where it names none."""
    if not content.lstrip().startswith(b"{") or len(content) > _MAX_ERROR:
        return ""
    try:
        error = json.loads(content, strict=False).get("error", "")
    except (ValueError, RecursionError):
        return ""
    return error if isinstance(error, str) else json.dumps(error)
