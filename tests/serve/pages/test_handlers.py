"""The pages, as they come without a browser."""

import itertools
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import lxml.html
import pytest
from lxml.html import HtmlElement
from starlette.testclient import TestClient

from engine import Filters, Index
from engine.index.generations.folder import IndexFolder
from engine.options import FILTERS, Query, QueryOption, ValueKind
from engine.references.formats import FORMATS
from engine.references.values.names import format_people
from engine.references.writers.bibliography import STYLES, format_reference
from engine.serve.work.desk import Desk
from tests.conftest import CURRENT
from tests.serve.conftest import ODD, client_of, indexed

Pairs = list[tuple[str, str]]


def page(client: TestClient, path: str, *pairs: tuple[str, object], status: int = 200) -> HtmlElement:
    """A page, parsed."""
    response = client.get(path, params=list(pairs) or None)  # type: ignore[arg-type]
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return parse(response.content)


def parse(raw: bytes) -> HtmlElement:
    """A page in UTF-8 as elements."""
    return lxml.html.document_fromstring(raw, parser=lxml.html.HTMLParser(encoding="utf-8"))


def only(found: HtmlElement, path: str) -> HtmlElement:
    """The one element at a path."""
    (one,) = found.xpath(path)
    return one


def texts(found: HtmlElement, path: str) -> list[str]:
    """The texts of elements, blanks at the ends aside."""
    return [one.text_content().strip() for one in found.xpath(path)]


def ids(found: HtmlElement) -> list[str]:
    """The ids of the hits of a page."""
    return [box.get("value") for box in found.xpath("//li[contains(@class, 'hit')]/input[@name='tick']")]


def sent_by(form: HtmlElement) -> Pairs:
    """What a browser sends when a form is submitted by its button."""
    found = []
    for field in form.xpath(".//input[@name] | .//select[@name]"):
        value = field.get("value", "")
        if field.tag == "select":
            option = next(iter(field.xpath("./option[@selected]") or field.xpath("./option")))
            value = option.get("value", option.text)
        elif field.get("type") in ("checkbox", "radio") and "checked" not in field.attrib:
            continue
        elif field.get("type") == "number" and not re.fullmatch(r"-?[0-9]+", value):
            value = ""
        found.append((field.get("name"), value))
    return found


def exported(client: TestClient, path: str) -> tuple[bytes, str]:
    """The content and the name of a file."""
    response = client.get(path)
    assert response.status_code == 200, response.text
    found = re.fullmatch(r'attachment; filename="([^"]+)"', response.headers["content-disposition"])
    assert found is not None
    return response.content, found[1]


def pairs_of(address: str) -> Pairs:
    """Names and values of an address."""
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


# The form


STATES: tuple[Pairs, ...] = (
    [],
    [("q", "gout")],
    [("q", 'a "b" & <c> +d ü')],
    [("q", "gout"), ("mode", "keyword"), ("n", "20")],
    [("q", "gout"), ("weight", "0.3"), ("fusion", "rrf")],
    [("q", "gout"), ("mode", "semantic")],
    [("q", "gout"), ("year", "1998-2003")],
    [("q", "gout"), ("year", "2001")],
    [("q", "gout"), ("year", "2001-")],
    [("q", "gout"), ("year", "-2001")],
    [("q", "gout"), ("year", "1998-2003"), ("year", "2010-")],
    [("q", "gout"), ("journal", "Gut"), ("journal", "The Lancet"), ("mesh", "Gout"), ("author", "smith j")],
    [("q", "gout"), ("type", "Review"), ("keyword", "urate"), ("language", "fre"), ("source", "rows.jsonl")],
    [("q", "gout"), ("retracted", "false"), ("has_abstract", "true")],
    [("q", "gout"), ("retracted", "true"), ("has_abstract", "false")],
    [("q", "gout"), ("where", 'year >= 2015 and not mesh = "Animals"'), ("explain", "false")],
    [("like", "toy-01"), ("unlike", "toy-02"), ("unlike", "toy-03"), ("min_score", "0.1")],
    [("q", "gout"), ("hide", "gut"), ("hide", "toy-01"), ("ids", "toy-02"), ("ids", "toy-03")],
    [("q", "gout"), ("diversify", "0.5"), ("i", "toy")],
    [("q", "gout"), ("i", "old")],
)


@pytest.mark.parametrize("state", STATES, ids=urlencode)
def test_the_form_sent_again_leads_to_the_same_page(client: TestClient, state: Pairs) -> None:
    shown = page(client, "/", *state)
    form = only(shown, "//form[@id='search']")
    assert (form.get("action"), form.get("method")) == ("/", "get")
    sent = client.get("/", params=sent_by(form))
    if sent.status_code == 303:
        address = sent.headers["location"]
        assert client.get(address).status_code == 200
    else:
        assert sent.status_code == 200
        address = str(sent.url)
    kept = [pair for pair in pairs_of(address) if pair != ("i", "toy")]  # the first index may be named or not
    assert sorted(kept) == sorted(pair for pair in state if pair != ("i", "toy"))


FILTERED = {
    ValueKind.NAMES: "gout", ValueKind.YEARS: "1991-2010", ValueKind.IDS: "toy-01", ValueKind.EITHER: "false",
    ValueKind.TEXT: "year > 1990",
}  # fmt: skip


@pytest.mark.parametrize("option", FILTERS, ids=lambda option: option.name)
def test_the_form_carries_every_filter(client: TestClient, option: QueryOption) -> None:
    value = FILTERED[option.kind]
    status = 400 if option.name == "mesh_tree" else 200  # there is no tree
    shown = page(client, "/", ("q", "gout"), (option.name, value), status=status)
    sent = sent_by(only(shown, "//form[@id='search']"))
    wanted = [("from", "1991"), ("to", "2010")] if option.kind is ValueKind.YEARS else [(option.name, value)]
    assert [pair for pair in sent if pair in wanted] == wanted


@pytest.mark.parametrize(
    "state",
    [("retracted", "0"), ("retracted", "FALSE"), ("retracted", "1"), ("has_abstract", "on"), ("year", "1998–2003")],
)
def test_a_filter_that_is_in_force_is_seen_however_it_is_written(client: TestClient, state: tuple[str, str]) -> None:
    found = client.get("/", params=(("q", "gout"), ("n", 50), state), follow_redirects=True)
    shown = parse(found.content)
    number = only(shown, "//h2[@id='found']").text_content()
    assert texts(shown, "//ul[@class='chips']/li")
    again = client.get("/", params=sent_by(only(shown, "//form[@id='search']")), follow_redirects=True)
    assert only(parse(again.content), "//h2[@id='found']").text_content() == number


@pytest.mark.parametrize(
    ("sent", "location"),
    [
        ("q=gout&mode=&n=", "/?q=gout"),
        ("q=&mode=&from=&to=", "/"),
        ("q=+", "/"),
        ("q=gout&from=1998&to=2003", "/?q=gout&year=1998-2003"),
        ("q=gout&from=1998&to=", "/?q=gout&year=1998-"),
        ("q=gout&from=&to=2003", "/?q=gout&year=-2003"),
        ("q=gout&from=2001&to=2001", "/?q=gout&year=2001"),
        ("q=gout&from=1998&year=1990&year=1995&n=20", "/?q=gout&n=20&year=1998-"),
        ("q=a&hide=x&hide=x&n=", "/?q=a&hide=x"),
        ("q=%C3%BC+%26+%3Cb%3E&mode=", "/?q=%C3%BC+%26+%3Cb%3E"),
        ("q=gout&mode=&evil=http://evil.com", None),
        ("q=gout&from=2003&to=1998", None),
        ("q=gout&from=x", None),
        ("q=gout&from=1998&from=1999", None),
    ],
)
def test_a_form_that_was_sent_becomes_the_shortest_address(client: TestClient, sent: str, location: str | None) -> None:
    response = client.get(f"/?{sent}")
    assert response.status_code == (400 if location is None else 303)
    assert response.headers.get("location") == location
    if location is not None:
        assert client.get(location).status_code == 200


def test_the_years_are_drawn_and_the_chosen_ones_marked(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("year", "1995-1998"))
    bars = shown.xpath("//*[contains(@class, 'bar') and @data-first]")
    assert [one.get("data-last") for one in bars if one.get("class") == "bar in"] == ["1995", "1996", "1997", "1998"]
    assert bars[0].xpath("string(*[1])") == "1990: 1"
    for years in ("1995", "-1998", "2030-"):
        marked = page(client, "/", ("q", "gout"), ("year", years)).xpath("//*[@class='bar in']")
        assert {"1995": 1, "-1998": 9, "2030-": 3}[years] == len(marked)


def test_the_form_offers_what_the_index_holds(client: TestClient) -> None:
    shown = page(client, "/")
    assert "Gut" in [one.get("value") for one in shown.xpath("//datalist[@id='known-journal']/option")]
    assert "Gout" in [one.get("value") for one in shown.xpath("//datalist[@id='known-mesh']/option")]
    assert "Review" in [one.get("value") for one in shown.xpath("//datalist[@id='known-type']/option")]
    assert [one.get("value") for one in shown.xpath("//select[@id='i']/option")] == ["toy", "old"]
    other = page(client, "/", ("i", "old"))
    assert [one.get("value") for one in other.xpath("//datalist/option")] == ["Invented Journal of Toys"]


# Hits


def test_a_page_shows_the_hits_of_the_search(client: TestClient, index: Index) -> None:
    shown = page(client, "/", ("q", "gout"), ("n", 20), ("mode", "hybrid"))
    answer = index.ask(Query("gout", top_k=20, mode="hybrid", explain=True))
    assert ids(shown) == [hit.id for hit in answer.hits]
    assert texts(shown, "//li/h3") == [hit.title for hit in answer.hits]
    numbers = texts(shown, "//li//div[@class='numbers']")
    assert [float(one.split(";")[0].removeprefix("cosine ")) for one in numbers] == pytest.approx(
        [hit.score for hit in answer.hits], abs=0.0006
    )
    assert shown.xpath("//li//span[contains(@class, 'strength')]/@title") == numbers
    assert answer.verdict is not None
    assert " ".join(only(shown, "//h2[@id='found']").text_content().split()) == (
        f"Nearest 20 of {answer.n_qualified} in toy · {answer.verdict.n_holding} contain your words"
    )
    details = only(shown, "//details[@class='record']").text_content()
    assert f"toy, generation {index.generation:06d}" in details and str(answer.verdict)[1:] in details
    assert only(shown, "/html/head/title").text == "gout · abstract-engine"
    abstracts = [hit.abstract.strip() for hit in answer.hits if 0 < len(hit.abstract) <= 700]
    assert len(abstracts) > 10 and set(abstracts) <= set(texts(shown, "//p[contains(@class, 'extract')]"))


def test_an_abstract_is_cut_and_whole_beside(client: TestClient, index: Index) -> None:
    shown = page(client, "/", ("q", "gout"), ("ids", "77"))
    stored = index.get("77").abstract
    assert len(stored) > 700
    whole = only(shown, "//details[@class='whole']/p")
    assert whole.text_content() == stored
    extract = only(shown, "//p[contains(@class, 'extract')]").text_content()
    assert len(extract) < 700 and extract.strip("… ") in stored
    assert texts(shown, "//p[@class='facts']/span[1]") == [", ".join(f"Author {n}" for n in range(6)) + ", et al."]
    links = {one.text: one.get("href") for one in shown.xpath("//li//span[@class='links']/a")}
    assert links["PubMed"] == "https://pubmed.ncbi.nlm.nih.gov/77/" and "DOI" not in links
    assert links["Similar"] == "/?like=PMID%3A77" and links["Hide"] == "/?q=gout&ids=77&hide=PMID%3A77"


def test_the_extract_of_a_long_abstract_begins_and_ends_with_whole_words(client: TestClient, index: Index) -> None:
    stored, begun = index.get("77").abstract, 0
    for text in ("gout", "pain", "colchicine", "seven", "arthritis of the knee", "children", "sentence"):
        shown = page(client, "/", ("q", text), ("ids", "77"))
        extract = only(shown, "//p[contains(@class, 'extract')]").text_content()
        first = stored.index(extract.removeprefix("… ").removesuffix(" …"))
        last = first + len(extract.removeprefix("… ").removesuffix(" …"))
        assert extract.startswith("… ") == (first > 0) and extract.endswith(" …") == (last < len(stored))
        assert first == 0 or stored[first - 1] == " "
        assert last == len(stored) or stored[last] == " "
        begun += first > 0
    assert begun


def test_what_a_reader_must_know_is_on_the_hit(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("ids", "gut"))
    assert texts(shown, "//span[@class='badge']") == ["retracted"]
    assert only(shown, "//li[@class='hit retracted']").get("value") == "1"
    assert only(shown, "//a[text()='DOI']").get("href") == "https://doi.org/10.1000/gut.1"
    bare = page(client, "/", ("q", "gout"), ("ids", "lancet"))
    assert texts(bare, "//p[@class='abstract none']") == ["No abstract; matched by title."]
    assert not bare.xpath("//span[@class='badge']")


def test_the_nearest_sentence_and_the_words_are_marked_unless_it_is_not_wanted(
    client: TestClient, index: Index
) -> None:
    (hit,) = index.ask(Query("gout gut", explain=True, filters=Filters(ids=("gut",)))).hits
    assert hit.why is not None
    first, last = hit.why.sentences[0].span
    shown = page(client, "/", ("q", "gout gut"), ("ids", "gut"))
    best = shown.xpath("//p[contains(@class, 'extract')]//mark[contains(@class, 'best')]")
    assert "".join(one.text for one in best) == hit.abstract[first:last]
    words = shown.xpath("//h3//mark[@class='word']")
    assert [one.text for one in words] == [hit.title[a:b] for a, b in hit.why.title_spans] == ["Gout", "gut"]
    assert not page(client, "/", ("q", "gout gut"), ("ids", "gut"), ("explain", "false")).xpath("//mark")


def test_chips_take_a_filter_away(client: TestClient) -> None:
    state = [("q", "gout"), ("journal", "Gut"), ("journal", "The Lancet"), ("year", "2031-"), ("retracted", "false"),
             ("has_abstract", "false"), ("where", "year > 2000"), ("hide", "a"), ("hide", "b"),
             ("offset", "0"), ("min_score", "-1")]  # fmt: skip
    shown = page(client, "/", *state)
    chips = {" ".join(one.text_content().split()): one.get("href") for one in shown.xpath("//ul[@class='chips']/li/a")}
    assert set(chips) == {
        "journal: Gut ×", "journal: The Lancet ×", "year: 2031- ×", "retracted hidden ×", "without an abstract ×",
        "where: year > 2000 ×", "cosine at least: -1 ×",
    }  # fmt: skip
    base = [pair for pair in state if pair[0] != "offset"]
    assert pairs_of(chips["journal: Gut ×"]) == [pair for pair in base if pair != ("journal", "Gut")]
    assert texts(shown, "//details[@class='concealed']/summary") == ["2 records hidden"]
    assert [pairs_of(one) for one in shown.xpath("//details[@class='concealed']//a/@href")] == [
        [pair for pair in base if pair != ("hide", "a")], [pair for pair in base if pair != ("hide", "b")],
        [pair for pair in base if pair[0] != "hide"],
    ]  # fmt: skip
    assert pairs_of(chips["retracted hidden ×"]) == [pair for pair in base if pair[0] != "retracted"]
    for address in chips.values():
        assert urlsplit(address).path == "/" and client.get(address).status_code == 200
    assert not page(client, "/", ("q", "gout")).xpath("//ul[@class='chips']")


def test_the_links_to_other_pages_lead_through_all_hits_and_back(client: TestClient, index: Index) -> None:
    wanted = [hit.id for hit in index.ask(Query("gout", top_k=100)).hits]
    address, found, trail = "/?q=gout&n=20&explain=false", [], []
    while address:
        shown = parse(client.get(address).content)
        found += ids(shown)
        trail.append(address)
        address = next(iter(shown.xpath("//a[@rel='next']/@href")), "")
    assert found == wanted and len(trail) == 3
    back = only(shown, "//a[@rel='prev']/@href")
    assert pairs_of(back) == pairs_of(trail[1])
    first = only(parse(client.get(back).content), "//a[@rel='prev']/@href")
    assert pairs_of(first) == pairs_of(trail[0])
    assert not parse(client.get(first).content).xpath("//a[@rel='prev']")
    odd = page(client, "/", ("q", "gout"), ("n", 20), ("offset", 5))
    assert pairs_of(only(odd, "//a[@rel='prev']/@href")) == [("q", "gout"), ("n", "20")]


def test_similar_and_excluded_hits(client: TestClient, index: Index) -> None:
    shown = page(client, "/", ("q", "gout"), ("n", 20), ("year", "1991-2010"), ("mode", "hybrid"), ("min_score", "0"))
    first = ids(shown)[0]
    similar = shown.xpath("//a[@class='similar']/@href")[0]
    assert pairs_of(similar) == [("n", "20"), ("year", "1991-2010"), ("like", first)]
    near = page(client, similar)
    assert ids(near) == [hit.id for hit in index.ask(
        Query(like=(first,), top_k=20, filters=Filters(years=((1991, 2010),)))).hits]  # fmt: skip
    assert texts(near, "//ul[@class='examples']/li/b") == [index.get(first).title]
    without = page(client, shown.xpath("//a[@class='hide']/@href")[0])
    assert first not in ids(without) and len(ids(without)) == 20


def test_no_hits_are_told(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("year", "1700"))
    assert only(shown, "//h2[@id='found']").text_content().strip().startswith("No hits")
    assert not shown.xpath("//form[@id='export'] | //ol[@id='hits']")
    assert "Remove a filter above" in only(shown, "//section[@class='results']").text_content()


def test_another_index_has_pages_too(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("i", "old"))
    assert len(ids(shown)) == 10
    assert len(page(client, "/record", ("i", "old"), ("id", "toy-01")).xpath("//section[@class='near']//li")) == 10


# A record


def test_the_page_of_a_record_holds_all_of_it(client: TestClient, index: Index) -> None:
    shown = page(client, "/record", ("id", "10.1000/gut.1"))
    stored = index.get("gut")
    assert only(shown, "//h1").text_content() == stored.title
    assert texts(shown, "//article/p[@class='abstract']") == [stored.abstract]
    assert texts(shown, "//article/p[@class='facts']/*") == ["Smith J, Doe A", "Gut", "2031", "review"]
    assert texts(shown, "//p[starts-with(@id, 'cite-')]") == [format_reference(stored, style) for style in STYLES]
    fields = dict(zip(texts(shown, "//dt"), texts(shown, "//dd"), strict=True))
    assert fields["Id"] == "gut" and fields["DOI"] == "10.1000/gut.1" and fields["MeSH"] == "Gout; Animals"
    assert fields["Keywords"] == "urate" and fields["Index"] == "toy, generation 000003"
    assert fields["Authors"] == "Smith, Jo; Doe, Ann"
    assert fields["Source"].startswith("rows.jsonl")
    near = index.ask(Query(like=("gut",), top_k=10)).hits
    assert texts(shown, "//ol/li/h3") == [hit.title for hit in near]
    for href, suffix in zip(shown.xpath("//section[@class='exports']//a/@href"), FORMATS, strict=True):
        raw, name = exported(client, href)
        assert name == f"toy-000003{suffix}" and (suffix == ".xlsx" or stored.title.rstrip(".") in raw.decode())
    assert texts(page(client, "/record", ("id", "nope"), status=404), "//p[@role='alert']")[0].startswith(
        "no record 'nope'"
    )
    page(client, "/record", status=400)
    page(client, "/record", ("id", "gut"), ("i", "nope"), status=404)


def test_every_hit_leads_to_its_own_page(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("n", 50), ("i", "toy"))
    addresses = shown.xpath("//h3/a/@href")
    assert len(addresses) == 46
    for address, title in zip(addresses, texts(shown, "//h3/a"), strict=True):
        assert pairs_of(address)[0] == ("i", "toy")
        assert only(page(client, address), "//h1").text_content() == title


def test_the_status_page_says_what_is_served(client: TestClient, index: Index) -> None:
    shown = page(client, "/status")
    assert texts(shown, "//h2") == ["toy", "old"]
    fields = dict(zip(texts(shown, "(//section)[1]//dt"), texts(shown, "(//section)[1]//dd"), strict=True))
    assert fields["Generation"] == f"000003 of {index.manifest.created[:19].replace('T', ' ')} UTC"
    assert fields["Records"] == "46" and fields["Newest source"] == "rows.jsonl"
    assert fields["Retracted"].startswith(f"{index.manifest.counts.retracted}, ")
    assert fields["Encoder"].startswith("toy-model: 32 dimensions")
    assert fields["Last nightly run"] == "none"
    assert (
        fields["Duplicates merged"].startswith("0 of 46 records found")
        and fields["Years"] == "1990 to 2032; 3 without a year"
    )
    assert fields["Read in part"].endswith("engine index FILE -i toy --recipe passages --re-encode")
    assert not shown.xpath("//p[@class='note warning']")
    page(client, "/status", ("i", "toy"), status=400)


# Errors


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nope", 404), ("/static/nope.js", 404), ("/record?id=nope", 404), ("/?q=a&i=nope", 404), ("/?q=a&n=0", 400),
        ("/?q=a&like=nope", 404), ("/?zzz=1", 400), ("/?q=a&where=(", 400), ("/map?n=x", 400), ("/?q=a&year=x", 400),
        ("/record", 400), ("/?q=a&mesh_tree=Gout", 400), ("/?q=a&year=" + "9" * 5000, 400), ("/?from=" + "9" * 400, 400),
        ("/?year=" + "9" * 450, 400), ("/?q=a&n=7&n=8", 400), ("/?" + "journal=a&" * 5000, 400), ("/?q=" + "a" * 20_001, 400),
        ("/map?q=a&year=x", 400), ("/?q=%EF%BF%BD", 400), ("/map?q=%E2%80%8B", 400), ("/?q=a&year=²", 400),
    ],
)  # fmt: skip
def test_what_did_not_work_is_told_on_a_page(client: TestClient, path: str, status: int) -> None:
    shown = page(client, path, status=status)
    (told,) = texts(shown, "//p[@role='alert']")
    assert told and "log says why" not in told


@pytest.mark.parametrize("path", ["/nope", "/?q=a&i=nope", "/?q=a&n=0", "/record?id=nope&i=nope", "/map?i=nope&q=a"])
def test_the_links_of_a_page_that_did_not_work_lead_on(client: TestClient, path: str) -> None:
    shown = parse(client.get(path).content)
    addresses = shown.xpath("//nav//a/@href")
    assert addresses
    for address in addresses:
        assert client.get(address).status_code == 200, address


def test_years_that_end_before_they_begin_can_be_mended_in_the_form(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("from", "2003"), ("to", "1998"), status=400)
    assert "2003 to 1998" in only(shown, "//p[@role='alert']").text_content()
    sent = dict(sent_by(only(shown, "//form[@id='search']")))
    assert (sent["from"], sent["to"]) == ("2003", "1998")
    names = [name for name, _ in sent_by(only(shown, "//form[@id='search']"))]
    assert len(names) == len(set(names))
    mended = client.get("/", params=[(name, "1990" if name == "from" else value) for name, value in sent.items()])
    assert mended.status_code == 303 and "year=1990-1998" in mended.headers["location"]


def test_a_page_past_the_last_hit_says_so(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("offset", 60), ("n", 20), ("mode", "hybrid"))
    said = only(shown, "//section[@class='results']").text_content()
    assert "There is no hit 61." in said and "other words" not in said
    assert only(shown, "//a[text()='Back to the first hit']").get("href") == "/?q=gout&n=20&mode=hybrid"


def test_a_page_counts_by_the_field_that_is_chosen(client: TestClient, index: Index) -> None:
    assert page(client, "/", ("q", "gout")).xpath("//details[@class='groups']") == []
    shown = page(client, "/", ("q", "gout"), ("group_by", "year"))
    answer = index.ask(Query("gout", group_by="year"))
    expected = [f"{group.value or '(none)'} {group.records:,}" for group in answer.groups]
    assert len(expected) > 3 and texts(shown, "//details[@class='groups']//li") == expected
    assert only(shown, "//details[@class='groups']/summary").text_content() == "Records by year"
    assert only(shown, "//select[@id='group_by']/option[@selected]").get("value") == "year"
    assert page(client, "/map", ("q", "gout"), ("group_by", "year")).xpath("//details[@class='groups']") == []
    said = only(page(client, "/", ("q", "gout"), ("group_by", "pmid"), status=400), "//p[@role='alert']")
    assert "group_by is 'pmid', expected one of year, journal" in said.text_content()


def test_a_refused_search_keeps_what_was_typed(client: TestClient) -> None:
    shown = page(client, "/", ("q", "knee & <pain>"), ("where", "year >"), ("journal", "Gut"), status=400)
    form = only(shown, "//form[@id='search']")
    assert {("q", "knee & <pain>"), ("where", "year >"), ("journal", "Gut")} <= set(sent_by(form))


# Texts that look like markup


def rows_of(told: tuple[str, ...]) -> list[dict[str, object]]:
    """A record for each text, which is in every field of it."""
    return [
        {"id": f"row-{n}", "title": text, "abstract": f"{text} It was so. {text}", "year": 2040 + n, "journal": text,
         "authors": [text, "Doe, Ann"], "mesh": [text], "publication_types": [text], "keywords": [text],
         "languages": [text], "vernacular_title": text, "doi": f"10.1000/{''.join(text.split())}" if n % 2 else "javascript:alert(1)"}
        for n, text in enumerate(told)
    ]  # fmt: skip


HARMLESS = tuple(f"harmless text {n}" for n in range(len(ODD)))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, TestClient]]:
    """Clients of two sites: one with texts that look like markup, one with harmless ones in their place."""
    found = []
    for told in (ODD, HARMLESS):
        folder = IndexFolder(tmp_path_factory.mktemp("texts") / "indexes" / "toy")
        shutil.copytree(CURRENT, folder.path)
        indexed(folder, rows_of(told))
        found.append(folder.path)
    with client_of(found[0]) as odd, client_of(found[1]) as harmless:
        yield odd, harmless


def shape(found: HtmlElement) -> list[tuple[str, tuple[str, ...]]]:
    """Names of all elements and of their attributes, in order; comments have one of their own."""
    return [(str(one.tag), tuple(sorted(one.attrib))) for one in found.iter()]


def shapes(client: TestClient, path: str) -> list[tuple[str, tuple[str, ...]]]:
    """The shape of a page."""
    return shape(page(client, path))


@pytest.mark.parametrize("n", range(len(ODD)))
def test_a_text_of_a_record_is_shown_as_it_is_stored(pair: tuple[TestClient, TestClient], n: int) -> None:
    odd, harmless = pair
    shown = page(odd, f"/?q=gout&ids=row-{n}&explain=false")
    stored = odd.get("/api/v1/record", params={"id": f"row-{n}"}).json()["record"]
    assert (stored["title"], stored["journal"], stored["authors"][0]) == (ODD[n],) * 3
    assert only(shown, "//li/h3/a").text_content() == ODD[n]
    assert only(shown, "//li//p[contains(@class, 'extract')]").text_content() == stored["abstract"]
    assert only(shown, "//li//cite").text_content() == ODD[n]
    assert only(shown, "//li/p[@class='facts']/span[1]").text_content() == format_people((ODD[n], "Doe, Ann"), 6)
    assert shape(shown) == shapes(harmless, f"/?q=gout&ids=row-{n}&explain=false")

    record = page(odd, f"/record?id=row-{n}")
    assert only(record, "//h1").text_content() == ODD[n]
    assert only(record, "/html/head/title").text == f"{ODD[n]} · abstract-engine"
    assert only(record, "//article/p[@class='abstract']").text_content() == stored["abstract"]
    assert only(record, "//article/p[@class='vernacular']").text_content() == ODD[n]
    assert only(record, "//article//cite").text_content() == ODD[n]
    fields = dict(
        zip(record.xpath("//dl/dt/text()"), [one.text_content() for one in record.xpath("//dd")], strict=True)
    )
    assert (fields["MeSH"], fields["Keywords"], fields["Publication types"]) == (ODD[n],) * 3
    assert shape(only(record, "//article")) == shape(only(page(harmless, f"/record?id=row-{n}"), "//article"))


@pytest.mark.parametrize("n", range(len(ODD)))
def test_a_marked_text_adds_up_to_what_is_stored(pair: tuple[TestClient, TestClient], n: int) -> None:
    odd, _ = pair
    words = " ".join(re.findall(r"\w+", ODD[n])) + " so"
    shown = page(odd, "/", ("q", words), ("ids", f"row-{n}"), ("mode", "hybrid"))
    assert shown.xpath("//p[contains(@class, 'extract')]//mark")
    assert only(shown, "//li/h3/a").text_content() == ODD[n]
    assert only(shown, "//li//p[contains(@class, 'extract')]").text_content() == f"{ODD[n]} It was so. {ODD[n]}"
    assert {one.tag for one in only(shown, "//li[@class='hit']/h3/a").iter()} <= {"a", "mark"}


def test_what_the_form_and_the_map_offer_is_text_too(pair: tuple[TestClient, TestClient]) -> None:
    odd, harmless = pair
    for path in ("/", "/?q=gout&n=100&explain=false", "/map", "/map?q=gout&n=100", "/status"):
        found = [Counter(shapes(client, path)) for client in (odd, harmless)]  # the order of hits may differ
        if path == "/status":  # only one of them has texts that are cut, and names the remedy
            for counts in found:
                del counts["code", ()]
        assert found[0] == found[1]
    shown = page(odd, "/")
    for kind in ("journal", "mesh", "type"):
        assert set(ODD) <= {one.get("value") for one in shown.xpath(f"//datalist[@id='known-{kind}']/option")}
    drawn = page(odd, "/map", ("q", "gout"), ("ids", "row-0"))
    assert texts(drawn, "//ol[@class='drawn']/li/a") == [ODD[0]]
    legend = [one.text_content() for one in drawn.xpath("//ul[@id='legend']/li")]
    assert set(legend) & set(ODD)


def test_a_link_leads_to_no_other_place_whatever_a_doi_holds(pair: tuple[TestClient, TestClient]) -> None:
    odd, _ = pair
    shown = page(odd, "/", ("q", "gout"), ("year", "2040-"), ("n", 50))
    addresses = [one.get("href") for one in shown.xpath("//a[@target='_blank']")]
    assert len(addresses) == len(ODD) // 2
    for address in addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) in (("https", "doi.org"), ("https", "pubmed.ncbi.nlm.nih.gov"))
        assert not set(address) & set("<>\"' \\`")
    assert all("javascript" not in one.get("href", "") for one in shown.iter("a"))


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("path", ["/", "/map"])
def test_a_query_is_shown_as_it_was_typed(client: TestClient, path: str, text: str) -> None:
    more = [("ids", "toy-01"), ("explain", "false"), ("journal", text), ("where", "year < 2050")]
    more = [("mode", "semantic"), *more]  # which notes nothing on a text without a word
    shown = page(client, path, ("q", text), *more[:3])
    assert only(shown, "//input[@id='q']").get("value") == text
    assert shape(shown) == shape(page(client, path, ("q", "harmless"), *more[:3]))
    shown = page(client, path, ("q", text), *more)
    assert shape(shown) == shape(page(client, path, ("q", "harmless"), *more[:3], ("journal", "harmless"), more[4]))
    assert text in [one.text_content() for one in shown.xpath("//ul[@class='chips']/li//span[@dir]")]
    if path == "/":
        assert only(shown, "/html/head/title").text == f"{text} · abstract-engine"
        assert text in only(shown, "//p[@id='paragraph']").text_content()


@pytest.mark.parametrize("text", ODD)
def test_an_error_shows_what_was_given_as_text(client: TestClient, text: str) -> None:
    for name, path in itertools.product(("i", "mode", "year", "n", text), ("/", "/map")):
        message = client.get("/api/v1/search", params={name: text}).json()["error"]["message"]
        response = client.get(path, params={name: text})
        shown, plain = parse(response.content), parse(client.get(path, params={
            name if name != text else "harmless": "harmless"}).content)  # fmt: skip
        assert response.status_code in (400, 404)
        (told,) = texts(shown, "//p[@role='alert']")
        if name != text:  # where other names are known
            assert told == message
        assert shape(shown) == shape(plain)
    for path in (f"/record?{urlencode({'id': text})}", f"/{text}"):
        assert shape(page(client, path, status=404)) == shape(page(client, "/record?id=harmless", status=404))


def test_of_a_long_page_the_first_hits_are_explained(client: TestClient, index: Index) -> None:
    shown = page(client, "/", ("q", "gout"), ("n", 30))
    answer = index.ask(Query("gout", top_k=30, explain=True), n_explained=20)
    assert ids(shown) == [hit.id for hit in answer.hits]
    assert "only the first 20 hits are explained" in texts(shown, "//p[@class='note']")
    marked = [
        bool(one.xpath(".//p[contains(@class, 'extract')]//mark[contains(@class, 'best')]"))
        for one in shown.xpath("//ol/li")
    ]
    assert marked == [bool(hit.why and hit.why.sentences) for hit in answer.hits]
    assert any(marked[:20]) and not any(marked[20:])
    assert not texts(page(client, "/", ("q", "gout"), ("n", 20)), "//p[@class='note']")


def test_the_ticks_of_a_question_are_kept_however_its_address_is_spelled(client: TestClient) -> None:
    def question(*pairs: tuple[str, object]) -> str:
        return only(page(client, "/", *pairs), "//form[@id='export']").get("data-question")

    plain = question(("q", "gout"))
    for more in (("i", "toy"), ("mode", "hybrid"), ("n", 20), ("offset", 10), ("year", "1991-"), ("hide", "gut")):
        assert question(("q", "gout"), more) == question(more, ("q", "gout")) == plain
    others = [question(("q", "Gout")), question(("q", "gout"), ("i", "old")), question(("q", "gout"), ("mode", "semantic")),
              question(("q", "gout"), ("like", "gut")), question(("q", "gout"), ("unlike", "gut"))]  # fmt: skip
    assert len({plain, *others}) == 6


def test_a_size_that_is_none_of_the_usual_stays(client: TestClient) -> None:
    shown = page(client, "/", ("q", "gout"), ("n", 25))
    assert texts(shown, "//select[@id='n']/option") == ["10", "20", "25", "50", "100"]
    assert ("n", "25") in sent_by(only(shown, "//form[@id='search']"))


def test_a_busy_page_can_be_asked_again_as_it_was(library: IndexFolder) -> None:
    with client_of(library.path, desk=Desk(workers=1, waiting=-1)) as client:
        again, start = page(client, "/", ("q", "gout <b>"), ("year", "1991-"), status=503).xpath("//p[@class='ways']/a")
        assert (again.text, again.get("href")) == ("Try again", "/?q=gout+%3Cb%3E&year=1991-")
        assert (start.text, start.get("href")) == ("New search", "/")


def test_settings_that_can_not_be_used_are_the_servers_fault(
    fresh: IndexFolder, caplog: pytest.LogCaptureFixture
) -> None:
    (fresh.path / "index.toml").write_text("[hybrid]\nweight = 7\n", encoding="utf-8")
    with client_of(fresh.path) as client:
        shown = page(client, "/", ("q", "gout"), ("mode", "hybrid"), status=500)
        assert texts(shown, "//p[@role='alert']") == [
            "The settings of the index can't be used; the server's log says why."
        ]
    assert any("hybrid.weight" in record.getMessage() for record in caplog.records)


def test_what_an_abbreviation_stands_for_is_offered(tmp_path: Path) -> None:
    folder = IndexFolder(tmp_path / "indexes" / "toy")
    shutil.copytree(CURRENT, folder.path)
    indexed(folder, [{"id": "a", "title": "Serositis", "abstract": "Systemic lupus erythematosus (SLE) was seen."}])
    with client_of(folder.path) as client:
        link = only(page(client, "/", ("q", "serositis in SLE")), "//a[.='Search with it, too']")
        assert dict(parse_qsl(urlsplit(link.get("href")).query))["q"] == "serositis in SLE Systemic lupus erythematosus"
        assert "SLE may stand for" in link.getparent().text_content()
