"""News: what the saved questions of an index report of new and changed records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.config import SavedQuestion
from engine.identifiers import build_doi_url, build_pubmed_url, find_web_url
from engine.phrases import pluralize
from engine.query.question.filterwords import describe_filters
from engine.records.abstract import Abstract
from engine.records.answer import Hit


@dataclass(frozen=True, slots=True)
class NewsItem:
    """A record that is new for a saved question."""

    change: str  # "added", "text changed" or "metadata changed"
    hit: Hit
    record: Abstract


@dataclass(frozen=True, slots=True)
class WatchNews:
    """What a saved question reports this time."""

    watch: SavedQuestion
    items: tuple[NewsItem, ...] = ()  # best first
    n_changed: int = 0  # records that are new or changed since it was answered last, of any topic
    n_more: int = 0  # of them that answer the question, too, but were beyond its top_k
    is_begun: bool = False  # it is watched from now on, and reports nothing yet
    error: str = ""  # why it can't be answered


@dataclass(frozen=True, slots=True)
class NewsRun:
    """What all saved questions of an index report this time."""

    index: str
    created: str  # UTC, ISO 8601
    generation: int
    number: int | None  # of the folder that was written; None: there was nothing to report
    news: tuple[WatchNews, ...]

    @property
    def n_items(self) -> int:
        """The records that are reported, each once for every question that it answers."""
        return sum(len(one.items) for one in self.news)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why questions could not be answered."""
        return tuple(f"{one.watch.name}: {one.error}" for one in self.news if one.error)


def describe_question(watch: SavedQuestion) -> str:
    """Return a question with its filters in words."""
    limits = "; ".join(describe_filters(watch.query.filters))
    return f"{watch.query.text} (limited to {limits})" if limits else watch.query.text


def describe_news(news: WatchNews) -> str:
    """Return in one line how much a question reports."""
    if news.error:
        return f"could not be answered: {news.error}"
    if news.is_begun:
        return "watched from now on"
    if not news.n_changed:
        return "no record is new or changed"
    among = f"of {pluralize(news.n_changed, 'new or changed record')}"
    if not news.items:
        return f"nothing {among}"
    more = f"; {news.n_more:,} more answer it less well" if news.n_more else ""
    return f"{len(news.items):,} {among}{more}"


def _find_address(record: Abstract) -> str:
    """Return the best address of a record on the web; "" if it has none."""
    return build_pubmed_url(record.pmid) or build_doi_url(record.doi) or find_web_url(record.urls)


def list_news_fields(run: NewsRun) -> dict[str, object]:
    """Return a run as a dictionary for programs."""
    return {
        "number": run.number,
        "index": run.index,
        "created": run.created,
        "generation": run.generation,
        "watches": [
            {
                "name": one.watch.name,
                "question": describe_question(one.watch),
                "summary": describe_news(one),
                "changed": one.n_changed,
                "more": one.n_more,
                "begun": one.is_begun,
                "error": one.error,
                "records": list(_list_items(one)),
            }
            for one in run.news
        ],
    }


def _list_items(news: WatchNews) -> Iterator[dict[str, object]]:
    """Yield the records that a question reports as dictionaries."""
    for item in news.items:
        yield {
            "id": item.record.record_id,
            "change": item.change,
            "title": item.record.title,
            "authors": list(item.record.authors),
            "journal": item.record.journal,
            "year": item.record.year,
            "url": _find_address(item.record),
            "score": round(item.hit.score, 6),
        }
