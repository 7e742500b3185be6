"""A review of a private copy of the toy index, and clients of a server that keeps its decisions."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import Review, ReviewSettings
from engine.review.decisions.state import ReviewState, read_state
from engine.serve.app import build_app
from engine.serve.http.access import build_access
from engine.serve.work.openreview import ReviewRules
from tests.serve.conftest import BASE, PORT

TOKENS = {"ann": "a" * 32, "bob": "b" * 32}


@dataclass
class Desk:
    """A client of one reviewer."""

    client: TestClient
    headers: dict[str, str]

    def get(self, path: str = "/review", **headers: str) -> Any:
        return self.client.get(path, headers=self.headers | headers)

    def form(self, path: str = "/review", action: str = "/review/decide") -> dict[str, str]:
        """The hidden fields of a form of a page."""
        text = self.get(path).text
        (body,) = re.findall(rf'action="{action}".*?</form>', text, re.DOTALL)[:1]
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', body))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Any:
        return self.client.post(path, data=fields, headers=self.headers | headers)

    def decide(self, name: str, decision: str = "include", **more: str) -> Any:
        """Decide about a record, as its page does."""
        return self.post("/review/decide", self.form(f"/review?id={name}") | {"decision": decision} | more)


@pytest.fixture
def review(fresh: IndexFolder) -> Review:
    made = Review(fresh, "main")
    made.start("ann", ReviewSettings("painful joints\nadults", ("wrong population", "no control group")))
    return made


@pytest.fixture
def open_desk(review: Review) -> Iterator[Callable[..., Desk]]:
    """Open the page of a reviewer: open_desk("ann"), or without a name, of whoever uses the machine."""
    with ExitStack() as stack:
        clients: dict[Any, TestClient] = {}

        def run(
            name: str = "", *, is_blind: bool = True, tokens: bool | None = None, who: str = "ann", **rules: Any
        ) -> Desk:
            with_tokens = bool(name) if tokens is None else tokens
            key = (with_tokens, is_blind, who, *rules)
            if key not in clients:
                reviewers = TOKENS if with_tokens else {}
                access = build_access("127.0.0.1", PORT, reviewers=reviewers, writes=True, **rules)
                app = build_app([review.folder.path], access, review=ReviewRules("main", who, is_blind))
                made = TestClient(app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False)
                clients[key] = stack.enter_context(made)
            return Desk(clients[key], {"Authorization": f"Bearer {TOKENS[name]}"} if name else {})

        yield run


@pytest.fixture
def read(review: Review) -> Callable[[], ReviewState]:
    """What is in force now."""
    return lambda: read_state(review)
