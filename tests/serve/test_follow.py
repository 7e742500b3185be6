"""A server while the index below it is published anew: every answer is of one generation, and none fails."""

import http.client
import json
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lxml.html
import pytest

from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY_MODEL, jsonl, segment_of, silent
from tests.serve.conftest import Running, serving

RECORDS = 12
GENERATIONS = 20
SOON = 5.0  # seconds until a server has noticed
PATCH = "from engine.serve.work import shelf\nshelf.FOLLOW_SECONDS = 0.05"
IDS = [f"row-{n}" for n in range(RECORDS)]


def publish(folder: IndexFolder, generation: int) -> None:
    """The next generation, in which every record names it."""
    rows = [
        {"id": one, "title": f"Gen{generation} gout {one}", "abstract": f"Pain. Gen{generation} again.", "year": 2000,
         "journal": f"Journal Gen{generation}"}
        for one in IDS
    ]  # fmt: skip
    source = jsonl(folder.path.parent.parent / "rows.jsonl", rows)
    model = str(TOY_MODEL) if generation == 1 else None
    report = index_sources(
        folder, Order((source,), IndexSettings(model=model, device="cpu", keep_generations=2)), silent
    )
    assert report.published and report.generation == generation


@pytest.fixture
def folder(tmp_path: Path) -> IndexFolder:
    """An index that keeps two generations."""
    found = IndexFolder(tmp_path / "indexes" / "gen")
    found.path.mkdir(parents=True)
    (found.path / "index.toml").write_text('[[watch]]\nname = "pain"\nquestion = "pain"\n')
    publish(found, 1)
    return found


def served(server: Running) -> int:
    """The generation that a server is at."""
    return int(server.get("/readyz")[2].split()[1])


def wait_for(server: Running, generation: int) -> float:
    """Seconds until a server is at a generation."""
    began = time.monotonic()
    while served(server) != generation:
        assert time.monotonic() - began < SOON, server.said
        time.sleep(0.02)
    return time.monotonic() - began


# What each kind of answer says: the generation it names, and those that its records name.

Said = tuple[int, list[str]]
TITLE = re.compile(r"Gen([0-9]+) gout row-[0-9]+")


def of_search(body: bytes) -> Said:
    answer = json.loads(body)
    assert len(answer["hits"]) == 5
    return answer["generation"], [text for hit in answer["hits"] for text in (hit["title"], hit["abstract"])]


def of_batch(body: bytes) -> Said:
    content = json.loads(body)
    assert {answer["generation"] for answer in content["answers"]} == {content["generation"]}
    return content["generation"], [hit["title"] for answer in content["answers"] for hit in answer["hits"]]


def of_record(body: bytes) -> Said:
    content = json.loads(body)
    return content["generation"], [content["record"]["title"], content["record"]["journal"]]


def of_page(body: bytes) -> Said:
    page = lxml.html.document_fromstring(body)
    (found,) = set(re.findall(r"generation ([0-9]{6})", page.xpath("string(//main)")))
    offered = page.xpath("//datalist[@id='known-journal']/option/@value")
    assert len(offered) == 1
    return int(found), [*page.xpath("//li[@class='hit']/h3//text()"), *offered]


def of_record_page(body: bytes) -> Said:
    page = lxml.html.document_fromstring(body)
    (found,) = re.findall(r"generation ([0-9]{6})", page.xpath("string(//dt[.='Index']/following-sibling::dd[1])"))
    return int(found), [page.xpath("string(//h1)"), *[one.text_content() for one in page.xpath("//li//h3")]]


def of_map(body: bytes) -> Said:
    page = lxml.html.document_fromstring(body)
    (found,) = page.xpath("//canvas/@data-generation")
    return int(found), [*page.xpath("//ol[@class='drawn']/li/a/text()"), *page.xpath("//ul[@id='legend']/li/text()")]


def of_export(body: bytes) -> Said:
    titles = [json.loads(line)["title"] for line in body.splitlines()]
    return int(titles[0][3:].split()[0]), titles


def of_watches(body: bytes) -> Said:
    content = json.loads(body)
    assert [one["name"] for one in content["watches"]] == ["pain"]
    return content["generation"], []


def of_watch_page(body: bytes) -> Said:
    page = lxml.html.document_fromstring(body)
    assert page.xpath("//section[@class='watched']/h2/text()") == ["pain"]
    (found,) = re.findall(r"generation ([0-9]{6})", page.xpath("string(//main)"))
    return int(found), []


def of_search_record(body: bytes) -> Said:
    return json.loads(body)["generation"], []


UNTOLD = (of_search_record, of_watches, of_watch_page)  # answers without titles of records
ASKED: tuple[tuple[str, Callable[[bytes], Said]], ...] = (
    ("/api/v1/search?q=gout&n=5", of_search),
    ("/api/v1/search?q=gout&n=5&mode=hybrid&explain=true", of_search),
    ("/api/v1/search?q=gout&n=5&mode=keyword&year=2000", of_search),
    ("/api/v1/similar?id=row-3&n=5", of_search),
    ("/api/v1/record?id=row-3", of_record),
    ("/api/v1/batch", of_batch),
    ("/?q=gout&n=100", of_page),
    ("/record?id=row-4", of_record_page),
    ("/map?q=gout", of_map),
    ("/export?q=gout&format=jsonl&n=5", of_export),
    ("/search-record.json?q=gout", of_search_record),
    ("/api/v1/watch", of_watches),
    ("/watch", of_watch_page),
)


@dataclass
class Reader:
    """One client that asks and asks, and notes what is wrong."""

    port: int
    first: int
    stop: threading.Event
    wrong: list[str] = field(default_factory=list)
    seen: Counter[int] = field(default_factory=Counter)

    def run(self) -> None:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            n = self.first
            while not self.stop.is_set():
                self.ask(line, *ASKED[n % len(ASKED)])
                n += 1
        except Exception as err:  # a thread's error would be lost
            self.wrong.append(repr(err))
        finally:
            line.close()

    def ask(self, line: http.client.HTTPConnection, path: str, read: Callable[[bytes], Said]) -> None:
        if path.endswith("batch"):
            line.request("POST", path, json.dumps({"queries": ["gout", {"q": "pain", "mode": "hybrid"}]}))
        else:
            line.request("GET", path)
        response = line.getresponse()
        body = response.read()
        if response.status != 200:
            self.wrong.append(f"{path}: {response.status} {body[:300]!r}")
            return
        named, texts = read(body)
        header = int(response.headers["Engine-Generation"])
        told = {int(found) for text in texts for found in re.findall("Gen([0-9]+)", text)}
        if header != named or not told <= {named} or (not told and read not in UNTOLD):
            self.wrong.append(f"{path}: header {header}, named {named}, records {sorted(told)}")
        if named < max(self.seen, default=0):
            self.wrong.append(f"{path}: back to {named}")
        self.seen[named] += 1


@pytest.fixture
def server(folder: IndexFolder) -> Iterator[Running]:
    with serving(folder.path.parent, patch=PATCH) as found:
        yield found


def test_no_request_fails_and_no_answer_mixes_generations(folder: IndexFolder, server: Running) -> None:
    stop = threading.Event()
    readers = [Reader(server.port, n * 2, stop) for n in range(6)]
    threads = [threading.Thread(target=reader.run) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        for generation in range(2, GENERATIONS + 1):
            publish(folder, generation)
            time.sleep(0.1)
        wait_for(server, GENERATIONS)
        time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
    assert [wrong for reader in readers for wrong in reader.wrong] == []
    seen = sum((reader.seen for reader in readers), Counter[int]())
    assert seen.total() > 100 and len(seen) >= 4 and max(seen) == GENERATIONS
    assert folder.list_numbers() == [GENERATIONS - 1, GENERATIONS]  # those before were deleted below the server
    assert "Traceback" not in server.said and "ERROR" not in server.said


def test_a_new_generation_is_served_soon_without_a_new_start(folder: IndexFolder) -> None:
    with serving(folder.path.parent) as server:
        assert served(server) == 1
        publish(folder, 2)
        assert wait_for(server, 2) < 3
        assert json.loads(server.get("/api/v1/record?id=row-1")[2])["record"]["title"] == "Gen2 gout row-1"


def swap(folder: IndexFolder, ready: IndexFolder, generation: int) -> Path:
    """Publish a generation that was made elsewhere, with one new segment; its database."""
    name = f"{generation:06d}"
    segment = segment_of(ready, generation).path
    shutil.copytree(segment, folder.segments / segment.name)
    shutil.copytree(ready.path / "generations" / name, folder.path / "generations" / name)
    (ready.path / "CURRENT").replace(folder.path / "CURRENT")
    return segment_of(folder, generation).database


def test_a_damaged_generation_is_not_served_until_it_is_good_again(
    folder: IndexFolder, server: Running, tmp_path: Path
) -> None:
    (tmp_path / "ready" / "indexes").mkdir(parents=True)
    ready = IndexFolder(tmp_path / "ready" / "indexes" / "gen")
    shutil.copytree(folder.path, ready.path)
    publish(ready, 2)
    good = (segment_of(ready, 2).database).read_bytes()
    (segment_of(ready, 2).database).write_bytes(good[:-100])
    database = swap(folder, ready, 2)

    began = time.monotonic()
    while not (problem := json.loads(server.get("/api/v1/status")[2])["indexes"][0]["problem"]):
        assert time.monotonic() - began < SOON
        time.sleep(0.02)
    assert problem == "what is on disk now can't be used; the server's log says why"
    assert "abstracts.db" in server.said
    page = lxml.html.document_fromstring(server.get("/status")[2])
    (told,) = page.xpath("//p[@class='note warning']/text()")
    assert told == "W" + problem[1:]
    assert served(server) == 1
    status, headers, body = server.get("/api/v1/search?q=gout&n=5")
    assert (status, headers["engine-generation"], of_search(body)[0]) == (200, "000001", 1)
    assert b'engine_stuck{index="gen"} 1.0' in server.get("/metrics")[2]
    time.sleep(0.3)
    assert server.said.count("stays at generation 000001") == 1  # and not again for each look

    database.write_bytes(good)
    wait_for(server, 2)
    assert json.loads(server.get("/api/v1/status")[2])["indexes"][0]["problem"] == ""
    assert b'engine_stuck{index="gen"} 0.0' in server.get("/metrics")[2]
    assert not lxml.html.document_fromstring(server.get("/status")[2]).xpath("//p[@class='note warning']")


def test_an_encoder_that_is_changed_below_the_server_is_not_used(folder: IndexFolder, server: Running) -> None:
    (data,) = folder.path.glob("encoders/*/encoder.data")
    data.chmod(0o644)
    good = data.read_bytes()
    data.write_bytes(bytes(len(good)))
    assert server.get("/readyz")[0] == 503
    assert server.get("/api/v1/search?q=gout+of+the+toe")[0] == 500
    assert server.get("/readyz")[0] == 503  # also after a search has tried to load it
    data.write_bytes(good)
    began = time.monotonic()
    while server.get("/readyz")[0] != 200:
        assert time.monotonic() - began < SOON
        time.sleep(0.02)
    assert server.get("/api/v1/search?q=gout+of+the+toe")[0] == 200


def test_settings_that_can_not_be_used_are_reported(folder: IndexFolder, server: Running) -> None:
    settings = folder.path / "index.toml"
    good = settings.read_bytes()
    settings.write_bytes(good + b"nonsense = = \n")
    assert server.get("/readyz")[0] == 503
    assert server.get("/api/v1/search?q=gout")[0] == 500
    began = time.monotonic()
    while not json.loads(server.get("/api/v1/status")[2])["indexes"][0]["problem"]:
        assert time.monotonic() - began < SOON
        time.sleep(0.02)
    time.sleep(0.3)
    assert server.said.count("stays at generation 000001") == 1
    settings.write_bytes(good)
    publish(folder, 2)
    wait_for(server, 2)
    assert server.get("/readyz")[0] == 200
    assert json.loads(server.get("/api/v1/status")[2])["indexes"][0]["problem"] == ""


def test_a_server_outlives_the_loss_of_its_index(folder: IndexFolder, server: Running, tmp_path: Path) -> None:
    shutil.move(folder.path, tmp_path / "elsewhere")
    time.sleep(0.3)
    status, _, body = server.get("/api/v1/search?q=gout&n=5")
    assert status == 200 and of_search(body)[0] == 1
    assert json.loads(server.get("/api/v1/status")[2])["indexes"][0]["problem"]
    shutil.move(tmp_path / "elsewhere", folder.path)
    publish(folder, 2)
    wait_for(server, 2)
