"""Saving, changing and removing of saved questions where a review is kept."""

import errno
import os
from collections.abc import Callable
from unittest.mock import Mock

import lxml.html
import pytest

from engine.config import Settings
from engine.index.files.lock import lock_for_writing
from engine.reindex.news import watchtable
from engine.reindex.news.watchmemory import read_memories
from engine.review.decisions.reviews import Review
from tests.serve.conftest import client_of, error_of
from tests.serve.review.conftest import Desk

SAVE, REMOVE = "/review/watch/save", "/review/watch/remove"
SAVED = "/api/v1/review/watch"


def fields_of(desk: Desk, path: str, action: str) -> dict[str, str]:
    """The fields of a form as a browser sends them unchanged."""
    page = lxml.html.document_fromstring(desk.get(path).text)
    (form,) = page.xpath(f"//form[@action='{action}']")
    return dict(form.form_values())


def test_a_question_is_saved_changed_and_removed(review: Review, open_desk: Callable[..., Desk]) -> None:
    ann, folder = open_desk("ann"), review.folder.path
    (folder / "index.toml").write_text("# mine\n")
    form = fields_of(ann, "/watch?q=gout&mode=keyword&year=2000-", SAVE)
    assert form | {"token": ""} == {"token": "", "name": "", "q": "gout", "mode": "keyword", "year": "2000-"}
    answer = ann.post(SAVE, form | {"name": "gout-1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/watch?done=saved")
    (saved,) = Settings.load(folder).watches
    assert (saved.name, saved.query.text, saved.query.mode) == ("gout-1", "gout", "keyword")
    known = read_memories(folder).watches["gout-1"].answered
    assert known
    (folder / "index.toml").write_text((folder / "index.toml").read_text() + 'top_k = 7\nhide = ["toy-01"]\n')
    page = lxml.html.document_fromstring(ann.get("/watch?done=saved").text)
    (change,) = page.xpath("//a[starts-with(text(), 'Change')]/@href")
    told = "Kept, though not shown here: at most 7 records at once; without a list of 1 record."
    assert told in lxml.html.document_fromstring(ann.get(change).text).text_content()
    answer = ann.post(SAVE, fields_of(ann, change, SAVE) | {"q": "gout flare"})
    assert answer.headers["location"] == "/watch?done=changed"
    (saved,) = Settings.load(folder).watches
    assert saved.query.text == "gout flare" and saved.query.filters.year_ranges == ((2000, None),)
    assert saved.most == 7 and saved.query.filters.hide == ("toy-01",)  # which the form does not show
    assert read_memories(folder).watches["gout-1"].answered == known
    assert ann.post(REMOVE, fields_of(ann, "/watch", REMOVE)).headers["location"] == "/watch?done=removed"
    assert (folder / "index.toml").read_text().strip() == "# mine" and not read_memories(folder).watches


def test_programs_save_change_and_remove_questions(review: Review, open_desk: Callable[..., Desk]) -> None:
    ann, folder = open_desk("ann"), review.folder.path
    asked = {
        "name": "gout-1",
        "q": "gout",
        "mode": "keyword",
        "year": ["2000-"],
        "retracted": False,
        "hide": ["toy-01"],
    }
    answer = ann.client.post(SAVED, json=asked, headers=ann.headers)
    assert (answer.status_code, answer.json()) == (200, {"index": "toy", "name": "gout-1", "done": "saved"})
    (saved,) = Settings.load(folder).watches
    assert saved.query.filters.hide == ("toy-01",) and saved.query.filters.retracted is False
    (listed,) = ann.get("/api/v1/watch").json()["watches"]
    assert {"name": "gout-1", **listed["search"]} == asked and listed["reports"] == []
    changed = ann.client.post(SAVED, json={"name": "gout-1", "q": "gout flare"}, headers=ann.headers)
    assert changed.json()["done"] == "changed"
    removed = ann.client.delete(SAVED, params={"name": "gout-1"}, headers=ann.headers)
    assert removed.json() == {"index": "toy", "name": "gout-1", "done": "removed"}
    again = ann.client.delete(SAVED, params={"name": "gout-1"}, headers=ann.headers)
    assert error_of(again, 400, "unknown_watch") == "no question is saved as 'gout-1': found none"


def test_programs_without_leave_change_nothing(review: Review, open_desk: Callable[..., Desk]) -> None:
    asked, folder = {"name": "gout-1", "q": "gout"}, review.folder.path
    ann = open_desk("ann")
    for headers, status in (
        ({}, 401),
        (ann.headers | {"origin": "https://evil.example"}, 403),
        (ann.headers | {"sec-fetch-site": "cross-site"}, 403),
    ):
        assert ann.client.post(SAVED, json=asked, headers=headers).status_code == status
        assert ann.client.delete(SAVED, params={"name": "gout-1"}, headers=headers).status_code == status
    assert error_of(ann.client.post(SAVED, data=asked, headers=ann.headers), 415, "not_json")
    for bad, told in (
        (asked | {"year": "2000-"}, 'year is "2000-", expected a list of texts'),
        (asked | {"q": 7}, "q is 7, expected a text"),
        (asked | {"retracted": 1}, "retracted is 1, expected true or false"),
        (asked | {"colour": "red"}, "'colour'"),
        ({"name": "gout-1"}, "q is missing"),
        ([asked], "the body is not a JSON object"),
    ):
        assert told in error_of(ann.client.post(SAVED, json=bad, headers=ann.headers), 400, "bad_request")
    with lock_for_writing(folder / "TABLE.lock"):
        assert error_of(ann.client.post(SAVED, json=asked, headers=ann.headers), 503, "not_saved")
    assert not (folder / "index.toml").exists()
    with client_of(folder) as client:
        assert client.post(SAVED, json=asked).status_code == 404


@pytest.mark.parametrize(
    ("number", "status", "code"), [(errno.ENOSPC, 507, "disk_full"), (errno.EROFS, 503, "not_saved")]
)
def test_a_disk_that_takes_no_question_is_reported(
    review: Review, open_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, number: int, status: int, code: str
) -> None:
    ann = open_desk("ann")
    asked = {"name": "gout-1", "q": "gout"}
    assert ann.client.post(SAVED, json=asked, headers=ann.headers).status_code == 200
    monkeypatch.setattr(watchtable, "replace_text", Mock(side_effect=OSError(number, os.strerror(number))))
    answers = [
        ann.client.post(SAVED, json=asked | {"q": "gout flare"}, headers=ann.headers),
        ann.client.delete(SAVED, params={"name": "gout-1"}, headers=ann.headers),
    ]
    assert all("Nothing was saved" in error_of(answer, status, code) for answer in answers)


def test_what_is_not_valid_is_refused_and_nothing_is_written(review: Review, open_desk: Callable[..., Desk]) -> None:
    ann, folder = open_desk("ann"), review.folder.path
    form = fields_of(ann, "/watch?q=gout", SAVE) | {"name": "gout-1"}
    for fields, headers, status in (
        (form | {"token": "0"}, {}, 403),
        (form, {"origin": "https://evil.example"}, 403),
        (form | {"name": "../x"}, {}, 400),
        (form | {"q": "(gout[tiab]"}, {}, 400),
        (form | {"colour": "red"}, {}, 400),
    ):
        answer = ann.post(SAVE, fields, **headers)
        assert answer.status_code == status, answer.text
    assert ann.post(REMOVE, {"token": form["token"], "name": "nope"}).status_code == 400
    assert ann.client.post(SAVE, data=form).status_code == 401
    assert "gout-1" not in ((folder / "index.toml").read_text() if (folder / "index.toml").exists() else "")
    with client_of(folder) as client:
        assert client.post(SAVE, data=form).status_code == 404
