"""What a card means: steps, the mean that a logged loss is, the floor, and who wrote the card."""

import json
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.train.modelcard import explanation
from engine.train.modelcard.card import ColumnStatistics, ModelCard, _parse_card, read_card
from engine.train.modelcard.cardfacts import (
    _compute_shares,
    compute_loss_floor,
    count_card_steps,
    find_short_columns,
    recognise_fit,
    split_log,
)
from engine.train.modelcard.explanation import _CardExplanation, explain_model_card, format_explanation
from engine.train.modelcard.libraries import REMOVED_SETTINGS, read_settings
from tests.train.modelcard.cards import CALLED, FITTED, OWN, RANKED


def card(text: str) -> ModelCard:
    return _parse_card(text, "card.md")


def told(text: str) -> str:
    return "\n".join(format_explanation(explain_model_card(card(text))))


def test_steps_by_hand() -> None:
    found = count_card_steps(card(FITTED))
    assert found is not None
    assert (found.n_rows, found.batch_size, found.per_epoch, found.epochs, found.total) == (76_608, 256, 300, 3, 900)
    dropped = count_card_steps(
        card(FITTED.replace("76,608", "76,609").replace("- `seed`: 42", "- `dataloader_drop_last`: True"))
    )
    assert dropped is not None and dropped.per_epoch == 299  # 76,608 = 299.25 x 256
    accumulated = count_card_steps(card(FITTED.replace("steps`: 1\n", "steps`: 4\n")))
    assert accumulated is not None and (accumulated.per_epoch, accumulated.batch_size) == (75, 1024)
    stopped = count_card_steps(card(FITTED.replace("`max_steps`: -1", "`max_steps`: 50")))
    assert stopped is not None and stopped.total == 50


def test_steps_of_several_data_sets() -> None:
    found = count_card_steps(card(RANKED))  # 1000 / 16 = 62.5 and 330 / 16 = 20.6
    assert found is not None and (found.n_rows, found.per_epoch, found.total) == (1330, 63 + 21, 168)
    by_turns = count_card_steps(
        card(RANKED.replace("- `num_train", "- `multi_dataset_batch_sampler`: round_robin\n- `num_train"))
    )
    assert by_turns is not None and by_turns.per_epoch == 2 * 21
    assert count_card_steps(card(CALLED)) is None


def test_rows_are_told_by_the_tag_where_nothing_else_does() -> None:
    found = count_card_steps(card(FITTED.replace("* Size: 76,608 training samples\n", "")))
    assert found is not None and found.n_rows == 76_608


def test_a_logged_loss_is_the_mean_since_the_one_before() -> None:
    one = card(RANKED)
    found = list(split_log(one.log, count_card_steps(one)))
    assert [(row.first_step, row.step, row.loss, row.agrees) for row in found] == [
        (1, 42, 2.0, True),
        (43, 126, 1.0, True),
        (127, 168, 0.9, False),  # epoch 2, not 1.9
    ]


def test_the_floor_by_hand() -> None:
    found = compute_loss_floor(card(FITTED))
    assert found is not None and (found.label_mean, found.at_most, found.at_zero) == (0.5, 0.25, 0.5)
    rare = compute_loss_floor(card(FITTED.replace("mean: 0.5<", "mean: 0.1<")))
    assert rare is not None and (rare.at_most, rare.at_zero) == (pytest.approx(0.09), pytest.approx(0.1))
    assert compute_loss_floor(card(RANKED)) is None


def test_a_card_of_fit_is_told_by_several_signs() -> None:
    one = card(FITTED)
    found = recognise_fit(one, count_card_steps(one))
    assert found.is_fit and len(found.signs) == 4
    assert (found.highest_rate, found.printed_rate) == (pytest.approx(1.8e-6), 5e-5)
    renamed = card(FITTED.replace("sentence_0", "anchor"))
    assert not recognise_fit(renamed, None).is_fit and len(recognise_fit(renamed, None).signs) == 3
    alone = (
        FITTED.replace("round_robin", "proportional")
        .replace("- `disable_tqdm`: False\n", "")
        .replace("m`: 1\n", "m`: 1.0\n")
    )
    assert recognise_fit(card(alone), None).signs == ("columns are named sentence_0 and sentence_1",)
    assert not recognise_fit(card(alone), None).is_fit


def test_shares_of_lengths_by_their_mean() -> None:
    assert _compute_shares(ColumnStatistics("tokens", 2, 3.49, 4)) == ((0.49, 0.745), (0.0, 0.255))
    assert _compute_shares(ColumnStatistics("tokens", 2, 2.5, 4)) == ((0.0, 0.25), (0.5, 0.75))
    assert _compute_shares(ColumnStatistics("tokens", 3, 3.2, 4)) == ((0.2, 0.2), (0.8, 0.8))
    assert _compute_shares(ColumnStatistics("tokens", 2, 2.0, 2)) == ((1.0, 1.0), (1.0, 1.0))
    assert _compute_shares(ColumnStatistics("tokens", 2, 3.0, 6)) == (None, None)
    assert _compute_shares(ColumnStatistics("tokens", 2, 9.0, 4)) == (None, None)
    longest, shortest = _compute_shares(ColumnStatistics("tokens", 2, 2.75, 4))
    for empty in (0.25, 0.3, 0.625):  # any share of the shortest between the ends fits the mean
        two = empty - 0.25
        assert longest is not None and shortest is not None
        assert longest[0] <= two <= longest[1] and shortest[0] <= empty <= shortest[1]
        assert 2 * empty + 3 * (1 - empty - two) + 4 * two == pytest.approx(2.75)


def test_short_columns() -> None:
    [found] = find_short_columns(card(FITTED))
    assert (found.name, found.samples) == ("sentence_0", ("..", "."))
    assert list(find_short_columns(card(RANKED))) == []


def test_the_seed_is_explained() -> None:
    text = told(FITTED)
    for words in (
        "76,608 rows in batches of 256: 300 steps an epoch, 3 epochs; 900 in all",
        "step 500 is epoch 1.6667: as the log says",
        "0.3572, logged at step 500, is the mean over steps 1 to 500, not the loss at step 500",
        "mean squared error of 0.25 (",
        "0.3572 is above the floor",
        "about 0.38 over steps 1 to 500 with the defaults of fit(), 0.26 or less",
        "very probably not what ran: this card was written by model.fit()",
        "the highest rate was 1.8e-6, 28 times less than printed",
        "sentence_0 is nearly empty: at most 2 tokens beside the 2 special ones, some of them empty",
        "texts of 4 tokens are between 49 % and 74 % of the rows, texts of 2 are between 0 % and 26 %",
        "engine train PAIRS --method seed --reading fit",
        "engine train PAIRS --method seed --reading printed",
        "- the pairs: the card names no public data set",
        "no longer accepted by",
        "optim: adamw_torch then, today adamw_torch_fused",
    ):
        assert words in text, words


def test_a_loss_at_or_below_the_floor() -> None:
    assert "0.2510 is at the floor: the model learned nothing" in told(FITTED.replace("0.3572", "0.2510")).replace(
        "0.251 is", "0.2510 is"
    )
    text = told(FITTED.replace("0.3572", "0.0100"))
    assert (
        "0.01 is below the floor: the model learned something" in text
        and "may be a label read from the column alone" in text
    )
    assert "Measured with" not in text


def test_a_log_that_does_not_agree() -> None:
    assert "the log says 3.3333: other rows, batches or devices" in told(FITTED.replace("1.6667", "3.3333"))


def test_a_card_of_the_trainer_is_taken_at_its_word() -> None:
    found = explain_model_card(card(RANKED))
    text = "\n".join(format_explanation(found))
    assert (found.legacy.is_fit, found.commands, found.floor) == (False, (), None)
    assert "very probably not what ran" not in text
    assert "https://huggingface.co/datasets/acme/trivia" in text and "may have changed since" in text
    assert "No method of engine train has this loss" in text
    assert (
        "libraries: not said in the card" in text
        and "trivia (https://huggingface.co/datasets/acme/trivia): 1,000 rows" in text
    )


def test_a_card_that_prints_the_call_of_fit_is_taken_at_its_word() -> None:
    text = told(CALLED)
    assert "300 steps an epoch, batches of 256" in text
    assert (
        "these values are what ran: lr 2e-05, scheduler WarmupLinear, warmup_steps 100, weight_decay 0.01, epochs 3"
        in text
    )
    assert "values of the training loss: not said in the card" in text


def test_a_card_with_next_to_nothing() -> None:
    found = explain_model_card(card("### Framework Versions\n"))
    assert (found.steps, found.log, found.floor, found.removed, found.commands) == (None, (), None, (), ())
    lines = list(format_explanation(found))
    assert "  base model: not said in the card" in lines and "  not said in the card" in lines


def test_an_explanation_is_json() -> None:
    found = explain_model_card(card(FITTED))
    again = json.loads(json.dumps(asdict(found)))
    assert again["steps"]["per_epoch"] == 300 and again["legacy"]["is_fit"] is True
    assert set(again) == {field.name for field in fields(_CardExplanation)}


def test_names_that_are_gone_are_those_that_the_libraries_lack() -> None:
    there = read_settings()
    if there is None:
        pytest.skip("needs transformers and sentence-transformers, of the [cpu] extra")
    assert len(REMOVED_SETTINGS) == 27 and not REMOVED_SETTINGS & there
    assert {"learning_rate", "warmup_steps", "batch_sampler", "multi_dataset_batch_sampler", "prompts"} <= there
    assert explain_model_card(card(FITTED)).removed == ("overwrite_output_dir", "no_cuda", "mp_parameters")


def test_without_the_libraries_a_list_tells_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "read_settings", lambda: None)
    assert explain_model_card(card(FITTED)).removed == ("overwrite_output_dir", "no_cuda", "mp_parameters")


def test_settings_read_from_source_are_those_of_the_class() -> None:
    if find_spec("sentence_transformers") is None:
        pytest.skip("needs sentence-transformers, of the [cpu] extra")
    from sentence_transformers.sentence_transformer.training_args import SentenceTransformerTrainingArguments

    there = read_settings()
    declared = {field.name for field in fields(SentenceTransformerTrainingArguments)}
    assert there is not None and declared <= there
    assert len(there - declared) < 10  # of other classes in the same files


def test_the_seed_s_own_card_is_explained(shared: Path) -> None:
    path = shared.parent / "seed" / "model_card.md"
    if not path.is_file():
        pytest.skip(f"the seed's card is not here: no file {path}")
    found = explain_model_card(read_card(path))
    assert found.steps is not None and found.steps.total == 900
    assert (found.log[0].agrees, found.legacy.is_fit, len(found.legacy.signs)) == (True, True, 4)
    if read_settings() is not None:
        assert set(found.removed) == REMOVED_SETTINGS
    assert [changed.name for changed in found.changed] == ["optim", "average_tokens_across_devices", "warmup_ratio"]


def test_a_card_of_engine_train_is_taken_at_its_word() -> None:
    found = explain_model_card(card(OWN))
    text = "\n".join(format_explanation(found))
    assert (found.legacy.is_fit, found.legacy.signs) == (False, ())
    assert "very probably not what ran" not in text
    assert (
        "Optimizer and schedule: AdamW, learning rate 5e-05, weight decay 0, linear after a warm-up of 0 steps" in text
    )
    assert found.commands == ("engine train PAIRS --method seed",)
    assert "  - the pairs: training.json has only the SHA-256 of what was read" in text
    assert "The nearest, with the settings in training.json:" in text


def test_the_method_in_a_card_of_engine_train_is_the_command() -> None:
    adapted = OWN.replace("--method seed", "--method adapt").replace("CosineSimilarityLoss", "GuidedRankingLoss")
    assert explain_model_card(card(adapted)).commands == ("engine train -i NAME --method adapt",)
