"""Boolean searches in plain Python over one record at a time, random ones, and a small corpus to compare them on."""

import functools
import itertools
import random
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.corpus.storage.store import Corpus
from engine.corpus.words.wordindex import WordIndex
from engine.records.abstract import Abstract
from tests.corpus.oracle import corpus_of
from tests.corpus.words.toys import NONE, write_words

VOCABULARY = ("gout", "gouty", "hip", "hips", "knee", "pain", "bone", "il", "6", "tnf", "alpha", "colour", "color")
HEADINGS = ("Gout", "Hip", "Knee Joint", "Bone and Bones", "Arthritis, Rheumatoid", "Pain, Hip")
TYPES = ("Review", "Letter", "Randomized Controlled Trial")
KEYWORDS = ("gout pain", "knee", "hip colour", "bone-pain")
AUTHORS = ("Smith, John", "Smith A", "Kon, Elizaveta", "Doe J")
JOURNALS = ("Annals of the Rheumatic Diseases", "Gout", "Journal of Pain")
Test = Callable[[Abstract], bool]
Built = tuple[Corpus, WordIndex, dict[int, Abstract]]


def random_records(seed: int, n: int = 80) -> list[Abstract]:
    pick = random.Random(seed)

    def text(most: int) -> str:
        words = [pick.choice(VOCABULARY[: pick.choice((4, 13))]) for _ in range(pick.randint(0, most))]
        joined = "".join(word + pick.choice((" ", " ", " ", "-", ", ", ". ")) for word in words).strip()
        return joined.title() if pick.random() < 0.3 else joined

    def some(values: tuple[str, ...], most: int = 2) -> tuple[str, ...]:
        return tuple(pick.sample(values, pick.randint(0, most)))

    return [
        Abstract(
            record_id=f"r{number}",
            title=text(5) or "hip",
            abstract=text(12),
            year=pick.choice((None, 2001, 2010, 2015, 2020)),
            journal=pick.choice(("", *JOURNALS)),
            authors=some(AUTHORS, 3),
            pmid=str(number) if pick.random() < 0.7 else None,
            mesh=some(HEADINGS),
            publication_types=some(TYPES),
            keywords=some(KEYWORDS),
            languages=some(("eng", "ger"), 1),
        )
        for number in range(1, n + 1)
    ]


@contextmanager
def build(place: Path, records: list[Abstract]) -> Iterator[Built]:
    """Build the database and the words of records; yield both, and the records by doc id."""
    place.mkdir(parents=True, exist_ok=True)
    with closing(corpus_of(place, ("one.jsonl", "JSONL", records))) as corpus:
        by_id = corpus.fetch(corpus.read_ids().tolist())
        texts = [(doc_id, record.title, record.abstract) for doc_id, record in by_id.items()]
        write_words(place / "words", None, NONE, texts, lambda one, other: False)
        yield corpus, WordIndex(place / "words"), by_id


@functools.cache
def tokens(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


@dataclass(frozen=True)
class Asked:
    """A piece of a random search: how it is written, and which records have it."""

    written: str
    test: Test
    is_simple: bool = True  # needs no parentheses


def areas(field: str, record: Abstract) -> list[list[str]]:
    """The texts of a record in which the words of a field are looked up, each by itself."""
    found = {
        "title": [record.title],
        "abstract": [record.abstract],
        "headings": list(record.mesh),
        "keywords": list(record.keywords),
    }
    return [tokens(text) for name in field.split() for text in found[name]]


@functools.cache
def matches(pattern: str, word: str) -> bool:
    """Whether a word fits a pattern of letters, * for any, ? for one or none and # for one; letter by letter."""
    if not pattern:
        return not word
    first, rest = pattern[0], pattern[1:]
    if first == "*":
        return any(matches(rest, word[cut:]) for cut in range(len(word) + 1))
    if first == "?":
        return matches(rest, word) or (bool(word) and matches(rest, word[1:]))
    return bool(word) and first in ("#", word[0]) and matches(rest, word[1:])


def places(patterns: list[str], words: list[str]) -> list[set[int]]:
    """The places of a phrase in a text, each as the set of the places of its words."""
    n = len(patterns)
    return [
        set(range(start, start + n))
        for start in range(len(words) - n + 1)
        if all(matches(one, word) for one, word in zip(patterns, words[start : start + n], strict=True))
    ]


def has_phrase(field: str, patterns: list[str]) -> Test:
    return lambda record: any(places(patterns, words) for words in areas(field, record))


def has_near(field: str, parts: list[list[list[str]]], between: int, ordered: bool) -> Test:
    """Whether one phrase of each part occurs, apart, with at most so many other words between first and last."""

    def test(record: Abstract) -> bool:
        for words in areas(field, record):
            options = [[place for phrase in part for place in places(phrase, words)] for part in parts]
            for chosen in itertools.product(*options):
                joined = set().union(*chosen)
                if len(joined) < sum(map(len, chosen)):
                    continue
                others = max(joined) - min(joined) + 1 - len(joined)
                if others <= between and (not ordered or max(chosen[0]) < min(chosen[1])):
                    return True
        return False

    return test


class Maker:
    """Random searches in one dialect."""

    def __init__(self, pick: random.Random, dialect: str) -> None:
        self.pick = pick
        self.dialect = dialect
        self.stars = {"pubmed": "*", "ovid": "*$", "embase": "*"}[dialect]
        self.maybe = {"pubmed": "", "ovid": "?", "embase": "$"}[dialect]
        self.one = {"pubmed": "", "ovid": "#", "embase": "?"}[dialect]

    def make_word(self, wild: float = 0.3) -> tuple[str, str]:
        """Return a word as written and as a pattern."""
        word = self.pick.choice(VOCABULARY[: self.pick.choice((4, 6, 13))])
        if self.pick.random() > wild or len(word) < 3:
            return self.vary_case(word), word
        kind = self.pick.random()
        if kind < 0.6 or not self.maybe:
            cut = self.pick.randint(2, len(word))
            return word[:cut] + self.pick.choice(self.stars), f"{word[:cut]}*"
        cut = self.pick.randint(1, len(word) - 1)
        if kind < 0.8:
            keep = cut + self.pick.randint(0, 1)
            return f"{word[:cut]}{self.maybe}{word[keep:]}", f"{word[:cut]}?{word[keep:]}"
        return f"{word[:cut]}{self.one}{word[cut + 1 :]}", f"{word[:cut]}#{word[cut + 1 :]}"

    def vary_case(self, word: str) -> str:
        return word.title() if self.pick.random() < 0.2 else word

    def make_phrase(self, most: int = 3, wild: float = 0.15) -> tuple[str, list[str]]:
        words = [self.make_word(wild) for _ in range(min(most, self.pick.choice((1, 1, 1, 2, 3))))]
        text = self.pick.choice((" ", " ", "-")).join(written for written, _ in words)
        quote = '"' if self.dialect != "embase" else self.pick.choice("'\"")
        quoted = len(words) > 1 or self.pick.random() < 0.2
        return f"{quote}{text}{quote}" if quoted else text, [pattern for _, pattern in words]

    def make_field(self) -> tuple[str, str]:
        """Return a field tag of words and its field."""
        tags = {
            "pubmed": (("[tiab]", "title abstract"), ("[Title]", "title"), ("[AB]", "abstract"), ("[ot]", "keywords"),
                       ("[tw]", "title abstract headings keywords"), ("", "title abstract")),
            "ovid": ((".ti,ab.", "title abstract"), (".ti.", "title"), (".ab.", "abstract"), (".kf.", "keywords"),
                     (".mp.", "title abstract headings keywords"), (".tw,kf.", "title abstract keywords"),
                     (".hw.", "headings")),
            "embase": ((":ti,ab", "title abstract"), (":ti", "title"), (":ab", "abstract"), (":kw", "keywords"),
                       (":ti,ab,kw", "title abstract keywords"), ("", "title abstract")),
        }  # fmt: skip
        return self.pick.choice(tags[self.dialect])

    def make_words(self) -> Asked:
        written, patterns = self.make_phrase()
        tag, field = self.make_field()
        return Asked(f"{written}{tag}", has_phrase(field, patterns))

    def make_name(self) -> Asked:
        """Return a term that is a whole name."""
        heading, kind, year = self.pick.choice(HEADINGS), self.pick.choice(TYPES), self.pick.choice((2001, 2010, 2015))
        number, last = str(self.pick.randint(1, 90)), self.pick.choice((2010, 2015, 2020))
        quote = "'" if self.dialect == "embase" else '"'
        options = {
            "pubmed": (
                (f'"{heading}"[mh:noexp]', lambda r: heading in r.mesh),
                (f'{heading.lower().replace(" and ", " ")}[MeSH Terms]', lambda r: heading in r.mesh and " and " not in heading),
                (f"{kind}[pt]", lambda r: kind in r.publication_types),
                (f"{min(year, last)}:{last}[dp]", lambda r: r.year is not None and min(year, last) <= r.year <= last),
                (f"{year}[Date - Publication]", lambda r: r.year == year),
                (f"{number}[pmid]", lambda r: r.pmid == number),
                ("smith[au]", lambda r: any(name.startswith("Smith") for name in r.authors)),
                ("smith j[au]", lambda r: "Smith, John" in r.authors),
                ("smith[1au]", lambda r: bool(r.authors) and r.authors[0].startswith("Smith")),
                ("kon e[lastau]", lambda r: bool(r.authors) and r.authors[-1].startswith("Kon")),
                ("english[la]", lambda r: "eng" in r.languages),
                ('"Ann Rheum Dis"[ta]', lambda r: r.journal.startswith("Annals")),
                ("gout[jour]", lambda r: r.journal == "Gout"),
            ),
            "ovid": (
                (f"{heading}/", lambda r: heading in r.mesh),
                (f"exp {heading}/", lambda r: heading in r.mesh),
                (f"*{heading}/", lambda r: heading in r.mesh),
                (f"{kind}.pt.", lambda r: kind in r.publication_types),
                (f"{year}.yr.", lambda r: r.year == year),
                ("kon e.au.", lambda r: "Kon, Elizaveta" in r.authors),
                ("english.lg.", lambda r: "eng" in r.languages),
            ),
            "embase": (
                (f"{quote}{heading}{quote}/exp", lambda r: heading in r.mesh),
                (f"{quote}{heading.lower()}{quote}/de", lambda r: heading in r.mesh),
                (f"[{min(year, last)}-{last}]/py", lambda r: r.year is not None and min(year, last) <= r.year <= last),
                ("[english]/lim", lambda r: "eng" in r.languages),
                (f"{quote}{kind}{quote}:it", lambda r: kind in r.publication_types),
            ),
        }  # fmt: skip
        written, test = self.pick.choice(options[self.dialect])
        return Asked(written, test)

    def make_near(self) -> Asked:
        tag, field = self.make_field()
        n = self.pick.randint(1, 5)
        if self.dialect == "pubmed":
            words = [self.pick.choice(VOCABULARY) for _ in range(self.pick.choice((2, 2, 3)))]
            tag, field = self.pick.choice((("tiab", "title abstract"), ("ti", "title"), ("ad", "")))[:2]
            if not field:
                tag, field = "Title/Abstract", "title abstract"
            return Asked(f'"{" ".join(words)}"[{tag}:~{n - 1}]', has_near(field, [[[w]] for w in words], n - 1, False))
        operator, ordered = self.pick.choice(
            {"ovid": ((f"adj{n}", False), ("adj", True)), "embase": ((f"NEAR/{n}", False), (f"next/{n}", True))}[
                self.dialect
            ]
        )
        sides = [[self.make_phrase(2, 0.2) for _ in range(self.pick.choice((1, 1, 2)))] for _ in range(2)]
        texts = [" or ".join(written for written, _ in side) for side in sides]
        texts = [f"({text})" if len(side) > 1 else text for text, side in zip(texts, sides, strict=True)]
        parts = [[patterns for _, patterns in side] for side in sides]
        between = 0 if operator == "adj" else n - 1
        return Asked(f"({texts[0]} {operator} {texts[1]}){tag}", has_near(field, parts, between, ordered))

    def make_operand(self, depth: int) -> Asked:
        kind = self.pick.random()
        if depth > 0 and kind < 0.35:
            inner = self.make(depth - 1)
            return Asked(f"({inner.written})", inner.test)
        if kind < 0.5:
            return self.make_name()
        return self.make_near() if kind < 0.65 else self.make_words()

    def make(self, depth: int = 3) -> Asked:
        """Return a chain of operands, read by the rules of the dialect."""
        operands = [self.make_operand(depth) for _ in range(self.pick.choice((1, 2, 2, 3, 4)))]
        operators = [self.pick.choice(("AND", "OR", "NOT")) for _ in operands[1:]]
        written = operands[0].written
        for name, operand in zip(operators, operands[1:], strict=True):
            written += f" {name if self.pick.random() < 0.7 else name.lower()} {operand.written}"
        return Asked(written, self.read_chain([one.test for one in operands], operators))

    def read_chain(self, tests: list[Test], operators: list[str]) -> Test:
        tests, operators = list(tests), list(operators)
        levels = (("NOT",), ("AND",), ("OR",)) if self.dialect != "pubmed" else (("NOT", "AND", "OR"),)
        for level in levels:
            place = 0
            while place < len(operators):
                if operators[place] in level:
                    tests[place : place + 2] = [self.join(operators.pop(place), tests[place], tests[place + 1])]
                else:
                    place += 1
        return tests[0]

    @staticmethod
    def join(name: str, one: Test, other: Test) -> Test:
        if name == "AND":
            return lambda r: one(r) and other(r)
        if name == "OR":
            return lambda r: one(r) or other(r)
        return lambda r: one(r) and not other(r)
