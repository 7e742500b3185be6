"""Searches built from known records: by hand, and against building every one of them anew."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from engine import Index, open_index
from engine.corpus.boolean.strategy import read_search
from engine.corpus.storage.resolution import resolve_ids
from engine.errors import AbstractNotFoundError, UsageError
from engine.query.index import get_generation
from engine.query.seeds.suggestion import _WIDTHS, MAX_KNOWN, Suggestion, list_suggestion_fields
from tests.conftest import Lasting, examples

_CHANCE = random.Random(7)
_TOPICS = [[f"{beginning}{end}" for end in ("terin", "nosol", "gatte", "rimul")] for beginning in ("bor", "dul", "fik")]
_COMMON = [f"mav{end}" for end in ("oli", "ene", "udo", "ire", "asta", "opel")]


def _write_text(topic: int, n: int) -> str:
    """Words of a topic among words of all."""
    return " ".join(_CHANCE.sample(_TOPICS[topic], 2) + _CHANCE.choices(_COMMON, k=n))


ROWS = (
    {"id": "z1", "title": "Zorbing falls", "abstract": "Wristfold after zorbing.", "mesh": ["Zorbs"], "pmid": "9000001"},
    {"id": "z2", "title": "Wristfold in zorbers", "abstract": "They were zorbing.", "mesh": ["Zorbs"]},
    {"id": "z3", "title": "Zorbing", "abstract": "A wristfold.", "doi": "10.1/z3"},
    {"id": "z4", "title": "A quite different matter", "abstract": "Xylem of beeches."},
    {"id": "z5", "title": "Untold", "abstract": ""},
    {"id": "y1", "title": "Zorbing for fun", "abstract": "No injury."},
    {"id": "y2", "title": "Wristfold of climbers", "abstract": "On rocks."},
    *(
        {"id": f"r{n}", "title": _write_text(n % 3, 1), "abstract": _write_text(n % 3, 3),
         "mesh": [_CHANCE.choice(["Borders", "Dullness", "Fikes"])]}
        for n in range(24)
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def index(lasting: Lasting) -> Iterator[Index]:
    folder, add = lasting()
    add(*ROWS)
    with open_index(folder.path, follow=False) as opened:
        yield opened


def found_by(index: Index, text: str) -> set[int]:
    """The records that a search finds."""
    search = read_search(text)
    assert search is not None, text
    return set(get_generation(index).find_matches(search).doc_ids.tolist())


def test_by_hand(index: Index) -> None:
    found = index.suggest(["z1", "z2", "z3"])
    # Both words are in all three known records and in one other; the heading is in two of the known ones only.
    counts = {one.term.written: (one.n_known, one.n_records) for one in found.terms}
    assert counts['"zorbing"[tiab]'] == counts['"wristfold"[tiab]'] == (3, 4)
    assert counts['"Zorbs"[mh:noexp]'] == (2, 2)
    assert (found.n_records, found.absent, found.notes) == (len(index), (), ())
    # 71 records: a term costs 0.71 hits if narrow, 7.1 if broad, and up to double if it is not in the titles. Narrow:
    # the heading costs (0 + 0.71) / 2 for a known record, "zorbing", in two of three titles, (1 + 0.71 * 4 / 3) / 3.
    # Broad: (0 + 7.1) / 2, and (1 + 7.1 * 4 / 3) / 3, which is less.
    assert {one.width: one.lines["PubMed"] for one in found.searches} == {
        "narrow": '"Zorbs"[mh:noexp] OR zorbing[tiab]',
        "middle": '"Zorbs"[mh:noexp] OR zorbing[tiab]',
        "broad": "zorbing[tiab]",
    }
    for one in found.searches:  # without z3, all take the heading, which z3 lacks
        assert (one.n_found, one.n_found_unseen, one.n_records) == (3, 2, 4), one
    assert found.best is found.searches[0]
    assert [(one.id, one.found, one.found_unseen, one.reason) for one in found.known] == [
        ("z1", True, True, ""),
        ("z2", True, True, ""),
        ("z3", True, False, "has none of: Zorbs"),
    ]


def test_what_is_missed_is_told_with_the_reason(index: Index) -> None:
    found = index.suggest(["z1", "z2", "z3", "z4", "z5"])
    reasons = {one.id: (one.found, one.found_unseen, one.reason) for one in found.known}
    assert reasons["z1"] == (True, True, "")
    assert reasons["z4"] == (False, False, "no word or heading in common with the others")
    assert reasons["z5"] == (False, False, "no abstract in the index, so its words may be in the full text only")
    assert found.best.n_found == 3
    two = index.suggest(["z1", "z2", "y1", "y2"])
    lacking = {one.reason for one in two.known if not one.found_unseen}
    assert all(reason.startswith("has none of: ") for reason in lacking)


def test_ids_of_every_kind_are_read_and_counted_once(index: Index) -> None:
    found = index.suggest(["9000001", "z2", "PMID:9000001", "10.1/z3", "nope", "PMID:5"])
    assert [one.id for one in found.known] == ["z1", "z2", "z3"]
    assert found.absent == ("nope", "PMID:5")
    assert found.notes == ("1 known record given again under another id, counted once",)
    same = index.suggest(["z3", "z2", "z1"])
    assert same.terms == found.terms and same.searches == found.searches


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([], "expected a list of two or more"),
        ("z1", "expected a list of two or more"),
        (["z1"], "1 known record in the index, expected 2 to 200"),
        (["z1", "9000001"], "1 known record in the index"),
        (["z4", "z5"], "no word, phrase or MeSH heading in common"),
    ],
)
def test_too_few_are_refused(index: Index, known: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        index.suggest(known)


def test_unknown_ones_are_refused(index: Index) -> None:
    with pytest.raises(AbstractNotFoundError, match="none of 2 known records is in this index: nope, no"):
        index.suggest(["nope", "no"])


def test_too_many_are_refused(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.query.seeds.suggestion.MAX_KNOWN", 3)
    with pytest.raises(UsageError, match="4 known records in the index, expected 2 to 3"):
        index.suggest(["z1", "z2", "z3", "z4"])
    assert MAX_KNOWN >= 50


@examples(0.3)
@given(st.integers(0, 2), st.sets(st.integers(0, 7), min_size=2, max_size=5), st.sets(st.integers(0, 23), max_size=2))
def test_leaving_one_out_is_building_it_anew(index: Index, topic: int, numbers: set[int], others: set[int]) -> None:
    known = [f"r{n}" for n in sorted({3 * n + topic for n in numbers} | others)]
    found = suggest_or_none(index, known)
    event(f"{0 if found is None else found.best.n_found_unseen} of {len(known)}")
    if found is None:
        return
    doc_ids = dict(zip(known, resolve_ids(get_generation(index).corpus, known), strict=True))
    unseen = {width: set[str]() for width in _WIDTHS}
    for left_out in known:
        others = [one for one in known if one != left_out]
        anew = build_anew(index, others)
        for width, text in anew.items():
            if doc_ids[left_out] in found_by(index, text):
                unseen[width].add(left_out)
    for one in found.searches:
        hits = found_by(index, one.lines["PubMed"])
        assert one.n_records == len(hits)
        assert one.n_found == len(hits & set(doc_ids.values()))
        assert one.n_found_unseen == len(unseen[one.width])
    assert {one.id for one in found.known if one.found_unseen} == unseen[found.best.width]
    for record in found.known:
        assert (record.reason == "") == record.found_unseen


def suggest_or_none(index: Index, known: list[str]) -> Suggestion | None:
    """What is suggested, or None if the records have nothing in common."""
    try:
        return index.suggest(known)
    except UsageError as err:
        assert "in common that tells them" in str(err)
        return None


def build_anew(index: Index, known: list[str]) -> dict[str, str]:
    """The search of each width for some records, written for PubMed; none if they have nothing in common."""
    if len(known) == 1:
        return build_for_one(index, known[0])
    found = suggest_or_none(index, known)
    return {} if found is None else {one.width: one.lines["PubMed"] for one in found.searches}


def build_for_one(index: Index, known: str) -> dict[str, str]:
    """The same for one record, for which nothing is suggested."""
    from engine.query.seeds.seedterms import SeedTerms
    from engine.query.seeds.suggestion import _build_groups, _write_search

    snapshot = get_generation(index)
    seeds = SeedTerms(snapshot, (snapshot.corpus.find_doc_id(known),), None, len(index))
    terms = seeds.rank_terms(seeds.everyone)
    if not terms:
        return {}
    groups = {width: _build_groups(seeds, terms, seeds.everyone, chosen)[0] for width, chosen in _WIDTHS.items()}
    return {width: _write_search(found)[2]["PubMed"] for width, found in groups.items()}


@pytest.mark.parametrize("known", [["z1", "z2", "z3"], ["r1", "r2", "r3", "r4", "r5", "r6"], ["r0", "r3", "r6", "z1"]])
def test_each_language_finds_the_same(index: Index, known: list[str]) -> None:
    for one in index.suggest(known).searches:
        assert {language: len(found_by(index, text)) for language, text in one.lines.items()} == dict.fromkeys(
            ("PubMed", "Ovid", "Embase"), one.n_records
        )


def test_the_best_has_the_fewest_hits_of_those_that_find_nearly_all_unseen(index: Index) -> None:
    found = index.suggest([f"r{n}" for n in range(8)])
    most = max(one.n_found_unseen for one in found.searches)
    assert found.best.n_found_unseen >= min(most, 0.9 * max(one.n_found for one in found.searches))
    assert all(
        one.n_records >= found.best.n_records
        for one in found.searches
        if one.n_found_unseen >= found.best.n_found_unseen
    )


def test_the_fields_are_json(index: Index) -> None:
    import json

    found = index.suggest(["z1", "z2", "z3", "nope"])
    fields = json.loads(json.dumps(list_suggestion_fields(found)))
    assert fields["best"] == found.best.width and fields["absent"] == ["nope"]
    assert [one["width"] for one in fields["searches"]] == list(_WIDTHS)
    assert fields["searches"][0]["lines"] == found.searches[0].lines
    assert fields["terms"][0].keys() == {"term", "field", "known", "titles", "records", "weight"}
    assert fields["known"][0] == {
        "id": "z1",
        "title": "Zorbing falls",
        "found": True,
        "found_unseen": True,
        "reason": "",
    }
