"""An index whose last records PubMed deletes: it answers with none, and takes new ones."""

import shutil
from pathlib import Path

import pytest

from engine.config import Settings
from engine.index.generations.folder import IndexFolder
from engine.options import Filters, Query
from engine.query.index import open_index
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify
from engine.reindex.runs.compaction import compact_index
from engine.reindex.runs.run import index_sources
from tests.conftest import CURRENT, TOY_MODEL, order_of, silent

MODES = ("semantic", "keyword", "hybrid")


def write_file(place: Path, release: int, articles: tuple[int, ...] = (), deleted: tuple[int, ...] = ()) -> Path:
    given = "".join(
        f"<PubmedArticle><MedlineCitation><PMID Version='1'>{n}</PMID><Article><ArticleTitle>Gout {n}</ArticleTitle>"
        "</Article></MedlineCitation></PubmedArticle>"
        for n in articles
    )
    gone = "".join(f"<PMID Version='1'>{n}</PMID>" for n in deleted)
    gone = f"<DeleteCitation>{gone}</DeleteCitation>" if gone else ""
    path = place / f"pubmed26n{release:04d}.xml"
    path.write_text(f"<PubmedArticleSet>{given}{gone}</PubmedArticleSet>")
    return path


def run(folder: IndexFolder, path: Path, below: int) -> Report:
    return index_sources(folder, order_of(path, model=str(TOY_MODEL), one_segment_below=below), silent)


@pytest.mark.parametrize("below", [0, 50_000])
def test_an_index_may_lose_its_last_records(tmp_path: Path, below: int) -> None:
    folder = IndexFolder(tmp_path / "indexes" / "last")
    shutil.copytree(CURRENT / "encoders", folder.path / "encoders")  # spares the export
    assert run(folder, write_file(tmp_path, 1, (1, 2)), below).counts.abstracts == 2
    report = run(folder, write_file(tmp_path, 2, deleted=(1, 2)), below)
    assert report.published and (report.counts.abstracts, report.counts.deleted) == (0, 2)
    with open_index(folder.path) as index:
        assert len(index) == 0 and list(index.abstracts()) == []
        assert [len(index.search("gout", mode=mode)) for mode in MODES] == [0, 0, 0]
        assert index.ask_batch([Query("gout"), Query("knee")])[1].hits == ()
        assert index.ask(Query("gout", filters=Filters(years=((2000, None),)))).n_qualified == 0
    assert verify(folder, folder.open_current(), deep=True) == []
    assert not run(folder, tmp_path / "pubmed26n0002.xml", below).published
    compact_index(folder, Settings(folder.path / "index.toml", device="cpu", one_segment_below=below), silent)
    report = run(folder, write_file(tmp_path, 4, deleted=(7,)), below)  # of a record that the index never had
    assert report.published and report.counts.abstracts == 0
    assert run(folder, write_file(tmp_path, 5, (9,)), below).counts.abstracts == 1
    with open_index(folder.path) as index:
        assert [hit.id for mode in MODES for hit in index.search("gout", mode=mode)] == ["PMID:9"] * 3
    assert verify(folder, folder.open_current(), deep=True) == []
