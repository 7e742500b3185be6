"""Starting is cheap: what each way in loads, seen in a process of its own."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("ray", "fsspec", "torch", "transformers", "sentence_transformers", "pandas", "scipy", "sqlite_utils", "lxml")


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh process after running the code."""
    script = f"import sys\n{code}\nprint('\\n'.join({{m.split('.')[0] for m in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def invoke(*args: str) -> str:
    return f"from engine.cli import main; main({list(args)!r}, standalone_mode=False)"


def test_importing_the_package_loads_nothing() -> None:
    assert not loaded("import engine") & {*HEAVY, "numpy", "faiss", "click", "onnxruntime", "rich"}


def test_help_loads_no_library_but_click(toy: object) -> None:
    assert not loaded("import engine.cli") & {*HEAVY, "faiss", "onnxruntime", "tokenizers", "rich"}


def test_search_loads_no_torch(toy: object, tmp_path: Path) -> None:
    modules = loaded(invoke("search", "gout", "--indexes", str(tmp_path / "indexes")))
    assert {"faiss", "onnxruntime", "tokenizers"} <= modules
    assert not modules & {*HEAVY, "rich"}


def test_similar_and_show_load_no_encoder(toy: object, tmp_path: Path) -> None:
    for verb in ("similar", "show"):
        modules = loaded(invoke(verb, "toy-01", "--indexes", str(tmp_path / "indexes")))
        assert "faiss" in modules
        assert not modules & {*HEAVY, "onnxruntime", "tokenizers", "rich"}, verb


def test_public_names_resolve() -> None:
    import engine

    assert all(getattr(engine, name) for name in engine.__all__)
    assert set(engine.__all__) <= set(dir(engine))
