"""The page that explains the API: its examples work, and everything that can be asked is there."""

import shlex
from urllib.parse import urlsplit

from starlette.testclient import TestClient

from engine.serve.api import openapi
from tests.serve.pages.test_handlers import page, texts


def test_every_example_works_and_every_parameter_is_explained(client: TestClient) -> None:
    shown = page(client, "/api")
    commands = texts(shown, "//code[starts-with(@id, 'curl-')]")
    assert len(commands) == len(shown.xpath("//section[@class='example']")) == 4
    for command, href in zip(commands, shown.xpath("//section[@class='example']//a/@href"), strict=True):
        program, address = shlex.split(command)
        parts = urlsplit(address)
        assert (program, parts.netloc, f"{parts.path}?{parts.query}") == ("curl", "127.0.0.1:8000", href)
        answer = client.get(href)
        assert answer.status_code == 200 and answer.json()
    for code in texts(shown, "//code[starts-with(@id, 'python-')]"):
        compile(code, "example", "exec")
    told = set(texts(shown, "//dt/code"))
    assert all(parameter.name in told for one in openapi.OPERATIONS for parameter in one.parameters)
    assert page(client, "/").xpath("//footer/a/@href") == ["/api"]
