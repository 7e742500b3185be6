"""Boolean searches through every interface, on a small index of their own."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import Filters, Index, Query, open_index
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import MODES
from engine.query.prisma import write_paragraph
from engine.query.searchlog import make_record
from engine.reindex.generation.order import Report
from tests.conftest import Lasting

Run = Callable[..., subprocess.CompletedProcess[str]]
ADDED = (
    {"id": "b1", "title": "Frobizole for Paget disease", "abstract": "Bone throe eased.", "mesh": ["Osteitis Deformans"],
     "year": 2031, "publication_types": ["Review"], "authors": ["Smith, Jo", "Kon, E"], "languages": ["eng"]},
    {"id": "b2", "title": "Paget bone disease", "abstract": "Frobizole and throe of the bone.", "year": 2032,
     "mesh": ["Osteitis Deformans"], "authors": ["Kon, E"], "journal": "Annals of the Rheumatic Diseases"},
    {"id": "b3", "title": "Osteitis", "abstract": "Nothing else.", "mesh": ["Osteitis Deformans"], "year": 2033},
    {"id": "b4", "title": "Pagets and frobizoles", "abstract": "Throe, then bone.", "year": 2034},
)  # fmt: skip


@pytest.fixture(scope="module")
def index(lasting: Lasting) -> Iterator[Index]:
    folder, add = lasting()
    add(*ADDED)
    with open_index(folder.path, follow=False) as opened:
        yield opened


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Frobizole AND Paget", "b1 b2"),
        ("frobizole* OR osteitis", "b1 b2 b3 b4"),
        ('"bone throe" OR osteitis[ti]', "b1 b3"),
        ("paget[ab] OR frobizole[ab]", "b2"),
        ('"Osteitis Deformans"[mh] NOT review[pt]', "b2 b3"),
        ("osteitis deformans/ not review.pt.", "b2 b3"),
        ("'osteitis deformans'/exp AND [2032-2033]/py", "b2 b3"),
        ("(throe adj2 bone).ti,ab.", "b1 b4"),
        ("(throe adj4 bone).ti,ab. and Osteitis Deformans/", "b1 b2"),
        ("(bone NEXT/2 throe):ti,ab", "b1"),
        ('"bone throe"[tiab:~1]', "b1 b4"),
        ("smith[1au] OR kon e[1au]", "b1 b2"),
        ('"Ann Rheum Dis"[ta]', "b2"),
        ("2033:3000[dp]", "b3 b4"),
        ("1. Osteitis Deformans/\n2. throe.ab.\n3. 1 and 2\n4. 3 not review.pt.", "b2"),
    ],
)
def test_a_search_decides_what_is_found_in_every_mode(index: Index, mode: str, text: str, wanted: str) -> None:
    answer = index.ask(Query(text, mode=mode, top_k=50))  # type: ignore[arg-type]
    assert sorted(hit.id for hit in answer.hits) == wanted.split()
    assert answer.n_qualified == len(wanted.split())
    again = [
        hit.id for n in range(len(answer.hits)) for hit in index.ask(Query(text, mode=mode, top_k=1, offset=n)).hits
    ]  # type: ignore[arg-type]
    assert again == [hit.id for hit in answer.hits]


def test_the_wanted_words_rank_and_no_operator_does(index: Index) -> None:
    best = index.ask(Query("(frobizole OR osteitis) AND throe", mode="keyword", top_k=9))
    assert [hit.bm25 and hit.bm25 > 0 for hit in best.hits] == [True, True]
    by_heading = index.ask(Query('"Osteitis Deformans"[mh]', mode="keyword", top_k=9)).hits
    assert by_heading[0].id == "b3" and [hit.bm25 for hit in by_heading[1:]] == [0.0, 0.0]
    by_meaning = index.ask(Query("gout[tiab] AND colchicine[tiab]", mode="semantic", top_k=1)).hits[0]
    words = index.encode(["gout colchicine"])[0]
    text = index.encode([f"{by_meaning.title}. {by_meaning.abstract}"])[0]
    assert by_meaning.score == pytest.approx(float(words @ text), abs=1e-3)


@pytest.mark.parametrize("text", ["FROBIZOLE AND PAGET IN MEN", "frobizole NOT throe", "(BONE OR THROE"])
def test_nearest_compares_a_text_as_it_is_and_never_reads_a_search(index: Index, text: str) -> None:
    hits = index.nearest(text, 50)
    assert len(hits) == len(index) == 44
    vector = index.encode([text])[0]
    record = index.encode([f"{hits[0].title}. {hits[0].abstract}"])[0]
    assert hits[0].score == pytest.approx(float(vector @ record), abs=1e-3)


def test_a_search_without_wanted_words_is_ranked_by_its_examples_in_a_batch_too(index: Index) -> None:
    queries = [Query("NOT throe", like=("b3",), mode=mode, top_k=5) for mode in ("semantic", "hybrid")]  # type: ignore[arg-type]
    queries.append(Query("frobizole", mode="semantic", top_k=5))
    together = index.ask_batch(queries)
    alone = [index.ask(query) for query in queries]
    assert [answer.hits for answer in together] == [answer.hits for answer in alone]
    assert together[0].hits and together[0].verdict is None and together[2].verdict is not None


def test_words_are_marked(index: Index) -> None:
    hit = index.ask(Query("(frobizol* AND Paget[ti]) NOT osteitis", mode="hybrid", top_k=1, explain=True)).hits[0]
    assert hit.why is not None
    marked = {hit.title[start:end] for start, end in hit.why.title_spans}
    assert marked == ({"Frobizole", "Paget"} if hit.id == "b1" else {"Paget"})


def test_filters_and_a_search_hold_together(index: Index) -> None:
    found = index.ask(Query("frobizole* OR osteitis", filters=Filters(years=["2033-"]), top_k=9))
    assert sorted(hit.id for hit in found.hits) == ["b3", "b4"]
    both = index.ask_batch([Query("Paget NOT review[pt]"), Query("Paget AND osteitis[mh]"), Query("gout")])
    assert [sorted(hit.id for hit in one.hits) for one in both[:2]] == [["b2"], []]
    assert len(both[2].hits) == 10


def test_notes_tell_what_could_not_be_looked_up(index: Index) -> None:
    answer = index.ask(Query("frobizole[tiab] AND systematic[sb] NOT zebra[ti]"))
    assert [note for note in answer.notes if "subsets" in note and "systematic[sb]" in note]
    assert "no record has zebra[ti]" in answer.notes
    assert index.ask(Query('"Osteitis Deformans"[mh]')).notes[0].startswith("headings below Osteitis Deformans are not")
    numbered = index.ask(Query("1. paget.ti.\n2. throe.ab.\n3. 1 and 2")).notes
    assert [note.partition(": ")[2] for note in numbered[:3]] == [
        "2 records: paget.ti.",
        "3 records: throe.ab.",
        "2 records: 1 and 2",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NOT gout", "only says what to leave out"),
        ("systematic[sb]", "nothing in the search can be looked up here.*systematic"),
        ("gout AND (throe", r"the parenthesis \( at character 10"),
        ("(hip AND knee) NEAR/3 throe", "words near each other hold AND at character"),
        ("(hip.ti. adj3 throe.ab.)", "in different fields"),
    ],
)
def test_what_cannot_be_answered_is_refused(index: Index, text: str, message: str) -> None:
    for mode in MODES:
        with pytest.raises(UsageError, match=message):
            index.ask(Query(text, mode=mode))


def test_ten_thousand_terms_and_a_thousand_parentheses(index: Index) -> None:
    many = " OR ".join(f"w{n}" for n in range(9_000)) + " OR frobizole"
    assert index.ask(Query(many, mode="keyword")).n_qualified == 2
    deep = "osteitis OR (bone AND (" * 500 + "frobizole" + "))" * 500  # osteitis OR (bone AND frobizole)
    assert index.ask(Query(deep, mode="keyword")).n_qualified == 3
    assert index.ask(Query("NOT " * 2_000 + "frobizole AND paget", mode="keyword")).n_qualified == 2
    lines = "\n".join([*(f"{n}. paget{n}.ti." for n in range(1, 200)), "200. or/1-199", "201. 200 or paget.ti."])
    assert index.ask(Query(lines, mode="hybrid")).n_qualified == 2


def test_the_record_of_a_search_says_how_it_was_read(index: Index) -> None:
    record = make_record(index, index.ask(Query("paget[ti] NOT review[pt]")))
    assert "read as a Boolean search (PubMed)" in write_paragraph(record)


def test_the_command_line_reads_a_strategy(
    toy: IndexFolder, add: Callable[..., Report], engine: Run, tmp_path: Path
) -> None:
    add(*ADDED)
    (tmp_path / "search.txt").write_text("1. paget.ti.\n2. review.pt.\n3. 1 not 2\n", encoding="utf-8")
    done = engine("search", "--strategy", "search.txt", "--mode", "hybrid")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["b2"]
    assert done.stderr.splitlines()[:3] == [
        "line 1: 2 records: paget.ti.",
        "line 2: 1 record: review.pt.",
        "line 3: 1 record: 1 not 2",
    ]
    assert "cannot be combined with QUERY" in engine("search", "x", "--strategy", "search.txt").stderr
    (tmp_path / "blank.txt").write_text(" \n", encoding="utf-8")
    assert "is blank" in engine("search", "--strategy", "blank.txt").stderr
    assert "nope.txt" in engine("search", "--strategy", "nope.txt").stderr


def test_translate(engine: Run, tmp_path: Path) -> None:
    done = engine("translate", '("hip pain"[tiab:~2] OR gout*[ti]) NOT review[pt]')
    assert done.stdout.splitlines() == [
        "Read as PubMed, AND, OR and NOT from left to right:",
        "AND",
        "  OR",
        "    NEAR, in any order, at most 2 other words between",
        "      hip  in title, abstract",
        "      pain  in title, abstract",
        "    gout*  in title",
        "  NOT",
        "    review  in publication type",
        "",
        "PubMed:",
        '("hip pain"[tiab:~2] OR gout*[ti]) NOT "review"[pt]',
        "",
        "Ovid:",
        "((hip adj3 pain).ti,ab. or gout*.ti.) not review.pt.",
        "",
        "Embase:",
        "((hip NEAR/3 pain):ti,ab OR gout*:ti) NOT 'review':it",
    ]
    found = json.loads(engine("translate", "--json", "gout AND colchicine").stdout)
    assert found["dialect"] == "plain" and found["translations"]["Ovid"]["lines"] == [
        "gout.ti,ab. and colchicine.ti,ab."
    ]
    assert [node["kind"] for node in found["lines"][0]["nodes"]] == ["term", "term", "AND"]
    plain = engine("translate", "gout or colchicine")
    assert plain.returncode == 2 and "is a plain question" in plain.stderr
