"""The files of the news of an index: a folder for each run that reports something, and one Atom feed of the last ones.

A folder has the news as text, as HTML, as JSON and, for each question, as RIS. It appears under its name when it is
whole.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.characters import UNPRINTABLE
from engine.errors import EngineError
from engine.files import write_text
from engine.index.files.durable import replace_text
from engine.platform import replace_path, sync_path
from engine.references.formats import write
from engine.references.values.citation import Cited
from engine.reindex.news.newsrun import NewsRun, WatchNews, describe_question, list_news_fields

_NEWS = "news"  # folder in that of an index
_FEED, _JSON, _TEXT, _HTML = "feed.atom", "news.json", "news.txt", "news.html"
_FED = 200  # records of the feed
_READ = 50  # runs that are read for it
_PEOPLE = 3  # authors before "et al."
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def find_run_folder(folder: Path, number: int) -> Path:
    """Return the folder of the news of a run."""
    return folder / _NEWS / f"{number:06d}"


def find_last_run(folder: Path) -> int:
    """Return the highest number of a folder of news; 0 without one."""
    try:
        names = [path.name for path in (folder / _NEWS).iterdir()]
    except OSError:
        return 0
    return max((int(name) for name in names if re.fullmatch("[0-9]{6,9}", name)), default=0)


def replace_run(folder: Path, run: NewsRun) -> None:
    """Write the files of a run; a folder of this number, of a run that was killed, is replaced.

    Raises:
        EngineError: the disk is full, or another error of the system.
    """
    target = find_run_folder(folder, run.number or 0)
    try:
        _replace_folder(target, run)
    except (OSError, EngineError) as err:
        cause = err if isinstance(err, OSError) else err.__cause__
        reason = getattr(cause, "strerror", None) or err
        raise EngineError(
            f"the news can't be written to {target}: {reason}. Nothing is lost: make room or give permission there, "
            f"and run: engine watch run -i {run.index}"
        ) from err


def _replace_folder(target: Path, run: NewsRun) -> None:
    """Write the files of a run into a new folder, and give it its name."""
    part = target.with_name(f".{target.name}.part")
    content = list_news_fields(run)
    _remove(part)
    part.mkdir(parents=True)
    write_text(part / _JSON, [json.dumps(content, indent=1)], overwrite=False)
    write_text(part / _TEXT, _write_text(content), overwrite=False)
    write_text(part / _HTML, _write_html(content), overwrite=False)
    for one in run.news:
        if one.items:
            _write_ris(part / f"{one.watch.name}.ris", run, one)
    sync_path(part)
    _remove(target)
    replace_path(part, target)
    sync_path(target.parent)


def _remove(path: Path) -> None:
    """Remove a folder, or what stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write_ris(path: Path, run: NewsRun, news: WatchNews) -> None:
    """Write the records of a question for reference managers."""
    title = f"{describe_question(news.watch)} (generation {run.generation:06d})"
    write(path, [Cited(item.hit, item.record) for item in news.items], title)


def read_runs(folder: Path, n_runs: int, most: int = _READ) -> list[dict[str, Any]]:
    """Return the news of the last runs, newest first, as list_news_fields has them.

    A folder that is gone or damaged is left out: old news keeps nobody from writing and reading what is new.

    n_runs: how many runs there were; what a killed run left beyond them is not read.
    """
    found = []
    for number in range(n_runs, 0, -1):
        with suppress(OSError, ValueError, RecursionError):
            found.append(_check_run(json.loads((find_run_folder(folder, number) / _JSON).read_bytes())))
        if len(found) == most or number <= n_runs - 2 * most:
            break
    return found


def _check_run(run: Any) -> dict[str, Any]:
    """Return the news of a run if they have the structure that list_news_fields gives them.

    Raises:
        ValueError: they have another one.
    """
    _check_fields(run, {"number": int, "created": str, "watches": list})
    for watch in run["watches"]:
        _check_fields(watch, {"name": str, "more": int, "records": list})
        for one in watch["records"]:
            texts = dict.fromkeys(("id", "change", "title", "journal", "url"), str)
            _check_fields(one, {**texts, "authors": list, "year": int | None})
            if not all(isinstance(author, str) for author in one["authors"]):
                raise ValueError("no list of authors")
    return run  # type: ignore[no-any-return]


def _check_fields(value: Any, kinds: dict[str, Any]) -> None:
    """Check that JSON is an object that has these fields.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, dict) or not all(
        name in value and isinstance(value[name], kind) for name, kind in kinds.items()
    ):
        raise ValueError(f"no object with {', '.join(kinds)}")


def read_news_text(folder: Path) -> bytes:
    """Return the text of the news in the folder of a run; a message, if it can't be read any more."""
    try:
        return (folder / _TEXT).read_bytes()
    except OSError as err:
        return f"{folder / _TEXT} can't be read: {err.strerror}\n".encode("utf-8", "replace")


def format_news(run: NewsRun) -> str:
    """Return the news as text."""
    return "".join(_write_text(list_news_fields(run)))


def _write_text(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the news as text."""
    yield f"News of {content['index']}, {content['created'][:10]}\n"
    for watch in content["watches"]:
        yield f"\n{_join(watch['name'])}: {_join(watch['question'])}\n{_join(watch['summary'])}\n"
        for one in watch["records"]:
            yield f"\n- {_join(one['title']) or '[no title]'}\n  {_join(_describe_record(one))}\n"
            yield f"  {_join(one['url'])}\n" if one["url"] else ""


def _describe_record(one: dict[str, Any]) -> str:
    """Return authors, journal, year, id and change of a record as one line."""
    people = "; ".join(one["authors"][:_PEOPLE]) + (" et al" if len(one["authors"]) > _PEOPLE else "")
    return ". ".join(filter(None, (people, one["journal"], str(one["year"] or ""), f"{one['id']} [{one['change']}]")))


def _join(text: str) -> str:
    """Return printable text on one line."""
    return " ".join(UNPRINTABLE.sub("\ufffd", text).split())


def _escape(text: str) -> str:
    """Return text for HTML and XML."""
    return html.escape(_NOT_XML.sub("\ufffd", text))


def _write_html(content: dict[str, Any]) -> Iterator[str]:
    """Yield the news as a page of its own, without style and script."""
    title = _escape(f"News of {content['index']}, {content['created'][:10]}")
    yield f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n<h1>{title}</h1>\n'
    for watch in content["watches"]:
        yield f"<h2>{_escape(watch['name'])}</h2>\n<p>{_escape(watch['question'])}</p>\n"
        yield f"<p>{_escape(watch['summary'])}</p>\n"
        if watch["records"]:
            yield "<ol>\n" + "".join(f"<li>{_write_record(one)}</li>\n" for one in watch["records"]) + "</ol>\n"
    yield "</html>\n"


def _write_record(one: dict[str, Any]) -> str:
    """Return a record as HTML."""
    title = _escape(one["title"]) or "[no title]"
    linked = f'<a href="{_escape(one["url"])}">{title}</a>' if one["url"] else title
    return f"{linked}<br>{_escape(_describe_record(one))}"


def find_feed(folder: Path) -> Path:
    """Return the Atom feed of an index."""
    return folder / _NEWS / _FEED


def write_feed(folder: Path, name: str, n_runs: int) -> None:
    """Replace the Atom feed by one of the last runs; without any run, there is no feed."""
    runs = read_runs(folder, n_runs)
    if runs:
        replace_text(find_feed(folder), "".join(_write_atom(runs, name)))


def _write_atom(runs: list[dict[str, Any]], name: str) -> Iterator[str]:
    """Yield an Atom feed (RFC 4287) of runs, newest first: an entry for each record that a question reports."""
    title = _escape(f"News of {name}")
    yield '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
    yield f"<title>{title}</title>\n<id>{_build_urn(name)}</id>\n<updated>{_escape(runs[0]['created'])}</updated>\n"
    yield f"<author><name>{_escape(name)}</name></author>\n"
    left = _FED
    for run in runs:
        for watch in run["watches"]:
            for one in watch["records"][: max(left, 0)]:
                yield _write_entry(run, watch, one, _build_urn(name, watch["name"], str(run["number"]), one["id"]))
            left -= len(watch["records"])
    yield "</feed>\n"


def _build_urn(*parts: str) -> str:
    """Return an id that stays the same and that no other entry has."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(parts)).urn


def _write_entry(run: dict[str, Any], watch: dict[str, Any], one: dict[str, Any], urn: str) -> str:
    """Return an entry of the feed."""
    link = f'<link href="{_escape(one["url"])}"/>\n' if one["url"] else ""
    text = "summary" if link else "content"  # an entry without a link must have a content
    return (
        f"<entry>\n<title>{_escape(one['title']) or '[no title]'}</title>\n<id>{urn}</id>\n{link}"
        f'<updated>{_escape(run["created"])}</updated>\n<category term="{_escape(watch["name"])}"/>\n'
        f"<{text}>{_escape(_describe_record(one))}</{text}>\n</entry>\n"
    )
