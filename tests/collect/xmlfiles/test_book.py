import io

import pytest

from engine.collect.xmlfiles import pubmed
from engine.records.abstract import Abstract, Deletion, Rejection

EDITORS = "<AuthorList Type='editors'><Author><LastName>Ed</LastName></Author></AuthorList>"
AUTHORS = (
    "<AuthorList Type='authors'><Author><LastName>Roe</LastName><ForeName>Jo</ForeName>"
    "<Identifier Source='ORCID'>0000-0002-1825-0097</Identifier></Author></AuthorList>"
)
BOOK = "<Book><BookTitle>The <i>Book</i></BookTitle><PubDate><Year>1993</Year></PubDate>{more}</Book>"
CHAPTER = """<PubmedBookArticle><BookDocument><PMID Version="2">20301623</PMID>
<ArticleIdList><ArticleId IdType="bookaccession">NBK1</ArticleId>{ids}</ArticleIdList>{book}{title}
<Language>eng</Language>{authors}<PublicationType UI="D016454">Review</PublicationType>
<Abstract><AbstractText Label="AIM">Gout.</AbstractText><CopyrightInformation>(c)</CopyrightInformation></Abstract>
<KeywordList><Keyword>uric acid</Keyword></KeywordList><ContributionDate><Year>2001</Year></ContributionDate>
<DateRevised><Year>2020</Year><Month>3</Month><Day>9</Day></DateRevised>
<ReferenceList><Reference><ArticleIdList><ArticleId IdType="doi">10.1/cited</ArticleId></ArticleIdList></Reference>
</ReferenceList></BookDocument><PubmedBookData><ArticleIdList>{data}</ArticleIdList></PubmedBookData></PubmedBookArticle>"""


def read(xml: str) -> list[object]:
    return list(pubmed.read(io.BufferedReader(io.BytesIO(xml.encode())), "books.xml"))


def chapter(**parts: str) -> Abstract:
    empty = {"ids": "", "book": BOOK.format(more=EDITORS), "title": "<ArticleTitle>T</ArticleTitle>", "data": ""}
    (found,) = read(
        f"<PubmedBookArticleSet>{CHAPTER.format(**{**empty, 'authors': AUTHORS, **parts})}</PubmedBookArticleSet>"
    )
    assert isinstance(found, Abstract)
    return found


def test_a_chapter_is_read_whole() -> None:
    assert chapter() == Abstract(
        record_id="PMID:20301623",
        title="T",
        abstract="AIM: Gout.",
        year=1993,
        journal="The Book",
        authors=("Jo Roe",),
        pmid="20301623",
        publication_types=("Review",),
        keywords=("uric acid",),
        languages=("eng",),
        orcids=("0000-0002-1825-0097",),
        databases=("PubMed",),
        rights="(c)",
        version=2,
        revised="2020-03-09",
    )


def test_a_document_without_a_title_is_the_book() -> None:
    found = chapter(title="", authors="", book=BOOK.format(more=EDITORS + AUTHORS))
    assert (found.title, found.journal, found.authors) == ("The Book", "The Book", ("Jo Roe",))


def test_editors_are_not_authors() -> None:
    assert chapter(authors=EDITORS).authors == ()


def test_doi_is_its_own_or_else_of_the_list_beside_it() -> None:
    own, beside = (f'<ArticleId IdType="doi">10.1/{name}</ArticleId>' for name in ("own", "beside"))
    assert chapter(ids=own, data=beside).doi == "10.1/own"
    assert chapter(data=beside).doi == "10.1/beside"
    assert chapter().doi is None


def test_year_of_the_contribution_where_the_book_has_none() -> None:
    assert chapter(book="<Book><BookTitle>B</BookTitle></Book>").year == 2001


@pytest.mark.parametrize("inside", ["", "<BookDocument/>", "<BookDocument><PMID>0</PMID></BookDocument>"])
def test_a_chapter_without_text_is_rejected(inside: str) -> None:
    (found,) = read(f"<PubmedArticleSet><PubmedBookArticle>{inside}</PubmedBookArticle></PubmedArticleSet>")
    assert isinstance(found, Rejection)
    assert found.reason == "neither title nor abstract, so there is nothing to search"


def test_deleted_documents_are_deletions() -> None:
    xml = "<PubmedBookArticleSet><DeleteDocument><PMID>7</PMID></DeleteDocument></PubmedBookArticleSet>"
    assert read(xml) == [Deletion("PMID:7")]
