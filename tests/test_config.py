import os
import re
import tomllib
from pathlib import Path

import pytest

from engine.cli.upkeep.template import format_template
from engine.config import Config, Settings, SourcePattern, prepare_ray
from engine.errors import ConfigError
from engine.options import DEFAULT_WEIGHT

OFF = re.compile(r"# (\[\[|[a-z_]+ = )")  # a setting that the template shows and leaves off


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ENGINE_MODEL", "ENGINE_DEVICE", "ENGINE_KEEP_GENERATIONS", "ENGINE_MAX_DELETED_SHARE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "index.toml").write_text(text, encoding="utf-8")
    return folder


PLAIN = ("device", "keep_generations", "checkpoint_seconds", "max_deleted_share", "hybrid_fusion")


def test_flag_before_environment_before_file_before_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(folder, 'model = "file"\ndevice = "cpu"\n[guard]\nmax_deleted_share = 0.2\n')
    monkeypatch.setenv("ENGINE_MODEL", "environment")
    monkeypatch.setenv("ENGINE_DEVICE", "cuda")
    found = Settings.load(folder, model="flag", device=None)
    assert (found.model, found.device, found.max_deleted_share, found.keep_generations) == ("flag", "cuda", 0.2, 3)
    assert dict(found.origins) == {
        "sources": "default", "model": "flag", "device": "ENGINE_DEVICE", "precision": "default",
        "recipe": "default", "template": "default", "query_prompt": "default", "document_prompt": "default",
        "query_model": "default", "pooling": "default", "factory": "default", "recall": "default",
        "keep_generations": "default", "one_segment_below": "default", "publish_every": "default",
        "checkpoint_seconds": "default",
        "max_deleted_share": str(folder / "index.toml"), "max_changed_share": "default",
        "hybrid_weight": "default", "hybrid_fusion": "default", "mesh_tree": "default", "map_kind": "default",
        "rerank_model": "default", "rerank_depth": "default", "rerank_precision": "default",
        "download_url": "default", "download_folder": "default",
        "backend": "default", "ray_address": "default", "ray_copies": "default", "ray_storage": "default",
        "ray_cache_gb": "default",
    }  # fmt: skip


def test_without_a_file_the_defaults_hold(folder: Path) -> None:
    found = Settings.load(folder)
    assert (found.sources, found.model, found.max_changed_share) == ((), None, 0.1)


def test_a_byte_order_mark_of_an_editor_is_passed_over(folder: Path) -> None:
    (folder / "index.toml").write_bytes(b"\xef\xbb\xbfkeep_generations = 2\n")
    assert Settings.load(folder).keep_generations == 2


def test_sources_are_texts_or_tables(folder: Path) -> None:
    tables = '[[sources]]\npath = "a/*.ris"\nformat = "RIS"\n[[sources]]\npath = "b"\n'
    assert Settings.load(written(folder, tables)).sources == (SourcePattern("a/*.ris", "RIS"), SourcePattern("b"))
    assert Settings.load(written(folder, 'sources = ["b"]')).sources == (SourcePattern("b"),)


def test_the_template_is_toml_and_all_of_it_is_understood(folder: Path) -> None:
    odd = ('/data/it\'s "here"', "C:\\data\\*.ris")
    assert Settings.load(written(folder, format_template("x", odd))).sources == tuple(map(SourcePattern, odd))
    lines = format_template("x", ()).splitlines()
    live = "\n".join(line.removeprefix("# ") if OFF.match(line) else line for line in lines)
    found = Settings.load(written(folder, live))
    assert found.sources == (SourcePattern("updatefiles"), SourcePattern("exports/*.ris", "RIS"))
    assert found.download_folder == "updatefiles"
    assert (found.hybrid_weight, Settings(folder).hybrid_weight) == (DEFAULT_WEIGHT, None)  # None: by the words
    plain = {k: getattr(found, k) for k in PLAIN}
    assert plain == {k: getattr(Settings(folder), k) for k in plain}  # what the template shows is the default
    assert tomllib.loads(live)["recipe"] == "whole"


def test_hybrid_and_recipe_are_checked(folder: Path) -> None:
    found = Settings.load(
        written(folder, 'recipe = "passages"\nmesh_tree = "t.bin"\n[hybrid]\nweight = 1\nfusion = "rrf"\n')
    )
    assert (found.recipe, found.mesh_tree, found.hybrid_weight, found.hybrid_fusion) == ("passages", "t.bin", 1, "rrf")
    for text, message in (
        ("[hybrid]\nweight = 1.5", "hybrid.weight is 1.5 .*expected a number from 0 to 1"),
        ("[hybrid]\nfusion = 'sum'", "hybrid.fusion is 'sum' .*expected one of convex, rrf"),
        ("recipe = 'half'", "recipe is 'half' .*expected one of whole, passages"),
    ):
        with pytest.raises(ConfigError, match=message):
            Settings.load(written(folder, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = ", r"index.toml is not TOML: .* Compare it with a fresh one: engine init example"),
        ("modle = 'x'", r"unknown key 'modle'\. Known keys: .*model"),
        ("[guard]\nmax = 1", r"unknown key 'guard.max'"),
        ("model = 3", r"model is 3 \(.*index.toml\), expected text"),
        ("keep_generations = 0", "keep_generations is 0 .*expected a whole number from 1 to 1000"),
        ("keep_generations = 1.5", "expected a whole number"),
        ("keep_generations = true", "expected a whole number"),
        ("[guard]\nmax_deleted_share = 10", "guard.max_deleted_share is 10 .*expected a number from 0 to 1"),
        ("backend = 'spark'", "backend is 'spark' .*expected one of local, ray"),
        ("[ray]\ncopies = 0", "ray.copies is 0 .*expected a whole number from 1 to 16"),
        ("[ray]\ntoken = 'x'", r"unknown key 'ray.token'"),
        ("device = 'tpu'", "device is 'tpu' .*expected one of auto, cpu, cuda, mps"),
        ("[sources]\npath = 'a'", r"\[sources\] is one table, expected a list of them: \[\[sources\]\]"),
        ("sources = [3]", "sources holds 3, expected path = 'FILE, FOLDER or GLOB'"),
        ("[[sources]]\nformat = 'RIS'", "sources holds .*expected path"),
        ("[[sources]]\npath = 'a'\nkind = 'x'", "sources holds .*expected path"),
    ],
)
def test_what_means_nothing_is_refused_with_the_place(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.load(written(folder, text))


def test_a_variable_that_is_no_number_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEEP_GENERATIONS", "many")
    with pytest.raises(ConfigError, match=r"keep_generations is 'many' \(ENGINE_KEEP_GENERATIONS\)"):
        Settings.load(folder)


@pytest.mark.parametrize(("encoding", "place"), [("latin-1", 10), ("utf-16", 1)])
def test_another_encoding_than_utf8_is_named(folder: Path, encoding: str, place: int) -> None:
    (folder / "index.toml").write_bytes("model = '\u00ff'".encode(encoding))
    with pytest.raises(
        ConfigError, match=rf"index.toml is not UTF-8 \(byte {place}\). Save it with the encoding UTF-8"
    ):
        Settings.load(folder)


def test_an_index_that_has_only_its_toml_is_one(tmp_path: Path) -> None:
    (tmp_path / "fresh").mkdir()
    written(tmp_path / "fresh", "")
    assert Config(tmp_path, None).list_names() == ["fresh"]
    assert Config(tmp_path, None).select_index("other").index == "other"


def test_a_cluster_is_asked_with_a_token_of_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"no token for the cluster.*RAY_AUTH_TOKEN.*openssl rand -hex 32"):
        prepare_ray(loopback=True)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    prepare_ray(loopback=False)
    assert os.environ["RAY_AUTH_MODE"] == "token"
