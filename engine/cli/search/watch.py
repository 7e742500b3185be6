"""Commands of saved questions, which are answered whenever records are new."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import Subcommands, main, raise_signals
from engine.cli.frame.notification import run_notify_command
from engine.cli.frame.options import MIN_SCORE, MODE, STRATEGY, filter_options, index_options, open_named, parse_day
from engine.cli.search.find import read_query_text
from engine.config import Config, Settings
from engine.options import Filters
from engine.terminal import dump_json, join_lines, leave, say

if TYPE_CHECKING:
    from engine.reindex.news.newsrun import NewsRun

UNANSWERED, NOTIFY_FAILED = 5, 9
_EPILOG = """\b
Exit codes, for cron:
  0  done, whether there is news or not   5  reported, but a question could not be answered
  1  failed                                9  reported, but --notify-command failed
  2  wrong usage                           129, 130, 143  interrupted, terminated
  3  a file is damaged
  4  another process answers the questions
What a run did not report, the next one reports."""
_KEPT = "what was not reported yet is reported by the next run"


@main.group(cls=Subcommands)
def watch() -> None:
    """Keep questions, and report what is new for each.

    A saved question stands in index.toml. `engine watch run` and `engine nightly` answer it on the records that are new
    or changed since it was answered last, and write what they find to the folder news of the index: as text, HTML, RIS
    and an Atom feed.

    \b
    engine watch add biosimilars "switching to a biosimilar" -i rheumatology
    engine watch run -i rheumatology
    """


@watch.command("list")
@index_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON array.")
def list_watches(config: Config, as_object: bool) -> None:
    """List the saved questions of an index.

    \b
    engine watch list -i rheumatology
    """
    from engine.reindex.news.newsrun import describe_question

    settings = Settings.load(config.find_existing())
    rows = [{"name": one.name, "question": describe_question(one), "top_k": one.most} for one in settings.watches]
    if as_object:
        click.echo(dump_json(rows))
        return
    for row in rows:
        say(f"{row['name']}: {join_lines(str(row['question']))}")
    if not rows:
        say("no question is saved. Save one: engine watch add NAME QUESTION", err=True)


@watch.command("add")
@click.argument("name")
@click.argument("text", metavar="[QUESTION]...", nargs=-1)
@index_options
@STRATEGY
@MODE
@click.option(
    "-n",
    "--top-k",
    "most",
    type=click.IntRange(1),
    metavar="N",
    help="Most records to report at once [20; all matches of a Boolean search].",
)
@MIN_SCORE
@click.option(
    "--since",
    metavar="GENERATION|DATE|Nd",
    help="Generation number, date (UTC) or number of days from which on records are new [now].",
)
@filter_options
def add_watch(
    config: Config,
    name: str,
    text: tuple[str, ...],
    strategy: Path | None,
    mode: str | None,
    most: int | None,
    min_score: float | None,
    since: str | None,
    filters: Filters,
) -> None:
    """Add a question to index.toml.

    QUESTION is a question in your words or a Boolean search. What the index holds now counts as known, unless --since
    says otherwise.

    \b
    engine watch add biosimilars "switching to a biosimilar" -i rheumatology
    engine watch add gout 'gout[tiab] AND colchicine' --year 2020- --since 2026-11-01
    """
    from engine.corpus.boolean.lookalikes import note_reading
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.news import savedwatches

    path, question = config.find_existing(), read_query_text(text, strategy)
    values = {"mode": mode, "top_k": most, "min_score": min_score, **savedwatches.list_filter_values(filters)}
    entry = {"name": name, "question": question} | {key: value for key, value in values.items() if value is not None}
    moment = parse_day(since).isoformat() if since and since.endswith("d") else since
    with open_named(config) as index:
        last = savedwatches.add_watch(IndexFolder(path), index, entry, moment)
    for note in note_reading(question):
        say(f"note: {note}", err=True)
    say(f"{name} saved in {path / 'index.toml'}; records after generation {last:06d} are new", err=True)


@watch.command("remove")
@click.argument("name")
@index_options
def remove_watch(config: Config, name: str) -> None:
    """Remove a saved question; its news is kept.

    \b
    engine watch remove biosimilars -i rheumatology
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.news.savedwatches import delete_watch

    path = config.find_existing()
    delete_watch(IndexFolder(path), name)
    say(f"{name} removed from {path / 'index.toml'}", err=True)


@watch.command("run", epilog=_EPILOG)
@index_options
@click.option("--notify-command", metavar="COMMAND", help="Run COMMAND with the text of the news, if there are any.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def run_watches(config: Config, notify_command: str | None, as_object: bool) -> None:
    """Show and write what is new for the saved questions.

    Each record is reported once, also after a rollback. `engine nightly` does the same after it has updated the index.

    \b
    engine watch run -i rheumatology
    engine watch run --notify-command "mail -s news ann@example.org"
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.news.newsfiles import find_run_folder, format_news
    from engine.reindex.news.newsrun import list_news_fields
    from engine.reindex.news.watches import answer_watches

    path = config.find_existing()
    with raise_signals(_KEPT):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        run = answer_watches(IndexFolder(path), Settings.load(path).watches, now)
    text, reason = format_news(run), ""
    place = "" if run.number is None else str(find_run_folder(path, run.number))
    with raise_signals(f"the news is in {place}, and is not reported again" if place else "there is no news"):
        if notify_command and place:  # first, so that it also runs where nobody reads the output
            reason = run_notify_command(notify_command, text.encode("utf-8", "replace"))
        click.echo(dump_json(list_news_fields(run))) if as_object else say(text.rstrip("\n"))
        if place:
            say(f"written to {place}", err=True)
        leave(_close_run(run, reason))


def _close_run(run: NewsRun, reason: str) -> int:
    """Print what went wrong, also why the command failed, and return the exit code."""
    for error in run.errors:
        say(f"Error: {error}", err=True)
    if reason:
        say(f"Error: --notify-command failed: {reason}", err=True)
    return UNANSWERED if run.errors else NOTIFY_FAILED if reason else 0
