"""The words of the next generation, made from those of the generation before.

tantivy never changes a file of an index but `meta.json` and `.managed.json`, which list the others. So these two are
copied and all others are shared with the generation before, as hard links.

tantivy merges its segments as soon as _FANOUT of them have fewer than _SMALL records each, whatever their sizes. So
every eighth night would write a small index anew. Where such a merge is due, the segments that are much larger than the
others are set aside: records are deleted from them in folders of their own, and their files come back afterwards.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.corpus.words.folding import fold_text, get_stemmer
from engine.corpus.words.wordindex import ID, LOCKS, STEMS, TEXT, TITLE
from engine.errors import CorpusError
from engine.platform import replace_path
from engine.records.generation import DocIds
from engine.stamps import carry, read_identity

if TYPE_CHECKING:
    import tantivy

_Share = Callable[[Path, Path], bool]
_HEAP = 64_000_000  # bytes of words in memory before they are written to disk
_LITTLE_HEAP = 16_000_000  # the same where words are only deleted
_META, _MANAGED = "meta.json", ".managed.json"  # the files that change
_FANOUT, _SMALL = 8, 10_000  # of tantivy's LogMergePolicy, which its bindings can't set
_MUCH = 2  # times as many records as all smaller segments together
_ASIDE = "aside"  # folders while words are written
_Content = dict[str, Any]  # JSON


def write_words(
    folder: Path, parent: Path | None, gone: DocIds, texts: Iterable[tuple[int, str, str]], share_file: _Share
) -> bool:
    """Make the folder: the words of the parent without some doc ids, and with those of (doc id, title, abstract).

    A changed record is both gone and among the texts. The files are complete, but not synced.

    share_file: makes a file part of another folder, too; returns False if it had to be copied.

    Returns:
        Whether files were copied, because the file system has no hard links.

    Raises:
        CorpusError: a file can't be written, or the parent is damaged.
    """
    with _guard_writing(folder):
        folder.mkdir()
        shared = _share_files(parent, folder, share_file) if parent else {}
        asides = _set_aside(folder, len(gone)) if parent else []
        for aside in asides:
            _write(aside, gone, (), _LITTLE_HEAP, parent)
        _write(folder, gone, texts, _HEAP, parent)
        for aside in asides:
            _put_back(folder, aside)
    return not all(shared.values())


def _write(folder: Path, gone: DocIds, texts: Iterable[tuple[int, str, str]], heap: int, parent: Path | None) -> None:
    """Delete doc ids from the index in a folder and add texts."""
    index = _open_index(folder)
    writer = index.writer(heap_size=heap, num_threads=1)
    for doc_id in gone.tolist():
        writer.delete_documents_by_term(ID, doc_id)
    for doc_id, title, abstract in texts:
        writer.add_document(_build_document(doc_id, title, abstract))
    writer.commit()
    writer.wait_merging_threads()
    _clean_up(folder, index, parent)


def _set_aside(folder: Path, n_new: int) -> list[Path]:
    """Move the segments that should not be merged to folders of their own, fewer than _FANOUT to each; return these.

    n_new: records that come, about.
    """
    meta = _read_json(folder / _META)
    large = _choose_large(meta["segments"], n_new)
    asides = []
    for start in range(0, len(large), _FANOUT - 1):
        asides.append(folder / f"{_ASIDE}-{start}")
        asides[-1].mkdir()
        part = large[start : start + _FANOUT - 1]
        _move_segments(folder, asides[-1], part)
        _write_lists(asides[-1], meta, part)
    if large:
        _write_lists(folder, meta, [segment for segment in meta["segments"] if segment not in large])
    return asides


def _choose_large(segments: Sequence[_Content], n_new: int) -> list[_Content]:
    """Return the segments that tantivy would merge, though they are much larger than all smaller ones together."""
    small = sorted((each for each in segments if each["max_doc"] < _SMALL), key=lambda each: int(each["max_doc"]))
    if len(small) + 1 < _FANOUT:
        return []
    large, n_smaller = [], max(n_new, 1)
    for each in small:
        if each["max_doc"] >= _MUCH * n_smaller:
            large.append(each)
        n_smaller += each["max_doc"]
    return large


def _move_segments(source: Path, target: Path, segments: Sequence[_Content]) -> None:
    """Move the files of some segments; they keep their stamps."""
    for segment in segments:
        for file in source.glob(f"{segment['segment_id'].replace('-', '')}.*"):
            before = read_identity(file)
            replace_path(file, target / file.name)
            carry(before, read_identity(target / file.name))


def _put_back(folder: Path, aside: Path) -> None:
    """Move the segments of an index into another one of the same words."""
    meta, other = _read_json(folder / _META), _read_json(aside / _META)
    meta["opstamp"] = max(meta["opstamp"], other["opstamp"])  # later deletions get a higher one
    _move_segments(aside, folder, other["segments"])
    _write_lists(folder, meta, [*other["segments"], *meta["segments"]])
    shutil.rmtree(aside)


def _write_lists(folder: Path, meta: _Content, segments: Sequence[_Content]) -> None:
    """Write the two files that list the others; they hold what tantivy writes there."""
    files = [file.name for file in folder.iterdir() if file.is_file() and file.name != _MANAGED]
    (folder / _META).write_text(json.dumps(meta | {"segments": list(segments)}), encoding="utf-8")
    (folder / _MANAGED).write_text(json.dumps(sorted({_META, *files})), encoding="utf-8")


def _read_json(path: Path) -> _Content:
    """Return the JSON object in a file.

    Raises:
        ValueError: it holds none.
    """
    content: _Content = json.loads(path.read_text(encoding="utf-8"))
    return content


@contextlib.contextmanager
def _guard_writing(folder: Path) -> Iterator[None]:
    """Turn the errors of tantivy, panics of Rust included, into ours.

    Raises:
        CorpusError: any of them.
    """
    try:
        yield
    except BaseException as err:
        if not isinstance(err, (ValueError, RuntimeError, OSError)) and type(err).__name__ != "PanicException":
            raise
        raise CorpusError(
            f"{folder} could not be written: {err}. Nothing was published. Check the free space on the disk, then the "
            "index: engine verify"
        ) from err


def _share_files(parent: Path, folder: Path, share_file: _Share) -> dict[str, bool]:
    """Make the files of the parent part of the folder; return the names of the shared ones, and whether as links."""
    shared: dict[str, bool] = {}
    for file in sorted(parent.iterdir()):
        if file.name in (_META, _MANAGED):
            shutil.copyfile(file, folder / file.name)
        elif file.name not in LOCKS:
            shared[file.name] = share_file(file, folder / file.name)
    return shared


def _open_index(folder: Path) -> tantivy.Index:
    """Open the index in a folder; make it if the folder is empty. Nothing watches it, which would lock it."""
    import tantivy

    if (folder / _META).exists():
        index = tantivy.Index.open(str(folder))
    else:
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field(ID, indexed=True, fast=True)
        for field, option in ((TITLE, "position"), (TEXT, "position"), (STEMS, "freq")):
            builder.add_text_field(field, tokenizer_name="whitespace", index_option=option)
        index = tantivy.Index(builder.build(), path=str(folder))
    index.config_reader("manual")
    return index


def fold_fields(title: str, abstract: str) -> dict[str, list[str]]:
    """Return the texts of each field of words of a record: folded words, with spaces between them."""
    titles, abstracts = fold_text(title), fold_text(abstract)
    stem_word = get_stemmer().stem_word
    stems = " ".join(map(stem_word, titles.split()))
    return {
        TITLE: [titles],
        TEXT: [titles, titles, abstracts],
        STEMS: [" ".join([stems, stems, *map(stem_word, abstracts.split())])],
    }


def _build_document(doc_id: int, title: str, abstract: str) -> tantivy.Document:
    """Return the fields of a record."""
    import tantivy

    return tantivy.Document(**{ID: doc_id, **fold_fields(title, abstract)})


def _clean_up(folder: Path, index: tantivy.Index, parent: Path | None) -> None:
    """Delete the locks, and files whose words were merged into others; those of the parent keep their stamps."""
    before = {file: read_identity(file) for file in parent.iterdir()} if parent else {}
    cleaner = index.writer(heap_size=_LITTLE_HEAP, num_threads=1)
    cleaner.garbage_collect_files()
    cleaner.wait_merging_threads()
    listed = {_META, _MANAGED, *json.loads((folder / _MANAGED).read_text(encoding="utf-8"))}
    for file in folder.iterdir():
        if file.is_file() and file.name not in listed:
            file.unlink()
    for file, identity in before.items():
        carry(identity, read_identity(file))
