"""Damage to a published generation: every kind is noticed before a query is answered, and nothing is written."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.errors import CorruptError, EngineError, FormatVersionError, NoGenerationError
from engine.index.generations import manifest as manifests
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import FORMAT_VERSION, dump_manifest, read_manifest, suggest_rebuild
from engine.index.generations.publish import prune
from engine.query.index import open_index
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.generation import Manifest
from engine.reindex.generation.order import Report
from engine.reindex.runs.rollback import roll_back
from tests.conftest import ROOT, TOY_MODEL, jsonl, segment_of, sign_again

OF_SEGMENT = ("abstracts.db", "vectors.faiss", "map.npz", "segment.json")
NAMES = (*OF_SEGMENT, "state.db", "axes.npz", "manifest.json")
Run = Callable[..., subprocess.CompletedProcess[str]]
Add = Callable[..., Report]


def find_file(folder: IndexFolder, name: str, number: int) -> Path:
    """A file of a generation or of its newest segment, made writable."""
    place = segment_of(folder, number).path if name in OF_SEGMENT else folder.get_generation_path(number)
    (place / name).chmod(0o644)
    return place / name


def find_current(folder: IndexFolder, name: str) -> Path:
    return find_file(folder, name, folder.read_pointer())


def truncated(n: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:n])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": truncated(0),
    "one byte": truncated(1),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "one byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_refused_by_name_with_the_next_command(
    toy: IndexFolder, name: str, damage: Callable[[Path], object]
) -> None:
    damage(find_current(toy, name))
    with pytest.raises(
        CorruptError, match=rf"{name} .*No generation here is without damage\. Restore .*: rm -rf .* -i toy$"
    ):
        open_index(toy.path)


@pytest.mark.parametrize("most", [200, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_truncations_of_a_file_are_refused(toy: IndexFolder, name: str, most: int) -> None:
    path = find_current(toy, name)
    whole = path.read_bytes()
    for n in {*range(0, len(whole), max(1, len(whole) // most)), len(whole) - 1}:
        path.write_bytes(whole[:n])
        with pytest.raises(EngineError, match=name):
            toy.open_current()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "axes.npz"])  # both have the same axes
def test_a_file_of_another_generation_is_refused(toy: IndexFolder, add: Add, name: str) -> None:
    add({"id": "new", "title": "New"})
    shutil.copy(find_file(toy, name, 1), find_file(toy, name, 2))
    with pytest.raises(CorruptError, match="manifest.json|" + name):
        open_index(toy.path)


@pytest.fixture
def several(toy: IndexFolder, add: Add) -> IndexFolder:
    """The toy index after two nights that kept the segments: of 40, 1 and 2 records; toy-03 is dead in the first."""
    add({"id": "new", "title": "New"}, one_segment_below=0)
    add({"id": "newer", "title": "Newer"}, {"id": "toy-03", "title": "Revised"}, one_segment_below=0)
    manifest = toy.open_current().manifest
    assert [(segment.n_records, segment.n_dead) for segment in manifest.segments] == [(40, 1), (2, 0), (1, 0)]
    return toy


def list_receipts(folder: IndexFolder) -> dict[Path, FileReceipt | None]:
    """Every file that the current generation needs, with its receipt if another file contains that."""
    generation = folder.open_current()
    manifest, files = generation.manifest, dict[Path, FileReceipt | None]({folder.pointer: None})
    files |= {generation.path / receipt.name: receipt for receipt in manifest.files}
    files |= {generation.path / entry.dead.name: entry.dead for entry in manifest.segments if entry.dead}
    files[generation.path / "manifest.json"] = None
    for segment in generation.segments:
        files |= {segment.files.path / receipt.name: receipt for receipt in segment.receipt.files}
        size = segment.files.receipt.stat().st_size
        files[segment.files.receipt] = FileReceipt(segment.files.receipt.name, size, segment.entry.sha256)
    return {path: receipt and replace(receipt, name=path.name) for path, receipt in files.items()}


def test_no_file_of_a_generation_is_without_a_receipt(several: IndexFolder) -> None:
    current = several.open_current()
    places = [current.path, *(segment.files.path for segment in current.segments)]
    there = {path for place in places for path in place.rglob("*") if path.is_file()}
    assert there | {several.pointer} == set(list_receipts(several))
    assert any(path.name.startswith("dead-") for path in there)


@pytest.mark.parametrize("step", [499, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_one_flipped_bit_at_any_byte_is_noticed(several: IndexFolder, step: int) -> None:
    for path, receipt in list_receipts(several).items():
        path.chmod(0o644)
        whole = path.read_bytes()
        with path.open("r+b", buffering=0) as file:
            for position in range(0, len(whole), step if len(whole) > 10_000 else 1):
                byte = whole[position]
                file.seek(position)
                file.write(bytes([byte ^ 1 << (position % 8)]))
                if receipt:  # what opening asks of a data file
                    assert receipt.find_problem(path.parent)
                elif path.name == "manifest.json":
                    with pytest.raises(CorruptError, match=str(path)):
                        read_manifest(path.parent)
                if position % 97 == 0:
                    with pytest.raises(EngineError, match=rf"{path}|CURRENT"):
                        several.open_current()
                file.seek(position)
                file.write(bytes([byte]))
        assert path.read_bytes() == whole
    assert several.open_current().manifest.generation == 3


def test_every_bit_of_the_pointer_is_guarded(toy: IndexFolder, add: Add) -> None:
    add({"id": "n1", "title": "New"})
    add({"id": "n2", "title": "New"})
    whole = toy.pointer.read_bytes()
    for position in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << (position % 8)
        toy.pointer.write_bytes(flipped)
        with pytest.raises(CorruptError, match="CURRENT"):
            toy.open_current()


def test_damage_through_the_command_line(toy: IndexFolder, engine: Run) -> None:
    path = find_current(toy, "vectors.faiss")
    path.write_bytes(path.read_bytes()[:-1])
    for command in (("search", "gout"), ("similar", "toy-01"), ("verify",), ("verify", "--deep"), ("status",)):
        done = engine(*command)
        assert done.returncode == 3, command
        assert done.stdout == ""
        assert done.stderr.startswith("Error: ") and "vectors.faiss has 5,529 bytes, expected 5,530" in done.stderr
        assert "Traceback" not in done.stderr


def test_missing_unreadable_and_forbidden_are_three_messages(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = find_current(toy, "vectors.faiss")
    messages = set()
    for error in (PermissionError(13, "Permission denied"), OSError(5, "Input/output error")):
        with monkeypatch.context() as patched:
            patched.setattr("engine.receipts.FileReceipt.of", raiser(error))
            toy.pointer.write_text("000001\n")
            with pytest.raises(CorruptError, match=r"state.db: no perm|state.db can't be read") as caught:
                open_index(toy.path)
            messages.add(str(caught.value).split(":", 1)[1][:20])
    path.unlink()
    with pytest.raises(CorruptError, match="vectors.faiss is missing"):
        open_index(toy.path)
    assert len(messages) == 2
    assert not path.exists()  # nothing puts an empty index in its place


def raiser(error: OSError) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_a_pointer_that_leads_nowhere_proposes_and_never_picks(toy: IndexFolder) -> None:
    good = toy.pointer.read_text()
    for text in ("", "garbage", "7", "000009\n", "000009 0123456789abcdef\n", "../../etc\n"):
        toy.pointer.write_text(text)
        with pytest.raises(
            CorruptError, match=r"CURRENT .* Generations here: 000001\. .* engine rollback -i toy --to 1"
        ):
            open_index(toy.path)
    toy.pointer.unlink()
    with pytest.raises(CorruptError, match="CURRENT is missing"):
        open_index(toy.path)
    toy.pointer.write_text(good)
    open_index(toy.path).close()


def test_a_pointer_written_by_hand_works(toy: IndexFolder) -> None:
    toy.pointer.write_text("000001")
    assert toy.read_current() == 1


def test_nothing_published_yet(tmp_path: Path) -> None:
    with pytest.raises(NoGenerationError, match=r"there is no folder .*new, expected the path of an index"):
        open_index(tmp_path / "new")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", [truncated(9), lambda path: path.unlink()], ids=["cut", "deleted"])
def test_the_command_that_an_error_names_mends_it(
    toy: IndexFolder, engine: Run, add: Add, name: str, damage: Callable[[Path], object]
) -> None:
    add({"id": "new", "title": "New"})
    damage(find_current(toy, name))
    done = engine("search", "gout")
    assert done.returncode == 3 and "Run: engine rollback" in done.stderr
    assert engine("rollback").stdout.startswith("toy: now at generation 000001")
    assert len(engine("search", "gout", "-n", "99").stdout.splitlines()) == 40


@pytest.mark.parametrize("name", ["abstracts.db", "manifest.json"])
def test_without_another_generation_the_command_that_an_error_names_rebuilds(
    toy: IndexFolder, engine: Run, tmp_path: Path, name: str
) -> None:
    find_current(toy, name).unlink()
    done = engine("search", "gout")
    assert done.returncode == 3 and "rollback" not in done.stderr
    remove, _, build = done.stderr.strip().rpartition("or rebuild the index: ")[2].partition(" && ")
    subprocess.run(shlex.split(remove), check=True)
    source = jsonl(tmp_path / "FILE", [{"id": "gout", "title": "Gout"}])
    assert engine(*shlex.split(build.replace("FILE", str(source)))[1:], "-m", str(TOY_MODEL)).returncode == 0
    assert len(engine("search", "gout").stdout.splitlines()) == 1


def test_an_older_damaged_generation_leads_to_the_current_one(toy: IndexFolder, add: Add, engine: Run) -> None:
    add({"id": "new", "title": "New"})
    find_file(toy, "state.db", 1).unlink()
    with pytest.raises(CorruptError, match="Generation 000002, which is current, is not damaged$"):
        open_index(toy.path, generation=1)
    for command in (("rollback",), ("diff", "1", "2")):
        done = engine(*command)
        assert done.returncode == 3, command
        assert done.stderr.rstrip().endswith("Generation 000002, which is current, is not damaged"), done.stderr
    assert engine("search", "gout").returncode == 0


def test_content_that_was_always_wrong_leads_to_no_other_generation(
    toy: IndexFolder, add: Add, engine: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add({"id": "new", "title": "New"})
    flat = find_current(toy, "vectors.faiss")
    whole = flat.read_bytes()
    flat.write_bytes(whole[:400] + b"\xff" * 8 + whole[408:])  # no number, in one or two vectors
    sign_again(toy)  # whatever wrote these bytes took them for right
    done = engine("verify")
    assert done.returncode == 3 and "rollback" not in done.stderr
    assert "vectors are not finite" in done.stderr and "or rebuild it: rm -rf" in done.stderr


def test_files_that_do_not_belong_are_refused(toy: IndexFolder) -> None:
    side = segment_of(toy, 1).path / "abstracts.db-wal"
    side.write_bytes(b"")
    with pytest.raises(CorruptError, match=r"abstracts.db-wal should not exist"):
        open_index(toy.path)


def resigned(manifest: Manifest, folder: IndexFolder, **changes: object) -> None:
    """Write a manifest whose own checksum is right, and point to it."""
    path = folder.get_generation_path(1) / "manifest.json"
    path.chmod(0o644)
    path.write_text(dump_manifest(replace(manifest, **changes)))  # type: ignore[arg-type]
    folder.pointer.write_text(folder.format_pointer(1))


@pytest.mark.parametrize("version", [*range(1, FORMAT_VERSION), FORMAT_VERSION + 1])
def test_another_format_is_refused_with_both_numbers_and_the_next_command(toy: IndexFolder, version: int) -> None:
    resigned(read_manifest(toy.get_generation_path(1)), toy, format_version=version)
    with pytest.raises(
        FormatVersionError,
        match=rf"has format version {version}, this engine reads only {FORMAT_VERSION}\. "
        rf"Rebuild the index: rm -rf {toy.path}/CURRENT {toy.path}/generations {toy.path}/segments && engine index FILE -i toy$",
    ):
        open_index(toy.path)


def test_the_documentation_names_the_format() -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    assert f"`format_version` in `manifest.json` is {FORMAT_VERSION}." in page


def test_a_manifest_without_a_format_is_refused(toy: IndexFolder) -> None:
    path = toy.get_generation_path(1) / "manifest.json"
    content = open_json(path.read_bytes())
    assert content is not None
    del content["format_version"]
    path.chmod(0o644)
    path.write_text(seal_json(content))
    toy.pointer.write_text(toy.format_pointer(1))
    with pytest.raises(FormatVersionError, match="has format version None, this engine reads only"):
        open_index(toy.path)


def test_the_command_names_the_sources_of_index_toml(toy: IndexFolder) -> None:
    settings = toy.path / "index.toml"
    for text, command in (
        ('model = "x"\n', "engine index FILE -i toy"),
        ('sources = ["inbox"]\n', "engine reindex toy"),
        ("[[sources\n", "engine reindex toy"),
    ):
        settings.write_text(text)
        assert (
            suggest_rebuild(toy.path)
            == f"rm -rf {toy.path}/CURRENT {toy.path}/generations {toy.path}/segments && {command}"
        )


def test_a_manifest_that_counts_wrong_is_refused(toy: IndexFolder) -> None:
    manifest = read_manifest(toy.get_generation_path(1))
    resigned(manifest, toy, counts=replace(manifest.counts, abstracts=41))
    with pytest.raises(CorruptError, match="holds 40 vectors, its manifest says 41"):
        open_index(toy.path)


def test_a_manifest_survives_the_round_trip(toy: IndexFolder) -> None:
    manifest = read_manifest(toy.get_generation_path(1))
    content = open_json(dump_manifest(manifest).encode())
    assert content is not None and manifests._build_manifest(content) == manifest
    assert asdict(manifest)["counts"]["abstracts"] == 40


def copy_while_publishing(toy: IndexFolder, add: Add, target: Path) -> IndexFolder:
    """A copy of the index for which generations/ was read before a publication, and CURRENT after it."""
    shutil.copytree(toy.path, target)
    add({"id": "new", "title": "New"})
    shutil.copy(toy.pointer, target / "CURRENT")
    return IndexFolder(target)


def cut_off(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


INCOMPLETE: dict[str, Callable[[Path, Path], object]] = {
    "no generation": lambda path, _: shutil.rmtree(path),
    "no file": lambda path, _: [file.unlink() for file in path.rglob("*") if file.is_file()],
    "no manifest": lambda path, _: (path / "manifest.json").unlink(),
    "no state": lambda path, _: (path / "state.db").unlink(),
    "half a manifest": lambda path, _: cut_off(path / "manifest.json"),
    "no segment": lambda _, segment: shutil.rmtree(segment),
    "no receipt": lambda _, segment: (segment / "segment.json").unlink(),
    "no vectors": lambda _, segment: (segment / "vectors.faiss").unlink(),
    "half a database": lambda _, segment: cut_off(segment / "abstracts.db"),
}


@pytest.mark.parametrize("spoil", INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_a_copy_made_while_publishing_names_the_command_that_repairs_it(
    toy: IndexFolder, add: Add, engine: Run, spoil: Callable[[Path, Path], object]
) -> None:
    copy = copy_while_publishing(toy, add, toy.path.with_name("copy"))
    segment = copy.segments / segment_of(toy, 2).path.name
    shutil.copytree(toy.get_generation_path(2), copy.get_generation_path(2))
    shutil.copytree(segment_of(toy, 2).path, segment)
    spoil(copy.get_generation_path(2), segment)
    with pytest.raises(CorruptError, match=r"000002.*: engine rollback -i copy --to 1$") as refused:
        open_index(copy.path)
    command = str(refused.value).rpartition(": engine ")[2].split()
    assert engine(*command).returncode == 0
    with open_index(copy.path) as index:
        assert (index.generation, len(index)) == (1, 40)


def test_an_incomplete_generation_is_not_the_one_to_go_back_to(toy: IndexFolder, add: Add) -> None:
    for n in range(3):
        add({"id": f"n{n}", "title": f"New {n}"})
    shutil.rmtree(toy.get_generation_path(4))
    segment_of(toy, 3).vectors.unlink()
    with pytest.raises(CorruptError, match=r"Generations here: 000002, 000003\..* engine rollback -i toy --to 2$"):
        open_index(toy.path)


def test_pruning_keeps_the_current_one_and_what_it_was_made_from(toy: IndexFolder, add: Add) -> None:
    for n in range(5):
        add({"id": f"n{n}", "title": f"New {n}"}, keep_generations=9)
    assert toy.list_numbers() == [1, 2, 3, 4, 5, 6]
    assert prune(toy, 5) == [1]
    roll_back(toy, 4)
    assert prune(toy, 2) == [2, 5, 6]
    assert toy.list_numbers() == [3, 4]


@pytest.mark.parametrize("found", ["missing", "a file"])
def test_pruning_without_the_folder_of_segments_deletes_nothing_and_says_so(
    toy: IndexFolder, add: Add, found: str
) -> None:
    add({"id": "new", "title": "New"})
    shutil.move(toy.segments, toy.path / "elsewhere")
    if found == "a file":
        toy.segments.write_text("x")
    with pytest.raises(CorruptError, match=rf"^{toy.segments} can't be read: .*\. Expected a folder .*: rm -rf .*toy$"):
        prune(toy, 1)
    assert toy.list_numbers() == [1, 2]


def test_without_the_folder_of_generations_the_index_is_to_be_built_anew(toy: IndexFolder) -> None:
    shutil.rmtree(toy.generations)
    with pytest.raises(CorruptError, match=r"CURRENT names generation 000001, .* Expected it in .*: rm -rf .* -i toy$"):
        toy.open_current()


def flip_bit(path: Path) -> None:
    path.chmod(0o644)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def test_damage_in_a_shared_segment_leads_back_to_a_generation_without_it(several: IndexFolder, engine: Run) -> None:
    """Generation 2 shares the segment of the first night, so only generation 1 is whole."""
    (second,) = (s.files for s in several.open_current().segments if s.receipt.generation == 2)
    flip_bit(second.vectors)
    with pytest.raises(CorruptError, match=rf"{second.vectors} was changed .* Run: engine rollback -i toy --to 1$"):
        open_index(several.path)
    with pytest.raises(CorruptError, match=rf"{second.vectors} was changed .* Run: engine rollback -i toy --to 1$"):
        roll_back(several, None)
    assert several.read_current() == 3
    assert engine("rollback", "-i", "toy", "--to", "1").returncode == 0
    with open_index(several.path) as index:
        assert len(index) == 40


def test_damage_in_a_segment_of_all_generations_leads_to_a_rebuild(several: IndexFolder) -> None:
    path = segment_of(several, 1).database
    flip_bit(path)
    advice = (
        rf"{path} was changed .* No generation here is without damage\. .*rebuild the index: rm -rf .*/segments && "
    )
    with pytest.raises(CorruptError, match=advice + "engine index FILE -i toy$"):
        open_index(several.path)
    for number in (1, 2, 3):
        with pytest.raises(CorruptError, match=advice):
            roll_back(several, number)
    assert several.read_current() == 3


def sign_manifest(folder: IndexFolder, manifest: Manifest) -> None:
    path = folder.get_generation_path(manifest.generation) / "manifest.json"
    path.chmod(0o644)
    path.write_text(dump_manifest(manifest))
    folder.pointer.write_text(folder.format_pointer(manifest.generation))


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_segment_that_is_missing_or_of_another_index_is_refused(
    several: IndexFolder, tmp_path: Path, at: int
) -> None:
    path = several.open_current().segments[at].files.path
    path.rename(tmp_path / "away")
    with pytest.raises(CorruptError, match=rf"{path} is missing, a segment of generation 000003"):
        several.open_current()
    neighbour = next(each for each in sorted(several.segments.iterdir()) if each != path)
    shutil.copytree(neighbour, path)
    with pytest.raises(CorruptError, match=rf"{path}/segment.json was changed, damaged or belongs to another segment"):
        several.open_current()


def test_a_segment_of_another_encoder_is_refused(several: IndexFolder) -> None:
    manifest = several.open_current().manifest
    sign_manifest(several, replace(manifest, encoder=replace(manifest.encoder, precision="fp16")))
    with pytest.raises(CorruptError, match=r"segment\.json is of the encoder [0-9a-f]{12}, expected [0-9a-f]{12}"):
        several.open_current()


def test_tombstones_that_are_missing_or_of_another_generation_are_refused(several: IndexFolder, add: Add) -> None:
    add({"id": "toy-04", "title": "Revised"}, one_segment_below=0)
    dead = "dead-" + several.open_current().manifest.segments[0].name
    before, now = (several.get_generation_path(n) / dead for n in (3, 4))
    now.chmod(0o644)
    now.write_bytes(before.read_bytes())
    with pytest.raises(CorruptError, match=rf"{now} (has|was changed).* Run: engine rollback -i toy --to 3$"):
        several.open_current()
    now.unlink()
    with pytest.raises(CorruptError, match=rf"{now} is missing"):
        several.open_current()


def test_an_unnamed_segment_is_cleared_by_the_next_writer_and_a_named_one_stays(several: IndexFolder, add: Add) -> None:
    named = {path.name for path in several.segments.iterdir()}
    unnamed = several.segments / "000004-01234567"
    shutil.copytree(segment_of(several, 1).path, unnamed)
    half = several.segments / "000004-89abcdef"
    half.mkdir()
    with open_index(several.path) as index:
        assert len(index) == 42  # readers leave it alone
    assert unnamed.exists()
    add({"id": "new", "title": "New"})  # nothing new, and yet
    assert {path.name for path in several.segments.iterdir()} == named


def test_pruning_keeps_the_segments_that_a_kept_generation_names(several: IndexFolder) -> None:
    shared = {path.name for path in several.segments.iterdir()}
    assert prune(several, 1) == [1, 2]
    assert {path.name for path in several.segments.iterdir()} == shared
    assert several.check(3).manifest.counts.abstracts == 42
