"""``engine search --queries``: many queries from a file, with their hits in one output file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.cli.frame.delivery import Output
from engine.cli.frame.options import open_named
from engine.config import Config
from engine.errors import UsageError
from engine.files import check_target, open_whole
from engine.options import Query
from engine.phrases import pluralize
from engine.query.batches import answer_each, split_pages
from engine.query.question.queryfile import read_queries
from engine.records.answer import Answer
from engine.relevance.sets.hitfile import SUFFIXES, choose_writer
from engine.terminal import say, show_progress

_NOTES = 5  # notes shown


def run_batch(config: Config, query: Query, source: Path, out: Output, device: str) -> None:
    """Answer every query of a file with the options of `query`, page by page, into one file.

    Raises:
        UsageError: options can't be combined, the file has no query, or the target can't be written.
    """
    target = _check_batch_target(query, out)
    queries = read_queries(source)
    with (
        open_named(config, device) as index,
        show_progress() as report,
        open_whole(target, overwrite=out.overwrite) as file,
    ):
        writer, n_queries, n_hits = choose_writer(target, file, raw=out.raw), 0, 0
        notes: dict[str, None] = {}
        for page in split_pages(queries, query.top_k):
            answers = answer_each(index, [replace(query, text=text) for _, text in page])
            for (query_id, _), answer in zip(page, answers, strict=True):
                if not isinstance(answer, Answer):
                    say(f"query {query_id} skipped: {answer}", err=True)
                    continue
                writer.write(query_id, answer)
                n_hits += len(answer.hits)
                notes.update(dict.fromkeys(answer.notes))
            n_queries += len(page)
            report("searching", n_queries, None)
        if not n_queries:
            raise UsageError(f"{source} has no query. Expected lines of id, tab, text, or JSON with id and text")
    for note in list(notes)[:_NOTES]:
        say(note, err=True)
    answered = "1 query" if n_queries == 1 else f"{n_queries:,} queries"
    say(f"{answered}, {pluralize(n_hits, 'hit')} to {target}", err=True)


def _check_batch_target(query: Query, out: Output) -> Path:
    """Return the one file that a batch is written to.

    Raises:
        UsageError: there is not exactly one new file with a known suffix, or an option can't be combined with a batch.
    """
    if query.text or query.like or query.unlike:
        raise UsageError(
            "--queries reads the queries from a file and cannot be combined with QUERY, --like or --unlike"
        )
    if query.group_by or (query.explain and out.files and out.files[0].suffix.lower() != ".jsonl"):
        raise UsageError("--queries cannot be combined with --group-by, and with --explain only if the file is .jsonl")
    if out.record or out.form:
        raise UsageError(
            "--queries cannot be combined with --record or printed formats: name one file, for example -o run.trec"
        )
    if len(out.files) != 1 or out.files[0].suffix.lower() not in SUFFIXES:
        raise UsageError(f"--queries writes one file, a {', '.join(SUFFIXES)}: for example -o run.trec")
    (target,) = out.files
    check_target(target, overwrite=out.overwrite, example="run.trec")
    return target
