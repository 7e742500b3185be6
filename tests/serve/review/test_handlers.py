"""The pages of a review, by plain forms: who decides, what is written, what nobody may see."""

import csv
import io
import json
import re
from collections.abc import Callable
from html import unescape

import openpyxl
import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.review.decisions.reviews import NewLabel, Review
from engine.review.decisions.state import ReviewState
from tests.serve.conftest import ODD, client_of, error_of
from tests.serve.review.conftest import Desk

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))
Open = Callable[..., Desk]
Read = Callable[[], ReviewState]
JSON = {"accept": "application/json"}


def decided(state: ReviewState) -> dict[str, list[tuple[str, str, str]]]:
    """Who decided what about each record, with the reason."""
    return {each.record.ids[0]: [(d.who, str(d.kind), d.reason) for d in each.decisions] for each in state.records}


def test_a_server_without_a_review_has_none_of_its_pages(review: Review) -> None:
    with client_of(review.folder.path) as client:
        for path in ("/review", "/review/next", "/review/records", "/review/conflicts", "/review/export"):
            assert client.get(path).status_code == 404
        for path in ("/review/decide", "/review/undo", "/review/settle"):
            assert client.post(path, data={"id": "toy-01", "decision": "include"}).status_code == 404


def test_every_page_links_to_the_review_if_there_is_one(open_desk: Open, review: Review) -> None:
    link = '<a href="/review"'
    desk = open_desk()
    assert all(link in desk.get(path).text for path in ("/", "/status", "/map", "/review", "/nowhere"))
    with client_of(review.folder.path) as client:
        assert link not in client.get("/").text


def test_a_decision_by_a_form_leads_to_the_next_record(open_desk: Open, read: Read) -> None:
    desk = open_desk()
    first = desk.form()
    answer = desk.post("/review/decide", first | {"decision": "include", "note": "RCT ", "labels": "adults, , drug"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/review?order=learned")
    second = desk.form()
    assert second["id"] != first["id"]
    (record,) = read().records
    (own,) = record.decisions
    assert (own.who, own.kind, own.note, own.labels) == ("ann", IN, "RCT", ("adults", "drug"))
    assert own.seconds is not None and own.seconds < 100
    page = desk.get().text
    assert "1 included" in page and "Last: included" in page


def test_a_reason_alone_excludes(open_desk: Open, read: Read) -> None:
    desk = open_desk()
    assert (
        desk.post("/review/decide", desk.form("/review?id=toy-01") | {"reason": "no control group"}).status_code == 303
    )
    assert desk.decide("toy-02", "exclude", other_reason="only a letter").status_code == 303
    assert desk.decide("toy-03", "exclude").status_code == 303
    reasons = {name: found[0][1:] for name, found in decided(read()).items()}
    assert reasons == {
        "toy-01": ("exclude", "no control group"),
        "toy-02": ("exclude", "only a letter"),
        "toy-03": ("exclude", ""),
    }
    refused = desk.decide("toy-04", "include", other_reason="odd")
    assert refused.status_code == 400 and "a reason was given for include" in unescape(refused.text)
    assert desk.post("/review/decide", desk.form("/review?id=toy-04")).status_code == 400
    assert len(read().records) == 3


def test_undo_goes_back_to_the_record(open_desk: Open, read: Read) -> None:
    desk = open_desk()
    desk.decide("toy-01")
    desk.decide("toy-02", "exclude")
    answer = desk.post("/review/undo", desk.form(action="/review/undo"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/review?order=learned&id=toy-02")
    assert decided(read()) == {"toy-01": [("ann", "include", "")]}
    desk.post("/review/undo", desk.form(action="/review/undo"))
    assert read().records == ()
    assert "Undo" not in desk.get().text
    assert desk.post("/review/undo", {"token": desk.form()["token"]}).status_code == 400


def test_undo_of_the_page_takes_one_decision_back_not_a_whole_import(
    open_desk: Open, review: Review, read: Read
) -> None:
    review.decide("ann", ["toy-01", "toy-02", "toy-03"], NewLabel(IN))
    desk = open_desk()
    desk.post("/review/undo", {"token": desk.form()["token"]})
    assert set(decided(read())) == {"toy-01", "toy-02"}


def test_a_note_is_saved_without_deciding(open_desk: Open, read: Read) -> None:
    desk = open_desk()
    desk.decide("toy-01", "note", note="ask the authors")
    desk.decide("toy-02", "exclude", other_reason="a letter")
    desk.decide("toy-02", "note", note="sure", labels="letter")
    first, second = (record.decisions[0] for record in read().records)
    assert (first.kind, first.note) == (OPEN, "ask the authors")
    assert (second.kind, second.reason, second.note, second.labels) == (OUT, "a letter", "sure", ("letter",))
    page = desk.get("/review?id=toy-02").text
    assert "sure</textarea>" in page and 'value="letter"' in page
    desk.decide("toy-02", "undecided")
    assert [each.record.ids[0] for each in read().records] == ["toy-01"]


def test_what_is_sent_twice_is_written_once(open_desk: Open, review: Review) -> None:
    desk = open_desk()
    form = desk.form() | {"decision": "include"}
    assert [desk.post("/review/decide", form).status_code for _ in range(3)] == [303, 303, 303]
    undo = desk.form(action="/review/undo") | {"key": "u1"}
    answers = [desk.post("/review/undo", undo, **JSON).json() for _ in range(2)]
    assert answers == [{"numbers": [2]}] * 2
    assert [str(event.kind) for event in review.journal.read()] == ["start", "include", "undo"]


def test_a_page_that_shows_an_older_decision_replaces_nothing(open_desk: Open, review: Review, read: Read) -> None:
    desk = open_desk()
    form = desk.form("/review?id=toy-01") | {"decision": "include"}
    review.decide("ann", ["toy-01"], NewLabel(OUT))
    message = error_of(desk.post("/review/decide", form, **JSON), 409, "decided_meanwhile")
    assert "you have decided about this record elsewhere meanwhile (excluded)" in message
    assert "Look at it again" in desk.post("/review/decide", form).text
    review.decide("bob", ["toy-02"], NewLabel(OUT))  # of another reviewer it says nothing
    assert desk.decide("toy-02").status_code == 303
    assert decided(read())["toy-01"] == [("ann", "exclude", "")]


@pytest.mark.parametrize("path", ["/review/decide", "/review/undo", "/review/settle"])
def test_a_form_needs_the_token_of_the_page(open_desk: Open, review: Review, path: str) -> None:
    desk, before = open_desk(), review.journal.read()
    form = desk.form() | {"decision": "include"}
    for given in ("", "x", "0" * 64, "é"):
        error_of(desk.post(path, form | {"token": given}, **JSON), 403, "form_token")
    other = open_desk("bob").form()["token"]
    error_of(desk.post(path, form | {"token": other}, **JSON), 403, "form_token")
    body = json.dumps(form)
    answer = desk.client.post(path, content=body, headers={"content-type": "application/json", **JSON})
    error_of(answer, 415, "not_a_form")
    assert review.journal.read() == before
    del form["token"]
    assert desk.client.post(path, data=form, headers={"x-form-token": desk.form()["token"]}).status_code != 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://friend.example"},
    ],
)
def test_pages_of_other_sites_write_nothing(open_desk: Open, review: Review, headers: dict[str, str]) -> None:
    desk, before = open_desk(origins=("https://friend.example",)), review.journal.read()
    form = desk.form() | {"decision": "include"}
    error_of(desk.post("/review/decide", form, **headers), 403, "origin")
    assert review.journal.read() == before
    page = desk.get("/review", **headers)
    assert "access-control-allow-origin" not in page.headers
    assert page.headers["referrer-policy"] == "same-origin"  # or browsers would send "Origin: null" with forms
    own = {"origin": "http://127.0.0.1:8000"}
    assert desk.post("/review/decide", form, **own).status_code == 303


def test_an_allowed_origin_gets_no_preflight_for_a_review(open_desk: Open) -> None:
    desk = open_desk(origins=("https://friend.example",))
    asked = {"origin": "https://friend.example", "access-control-request-method": "POST"}
    refused = desk.client.options("/review/decide", headers=asked)
    assert refused.status_code == 405 and not [name for name in refused.headers if name.startswith("access-control")]
    assert desk.client.options("/api/v1/batch", headers=asked).status_code == 204


def test_reviewers_are_told_by_their_tokens(open_desk: Open, review: Review, read: Read) -> None:
    ann, bob, nobody = open_desk("ann"), open_desk("bob"), open_desk(tokens=True)
    for path in ("/review", "/review/records", "/review/export?format=csv", "/review/next"):
        error_of(nobody.get(path), 401, "token")
        error_of(nobody.get(path, authorization=f"Bearer {'c' * 32}"), 401, "token")
    assert nobody.get("/review").headers["www-authenticate"].startswith("Bearer, Basic")
    error_of(nobody.post("/review/decide", ann.form() | {"decision": "include"}), 401, "token")
    assert nobody.get("/").status_code == 200  # the search is open on this machine
    ann.decide("toy-01")
    bob.decide("toy-01", "exclude")
    assert decided(read()) == {"toy-01": [("ann", "include", ""), ("bob", "exclude", "")]}
    form = bob.form("/review?id=toy-02") | {"decision": "include"}
    assert ann.post("/review/decide", form).status_code == 403  # another reviewer's page
    assert bob.post("/review/decide", form | {"who": "ann"}).status_code == 400  # who decides is not for a form to say
    assert set(decided(read())) == {"toy-01"}


def test_nobody_undoes_the_decision_of_another(open_desk: Open, read: Read) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    ann.decide("toy-01")
    bob.decide("toy-02")
    number = read().records[0].decisions[0].number
    answer = bob.post("/review/undo", {"token": bob.form()["token"], "number": str(number)}, **JSON)
    assert "was made by ann" in error_of(answer, 400, "bad_request")
    assert set(decided(read())) == {"toy-01", "toy-02"}


def test_another_reviewers_decisions_are_seen_only_after_ones_own(open_desk: Open) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    for name in ("toy-01", "toy-02", "toy-03"):
        ann.decide(name, "exclude", other_reason="sesame", note="thyme", labels="cumin")
    pages = ("/review", "/review?id=toy-01", "/review?id=toy-02", "/review/next", "/review/records",
             "/review/records?decision=exclude", "/review/conflicts", "/review/export?format=csv", "/review/export?format=ris",
             "/review/progress", "/review/flow", "/review/flow.json")  # fmt: skip
    before = {path: bob.get(path).text for path in pages}
    for path, text in before.items():
        assert not re.search(r"sesame|thyme|cumin|\bann\b", text), path
        assert "3 excluded" not in text and "0 excluded" in text or path not in ("/review", "/review/next")
    assert "Nothing is read yet" in before["/review/progress"]
    bob.decide("toy-01")
    assert re.search(r"ann</bdi>: <b>excluded</b>.*sesame.*thyme.*cumin", bob.get("/review?id=toy-01").text, re.DOTALL)
    assert "sesame" not in bob.get("/review?id=toy-02").text
    exported = bob.get("/review/export?format=csv").text
    assert exported.count("\n") == 2 and "conflict" in exported
    conflicts = bob.get("/review/conflicts").text
    assert conflicts.count('class="conflict"') == 1 and "thyme" in conflicts


def test_the_order_of_a_reviewer_tells_nothing_of_another(open_desk: Open) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    before = bob.get("/review/next").json()["next"]
    for name in before:
        ann.decide(name, "exclude")
    assert bob.get("/review/next").json()["next"] == before
    assert not set(ann.get("/review/next").json()["next"]) & set(before)


def test_open_decisions_are_seen_at_once_and_the_work_is_shared(open_desk: Open) -> None:
    ann, bob = open_desk("ann", is_blind=False), open_desk("bob", is_blind=False)
    before = bob.get("/review/next").json()["next"]
    ann.decide(before[0], "exclude", other_reason="sesame")
    assert before[0] not in bob.get("/review/next").json()["next"]
    assert "sesame" in bob.get(f"/review?id={before[0]}").text
    assert "1 excluded" in bob.get().text


def test_a_conflict_is_settled_for_all(open_desk: Open, read: Read) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    for name, kind in (("toy-01", "include"), ("toy-02", "include"), ("toy-03", "exclude")):
        ann.decide(name, kind)
    bob.decide("toy-01", "exclude")
    bob.decide("toy-02", "include")
    form = {"token": bob.form()["token"], "id": "toy-03", "decision": "include"}
    assert "is not in conflict, or you have not decided" in unescape(bob.post("/review/settle", form).text)
    page = ann.get("/review/conflicts").text
    assert page.count('class="conflict"') == 1
    assert re.search(r"<td>2</td><td>1</td><td>0.00</td>", page)
    answer = ann.post(
        "/review/settle",
        ann.form("/review/conflicts", "/review/settle") | {"decision": "exclude", "other_reason": "wrong drug"},
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/review/conflicts")
    assert read().records[0].kind is OUT and read().records[0].reason == "wrong drug"
    assert "No conflict" in ann.get("/review/conflicts").text
    assert "for all" in bob.get("/review?id=toy-01").text


def test_decided_records_are_listed_and_changed(open_desk: Open, review: Review, read: Read) -> None:
    desk = open_desk()
    for n in range(1, 4):
        desk.decide(f"toy-0{n}", "exclude" if n == 2 else "include")
    page = desk.get("/review/records").text
    assert re.findall(r'href="/review\?id=(toy-\d+)&amp;back=records"', page) == ["toy-03", "toy-02", "toy-01"]
    only = desk.get("/review/records?decision=exclude").text
    assert re.findall(r"id=(toy-\d+)&amp;", only) == ["toy-02"]
    form = desk.form("/review?id=toy-02&back=records")
    answer = desk.post("/review/decide", form | {"decision": "maybe"})
    assert answer.headers["location"] == "/review/records"
    assert desk.post("/review/decide", form | {"back": "//evil.example"}).status_code == 400
    assert {each.record.ids[0]: each.kind for each in read().records}["toy-02"] is MAYBE


def test_what_the_shell_decides_is_seen_at_once(open_desk: Open, review: Review) -> None:
    desk = open_desk()
    first = desk.form()["id"]
    review.decide("ann", [first], NewLabel(OUT))
    assert desk.form()["id"] != first
    assert "1 excluded" in desk.get().text
    review.undo("ann")
    assert desk.form()["id"] == first


def test_a_script_gets_the_next_records_ready_made(open_desk: Open) -> None:
    desk = open_desk()
    found = desk.get("/review/next").json()
    first, second, third, _ = found["next"]
    assert [each["id"] for each in found["records"]] == found["next"]
    assert 'action="/review/decide"' in found["records"][0]["html"]
    again = desk.get(f"/review/next?skip={first}&have={second}").json()
    assert again["next"][:2] == [second, third] and [each["id"] for each in again["records"]] == again["next"][1:]
    assert desk.get("/review/next?order=date").json()["next"] != found["next"]
    error_of(desk.get("/review/next?order=size", **JSON), 400, "bad_request")


@pytest.mark.parametrize("text", ODD)
def test_hostile_notes_reasons_and_labels_stay_text(open_desk: Open, read: Read, text: str) -> None:
    desk = open_desk()
    assert (
        desk.decide("toy-01", "exclude", other_reason=text, note=text, labels=text.replace(",", "")).status_code == 303
    )
    (own,) = read().records[0].decisions
    assert (own.reason, own.note) == (text, text)
    for path in ("/review?id=toy-01", "/review/records", "/review", "/review/next"):
        page = desk.get(path).text
        assert "<script>alert" not in page and "<img src=x" not in page and "<h1>out" not in page
    assert unescape(desk.get("/review/records").text).count(text) >= 3


def test_too_long_and_unknown_fields_are_refused(open_desk: Open, review: Review) -> None:
    desk, before = open_desk(), len(review.journal.read())
    for more, message in (
        ({"note": "x" * 10_001}, "note has 10,001 characters"),
        ({"decision": "delete"}, "expected one of include"),
        ({"id": "nobody"}, "nobody"),
        ({"seconds": "-1"}, "seconds"),
        ({"color": "red"}, "color"),
        ({"key": "k" * 65}, "key has 65 characters"),
    ):
        answer = desk.post("/review/decide", desk.form() | {"decision": "include"} | more)
        assert answer.status_code in (400, 404) and message in unescape(answer.text), more
    assert len(review.journal.read()) == before


def test_progress_shows_the_curve_and_what_may_be_left(open_desk: Open) -> None:
    desk = open_desk()
    assert "Nothing is read yet" in desk.get("/review/progress").text
    desk.decide("toy-01")
    desk.decide("toy-02", "exclude")
    page = desk.get("/review/progress").text
    assert '<g class="chart"' in page and "style=" not in page and "<style" not in page
    assert re.search(r"<dt>Read</dt><dd>2 of", page) and re.search(r"<dt>Included</dt><dd>1</dd>", page)


@pytest.mark.parametrize("who", ["<script>alert(1)</script>", "a\u202eb", '"><b>'])
def test_the_name_of_a_reviewer_stays_text(open_desk: Open, review: Review, who: str) -> None:
    desk = open_desk(who=who)
    desk.decide("toy-01")
    for path in ("/review", "/review/records", "/review/conflicts", "/review/progress", "/review/flow"):
        page = desk.get(path).text
        assert "<script>alert" not in page and '"><b>' not in page and who in unescape(page), path
    assert review.journal.read()[-1].who == who


def test_a_note_is_no_formula_in_a_table(open_desk: Open) -> None:
    desk = open_desk()
    desk.decide("toy-01", "exclude", note='=HYPERLINK("http://evil.example")', other_reason="@SUM(1)", labels="+1")
    (row,) = csv.DictReader(desk.get("/review/export?format=csv").text.lstrip("\ufeff").splitlines())
    for name in ("decision_note", "exclusion_reason", "decision_labels"):
        assert row[name][:1] not in "=@+-", row[name]
    book = openpyxl.load_workbook(io.BytesIO(desk.get("/review/export?format=xlsx").content))
    assert not [cell.value for line in book.active.iter_rows() for cell in line if cell.data_type == "f"]
