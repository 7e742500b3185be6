"""What a reference names, and which record that is."""

from contextlib import closing
from pathlib import Path

import pytest

from engine.corpus.storage.citations import (
    count_reference_lists,
    find_citing,
    list_cited_ids,
    read_references,
    resolve_references,
)
from engine.corpus.storage.store import open_database
from engine.records.abstract import Abstract
from tests.corpus.drafts import opened, origin


@pytest.mark.parametrize(
    ("reference", "ids"),
    [
        ("PMID:20023637", ("PMID:20023637",)),
        ("PMID:10.1016/j.x.2001.1", ("DOI:10.1016/j.x.2001.1",)),  # some lists of PubMed have DOIs in place of PMIDs
        ("DOI:10.1000/No.PMID", ("DOI:10.1000/no.pmid",)),
        ("DOI:10.1890/1051-0761(2003)013[0123:X]2.0.CO;2", ("DOI:10.1890/1051-0761(2003)013[0123:x]2.0.co;2",)),
        ("W2603882179", ("W2603882179",)),
        ("https://openalex.org/W2603882179", ("W2603882179",)),
        ("ALLEN JP, 1986, P NATL ACAD SCI USA, V83, DOI 10.1073/pnas.83", ("DOI:10.1073/pnas.83",)),
        ("Roe A, 2001, J, DOI [10.1/a, 10.1007/b, 10.1007/c]", ("DOI:10.1007/b", "DOI:10.1007/c")),
        ("Roe A. Knees. J. 2001. doi: 10.1007/b. PMID: 123", ("PMID:123", "DOI:10.1007/b")),
        ("Roe A, https://pubmed.ncbi.nlm.nih.gov/123/", ("PMID:123",)),
        ("WOS:000123456700001", ("WOS:000123456700001",)),
        ("DERFELD CA, 1994, BIOCHIM BIOPHYS ACTA, V1185, P193", ()),
        ("1986", ()),
        ("", ()),
    ],
)
def test_ids_are_read_as_lists_write_them(reference: str, ids: tuple[str, ...]) -> None:
    assert list_cited_ids(reference) == ids


def test_a_reference_is_looked_up_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    records = (
        Abstract("PMID:1986", "A year is no PMID", "", pmid="1986", cited_ids=("PMID:1986", "Roe, 1986, J", "W7")),
        Abstract("W7", "Seven", "", doi="10.1000/Seven", cited_ids=("PMID:2",)),
        Abstract("PMID:2", "Two", "", pmid="2", cited_ids=("DOI:10.1000/SEVEN", "W7", "Poe, doi 10.1000/seven")),
        Abstract("x", "None", ""),
    )
    with opened(path, 1) as draft:
        for record in records:
            draft.intake.put(record, origin(1))
    with closing(open_database(path)) as corpus:
        texts = ["Roe, 1986, J", "W7", "W8", "DOI:10.1000/SEVEN", "DOI:10.1890/x.2.0.CO;2", "PMID:1986"]
        assert resolve_references(corpus, texts) == {"W7": 2, "DOI:10.1000/SEVEN": 2, "PMID:1986": 1}
        assert read_references(corpus, [2, 4, 9]) == {2: ["PMID:2"]}
        assert find_citing(corpus, {1, 2, 3}) == {1: {2}, 2: {3}, 3: {2}}  # 1 cites itself, which is no citation
        assert count_reference_lists(corpus) == 3
