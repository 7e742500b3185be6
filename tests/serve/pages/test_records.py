"""The page of a record: what it has in common with its neighbours, and what it cites."""

import pytest

from engine.records.abstract import Abstract
from engine.serve.pages.records import _list_shared

RECORD = Abstract(
    "PMID:1", "T", "", pmid="1", authors=("Marlow, Jo", "None Editor"), mesh=("Gout", "Uric Acid", "Humans", "Knee"),
    cited_ids=("PMID:2", "DOI:10.1/x"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Abstract("a", "U", ""), ""),
        (Abstract("a", "U", "", mesh=("gout",)), "1 MeSH heading in common: Gout"),
        (Abstract("a", "U", "", mesh=RECORD.mesh), "4 MeSH headings in common: Gout, Uric Acid, Humans, …"),
        (Abstract("PMID:2", "U", "", pmid="2"), "cited by this record"),
        (Abstract("a", "U", "", doi="10.1/x", authors=RECORD.authors), "cited by this record; 1 author in common: Marlow, Jo"),
        (Abstract("a", "U", "", cited_ids=("PMID:1",)), "cites this record"),
    ],
)  # fmt: skip
def test_neighbours_say_what_they_have_in_common(other: Abstract, said: str) -> None:
    assert "; ".join(_list_shared(RECORD, other)) == said
