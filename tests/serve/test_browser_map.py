"""The map in a real browser: regions, what is drawn around, and how it is listed and exported."""

import json
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.serve.test_browser import CHROMIUM, PHONE, address, browser, driver, window

__all__ = ["address", "browser", "driver", "window"]  # fixtures

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium-headless-shell"),
]
DRAWN = "#map[data-drawn='125']"


def drag(page: Page, *shares: tuple[float, float], hold: str = "") -> None:
    """Drag over the canvas through points given as shares of its width and height."""
    box = page.locator("#map").bounding_box()
    assert box is not None
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]
    if hold:
        page.keyboard.down(hold)
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=4)
    page.mouse.up()
    if hold:
        page.keyboard.up(hold)


def chosen(page: Page) -> int:
    """How many records the page says are chosen."""
    return int(page.inner_text("#chosen").split()[0].replace(",", ""))


def test_what_is_drawn_around_is_listed_and_exported(window: Callable[..., Page]) -> None:
    page = window("/map")
    page.wait_for_selector(DRAWN)
    page.click("#choosing")
    drag(page, (0.02, 0.02), (0.5, 0.02), (0.5, 0.98), (0.02, 0.98))
    left = chosen(page)
    assert 0 < left < 125
    drag(page, (0.5, 0.02), (0.98, 0.02), (0.98, 0.98), (0.5, 0.98))
    assert 0 < chosen(page) <= 125 - left
    n = chosen(page)
    page.click("#chosen-list")
    page.wait_for_selector("h1:text('Chosen on the map')")
    assert f"{n} record" in page.inner_text("main p")  # the server finds the same records as the script
    page.select_option("#format", "json")
    page.locator(".tick").first.check()
    with page.expect_download() as loading:
        page.click("#chosen-export button")
    records = json.loads(loading.value.path().read_bytes())
    assert [one["id"] for one in records] == [page.locator(".tick").first.get_attribute("value")]
    page.go_back()
    page.wait_for_selector(DRAWN)
    page.click("#moving")
    drag(page, (0.1, 0.1), (0.9, 0.1), (0.5, 0.9), hold="Shift")
    assert page.inner_text("#chosen")
    page.click("#clear")
    assert not page.inner_text("#chosen") and page.is_hidden("#chosen-ways")


def test_ticks_of_a_list_stay_over_its_pages_and_when_it_is_closed(window: Callable[..., Page]) -> None:
    page = window("/map")
    page.wait_for_selector(DRAWN)
    page.click("#choosing")
    drag(page, (0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))
    assert chosen(page) > 50
    page.click("#chosen-list")
    page.wait_for_selector(".tick")
    ticked = []
    for place in (2, 5):
        page.locator(".tick").nth(place).check()
        ticked.append(page.locator(".tick").nth(place).get_attribute("value"))
    first, listed = page.url, page.context
    page.click("a[rel=next]")
    page.wait_for_url("**offset=50**")
    page.locator(".tick").nth(0).check()
    ticked.append(page.locator(".tick").nth(0).get_attribute("value"))
    expect(page.locator("#chosen-ticked")).to_contain_text("3 ticked")
    page.close()
    page = listed.new_page()  # as when the tab was closed
    page.goto(first)
    expect(page.locator("#chosen-ticked")).to_contain_text("3 ticked")
    assert [place for place, box in enumerate(page.locator(".tick").all()) if box.is_checked()] == [2, 5]
    page.select_option("#format", "json")
    with page.expect_download() as loading:
        page.click("#chosen-export button")
    assert [one["id"] for one in json.loads(loading.value.path().read_bytes())] == ticked
    page.click("#chosen-untick")
    expect(page.locator(".tick:checked")).to_have_count(0)
    page.reload()
    expect(page.locator(".tick:checked")).to_have_count(0)


def test_the_map_is_used_by_keyboard(window: Callable[..., Page]) -> None:
    page = window("/map")
    page.wait_for_selector(DRAWN)
    page.focus("#map")
    page.keyboard.press("Enter")
    whole = chosen(page)
    assert whole >= 120  # the bulk of the records is shown
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    assert 0 < chosen(page) < whole
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    assert chosen(page) == 125  # the whole map has all of them
    page.keyboard.press("Escape")
    assert not page.inner_text("#chosen")
    page.locator(".find").first.focus()
    page.keyboard.press("Enter")
    region = page.locator(".regions li").first
    name, n = region.locator("a").inner_text(), region.locator("span").inner_text()
    assert page.inner_text("#chosen") == f"{name}: {n} records"
    assert page.get_attribute("#chosen-list", "href") == region.locator("a").evaluate("link => link.href")


def test_more_labels_fit_when_the_map_is_nearer(window: Callable[..., Page]) -> None:
    page = window("/map", viewport=PHONE, has_touch=True)
    page.wait_for_selector(DRAWN)

    def labels() -> list[str]:
        return (page.get_attribute("#map", "data-labels") or "").split()

    far = labels()
    assert "1" in far and len(far) == len(set(far))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    missing = [n for n in range(1, page.locator(".regions li").count() + 1) if str(n) not in far]
    if missing:
        page.locator(f"[data-region='{missing[0]}'] .find").click()
        page.wait_for_function(f"document.querySelector('#map').dataset.labels.split(' ').includes('{missing[0]}')")


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_the_map_and_its_lists_are_accessible(window: Callable[..., Page], scheme: str) -> None:
    page = window("/map?q=gout", color_scheme=scheme)
    page.wait_for_selector(DRAWN)
    found = Axe().run(page)
    page.locator(".regions a").first.click()
    page.wait_for_selector("#chosen-export")
    for each in (found, Axe().run(page)):
        assert [one["id"] for one in each.response["violations"] if one["impact"] in ("serious", "critical")] == []


def test_the_regions_are_read_without_script(window: Callable[..., Page]) -> None:
    page = window("/map", java_script_enabled=False)
    assert page.locator(".regions li").count() > 5 and page.is_hidden("#map")
    n = int(page.locator(".regions li span").first.inner_text())
    page.locator(".regions a").first.click()
    assert page.locator("li.hit").count() == min(n, 50)
    page.locator(".tick").nth(1).check()
    with page.expect_download() as loading:
        page.click("#chosen-export button")
    assert loading.value.suggested_filename.endswith(".ris")
    assert loading.value.path().read_text().count("TY  - ") == 1
