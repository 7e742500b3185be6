import gzip
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from lxml import etree

from engine.collect.source import read_source
from engine.collect.xmlfiles import pubmed
from engine.errors import SourceError
from engine.records.abstract import Abstract, Deletion, Entry, Rejection, Remark

ARTICLE = """<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article>
<Journal><JournalIssue><PubDate>{date}</PubDate></JournalIssue><Title>Invented J</Title></Journal>
<ArticleTitle>{title}</ArticleTitle><Abstract>{abstract}</Abstract>{more}</Article>{after}</MedlineCitation>
<PubmedData><ArticleIdList><ArticleId IdType="doi">10.1/own</ArticleId></ArticleIdList>
<ReferenceList><Reference><ArticleIdList><ArticleId IdType="pubmed">777</ArticleId>
<ArticleId IdType="doi">10.1/cited</ArticleId></ArticleIdList></Reference></ReferenceList></PubmedData></PubmedArticle>"""


def article(**parts: str) -> str:
    given = {"pmid": "123", "date": "<Year>2018</Year>", "title": "T", "abstract": "", "more": "", "after": ""}
    return ARTICLE.format(**{**given, **parts})


def read(path: Path, *articles: str, head: str = '<?xml version="1.0"?>\n') -> list[Entry]:
    path.write_text(f"{head}<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>", encoding="utf-8")
    return list(read_source(path))


def one(path: Path, **parts: str) -> Abstract:
    (found,) = read(path, article(**parts))
    assert isinstance(found, Abstract)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "pubmed.xml"


def test_inline_markup_is_kept_as_text(source: Path) -> None:
    found = one(
        source,
        title="Role of <i>HLA-B</i>*27 in <b>Ca<sup>2+</sup></b> and CO<sub>2</sub>",
        abstract="<AbstractText>Vitamin D<sub>3</sub> and <mml:math xmlns:mml='m'><mml:mi>x</mml:mi></mml:math> &lt; 5.</AbstractText>",
    )
    assert found.title == "Role of HLA-B*27 in Ca2+ and CO2"
    assert found.abstract == "Vitamin D3 and x < 5."


def test_labelled_sections_come_in_order(source: Path) -> None:
    text = '<AbstractText Label="AIM">a</AbstractText><AbstractText Label="UNLABELLED">b</AbstractText><AbstractText/>'
    assert one(source, abstract=text).abstract == "AIM: a\nb"


def test_pretty_printed_layout_is_one_space(source: Path) -> None:
    assert one(source, abstract="<AbstractText>\n\t a \n\t <i>b</i>\n c\n</AbstractText>").abstract == "a b c"


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("<Year>2018</Year>", 2018),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", 1998),
        ("<MedlineDate>Spring 2004</MedlineDate>", 2004),
        ("<Season>Spring</Season>", None),
    ],
)
def test_year(source: Path, date: str, year: int | None) -> None:
    assert one(source, date=date).year == year


def test_own_ids_and_not_those_of_references(source: Path) -> None:
    found = one(source)
    assert (found.record_id, found.pmid, found.doi) == ("PMID:123", "123", "10.1/own")
    place = (
        '<ELocationID EIdType="doi" ValidYN="N">10.1/old</ELocationID><ELocationID EIdType="doi">10.1/new</ELocationID>'
    )
    assert one(source, more=place).doi == "10.1/new"


def test_authors_mesh_and_types(source: Path) -> None:
    found = one(
        source,
        more="<AuthorList><Author><LastName>Núñez</LastName><ForeName>Ana M</ForeName></Author>"
        "<Author><CollectiveName>TOY Group</CollectiveName></Author><Author><LastName>Li</LastName><Initials>X</Initials>"
        "</Author></AuthorList><PublicationTypeList><PublicationType UI='D016428'>Journal Article</PublicationType>"
        "</PublicationTypeList>",
        after="<MeshHeadingList><MeshHeading><DescriptorName>Gout</DescriptorName><QualifierName>x</QualifierName>"
        "</MeshHeading></MeshHeadingList>",
    )
    assert found.authors == ("Ana M Núñez", "TOY Group", "X Li")
    assert (found.mesh, found.publication_types, found.retracted) == (("Gout",), ("Journal Article",), False)


@pytest.mark.parametrize(
    ("parts", "retracted"),
    [
        (
            {
                "more": "<PublicationTypeList><PublicationType UI='D016441'>Retracted Publication</PublicationType></PublicationTypeList>"
            },
            True,
        ),
        (
            {
                "after": "<CommentsCorrectionsList><CommentsCorrections RefType='RetractionIn'/></CommentsCorrectionsList>"
            },
            True,
        ),
        (
            {
                "after": "<CommentsCorrectionsList><CommentsCorrections RefType='RetractionOf'/></CommentsCorrectionsList>"
            },
            False,
        ),
        (
            {
                "more": "<PublicationTypeList><PublicationType UI='D016440'>Retraction of Publication</PublicationType></PublicationTypeList>"
            },
            False,
        ),
    ],
)
def test_the_retracted_work_is_flagged_and_not_its_notice(source: Path, parts: dict[str, str], retracted: bool) -> None:
    assert one(source, **parts).retracted is retracted


def test_deletions_and_unusable_records(source: Path) -> None:
    found = read(
        source,
        article(pmid="0"),
        article(pmid="12a"),
        article(pmid="5", title="", abstract="<AbstractText/>"),
        "<PubmedBookArticle/>",
        article(pmid="6"),
        "<DeleteCitation><PMID Version='1'>7</PMID><PMID>8</PMID></DeleteCitation>",
    )
    expected = [Remark, Abstract] * 2 + [Rejection] * 2 + [Abstract] + [Deletion] * 2
    assert [type(entry) for entry in found] == expected
    assert found[0] == Remark("invalid PMID, ignored", "record 1 (PMID 0)")
    assert isinstance(found[1], Abstract) and found[1].pmid is None and not found[1].record_id.startswith("PMID:")
    assert "neither title nor abstract" in str(found[4])
    assert found[-1] == Deletion("PMID:8")


def test_malformed_xml_names_line_column_and_records_before(source: Path) -> None:
    source.write_text(f"<PubmedArticleSet>\n{article() * 200}\n<PubmedArticle></oops>", encoding="utf-8")
    with pytest.raises(SourceError, match=r"not well-formed XML at line \d+, column \d+, after \d+ records"):
        list(read_source(source))


def test_memory_does_not_grow_with_the_file(source: Path) -> None:
    body = "<AbstractText>" + "word " * 400 + "</AbstractText>"
    peaks = []
    for n_articles in (100, 10_000):
        with source.open("w") as file:
            file.write("<PubmedArticleSet>")
            file.writelines(article(pmid=str(n), abstract=body) for n in range(1, n_articles + 1))
            file.write("</PubmedArticleSet>")
        peaks.append(peak_mib(source, n_articles))
    assert peaks[1] - peaks[0] < 8  # the longer file has 29 MB; a tree of it would take several times that


def peak_mib(source: Path, n_articles: int) -> float:
    """Peak memory of a process of its own that reads the file."""
    script = (
        "import sys; from pathlib import Path; from engine.collect.source import read_source\n"
        f"assert sum(1 for _ in read_source(Path(sys.argv[1]))) == {n_articles}\n"
        "print(int(next(line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line)) / 1024)"
    )
    return float(
        subprocess.run([sys.executable, "-c", script, source], capture_output=True, text=True, check=True).stdout
    )


def test_an_external_entity_is_neither_read_nor_fetched(source: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    server = socket.create_server(("127.0.0.1", 0))
    called: list[object] = []
    threading.Thread(target=lambda: called.append(server.accept()), daemon=True).start()
    for target in (f"file://{tmp_path}/secret", f"http://127.0.0.1:{server.getsockname()[1]}/x"):
        head = f'<?xml version="1.0"?><!DOCTYPE PubmedArticleSet [<!ENTITY x SYSTEM "{target}">]>'
        with pytest.raises(SourceError, match="declares XML entities"):
            read(source, article(title="&x;"), head=head)
    external = f'<!DOCTYPE PubmedArticleSet SYSTEM "http://127.0.0.1:{server.getsockname()[1]}/dtd">'
    assert isinstance(read(source, article(), head=external)[0], Abstract)
    time.sleep(0.1)
    assert not called


def test_an_entity_hidden_behind_padding_is_refused_too(source: Path) -> None:
    head = f'<!DOCTYPE PubmedArticleSet [<!--{" " * 200_000}--><!ENTITY x "SECRET">]>'
    with pytest.raises(SourceError, match="refused as unsafe"):
        read(source, article(title="a &x; b"), head=head)


def test_billion_laughs_is_refused_at_once(source: Path) -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    head = f'<!DOCTYPE PubmedArticleSet [{" " * 70_000}<!ENTITY l0 "ha">{entities}]>'
    started = time.monotonic()
    with pytest.raises(SourceError, match="refused as unsafe|not well-formed"):
        read(source, article(title="&l11;"), head=head)
    assert time.monotonic() - started < 5


def test_a_giant_attribute_is_refused(source: Path) -> None:
    with pytest.raises(SourceError, match="not well-formed"):
        read(source, f"<PubmedArticle x='{'y' * 20_000_000}'/>")


def test_quadratic_blow_up_is_refused_at_once(source: Path) -> None:
    started = time.monotonic()
    head = f'<!DOCTYPE PubmedArticleSet [<!--{" " * 70_000}--><!ENTITY a "{"a" * 100_000}">]>'
    for parts in ({"title": "&a;" * 50_000}, {"abstract": f"<AbstractText Label='{'&a;' * 50_000}'>x</AbstractText>"}):
        with pytest.raises(SourceError, match="refused as unsafe|not well-formed"):
            read(source, article(**parts), head=head)
    assert time.monotonic() - started < 5


def test_an_entity_in_an_attribute_is_refused_too(source: Path) -> None:
    head = f'<!DOCTYPE PubmedArticleSet [<!--{" " * 70_000}--><!ENTITY x "SECRET">]>'
    with pytest.raises(SourceError, match="declares XML entities"):
        read(source, article(abstract="<AbstractText Label='&x;'>a</AbstractText>"), head=head)
    with pytest.raises(SourceError, match="declares XML entities"):
        read(source, head=head)
    source.write_text(f"{head}<PubmedArticleSet>{article()}</PubmedArticleSet>")
    with pytest.raises(SourceError, match="declares XML entities"):
        next(read_source(source))  # before it gives a record


def test_an_entity_that_nothing_declares_is_refused(source: Path) -> None:
    head = '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.nlm.nih.gov/pubmed.dtd">'
    with pytest.raises(SourceError, match=r"record 2: uses an XML entity of its own \(&own;\)"):
        read(source, article(), article(title="a &own; b"), head=head)
    with pytest.raises(SourceError, match="not well-formed.*own"):
        read(source, article(title="a &own; b"), head="")


def test_an_external_parameter_entity_is_not_fetched(source: Path) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
    head = f'<!DOCTYPE PubmedArticleSet [<!--{" " * 70_000}--><!ENTITY % x SYSTEM "{address}"> %x;]>'
    with server:
        with pytest.raises(SourceError, match="refused as unsafe"):
            read(source, article(), head=head)
        with pytest.raises(TimeoutError, match="timed out"):
            server.accept()


@pytest.mark.parametrize(
    "xml",
    [
        "<MedlineCitationSet>{}</MedlineCitationSet>",
        "<!DOCTYPE MedlineCitationSet PUBLIC 'x' 'y'>\n<!-- old -->\n<MedlineCitationSet\n>{}</MedlineCitationSet>",
        "{}",
        "<PubmedArticleSet><PubmedArticle>{}</PubmedArticle></PubmedArticleSet>",
        "<PubmedArticle>{}</PubmedArticle>",
        "<PubmedArticle Status='x'>{}</PubmedArticle>",
        "\ufeff<?xml version='1.0'?>\n<PubmedBookArticleSet><PubmedArticle>{}</PubmedArticle></PubmedBookArticleSet>",
    ],
)
def test_every_root_is_known_and_gives_each_citation_once(source: Path, xml: str) -> None:
    citation = (
        "<MedlineCitation Owner='NLM'><PMID Version='2'>9</PMID><DateRevised><Year>2015</Year><Month>01</Month>"
        "<Day>02</Day></DateRevised><Article><ArticleTitle>Old</ArticleTitle></Article></MedlineCitation>"
    )
    source.write_text(xml.format(citation), encoding="utf-8")
    (found,) = read_source(source)
    assert found == Abstract("PMID:9", "Old", "", pmid="9", databases=("PubMed",), version=2, revised="2015-01-02")


def test_other_xml_is_not_pubmed() -> None:
    for head in (
        b"<rss version='2.0'><channel><title>PubmedArticleSet</title>",
        b"<PubmedArticles><x/>",
        b"{} <PubmedArticle>",
    ):
        assert not pubmed.looks_like(head)


def test_a_deletion_that_names_no_record_is_rejected(source: Path) -> None:
    found = read(source, "<DeleteCitation><PMID>\n7 </PMID><PMID/><PMID>x</PMID></DeleteCitation>")
    assert found[0] == Deletion("PMID:7")
    assert [str(entry) for entry in found[1:]] == [
        "pubmed.xml, record 1 (deletion of PMID missing): the PMID is not a number from 1 to 999999999",
        "pubmed.xml, record 1 (deletion of PMID x): the PMID is not a number from 1 to 999999999",
    ]


def test_mojibake_is_remarked_on(source: Path) -> None:
    remark, found = read(source, article(title="5 \u00c2\u00b5m"))
    assert remark == Remark("text looks wrongly decoded (mojibake), stored unchanged", "record 1 (PMID 123)")
    assert isinstance(found, Abstract)
    assert found.title == "5 \u00c2\u00b5m"


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_file_cut_short_is_not_a_short_file(source: Path, cut: int) -> None:
    read(source, *(article(pmid=str(n)) for n in range(1, 4)))
    source.write_bytes(source.read_bytes()[:-cut])
    with pytest.raises(SourceError, match=r"not well-formed XML at line \d+, column \d+, after \d records"):
        list(read_source(source))


def test_a_gzip_file_cut_short_is_not_a_short_file(source: Path) -> None:
    read(source, *(article(pmid=str(n)) for n in range(1, 2000)))
    source.write_bytes(gzip.compress(source.read_bytes(), mtime=0)[:-100])
    with pytest.raises(SourceError, match="the gzip data ends early"):
        list(read_source(source))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("seam", ["", "\n", "\ufeff", "\r\n\ufeff\n"])
@pytest.mark.parametrize("head", ['<?xml version="1.0"?>\n', '<?xml version="1.0" encoding="UTF-16"?>', ""])
def test_joined_files_give_the_records_of_both(source: Path, head: str, seam: str, codec: str) -> None:
    read(source, article(title="é"), article(pmid="124"))
    text = source.read_text(encoding="utf-8").split("\n", 1)[1]
    source.write_bytes(f"{head}{text}{seam}{head}{text}\n".encode(codec))
    found = [entry for entry in read_source(source) if isinstance(entry, Abstract)]
    assert [(entry.pmid, entry.title) for entry in found] == [("123", "é"), ("124", "T")] * 2


@pytest.mark.parametrize(
    "root", ['<PubmedArticleSet xmlns="http://x.example/p">', '<PubmedArticleSet xmlns:p="p" xmlns="q">']
)
def test_a_default_namespace_changes_nothing(source: Path, root: str) -> None:
    expected = read(source, article(title="a <i>b</i>"), article(pmid="124"))
    source.write_text(source.read_text().replace("<PubmedArticleSet>", root))
    assert list(read_source(source)) == expected
    prefixed = source.read_text().replace("<", "<p:").replace("<p:/", "</p:").replace("<p:?", "<?")
    source.write_text(prefixed.replace(f"<p:{root[1:]}", '<p:PubmedArticleSet xmlns:p="http://x.example/p">'))
    assert list(read_source(source)) == expected


@pytest.mark.parametrize(
    ("written", "text", "remark"),
    [
        ("a\x1fb", "a b", "control characters in XML, replaced by blanks"),
        ("a&#x1F;b", "a b", "control characters in XML, replaced by blanks"),
        ("a&#11;b", "a b", "control characters in XML, replaced by blanks"),
        ("5&nbsp;mg &micro;l &ge; 1", "5\xa0mg µl ≥ 1", "entities of HTML in XML, read as their characters"),
        ("R & D", "R & D", "ampersands in XML that are not escaped, read as text"),
        ("1 &lt; 2 &amp; &#233; &#xe9;", "1 < 2 & é é", None),
        ("<![CDATA[R & D &nbsp;]]>", "R & D &nbsp;", None),
    ],
)
def test_slips_of_other_programs_are_read_with_a_remark(
    source: Path, written: str, text: str, remark: str | None
) -> None:
    *remarks, found = read(source, article(title=written))
    assert isinstance(found, Abstract)
    assert found.title == text
    assert {entry.kind for entry in remarks if isinstance(entry, Remark)} == ({remark} if remark else set())


def opened(path: Path) -> etree._Element:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return etree.fromstring(raw, etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True))


def words_found_in_order(nodes: list[str], text: str) -> int:
    """How many words there are; fails at the first that does not come after the one before it."""
    position, words = 0, " ".join(nodes).split()
    for word in words:
        position = text.find(word, position)
        assert position >= 0, (word, text)
    return len(words)


def test_every_text_node_of_real_files_appears_in_order(shared: Path) -> None:
    checked = dict.fromkeys(("title", "abstract", "vernacular_title", "other_abstracts"), 0)
    for path in sorted((shared / "formats" / "pubmed_xml").glob("*.xml*")):
        if path.name in {"no_pubmedarticleset.xml", "duplicate.xml"}:  # an RSS feed; an empty set
            continue
        found = {e.pmid: e for e in read_source(path) if isinstance(e, Abstract)}
        for citation in opened(path).iter("MedlineCitation"):
            record = found[citation.findtext("PMID")]
            if citation.findtext("Article/ArticleTitle") == "[Not Available].":
                citation.find("Article").remove(citation.find("Article/ArticleTitle"))
            for where, name in (
                ("Article/ArticleTitle", "title"),
                ("Article/Abstract/AbstractText", "abstract"),
                ("Article/VernacularTitle", "vernacular_title"),
                ("OtherAbstract/AbstractText", "other_abstracts"),
            ):
                nodes = [node for part in citation.iterfind(where) for node in part.itertext()]
                text = "\n".join([*getattr(record, name)]) if name == "other_abstracts" else getattr(record, name)
                checked[name] += words_found_in_order(nodes, text)
    assert checked["title"] > 8_000, checked
    assert checked["abstract"] > 100_000, checked
    assert checked["vernacular_title"] > 150, checked
    assert checked["other_abstracts"] > 100, checked


def test_counts_of_real_files(shared: Path) -> None:
    expected = {
        "28356292.xml": (1, 0), "31482638.xml": (1, 0), "31746150.xml": (1, 0), "31967741.xml": (1, 0),
        "32025781.xml": (1, 0), "biopython_efetch_1.xml": (2, 0), "biopython_efetch_2.xml": (2, 0),
        "biopython_efetch_4.xml": (1, 0), "biopython_efetch_5.xml": (1, 0), "biopython_efetch_6.xml": (1, 0),
        "biopython_efetch_7.xml": (1, 0), "double.xml": (2, 0), "equalcontrib.xml": (1, 0),
        "markup.xml": (1, 0), "medline16n0902.xml.gz": (604, 1), "no_title_abstract.xml": (1, 0), "orcid.xml": (1, 0),
        "pubmed-29768149.xml": (1, 0), "pubmed.xml": (5, 0), "pubmed22n1115.xml": (3, 34),
        "pubmed22n1115.xml.gz": (3, 34), "pubmed22n1313.xml": (4, 559), "pubmed22n1313.xml.gz": (4, 559),
        "pubmed25n0001.xml": (3, 0), "pubmed25n0002.xml": (1, 1), "pubmed25n0004.xml": (2, 0),
        "test_current_medline.xml.gz": (4, 0),
    }  # fmt: skip
    for name, counts in expected.items():
        found = list(read_source(shared / "formats" / "pubmed_xml" / name))
        kinds = [type(entry) for entry in found if not isinstance(entry, Remark)]
        assert (kinds.count(Abstract), kinds.count(Deletion), kinds.count(Rejection)) == (*counts, 0), name


def test_every_real_table_is_read(shared: Path) -> None:
    files = sorted((shared / "formats" / "csv").iterdir())
    assert len(files) > 20
    for path in files:
        assert any(isinstance(entry, Abstract) for entry in read_source(path)), path.name
