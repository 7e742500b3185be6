"""Saving, changing and removing of saved questions where a review is kept."""

from collections.abc import Callable

import lxml.html

from engine.config import Settings
from engine.reindex.news.watchmemory import read_memories
from engine.review.decisions.reviews import Review
from tests.serve.conftest import client_of
from tests.serve.review.conftest import Desk

SAVE, REMOVE = "/review/watch/save", "/review/watch/remove"


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
    answer = ann.post(SAVE, fields_of(ann, change, SAVE) | {"q": "gout flare"})
    assert answer.headers["location"] == "/watch?done=changed"
    (saved,) = Settings.load(folder).watches
    assert saved.query.text == "gout flare" and saved.query.filters.year_ranges == ((2000, None),)
    assert saved.most == 7 and saved.query.filters.hide == ("toy-01",)  # which the form does not show
    assert read_memories(folder).watches["gout-1"].answered == known
    assert ann.post(REMOVE, fields_of(ann, "/watch", REMOVE)).headers["location"] == "/watch?done=removed"
    assert (folder / "index.toml").read_text().strip() == "# mine" and not read_memories(folder).watches


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
