"""Every method with a tiny model: the encoder loads, is the same every time, and a stopped run resumes."""

import ast
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import BertConfig, BertModel

from engine.encode.models.model import identify
from engine.errors import EncoderError, SourceError, UsageError
from engine.progress import Progress
from engine.records.abstract import Abstract
from engine.relevance.sets.testset import SetSource
from engine.train.fit import checkpoints, estimate, trainer
from engine.train.fit.basemodel import load_model
from engine.train.fit.checkpoints import _WEIGHTS
from engine.train.fit.encoderfolder import WrittenEncoder
from engine.train.fit.estimate import _estimate_memory, estimate_training
from engine.train.fit.settings import TrainingSettings, TrainingSources
from engine.train.fit.training import train_on_pairs, train_without_labels
from engine.train.pairs.corpuspairs import build_pairs
from engine.train.pairs.lint import lint_pairs
from engine.train.pairs.pairtable import PairTable
from tests.conftest import TOY_MODEL, silent

SLOW = {"plain": {}, "no negatives": {"negatives": 0}, "lora": {"lora": 2}, "matryoshka": {"matryoshka": (16,)}}
Small = Callable[..., TrainingSettings]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return SentenceTransformer(str(folder), device="cpu").state_dict()


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


def table(corpus: list[Abstract], n: int = 64) -> PairTable:
    titles, bodies = [r.title for r in corpus[:n]], [r.abstract for r in corpus[:n]]
    shifted = bodies[: n // 2] + bodies[n // 2 + 1 :] + bodies[n // 2 : n // 2 + 1]
    labels = np.array([1.0] * (n // 2) + [0.0] * (n - n // 2), np.float32)
    return PairTable("pairs", ("sentence_0", "sentence_1"), (tuple(titles), tuple(shifted)), labels, "0" * 64)


def seeded(corpus: list[Abstract], settings: TrainingSettings) -> WrittenEncoder:
    pairs = table(corpus)
    return train_on_pairs(pairs, lint_pairs(pairs, None, 16), settings, silent, lambda _: None)


def adapted(corpus: list[Abstract], settings: TrainingSettings, progress: Progress = silent) -> WrittenEncoder:
    return train_without_labels(build_pairs(corpus), TrainingSources(()), settings, progress, lambda _: None)


class Steps:
    """Records the steps that a training reports."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase == "training":
            self.steps.append(done)


def test_seed(corpus: list[Abstract], small: Small) -> None:
    done = seeded(corpus, small("seed", dropout=True, max_length=16))
    assert done.trained.run.steps == 4 and [row.step for row in done.trained.run.log] == [2, 4]
    assert not same(done.folder, TOY_MODEL)
    card = (done.folder / "README.md").read_text()
    for told in ("CosineSimilarityLoss", "dataset_size:64", "sentence_0", "min:", "Framework Versions", "widget:", "@inproceedings",
                 "per_device_train_batch_size", "Training Logs", "## What Ran", "Pooling"):  # fmt: skip
        assert told in card, told
    assert str(done.folder.parent) not in card and str(TOY_MODEL.parent) not in card
    record = json.loads((done.folder / "training.json").read_text())
    assert record["settings"]["base"] == "toy-model" and record["rows"] == {"pairs": 64}
    assert not checkpoints.choose_work_folder(done.folder).exists()
    assert done.identity == identify(done.folder, "encoder")
    assert done.identity.max_length == identify(TOY_MODEL, "toy").max_length
    assert "### What the Pairs Showed" in card and ("### Warnings" in card) == bool(done.problems)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"lora": 2, "matryoshka": (16,)}, id="lora, matryoshka"),
        *(pytest.param(given, id=name, marks=pytest.mark.slow) for name, given in SLOW.items()),
    ],
)
def test_adapt(corpus: list[Abstract], small: Small, given: dict[str, object]) -> None:
    done = adapted(corpus, small("adapt", max_steps=6, **given))
    assert {one.alpha for one in done.trained.averages} == {0.0, 0.5, 1.0}
    assert set(done.trained.rows) == {"titles", "conclusions", "mesh"}
    assert not same(done.folder, TOY_MODEL) and not list(done.folder.glob("adapter*"))
    assert SentenceTransformer(str(done.folder)).max_seq_length == SentenceTransformer(str(TOY_MODEL)).max_seq_length
    assert set(weights(done.folder)) == set(weights(TOY_MODEL))


@pytest.mark.slow
def test_distill_comes_nearer_to_its_teacher(corpus: list[Abstract], small: Small, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    model = SentenceTransformer(str(TOY_MODEL), device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    model.save_pretrained(str(teacher))
    settings = small("distill", teacher=str(teacher), max_steps=30, learning_rate=1e-3)
    done = adapted(corpus, replace(settings, alphas=(1.0,)))
    texts = [record.title for record in corpus[:40]]

    def cosine(folder: Path) -> float:
        mine = SentenceTransformer(str(folder), device="cpu").encode(texts, normalize_embeddings=True)
        return float((mine * model.encode(texts, normalize_embeddings=True)).sum(axis=1).mean())

    assert cosine(done.folder) > cosine(TOY_MODEL) + 0.01


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_a_stopped_run_goes_on_to_them(
    corpus: list[Abstract], small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small("adapt", max_steps=6, dropout=True)
    whole = adapted(corpus, settings)
    again = adapted(corpus, replace(settings, output=tmp_path / "again"))
    assert same(whole.folder, again.folder)

    def stop(phase: str, done: int, total: int | None) -> None:
        if phase == "training" and done == 4:
            raise KeyboardInterrupt

    stopped = replace(settings, output=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train_without_labels(build_pairs(corpus), TrainingSources(()), stopped, stop, lambda _: None)
    assert not stopped.output.exists()
    resumed = Steps()
    done = adapted(corpus, stopped, resumed)
    assert resumed.steps == [4, 5, 6]
    assert same(done.folder, whole.folder)


def stopped_at(step: int) -> Callable[[str, int, int | None], None]:
    def stop(phase: str, done: int, total: int | None) -> None:
        if phase == "training" and done == step:
            raise KeyboardInterrupt

    return stop


def wider_teacher(folder: Path) -> Path:
    """A model of 48 dimensions that reads the tokens of the toy."""
    shutil.copytree(TOY_MODEL, folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace('"embedding_dimension": 32', '"embedding_dimension": 48'))
    torch.manual_seed(1)
    BertModel(BertConfig.from_pretrained(TOY_MODEL, hidden_size=48)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("what", ["project", pytest.param("lora", marks=pytest.mark.slow)])
def test_what_begins_at_random_is_the_same_every_time_and_goes_on(
    what: str, corpus: list[Abstract], small: Small, tmp_path: Path
) -> None:
    if what == "lora":
        settings = small("adapt", lora=2)
    else:
        settings = small("distill", teacher=str(wider_teacher(tmp_path / "teacher")), project=True)
    settings = replace(settings, max_steps=6, alphas=(1.0,))
    whole = adapted(corpus, settings)
    torch.rand(5)  # another state of chance
    again = adapted(corpus, replace(settings, output=tmp_path / "again"))
    assert same(whole.folder, again.folder)
    stopped = replace(settings, output=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train_without_labels(build_pairs(corpus), TrainingSources(()), stopped, stopped_at(4), lambda _: None)
    resumed = Steps()
    done = adapted(corpus, stopped, resumed)
    assert resumed.steps == [4, 5, 6] and same(done.folder, whole.folder)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [_WEIGHTS, "all but weights"])
def test_a_checkpoint_that_was_cut_off_is_passed_over(
    lost: str, corpus: list[Abstract], small: Small, tmp_path: Path
) -> None:
    settings = small("adapt", max_steps=6)
    whole = adapted(corpus, settings)
    stopped = replace(settings, output=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        train_without_labels(build_pairs(corpus), TrainingSources(()), stopped, stopped_at(4), lambda _: None)
    newest = checkpoints.choose_work_folder(stopped.output) / "checkpoint-3"
    for path in newest.rglob("*"):
        if path.is_file() and (path.name == _WEIGHTS or lost != _WEIGHTS):
            path.unlink()
    resumed = Steps()
    done = adapted(corpus, stopped, resumed)
    assert resumed.steps == [3, 4, 5, 6] and same(done.folder, whole.folder)


def test_dimensions_that_the_base_has_not_leave_nothing_behind(corpus: list[Abstract], small: Small) -> None:
    settings = small("adapt", matryoshka=(9999,))
    with pytest.raises(UsageError, match="names 9999 dimensions, the base has 32"):
        adapted(corpus, settings)


def test_more_negatives_than_there_are_rows(corpus: list[Abstract], small: Small) -> None:
    few = replace(build_pairs(corpus), conclusions=build_pairs(corpus).conclusions[:2], mesh=())
    done = train_without_labels(few, TrainingSources(()), small("adapt", negatives=5), silent, lambda _: None)
    assert done.trained.run.steps == 4


@pytest.mark.parametrize(
    ("batch", "most", "expected"), [(256, 256, 1), (100, 32, 4), (64, 40, 2), (7, 3, 7), (8, 99, 1)]
)
def test_parts_of_a_batch_are_equal_and_none_is_too_large(batch: int, most: int, expected: int) -> None:
    settings = replace(TrainingSettings.of("seed", "x", Path("x")), batch_size=batch, mini_batch_size=most)
    assert trainer._count_parts(settings) == expected


def test_what_was_read_is_recorded_file_by_file(corpus: list[Abstract], small: Small) -> None:
    read = TrainingSources((SetSource("a.jsonl", "1" * 64),), (SetSource("a.jsonl", "2" * 64),))
    done = train_without_labels(build_pairs(corpus), read, small("adapt"), silent, lambda _: None)
    told = json.loads((done.folder / "training.json").read_text())["sources"]
    assert [one["sha256"][0] for one in (*told["trained_on"], *told["held_out"])] == ["1", "2"]


def test_checkpoints_of_another_training_are_not_gone_on_from(corpus: list[Abstract], small: Small) -> None:
    settings = small("seed")

    def stop(phase: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    pairs = table(corpus)
    with pytest.raises(KeyboardInterrupt):
        train_on_pairs(pairs, lint_pairs(pairs, None, 16), settings, stop, lambda _: None)
    with pytest.raises(UsageError, match="checkpoints of another training"):
        seeded(corpus, replace(settings, learning_rate=1e-3))


def test_nothing_is_written_over(corpus: list[Abstract], small: Small) -> None:
    settings = small("seed")
    settings.output.mkdir()
    with pytest.raises(UsageError, match="encoder exists, expected a new folder"):
        seeded(corpus, settings)


def test_too_few_pairs_are_told(corpus: list[Abstract], small: Small) -> None:
    with pytest.raises(SourceError, match=r"20 records gave \d+ pairs of title and body .* at least one batch of 512"):
        adapted(corpus[:20], replace(small("adapt"), batch_size=512))


def test_a_teacher_of_another_dimension_is_refused(corpus: list[Abstract], small: Small, model_folder: Path) -> None:
    with pytest.raises(UsageError, match="has 384 dimensions, the base 32"):
        adapted(corpus, small("distill", teacher=str(model_folder)))
    with pytest.raises(UsageError, match="needs an encoder to learn from: --teacher"):
        adapted(corpus, small("distill"))


def test_a_training_that_needs_more_memory_than_is_free_names_a_mini_batch_that_fits(
    corpus: list[Abstract], small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small("seed", mini_batch_size=16)
    model = load_model(str(TOY_MODEL), "cpu")
    needed = [_estimate_memory(model, 48, 64, replace(settings, mini_batch_size=n)) for n in (16, 8, 4, 2)]
    monkeypatch.setattr(estimate, "_read_free_memory", lambda _: needed[2])  # texts have 24 tokens, two in a row
    with pytest.raises(EncoderError, match=r"is not enough\. Use smaller parts of a batch: --mini-batch 4$"):
        seeded(corpus, settings)
    monkeypatch.setattr(estimate, "_read_free_memory", lambda _: 10)
    with pytest.raises(EncoderError, match=r"is not enough\. Use a smaller model, or free memory$"):
        seeded(corpus, settings)


def test_memory_is_estimated_from_the_tokens_that_texts_have(small: Small) -> None:
    settings = replace(small("seed", max_length=None), batch_size=256, mini_batch_size=256)
    model = load_model(str(TOY_MODEL), "cpu")
    short, long = ["knee pain"] * 1024, ["knee pain " * 200] * 1024
    tokens = model.preprocess(["knee pain"])["input_ids"].shape[1]
    few = estimate_training(model, [short, short], settings)
    assert few.n_bytes == _estimate_memory(model, 2 * tokens, 1024, settings)
    one = estimate_training(model, [short, [*long[:1], *short[1:]]], settings)
    assert one.n_bytes == _estimate_memory(model, tokens + model.max_seq_length, 1024, settings) > few.n_bytes
    assert few.mini_batch_size == 256


def test_a_run_shorter_than_the_steps_between_log_lines_logs_its_first_and_last_step(
    corpus: list[Abstract], small: Small
) -> None:
    done = seeded(corpus, replace(small("seed"), logging_steps=500))
    assert [row["step"] for row in json.loads((done.folder / "training.json").read_text())["log"]] == [1, 4]
    assert "### Training Logs" in (done.folder / "README.md").read_text()


def test_libraries_draw_nothing_on_the_terminal(
    corpus: list[Abstract], small: Small, capfd: pytest.CaptureFixture[str]
) -> None:
    adapted(corpus, small("adapt"))
    assert capfd.readouterr() == ("", "")


def test_the_seeds_arithmetic() -> None:
    for reading, expected in (("fit", (2e-5, 0.01, 10_000)), ("printed", (5e-5, 0.0, 0))):
        settings = TrainingSettings.of("seed", "base", Path("out"), reading)
        assert (settings.learning_rate, settings.weight_decay, settings.warmup) == expected
        assert (settings.batch_size, settings.epochs, settings.seed, settings.logging_steps) == (256, 3, 42, 500)
        steps = settings.count_steps(76_608)
        assert steps == 900 and round(500 / (steps / 3), 4) == 1.6667
        told = trainer._build_arguments(replace(settings, device="cpu"), 76_608)
        assert (
            told.optim.value == "adamw_torch" and told.lr_scheduler_type.value == "linear" and told.max_grad_norm == 1
        )
        assert told.per_device_train_batch_size == 256 and told.multi_dataset_batch_sampler.value == "round_robin"
        assert told.get_warmup_steps(900) == expected[2]


@pytest.mark.slow
def test_the_seeds_own_numbers(tmp_path: Path) -> None:
    n = 76_608
    texts = tuple(f"{n} word{n % 97}" for n in range(n))
    labels = (np.arange(n) % 2).astype(np.float32)
    pairs = PairTable("pairs", ("sentence_0", "sentence_1"), (("..",) * n, texts), labels, "0" * 64)
    settings = replace(TrainingSettings.of("seed", str(TOY_MODEL), tmp_path / "encoder"), device="cpu")
    done = train_on_pairs(pairs, lint_pairs(pairs, None, 256), settings, silent, lambda _: None)
    assert done.trained.run.steps == 900
    assert [(round(one.epoch, 4), one.step) for one in done.trained.run.log] == [(1.6667, 500)]


def test_the_legacy_fit_is_not_used() -> None:
    for path in Path(trainer.__file__).parent.glob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call, ast.Attribute) and call.attr == "fit"], path.name
