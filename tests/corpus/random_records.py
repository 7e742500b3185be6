"""Hypothesis strategies for records that differ in the filtered fields, and for filter values."""

from hypothesis import strategies as st

from engine.corpus.selection.languages import _SPELLINGS
from engine.records.abstract import Abstract

NAMES = (
    "Gout", "gout", "GOUT", "Gout, Tophaceous", "Lancet", "The Lancet", "A%b", "A_b", "Axb", "A!b", "A\\b", "HLA-B*27",
    "O'Brien", 'a "quoted" name', "'; DROP TABLE abstracts; --", "Ärzte", "ärzte", "关节炎", "[1]", "none", "and", "?", "ß",
)  # fmt: skip
PEOPLE = (
    "Smith, John", "John Smith", "Smith JA", "Smith-Jones, Ann", "Jones, A.B.", "J. Smithson", "O'Brien, Pat", "Béla Example",
    "The Gout_Group", "de la Cruz, J", "100% Group", "Li", "Jo",
)  # fmt: skip
BEGINNINGS = (
    "smith", "smith j", "j smith", "SMITH, J.", "jones", "jones a b", "smith-jones", "a", "o'b", "béla", "gout_", "gout%",
    "cruz de", "smi jo", "zz", "100%", "li", "'", '"',
)  # fmt: skip
LANGUAGES = tuple(spelling for group in _SPELLINGS[:3] for spelling in group) + ("und", "mul", "ENG", "GERMAN")
TEXTS = ("", " ", "\u2009\n", "Gout in 100% of men", "gout_in men", "A 'study' of \"gout\"", "É", "é!", "x", "関節")
URLS = (
    "https://pubmed.ncbi.nlm.nih.gov/5/", "HTTPS://DOI.ORG/10.1/a", "https://www.ncbi.nlm.nih.gov/pubmed/5", "https://example.org/5.pdf",
)  # fmt: skip
FILES = (("a.xml", "PubMed XML"), ("B_1.nbib", "MEDLINE"), ("b%1.csv", "table"), ("a.xml.gz", "JSONL"))


def lists(words: tuple[str, ...], most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=most).map(tuple)


abstracts = st.builds(
    Abstract,
    record_id=st.sampled_from([f"r{n}" for n in range(9)] + ["7", "PMID:5", "10.1/A"]),
    title=st.sampled_from([text for text in TEXTS if text.strip()]),
    abstract=st.sampled_from(TEXTS),
    year=st.none() | st.integers(1998, 2004) | st.sampled_from((-1, 0, 2**63 - 1, -(2**63))),
    journal=st.just("") | st.sampled_from(NAMES),
    authors=lists(PEOPLE),
    pmid=st.none() | st.sampled_from(("5", "6", "7")),
    doi=st.none() | st.sampled_from(("10.1/a", "10.1/A", "10.2/b_c", "10.3/x%")),
    mesh=lists(NAMES),
    publication_types=lists(NAMES),
    retracted=st.booleans(),
    keywords=lists(NAMES),
    languages=lists(LANGUAGES, 2),
    databases=lists(NAMES, 2),
    labels=lists(NAMES, 2),
    notes=lists(NAMES, 2),
    pmcid=st.sampled_from(("", "", "PMC1")),
    urls=lists(URLS, 2),
)


@st.composite
def files(draw: st.DrawFn) -> list[tuple[str, str, list[Abstract]]]:
    """Generate files of records with unique ids; some share a PMID or DOI and are merged."""
    rows = draw(st.lists(abstracts, max_size=10, unique_by=lambda row: row.record_id))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), min_size=1, max_size=2)))
    chosen = draw(st.permutations(FILES))[: len(cuts) + 1]
    parts = [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    return [(name, kind, part) for (name, kind), part in zip(chosen, parts, strict=True)]


@st.composite
def starred(draw: st.DrawFn, words: tuple[str, ...]) -> str:
    """Generate variants of a word: in another case, cut, or with stars."""
    word = draw(st.sampled_from(words))
    word = draw(st.sampled_from((word, word.upper(), word.lower())))
    start, end = draw(st.integers(0, len(word))), draw(st.integers(0, len(word)))
    return draw(st.sampled_from((word, word, f"{word[:start]}*{word[max(start, end) :]}", f"*{word[:end]}*")))


odd = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=6) | st.sampled_from(
    ("\udc80", "'", '"', "\\", "%", "_", "''; --")
)
names = starred(NAMES) | odd.filter(str.strip)
beginnings = st.sampled_from(BEGINNINGS)
languages = st.sampled_from(LANGUAGES) | names
sources = starred(tuple(part for file in FILES for part in file)) | names
keys = st.sampled_from(
    ("r1", " r2 ", "R1", "7", "PMID:7", "pmid: 5", "PMID:5", "6", "10.1/a", "doi:10.1/A", "DOI: 10.2/B_c", "zzz", "",
     "https://doi.org/10.3/X%", "http://dx.doi.org/10.1/a", "10.3/%", "10.2/b*", "'; DROP TABLE abstracts; --", "\udc80", "\0", "7\0")
)  # fmt: skip
years = st.tuples(st.none() | st.integers(1997, 2005), st.none() | st.integers(1997, 2005)).map(
    lambda span: span if None in span else tuple(sorted(span))  # type: ignore[type-var]
) | st.sampled_from(
    (
        (None, None),
        (-(2**70), 2**70),
        (2**63, None),
        (None, -(2**63)),
        (2**63 - 1, None),
        (-(10**5000), None),
        (10**5000, None),
    )
)
