"""Model cards as several versions write them, cut short and damaged ones among them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SourceError
from engine.train.modelcard.card import ColumnStatistics, ModelCard, _parse_card, parse_number, read_card
from engine.train.modelcard.cardtext import (
    parse_bullets,
    parse_front_matter,
    parse_tables,
    split_sections,
    strip_comments,
)
from engine.train.modelcard.explanation import explain_model_card, format_explanation
from tests.train.modelcard.cards import CALLED, FITTED, RANKED


def card(text: str) -> ModelCard:
    return _parse_card(text, "card.md")


def test_a_card_of_fit() -> None:
    found = card(FITTED)

    assert found.tags == ("sentence-transformers", "dataset_size:76608", "loss:CosineSimilarityLoss")
    assert (found.base_model, found.base_revision) == ("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1")
    assert dict(found.description)["Maximum Sequence Length"] == "256 tokens"

    assert found.versions[:2] == (("Python", "3.11.11"), ("Sentence Transformers", "3.4.1"))
    assert (found.find_setting("learning_rate"), found.find_setting("mp_parameters"), found.find_setting("nope")) == (
        "5e-05",
        "",
        None,
    )
    assert dict(found.non_default)["multi_dataset_batch_sampler"] == "round_robin"
    [row] = found.log  # the table in a comment is none
    assert (row.epoch, row.step, row.loss) == (1.6667, 500, 0.3572)
    assert found.engine_run is None


def test_the_data_set_of_a_card() -> None:
    [one] = card(FITTED).datasets
    assert (one.use, one.name, one.size, one.n_described) == ("training", "Unnamed Dataset", 76_608, 1000)
    assert one.loss == "CosineSimilarityLoss"
    first, second, label = one.columns
    assert (first.name, first.samples) == ("sentence_0", ("..", "..", "."))
    assert first.statistics == ColumnStatistics("tokens", 2, 3.49, 4)
    assert second.statistics == ColumnStatistics("tokens", 18, 92.53, 256) and second.samples[1] == "Why | not?"
    assert label.statistics == ColumnStatistics("", 0, 0.5, 1)


def test_a_card_of_several_data_sets_without_front_matter() -> None:
    found = card(RANKED)
    assert (found.base_model, found.base_revision, found.tags) == ("acme/base", None, ())
    assert [(one.use, one.name, one.size) for one in found.datasets] == [
        ("training", "trivia", 1000),
        ("training", "votes", 330),
        ("evaluation", "trivia", 50),
    ]
    assert found.training[0].link == "https://huggingface.co/datasets/acme/trivia"
    assert found.training[0].columns[0].statistics == ColumnStatistics("characters", 8, 40, 90)
    assert found.training[0].columns[1].statistics is None
    assert found.training[1].columns[2].statistics == ColumnStatistics("", 0, 0.25, 1)
    assert found.losses == ("MultipleNegativesRankingLoss", "OtherLoss")
    assert found.metrics == (("cosine_accuracy@1", "0.7"), ("cosine_ndcg@10", "0.8123"))
    assert [(row.step, row.loss) for row in found.log] == [(42, 2.0), (84, None), (126, 1.0), (168, 0.9)]


def test_a_card_that_prints_the_call_of_fit() -> None:
    found = card(CALLED)
    assert found.fit is not None and found.losses == ("CosineSimilarityLoss",)
    assert (found.fit.steps_per_epoch, found.fit.batch_size) == (300, 256)
    given = dict(found.fit.settings)
    assert (given["lr"], given["warmup_steps"], given["epochs"]) == ("2e-05", "100", "3")


def test_losses_are_told_by_tags_where_nothing_else_does() -> None:
    found = card(FITTED[: FITTED.index("## Training Details")])
    assert (found.losses, found.datasets, found.log) == (("CosineSimilarityLoss",), (), ())


@pytest.mark.parametrize(
    "text", ["", "Just a text.\n", "# A readme\n\n## Usage\n\n- `x`: 1\n", "---\ntags:\n- x\n---\n"]
)
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match="is not a model card of sentence-transformers: found none of the sections"):
        card(text)


def test_a_card_is_read_from_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(("\ufeff" + FITTED.replace("\n", "\r\n")).encode())
    assert read_card(tmp_path).datasets == read_card(tmp_path / "README.md").datasets == card(FITTED).datasets
    assert read_card(tmp_path).tags == card(FITTED).tags
    with pytest.raises(SourceError, match="no such file"):
        read_card(tmp_path / "none.md")
    (tmp_path / "empty.md").write_text("\n", encoding="utf-8")
    with pytest.raises(SourceError, match="is empty"):
        read_card(tmp_path / "empty.md")
    (tmp_path / "big.md").write_bytes(b"x" * ((8 << 20) + 1))
    with pytest.raises(SourceError, match="has more than 8,388,608 bytes"):
        read_card(tmp_path / "big.md")


def test_the_seed_s_own_card(shared: Path) -> None:
    path = shared.parent / "seed" / "model_card.md"
    if not path.is_file():
        pytest.skip(f"the seed's card is not here: no file {path}")
    found = read_card(path)
    assert (len(found.hyperparameters), found.training[0].size, found.log[0].loss) == (114, 76_608, 0.3572)
    assert found.training[0].columns[0].samples == ("..", "..", ".")


def test_front_matter_by_hand() -> None:
    text = "license: 'mit'\ntags: [a, \"b\"]\nlist:\n- x: y\n  - z\nempty:\nnested:\n  key: value\n"
    assert parse_front_matter(text) == (
        ("license", ("mit",)),
        ("tags", ("a", "b")),
        ("list", ("x: y", "z")),
        ("empty", ()),
        ("nested", ()),
    )


def test_markdown_by_hand() -> None:
    assert strip_comments("a<!-- x\n -->b<!-- c") == "ab<!-- c"
    assert [(s.level, s.title) for s in split_sections("# A\n```\n# no heading\n```\n## B ")] == [
        (0, ""),
        (1, "A"),
        (2, "B"),
    ]
    assert parse_bullets(["- **A:** 1", "* B: 2: 3", "- `c`:", "```", "- d: 4", "```", "no", "- `e`: "]) == (
        ("A", "1"),
        ("B", "2: 3"),
        ("c", ""),
        ("e", ""),
    )
    [found] = parse_tables(
        ["text", "| a | b |", "|:--|--:|", "| 1 |", r"| <code>x\|y</code> | [t](u) | 3 |", "", "| not |"]
    )
    assert (found.header, found.rows) == (("a", "b"), (("1", ""), ("x|y", "t")))
    assert [parse_number(text) for text in ("1,234", "-5e-05", "none", "1e300", "**0.5**")] == [
        1234,
        -5e-05,
        None,
        None,
        0.5,
    ]


@given(st.sampled_from([FITTED, RANKED, CALLED]), st.data())
def test_a_damaged_card_is_explained_as_far_as_it_goes(text: str, data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    pieces = st.sampled_from(
        ["", "-", "0", "1e9", "99999999999999999999", "|", "```", "---\n", "<!--", "\n# ", "{", "\0", "½"]
    )
    piece = data.draw(pieces)
    cut = data.draw(st.booleans())
    damaged = text[:start] + piece + ("" if cut else text[min(end, start + 40) :])
    try:
        found = explain_model_card(card(damaged))
    except SourceError as err:
        assert "is not a model card" in str(err)
    else:
        assert all(isinstance(line, str) for line in format_explanation(found))


NUMBERS = st.sampled_from(
    ["0", "-1", "1", "0.5", "1e14", "-3e14", "1e-300", "nan", "inf", "", "None", "٣", "1,0", "7" * 400]
)


@given(st.sampled_from([FITTED, RANKED, CALLED]), st.lists(st.tuples(st.integers(0, 400), NUMBERS), max_size=12))
def test_numbers_that_make_no_sense_are_survived(text: str, changes: list[tuple[int, str]]) -> None:
    words = text.replace("|", " | ").replace("`:", "`: ").split(" ")
    numbered = [i for i, word in enumerate(words) if any(c.isdigit() for c in word)]
    for place, value in changes:
        word = words[numbered[place % len(numbered)]]
        head = word.rstrip("0123456789.,e-\n")
        words[numbered[place % len(numbered)]] = head + value + ("\n" if word.endswith("\n") else "")
    changed = " ".join(words)
    try:
        found = explain_model_card(card(changed))
    except SourceError:
        return
    assert list(format_explanation(found))
