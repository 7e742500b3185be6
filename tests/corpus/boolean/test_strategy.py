"""Which texts are Boolean searches, and how they are read."""

import doctest
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.boolean import limits, lookalikes, prose, strategy, tags, tree, values
from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.tags import Dialect, SearchField
from engine.corpus.boolean.translation import TARGETS, draw_search, translate_search
from engine.corpus.boolean.tree import Expression, Kind, Search
from engine.errors import UsageError
from tests.conftest import examples

SHORT = {
    (SearchField.TITLE, SearchField.ABSTRACT): "",
    (SearchField.TITLE, SearchField.ABSTRACT, SearchField.HEADING_WORDS, SearchField.KEYWORDS): ":tw",
    (SearchField.TITLE, SearchField.ABSTRACT, SearchField.KEYWORDS): ":tk",
}


def draw(expression: Expression) -> str:
    """Return an expression in a short form: and(gout, not(beer:ti))."""
    texts: list[str] = []
    for node in expression.nodes:
        below = ", ".join(texts[part] for part in node.parts)
        if node.term is not None:
            fields = node.term.fields
            texts.append(f"{node.term.text}{SHORT.get(fields, ':' + '+'.join(field.name.lower() for field in fields))}")
        elif node.kind is Kind.LINE:
            texts.append(f"#{node.line}")
        else:
            near = f"{node.distance}{'>' if node.ordered else ''}" if node.kind is Kind.NEAR else ""
            texts.append(f"{node.kind.lower()}{near}({below})")
    return texts[-1]


def read(text: str) -> Search:
    search = read_search(text)
    assert search is not None, text
    return search


def test_examples_in_docstrings() -> None:
    for module in (limits, lookalikes, prose, strategy, tags, tree, values):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "gout or arthritis in men and women, not children",
        'does "gouty arthritis" improve +colchicin* -children title:beer',
        "benzo[a]pyrene and dibenz[a,h]anthracene",
        "[Treatment of gout with colchicine]. [Article in French]",
        "3.5 mg/kg and/or he/she, i.e. every day; e.g. at 10:30 (see [1])",
        "U.S. patients with vs. without gout",
        "http://www.example.org/exp.html",
        "see http://example.org/",
        "what says www.example.org/gout/ and https://example.org/a:ti,ab about it",
        "Double reading of barium enemas: is it necessary?",
        "Children in care: do they differ? Adults: all or none",
        "Amblyopia:is visual loss permanent?",
        "AND-gate ORAI1 NOTCH1 TOR",
        "anti-CD20 (rituximab) near the knee next to exp",
        "ratio of 3:1, a/b, c*",
        "1 or 2",
        "KNEE PAIN NEAR THE HIP",
        "stage N3 disease",
        "padj and adj p value",
        "NEAR the knee",
        "gout w/2 flares",
        "TI gout",
        "results of the NEXT trial",
        "HR adj 1.5 in gout",
        "diagnosis and/or risk (OR 2.5, 95% CI 1.2-3.1)",
        "the odds ratio (OR) in gout; OR = 1.3",
        "raised risk (OR 2.5 (1.2-3.1)), in men OR 1.9 [1.1-2.2]; OR>1.5, OR < 1",
        "MATERIALS AND METHODS: We compared the diet of 120 men with gout with that of 240 men of the same age without it.",
        "Diet was worse in men with gout [ED] than in those who had none, as in the study of Hall, but that of women was not OR we missed it in these clinics. We had no other data on their diet, and none of the registers of the country was of help to us in this. So we asked the men again.",
        "gout?\nand why?",
        "",
        "(((",
    ],
)
def test_plain_questions_stay_plain(text: str) -> None:
    assert read_search(text) is None


@pytest.mark.parametrize(
    ("text", "dialect", "tree"),
    [
        ("gout AND colchicine", "plain", "and(gout, colchicine)"),
        ("gout AND beer OR wine", "plain", "or(and(gout, beer), wine)"),
        ("gout OR beer AND wine", "plain", "and(or(gout, beer), wine)"),
        ("gout OR (beer AND wine)", "plain", "or(gout, and(beer, wine))"),
        ("gout AND NOT beer", "plain", "and(gout, not(beer))"),
        ("gout NOT beer NOT wine", "plain", "and(gout, not(beer), not(wine))"),
        ("gouty arthritis OR beer", "plain", "or(and(gouty, arthritis), beer)"),
        ("gout AND -child +beer title:wine -title:\"red wine\"", "plain", "and(gout, not(child), beer, wine:title, not(red wine:title))"),
        ("“uric acid” AND （gout OR tophus*）", "plain", "and(uric acid, or(gout, tophus*))"),
        ("gout[tiab]", "PubMed", "gout"),
        ("gout [ TI ] or beer[title/abstract]", "PubMed", "or(gout:title, beer)"),
        ("uric acid[tw] AND gouty arthritis", "PubMed", "and(uric acid:tw, gouty, arthritis)"),
        ("(gout OR beer)[ti]", "PubMed", "or(gout:title, beer:title)"),
        ('"Gout/drug therapy"[Mesh] AND gout[majr:noexp]', "PubMed", "and(Gout:exploded, gout:heading)"),
        ("2010/01/01:2020[dp] AND 5[uid]", "PubMed", "and(2010/01/01:2020:year, 5:pmid)"),
        ('"2010"[dp] : "3000"[dp] AND gout', "PubMed", "and(2010:3000:year, gout)"),
        ('"hip pain"[tiab:~3] OR "hip knee pain"[ti:~0]', "PubMed", "or(near4(hip, pain), near1(hip:title, knee:title, pain:title))"),
        ("gout[sh] AND hasabstract", "PubMed", "and(gout:unknown, hasabstract:has_abstract)"),
        ("exp Arthritis, Rheumatoid/ and tnf$.ti,ab. not Review.pt.", "Ovid", "and(Arthritis, Rheumatoid:exploded, tnf$, not(Review:type))"),
        ("gout.tw. or beer.ti. and wine.ab.", "Ovid", "or(gout, and(beer:title, wine:abstract))"),
        ("(rheumatoid adj3 (arthrit* or disease?)).mp. [mp=title, abstract]", "Ovid", "near3(rheumatoid:tw, or(arthrit*:tw, disease?:tw))"),
        ("rheumatoid arthritis.tw,kf.", "Ovid", "rheumatoid arthritis:tk"),
        ("Wounds and Injuries/ or exp *Gout/dt, th [Drug Therapy]", "Ovid", "or(Wounds and Injuries:heading, Gout:exploded)"),
        ("gout and Beer/", "Ovid", "and(gout, Beer:heading)"),
        ("gout.ti. and Beer/", "Ovid", "and(gout:title, Beer:heading)"),
        ("'uric acid'/exp/mj OR 'uric acid':ti,ab AND gout:kw", "Embase", "or(uric acid:exploded, and(uric acid, gout:keywords))"),
        ("(tnf NEXT/2 (inhibit* OR 'blocking agent')):ti,ab,kw", "Embase", "near2>(tnf:tk, or(inhibit*:tk, blocking agent:tk))"),
        ("gout/de NOT ([animals]/lim NOT [humans]/lim) AND [2010-2020]/py", "Embase", "and(gout:heading, not(and(Animals:heading, not(Humans:heading))), 2010-2020:year)"),
        ("gout AND 'uric acid' NOT patients' view", "plain", "and(gout, uric acid, not(and(patients', view)))"),
        ("gout NEAR diet AND (hip ADJ pain) OR knee NEAR3 pain", "plain", "or(and(near6(gout, diet), near1>(hip, pain)), near3(knee, pain))"),
        ("gout N2 diet AND gout W2 diet OR gout w/2 diet OR gout PRE/2 diet", "plain", "or(and(near3(gout, diet), near3>(gout, diet)), near3(gout, diet), near3>(gout, diet))"),
        ("GOUT AND DIET", "plain", "and(GOUT, DIET)"),
        ("PAIN IN THE HIP AND KNEE", "plain", "and(PAIN, IN, THE, HIP, KNEE)"),
        ("children <18 OR >65 years", "plain", "or(and(children, <18), and(>65, years))"),
        ("gout OR 1,3-butadiene", "plain", "or(gout, 1,3-butadiene)"),
        ("3.0 T OR 1.5 T", "plain", "or(and(3.0, T), and(1.5, T))"),
        ("PAIN OF THE HIP\nAND SORENESS OF THE KNEE IN A MAN OF AN AGE OF 50", "plain", "and(PAIN, OF, THE, HIP, SORENESS, OF, THE, KNEE, IN, A, MAN, OF, AN, AGE, OF, 50)"),
        ("the treatment of gout in men with a disease of the heart AND the risk of a fall in the first year after the start of it", "plain", "and(the, treatment, of, gout, in, men, with, a, disease, of, the, heart, the, risk, of, a, fall, in, the, first, year, after, the, start, of, it)"),
        ('(PAIN OF THE HIP OR COXALGIA) AND KNEE', "plain", "and(or(and(PAIN, OF, THE, HIP), COXALGIA), KNEE)"),
        ("PAIN OF THE HIP[ti] AND KNEE", "PubMed", "and(PAIN OF THE HIP:title, KNEE)"),
        ("cancer of the lung AND smoking in the home", "plain", "and(cancer, of, the, lung, smoking, in, the, home)"),
        ("hip adj pain*", "Ovid", "near1>(hip, pain*)"),
        ("hip NEAR pain", "plain", "near6(hip, pain)"),
        ("hip NEXT pain", "plain", "near1>(hip, pain)"),
        ("hip W/3 pain", "plain", "near4(hip, pain)"),
        ("(hip pre/2 pain)", "plain", "near3>(hip, pain)"),
        ("TS=(gout)", "plain", "gout:tw"),
        ("TITLE-ABS-KEY(hip)", "plain", "hip:tw"),
        ('(MH "Gout+")', "plain", "Gout:exploded"),
        ("AB (hip N2 pain)", "plain", "near3(hip:abstract, pain:abstract)"),
        ("N3 AND ADJ OR NEAR", "plain", "or(and(N3, ADJ), NEAR)"),
        ("gout\u200b[tiab] \u200bAND\u200b diet\u200b[tiab]", "PubMed", "and(gout, diet)"),
        ("ｇｏｕｔ ＡＮＤ diet［ｔｉ］", "PubMed", "and(gout, diet:title)"),
        ("gout AND 2010[dp]:2020[dp]", "PubMed", "and(gout, 2010:2020:year)"),
        ("gout AND 2010[dp] : 2020[dp]", "PubMed", "and(gout, 2010:2020:year)"),
        ("“2010/01/01”[Date – Publication] : “3000”[Date – Publication] AND gout", "PubMed", "and(2010/01/01:3000:year, gout)"),
        ("gout[mesh/noexp] OR gout[Mesh: NoExp] OR gout[mh:exp]", "PubMed", "or(gout:heading, gout:heading, gout:exploded)"),
        ("gout[ti] AND humans[Filter] AND (english[filter] OR systematic review[Filter]) AND fha[Filter]", "PubMed", "and(gout:title, Humans:heading, or(english:language, Systematic Review:type), fha:has_abstract)"),
        ("gout[ti] AND allchild[Filter] AND alladult[sb] AND y_5[Filter]", "PubMed", "and(gout:title, or(Infant:exploded, Child:exploded, Adolescent:exploded), Adult:exploded, y_5:unknown)"),
        ("Search: gout[tiab] Filters: Review, English, German Sort by: Most Recent", "PubMed", "and(gout, Review:type, or(english:language, german:language))"),
        ("gout.mp. [mp=title, book title, abstract, original title, name of substance word, subject heading word] and beer.ti.", "Ovid", "and(gout:tw, beer:title)"),
        ("gout.ti. and (2015* or 2016*).dt,ez,da. and beer.zz.", "Ovid", "and(gout:title, or(2015*:unknown, 2016*:unknown), beer:unknown)"),
        ("gout.ti,zz. not (a adj3 b).ab.", "Ovid", "and(gout:title, not(near3(a:abstract, b:abstract)))"),
        ("'gout'/exp/dm_dt OR 'gout'/dm_dt,dm_th OR 'gout'/exp/mj/dm_dt AND ('article'/it OR gout:ti:ab)", "Embase", "or(gout:exploded, gout:heading, and(gout:exploded, or(article:type, gout:title)))"),
        ("gout:ti AND [<1966-2010]/py NOT ('animal'/exp NOT 'human'/exp)", "Embase", "and(gout:title, <1966-2010:year, not(and(Animals:exploded, not(Humans:exploded))))"),
        ("(gout next diet*):ti,ab OR (gout near diet):ti", "Embase", "or(near1>(gout, diet*), near6(gout:title, diet:title))"),
        ('[mh "Arthritis, Rheumatoid"] OR [mh ^Gout/DT] OR gout:ti,ab,kw', "Embase", "or(Arthritis, Rheumatoid:exploded, Gout:heading, gout:tk)"),
        ('TS=(gout AND "uric acid") OR TI=gout', "plain", "or(and(gout:tw, uric acid:tw), gout:title)"),
        ('(MH "Gout+") OR (MM "Gout") OR TI ( hip N3 pain ) OR AB gout diet', "plain", "or(Gout:exploded, Gout:heading, near4(hip:title, pain:title), gout diet:abstract)"),
        ("TITLE-ABS-KEY(gout W/3 diet) AND KEY(beer)", "plain", "and(near4(gout:tw, diet:tw), beer:keywords)"),
        ("AU=(Smith J OR Doe A) AND TS=(gout pain)", "plain", "and(or(Smith J:author, Doe A:author), gout:tw, pain:tw)"),
        ("AU=(Smith J AND Doe A)", "plain", "and(Smith J:author, Doe A:author)"),
        ("(Randomized Controlled Trial OR Review)[pt] AND (Ann Rheum Dis)[ta]", "PubMed", "and(or(Randomized Controlled Trial:type, Review:type), Ann Rheum Dis:journal)"),
        ("(Arthritis, Rheumatoid)[mh] AND gout pain", "PubMed", "and(Arthritis, Rheumatoid:exploded, gout, pain)"),
        ('MH "Gout+/DT" OR DE "Diet" OR DT 2010-2020', "plain", "or(Gout:exploded, Diet:heading, 2010-2020:year)"),
        ("title-abs-key(gout AND beer)", "plain", "and(gout:tw, beer:tw)"),
        ("gout[tiab],OR beer[ti] OR, wine", "PubMed", "or(gout, beer:title, wine)"),
        ("(gout adj 3 beer).ti.", "Ovid", "near3(gout:title, beer:title)"),
        ("over the next 3 years.ti. or beer.ab.", "Ovid", "or(over the next 3 years:title, beer:abstract)"),
        ("gout NEAR /3 beer", "Embase", "near3(gout, beer)"),
        ('gout AND "hip pain"~2', "plain", "and(gout, hip pain)"),
        ('"hip pain"[tiab~2]', "PubMed", "near3(hip, pain)"),
        ("gout:ti,ab,kw in Trials", "Embase", "and(gout:tk, in Trials:unknown)"),
        ("gout.ti. use ppezv", "Ovid", "and(gout:title, use ppezv:unknown)"),
        ("MH AND dantrolene OR (TI OR thallium)", "plain", "or(and(MH, dantrolene), TI, thallium)"),
    ],
)  # fmt: skip
def test_expressions(text: str, dialect: str, tree: str) -> None:
    search = read(text)
    assert (search.expression.dialect.value, draw(search.expression)) == (dialect, tree)
    assert not search.is_numbered


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colo?r$.ti. and wom#n.mp. and arthrit$2.ab.", [("colo?r*",), ("wom#n",), ("arthrit??",)]),
        ("random:.tw. or (gout: adj3 flare:).ti.", [("random*",), ("gout*",), ("flare*",)]),
        ("colo$r:ti OR wom?n*:ab", [("colo?r",), ("wom#n*",)]),
        ("gout?[ti] OR Sjögren's syndrom*[ab]", [("gout",), ("sjogren", "s", "syndrom*")]),
        ("TNF-α* AND ﬁbro\u00adsis", [("tnf", "α*"), ("fibrosis",)]),
    ],
)
def test_wildcards_are_those_of_the_dialect(text: str, words: list[tuple[str, ...]]) -> None:
    assert [term.words for term in read(text).expression.terms] == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AND", "the search is empty, expected a word"),
        ("(NOT) OR", "the search is empty, expected a word"),
        ("gout AND OR beer", "at character 10, found OR, expected a word before it"),
        ("gout OR AND beer", 'at character 9, found AND, expected a word before it.* quotation marks: "and"'),
        ("gout AND (beer", r"the parenthesis \( at character 10 is not closed"),
        ("(gout AND (beer)", r"the parenthesis \( at character 1 is not closed"),
        ("gout) AND beer", r"the parenthesis \) at character 5 closes none"),
        ('gout AND "uric acid', "the quotation mark at character 10 is not closed"),
        ('gout AND ""', "the quotation marks at character 10 hold nothing"),
        ("gout AND *", "at character 10, found '\\*' alone, expected letters"),
        ("[ti] AND gout[ti]", "the field tag .ti. at character 1 follows nothing"),
        ('gout AND "--"', "has no letter or digit, expected a word"),
        ("#1 AND #2", "#1 stands for a line .* no line"),
        ("1. gout.ti.\n2. 1 and 3\n3. beer.ti.", "line 2: #3 stands for a line .* line 1 comes"),
        ('"' + "w " * 51 + '"[tiab:~2]', "at character 1, 51 words are to be near each other, expected 50"),
        ("1. gout.ti.\n2. beer)", r"line 2: the parenthesis \) at character 5 closes none"),
        ("a AND (" * 2001 + "b" + ")" * 2001, "at character 14007, more than 2,000 parentheses"),
    ],
)
def test_bad_input_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_search(text)


def test_no_depth_and_no_number_of_terms_is_too_much() -> None:
    depth = min(1_500, 2 * sys.getrecursionlimit())
    deep, again, other = (
        read("a OR (b AND (" * (depth // 2) + end + "))" * (depth // 2)).expression for end in ("c", "c", "d")
    )
    assert len(deep.nodes) == 2 * depth + 1
    assert len(read("(" * depth + "gout AND beer" + ")" * depth).expression.nodes) == 3
    assert len(read(" OR ".join(f"word{n}[tiab]" for n in range(10_000))).expression.terms) == 10_000
    assert hash(deep) == hash(again)
    assert deep == again != other


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("gout[tiabb] AND beer", [r"\[tiabb\] at character 5 is unknown \(did you mean \[tiab\]\?\)"]),
        ("gout[majr]", ["major topics are not marked"]),
        ("gout[tiab] or beer", ["lower case were read as operators"]),
        ("gout AND beer OR wine", ["from left to right"]),
        ("(gout AND beer) OR wine", []),
        ("gout AND", ["AND at character 6 has nothing after it, so it was left out"]),
        ("p53 AND OR NOT", ["NOT at character 12 has", "OR at character 9 has", "AND at character 5 has"]),
        ("OR gout", ["OR at character 1 has nothing before it"]),
        ("gout AND (beer OR)", ["OR at character 16 has nothing after it"]),
        (
            "gout AND NOT (()) OR beer",
            ["character 15 hold", "character 14 hold", "NOT at character 10", "AND at character 6"],
        ),
        ("gout N3 diet AND beer", ["N3 at character 6 was read as NEAR/4"]),
        ("TITLE-ABS-KEY(gout AND diet)", ["TITLE-ABS-KEY at character 1 was read as the field"]),
        ("Title: gout AND AB", ["Title: at character 1 was read as a word", "AB at character 17 was read as a word"]),
        ("gout[ti] [ab] OR (beer[ti])[ab]", [r"\[ab\] at character 10 was left out", r"\[ab\] at character 28 was"]),
        (
            "a[all] OR b[all] OR c[all] OR d[all] OR e[all]",
            ["^a.all. at character 1, b.*, c.*, and 2 more: all"],
        ),
        ("1. gout.ti.\n2. limit 1 to ed=2010", ["^line 2: ed=2010: this limit can't be searched here"]),
        ("1. gout.ti.\n2. 1 use medall", ["^line 2: use medall: this limit can't"]),
        ("'gout'/exp NOT 'human'/exp", ["^human/exp at character 16: in MeSH this heading is Humans"]),
        ("1. gout.ti.\n2. beer.fs. or 1", ["^line 2: beer.fs. at character 1: registry"]),
        ("colo?r[ti]", ["only \\* is a wildcard"]),
        ("gout.ti. or beer.ti. and wine.ti.", []),
        ("Gout/dt", ["any subheading counts"]),
        ("gout.ab. /freq=2", ["/freq=2 can't be searched"]),
        ("soon[dp] AND gout", ["no year that can be read"]),
    ],
)
def test_what_is_read_otherwise_is_noted(text: str, notes: list[str]) -> None:
    found = read(text).notes
    assert len(found) == len(notes)
    for note, pattern in zip(found, notes, strict=True):
        assert re.search(pattern, note), note


OVID = """\
1     exp Gout/    12345
2     gout*.ti,ab. (2,345)
3     or/1-2
4     interleukin 6.ti.
5     3 and 4
6     5 not Review.pt.
7     limit 6 to (english language and yr="2010 -Current" and abstracts)
8     remove duplicates from 7
"""


def test_a_numbered_search_of_ovid() -> None:
    search = read(OVID)
    assert search.is_numbered and search.expression.dialect is Dialect.OVID
    assert [draw(line.expression) for line in search.lines] == [
        "Gout:exploded",
        "gout*",
        "or(#1, #2)",
        "interleukin 6:title",
        "and(#3, #4)",
        "and(#5, not(Review:type))",
        "and(#6, english:language, 2010 -Current:year, abstracts:has_abstract)",
        "#7",
    ]
    assert [term.text for term in search.list_wanted()][:3] == ["Gout", "gout*", "interleukin 6"]
    assert "Review" not in [term.text for term in search.list_wanted()]


@pytest.mark.parametrize(
    ("text", "trees"),
    [
        ("#1 'gout'/exp 1234\n#2 gout*:ti,ab\n#3 #1 OR #2 99", ["gout:exploded", "gout*", "or(#1, #2)"]),
        ("1 Search: gout[ti]  7\n2 Search: #1 AND beer", ["gout:title", "and(#1, beer)"]),
        ("#3 #1 AND #2\n#2 gout[tiab]\n#1 beer[ti]", ["beer:title", "gout", "and(#1, #2)"]),
        ("exp Gout/\ngout.ti.\n1 or 2", ["Gout:exploded", "gout:title", "or(#1, #2)"]),
        ("1. gout[ti]\n   OR beer[ti]\n2. wine\n3. #1 AND #2", ["or(gout:title, beer:title)", "wine", "and(#1, #2)"]),
        ("(gout[tiab] OR\n beer)\n\nAND wine", ["and(or(gout, beer), wine)"]),
        ("#1 gout:ti 1,234\n#2 #1 AND [humans]/lim 99", ["gout:title", "and(#1, Humans:heading)"]),
        ("1 gout 7\n2 beer[ti] 8\n3 1 or 2 9", ["gout", "beer:title", "or(#1, #2)"]),
        (
            '1. gout.ti.\n2. limit 1 to (clinical trial, all or "review articles")',
            ["gout:title", "and(#1, or(Clinical Trial:type, Review:type))"],
        ),
        ("1. gout.ti.\n2. from 1 keep 1-10", ["gout:title", "and(#1, keep 1-10:unknown)"]),
        (
            "#1 MeSH descriptor: [Gout] explode all trees and with qualifier(s): [diet - DH]\n#2 MeSH descriptor: [Beer] this term only\n#3 {or #1-#2}\n#4 #3 in Trials",
            ["Gout:exploded", "Beer:heading", "or(#1, #2)", "and(#3, in Trials:unknown)"],
        ),
        (
            "#1 gout:ti,ab,kw (Word variations have been searched)\n#2 #1 with Publication Year from 2010 to 2020, in Trials",
            ["gout:tk", "and(#1, in Trials:unknown, 2010 to 2020:year)"],
        ),
        ('S1 (MH "Gout")\nS2 TI gout\nS3 S1 OR S2', ["Gout:heading", "gout:title", "or(#1, #2)"]),
        ("1. gout.tw.\n2. beer.tw.\n3. or/1\u20132", ["gout", "beer", "or(#1, #2)"]),
        ("1. gout.tw.\n2. beer.tw.\n3. or/ 1,2", ["gout", "beer", "or(#1, #2)"]),
        ("1. gout.tw.\n2. beer.tw.\n3. or / 1-2", ["gout", "beer", "or(#1, #2)"]),
        ("1. gout.tw.\n2. beer.tw.\n3. 1 or 2 [gout AND beer]", ["gout", "beer", "or(#1, #2)"]),
        ("1. gout.tw.\n2. beer.tw.\n3. 1 or 2.", ["gout", "beer", "or(#1, #2)"]),
        ("1. gout.tw.\n2. beer.tw.\n3. (1) not (2)", ["gout", "beer", "and(#1, not(#2))"]),
        ("1. gout.tw.\n2. beer.tw.\n1 and 2", ["gout", "beer", "and(#1, #2)"]),
        ("#1 gout[tiab]\n#2 beer[ti] OR wine\n#1 AND #2", ["gout", "or(beer:title, wine)", "and(#1, #2)"]),
        ("#1 [mh Gout]\n#2 beer:ti\n#3 {OR #1\u2013#2}", ["Gout:exploded", "beer:title", "or(#1, #2)"]),
        (
            'S1\t(MH "Gout+")\tSearch modes - Boolean/Phrase\t150\n'
            "S2\tTI beer\tLimiters - English Language; Published Date: 20100101-20201231\tExpanders - Apply equivalent subjects\t22\n"
            "S3\tS1 OR s2\tInterface - EBSCOhost Research Databases\t160",
            ["Gout:exploded", "and(beer:title, english:language, 2010-2020:year)", "or(#1, #2)"],
        ),
        ("S1 S100 protein[ti]\nS2 gout[ti]\nS3 S1 AND S2", ["S100 protein:title", "gout:title", "and(#1, #2)"]),
        (
            "#\tSearches\tResults\tType\n1\texp Gout/\t112\tAdvanced\n2\tbeer.ti.\t5\tBasic\n3\t1 or 2\t20\tAdvanced",
            ["Gout:exploded", "beer:title", "or(#1, #2)"],
        ),
        (
            "#2\tAdd\tSearch (#1 OR beer)\t12\t09:00:00\n#1\tAdd\tSearch gout[ti]\t7\t08:59:00",
            ["gout:title", "or(#1, beer)"],
        ),
        (
            "# 2\t30\t#1 AND TS=(beer) Indexes=SCI Timespan=All years\n# 1\t100\tTS=(gout)\tIndexes=SCI",
            ["gout:tw", "and(#1, beer:tw)"],
        ),
        (
            "# 2\t30\t#1 AND TS=(beer)\tIndexes=SCI Timespan=2010-2020\n# 1\t100\tTS=(gout) Indexes=SCI Timespan=1999-2001",
            ["and(gout:tw, 1999-2001:year)", "and(#1, beer:tw, 2010-2020:year)"],
        ),
        (
            "#2\tSearch: #1 AND beer Filters: Review\t12\t10:00:00\n#1\tSearch: gout[ti] Sort by: Most Recent\t7\t09:58:00",
            ["gout:title", "and(#1, beer, Review:type)"],
        ),
        (
            'Search number,Query,Sort By,Filters,Search Details,Results,Time\n2,#1 AND beer,,"Review, English",(x),1,10:00:00\n1,"""uric acid""[ti]",,,x,2,09:00:00',
            ["uric acid:title", "and(#1, beer, Review:type, english:language)"],
        ),
    ],
)
def test_lines(text: str, trees: list[str]) -> None:
    assert [draw(line.expression) for line in read(text).lines] == trees


def test_what_surrounds_a_copied_strategy_is_left_out_by_name() -> None:
    search = read(
        "Database: Ovid MEDLINE(R) ALL <1946 to May 23, 2022>\nSearch Strategy:\n-----\n1  exp Gout/ (12)\n2  (gout* or\n"
        "uric acid).ti,ab. (13)\n3  1 or 2\nIntervention\n4  Diet/\n99\n5  3 and 4 (7)\n\n*****\n"
    )
    assert [draw(line.expression) for line in search.lines] == [
        "Gout:exploded",
        "or(gout*, uric acid)",
        "or(#1, #2)",
        "Diet:heading",
        "and(#3, #4)",
    ]
    assert len(search.notes) == 1
    assert re.search("headlines: 'Database: .*', 'Search Strategy:', 'Intervention'$", search.notes[0])


@pytest.mark.parametrize(
    "text", ["PUBYEAR AFT 2010 AND gout[ti]", 'gout AND LIMIT-TO(LANGUAGE,"English")', "gout AND WC=(Rheumatology)"]
)
def test_fields_of_other_databases_without_counterpart_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is a field or limit of another database. Leave it out, or"):
        read_search(text)


def test_a_term_after_two_nots_is_wanted() -> None:
    search = read("1. a.ti. not (b.ti. not c.ti.)\n2. d.ti. not 1\n3. 1 not 2")
    assert [term.text for term in search.list_wanted()] == ["a", "c"]
    assert [term.text for term in read("1. a.ti. not b.ti.\n2. c.ti. not 1").list_wanted()] == ["b", "c"]


PIECES = (
    *(
        "gout",
        '"uric acid"',
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "and",
        "or",
        "[tiab]",
        "[ti]",
        "[foo]",
        "[tiab:~3]",
        ".ti,ab.",
    ),
    *(
        ".mp.",
        "exp Gout/",
        "Gout/",
        "*",
        "$",
        "?",
        "#1",
        "1",
        "2",
        "adj3",
        "NEAR/3",
        "NEXT/2",
        "'x y'",
        "/exp",
        ":ti,ab",
    ),
    *(
        "[english]/lim",
        "\n",
        '"',
        "“",
        "（",
        "2010:2020[dp]",
        ":",
        "-",
        "+",
        "title:",
        "limit 1 to",
        "or/1-2",
        "or/2-1",
        ",",
        "[Filter]",
        "NEAR",
        "N3",
        "TI",
        "TS=",
        "MH",
        "MeSH descriptor: [Gout] explode all trees",
        '[mh "Gout"]',
        "{or #1-#2}",
        "/exp/dm_dt",
        "[dp]",
        "Search: ",
        " Filters: Review, English",
        "Search,Query,Filters",
        "S1 ",
        " 12",
    ),
    *(".", "/", "[", "]", "*Gout/dt", " ", "\u2028", "1. ", "2. ", "#2 ", "é", "\0", "\ud800"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(["", " "]))
@examples(4)
def test_any_text_is_read_or_refused(pieces: list[str], between: str) -> None:
    try:
        search = read_search(between.join(pieces))
    except UsageError as err:
        assert str(err)
        return
    if search is not None:
        search.list_wanted()
        draw_search(search)
        for target in TARGETS:
            assert len(translate_search(search, target).lines) == len(search.lines)


@pytest.mark.parametrize(
    ("pasted", "written"),
    [
        ("gou\0t[tiab]", "gout[tiab]"),
        ("go\u200b\u200but[ti]", "gout[ti]"),
        ("gout[ti\u00adab]", "gout[tiab]"),
        ("exp Go\u00adut/", '"Gout"[mh]'),
        ("Smi\ufeffth[au]", "Smith[au]"),
        ("inflam\u00ad\nmation[tiab]", "inflammation[tiab]"),
        ("inflam\u00ac\r\n  mation[tiab]", "inflammation[tiab]"),
        ("gout\u200b AND\u200b hip", "gout[tiab] AND hip[tiab]"),
    ],
)
def test_characters_that_are_not_seen_are_not_written_either(pasted: str, written: str) -> None:
    search = read_search(pasted)
    assert search is not None and not search.notes
    assert translate_search(search, Dialect.PUBMED).lines == (written,)
