"""A recorded search in words, for the methods section of a review.

It reports what PRISMA-S asks for: every database (item 1), the full strategy as it was run (8), limits (9), dates
(13), and numbers of records and of duplicates (15, 16) (Rethlefsen et al., Syst Rev 2021;10:39,
doi:10.1186/s13643-020-01542-z). Nothing is claimed that the record does not hold. What only a program can check is in
an appendix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.tree import Search
from engine.corpus.words.wording import parse_wording
from engine.phrases import format_moment, pluralize
from engine.query.question.filterwords import describe_filters
from engine.query.question.ordering import count_sorted, describe_sort
from engine.query.question.plan import FED_BACK
from engine.query.searchlog import REMOVED, Record, RecordedSource

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_REMOVED_WORDS = (
    ("duplicate", "{}"),
    ("record", "{} that could not be read"),
    ("record", "{} that PubMed had withdrawn"),
)
_REMOVED = dict(zip(REMOVED, _REMOVED_WORDS, strict=True))  # noun, and words around its number
_DAYS = "those on which their files were read. Where a database was searched on an earlier day, give that day"
_NAMED = 100  # sources that are named


def write_paragraph(record: Record) -> str:
    """Return one paragraph of plain English with everything that a reader of the review needs."""
    return " ".join(
        (
            *_describe_database(record),
            *_describe_strategy(record),
            *_describe_limits(record),
            *_describe_outcome(record),
        )
    )


def list_appendix(record: Record) -> list[tuple[str, str]]:
    """Return what the search can be checked by, as pairs of name and value."""
    rows = [
        ("Index", f"{record.index}, generation {record.generation:06d} of {format_moment(record.generation_created)}"),
        ("Newest source file", record.newest_source),
        ("Searched", format_moment(record.created)),
        ("Encoder", f"{record.encoder}, fingerprint {record.fingerprint}"),
        ("Reranker", f"{record.reranker}, fingerprint {record.reranker_fingerprint}" if record.reranker else ""),
        ("File of the MeSH tree", record.mesh_tree),
        ("SHA-256 of ranks, ids and scores", record.result_sha256),
        ("Days of the sources", _DAYS if record.sources else ""),
    ]
    return [(name, value) for name, value in rows if value]


def describe_sources(sources: Sequence[RecordedSource], removed: Mapping[str, int]) -> Iterator[str]:
    """Yield sentences on every source with its records and days, and on the records removed from them."""
    named = [_describe_source(source) for source in sources[:_NAMED]]
    named += [f"{len(sources) - _NAMED:,} others, which `engine flow` lists"] if len(sources) > _NAMED else []
    yield f"Records came from {pluralize(len(sources), 'source')}: {_join_words(named)}."
    n_found, n_removed = sum(source.n_found for source in sources), sum(removed.values())
    these = f"these {n_found:,} records" if n_found != 1 else "this record"
    if not n_removed:
        yield f"There were no duplicates in {these}."
        return
    reasons = [
        words.format(pluralize(removed[why], noun)) for why, (noun, words) in _REMOVED.items() if removed.get(why)
    ]
    were = "was" if n_removed == 1 else "were"
    yield f"Of {these}, {_join_words(reasons)} {were} removed, which left {n_found - n_removed:,}."


def _describe_source(source: RecordedSource) -> str:
    """Return a source with its number of records and the days on which its files were read."""
    what = {"register": "the register ", "file": "the file "}.get(source.kind, "")
    first, last = map(_format_day, (source.first_read, source.last_read))
    days = f", read on {last}" if first == last else f", read from {first} to {last}"
    return f"{what}{source.name} ({pluralize(source.n_found, 'record')}{days if last else ''})"


def _join_words(words: Sequence[str]) -> str:
    """Return words as in a sentence: with commas, and "and" before the last."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _describe_database(record: Record) -> Iterator[str]:
    """Yield what was searched, when and with what."""
    n = pluralize(record.n_abstracts, "record")
    if record.sources:
        yield from describe_sources(record.sources, record.removed)
        what = f"{'This' if record.n_abstracts == 1 else 'These'} {n}"
    else:
        newest = f", whose newest source file was {record.newest_source}," if record.newest_source else ""
        what = f"The {n} of the index {record.index}{newest}"
    yield (
        f"{what} {'was' if record.n_abstracts == 1 else 'were'} searched on {_format_day(record.created)} with "
        f"abstract-engine {record.engine_version}, using embeddings of the model {record.encoder}."
    )


def _format_day(iso: str) -> str:
    """Return the day of a date or a moment in UTC for reading; other text is returned unchanged.

    >>> _format_day("2026-12-01"), _format_day("2026-11-30T23:30:00-01:00")
    ('1 December 2026', '1 December 2026')
    """
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    day = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _describe_strategy(record: Record) -> Iterator[str]:
    """Yield the query and how records were ranked."""
    query = record.query
    search = read_search(query.text)
    if query.text:
        yield f"The query was, verbatim: \u201c{query.text}\u201d."
    if search is not None:
        dialect = search.expression.dialect.value
        yield f"It was read as a Boolean search ({dialect}), which decided what was found; the ranking ordered it."
    if query.like:
        yield f"Given as examples that hits should be like: {', '.join(map(str, query.like))}."
    if query.unlike:
        yield f"Given as examples that hits should not be like: {', '.join(map(str, query.unlike))}."
    yield f"Records were ranked {_describe_ranking(record, search)} ({query.mode} mode)."
    yield from _describe_order(record, is_search=search is not None)


def _describe_order(record: Record, *, is_search: bool) -> Iterator[str]:
    """Yield what was done to the ranking."""
    query = record.query
    n_fed_back = min(int(record.rule.get("fed_back", FED_BACK)), record.n_qualified)
    if query.feedback and n_fed_back:
        nearest = f"those of the {n_fed_back} records" if n_fed_back > 1 else "that of the record"
        yield f"The query's embedding was moved towards {nearest} nearest to it (Rocchio feedback)."
    if _is_reranked(record):
        yield (
            f"The first hits, at most {query.rerank_depth:,}, were then ordered anew by the score of the cross-encoder "
            f"{record.reranker} for query and record."
        )
    n_sorted = count_sorted(query, record.n_abstracts, is_search=is_search)
    if 0 < n_sorted < record.n_qualified:
        yield (
            f"The {n_sorted:,} most relevant records were sorted {describe_sort(query.sort)}; all others follow by "
            "relevance."
        )
    elif n_sorted:
        yield f"Hits were sorted {describe_sort(query.sort)}."
    if query.diversify is not None:
        yield f"Hits unlike those above them were preferred (maximal marginal relevance, {query.diversify!r})."


def _is_reranked(record: Record) -> bool:
    """Return whether a second stage ordered the first hits: not where the query had no words to compare."""
    is_below = not record.ids or record.query.offset >= (record.query.rerank_depth or 0)
    return bool(record.reranker) and (is_below or any(score is not None for score in record.rerank_scores))


def _describe_ranking(record: Record, search: Search | None) -> str:
    """Describe how the records were ranked."""
    query, cosine = record.query, f"the cosine similarity of their embeddings to {_describe_vector(record)}"
    has_words = bool(search.list_wanted()) if search else parse_wording(query.text, prefer_phrases=True).has_words
    if query.mode == "semantic" or (query.mode == "hybrid" and not has_words):
        return f"by {cosine}"
    words = "the BM25 score of the query's words"
    if query.mode == "keyword":
        rest = f"; below, those without any of its words by {cosine}" if search else ""
        return f"by {words} in them{rest}"
    return f"by {cosine} and by {words}, fused into one ranking ({_describe_fusion(record)})"


def _describe_vector(record: Record) -> str:
    """Describe what embeddings were compared with."""
    query, rule = record.query, record.rule
    if not (query.like or query.unlike):
        return "that of the query"
    given = [name for name, values in (("text", query.text), ("like", query.like), ("unlike", query.unlike)) if values]
    if given == ["like"]:
        return "that of the example" if len(query.like) == 1 else "the mean of those of the examples"
    weights = ", ".join(f"{name} {rule[name]:g}" for name in given if name in rule)
    return "a combination of those of the query and the examples" + (
        f" (Rocchio weights: {weights})" if weights else ""
    )


def _describe_fusion(record: Record) -> str:
    """Describe how two rankings became one."""
    query, rule = record.query, record.rule
    depth = f"; of each the first {rule['fused']:,}, all others follow by cosine" if "fused" in rule else ""
    if query.fusion == "rrf":
        return f"reciprocal rank fusion{depth}"
    if query.weight is not None:
        return f"convex combination, weight {query.weight!r} for the cosine{depth}"
    weight = ""
    if "weight" in rule:
        weight = (
            f", weight {rule['weight']:g} for the cosine, {rule['short_weight']:g} for up to {rule['short']:g} words, "
            "more where words found little"
        )
    return f"convex combination{weight}{depth}"


def _describe_limits(record: Record) -> Iterator[str]:
    """Yield what restricted the search, in one sentence, and which hits were taken."""
    query = record.query
    found = list(describe_filters(query.filters))
    if record.since is not None:
        found.append(f"records that were new or changed since generation {record.since:06d}")
    if query.min_score is not None:
        found.append(f"records with a cosine of {query.min_score!r} or more")
    yield f"The search was limited to {', and to '.join(found)}." if found else "No limits were applied."
    if record.mesh_tree:
        yield f"The file of the MeSH tree was {record.mesh_tree.split(', SHA-256 ')[0]}."
    first = f"the first {pluralize(query.top_k, 'hit')}"
    after = f" after leaving out {query.offset:,}" if query.offset else ""
    yield f"At most {first}{after} were taken."


def _describe_outcome(record: Record) -> Iterator[str]:
    """Yield the numbers of records."""
    qualified = "qualified" if record.query.min_score is None else "qualified, whatever their cosine,"
    hits = pluralize(len(record.ids), "hit")
    yield f"{pluralize(record.n_qualified, 'record')} {qualified} and the result holds {hits}."
