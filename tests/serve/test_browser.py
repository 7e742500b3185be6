"""The pages in a real browser, with a real server and the real weights."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route, sync_playwright

from engine import Query, open_index
from engine.collect.source import read_source
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.query.searchlog import read_record
from engine.records.abstract import Abstract
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from tests.conftest import ROOT, TOY_MODEL, copy_toy, jsonl, silent, spare_export
from tests.rerankers import make_reranker

WHOLE = shutil.which("chromium")  # what the shell lacks: pages that come back as they were left
CHROMIUM = shutil.which("chromium-headless-shell") or WHOLE  # the shell draws in a third of the time
QUESTION = "painful toe after beer and seafood"
PHONE = {"width": 390, "height": 844}
CANARY = "http://canary.invalid/"
HOSTILE = (
    "<script>alert(1)</script>",
    f"<img src={CANARY} onerror=alert(1)>",
    "</title></textarea></style><svg onload=alert(1)>",
    '"><iframe srcdoc="<script>parent.alert(1)</script>">',
    "{{7*7}} ${7*7} ]]> <!-- &lt;b&gt; &amp;",
    "\u202eevil\u202c â€œmojibakeâ€\x9d 😀 <i>Candida</i> p<0.05",
    f"javascript:alert(1) {CANARY}",
    "' onmouseover='alert(1)",
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium-headless-shell"),
]


@contextmanager
def serving(folder: Path, *names: str, options: Sequence[str] = ()) -> Iterator[str]:
    """The address of a server in a process of its own."""
    chosen = [part for name in names for part in ("-i", name)]
    command = [sys.executable, "-m", "engine", "serve", "--indexes", str(folder), "--port", "0", *chosen, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        line = running.stderr.readline()
        try:
            yield line.split()[0].rstrip("/")
        finally:
            running.terminate()
            running.wait(timeout=20)


@pytest.fixture(scope="module")
def address(sample: IndexFolder) -> Iterator[str]:
    """A server of the bundled sample."""
    with serving(sample.path.parent, sample.path.name) as address:
        yield address


@pytest.fixture(scope="module")
def driver() -> Iterator[Playwright]:
    """What drives browsers."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(driver: Playwright) -> Iterator[Browser]:
    """Headless Chromium."""
    found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield found
    found.close()


@pytest.fixture
def window(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open a window: window("/?q=gout", **context). At the end: nothing was loaded from elsewhere, nothing complained."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(page: Page) -> None:
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("pageerror", lambda error: complaints.append(f"error {error}"))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on(
            "request", lambda request: complaints.append(request.url) if "//127.0.0.1:" not in request.url else None
        )

    def open_window(path: str, base: str = address, **context: object) -> Page:
        made = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})  # type: ignore[arg-type]
        made.set_default_timeout(10_000)
        contexts.append(made)
        page = made.new_page()
        note(page)
        page.goto(base + path)
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert complaints == []


def titles(page: Page) -> list[str]:
    return page.locator(".hit h3").all_inner_texts()


def ids(page: Page) -> list[str]:
    return [box.get_attribute("value") or "" for box in page.locator(".tick").all()]


def downloaded(page: Page, click: str) -> Path:
    with page.expect_download() as waiting:
        page.click(click)
    return Path(
        shutil.copy(
            waiting.value.path(),
            waiting.value.path().with_suffix(f".{waiting.value.suggested_filename.split('.')[-1]}"),
        )
    )


def records(path: Path) -> list[str]:
    return [entry.record_id for entry in read_source(path) if isinstance(entry, Abstract)]


def test_a_search_is_typed_and_its_address_is_short(window: Callable[..., Page]) -> None:
    page = window("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")
    assert page.url.endswith("/?q=painful+toe+after+beer+and+seafood")
    assert titles(page)[0].startswith("Purine-rich intake and the risk of acute monoarticular urate flare")
    assert "Nearest 10 of 125 in sample" in page.inner_text("#found")
    first = page.locator(".hit").first
    first.locator(".extract mark.best").first.wait_for(state="attached")  # marks come after the titles
    strength = first.locator(".strength")
    assert strength.inner_text() in ("strong", "fair", "weak", "by words")
    assert re.match(r"cosine 0\.\d{3}; nearer than [\d.]+ % of unrelated pairs", strength.get_attribute("title") or "")


def test_titles_come_before_the_marks_and_both_stay_where_scripts_run(window: Callable[..., Page]) -> None:
    page = window("/")
    plain = page.request.get(page.url + f"?q={QUESTION}").text()
    assert "data-later" in plain and "mark class=" not in plain.split('id="hits"')[1]
    page.goto(page.url + f"?q={QUESTION}")
    page.wait_for_selector("#hits:not([aria-busy]) mark.best", state="attached")
    assert page.locator("h3 mark.word").count() and page.locator(".whole mark").count()
    shown = titles(page)
    whole = window(f"/?q={QUESTION}", java_script_enabled=False)
    assert whole.locator(".extract mark.best").count() and titles(whole) == shown
    assert whole.locator(".extract").all_inner_texts() == page.locator(".extract").all_inner_texts()


def test_a_choice_applies_at_once_and_searches_and_ticks_are_kept(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.locator(".tick").first.check()
    page.click("#save")
    page.click(".views [data-view=abstract]")
    assert page.url.endswith("/?q=gout&view=abstract") and page.locator("#hits.in-abstract").count() == 1
    page.select_option("#sort", "year")
    page.wait_for_url("**sort=year**")
    page.wait_for_selector("#hits.in-abstract")
    assert "by year, newest first" in page.inner_text("#found") and page.inner_text("#ticked").startswith("1 ticked")
    page.locator(".facet a").first.click()
    page.wait_for_selector(".chips")
    other = page.context.new_page()  # as when the tab was closed
    other.goto(page.url.split("?")[0])
    assert other.locator("#saved a").all_inner_texts() == ["gout"]
    assert other.locator("#recent li").count() == 3
    other.click("#recent .clear")
    assert not other.locator("#recent").is_visible()
    other.click("#saved a")
    other.wait_for_selector("#hits.in-abstract")
    assert other.inner_text("#ticked") == "1 ticked"


def test_six_hits_fit_on_a_screen_and_the_first_is_high_on_a_phone(window: Callable[..., Page]) -> None:
    bottoms = "[...document.querySelectorAll('.hit')].map(hit => hit.getBoundingClientRect().bottom)"
    assert sum(bottom <= 900 for bottom in window(f"/?q={QUESTION}").evaluate(bottoms)) >= 6
    phone = window(f"/?q={QUESTION}", viewport=PHONE)
    assert phone.evaluate("document.querySelector('.hit h3').getBoundingClientRect().top") < 300
    low = window(f"/?q={QUESTION}", viewport={"width": 1280, "height": 720})
    apply = low.locator(".apply button").bounding_box()
    assert apply is not None and apply["y"] + apply["height"] <= 720


def test_the_whole_abstract_comes_out_as_it_went_in(window: Callable[..., Page], sample: IndexFolder) -> None:
    page = window("/?q=painful+toe&n=50")
    wanted = {
        entry.record_id: entry.abstract
        for entry in read_source(ROOT / "engine/sample/abstracts.jsonl")
        if isinstance(entry, Abstract)
    }
    seen = 0
    for hit in page.locator(".hit:has(.whole)").all():
        text = hit.locator(".whole .abstract").text_content()
        record_id = hit.locator(".tick").get_attribute("value")
        seen += record_id in wanted
        assert wanted.get(record_id or "", text) == text
    assert seen > 20


def test_a_strategy_of_two_hundred_lines_is_pasted_into_the_field(window: Callable[..., Page]) -> None:
    lines = [f"{n}. (gout* or {'x' * 20}{n}*).ti,ab. ({n})" for n in range(1, 199)]
    strategy = "\r\n".join([*lines, "199. arthritis.ti,ab.", "200. or/1-199", ""])
    page = window("/", permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", strategy)
    page.locator("#q").focus()
    page.keyboard.press("Control+v")
    assert page.locator("#q").input_value() == strategy.strip().replace("\r\n", "\u2028")
    page.keyboard.press("Enter")
    page.wait_for_selector("#hits")
    assert titles(page) and "Line 200: " in page.locator("main").inner_text()
    assert page.locator("#q").input_value().count("\u2028") == 199
    page.locator("#q").fill("")
    page.evaluate("text => navigator.clipboard.writeText(text)", "gout\n")
    page.keyboard.press("Control+v")
    assert page.locator("#q").input_value().strip() == "gout"


def test_filters_narrow_and_are_removed_by_their_chips(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.fill("#from", "2010")
    page.fill("#to", "2015")
    page.click(".apply button")
    page.wait_for_selector(".chips")
    assert page.url.endswith("/?q=gout&year=2010-2015")
    years = page.locator(".hit .facts .year").all_inner_texts()
    assert years and all(2010 <= int(year) <= 2015 for year in years)
    page.click(".chips a")
    page.wait_for_url("**/?q=gout")
    page.select_option("#retracted", "true")
    page.click(".apply button")
    page.wait_for_url("**retracted=true")
    assert page.locator(".badge").all_inner_texts() == ["RETRACTED"] * page.locator(".hit").count() != []


def test_a_journal_is_offered_and_ticked_off_again(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    offered = page.locator("#known-journal option").first.get_attribute("value") or ""
    page.fill("#journal", offered)
    page.keyboard.press("Enter")
    page.wait_for_selector(".chips")
    assert set(page.locator(".hit cite").all_inner_texts()) == {offered}
    page.click(".kept input")  # which applies at once
    page.wait_for_url("**/?q=gout")
    page.wait_for_selector("#hits")
    assert len(set(page.locator(".hit cite").all_inner_texts())) > 1


def test_years_are_drawn_over_the_bars(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    bars = page.locator(".bars").bounding_box()
    assert bars is not None
    page.mouse.move(bars["x"] + 0.5 * bars["width"], bars["y"] + 20)
    page.mouse.down()
    page.mouse.move(bars["x"] + 0.75 * bars["width"], bars["y"] + 20)
    first, last = int(page.input_value("#from")), int(page.input_value("#to"))
    assert 0 < first < last
    assert page.locator(".bar.in").count() == last - first + 1
    page.mouse.up()  # which searches at once
    page.wait_for_url(f"**year={first}-{last}")
    assert page.input_value("#from") == str(first) and page.locator(".bar.in").count() == last - first + 1


def test_similar_and_exclude(window: Callable[..., Page]) -> None:
    page = window(f"/?q={QUESTION}")
    best = ids(page)[0]
    page.locator(".hide").first.click()
    page.wait_for_url("**hide=**")
    assert best not in ids(page)
    assert page.inner_text(".concealed summary") == "1 record hidden"
    page.go_back()
    page.locator(".similar").first.click()
    page.wait_for_url("**like=**")
    assert best not in ids(page) and len(ids(page)) == 10
    assert "Purine-rich intake" in page.inner_text(".examples")


def test_ticks_stay_over_pages_and_are_exported(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.locator(".tick").nth(1).check()
    first = ids(page)[1]
    page.click("a[rel=next]")
    page.wait_for_url("**offset=10**")
    page.locator(".tick").nth(0).check()
    second = ids(page)[0]
    assert page.inner_text("#ticked") == "2 ticked, 1 of them not on this page"
    page.select_option("#format", "ris")
    assert sorted(records(downloaded(page, "#export button"))) == sorted([first, second])
    page.go_back()
    assert page.locator(".tick").nth(1).is_checked()


def test_ticks_stay_when_the_search_is_narrowed(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    for place in (0, 1, 3):
        page.locator(".tick").nth(place).check()
    ticked = [ids(page)[place] for place in (0, 1, 3)]
    page.locator(".hide").nth(1).click()
    page.wait_for_url("**hide=**")
    assert page.inner_text("#ticked") == "2 ticked"
    page.select_option("#format", "ris")
    assert records(downloaded(page, "#export button")) == [ticked[0], ticked[2]]
    page.goto(page.url + "&year=1700-1800")
    page.goto(page.url.replace("1700-1800", "-2100"))
    assert [box.is_checked() for box in page.locator(".tick").all()[:3]] == [True, False, True]
    page.goto(page.url + f"&hide={ticked[2]}")
    assert page.inner_text("#ticked") == "1 ticked"


@pytest.mark.skipif(WHOLE is None, reason="needs a browser with a back/forward cache: apt-get install chromium")
def test_ticks_are_kept_by_a_page_that_comes_back_as_it_was_left(driver: Playwright, address: str) -> None:
    browser = driver.chromium.launch(
        executable_path=WHOLE, args=["--no-sandbox"], ignore_default_args=["--disable-back-forward-cache"]
    )
    page = browser.new_page()
    page.goto(address + "/?q=gout")
    page.evaluate("window.left = true")
    page.locator(".tick").nth(0).check()
    page.click("a[rel=next]")
    page.wait_for_url("**offset=10**")
    page.locator(".tick").nth(0).check()
    page.locator(".tick").nth(1).check()
    page.evaluate(
        "setTimeout(() => history.back())"
    )  # a page that comes back so is not loaded, which go_back waits for
    page.wait_for_function("window.left")
    assert page.evaluate("window.left") is True  # it is the page that was left
    assert page.inner_text("#ticked") == "3 ticked, 2 of them not on this page"
    page.locator(".tick").nth(1).check()
    page.click("a[rel=next]")
    page.wait_for_url("**offset=10**")
    assert page.inner_text("#ticked") == "4 ticked, 2 of them not on this page"
    assert [box.is_checked() for box in page.locator(".tick").all()[:3]] == [True, True, False]
    browser.close()


def test_ticks_can_be_cleared(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    assert not page.locator("#untick").is_visible()
    page.locator(".tick").nth(0).check()
    page.goto(page.url + "&offset=10")
    page.focus("#untick")
    page.keyboard.press("Enter")
    assert page.inner_text("#ticked") == "" and not page.locator("#untick").is_visible()
    assert page.evaluate("document.activeElement.id") == "all"
    page.go_back()
    assert page.locator(".tick:checked").count() == 0


def test_the_form_sent_again_keeps_the_ticks(window: Callable[..., Page]) -> None:
    page = window("/?q=gout&mode=hybrid")
    page.locator(".tick").nth(0).check()
    page.click("form.search button[type=submit]")
    page.wait_for_url(lambda url: "mode" not in url)
    assert page.inner_text("#ticked") == "1 ticked"


def test_what_was_opened_stays_open_when_the_marks_come(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.locator(".hide").nth(0).click()
    page.wait_for_url("**hide=**")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route) if "engine-marks" in route.request.headers else route.continue_()

    page.route("**/*", hold)
    page.reload()
    page.wait_for_selector("#hits[aria-busy]")
    page.evaluate("document.querySelector('.messages').append(Object.assign(document.createElement('p'), {id: 'old'}))")
    page.click(".concealed summary")
    for route in held:
        route.continue_()
    page.wait_for_selector("#hits:not([aria-busy])")
    assert page.get_attribute(".concealed", "open") == "" and page.locator("#old").count() == 0
    assert page.evaluate("document.activeElement.closest('.concealed') !== null")
    page.unroute("**/*")
    before = page.inner_html(".messages").replace(' open=""', "")
    page.reload()
    page.wait_for_selector("#hits:not([aria-busy])")
    assert before.split() == page.inner_html(".messages").split()


def test_what_is_excluded_is_no_longer_ticked(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.locator(".tick").nth(0).check()
    page.locator(".hide").nth(0).click()
    page.wait_for_url("**hide=**")
    assert page.inner_text("#ticked") == ""
    page.click(".concealed summary")
    page.click(".concealed a")
    page.wait_for_url(lambda url: "hide" not in url)
    assert page.inner_text("#ticked") == ""


def test_ticks_that_the_filters_leave_out_are_told(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(address + "/?q=gout")
        page.locator(".tick").first.check()
        left_out, kept = ids(page)[:2]
        page.goto(address + f"/?q=gout&ids={kept}")
        assert page.inner_text("#ticked") == "1 ticked, 1 of them not on this page"
        page.click("#export button")
        page.wait_for_selector("[role=alert]")
        assert left_out in page.inner_text("[role=alert]")
        page.click("text=Back to the hits")
        page.wait_for_selector("#hits")


def test_a_page_and_the_first_hundred_are_exported(window: Callable[..., Page]) -> None:
    page = window("/?q=gout&offset=10")
    shown = ids(page)
    page.select_option("#format", "nbib")
    assert records(downloaded(page, "#export button")) == shown
    page.select_option("#top", "100")
    page.select_option("#format", "csv")
    many = downloaded(page, "#export button").read_text(encoding="utf-8")
    assert many.count("\n") >= 101 and "\n1," in many


def test_the_search_record_is_copied_and_can_be_run_again(browser: Browser, window: Callable[..., Page]) -> None:
    page = window(f"/?q={QUESTION}&year=2000-", permissions=["clipboard-read", "clipboard-write"])
    page.click(".record summary")
    page.click("[data-copy=paragraph]")
    page.wait_for_function("document.querySelector('[data-copy=paragraph]').textContent === 'Copied'")
    told = page.evaluate("navigator.clipboard.readText()")
    assert f"The query was, verbatim: “{QUESTION}”." in told and "2000 to present" in told
    record = read_record(downloaded(page, ".record a"))
    assert record.query.text == QUESTION and list(record.ids) == ids(page)


def test_the_map_draws_every_record_and_the_hits(window: Callable[..., Page]) -> None:
    page = window(f"/map?q={QUESTION}")
    page.wait_for_selector("#map[data-drawn='125']")
    inked = (
        "(c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 < 3)).size)"
    )
    assert page.evaluate(f"{inked}(document.querySelector('#map'))") > 20
    page.focus("#map")
    before = page.locator("#map").screenshot()
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    nearer = page.locator("#map").screenshot()
    assert nearer != before
    page.keyboard.press("0")
    page.wait_for_timeout(100)
    assert page.locator("#map").screenshot() == before
    page.select_option("#colour", "journal")
    assert "Invented" in page.inner_text("#legend")
    assert page.locator(".drawn li").count() == 50
    page.locator(".drawn a").first.click()
    page.wait_for_selector("article h1")


INKED = """
c => {
  const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
  const at = data.findIndex((value, i) => i % 4 === 3 && value > 0) >> 2;
  return [at % c.width, Math.floor(at / c.width)];
}
"""


def test_a_point_of_the_map_leads_to_its_record(window: Callable[..., Page]) -> None:
    page = window("/map")
    page.wait_for_selector("#map[data-drawn]")
    x, y = page.locator("#map").evaluate(INKED)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x + 1, box["y"] + y + 1)
    page.wait_for_selector("#tip:visible")
    title = page.inner_text("#tip").split("\n")[0]
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("article h1")
    assert page.inner_text("article h1") == title


def test_another_button_than_the_first_opens_nothing_on_the_map(window: Callable[..., Page]) -> None:
    page = window("/map")
    page.wait_for_selector("#map[data-drawn]")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    x, y = page.locator("#map").evaluate(INKED)
    for button in ("right", "middle"):
        page.locator("#map").click(position={"x": x + 1, "y": y + 1}, button=button)  # type: ignore[arg-type]
    page.wait_for_timeout(500)
    assert page.url.endswith("/map") and not [url for url in asked if "/record" in url]


def test_a_map_that_can_not_be_loaded_says_so(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/map/points*", lambda route: route.fulfill(status=404))
        page.goto(address + "/map")
        page.wait_for_selector(".map .note")
        assert page.evaluate("performance.getEntriesByType('navigation')[0].type") == "reload"  # once


def test_everything_by_keyboard(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.keyboard.press("/")
    page.keyboard.type("fatigue in lupus")
    page.keyboard.press("Enter")
    page.wait_for_url("**fatigue+in+lupus")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert [box.is_checked() for box in page.locator(".tick").all()[:3]] == [False, True, False]
    page.keyboard.press("o")
    assert page.locator(".hit").nth(1).locator(".whole").get_attribute("open") is not None
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_selector("article h1")
    page.go_back()
    page.keyboard.press("n")
    page.wait_for_url("**offset=10**")


def test_keys_can_be_turned_off(window: Callable[..., Page]) -> None:
    page = window("/?q=gout")
    page.click("#keys-shown")
    page.locator("#keys-used").uncheck()
    page.keyboard.press("Escape")
    for _ in range(2):
        page.locator("body").click(position={"x": 1, "y": 1})
        for key in ("j", "x", "?", "n"):
            page.keyboard.press(key)
        page.wait_for_timeout(200)
        assert not page.locator(".tick:checked").count() and not page.locator("#keys").is_visible()
        assert "offset" not in page.url
        page.reload()  # it is kept
    page.click("#keys-shown")
    assert not page.locator("#keys-used").is_checked()
    page.locator("#keys-used").check()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_url("**offset=10**")


FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
REFUSED = """
    for (const name of ["localStorage", "sessionStorage"]) {
      Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
    }
"""


@pytest.mark.parametrize("storage", [FULL, REFUSED])
def test_ticks_and_keys_hold_for_the_page_where_nothing_can_be_kept(
    browser: Browser, address: str, storage: str
) -> None:
    with browser.new_context() as context:
        context.add_init_script(storage)
        page = context.new_page()
        page.goto(address + "/?q=gout")
        page.click("#keys-shown")
        page.locator("#keys-used").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        page.wait_for_timeout(300)
        assert "offset" not in page.url
        page.locator(".tick").nth(2).check()
        assert page.inner_text("#ticked") == "1 ticked"
        assert records(downloaded(page, "#export button")) == [ids(page)[2]]


def open_filters(page: Page) -> None:
    page.locator(".filters").evaluate("details => { details.open = true }")


def list_choices(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#rerank option").all_text_contents()]


def test_a_second_stage_is_chosen_where_the_index_has_one(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="exports a reranker, which needs torch")
    folder, model = copy_toy(tmp_path / "indexes" / "toy"), make_reranker(tmp_path / "tiny")
    with open_index(folder.path) as index:
        plain, expected = (
            [hit.id for hit in index.ask(Query("gout", rerank=name)).hits] for name in (None, str(model))
        )
    with serving(folder.path.parent, "toy") as own, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{own}/?q=gout")
        open_filters(page)
        assert list_choices(page) == ["not reranked", "by tiny"] and ids(page) == plain
        page.select_option("#rerank", label="by tiny")
        page.click(".apply button")
        page.wait_for_url("**/?q=gout&rerank=tiny")
        assert ids(page) == expected != plain
        assert "reranker 0." in (page.locator(".hit").first.text_content() or "") and "tiny" in page.inner_text(
            ".chips"
        )
        open_filters(page)
        assert page.input_value("#rerank") == "tiny" and page.locator(".kept").count() == 0
        page.select_option("#rerank", label="not reranked")
        page.click(".apply button")
        page.wait_for_url("**/?q=gout")
        assert ids(page) == plain
        (folder.path / "index.toml").write_text('[rerank]\nmodel = "tiny"\n', encoding="utf-8")
        page.goto(f"{own}/?q=gout")
        open_filters(page)
        assert list_choices(page) == ["by tiny", "not reranked"] and ids(page) == expected
        page.select_option("#rerank", label="not reranked")
        page.click(".apply button")
        page.wait_for_url("**/?q=gout&rerank=none")
        assert ids(page) == plain


def test_focus_goes_through_the_page_in_order(window: Callable[..., Page]) -> None:
    page = window("/status")
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert seen == ["Skip to content", "abstract-engine", "Search", "Map", "Flow", "Suggest", "Watch", "Status"]


def test_all_of_it_works_without_a_script(window: Callable[..., Page]) -> None:
    page = window("/", java_script_enabled=False)
    page.fill("#q", "gout")
    page.click(".ask button")
    page.wait_for_load_state()
    assert "/?q=gout" in page.url and "mode=" not in page.url
    assert page.locator(".hit").count() == 10
    assert not page.locator(".script").first.is_visible()
    page.click(".filters summary")
    page.fill("#from", "2010")
    page.click(".apply button")
    assert "year=2010-" in page.url
    page.locator(".whole summary").first.click()
    assert page.locator(".whole .abstract").first.is_visible()
    page.locator(".tick").first.check()
    one = ids(page)[0]
    assert records(downloaded(page, "#export button")) == [one]
    page.click("a[rel=next]")
    assert "offset=10" in page.url
    page.locator(".hit h3 a").first.click()
    assert page.locator("#near").is_visible()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_page_is_wider_than_a_phone(window: Callable[..., Page], width: int) -> None:
    for path in (
        "/",
        f"/?q={QUESTION}",
        "/record?id=sample-008",
        "/status",
        f"/map?q={QUESTION}",
        "/flow",
        f"/watch?q={QUESTION}",
        "/nothing-here",
    ):
        page = window("/status", viewport={"width": width, "height": 800})
        if path != "/nothing-here":  # which is a complaint of its own
            page.goto(page.url.replace("/status", path))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_dark_is_dark(window: Callable[..., Page]) -> None:
    light = window("/?q=gout").evaluate("getComputedStyle(document.body).backgroundColor")
    dark = window("/?q=gout", color_scheme="dark").evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (light, dark)]
    assert brightness[0] > 700 and brightness[1] < 120


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fields_have_one_look(window: Callable[..., Page], scheme: str) -> None:
    page = window("/suggest", color_scheme=scheme)
    fields = page.eval_on_selector_all(
        "select, textarea", "found => found.map(one => getComputedStyle(one).backgroundColor)"
    )
    page.goto(page.url.replace("/suggest", "/"))
    look = page.eval_on_selector("#q", "one => getComputedStyle(one).backgroundColor")
    assert fields and set(fields) == {look}


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_serious(window: Callable[..., Page], scheme: str, width: int) -> None:
    paths = ("/", f"/?q={QUESTION}&year=2000-&hide=sample-008", "/?q=gout&mode=keyword&where=year+=+1700",
             "/record?id=sample-008", "/status", "/flow", f"/map?q={QUESTION}",
             f"/watch?q={QUESTION}&year=2000-")  # fmt: skip
    page = window("/status", color_scheme=scheme, viewport={"width": width, "height": 900})
    for path in paths:
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + path)
        if width < 1000 and page.locator(".filters summary").count():
            page.click(".filters summary")
        found = Axe().run(page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], path


def test_a_search_without_hits_says_so(window: Callable[..., Page]) -> None:
    page = window("/?q=gout&where=year+=+1700")
    assert page.inner_text("#found").startswith("No hits")
    assert "Remove a filter above" in page.inner_text(".results")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of records made to do harm, of a very long one, and of ten thousand others."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {
            "id": f"bad{n}",
            "title": f"hostile {text}",
            "abstract": f"{text} adults with gout. {text}",
            "journal": text,
            "authors": [text],
            "doi": f"javascript:{text}" if n % 2 else f"10.1000/{text.replace(' ', '')}",
            "year": 2000 + n,
        }
        for n, text in enumerate(HOSTILE)
    ]
    rows.append({"id": "long", "title": "The long one", "abstract": "Gout and lupus in adults. " * 1000})
    rows += [{"id": f"r{n}", "title": f"Record {n} of gout", "abstract": "Pain fell."} for n in range(10_000)]
    source = jsonl(folder / "rows.jsonl", rows)
    order = Order((source,), IndexSettings(model=str(TOY_MODEL), device="cpu", precision="fp32"))
    index_sources(spare_export(IndexFolder(folder / "hostile")), order, silent)
    with serving(folder, "hostile") as address:
        yield address


def test_what_a_record_holds_is_text_and_never_more(window: Callable[..., Page], hostile: str) -> None:
    for n, text in enumerate(HOSTILE):
        page = window(f"/?q=hostile&ids=bad{n}", base=hostile)
        page.wait_for_timeout(50)
        assert page.locator(".hit h3").text_content() == f"hostile {text}"
        assert page.locator(".hit .extract").text_content() == f"{text} adults with gout. {text}"
        assert page.locator(".hit cite").text_content() == text
        hrefs = [link.get_attribute("href") or "" for link in page.locator("a").all()]
        assert all(href.startswith(("/", "#", "https://doi.org/10.1000/")) for href in hrefs)
        page.locator(".hit h3 a").click()
        assert page.locator("article h1").text_content() == f"hostile {text}"
        page.goto(hostile + f"/map?q=hostile&ids=bad{n}")
        page.wait_for_selector("#map[data-drawn]")


def test_what_a_question_holds_is_text_and_never_more(window: Callable[..., Page], hostile: str) -> None:
    for text in HOSTILE:
        page = window("/", base=hostile)
        page.fill("#q", text)
        page.keyboard.press("Enter")
        page.wait_for_selector(".hit")
        assert page.input_value("#q") == text
        assert text in (page.locator("#paragraph").text_content() or "")


def test_a_very_long_abstract_and_ten_thousand_hits(window: Callable[..., Page], hostile: str) -> None:
    page = window("/?q=gout&ids=long", base=hostile)
    assert len(page.inner_text(".extract")) < 1000
    page.click(".whole summary")
    assert page.locator(".whole .abstract").text_content() == "Gout and lupus in adults. " * 1000
    page = window("/?q=gout&n=100&offset=9800", base=hostile)
    assert "Hits 9,801 to 9,900 of 10,009" in page.inner_text("#found")
    page.click("a[rel=next]")
    page.wait_for_url("**offset=9900**")
    assert page.locator(".hit").count() == 100
    assert page.locator("a[rel=next]").count() == 0  # no deeper than this


def test_the_picture_in_the_readme(window: Callable[..., Page], tmp_path: Path) -> None:
    """Made anew by: ENGINE_SHOTS=docs scripts/test tests/serve/test_browser.py."""
    page = window(f"/?q={QUESTION}", viewport={"width": 1200, "height": 860})
    page.evaluate("document.activeElement.blur()")
    path = Path(os.environ.get("ENGINE_SHOTS", tmp_path)) / "serve.png"
    page.screenshot(path=path)
    assert path.stat().st_size > 20_000
    assert json.loads(page.evaluate("JSON.stringify([innerWidth, innerHeight])")) == [1200, 860]


def test_the_site_works_under_a_path(window: Callable[..., Page], sample: IndexFolder) -> None:
    asked: list[str] = []
    with serving(sample.path.parent, sample.path.name, options=["--root-path", "/search"]) as base:
        assert base.endswith("/search")
        page = window("/", base=base)
        page.on("request", lambda request: asked.append(request.url))
        page.fill("#q", QUESTION)
        page.press("#q", "Enter")
        page.wait_for_selector(".hit")
        page.locator(".hit h3 a").first.click()
        page.wait_for_selector("article.one")
        page.locator("nav[aria-label=Site] a", has_text="Map").click()
        page.wait_for_selector("#map[data-drawn]")
        page.close()
    assert any("/search/map/points?" in url for url in asked)
    assert [url for url in asked if not url.startswith(f"{base}/")] == []
