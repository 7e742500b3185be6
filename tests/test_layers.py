"""The tree is the architecture: a stage imports only stages that sort before it, and one stage owns each heavy library."""

import ast
import gc
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ENGINE = Path(__file__).parent.parent / "engine"
BASE = {
    "arguments",
    "arrow",
    "records",
    "accessions",
    "receipts",
    "phrases",
    "platform",
    "errors",
    "config",
    "stamps",
    "deadline",
    "characters",
    "files",
    "identifiers",
    "options",
    "progress",
    "redaction",
    "svg",
}  # importable from everywhere, import no stage
RIM = {"cli", "terminal", "__init__", "__main__"}  # import anything, imported by no stage
APART = {"collect", "corpus", "encode", "index"}  # meet only in records and arrays
OWNERS = {
    "lxml": {"collect"},
    "bibtexparser": {"collect"},
    "pylatexenc": {"collect"},
    "openpyxl": {"collect"},
    "sqlite_utils": {"corpus"},
    "sqlite3": {"corpus"},
    "tantivy": {"corpus"},
    "torch": {"encode", "train"},
    "transformers": {"encode", "train"},
    "sentence_transformers": {"encode", "train"},
    "sklearn": {"relevance"},
    "scipy": {"relevance"},
    "matplotlib": {"relevance"},
    "datasets": {"train"},
    "accelerate": {"train"},
    "peft": {"train"},
    "pyarrow": {"arrow", "train"},
    "huggingface_hub": {"encode"},
    "onnxruntime": {"encode"},
    "tokenizers": {"encode"},
    "nanotoken": {"encode"},
    "faiss": {"index"},
    "umap": {"reindex"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "jinja2": {"serve"},
    "prometheus_client": {"serve"},
    "h11": {"serve"},
    "mcp": {"serve"},
    "haystack": {"retrievers"},
    "langchain_core": {"retrievers"},
    "llama_index": {"retrievers"},
    "mteb": {"retrievers"},
    "xlsxwriter": {"references"},
    "ray": {"scale"},
    "fsspec": {"scale"},
    "click": {"cli", "terminal"},
    "rich": {"cli", "terminal"},
}
# What asks other machines. huggingface_hub, which fetches a model that is named by a hub id, has its owner above.
NETWORK = {"urllib.request", "http.client", "ftplib", "ssl", "urllib3", "requests", "httpx", "aiohttp", "smtplib"}
FORBIDDEN = {"pickle", "marshal", "shelve", "pandas"}
# What not every system has, or does in another way: only engine/platform.py may use it.
FOREIGN = {"fcntl", "msvcrt", "resource", "pwd", "grp", "termios", "ctypes", "pty", "tty", "winreg"}
CALLS = {
    "os": frozenset(
        """
        chown copy_file_range fchdir fchmod fdatasync fork forkpty fsync getegid geteuid getgid getloadavg getpgid getuid
        kill killpg lchown link mkfifo name nice open posix_fadvise posix_spawn pread pwrite rename replace
        sched_setaffinity sendfile setsid statvfs sysconf umask uname wait wait4 waitpid
        """.split()
    ),
    "select": frozenset({"poll", "epoll", "kqueue", "POLLERR", "POLLHUP"}),
    "signal": frozenset({"SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "alarm", "pthread_sigmask", "setitimer"}),
    "socket": frozenset({"AF_UNIX"}),
    "sys": frozenset({"platform"}),
    "shutil": frozenset({"chown", "disk_usage"}),
}


@dataclass(frozen=True)
class Module:
    """One file of the package, read and parsed once."""

    name: str
    stage: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    imported: frozenset[str] = field(repr=False)

    @property
    def run_time_imports(self) -> frozenset[str]:
        """What it imports, in functions too, but for type checking alone."""
        blocks = (node for node in self.tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node))
        typing = {name for block in blocks for name in imported(ast.Module([block], []), ())}
        return self.imported - typing

    @property
    def stages_imported(self) -> set[str]:
        """Other stages that it imports."""
        names = {name.split(".")[1] for name in self.imported if name.startswith("engine.")}
        return names - BASE - {self.stage, "__version__"}


def imported(tree: ast.Module, package: Sequence[str]) -> Iterator[str]:
    """Dotted names that a file imports anywhere, in functions too; relative ones made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*up, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> Module:
    """Read and parse one file."""
    place = path.relative_to(ENGINE)
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    names = frozenset(imported(tree, ("engine", *place.parent.parts)))
    return Module(str(place), place.parts[0].removesuffix(".py"), text, tree, names)


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    """All files of the engine. While they are parsed, looking for garbage would take most of the time."""
    gc.disable()
    try:
        return [parsed(path) for path in sorted(ENGINE.rglob("*.py"))]
    finally:
        gc.enable()


def test_imports_only_stages_to_its_left(modules: list[Module]) -> None:
    for module in modules:
        stage, others = module.stage, module.stages_imported
        if stage in BASE:
            assert not others, module.name
        elif stage not in RIM:
            assert not others & RIM, module.name
            assert all(other < stage for other in others), (module.name, others)
            assert not (stage in APART and others & APART), (module.name, others)


def test_no_modules_import_each_other_in_a_circle(modules: list[Module]) -> None:
    names = {f"engine.{m.name}".removesuffix(".py").removesuffix("/__init__").replace("/", "."): m for m in modules}
    graph = {
        name: {imported_module(one, names) for one in m.run_time_imports} - {"", name} for name, m in names.items()
    }
    assert "engine.index.generations.folder" in graph["engine.query.index"]
    assert find_circle(graph) == []
    assert set(find_circle(graph | {"engine.index.generations.folder": {"engine.query.index"}})) >= {
        "engine.index.generations.folder",
        "engine.query.index",
    }


def find_circle(graph: Mapping[str, Collection[str]]) -> list[str]:
    """Return modules of which each imports the one before it, the first the last; [] without such a circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as err:
        return list(err.args[1])
    return []


def imported_module(dotted: str, names: Collection[str]) -> str:
    """The module of the engine that "engine.module.name" or "engine.module" names; "" where it is another's."""
    return next((name for name in (dotted, dotted.rpartition(".")[0]) if name in names and name != "engine"), "")


def rooms_of(init: ast.Module) -> tuple[str, ...]:
    """ROOMS of a stage's __init__, its subfolders in the order of the data; empty if it has no such line."""
    for node in init.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["ROOMS"]:
            return tuple(ast.literal_eval(node.value))
    return ()


def test_a_room_imports_only_rooms_to_its_left(modules: list[Module]) -> None:
    staged = {module.stage: rooms_of(module.tree) for module in modules if module.name == f"{module.stage}/__init__.py"}
    assert staged["train"] == ("pairs", "fit", "promote", "modelcard")
    for stage, rooms in staged.items():
        if rooms:
            assert sorted(rooms) == sorted(path.parent.name for path in (ENGINE / stage).glob("*/__init__.py"))
        for module in modules:
            _, room, *_ = *Path(module.name).parts, ""
            if module.stage == stage and room in rooms:
                names = {name.split(".")[2] for name in module.imported if name.startswith(f"engine.{stage}.")}
                beyond = names - {*rooms[: rooms.index(room) + 1]}
                assert not beyond, f"{module.name} imports {beyond}, expected only rooms up to {room}"


def test_a_heavy_library_has_one_owner(modules: list[Module]) -> None:
    for module in modules:
        libraries = {name.split(".")[0] for name in module.imported}
        assert not libraries & FORBIDDEN, module.name
        for library in libraries & OWNERS.keys():
            assert module.stage in OWNERS[library], (module.name, library)


def test_only_config_reads_the_environment(modules: list[Module]) -> None:
    readers = {module.name for module in modules if re.search(r"\b(environb?|getenvb?)\b", module.text)}
    assert readers == {"config.py"}


def test_no_function_is_longer_than_50_lines(modules: list[Module]) -> None:
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert lines <= 50, f"{module.name}:{node.lineno} {node.name} has {lines} lines"


def test_only_one_module_knows_what_systems_lack(modules: list[Module]) -> None:
    found = {module.name: set(find_foreign(module.tree)) for module in modules}
    assert {"os.fsync", "os.link", "os.replace", "sys.platform", "/proc/meminfo"} <= found.pop("platform.py")
    assert {name: uses for name, uses in found.items() if uses} == {
        "terminal.py": {"os.O_RDWR", "os.open"},  # of os.devnull, which every system has
    }
    example = "import fcntl\nos.nice(1)\npath.replace(other)\nname.replace('a', 'b')"
    assert set(find_foreign(ast.parse(example))) == {"fcntl", "os.nice", ".replace()"}


def find_foreign(tree: ast.Module) -> Iterator[str]:
    """What a module of the engine uses that not every system has, or that behaves in another way there."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names if alias.name in FOREIGN)
            case ast.ImportFrom(str(name)) if name in FOREIGN:
                yield name
            case ast.Attribute(ast.Name(module), name) if name in CALLS.get(module, ()) or name.startswith("O_"):
                yield f"{module}.{name}"
            case ast.Call(ast.Attribute(_, "rename" as name)) | ast.Call(ast.Attribute(_, "replace" as name), [_], []):
                yield f".{name}()"  # of a path; `replace` of a text has two arguments
            case ast.Constant(str(text)) if text.startswith(("/proc", "/sys/")):
                yield text
