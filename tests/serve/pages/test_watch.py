"""The page of the saved questions, on a server that writes nothing."""

import shlex
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import lxml.html
import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.config import Settings
from engine.index.generations.folder import IndexFolder
from engine.reindex.news.watches import answer_watches
from tests.conftest import add_rows
from tests.serve.conftest import client_of


@pytest.fixture
def watched(fresh: IndexFolder, tmp_path: Path) -> IndexFolder:
    """An index with two saved questions, one of which has news."""
    (fresh.path / "index.toml").write_text(
        '[[watch]]\nname = "zorb"\nquestion = "zorbamide[tiab]"\nyear = ["2020-"]\nhas_abstract = true\n'
        '[[watch]]\nname = "other"\nquestion = "nowhere[tiab]"\n'
    )
    watches = Settings.load(fresh.path).watches
    answer_watches(fresh, watches, "2026-01-01T00:00:00+00:00")
    add_rows(fresh, tmp_path, {"id": "new-1", "title": "Zorbamide <b>works</b>", "abstract": "Yes.", "year": 2024})
    answer_watches(fresh, watches, "2026-01-02T00:00:00+00:00")
    return fresh


def test_news_are_shown_with_links_to_the_records_and_a_search_of_them(watched: IndexFolder) -> None:
    with client_of(watched.path) as client:
        page = lxml.html.document_fromstring(client.get("/watch").text)
        assert page.xpath("//section[@class='watched']/h2/text()") == ["zorb", "other"]
        assert page.xpath("//section[@class='watched']/h3/text()") == ["2026-01-02: 1 record"]
        (link,) = page.xpath("//section[@class='watched']/ol/li/a")
        assert (link.text, link.get("href")) == ("Zorbamide <b>works</b>", "/record?id=new-1")
        (search,) = page.xpath("//a[text()='Search these']/@href")
        pairs = parse_qsl(urlsplit(search).query)
        assert dict(pairs) == {"q": "zorbamide[tiab]", "has_abstract": "true", "year": "2020-", "ids": "new-1"}
        found = client.get(search)
        assert found.status_code == 200 and "/record?" in found.text
        assert "Nothing new so far." in page.text_content()
        assert not page.xpath("//form[@method='post']")


def test_programs_get_the_questions_and_their_news(watched: IndexFolder) -> None:
    with client_of(watched.path) as client:
        answer = client.get("/api/v1/watch")
        zorb, other = answer.json()["watches"]
    assert answer.headers["engine-generation"] == f"{answer.json()['generation']:06d}"
    assert zorb["search"] == {"q": "zorbamide[tiab]", "year": ["2020-"], "has_abstract": True}
    ((report,), (record,)) = zorb["reports"], zorb["reports"][0]["records"]
    assert (report["created"], report["more"]) == ("2026-01-02T00:00:00+00:00", 0)
    assert (record["id"], record["title"], record["change"]) == ("new-1", "Zorbamide <b>works</b>", "added")
    assert (other["name"], other["reports"]) == ("other", [])


def test_the_feed_is_sent_once_there_is_one(watched: IndexFolder, library: IndexFolder) -> None:
    with client_of(watched.path) as client:
        (address,) = set(client.get("/watch").text.split('"')) & {"/watch/feed.atom"}
        answer = client.get(address)
        assert answer.headers["content-type"].startswith("application/atom+xml")
        assert answer.content == (watched.path / "news" / "feed.atom").read_bytes()
    with client_of(library.path) as client:
        assert "feed.atom" not in client.get("/watch").text and client.get("/watch/feed.atom").status_code == 404


def test_without_a_review_the_page_has_the_command_that_saves_the_search(fresh: IndexFolder) -> None:
    with client_of(fresh.path) as client:
        search = "/?q=it's+gout&mode=hybrid&from=2000&has_abstract=true&hide=toy-01"
        found = client.get(search, follow_redirects=True)
        (address,) = lxml.html.document_fromstring(found.text).xpath("//a[@class='watch']/@href")
        page = lxml.html.document_fromstring(client.get(address).text)
    told = page.xpath("string(//section[@aria-labelledby='save-question']/p[@class='note'])")
    assert (
        told
        == "Not kept with the question: the list of hidden records. --ids FILE and --hide FILE give the command such lists."
    )
    words = shlex.split(page.xpath("string(//code[@id='command'])"))
    assert words[:2] == ["engine", "watch"]
    words[words.index("NAME")] = "mine"
    done = CliRunner().invoke(main, [*words[1:], "--indexes", str(fresh.path.parent)])
    assert done.exit_code == 0, done.output
    (saved,) = Settings.load(fresh.path).watches
    assert (saved.name, saved.query.text, saved.query.mode) == ("mine", "it's gout", "hybrid")
    assert saved.query.filters.year_ranges == ((2000, None),) and not saved.query.filters.hide


def test_a_value_that_does_not_exist_is_refused(fresh: IndexFolder) -> None:
    with client_of(fresh.path) as client:
        assert client.get("/watch?done=nothing").status_code == 400
        assert client.get("/watch?nope=1").status_code == 400
        assert client.get("/watch?q=gout&left_out=year").status_code == 400
