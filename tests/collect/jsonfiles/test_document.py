import json
import tracemalloc
from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract, Entry, Rejection, Remark


def read(path: Path, content: object, indent: int | None = None) -> list[Entry]:
    """Entries of a file with this content; what is neither text nor bytes is written as JSON."""
    if not isinstance(content, str | bytes):
        content = json.dumps(content, indent=indent)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_source(path))


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_object_by_object(source: Path, indent: int | None) -> None:
    rows = [{"id": str(n), "title": f"T{n}", "abstract": '"a", [b]}, {'} for n in range(300)]
    assert read(source, rows, indent) == [Abstract(str(n), f"T{n}", '"a", [b]}, {') for n in range(300)]
    assert check_source(source).name == "JSON"


@pytest.mark.parametrize(
    "path", ["results", "collection", "items", "data", "resultList.result", "message.items", "response.docs"]
)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_list_in_an_answer_is_found(source: Path, path: str, indent: int | None) -> None:
    outer, _, inner = path.partition(".")
    if inner == "docs":  # of a program that is not known
        outer, inner = "records", ""
    content: object = [{"id": "1", "title": "a"}, {"id": "2", "title": "b"}]
    content = {outer: {"hits": 2, inner: content} if inner else content}
    found = read(source, {"meta": {"count": 2, "title": None}, **content, "next": [1]}, indent)
    assert found == [Abstract("1", "a", ""), Abstract("2", "b", "")]


def test_one_object_over_several_lines_is_a_record_and_so_is_the_next(source: Path) -> None:
    found = read(
        source, '{\n "id": "1", "title": "a",\n "items": [{"title": "no record"}]\n}\n{\n "id": "2", "title": "b"}'
    )
    assert isinstance(found[0], Abstract) and found[0].other_tags == ('items: [{"title": "no record"}]',)
    assert found[1:] == [Abstract("2", "b", "")]


def test_a_line_for_each_object_stays_jsonl(source: Path) -> None:
    assert read(source, '{"id": "1", "title": "a"}\n{"id": "2", "title": "b"}\n')[1] == Abstract("2", "b", "")
    assert check_source(source).name == "JSONL"
    assert [type(entry) for entry in read(source, '{"id": 1, "title": \n{"id": 2, "title": "b"}\n')] == [
        Rejection,
        Abstract,
    ]


def test_one_bad_record_stops_no_run(source: Path) -> None:
    found = read(source, '[{"id": 1, "title": "a\tb", "year": NaN}, {"title": x}, {"id": 3, "title": "c"}, 4]')
    assert found == [
        Abstract("1", "a\tb", ""),
        Rejection("source", "record 2", "not JSON (Expecting value)"),
        Abstract("3", "c", ""),
        Rejection("source", "record 4", "a JSON int, expected an object"),
    ]


@pytest.mark.parametrize(
    "text", ['[{"title": "a"}, {"title": "b', '[{"title": "a"},', '[{"title": "a"}', '[{"title": "a"}, ']
)
def test_a_document_that_breaks_off_is_an_error(source: Path, text: str) -> None:
    with pytest.raises(SourceError, match="record 2: the JSON breaks off here"):
        read(source, text)


def test_what_is_no_json_is_an_error_with_its_place(source: Path) -> None:
    with pytest.raises(SourceError, match="not JSON after record 1, found 'x"):
        read(source, '[{"title": "a"} x]')
    with pytest.raises(SourceError, match="record 1: longer than"):
        read(source, '[{"title": "' + "x" * (33 << 20) + '"}]')


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_and_encodings_are_read(source: Path, encoding: str) -> None:
    assert read(source, '\n[{"id": "a", "title": "Sjögren 😀"}]'.encode(encoding)) == [Abstract("a", "Sjögren 😀", "")]


def test_bytes_of_windows_are_read_and_remarked(source: Path) -> None:
    remark, found = read(source, b'[{"id": "a", "title": "Sj\xf6gren"}]')
    assert isinstance(remark, Remark) and "not UTF-8" in remark.kind and found == Abstract("a", "Sjögren", "")


def test_memory_does_not_grow_with_the_file(source: Path) -> None:
    def measure(n: int) -> int:
        source.write_text(json.dumps([{"title": f"T{k}", "abstract": "x" * 3000} for k in range(n)]))
        tracemalloc.start()
        assert sum(1 for _ in read_source(source)) == n
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert measure(3000) < 2 * measure(300)


def test_europe_pmc_is_read(source: Path) -> None:
    lite = {
        "id": "30000101",
        "source": "MED",
        "pmid": "30000101",
        "doi": "10.5555/a",
        "title": "Serum <i>urate</i>.",
        "authorString": "Marlow JA, Okoro P.",
        "journalTitle": "J Invent",
        "issue": "2",
        "journalVolume": "3",
        "pubYear": "2019",
        "journalIssn": "1234-5678; 1234-567x; ",
        "pageInfo": "1-9",
        "pubType": "review; journal article",
        "firstPublicationDate": "2019-05-01",
    }
    core = {
        "id": "PPR77",
        "source": "PPR",
        "title": "Pre",
        "abstractText": "<h4>Background</h4>One.<h4>Methods</h4>p &lt; 2.",
        "authorList": {"author": [{"fullName": "Doe J"}, {"collectiveName": "Gout Group"}]},
        "journalInfo": {"volume": "4", "journal": {"title": "Full Journal", "issn": "1111-2222"}},
        "pubYear": "2021",
        "meshHeadingList": {"meshHeading": [{"descriptorName": "Gout"}]},
        "fullTextUrlList": {"fullTextUrl": [{"url": "https://x.org/1"}]},
    }
    first = Abstract(
        "PMID:30000101",
        "Serum urate.",
        "",
        2019,
        "J Invent",
        ("Marlow JA", "Okoro P"),
        pmid="30000101",
        doi="10.5555/a",
        publication_types=("review", "journal article"),
        volume="3",
        issue="2",
        pages="1-9",
        issns=("1234-5678", "1234-567X"),
        published="2019-05-01",
        databases=("Europe PMC",),
    )
    second = Abstract(
        "PPR77",
        "Pre",
        "Background: One.\nMethods: p < 2.",
        2021,
        "Full Journal",
        ("Doe J", "Gout Group"),
        mesh=("Gout",),
        volume="4",
        issns=("1111-2222",),
        urls=("https://x.org/1",),
        databases=("Europe PMC",),
    )
    assert read(source, {"hitCount": 2, "resultList": {"result": [lite, core]}}) == [first, second]
    assert read(source, f"{json.dumps(lite)}\n{json.dumps(core)}\n") == [first, second]


def test_preprints_are_read(source: Path) -> None:
    row = {
        "doi": "10.1101/1",
        "title": "T",
        "authors": "Doe, J.; Roe, R.",
        "date": "2020-05-03",
        "category": "epidemiology",
        "abstract": "A",
        "published": "10.5555/z",
        "server": "medrxiv",
        "type": "new results",
    }
    (found,) = read(source, {"messages": [{"status": "ok"}], "collection": [row]})
    assert isinstance(found, Abstract)
    assert (found.year, found.published, found.journal) == (2020, "2020-05-03", "medRxiv")
    assert (found.authors, found.other_tags) == (("Doe, J.", "Roe, R."), ("published as: 10.5555/z",))


def test_csl_and_crossref_are_read(source: Path) -> None:
    csl = {
        "id": "marlow2019",
        "type": "article-journal",
        "title": "CSL title",
        "container-title": "J",
        "author": [{"family": "Berg", "given": "Jan", "non-dropping-particle": "van den"}, {"literal": "WHO"}],
        "issued": {"date-parts": [["2019", 5, 3]]},
        "DOI": "10.5555/c",
        "page": "1-9",
        "publisher-place": "Bern",
    }
    crossref = {
        "DOI": "10.5555/d",
        "title": ["Cross"],
        "container-title": ["CJ"],
        "author": [{"given": "Ann", "family": "Beck", "suffix": "Jr"}],
        "issued": {"date-parts": [[2020, 1]]},
        "abstract": "<jats:title>Abstract</jats:title><jats:sec><jats:title>Aim</jats:title><jats:p>Hello.</jats:p></jats:sec>",
        "reference": [{"DOI": "10.1/x", "key": "1"}, {"key": "2"}],
    }
    for content in ([csl], json.dumps(csl) + "\n"):
        (found,) = read(source, content)
        assert isinstance(found, Abstract)
        assert (found.record_id, found.journal, found.year) == ("DOI:10.5555/c", "J", 2019)
        assert found.authors == ("van den Berg, Jan", "WHO")
        assert (found.published, found.pages, found.place) == ("2019-05-03", "1-9", "Bern")
    (found,) = read(source, {"status": "ok", "message": {"total-results": 1, "items": [crossref]}})
    assert isinstance(found, Abstract)
    assert (found.title, found.abstract, found.authors) == ("Cross", "Aim: Hello.", ("Beck, Ann, Jr",))
    assert (found.journal, found.published, found.cited_ids) == ("CJ", "2020-01", ("DOI:10.1/x",))


def test_the_engines_own_array_is_read(source: Path) -> None:
    row = {"rank": 1, "id": "PMID:1", "score": 0.5, "title": "own", "abstract": "b", "authors": ["A; B"], "pmid": "1"}
    assert read(source, [row]) == [Abstract("PMID:1", "own", "b", authors=("A; B",), pmid="1")]
