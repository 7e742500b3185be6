import re
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.options import Filters, Query
from engine.query.prisma import _DAYS, describe_sources, list_appendix, write_paragraph
from engine.query.question.filterwords import describe_filters
from engine.query.searchlog import Record, RecordedSource

RECORD = Record(
    format_version=1,
    engine_version="0.1.0",
    created="2026-11-25T10:11:12+00:00",
    index="rheumatology",
    generation=7,
    generation_created="2026-11-20T01:02:03+00:00",
    n_abstracts=52_310,
    encoder="all-MiniLM-L6-v2",
    fingerprint="ab" * 32,
    newest_source="pubmed26n1453.xml.gz",
    query=Query("fatigue in lupus", mode="semantic", filters=Filters(years=((2015, None),)), top_k=50),
    since=None,
    mesh_tree="",
    n_qualified=1234,
    ids=tuple(f"PMID:{n}" for n in range(50)),
    scores=(0.5,) * 50,
    result_sha256="cd" * 32,
    sources=(
        RecordedSource("PubMed", "database", 52_000, "2026-11-20", "2026-11-20"),
        RecordedSource("ClinicalTrials.gov", "register", 410, "2026-11-01", "2026-11-20"),
        RecordedSource("odd.ris", "file", 2, "", ""),
    ),
    removed={"duplicates": 101, "rejected": 1, "withdrawn": 0},
)
VALUE = st.text(st.characters(categories=["L", "N"]), min_size=5, max_size=9)
VALUES = st.lists(VALUE, min_size=1, max_size=4, unique=True).map(tuple)
YEARS = st.tuples(st.integers(1900, 2000), st.integers(2000, 2030))
SET: dict[str, st.SearchStrategy[object]] = {
    "years": st.lists(YEARS, min_size=1, max_size=3).map(tuple),
    "retracted": st.booleans(),
    "has_abstract": st.booleans(),
    "has_fulltext": st.booleans(),
    "where": VALUE,
} | dict.fromkeys(("journals", "mesh", "mesh_trees", "types", "keywords", "authors", "languages", "sources", "databases", "labels", "notes", "ids", "hide"), VALUES)  # fmt: skip


def of(**given: object) -> str:
    return write_paragraph(replace(RECORD, query=replace(RECORD.query, **given)))  # type: ignore[arg-type]


def test_by_hand() -> None:
    assert write_paragraph(RECORD) == (
        "Records came from 3 sources: PubMed (52,000 records, read on 20 November 2026), the register "
        "ClinicalTrials.gov (410 records, read from 1 November 2026 to 20 November 2026) and the file odd.ris (2 "
        "records). Of these 52,412 records, 101 duplicates and 1 record that could not be read were removed, which left 52,310. These "
        "52,310 records were searched on 25 November 2026 with abstract-engine 0.1.0, using embeddings of the model "
        "all-MiniLM-L6-v2. The query was, verbatim: “fatigue in lupus”. Records were ranked by the cosine similarity of "
        "their embeddings to that of the query (semantic mode). The search was limited to publication years 2015 to "
        "present. At most the first 50 hits were taken. 1,234 records qualified and the result holds 50 hits."
    )
    assert list_appendix(RECORD)[:6] == [
        ("Index", "rheumatology, generation 000007 of 2026-11-20 01:02:03 UTC"),
        ("Newest source file", "pubmed26n1453.xml.gz"),
        ("Searched", "2026-11-25 10:11:12 UTC"),
        ("Encoder", f"all-MiniLM-L6-v2, fingerprint {'ab' * 32}"),
        ("SHA-256 of ranks, ids and scores", "cd" * 32),
        ("Days of the sources", _DAYS),
    ]


def test_a_record_without_sources_names_the_index() -> None:
    old = replace(RECORD, sources=(), removed={})
    start = (
        "The 52,310 records of the index rheumatology, whose newest source file was pubmed26n1453.xml.gz, were searched"
    )
    assert write_paragraph(old).startswith(start)
    assert "newest source" not in write_paragraph(replace(old, newest_source=""))
    assert len(list_appendix(replace(old, newest_source=""))) == 4


@pytest.mark.parametrize(
    ("sources", "removed", "says"),
    [
        ([3], {}, "Records came from 1 source: the file f0 (3 records). There were no duplicates in these 3 records."),
        ([1], {"duplicates": 0}, "the file f0 (1 record). There were no duplicates in this record."),
        ([2], {"withdrawn": 1}, "Of these 2 records, 1 record that PubMed had withdrawn was removed, which left 1."),
        ([1] * 102, {}, "the file f99 (1 record) and 2 others, which `engine flow` lists."),
    ],
)
def test_sources_and_what_was_removed(sources: list[int], removed: dict[str, int], says: str) -> None:
    listed = [RecordedSource(f"f{n}", "file", n_found, "", "") for n, n_found in enumerate(sources)]
    assert says in " ".join(describe_sources(listed, removed))


@pytest.mark.parametrize("kind", ["reranked", "filtered"])
def test_no_hash_is_in_the_text_and_every_one_in_the_appendix(kind: str) -> None:
    query = replace(RECORD.query, rerank="m", rerank_depth=50, rerank_precision="fp32")
    record = replace(RECORD, mesh_tree=f"mtrees2026.bin, SHA-256 {'12' * 32}")
    if kind == "reranked":
        record = replace(record, query=query, reranker="m", reranker_fingerprint="ef" * 32, rerank_scores=(0.5,) * 50)
    assert re.findall(r"[0-9a-f]{12}", write_paragraph(record)) == []
    values = "\n".join(value for _, value in list_appendix(record))
    hashes = [record.fingerprint, record.result_sha256, "12" * 32] + ["ef" * 32] * (kind == "reranked")
    assert sorted(re.findall(r"[0-9a-f]{64}", values)) == sorted(hashes)


def test_every_filter_has_a_strategy() -> None:
    assert set(SET) == {field.name for field in fields(Filters)}


@pytest.mark.parametrize("name", sorted(SET))
@given(data=st.data())
def test_every_filter_that_is_set_is_told_with_its_values(name: str, data: st.DataObject) -> None:
    value = data.draw(SET[name])
    (words,) = describe_filters(Filters(**{name: value}))
    text = of(filters=Filters(**{name: value}))
    assert f"The search was limited to {words}." in text
    values = [str(year) for pair in value for year in pair] if name == "years" else value
    if not isinstance(value, bool):
        assert all(str(one) in words for one in ([values] if isinstance(values, str) else values))


@given(st.fixed_dictionaries({}, optional=SET))
def test_filters_are_told_together_and_none_that_is_not_set(given: dict[str, object]) -> None:
    words = list(describe_filters(Filters(**given)))  # type: ignore[arg-type]
    assert len(set(words)) == len(words) == len(given)
    text = of(filters=Filters(**given))  # type: ignore[arg-type]
    assert ("No limits were applied." in text) == (not given)
    assert all(one in text for one in words)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("years", "words"),
    [
        (((2015, None),), "2015 to present"),
        (((None, 1990),), "up to 1990"),
        (((1998, 2003),), "1998 to 2003"),
        (((2001, 2001), (2005, None)), "2001 or 2005 to present"),
    ],
)
def test_years(years: tuple[tuple[int | None, int | None], ...], words: str) -> None:
    assert list(describe_filters(Filters(years=years))) == [f"publication years {words}"]


def test_opposites_are_told_apart() -> None:
    assert "limited to records that are not retracted." in of(filters=Filters(retracted=False))
    assert "limited to retracted records." in of(filters=Filters(retracted=True))
    assert "limited to records without an abstract." in of(filters=Filters(has_abstract=False))
    assert "limited to records with an abstract." in of(filters=Filters(has_abstract=True))
    assert "limited to records of a list (no record)." in of(filters=Filters(ids=()))


def test_a_long_list_is_counted() -> None:
    text = of(filters=Filters(hide=tuple(f"PMID:{n}" for n in range(1000, 3000))))
    assert "not in a list (2,000 records: PMID:1000 to PMID:2999, all of them in the search record)" in text


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mode": "keyword"}, "by the BM25 score of the query's words in them (keyword mode)"),
        ({"mode": "hybrid", "weight": 0.3, "fusion": "convex"}, "(convex combination, weight 0.3 for the cosine) (hybrid mode)"),
        ({"mode": "hybrid", "weight": 0.3, "fusion": "rrf"}, "(reciprocal rank fusion) (hybrid mode)"),
        ({"like": ("PMID:1", "PMID:2")}, "Given as examples that hits should be like: PMID:1, PMID:2."),
        ({"unlike": ("PMID:3",)}, "Given as examples that hits should not be like: PMID:3."),
        ({"min_score": 0.25}, "and to records with a cosine of 0.25 or more."),
        ({"diversify": 0.2}, "(maximal marginal relevance, 0.2)"),
        ({"offset": 20}, "At most the first 50 hits after leaving out 20 were taken."),
        ({"text": 'an "odd" one; it\'s <b>\u00e9</b>'}, '“an "odd" one; it\'s <b>\u00e9</b>”'),
    ],
)  # fmt: skip
def test_every_choice_is_told(given: dict[str, object], says: str) -> None:
    assert says in of(**given)


RULE = {"fused": 1000, "weight": 0.6, "short": 3, "short_weight": 0.4, "text": 1.0, "like": 0.75, "unlike": 0.15, "fed_back": 10}  # fmt: skip


def told(n_qualified: int = 1234, rule: dict[str, float] = RULE, **given: object) -> str:
    query = replace(RECORD.query, **given)  # type: ignore[arg-type]
    return write_paragraph(replace(RECORD, query=query, rule=rule, n_qualified=n_qualified))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mode": "hybrid", "fusion": "convex"}, "(convex combination, weight 0.6 for the cosine, 0.4 for up to 3 words, more where words found little; of each the first 1,000, all others follow by cosine) (hybrid mode)"),
        ({"mode": "hybrid", "fusion": "rrf"}, "(reciprocal rank fusion; of each the first 1,000, all others follow by cosine)"),
        ({"mode": "hybrid", "text": "\U0001f600"}, "Records were ranked by the cosine similarity of their embeddings to that of the query (hybrid mode)."),
        ({"mode": "hybrid", "text": "NOT gout", "like": ("a",)}, "to a combination of those of the query and the examples (Rocchio weights: text 1, like 0.75) (hybrid mode)."),
        ({"mode": "keyword", "text": "gout AND diet"}, "in them; below, those without any of its words by the cosine similarity of their embeddings to that of the query (keyword mode)."),
        ({"text": "", "like": ("a",)}, "to that of the example (semantic mode)."),
        ({"text": "", "like": ("a", "b")}, "to the mean of those of the examples (semantic mode)."),
        ({"feedback": True}, "moved towards those of the 10 records nearest to it (Rocchio feedback)."),
        ({"feedback": True, "n_qualified": 4}, "moved towards those of the 4 records nearest to it (Rocchio feedback)."),
        ({"feedback": True, "n_qualified": 1}, "moved towards that of the record nearest to it (Rocchio feedback)."),
        ({"sort": "year"}, "The 100 most relevant records were sorted by year, newest first; all others follow by relevance."),
        ({"sort": "year", "n_qualified": 100}, "(semantic mode). Hits were sorted by year, newest first."),
        ({"sort": "year", "mode": "keyword"}, "(keyword mode). Hits were sorted by year, newest first."),
        ({"sort": "year", "text": "gout AND diet"}, "Hits were sorted by year, newest first."),
        ({"min_score": 0.5}, "1,234 records qualified, whatever their cosine, and the result holds"),
    ],
)  # fmt: skip
def test_what_is_told_is_true_of_every_kind_of_search(given: dict[str, object], says: str) -> None:
    assert says in told(**given)  # type: ignore[arg-type]


def test_nothing_is_told_of_a_feedback_without_records() -> None:
    assert "Rocchio" not in told(0, feedback=True)


def test_a_second_stage_is_told_only_where_it_had_something_to_do() -> None:
    query = replace(RECORD.query, rerank="m", rerank_depth=50, rerank_precision="fp32")
    record = replace(
        RECORD, query=query, reranker="m", reranker_fingerprint="ef" * 32, rerank_scores=(0.5, *(None,) * 49)
    )
    says = "The first hits, at most 50, were then ordered anew"
    assert says in write_paragraph(record)
    none = replace(record, rerank_scores=(None,) * 50)  # as NOT gout with examples, which gives no text to compare
    assert says not in write_paragraph(none)
    assert says in write_paragraph(replace(none, query=replace(query, offset=50)))  # the page below


def test_no_query_is_told_where_there_are_only_examples() -> None:
    assert "verbatim" not in of(text="", like=("PMID:1",))


def test_what_else_is_recorded_is_told() -> None:
    text = write_paragraph(replace(RECORD, since=3, mesh_tree="mtrees2026.bin, SHA-256 12", n_qualified=1, ids=("a",)))
    assert "and to records that were new or changed since generation 000003." in text
    assert "The file of the MeSH tree was mtrees2026.bin." in text
    assert "1 record qualified and the result holds 1 hit." in text
