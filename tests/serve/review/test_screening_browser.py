"""The screening view in a real browser: keys, forms without a script, and decisions that outlive the server."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import Review, ReviewSettings
from engine.review.decisions.state import read_state
from tests.conftest import CURRENT
from tests.serve.conftest import ODD, Running, serving
from tests.serve.test_browser import CHROMIUM, PHONE

SETTINGS = ReviewSettings(
    "painful joints\ntreatment of adults", ("wrong population", "no control group"), ("gout", "pain*"), ("mice",)
)
SERIOUS = ("serious", "critical")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium-headless-shell"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> IndexFolder:
    """A private copy of the toy index."""
    folder = IndexFolder(tmp_path_factory.mktemp("screening") / "indexes" / "toy")
    shutil.copytree(CURRENT, folder.path)
    return folder


@pytest.fixture(scope="module")
def server(folder: IndexFolder) -> Iterator[Running]:
    """A server that keeps the decisions of the review "main"."""
    Review(folder, "main").start("ann", SETTINGS)
    with serving(folder.path.parent, "-i", "toy", "--review", "main", "--who", "ann") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with (
        sync_playwright() as driver,
        closing(driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])) as found,
    ):
        yield found


@pytest.fixture
def window(browser: Browser, server: Running) -> Iterator[Callable[..., Page]]:
    """Open a window of the page of the review. At the end: no script has failed."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def run(path: str = "/review", port: int = server.port, **context: object) -> Page:
            made: BrowserContext = stack.enter_context(
                closing(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))  # type: ignore[arg-type]
            )
            made.set_default_timeout(15_000)
            page = made.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(dialog.message))
            page.goto(f"http://127.0.0.1:{port}{path}")
            return page

        yield run
    assert complaints == []


@pytest.fixture
def review(folder: IndexFolder, server: Running) -> Iterator[Review]:
    """The review, without a decision in force at the end."""
    found = Review(folder, "main")
    yield found
    while state := [one for each in read_state(found).records for one in each.decisions]:
        found.undo(state[-1].who, state[-1].number)


def decided(review: Review) -> dict[str, tuple[str, str]]:
    return {
        each.record.ids[0]: (str(each.decisions[0].kind), each.decisions[0].reason)
        for each in read_state(review).records
    }


def current(page: Page) -> str:
    return page.get_attribute("form.decide", "data-id") or ""


def press(page: Page, key: str) -> str:
    """Press a key once the next record is ready; return the record that it was about."""
    page.wait_for_selector("form.decide")
    name = current(page)
    page.keyboard.press(key)
    return name


def settled(page: Page) -> None:
    """Wait until nothing is left to save."""
    page.wait_for_function("() => !Object.keys(localStorage).some((name) => name.startsWith('review '))")


def test_a_review_by_keyboard_alone(window: Callable[..., Page], review: Review) -> None:
    page = window()
    first = press(page, "i")
    page.wait_for_function("(id) => document.querySelector('form.decide')?.dataset.id !== id", arg=first)
    assert page.evaluate("document.activeElement.id") == "title"
    expect(page.locator("#said")).to_contain_text("Included. Next:")
    second, third, fourth = press(page, "e"), press(page, "2"), press(page, "m")
    settled(page)
    assert len({first, second, third, fourth}) == 4
    assert decided(review) == {
        first: ("include", ""), second: ("exclude", ""), third: ("exclude", "no control group"), fourth: ("maybe", ""),
    }  # fmt: skip
    expect(page.locator("#progress")).to_contain_text("2 excluded")
    page.keyboard.press("u")
    settled(page)
    assert current(page) == fourth and fourth not in decided(review)
    page.keyboard.press("n")
    page.keyboard.type("RCT, I think 1e")
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    settled(page)
    (record,) = [each for each in read_state(review).records if each.record.ids[0] == fourth]
    assert (record.decisions[0].note, str(record.kind)) == ("RCT, I think 1e", "include")
    assert all(each.decisions[0].seconds is not None for each in read_state(review).records)
    page.reload()
    page.keyboard.press("u")  # of before the page was loaded
    page.wait_for_url(f"**/review?order=learned&id={quote(fourth)}")
    assert fourth not in decided(review)
    assert page.input_value("#note") == ""


@pytest.mark.parametrize(
    "view",
    [{"viewport": {"width": 1280, "height": 900}}, {"viewport": PHONE, "has_touch": True}, {"color_scheme": "dark"}],
)
def test_the_page_fits_and_is_accessible(window: Callable[..., Page], review: Review, view: dict[str, object]) -> None:
    for n in (3, 4, 5):
        review.decide("ann", [f"toy-0{n}"], _label("exclude" if n == 3 else "include"))
    review.decide("bob", ["toy-03"], _label("include"))
    page = window(**view)
    page.click("summary:has-text('Why is this next')")
    for path in ("/review", "/review?id=toy-03", "/review/records", "/review/conflicts"):
        if path != "/review":
            page.goto(page.url.partition("/review")[0] + path)
        problems = [rule for rule in Axe().run(page).response["violations"] if rule["impact"] in SERIOUS]
        assert not problems, (path, json.dumps(problems)[:3000])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto(page.url.partition("/review")[0] + "/review")
    for button in page.locator(".choices button").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 44 and box["y"] + box["height"] <= page.viewport_size["height"]  # type: ignore[index]


def _label(kind: str) -> object:
    from engine.corpus.storage.journal import DecisionKind
    from engine.review.decisions.reviews import NewLabel

    return NewLabel(DecisionKind(kind))


def test_without_a_script_the_forms_do_it(window: Callable[..., Page], review: Review) -> None:
    page = window(java_script_enabled=False)
    first = current(page)
    page.fill("#note", "by hand")
    page.click("button:has-text('Include')")
    second = current(page)
    page.click("button:has-text('no control group')")
    page.click("button:has-text('Undo')")
    assert current(page) == second
    assert decided(review) == {first: ("include", "")}
    page.click("nav >> text=Decided")
    page.click("text=Change")
    page.click(".choices >> text=Maybe")
    assert page.url.endswith("/review/records")
    assert decided(review) == {first: ("maybe", "")}


def test_what_the_server_can_not_save_is_kept_shown_and_sent_once(window: Callable[..., Page], review: Review) -> None:
    page, n_before = window(), len(review.journal.read())
    page.wait_for_load_state("networkidle")
    page.route(
        "**/review/decide",
        lambda route: route.fulfill(
            status=507,
            json={"error": {"code": "disk_full", "message": "Nothing was saved: the disk of the server is full."}},
        ),
    )
    first, second = press(page, "i"), press(page, "e")
    expect(page.locator("#unsaved")).to_contain_text(
        "2 decisions are not saved yet: Nothing was saved: the disk of the server is full. Kept in this browser"
    )
    assert decided(review) == {} and current(page) not in (first, second)
    page.reload()
    expect(page.locator("#unsaved")).to_contain_text("2 decisions are not saved yet")
    page.unroute("**/review/decide")
    settled(page)
    expect(page.locator("#unsaved")).to_be_hidden()
    assert decided(review) == {first: ("include", ""), second: ("exclude", "")}
    assert len(review.journal.read()) == n_before + 2


def test_an_answer_that_is_lost_does_not_decide_twice(window: Callable[..., Page], review: Review) -> None:
    page, n_before, lost = window(), len(review.journal.read()), []

    def lose(route: object) -> None:
        if not lost:
            lost.append(route.fetch())  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route("**/review/decide", lose)
    first = press(page, "i")
    settled(page)
    assert len(lost) == 1 and decided(review) == {first: ("include", "")}
    assert len(review.journal.read()) == n_before + 1


def test_a_decision_made_elsewhere_meanwhile_is_not_replaced_unasked(
    window: Callable[..., Page], review: Review
) -> None:
    page = window()
    page.wait_for_load_state("networkidle")
    name = current(page)
    review.decide("ann", [name], _label("exclude"))
    press(page, "i")
    expect(page.locator("#unsaved")).to_contain_text(
        "you have decided about this record elsewhere meanwhile (excluded)"
    )
    assert decided(review)[name] == ("exclude", "")
    page.click("text=Save it anyway")
    settled(page)
    assert decided(review)[name] == ("include", "")


def test_hostile_texts_stay_texts_in_the_view(window: Callable[..., Page], review: Review) -> None:
    page = window("/review?id=toy-07")
    for text in ODD:
        page.fill("#note", f"{text} note")
        page.fill("#labels", text.replace(",", ""))
        page.fill("#other-reason", text)
        page.click(".choices >> text=Exclude")
        settled(page)
        page.goto(page.url.partition("?")[0] + "?id=toy-07")
        assert text in page.inner_text(".decided") and page.input_value("#note") == f"{text} note"
    assert page.locator("img, iframe, article script").count() == 0


@pytest.mark.crash
def test_kill_9_of_the_server_loses_no_key(window: Callable[..., Page], folder: IndexFolder, tmp_path: Path) -> None:
    Review(folder, "crash").start("ann", SETTINGS)
    command = ("-i", "toy", "--review", "crash", "--who", "ann")
    with serving(folder.path.parent, *command) as first:
        page = window(port=first.port)
        page.wait_for_load_state("networkidle")
        names = [press(page, key) for key in "ie1"]
        first.process.kill()
        first.process.wait(timeout=20)
    names += [press(page, key) for key in "mi" if page.locator("form.decide").count()]
    expect(page.locator("#unsaved")).to_contain_text("can’t be reached")
    with serving(folder.path.parent, *command, "--port", str(first.port)):
        settled(page)
        events = Review(folder, "crash").journal.read()[1:]
        assert [event.records[0].ids[0] for event in events] == names
