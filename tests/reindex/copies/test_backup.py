"""Backups: equal to the index, of one moment, checked, and never half-made. Restored ones answer as the index did."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import open_index
from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision, RecordIdentity
from engine.errors import CorruptError, FormatVersionError, LockedError, SourceError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.receipts import open_json, seal_json
from engine.reindex.copies import pin
from engine.reindex.copies.backup import make_backup
from engine.reindex.copies.backupreceipt import BACKUP
from engine.reindex.copies.restore import restore_index
from engine.reindex.generation.verify import verify
from tests.conftest import CURRENT, add_rows, jsonl, silent

FORMS = pytest.mark.parametrize("name", ["copy", "copy.tar"])


@pytest.fixture
def both(tmp_path: Path) -> IndexFolder:
    """An index of two generations and two segments, with decisions, settings and things that are no part of it."""
    folder = IndexFolder(Path(shutil.copytree(CURRENT, tmp_path / "indexes" / "both")))
    gout = RecordIdentity(ids=("toy-03",), title="Colchicine in lupus")
    Journal(folder.decisions, "gout").append("ann", [NewDecision(DecisionKind.START, ())])
    Journal(folder.decisions, "gout").append("ann", [NewDecision(DecisionKind.INCLUDE, (gout,), note="yes")])
    (folder.path / "index.toml").write_text("keep_generations = 2\n")
    (folder.path / "nightly.jsonl").write_text("{}\n")
    (folder.path / "watches.json").write_text('{"version": 1, "runs": 0, "watches": {}}\n')
    (folder.path / "shards").mkdir()
    (folder.path / "notes.txt").write_text("of a person")
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    """The files of an index but those that a backup leaves out or copies by other means."""
    passed = {"LOCK", "decisions.db", "decisions.db-wal", "decisions.db-shm", "notes.txt", BACKUP}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in passed
    }


def answers_of(folder: IndexFolder) -> list[object]:
    """What an index answers, by meaning and by words, and what was decided."""
    with open_index(folder.path) as index:
        hits = [index.search(text, top_k=20) for text in ("gout", "lupus nephritis", "knee pain")]
        return [[(hit.id, hit.score) for hit in found] for found in hits] + [Journal(folder.decisions, "gout").read()]


@FORMS
def test_a_restored_index_is_equal_and_answers_equally(both: IndexFolder, tmp_path: Path, name: str) -> None:
    made = make_backup(both, tmp_path / name, silent)
    restored = IndexFolder(tmp_path / "other" / "new")
    receipt = restore_index(tmp_path / name, restored, silent)
    assert receipt == made.receipt
    assert (receipt.name, receipt.generations, receipt.current, receipt.n_records) == ("both", (1, 2), 2, 43)
    assert (receipt.reviews, receipt.n_decisions) == (("gout",), 2)
    assert content_of(restored.path) == content_of(both.path)
    assert answers_of(restored) == answers_of(both)
    for number in (1, 2):
        assert not verify(restored, restored.open_number(number), deep=True)
    assert [note.rsplit("/", 1)[-1] for note in made.notes] == ["notes.txt is left out: it is no part of an index"]
    modes = {path.stat().st_mode & 0o777 for path in restored.segments.rglob("*") if path.is_file()}
    assert modes == {0o444}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["indexes", "other", name])
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["new"]
    assert add_rows(restored, tmp_path, {"id": "new-1", "title": "Febuxostat"}).published  # it goes on


@FORMS
def test_what_was_fetched_for_queries_is_backed_up_in_its_order(both: IndexFolder, tmp_path: Path, name: str) -> None:
    queries = both.path / "queries"
    (queries / "pubmed-1").mkdir(parents=True)
    started = {"all.xml.gz": "2026-01-01T03:00:00+00:00", "changed-since-1.xml.gz": "2026-01-02T03:00:00+00:00",
               "changed-since-1-2.xml.gz": "2026-01-03T03:00:00+00:00"}  # fmt: skip
    for file in started:
        (queries / "pubmed-1" / file).write_text(file)
    (queries / "pubmed-1" / "changed-since-2.xml.gz.part").write_text("half")
    rows = [{"name": file, "started": moment} for file, moment in started.items()] + [{"name": "", "started": "?"}]
    (queries / "pubmed-1.json").write_text(json.dumps({"fetches": rows}))
    make_backup(both, tmp_path / name, silent)
    restored = IndexFolder(tmp_path / "other" / "new")
    restore_index(tmp_path / name, restored, silent)
    found = sorted(restored.path.glob("queries/pubmed-1/*"), key=lambda path: path.stat().st_mtime_ns)
    assert [(path.name, path.read_text()) for path in found] == [(file, file) for file in started]
    assert (restored.path / "queries" / "pubmed-1.json").read_bytes() == (queries / "pubmed-1.json").read_bytes()


def headers_of(path: Path) -> list[tarfile.TarInfo]:
    """The headers of an archive, of all members but the receipt, which holds the time."""
    with tarfile.open(path) as tar:
        return [member for member in tar if not member.name.endswith(BACKUP)]


def test_equal_indexes_give_equal_archives_and_shared_files_are_stored_once(both: IndexFolder, tmp_path: Path) -> None:
    add_rows(both, tmp_path, {"id": "new-1", "title": "Febuxostat"})
    one, two = (make_backup(both, tmp_path / f"{n}.tar", silent) for n in "12")
    texts = [[(m.name, m.size, m.chksum) for m in headers_of(made.path)] for made in (one, two)]
    assert texts[0] == texts[1] == sorted(texts[0])
    links = [m for m in headers_of(one.path) if m.islnk()]
    inodes = {path.stat().st_ino for path in both.path.rglob("*") if path.is_file() and path.stat().st_nlink > 1}
    assert links and inodes
    restored = IndexFolder(tmp_path / "again" / "both")
    restore_index(one.path, restored, silent)
    assert content_of(restored.path) == content_of(both.path)


@FORMS
def test_what_is_published_and_deleted_meanwhile_changes_nothing(
    both: IndexFolder, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, files = answers_of(both), content_of(both.path)
    numbers = [both.list_numbers()]

    def publish(phase: str, done: int, total: int | None) -> None:
        if numbers[-1] == [1, 2]:
            add_rows(both, tmp_path, {"id": "new-1", "title": "Febuxostat"}, keep_generations=1)
            numbers.append(both.list_numbers())

    made = make_backup(both, tmp_path / name, publish)
    assert numbers == [[1, 2], [3]]
    assert made.receipt.generations == (1, 2) and made.receipt.current == 2
    restored = IndexFolder(tmp_path / "other" / "new")
    restore_index(tmp_path / name, restored, silent)
    assert content_of(restored.path) == files
    assert answers_of(restored) == before


def test_a_generation_deleted_before_it_is_open_is_followed(
    both: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, done = pin.read_manifest, []

    def publish_first(path: Path) -> object:
        if not done:
            done.append(add_rows(both, tmp_path, {"id": "new-1", "title": "Febuxostat"}, keep_generations=1))
        return read(path)

    monkeypatch.setattr(pin, "read_manifest", publish_first)
    made = make_backup(both, tmp_path / "copy", silent)
    assert (made.receipt.generations, made.receipt.n_records, made.notes[1:]) == ((3,), 44, ())


def test_an_incomplete_older_generation_is_left_out_and_told(both: IndexFolder, tmp_path: Path) -> None:
    (both.get_generation_path(1) / "state.db").unlink()
    made = make_backup(both, tmp_path / "copy", silent)
    assert made.receipt.generations == (2,)
    assert any("generation 000001 is left out, since it is incomplete" in note for note in made.notes)
    assert make_backup(both, tmp_path / "small", silent, only_current=True).receipt.generations == (2,)


@FORMS
def test_a_damaged_index_is_not_backed_up(both: IndexFolder, tmp_path: Path, name: str) -> None:
    vectors = both.open_current().segments[-1].files.vectors
    vectors.chmod(0o644)
    damaged = bytearray(vectors.read_bytes())
    damaged[-20] ^= 1
    vectors.write_bytes(damaged)
    with pytest.raises(
        CorruptError, match=r"vectors\.faiss was changed or damaged.*No backup was made. Run: engine verify"
    ):
        make_backup(both, tmp_path / name, silent)
    vectors.write_bytes(damaged[:-1])
    with pytest.raises(CorruptError, match="vectors.faiss has .* bytes, expected"):
        make_backup(both, tmp_path / name, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["indexes"]


def test_damaged_decisions_are_not_backed_up(both: IndexFolder, tmp_path: Path) -> None:
    both.decisions.write_bytes(b"no database")
    with pytest.raises(CorruptError, match=r"decisions\.db is damaged: file is not a database\. Put back an older"):
        make_backup(both, tmp_path / "copy", silent)


def test_other_databases_in_the_folder_stop_no_backup(both: IndexFolder, tmp_path: Path) -> None:
    (both.path / "Thumbs.db").write_bytes(b"of Windows")
    notes = make_backup(both, tmp_path / "copy", silent).notes
    assert f"{both.path / 'Thumbs.db'} is left out: it is no part of an index" in notes
    assert not (tmp_path / "copy" / "Thumbs.db").exists()


def test_places_that_are_refused(both: IndexFolder, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "two words").mkdir()
    for place, what in (
        ("there", "exists, and a backup never replaces anything. Name a new place: -o .*there/both"),
        ("two words", "Name a new place: -o '.*two words/both'"),
        ("no such/copy", "there is no folder .*no such. Make it first: mkdir -p '.*no such'"),
        ("copy.tar.gz", "would be a compressed file, .*copy.tar"),
        ("indexes/both/copy", "is in the index itself"),
    ):
        with pytest.raises(UsageError, match=what):
            make_backup(both, tmp_path / place, silent)
    with pytest.raises(UsageError, match="the output is -, expected the name of a file or folder"):
        make_backup(both, Path("-"), silent)
    part = tmp_path / ".copy.part"
    part.mkdir()
    with lock_for_writing(part / "LOCK"), pytest.raises(LockedError, match="being written by another process"):
        make_backup(both, tmp_path / "copy", silent)


def test_what_a_stopped_backup_left_is_cleared(both: IndexFolder, tmp_path: Path) -> None:
    part = tmp_path / ".copy.part"
    (part / "made" / "old").mkdir(parents=True)
    make_backup(both, tmp_path / "copy", silent)
    assert not part.exists() and not (tmp_path / "copy" / "old").exists()


def test_names_that_are_taken(both: IndexFolder, tmp_path: Path) -> None:
    make_backup(both, tmp_path / "copy", silent)
    before = content_of(both.path)
    with pytest.raises(UsageError, match="exists. Name a new index: -i both-2; or replace it.*--replace"):
        restore_index(tmp_path / "copy", both, silent)
    (tmp_path / "indexes" / "other").mkdir()
    with pytest.raises(UsageError, match="is no index, expected one to replace"):
        restore_index(tmp_path / "copy", IndexFolder(tmp_path / "indexes" / "other"), silent, replace=True)
    add_rows(both, tmp_path, {"id": "new-1", "title": "Febuxostat"})
    with lock_for_writing(both.lock), pytest.raises(LockedError, match="being written"):
        restore_index(tmp_path / "copy", both, silent, replace=True)
    restore_index(tmp_path / "copy", both, silent, replace=True)
    assert content_of(both.path) == before
    assert sorted(path.name for path in both.path.parent.iterdir()) == ["both", "other"]


def test_replacing_where_names_can_not_be_exchanged(
    both: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_backup(both, tmp_path / "copy", silent)
    (both.path / "index.toml").unlink()
    monkeypatch.setattr("engine.index.files.durable.exchange_paths", lambda one, other: False)
    restore_index(tmp_path / "copy", both, silent, replace=True)
    assert (both.path / "index.toml").exists()
    assert [path.name for path in both.path.parent.iterdir()] == ["both"]


def test_a_reader_follows_a_replaced_index(both: IndexFolder, tmp_path: Path) -> None:
    make_backup(both, tmp_path / "copy", silent)
    add_rows(both, tmp_path, {"id": "new-1", "title": "Febuxostat"})
    with open_index(both.path) as index:
        assert index.get("new-1").title == "Febuxostat"
        restore_index(tmp_path / "copy", both, silent, replace=True)
        assert {hit.id for hit in index.search("febuxostat", top_k=100)}.isdisjoint({"new-1"})


def test_every_damaged_file_of_a_folder_is_named(both: IndexFolder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    names = [file.name for file in make_backup(both, copy, silent).receipt.files]
    for name in (*names[::3], "CURRENT", "decisions.db", BACKUP):
        path = copy / name
        path.chmod(0o644)
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(CorruptError, match=f"{path.name}.*Use another backup"):
            restore_index(copy, IndexFolder(tmp_path / "other" / "new"), silent)
        path.write_bytes(whole)
    (copy / names[0]).unlink()
    with pytest.raises(CorruptError, match=f"{names[0]} can't be read: No such file"):
        restore_index(copy, IndexFolder(tmp_path / "other" / "new"), silent)
    assert list((tmp_path / "other").iterdir()) == []


def test_a_damaged_or_cut_archive_is_refused(both: IndexFolder, tmp_path: Path) -> None:
    path, target = tmp_path / "copy.tar", IndexFolder(tmp_path / "other" / "new")
    make_backup(both, path, silent)
    whole = path.read_bytes()
    members = [(m.name, m.offset_data, m.size) for m in headers_of(path) if m.size]
    for name, at, size in members[:: len(members) // 4]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CorruptError, match=f"{Path(name).name}.*Use another backup"):
            restore_index(path, target, silent)
        for cut in (at - 512, at, at + size // 2):
            path.write_bytes(whole[:cut])
            with pytest.raises(CorruptError, match="Use another backup"):
                restore_index(path, target, silent)
    path.write_bytes(b"")
    with pytest.raises(CorruptError, match="Use another backup"):
        restore_index(path, target, silent)
    assert not list((tmp_path / "other").iterdir())


def rewrite(path: Path, change: Callable[[tarfile.TarInfo], tarfile.TarInfo], extra: tarfile.TarInfo | None) -> None:
    """Write an archive anew with changed headers, and one member more."""
    with tarfile.open(path) as old:
        members = [(change(m), old.extractfile(m).read() if m.isreg() else b"") for m in old]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as new:
        for member, content in members:
            new.addfile(member, io.BytesIO(content))
        if extra:
            new.addfile(extra, io.BytesIO(bytes(extra.size)))


def make_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, 5 if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize(
    "extra",
    [
        make_member("/tmp/evil"),
        make_member("both/../../evil"),
        make_member("../evil"),
        make_member("both//evil"),
        make_member("both/a\\..\\evil"),
        make_member("both/c:evil"),
        make_member("other/evil"),
        make_member("both/evil"),  # that the receipt does not name
        make_member("both/CURRENT"),  # for the second time
        make_member("both/evil", tarfile.SYMTYPE, "/etc"),
        make_member("both/evil", tarfile.LNKTYPE, "/etc/passwd"),
        make_member("both/evil", tarfile.LNKTYPE, "both/../../evil"),
        make_member("both/evil", tarfile.FIFOTYPE),
        make_member("both/evil", tarfile.CHRTYPE),
        make_member("both/evil", tarfile.DIRTYPE),
    ],
    ids=lambda member: f"{member.type!r} {member.name} {member.linkname}",
)
def test_members_that_could_lead_elsewhere_are_refused(
    both: IndexFolder, tmp_path: Path, extra: tarfile.TarInfo
) -> None:
    path = tmp_path / "copy.tar"
    make_backup(both, path, silent, only_current=True)
    rewrite(path, lambda member: member, extra)
    with pytest.raises(CorruptError, match="evil|CURRENT"):
        restore_index(path, IndexFolder(tmp_path / "other" / "new"), silent)
    assert not [found for found in tmp_path.rglob("*evil*")] and not (tmp_path / "other" / "new").exists()


def test_a_receipt_that_names_files_elsewhere_is_refused(both: IndexFolder, tmp_path: Path) -> None:
    make_backup(both, tmp_path / "copy", silent)
    path = tmp_path / "copy" / BACKUP
    content = open_json(path.read_bytes())
    assert content is not None
    for name in ("../evil", "/etc/passwd", "a/../../evil"):
        file = {"name": name, "n_bytes": 1, "sha256": ""}
        path.write_text(seal_json({**content, "files": [file]}))
        with pytest.raises(CorruptError, match="outside an index"):
            restore_index(tmp_path / "copy", IndexFolder(tmp_path / "other" / "new"), silent)
    path.write_text(seal_json({**content, "format_version": 3}))
    with pytest.raises(FormatVersionError, match="an index of format 3, expected 1 and 12. Restore it with"):
        restore_index(tmp_path / "copy", IndexFolder(tmp_path / "other" / "new"), silent)
    path.write_text(seal_json({"version": 1, "format_version": 12}))
    with pytest.raises(CorruptError, match="other fields"):
        restore_index(tmp_path / "copy", IndexFolder(tmp_path / "other" / "new"), silent)


def test_a_linked_file_in_a_backup_folder_is_refused(both: IndexFolder, tmp_path: Path) -> None:
    make_backup(both, tmp_path / "copy", silent)
    path = tmp_path / "copy" / "index.toml"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptError, match="index.toml can't be read"):
        restore_index(tmp_path / "copy", IndexFolder(tmp_path / "other" / "new"), silent)


def test_what_is_no_backup(both: IndexFolder, tmp_path: Path) -> None:
    new = IndexFolder(tmp_path / "other" / "new")
    with pytest.raises(SourceError, match="no such file or folder"):
        restore_index(tmp_path / "none", new, silent)
    with pytest.raises(CorruptError, match="holds no backup.json"):
        restore_index(both.path, new, silent)
    with pytest.raises(CorruptError, match="is no backup"):
        restore_index(jsonl(tmp_path / "rows.jsonl", [{"id": "1"}]), new, silent)
    with tarfile.open(tmp_path / "plain.tar", "w") as tar:
        tar.add(both.path, "both")
    with pytest.raises(CorruptError, match="was not made by engine backup: it begins with"):
        restore_index(tmp_path / "plain.tar", new, silent)
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(SourceError, match=r"is a pipe or a device, expected a folder or a file\. Unpack it"):
        restore_index(tmp_path / "pipe.tar", new, silent)
