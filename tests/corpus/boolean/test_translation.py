"""Searches written in other languages find the same records, where nothing is noted."""

import json
import random
import re
from pathlib import Path

import pytest

from engine.corpus.boolean.evaluation import find_matches
from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.tags import Dialect
from engine.corpus.boolean.translation import TARGETS, draw_search, list_search_fields, translate_search
from engine.corpus.boolean.tree import Search
from tests.corpus.boolean.oracle import Maker, build, random_records


def read(text: str) -> Search:
    search = read_search(text)
    assert search is not None, text
    return search


def write(text: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    found = translate_search(read(text), dialect)
    return "\n".join(found.lines), found.notes


def test_a_translation_finds_the_same_records(tmp_path: Path) -> None:
    compared = dict.fromkeys(TARGETS, 0)
    with build(tmp_path, random_records(5, 40)) as (corpus, words, _):
        for seed in range(90):
            asked = Maker(random.Random(seed), ("pubmed", "ovid", "embase")[seed % 3]).make(2).written
            search = read_search(asked)
            for target in TARGETS if search else ():
                written, notes = write(asked, target)
                if any("Emtree" not in note for note in notes) or "lastau" in asked:
                    continue
                found = find_matches(corpus, words, read(written)).doc_ids
                assert found.tolist() == find_matches(corpus, words, search).doc_ids.tolist(), (asked, written)
                compared[target] += 1
    assert min(compared.values()) > 20


@pytest.mark.parametrize(
    ("text", "pubmed", "ovid", "embase"),
    [
        ("gout OR (beer AND wine NOT ale)",
         "gout[tiab] OR ((beer[tiab] AND wine[tiab]) NOT ale[tiab])",
         "gout.ti,ab. or ((beer.ti,ab. and wine.ti,ab.) not ale.ti,ab.)",
         "gout:ti,ab OR ((beer:ti,ab AND wine:ti,ab) NOT ale:ti,ab)"),
        ("exp Arthritis, Rheumatoid/ or rheumatoid arthriti$.mp.",
         '"Arthritis, Rheumatoid"[mh] OR "rheumatoid arthriti*"[tw]',
         'exp Arthritis, Rheumatoid/ or "rheumatoid arthriti*".mp.',
         "'Arthritis, Rheumatoid'/exp OR 'rheumatoid arthriti*':ti,ab,kw,de"),
        ("(tnf NEAR/3 (block OR 'inhibition of')):ti",
         '("tnf block"[ti:~2] OR "tnf inhibition of"[ti:~2])',
         '(tnf adj3 (block or "inhibition of")).ti.',
         "(tnf NEAR/3 (block OR 'inhibition of')):ti"),
        ("gout[tiab] AND 2015[dp] AND english[la] AND smith j[au]",
         "gout[tiab] AND 2015[dp] AND english[la] AND smith j[au]",
         "gout.ti,ab. and 2015.yr. and english.lg. and smith j.au.",
         "gout:ti,ab AND [2015-2015]/py AND [english]/lim AND 'smith j':au"),
    ],
)  # fmt: skip
def test_searches_by_hand(text: str, pubmed: str, ovid: str, embase: str) -> None:
    assert [write(text, target)[0] for target in TARGETS] == [pubmed, ovid, embase]


@pytest.mark.parametrize(
    ("text", "dialect", "note"),
    [
        ("colo?r.ti.", Dialect.PUBMED, "only the wildcard \\*"),
        ("(tnf adj3 block*).ti.", Dialect.PUBMED, "AND stands for it"),
        ("(tnf NEXT/3 block):ti", Dialect.PUBMED, "in any order"),
        ("(tnf NEXT/3 block):ti", Dialect.OVID, "adj finds words in any order"),
        ('"hip knee pain"[tiab:~2]', Dialect.OVID, "chain"),
        ("gout.hw.", Dialect.PUBMED, "no field tag for words of MeSH headings"),
        ("smith[1au] AND gout", Dialect.EMBASE, "any author stands here"),
        ("gout[mh]", Dialect.EMBASE, "Emtree"),
        ("2010:2020[dp]", Dialect.OVID, "limit"),
        ("systematic[sb] AND gout", Dialect.OVID, "written as it was"),
    ],
)
def test_what_a_language_cannot_say_is_noted(text: str, dialect: Dialect, note: str) -> None:
    notes = write(text, dialect)[1]
    assert len(notes) == 1 and re.search(note, notes[0])


def test_deep_and_long_searches_are_written_too() -> None:
    deep = read("a OR (b AND (" * 700 + "c" + "))" * 700)
    assert all(translate_search(deep, target).lines[0].count("(") == 1399 for target in TARGETS)
    assert draw_search(deep).count("\n") == 2800
    assert len(json.loads(json.dumps(list_search_fields(deep)))[0]["nodes"]) == 2801
