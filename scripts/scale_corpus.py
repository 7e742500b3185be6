"""A made-up corpus of any size for benchmarks: real sentences in a new order, as PubMed's baseline and update files.

Record i is the same in a corpus of any size, so the files of a small corpus are the first ones of a large one.
"""

import gzip
import math
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from engine.collect.source import read_source
from engine.records.abstract import Abstract

PER_FILE = 30_000  # records of a baseline file, as PubMed's
REWRITTEN, REVISED, ADDED, DELETED = 50, 50, 100, 20  # of an update: new texts, new metadata, new records, deletions
PER_UPDATE = REWRITTEN + REVISED + ADDED + DELETED
FIRST_PMID = 10_000_000
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")
_STEP = 0.6180339887  # of a corpus between two records that an update meets: spreads them evenly
_AUTHOR = "<Author><LastName>{}</LastName><ForeName>{}</ForeName></Author>"
_HEADING = '<MeshHeading><DescriptorName UI="D{:06d}" MajorTopicYN="N">{}</DescriptorName></MeshHeading>'
_RECORD = """<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM"><PMID Version="{version}">{pmid}</PMID>\
<DateRevised><Year>{day[0]}</Year><Month>{day[1]:02d}</Month><Day>{day[2]:02d}</Day></DateRevised>\
<Article PubModel="Print"><Journal><JournalIssue CitedMedium="Internet"><Volume>{volume}</Volume>\
<Issue>{issue}</Issue><PubDate><Year>{year}</Year></PubDate></JournalIssue><Title>{journal}</Title></Journal>\
<ArticleTitle>{title}</ArticleTitle><Abstract><AbstractText>{abstract}</AbstractText></Abstract>\
<AuthorList CompleteYN="Y">{authors}</AuthorList><Language>eng</Language>\
<PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType></PublicationTypeList></Article>\
<MeshHeadingList>{mesh}</MeshHeadingList></MedlineCitation>\
<PubmedData><ArticleIdList><ArticleId IdType="pubmed">{pmid}</ArticleId>\
<ArticleId IdType="doi">10.5555/scale.{pmid}</ArticleId></ArticleIdList></PubmedData></PubmedArticle>
"""


@dataclass(frozen=True, slots=True)
class Pool:
    """What records are made of. Each list is drawn from by itself."""

    titles: tuple[tuple[str, str], ...]  # first and second half
    sentences: tuple[str, ...]
    lengths: tuple[int, ...]  # sentences of an abstract
    years: tuple[int, ...]
    journals: tuple[str, ...]
    authors: tuple[tuple[str, ...], ...]
    mesh: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(records: Iterable[Abstract]) -> "Pool":
        """Return the pool of some records. A field that none of them has is made of one plain value.

        Raises:
            SystemExit: no record has a title and an abstract.
        """
        found = [record for record in records if record.title and record.abstract]
        if not found:
            raise SystemExit("no record with title and abstract in the sources. Name other files: --source FILE")
        texts = [split_sentences(record.abstract) for record in found]
        return Pool(
            titles=tuple(_halve(record.title) for record in found),
            sentences=tuple(sentence for text in texts for sentence in text),
            lengths=tuple(map(len, texts)),
            years=tuple(record.year for record in found if record.year) or (2000,),
            journals=tuple(record.journal for record in found if record.journal) or ("Journal",),
            authors=tuple(record.authors for record in found if record.authors) or (("Example, Ada",),),
            mesh=tuple(record.mesh for record in found if record.mesh) or (("Humans",),),
        )


def read_pool(sources: Sequence[Path]) -> Pool:
    """Return the pool of all records of source files."""
    return Pool.of(entry for path in sources for entry in read_source(path) if isinstance(entry, Abstract))


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text: parts that end in . ! or ? and are followed by a capital or a digit."""
    return _SENTENCE_END.split(" ".join(text.split()))


def _halve(title: str) -> tuple[str, str]:
    words = title.rstrip(".").split()
    middle = (len(words) + 1) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


def _draw_text(pool: Pool, rng: random.Random) -> tuple[str, str]:
    """Return a title of two halves and an abstract of as many sentences as a real one has."""
    title = f"{rng.choice(pool.titles)[0]} {rng.choice(pool.titles)[1]}".strip()
    return title, " ".join(rng.choice(pool.sentences) for _ in range(rng.choice(pool.lengths)))


def format_record(pool: Pool, number: int, *, text: int = 0, facts: int = 0) -> str:
    """Return a record as PubMed XML. Another `text` gives it another title and abstract, another `facts` the rest."""
    title, abstract = _draw_text(pool, random.Random(number * 4093 + text))
    rng = random.Random(-1 - number * 4093 - facts)
    version = 1 + text + facts
    names = [rng.choice(rng.choice(pool.authors)) for _ in rng.choice(pool.authors)]
    return _RECORD.format(
        version=1,
        pmid=FIRST_PMID + number,
        day=(2024 + version, 1 + version % 12, 1),
        volume=rng.randrange(1, 300),
        issue=rng.randrange(1, 13),
        year=rng.choice(pool.years),
        journal=escape(rng.choice(pool.journals)),
        title=escape(title),
        abstract=escape(abstract),
        authors="".join(map(_format_author, names)),
        mesh="".join(_HEADING.format(len(name), escape(name)) for name in rng.choice(pool.mesh)),
    )


def _format_author(name: str) -> str:
    """Return an author of "Last, First" or "First Last" as XML."""
    last, _, first = name.partition(", ") if ", " in name else (name.split()[-1], "", " ".join(name.split()[:-1]))
    return _AUTHOR.format(escape(last), escape(first))


def _write_set(path: Path, entries: Iterable[str]) -> Path:
    """Write a file of PubMed, gzipped; whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with gzip.open(part, "wt", encoding="utf-8", compresslevel=1) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet>\n')
        file.writelines(entries)
        file.write("</PubmedArticleSet>\n")
    part.rename(path)
    return path


def write_baseline(folder: Path, pool: Pool, n: int) -> Iterator[Path]:
    """Write records 0 to n - 1 in files of PER_FILE; yield each file when it is done."""
    for start in range(0, n, PER_FILE):
        records = (format_record(pool, number) for number in range(start, min(start + PER_FILE, n)))
        yield _write_set(folder / name_file(start // PER_FILE), records)


def write_update(folder: Path, pool: Pool, n: int, night: int) -> Path:
    """Write the update file of a night, counted from 0, to a corpus that began with n records.

    No record is changed or deleted twice.

    Raises:
        SystemExit: no record of the first n is left for this night.
    """
    met = choose_met(n, night)
    first = n + night * ADDED
    entries = [
        *(format_record(pool, number, text=1) for number in met[:REWRITTEN]),
        *(format_record(pool, number, facts=1) for number in met[REWRITTEN : REWRITTEN + REVISED]),
        *(format_record(pool, number) for number in range(first, first + ADDED)),
        "<DeleteCitation>",
        *(f'<PMID Version="1">{FIRST_PMID + number}</PMID>' for number in met[REWRITTEN + REVISED :]),
        "</DeleteCitation>\n",
    ]
    return _write_set(folder / name_file(-(-n // PER_FILE) + night), entries)


def choose_met(n: int, night: int) -> list[int]:
    """Return the numbers of the stored records that a night meets: changed ones, then deleted ones.

    Raises:
        SystemExit: no record of the first n is left for this night.
    """
    each = REWRITTEN + REVISED + DELETED
    if (night + 1) * each > n:
        raise SystemExit(f"{n} records suffice for {n // each} nights, asked for night {night + 1}. Ask for fewer")
    step = max(1, round(n * _STEP))
    while math.gcd(step, n) != 1:
        step += 1
    return [place * step % n for place in range(night * each, (night + 1) * each)]


def name_file(number: int) -> str:
    """Return the name of PubMed's file of this number, counted from 0."""
    return f"pubmed26n{number + 1:04d}.xml.gz"
