"""Fixtures: no test of a retriever may reach another machine."""

import socket
from typing import NoReturn

import pytest


def refuse(*_: object, **__: object) -> NoReturn:
    """Refuse what would reach another machine.

    Raises:
        AssertionError: always.
    """
    raise AssertionError("a socket was opened")


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection and look-up fail; an event loop may have its pair of sockets."""
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
