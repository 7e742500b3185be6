import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collect.xmlfiles import pubmed
from engine.records.abstract import Abstract, Entry, Notice, Rejection

ARTICLE = """<PubmedArticle><MedlineCitation>{pmid}{revised}<Article><Journal>
<JournalIssue><PubDate>{date}</PubDate></JournalIssue><Title>Invented J</Title></Journal>
<ArticleTitle>{title}</ArticleTitle>{article}</Article>{citation}</MedlineCitation><PubmedData>{data}</PubmedData>
</PubmedArticle>"""
PARTS = {"pmid": "<PMID>123</PMID>", "date": "<Year>2018</Year>", "title": "T"}


def read(xml: str) -> list[Entry]:
    return list(pubmed.read(io.BufferedReader(io.BytesIO(xml.encode())), "pubmed.xml"))


def one(**parts: str) -> Abstract:
    empty = dict.fromkeys(("revised", "article", "citation", "data"), "")
    found = read(f"<PubmedArticleSet>{ARTICLE.format(**{**empty, **PARTS, **parts})}</PubmedArticleSet>")[-1]
    assert isinstance(found, Abstract)
    return found


def authors(*each: str) -> str:
    return f"<AuthorList>{''.join(each)}</AuthorList>"


def person(last: str, more: str = "", **attributes: str) -> str:
    given = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return f"<Author{given}><LastName>{last}</LastName><ForeName>Ana</ForeName>{more}</Author>"


def orcid(value: str) -> str:
    return f"<Identifier Source='ORCID'>{value}</Identifier>"


def abstract(text: str) -> str:
    return f"<Abstract><AbstractText>{text}</AbstractText></Abstract>"


def other(text: str, attributes: str) -> str:
    return f"<OtherAbstract {attributes}><AbstractText>{text}</AbstractText></OtherAbstract>"


def links(*types: str) -> str:
    each = (f"<CommentsCorrections RefType='{kind}'><PMID>999</PMID></CommentsCorrections>" for kind in types)
    return f"<CommentsCorrectionsList>{''.join(each)}</CommentsCorrectionsList>"


def types(*each: str) -> str:
    return f"<PublicationTypeList>{''.join(each)}</PublicationTypeList>"


def named(name: str, ui: str = "") -> str:
    return f"<PublicationType UI='{ui}'>{name}</PublicationType>"


@pytest.mark.parametrize(
    ("pmid", "version"),
    [("<PMID Version='3'>1</PMID>", 3), ("<PMID>1</PMID>", 1), ("<PMID Version='x'>1</PMID>", 1)],
)
def test_version(pmid: str, version: int) -> None:
    assert one(pmid=pmid).version == version


@pytest.mark.parametrize(
    ("date", "revised"),
    [
        ("<Year>2015</Year>\n<Month>12</Month>\n<Day>6</Day>", "2015-12-06"),
        ("<Year>2015</Year><Month>Dec</Month><Day>06</Day>", "2015-12-06"),
        ("<Year>2015</Year><Month>2</Month><Day>30</Day>", "2015-02"),  # no such day
        ("<Year>2015</Year><Month>02</Month>", "2015-02"),
        ("<Year>2015</Year>", "2015"),
        ("<Month>02</Month>", ""),
        ("", ""),
    ],
)
def test_revised(date: str, revised: str) -> None:
    assert one(revised=f"<DateRevised>{date}</DateRevised>").revised == revised


def test_revised_is_empty_without_a_date() -> None:
    assert one(citation="<DateCompleted><Year>2001</Year></DateCompleted>").revised == ""


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", 1998),
        ("<MedlineDate>Winter 2001</MedlineDate>", 2001),
        ("<MedlineDate>2000 Spring-Summer</MedlineDate>", 2000),
        ("<MedlineDate>n.d.</MedlineDate>", None),
        ("<Year>2018</Year><Month>Mar</Month>", 2018),
    ],
)
def test_year_is_the_first(date: str, year: int | None) -> None:
    assert one(date=date).year == year


def test_year_of_the_electronic_article_only_where_the_issue_has_none() -> None:
    electronic = "<ArticleDate><Year>2017</Year></ArticleDate>"
    assert one(article=electronic).year == 2018
    assert one(date="<Season>Spring</Season>", article=electronic).year == 2017


@pytest.mark.parametrize(
    "title",
    ["[Not Available].", "[Not Available]", "Not Available.", "[not available.]", "[In Process Citation]", "", " \n "],
)
def test_a_title_that_is_not_there(title: str) -> None:
    vernacular = "<VernacularTitle>Ein <i>Titel</i>.</VernacularTitle>"
    found = one(title=title, article=vernacular)
    assert (found.title, found.vernacular_title) == ("Ein Titel.", "Ein Titel.")
    assert one(title=title, article=abstract("a")).title == ""


@pytest.mark.parametrize("title", ["[Effect of gold].", "[Not Available in Europe].", "Gold [Not Available]."])
def test_other_titles_stay_as_they_came(title: str) -> None:
    found = one(title=title, article="<VernacularTitle>Gold.</VernacularTitle>")
    assert (found.title, found.vernacular_title) == (title, "Gold.")


def test_other_abstracts_are_led_by_what_they_are() -> None:
    found = one(
        article=abstract("own"),
        citation=other("un <i>deux</i>", "Language='fre' Type='Publisher'")
        + other("plain", "Type='plain-language-summary' Language='eng'")
        + other("llano", "Type='plain-language-summary' Language='spa'")
        + other("more", "Type='Publisher'")
        + other("", "Type='NASA'"),
    )
    assert found.abstract == "own"
    assert found.other_abstracts == (
        "[fre] un deux",
        "[plain-language-summary] plain",
        "[plain-language-summary, spa] llano",
        "[Publisher] more",
    )


def test_an_english_other_abstract_stands_in_for_a_missing_one() -> None:
    given = other("un", "Language='fre' Type='Publisher'") + other("one", "Type='AIDS'") + other("two", "Type='KIE'")
    found = one(citation=given)
    assert (found.abstract, found.other_abstracts) == ("one", ("[fre] un", "[KIE] two"))


def test_a_placeholder_or_another_language_does_not_stand_in() -> None:
    withheld = "Abstract available from the publisher."
    found = one(citation=other(withheld, "Type='Publisher'") + other("un", "Language='fre' Type='Publisher'"))
    assert (found.abstract, found.other_abstracts) == ("", (f"[Publisher] {withheld}", "[fre] un"))


def test_copyright_and_categories_are_not_part_of_the_abstract() -> None:
    found = one(
        article="<Abstract><AbstractText Label='AIM' NlmCategory='OBJECTIVE'>a</AbstractText>"
        "<AbstractText NlmCategory='UNASSIGNED'>b</AbstractText>"
        "<CopyrightInformation>Copyright 2018</CopyrightInformation></Abstract>"
    )
    assert found.abstract == "AIM: a\nb"


def test_words_of_an_abstract_outside_its_sections_are_kept() -> None:
    assert one(article="<Abstract>bare<AbstractText>a</AbstractText></Abstract>").abstract == "bare\na"


def test_comments_and_cdata_are_no_seams() -> None:
    found = one(title="a<!-- c -->b<?p i?>c<![CDATA[ < d]]>", article=authors(person("Sm<!-- c -->ith")))
    assert (found.title, found.authors) == ("abc < d", ("Ana Smith",))


def test_orcids_stand_beside_their_authors() -> None:
    found = one(
        article=authors(
            person("A", orcid("0000-0002-1825-0097")),
            person("B"),
            person("C", orcid("https://orcid.org/0000-0002-1694-233x")),
            person("D", orcid(" http://orcid.org/0000 0001 5109 3700 ")),
            person("E", orcid("0000000218250097")),
            person("F", "<Identifier Source='GRID'>0000-0003-0000-0000</Identifier>"),
            person("G", orcid("0000-0002-1825")),
        )
    )
    assert found.orcids == (
        *("0000-0002-1825-0097", "", "0000-0002-1694-233X", "0000-0001-5109-3700", "0000-0002-1825-0097", "", ""),
    )
    assert len(found.orcids) == len(found.authors)
    assert one(article=authors(person("A"), person("B"))).orcids == ()


def test_authors_in_their_places() -> None:
    found = one(
        article=authors(
            person("King", "<Initials>A</Initials><Suffix>Jr</Suffix>"),
            person("Wrong", orcid("0000-0001-0000-0001"), ValidYN="N"),
            "<Author ValidYN='Y'><CollectiveName>The <i>TOY</i> Group</CollectiveName></Author>",
            "<Author><LastName>Li</LastName><Initials>XY</Initials></Author>",
            "<Author><LastName>Plato</LastName></Author>",
            "<Author><AffiliationInfo><Affiliation>Nobody's</Affiliation></AffiliationInfo></Author>",
        )
    )
    assert found.authors == ("Ana King Jr", "The TOY Group", "XY Li", "Plato")
    assert found.orcids == ()


def test_keywords_languages_and_mesh() -> None:
    found = one(
        article="<Language>eng</Language><Language>fre</Language>",
        citation="<KeywordList Owner='NOTNLM'><Keyword MajorTopicYN='Y'>gout</Keyword><Keyword>\n IL-<i>1</i>\n</Keyword>"
        "</KeywordList><KeywordList Owner='KIE'><Keyword>ethics</Keyword><Keyword/></KeywordList><MeshHeadingList>"
        "<MeshHeading><DescriptorName>Gout</DescriptorName><QualifierName>therapy</QualifierName></MeshHeading>"
        "</MeshHeadingList><ChemicalList><Chemical><NameOfSubstance>Gold</NameOfSubstance></Chemical></ChemicalList>",
    )
    assert (found.keywords, found.languages, found.mesh) == (("gout", "IL-1", "ethics"), ("eng", "fre"), ("Gout",))


@pytest.mark.parametrize(
    ("kind", "retracted", "notices"),
    [
        (named("any", "D016441"), True, ()),
        (named("Retracted Publication"), True, ()),
        (named("any", "D016440"), False, (Notice.IS_RETRACTION,)),
        (named("Retraction of Publication"), False, (Notice.IS_RETRACTION,)),
        (named("Retraction Notice"), False, (Notice.IS_RETRACTION,)),
        (named("any", "D016425"), False, (Notice.IS_ERRATUM,)),
        (named("Published Erratum"), False, (Notice.IS_ERRATUM,)),
        (named("any", "D000075742"), False, (Notice.IS_CONCERN,)),
        (named("Expression of Concern"), False, (Notice.IS_CONCERN,)),
        (named("Journal Article", "D016428"), False, ()),
    ],
)
def test_publication_types_tell_retractions_and_notices(kind: str, retracted: bool, notices: tuple[Notice]) -> None:
    found = one(article=types(kind))
    assert (found.retracted, found.notices) == (retracted, notices)


@pytest.mark.parametrize(
    ("link", "retracted", "notices"),
    [
        ("RetractionIn", True, ()),
        ("RetractionOf", False, (Notice.IS_RETRACTION,)),
        ("ErratumIn", False, (Notice.HAS_ERRATUM,)),
        ("ErratumFor", False, (Notice.IS_ERRATUM,)),
        ("ExpressionOfConcernIn", False, (Notice.HAS_CONCERN,)),
        ("ExpressionOfConcernFor", False, (Notice.IS_CONCERN,)),
        ("PartialRetractionIn", False, (Notice.PARTLY_RETRACTED,)),
        ("PartialRetractionOf", False, (Notice.IS_ERRATUM,)),
        ("CorrectedandRepublishedIn", False, (Notice.REPUBLISHED,)),
        ("CorrectedandRepublishedFrom", False, ()),
        ("RetractedandRepublishedIn", True, (Notice.REPUBLISHED,)),
        ("RetractedandRepublishedFrom", False, ()),
        ("RepublishedIn", False, ()),
        ("Cites", False, ()),
        ("CommentIn", False, ()),
    ],
)
def test_links_tell_retractions_and_notices(link: str, retracted: bool, notices: tuple[Notice]) -> None:
    found = one(citation=links(link))
    assert (found.retracted, found.notices) == (retracted, notices)


def test_notices_are_sorted_and_each_is_there_once() -> None:
    found = one(
        article=types(named("Published Erratum", "D016425")),
        citation=links("ErratumFor", "ErratumIn", "ErratumIn", "ExpressionOfConcernIn"),
    )
    assert found.notices == ("has an erratum", "has an expression of concern", "is an erratum")
    assert {type(notice) for notice in found.notices} == {str}


def test_ids_of_other_works_are_not_its_own() -> None:
    cited = (
        "<ReferenceList><Reference><ArticleIdList><ArticleId IdType='doi'>10.1/cited</ArticleId></ArticleIdList>"
        "</Reference></ReferenceList>"
    )
    found = one(citation=links("Cites", "CommentOn"), data=cited)
    assert (found.pmid, found.record_id, found.doi) == ("123", "PMID:123", None)
    own = "<ArticleIdList><ArticleId IdType='pii'>10.1/pii</ArticleId><ArticleId IdType='doi'>10.1/own</ArticleId></ArticleIdList>"
    assert one(data=cited + own).doi == "10.1/own"


def test_doi_of_the_location_unless_it_is_marked_wrong_or_none() -> None:
    own = "<ArticleIdList><ArticleId IdType='doi'>10.1/list</ArticleId></ArticleIdList>"

    def place(value: str, valid: str = "Y", kind: str = "doi") -> str:
        return f"<ELocationID EIdType='{kind}' ValidYN='{valid}'>{value}</ELocationID>"

    assert one(article=place("10.1/pii", kind="pii") + place("10.1/place"), data=own).doi == "10.1/place"
    assert one(article=place("10.1/wrong", "N"), data=own).doi == "10.1/list"
    assert one(article=place("none") + place("10.1/second"), data=own).doi == "10.1/second"


def test_a_journal_without_a_title_has_its_abbreviation() -> None:
    article = ARTICLE.replace("<Title>Invented J</Title>", "{iso}")
    empty = dict.fromkeys(("revised", "article", "data"), "")
    medline = "<MedlineJournalInfo><MedlineTA>Inv J</MedlineTA></MedlineJournalInfo>"
    for iso, name in (("<ISOAbbreviation>Inv. J.</ISOAbbreviation>", "Inv. J."), ("", "Inv J")):
        (found,) = read(article.format(**empty, **PARTS, citation=medline, iso=iso))
        assert isinstance(found, Abstract)
        assert found.journal == name


def test_a_record_of_another_language_alone_has_nothing_to_search() -> None:
    xml = "<MedlineCitation><PMID>5</PMID>" + other("un", "Language='fre' Type='Publisher'") + "</MedlineCitation>"
    (found,) = read(xml)
    assert isinstance(found, Rejection)
    assert found.reason == "neither title nor abstract, so there is nothing to search"


def escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def wrapped(node: tuple[str, list[tuple[str, str]]]) -> tuple[str, str]:
    tag, inner = node
    space = " xmlns:mml='m'" if tag.startswith("mml") else ""
    return f"<{tag}{space}>{''.join(xml for xml, _ in inner)}</{tag}>", "".join(words for _, words in inner)


WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], include_characters="<>&\n\t "), max_size=12)
TAGS = st.sampled_from(["i", "b", "sub", "sup", "u", "mml:math", "mml:mi", "mml:mrow"])
MIXED = st.recursive(
    WORDS.map(lambda words: (escaped(words), words)),
    lambda inner: st.tuples(TAGS, st.lists(inner, max_size=4)).map(wrapped),
    max_leaves=12,
)


@given(st.lists(MIXED, min_size=1, max_size=5), st.booleans())
def test_mixed_content_comes_out_whole(nodes: list[tuple[str, str]], in_title: bool) -> None:
    xml, words = (f"x{''.join(node[n] for node in nodes)}y" for n in (0, 1))  # x, y: ends that are not layout
    found = one(title=xml) if in_title else one(article=abstract(xml))
    assert (found.title if in_title else found.abstract) == re.sub(r"[ \t]*\n[ \t\n]*", " ", words)


def test_what_citations_need_comes_out() -> None:
    journal = (
        "<Journal><ISSN IssnType='Print'>1234-567X</ISSN><JournalIssue><Volume>12</Volume><Issue>3</Issue>"
        "<PubDate><Year>2018</Year><Month>Mar</Month></PubDate></JournalIssue><Title>Invented\n J</Title></Journal>"
    )
    found = read(
        f"<PubmedArticle><MedlineCitation><PMID>1</PMID><Article>{journal}<ArticleTitle>T</ArticleTitle><Pagination>"
        "<MedlinePgn>335-9</MedlinePgn></Pagination><ELocationID EIdType='pii'>S1</ELocationID>"
        "<ELocationID EIdType='doi'>10.1/x</ELocationID><Abstract><AbstractText>A</AbstractText>"
        "<CopyrightInformation>\u00a9 2018 Press.</CopyrightInformation></Abstract><AuthorList>"
        + person("Roe", "<AffiliationInfo><Affiliation>Clinic <i>B</i></Affiliation></AffiliationInfo>")
        + person("Poe", "<AffiliationInfo><Affiliation>Clinic B</Affiliation></AffiliationInfo>")
        + "</AuthorList><GrantList><Grant><GrantID>R01</GrantID><Agency>NIH</Agency></Grant></GrantList>"
        "<DataBankList><DataBank><DataBankName>ClinicalTrials.gov</DataBankName><AccessionNumberList>"
        "<AccessionNumber>NCT1</AccessionNumber></AccessionNumberList></DataBank></DataBankList></Article>"
        "<MedlineJournalInfo><Country>England</Country><ISSNLinking>7654-3210</ISSNLinking></MedlineJournalInfo>"
        "<ChemicalList><Chemical><RegistryNumber>0</RegistryNumber><NameOfSubstance>Ethanol</NameOfSubstance>"
        "</Chemical></ChemicalList><CommentsCorrectionsList><CommentsCorrections RefType='Cites'><RefSource>S"
        "</RefSource><PMID>7</PMID></CommentsCorrections><CommentsCorrections RefType='CommentIn'><RefSource>Lancet"
        "</RefSource><PMID>8</PMID></CommentsCorrections></CommentsCorrectionsList><CoiStatement>None.</CoiStatement>"
        "<GeneralNote>A note</GeneralNote></MedlineCitation><PubmedData><ArticleIdList>"
        "<ArticleId IdType='pmc'>PMC9</ArticleId></ArticleIdList><ReferenceList><Reference><Citation>C1</Citation>"
        "<ArticleIdList><ArticleId IdType='doi'>10.1/c</ArticleId><ArticleId IdType='pubmed'>5</ArticleId>"
        "</ArticleIdList></Reference><Reference><Citation>C2</Citation><ArticleIdList><ArticleId IdType='doi'>10.1/d"
        "</ArticleId></ArticleIdList></Reference><Reference><Citation>C3 <i>x</i></Citation></Reference>"
        "</ReferenceList></PubmedData></PubmedArticle>"
    )
    assert found == [
        Abstract(
            record_id="PMID:1",
            title="T",
            abstract="A",
            year=2018,
            journal="Invented J",
            authors=("Ana Roe", "Ana Poe"),
            pmid="1",
            doi="10.1/x",
            volume="12",
            issue="3",
            pages="335-9",
            issns=("1234-567X", "7654-3210"),
            published="2018-03",
            place="England",
            pmcid="PMC9",
            affiliations=("Clinic B",),
            cited_ids=("PMID:7", "PMID:5", "DOI:10.1/d", "C3 x"),
            databases=("PubMed",),
            notes=("A note",),
            rights="\u00a9 2018 Press.",
            other_tags=(
                "PubMed ELocationID: S1",
                "PubMed Grant: R01",
                "PubMed DataBank: NCT1",
                "PubMed Chemical: Ethanol",
                "PubMed CoiStatement: None.",
                "PubMed CommentIn: Lancet PMID: 8",
            ),
        )
    ]


@pytest.mark.parametrize(
    ("date", "published"),
    [
        ("<Year>2018</Year><Month>Mar</Month><Day>5</Day>", "2018-03-05"),
        ("<Year>2018</Year><Month>02</Month><Day>30</Day>", "2018-02"),
        ("<Year>2018</Year>", ""),
        ("<Year>2018</Year><Season>Spring</Season>", ""),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", "1998-12"),
    ],
)
def test_published_is_as_exact_as_the_source(date: str, published: str) -> None:
    assert one(date=date).published == published


def test_published_is_the_electronic_date_of_the_same_year_only() -> None:
    electronic = "<ArticleDate><Year>{}</Year><Month>11</Month><Day>02</Day></ArticleDate>"
    assert one(article=electronic.format(2018)).published == "2018-11-02"
    assert one(article=electronic.format(2017)).published == ""


def test_investigators_stand_in_for_missing_authors_only() -> None:
    listed = "<InvestigatorList><Investigator><LastName>Poe</LastName><Initials>A</Initials></Investigator></InvestigatorList>"
    assert one(citation=listed).authors == ("A Poe",)
    assert one(citation=listed, article=authors(person("Roe"))).authors == ("Ana Roe",)
