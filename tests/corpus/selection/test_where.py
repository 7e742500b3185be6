import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.corpus.selection.fields import FIELDS, FLAGS, KNOWN
from engine.corpus.selection.lexer import _KEYWORDS
from engine.corpus.selection.where import parse_condition
from engine.corpus.storage.docsets import read_members
from engine.corpus.storage.store import Corpus
from engine.errors import UsageError
from engine.records.abstract import Abstract
from tests.conftest import examples
from tests.corpus import random_records as drawn
from tests.corpus.oracle import Compare, Joined, Tree, corpus_of, holds, records

ROWS = (
    Abstract(
        "PMID:11", "Gout", "Pain in 50% of toes.", 1999, "Lancet", ("Smith, John",), "11", "10.1/A", ("Gout", "Humans")
    ),
    Abstract("r2", "Urate", "", 2003, "The Lancet", ("Jones, Ann B.",), "12", None, ("Humans",), ("Review",), True),
    Abstract(
        "r3", 'A "quoted" O\'Brien', "Gout.", None, "", (), None, "10.2/b", keywords=("beer",), languages=("ger",)
    ),
)  # doc ids 1 to 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    place = tmp_path_factory.mktemp("corpus")
    with closing(corpus_of(place, ("a.xml", "PubMed XML", ROWS[:2]), ("b.csv", "table", ROWS[2:]))) as found:
        yield found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("year = 1999", [1]),
        ("year != 1999", [2, 3]),
        ("year < 2003", [1]),
        ("not year < 2003", [2, 3]),
        ("year <= 2003 and year > 1999", [2]),
        ("year >= 1999", [1, 2]),
        ('year = "2003"', [2]),
        ("year > -5", [1, 2]),
        ("year = none", [3]),
        ("year != none", [1, 2]),
        ("year in (1999, none)", [1, 3]),
        ("year not in (1999, none)", [2]),
        ("year < -9223372036854775808 or year > 9223372036854775807", []),
        ("journal = lancet", [1]),
        ("journal != lancet", [2, 3]),
        ("journal ~ LANCET", [1, 2]),
        ('journal = "*lancet"', [1, 2]),
        ("journal = none", [3]),
        ('journal in ("lancet", none)', [1, 3]),
        ("mesh = humans", [1, 2]),
        ("mesh != gout", [2, 3]),
        ("mesh != humans and mesh = none", [3]),
        ("mesh != none", [1, 2]),
        ("type = review or keyword = BEER", [2, 3]),
        ("author = 'smith j'", [1]),
        ("author = smit and author ~ mith", [1]),
        ("author ~ 'ann b'", [2]),
        ("author ~ 'b ann'", []),
        ("author = none", [3]),
        ("language = German", [3]),
        ("language ~ er", [3]),
        ("language = none", [1, 2]),
        ("source = a.xml", [1, 2]),
        ("source = TABLE or source ~ xml", [1, 2, 3]),
        ("source = none", []),
        ("title = gout", [1]),
        ("title ~ 'u'", [1, 2, 3]),
        ("title != none and abstract = none", [2]),
        ("abstract != '*'", [2]),
        ("abstract ~ '50% of'", [1]),
        ("abstract ~ '5_%'", []),
        ("abstract ~ 'pain*toes'", [1]),
        ('title = "A ""quoted"" O\'Brien"', [3]),
        ("title = 'A \"quoted\" O\\'Brien'", [3]),
        ('title = "a \\"quoted\\" o\'brien"', [3]),
        ("title ~ o'brien", [3]),
        ("pmid = 11", [1]),
        ("pmid = PMID:12 or pmid = none", [2, 3]),
        ("pmid ~ 1 and pmid != 11", [2]),
        ("doi = https://doi.org/10.1/a", [1]),
        ("doi in ('DOI: 10.1/a', 10.2/B)", [1, 3]),
        ("doi = none", [2]),
        ("doi ~ /a", [1]),
        ("id = pmid:11 or id = r2", [1, 2]),
        ("id ~ r", [2, 3]),
        ("id = none", []),
        ("retracted", [2]),
        ("retracted = true", [2]),
        ("retracted != TRUE", [1, 3]),
        ("NOT retracted AND has_abstract", [1, 3]),
        ("has_abstract = false", [2]),
        ("year = 1999 or year = 2003 and retracted = false", [1]),
        ("(year = 1999 or year = 2003) and retracted", [2]),
        ("not year = 1999 and not (retracted)", [3]),
        ("not (year = 1999 or retracted)", [3]),
        ("not not retracted", [2]),
        ("YEAR>=1999AND", None),
        ("Year>=1999 And(Mesh~hum)", [1, 2]),
    ],
)
def test_toy(corpus: Corpus, expression: str, expected: list[int] | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="at character 7"):
            parse_condition(expression)
    else:
        assert read_members(corpus, parse_condition(expression)).tolist() == expected


@pytest.mark.parametrize(
    ("expression", "match"),
    [
        ("", "the expression is blank"),
        (" \n", "the expression is blank"),
        ('year = "abc"', "at character 8, found 'abc', expected a year as a whole number after 'year ='"),
        ("year = 20.5", "at character 8, found '20.5', expected a year"),
        ("year = true", "at character 8, found 'true', expected a whole number or none"),
        ("year ~ 2", "at character 6, found '~', expected one of = != < <= > >= in"),
        ("year < none", "at character 8, found 'none', expected a whole number"),
        ("year = 9223372036854775808", "at character 8, found '9223372036854775808', expected a number of at most 64 bits"),
        (f"year = {'9' * 5000}", "at character 8, found '9{40}', expected a number of at most 64 bits"),
        ("year 2015", "at character 6, found '2015', expected one of = !="),
        ("year == 2015", "at character 6, found '=='"),
        ("year =", "at character 7, found the end of the expression, expected a whole number"),
        ("year in 2015", r"at character 9, found '2015', expected \("),
        ("year in ()", r"at character 10, found '\)'"),
        ("year in (1 2)", r"at character 12, found '2', expected a comma or \)"),
        ("year in (1,", "at character 12, found the end"),
        ("year not 3", "at character 6, found 'not', expected one of"),
        ("retracted = 3", "at character 13, found '3', expected true or false"),
        ('retracted = "true"', "at character 13, found 'true', expected true or false"),
        ("retracted < true", "at character 11, found '<', expected one of = !="),
        ("title < 'a'", "at character 7, found '<', expected one of = != ~ in"),
        ("title ~ none", "at character 9, found 'none', expected a word or a text in quotes"),
        ("title = ' '", "at character 9, found ' ', expected a word or a text in quotes or none"),
        ("title = and", "at character 9, found 'and'"),
        ("journal = N Engl J Med", "at character 13, found 'Engl', expected 'and', 'or' or the end; a text of several words"),
        ("jurnal = x", r"at character 1, found 'jurnal', expected .* year, journal, .*, has_fulltext \(did you mean journal\?\)"),
        ("zzz = x", r"at character 1, found 'zzz', expected 'not', \( or one of the fields year, .*has_fulltext\. For"),
        ("'year' = 3", "at character 1, found 'year', expected"),
        ("year = 1 and", "at character 13, found the end of the expression, expected 'not'"),
        ("year = 1 or or year = 2", "at character 13, found 'or'"),
        ("and year = 1", "at character 1, found 'and'"),
        ("title = 'x", "at character 9, found \"'x\", expected a closing '"),
        ('title = "x""', "at character 9, found '\"x\"\"', expected a closing \""),
        ('title = "x\\"', "expected a closing \""),
        ("title = \u201cx\u201d", "at character 9, found '\u201cx\u201d', expected straight quotation marks"),
        ("(year = 1", r"at character 10, found the end of the expression, expected 'and', 'or' or the \) that closes the \( at character 1"),
        ("year = 1)", r"at character 9, found '\)', expected 'and', 'or' or the end"),
        ("()", r"at character 2, found '\)'"),
        ("year = 1; DROP TABLE abstracts", "at character 8, found '1;', expected a year"),
        ("year = 1 -- x", "at character 10, found '--'"),
        ("title = \udc80 x", r"at character 11, found 'x'"),
        (f"{'(' * 51}retracted{')' * 51}", "at character 51, found .*no more than 50 nested parentheses"),
        (f"{'not ' * 51}retracted", "at character 201, found 'not', expected no more than 50"),
        (" or ".join(["retracted"] * 501), "at character 6501, found .*no more than 500 values"),
        (f"year in ({','.join('1' * 501)})", "at character 1010, found '1', expected no more than 500 values"),
        ("year = 1 or author = ' - '", "at character 22, the author ' - ' has no word"),
        ("x" * 10_001, "has 10,001 characters, expected 10,000"),
    ],
)  # fmt: skip
def test_invalid_expressions(expression: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        parse_condition(expression)


def test_the_limits_themselves_are_allowed(corpus: Corpus) -> None:
    for expression, expected in (
        (f"{'(' * 50}retracted{')' * 50}", [2]),
        (f"{'not ' * 50}retracted", [2]),
        (" and ".join(["(retracted)"] * 100), [2]),
        (f"{'not (' * 25}retracted{')' * 25}", [1, 3]),
        (" or ".join(["retracted"] * 500), [2]),
        (" and ".join(f"year!={n}" for n in range(500)), [1, 2, 3]),
        (f"pmid in ({','.join(map(str, range(500)))})", [1, 2]),
        (" or ".join(f"pmid={n}" for n in range(500)), [1, 2]),
        ("retracted".ljust(10_000), [2]),
        (f"title = '{'*x_' * 3000}'", []),
        ("(retracted or year = 1 and " * 25 + "retracted" + ")" * 25, [2]),
    ):
        assert read_members(corpus, parse_condition(expression)).tolist() == expected, expression[:40]


def test_every_field_is_documented_and_known() -> None:
    from engine.corpus.selection import where

    assert KNOWN == ("year", *FIELDS, *FLAGS)
    assert all(field in (where.__doc__ or "") for field in KNOWN)
    assert not _KEYWORDS & set(KNOWN)


TEXTS = {
    "journal": drawn.names,
    "title": drawn.starred(tuple(text for text in drawn.TEXTS if text.strip())),
    "abstract": drawn.starred(tuple(text for text in drawn.TEXTS if text.strip())),
    "mesh": drawn.names,
    "type": drawn.names,
    "keyword": drawn.names,
    "author": drawn.beginnings,
    "language": drawn.languages,
    "source": drawn.sources,
    "database": drawn.names,
    "label": drawn.names,
    "note": drawn.names,
    "pmid": st.sampled_from(("5", "6", "8", "*", "zz")),
    "doi": st.sampled_from(("10.1/a", "10.2/B_C", "10.3/x%", "10.*", "10.3/_%", "zz")),
    "id": st.sampled_from(("r1", "R2", "pmid:5", "7", "r*", "r_", "10.1/A")),
}
OPERATORS = {"=": 1, "!=": 1, "in": 3, "not in": 3}


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    field = draw(st.sampled_from(KNOWN))
    if field in FLAGS:
        return Compare(field, draw(st.sampled_from(("=", "!="))), (draw(st.sampled_from(("true", "false"))),))
    alone = ("<", "<=", ">", ">=") if field == "year" else ("~",)
    operator = draw(st.sampled_from((*OPERATORS, *alone)))
    value = st.integers(1997, 2005) | st.sampled_from((0, -1, 2**63 - 1, -(2**63)))
    value = value if field == "year" else TEXTS[field].filter(lambda text: text.strip() != "")
    value = value | st.none() if operator in OPERATORS else value
    values = draw(st.lists(value, min_size=1, max_size=OPERATORS.get(operator, 1)))
    return Compare(field, operator, tuple(values))


def joined(parts: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(Joined, st.sampled_from(("and", "or")), several) | parts.map(lambda part: Joined("not", (part,)))


trees = st.recursive(comparisons(), joined, max_leaves=6)
STRENGTH = {"or": 0, "and": 1, "not": 2}


class Writer:
    """Writes trees as expressions, with random spelling."""

    def __init__(self, draw: st.DataObject) -> None:
        self.pick = lambda *choices: draw.draw(st.sampled_from(choices))

    def written(self, tree: Tree, around: int = 0) -> str:
        if isinstance(tree, Compare):
            text = self.comparison(tree)
            strength = 3
        else:
            strength = STRENGTH[tree.word]
            word = self.cased(tree.word)
            inner = [self.written(part, strength + (tree.word != "not")) for part in tree.parts]
            text = f"{word} {inner[0]}" if tree.word == "not" else f" {word} ".join(inner)
        return f"({self.pick('', ' ')}{text})" if strength < around or self.pick(False, False, True) else text

    def cased(self, word: str) -> str:
        return self.pick(word, word.upper(), word.title())

    def comparison(self, tree: Compare) -> str:
        field, space = self.cased(tree.field), self.pick("", " ", "\n")
        if tree.field in FLAGS and (tree.operator == "=") == (tree.values == ("true",)) and self.pick(True, False):
            return field
        if tree.operator in ("in", "not in"):
            return f"{field} {self.cased(tree.operator)} ({f',{space}'.join(self.value(v) for v in tree.values)})"
        value = tree.values[0]
        written = self.cased(str(value)) if tree.field in FLAGS else self.value(value)
        return f"{field}{space}{tree.operator}{space}{written}"

    def value(self, value: str | int | None) -> str:
        if value is None:
            return self.cased("none")
        text = str(value)
        if isinstance(value, int) or (text.isalnum() and text.lower() not in _KEYWORDS and self.pick(True, False)):
            return text
        quote = self.pick('"', "'")
        escaped = text.replace("\\", "\\\\").replace(quote, self.pick(quote * 2, f"\\{quote}"))
        return f"{quote}{escaped}{quote}"


@given(files=drawn.files(), asked=st.lists(trees, min_size=3, max_size=6), data=st.data())
def test_expressions_find_what_plain_python_finds(files: list, asked: list[Tree], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place, closing(corpus_of(Path(place), *files)) as corpus:
        held = records(corpus)
        for tree in asked:
            expression = Writer(data).written(tree)
            doc_ids = read_members(corpus, parse_condition(expression)).tolist()
            assert doc_ids == [record.doc_id for record in held if holds(record, tree)], expression


PIECES = (
    *KNOWN,
    *_KEYWORDS,
    "=",
    "!=",
    "~",
    "<",
    "(",
    ")",
    ",",
    "'",
    '"',
    "\\",
    "1999",
    "x",
    "*",
    "%",
    ";",
    "--",
    " ",
    "''",
    "\0",
    "\udc80",
)


@examples(3)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(PIECES), max_size=15).map(" ".join)
    | st.lists(st.sampled_from(PIECES), max_size=15).map("".join)
)
@example("journal='\udc80\0*%_!\\\\'")
@example("title~\x85x")
@example("year=" + "\u0661")
def test_any_text_is_parsed_or_refused(corpus: Corpus, expression: str) -> None:
    try:
        docset = parse_condition(expression)
    except UsageError as err:
        assert str(err).startswith("where: ")
        return
    assert set(read_members(corpus, docset).tolist()) <= {1, 2, 3}


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE abstracts; --", "' OR '1'='1", '" OR ""="', "1) OR (1=1", "?1", "\\", "!", "%"]
)
def test_no_value_is_read_as_sql(corpus: Corpus, text: str) -> None:
    before = corpus.path.read_bytes()
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'
    for field in FIELDS:
        assert read_members(corpus, parse_condition(f"{field} = {quoted}")).tolist() == []
        assert read_members(corpus, parse_condition(f"not {field} != {quoted} or {field} in ({quoted})")).tolist() == []
        if text != "%" or field != "abstract":
            assert read_members(corpus, parse_condition(f"{field} ~ {quoted}")).tolist() == []
    assert corpus.path.read_bytes() == before
