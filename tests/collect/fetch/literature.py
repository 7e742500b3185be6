"""PubMed and Europe PMC on this machine: as they document their services, with the faults that those have."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

DOCTYPE = (
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" '
    '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">'
)
_FOUND = '<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE {0} PUBLIC "-//NLM//DTD esearch 20060628//EN" "https://x/y.dtd">'
_ODD = {  # answers with status 200
    "200 html": b"<!DOCTYPE html><html><head><title>Down</title></head><body>maintenance</body></html>",
    "200 other": b'{"version":"6.9"}',
    "200 errMsg": b'{"errCode":404,"errMsg":"Invalid query"}',
    "200 error": b"<?xml version='1.0'?><eFetchResult><ERROR>Search Backend failed: a1</ERROR></eFetchResult>",
    "empty set": f'<?xml version="1.0" ?>\n{DOCTYPE}\n<PubmedArticleSet></PubmedArticleSet>'.encode(),
}
_BY_ID = re.compile(r"\((.*)\) AND (\d+):(\d+)\[uid\]")
_BY_DOI = re.compile(r'"([^"]*)"\[aid\]')
_SINCE = re.compile(
    r'\((.*)\) AND \(\("([^"]*)"\[lr\] : "3000/12/31"\[lr\]\) OR \("\2"\[edat\] : "3000/12/31"\[edat\]\)\)'
)
_SINCE_PMC = re.compile(r"\((.*)\) AND \(UPDATE_DATE:\[([^ ]*) TO 3000-12-31\] OR CREATION_DATE:\[\2 TO 3000-12-31\]\)")
_PMC_TERM = re.compile(r'\(EXT_ID:(\w+) AND SRC:(?:MED|PPR)\)|PMCID:(\w+)|DOI:"([^"]*)"')
_UNDATED = re.compile(r'\((.*)\) NOT \("1700/01/01"\[edat\] : "3000/12/31"\[edat\]\)')


@dataclass
class Paper:
    """One record."""

    pmid: int
    entered: date | None = date(2020, 1, 1)
    title: str = "Gout"
    revised: date = date(2020, 1, 2)
    doi: str = ""
    pmcid: str = ""

    def is_new(self, since: str) -> bool:
        """Whether it came or was changed on this day or later."""
        day = date(*map(int, re.split("[-/]", since)))
        return self.revised >= day or (self.entered is not None and self.entered >= day)

    @property
    def xml(self) -> str:
        return (
            f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{self.pmid}</PMID><Article>'
            f"<Journal><JournalIssue><PubDate><Year>2020</Year></PubDate></JournalIssue><Title>Joints</Title></Journal>"
            f"<ArticleTitle>{self.title} no. {self.pmid}</ArticleTitle><Abstract><AbstractText>Uric acid &amp; "
            f"colchicine, β = {self.pmid}.</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
        )

    @property
    def core(self) -> dict[str, object]:
        """The record as Europe PMC has it; those above 900 are preprints."""
        source = (
            {"id": f"PPR{self.pmid}", "source": "PPR"} if self.pmid > 900 else {"id": str(self.pmid), "source": "MED"}
        )
        named = {"doi": self.doi, "pmcid": self.pmcid}
        return (
            source
            | {name: text for name, text in named.items() if text}
            | {
                "title": f"{self.title} no. {self.pmid}",
                "authorString": "Beck A, Zoë C.",
                "pubYear": "2020",
                "abstractText": "<h4>Background</h4>Uric acid.",
            }
        )


def matches_pmc(paper: Paper, term: str) -> bool:
    """Whether Europe PMC finds a paper: by its title, or by an id. A DOI finds those that begin with it, too."""
    ids = [tuple(found) for found in _PMC_TERM.findall(term)]
    if not ids:
        return term.lower() in paper.title.lower()
    assert " OR ".join(found.group() for found in _PMC_TERM.finditer(term)) == term
    core = paper.core
    return any(
        (ext and ext == core["id"])
        or (pmcid and pmcid == paper.pmcid)
        or (doi and paper.doi.lower().startswith(doi.lower()))
        for ext, pmcid, doi in ids
    )


@dataclass
class Library:
    """What the service holds, and how it misbehaves."""

    papers: dict[int, Paper] = field(default_factory=dict)
    max_listed: int = 9_999
    gone: set[int] = field(default_factory=set)  # listed, but efetch has no record of them
    poison: set[int] = field(default_factory=set)  # records that are not well-formed
    notes: str = ""  # of every search
    twice: set[int] = field(default_factory=set)  # records that efetch sends twice
    is_endless: bool = False  # pages begin anew after the last one
    expired: bool = False  # result sets are forgotten at once
    short: int = 0  # ids that lists lack
    faults: dict[str, list[str | None]] = field(default_factory=dict)  # by program: of each request, in turn
    always: dict[str, str] = field(default_factory=dict)  # by program: of every request
    refuses: Callable[[dict[str, str]], bool] = lambda form: False  # forms that are answered with 404
    odd: Callable[[dict[str, str]], bool] = lambda form: False  # forms that are answered with an error in a 200
    rate: float = 0.0  # requests a second; 0: any
    seconds: float = 0.0  # that an answer takes
    during: Callable[[int], None] = lambda n: None  # called with the number of each request
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    kept: dict[str, list[int]] = field(default_factory=dict)  # result sets
    url: str = ""

    def add(self, *papers: Paper) -> None:
        self.papers.update({paper.pmid: paper for paper in papers})

    def search(self, form: dict[str, str]) -> list[int]:
        term, low, high = form["term"], 0, 10**9
        if match := _BY_DOI.fullmatch(term):
            return [paper.pmid for paper in self.papers.values() if paper.doi == match[1]]
        if match := _BY_ID.fullmatch(term):
            term, low, high = match[1], int(match[2]), int(match[3])
        since = _SINCE.fullmatch(term)
        term = since[1] if since else term
        undated = _UNDATED.fullmatch(term)
        term = undated[1] if undated else term
        days = [date(*map(int, form[name].split("/"))) for name in ("mindate", "maxdate") if name in form]
        assert not days or form["datetype"] == "edat"
        return [
            paper.pmid
            for paper in self.papers.values()
            if term.lower() in paper.title.lower()
            and low <= paper.pmid <= high
            and not (since and not paper.is_new(since[2]))
            and not (undated and paper.entered)
            and not (days and not (paper.entered and days[0] <= paper.entered <= days[1]))
        ]

    def esearch(self, form: dict[str, str]) -> str:
        if form["term"].count("(") != form["term"].count(")"):
            return f"{_FOUND.format('eSearchResult')}<eSearchResult><ERROR>Search Backend failed:\n x</ERROR></eSearchResult>"
        found = self.search(form)
        start, n = int(form.get("retstart", 0)), min(int(form.get("retmax", 20)), self.max_listed)
        listed = found[start : start + n - self.short]
        name = f"MCID_{len(self.kept)}"
        self.kept[name] = found
        ids = "".join(f"<Id>{pmid}</Id>" for pmid in listed)
        history = f"<QueryKey>1</QueryKey><WebEnv>{name}</WebEnv>" if form.get("usehistory") == "y" else ""
        return (
            f"{_FOUND.format('eSearchResult')}<eSearchResult><Count>{len(found)}</Count><RetMax>{len(listed)}</RetMax>"
            f"<RetStart>{start}</RetStart>{history}<IdList>{ids}</IdList><TranslationSet/>"
            f'<QueryTranslation>"{form["term"].strip("()")}"[All Fields]</QueryTranslation>{self.notes}</eSearchResult>'
        )

    def efetch(self, form: dict[str, str]) -> str:
        if "WebEnv" in form:
            if self.expired or form["WebEnv"] not in self.kept:
                return f"{_FOUND.format('eEfetchResult')}<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"
            start = int(form["retstart"])
            pmids = self.kept[form["WebEnv"]][start : start + int(form["retmax"])]
        else:
            pmids = [int(text) for text in form["id"].split(",")]
        came = [pmid for pmid in pmids if pmid in self.papers and pmid not in self.gone]
        came += [pmid for pmid in came if pmid in self.twice]
        bad = "<PubmedArticle><broken" if self.poison.intersection(came) else ""
        records = "\n".join(self.papers[pmid].xml for pmid in came)
        return f'<?xml version="1.0" ?>\n{DOCTYPE}\n<PubmedArticleSet>\n{bad}{records}</PubmedArticleSet>'

    def search_post(self, form: dict[str, str]) -> str:
        """Europe PMC's search, page by page; a cursor is the number of records before the page."""
        cursor = form["cursorMark"]
        if cursor != "*" and not cursor.isdigit():
            return '{"version":"6.9"}'
        since = _SINCE_PMC.fullmatch(form["query"])
        term = since[1] if since else form["query"]
        found = [paper for paper in self.papers.values() if matches_pmc(paper, term)]
        found = [paper for paper in found if not since or paper.is_new(since[2])]
        start = 0 if cursor == "*" else int(cursor)
        start = start % len(found) if self.is_endless and found else start
        page = [paper.core for paper in found[start : start + int(form["pageSize"])] if paper.pmid not in self.gone]
        page += [core for core in page if int(core["id"].strip("PR")) in self.twice]
        end = start + int(form["pageSize"])
        answer: dict[str, object] = {"version": "6.9", "hitCount": len(found), "resultList": {"result": page}}
        if end < len(found) or self.is_endless:
            answer["nextCursorMark"] = str(end)
        assert (form["resultType"], form["format"]) == ("core", "json")
        return json.dumps(answer)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    library: Library
    lock = threading.Lock()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_error(405)

    def do_POST(self) -> None:
        self.close_connection = True
        library, tool = self.library, self.path.rsplit("/", 1)[-1].split(".")[0]
        form = {
            name: values[0]
            for name, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()
        }
        with self.lock:
            library.asked.append((tool, form))
            library.times.append(time.monotonic())
            library.paths.append(self.path)
            faults = library.faults.get(tool)
            fault = faults.pop(0) if faults else library.always.get(tool)
            recent = [moment for moment in library.times if moment > library.times[-1] - 1]
        library.during(len(library.asked))
        if library.rate and len(recent) > library.rate:
            fault = "429"
        fault = "404" if library.refuses(form) else "200 errMsg" if library.odd(form) else fault
        time.sleep(library.seconds)
        if fault is None or not self.misbehave(fault, form):
            with self.lock:
                answers = {"esearch": library.esearch, "efetch": library.efetch, "searchPOST": library.search_post}
                body = answers[tool](form).encode()
            self.answer(self.spoil(body, fault))

    def misbehave(self, fault: str, form: dict[str, str]) -> bool:
        """Answer with a fault; return whether that was all."""
        if fault == "429":
            error = {"error": "API rate limit exceeded", "api-key": form.get("api_key", "1.2.3.4"), "limit": "3"}
            self.answer(json.dumps(error).encode(), 429, {"Retry-After": "1"})
        elif fault == "400 key":
            self.answer(json.dumps({"error": "API key invalid", "api-key": form.get("api_key")}).encode(), 400)
        elif fault == "200 json":
            self.answer(json.dumps({"error": "API rate limit exceeded", "api-key": form.get("api_key")}).encode())
        elif fault in _ODD:
            self.answer(_ODD[fault])
        elif fault.startswith("redirect"):
            self.answer(b"", 307, {"Location": "http://other.example/x"})
        elif fault.isdigit():
            self.answer(b"<html>Bad Gateway</html>", int(fault))
        else:
            return False
        return True

    def spoil(self, body: bytes, fault: str | None) -> bytes:
        if fault == "truncated":
            return body[: len(body) // 2]
        if fault == "close":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            return b""
        return body

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        if not body and status == 200:
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve_library(library: Library) -> Iterator[Library]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneLibrary", (Handler,), {"library": library}))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    library.url = f"http://127.0.0.1:{server.server_address[1]}/entrez/eutils/"
    try:
        yield library
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
