"""The tree is the architecture: a stage imports only stages that sort before it, and one stage owns each heavy library."""

import ast
from pathlib import Path

import pytest

ENGINE = Path(__file__).parent.parent / "engine"
BASE = {
    "records",
    "queries",
    "errors",
    "config",
    "stamps",
    "deadline",
    "files",
    "identifiers",
    "options",
    "progress",
}  # importable from everywhere, import no stage
RIM = {"cli", "terminal", "__init__", "__main__"}  # import anything, imported by no stage
APART = {"collect", "corpus", "encode", "index"}  # meet only in records and arrays
OWNERS = {
    "lxml": {"collect"},
    "rispy": {"collect"},
    "bibtexparser": {"collect"},
    "pylatexenc": {"collect"},
    "sqlite_utils": {"corpus"},
    "sqlite3": {"corpus"},
    "torch": {"encode", "train"},
    "transformers": {"encode", "train"},
    "sentence_transformers": {"encode", "train"},
    "sklearn": {"relevance"},
    "scipy": {"relevance"},
    "matplotlib": {"relevance"},
    "datasets": {"train"},
    "accelerate": {"train"},
    "peft": {"train"},
    "pyarrow": {"train"},
    "huggingface_hub": {"encode"},
    "onnxruntime": {"encode"},
    "tokenizers": {"encode"},
    "nanotoken": {"encode"},
    "faiss": {"index"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "jinja2": {"serve"},
    "prometheus_client": {"serve"},
    "h11": {"serve"},
    "mcp": {"serve"},
    "xlsxwriter": {"references"},
    "click": {"cli", "terminal"},
    "rich": {"cli", "terminal"},
}
FORBIDDEN = {"pickle", "marshal", "shelve", "pandas"}
FILES = sorted(ENGINE.rglob("*.py"))


def stage_of(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, in functions too; relative ones made absolute."""
    package = ["engine", *path.relative_to(ENGINE).parent.parts]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*up, *([node.module] if node.module else [])])
            names |= {f"{source}.{alias.name}" for alias in node.names}
    return names


def stages_imported(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imported(path) if name.startswith("engine.")}
    return names - BASE - {stage_of(path), "__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ENGINE)))
def test_imports_only_stages_to_its_left(path: Path) -> None:
    stage, found = stage_of(path), stages_imported(path)
    if stage in BASE:
        assert not found
    elif stage not in RIM:
        assert not found & RIM
        assert all(other < stage for other in found), found
        assert not (stage in APART and found & APART), found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ENGINE)))
def test_a_heavy_library_has_one_owner(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imported(path)}
    assert not libraries & FORBIDDEN
    for library in libraries & OWNERS.keys():
        assert stage_of(path) in OWNERS[library], library


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ENGINE)))
def test_only_config_reads_the_environment(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.name == "config.py" or ("environ" not in text and "getenv" not in text)


def test_house_sizes() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert lines <= 50, f"{path}:{node.lineno} {node.name} has {lines} lines"
