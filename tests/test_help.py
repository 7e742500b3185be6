"""Every help text can be read at once: summaries start with a verb, and no option is explained by a fragment."""

import re

import click
import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.cli.frame.group import SECTIONS, _summarise_help, list_all_commands

VERBS = set(
    "Add Bring Check Choose Compare Count Decide Describe Encode Explain Fetch Find Go Keep List Make Measure Merge Rank Remove Repeat "
    "Replace Serve Show Simulate Start Train Undo Write".split()
)
NOT_FIRST = set(
    "about above after against as at because below between beside but by during for from if in into like of off on "
    "onto over per so than that to under until what when where whether which while who whom whose why with within "
    "without".split()
)  # a help text that starts with one of these is the rest of a sentence
PARAMETER = re.compile(r"^(?:[a-z-]+(?:, [a-z-]+)*: )?(?P<text>.*)$", re.S)  # "adapt, distill: …" names methods first


COMMANDS = [pytest.param(command, id=name) for name, command in list_all_commands()]
OPTIONS = [
    pytest.param(option, id=f"{name} {option.opts[-1]}")
    for name, command in list_all_commands()
    for option in command.params
    if isinstance(option, click.Option)
]


def text_of(help_text):
    """The sentence or noun phrase of a help text: without the methods it is for, and without defaults in brackets."""
    return re.sub(r"\s*\[[^\]]*\]", "", PARAMETER.match(help_text)["text"])


def is_fragment(help_text):
    """Whether a help text is no more than the rest of a sentence, or a single word."""
    words = re.findall(r"[\w'-]+", text_of(help_text))
    has_prefix = text_of(help_text) != re.sub(r"\s*\[[^\]]*\]", "", help_text)
    return len(words) < 2 or words[0].lower() in NOT_FIRST or not (has_prefix or text_of(help_text)[0].isupper())


@pytest.mark.parametrize(
    "text",
    ["Of hybrid.", "At its highest.", "Of order and chance [42]."]
    + ["adapt: of the loss [0.05].", "Simulations.", "maximum number of hits."],
)
def test_fragments_are_recognised(text):
    assert is_fragment(text)


@pytest.mark.parametrize(
    "text", ["Peak learning rate.", "seed: Train on refused pairs.", "Print one JSON object [42]."]
)
def test_phrases_are_no_fragments(text):
    assert not is_fragment(text)


def test_every_command_has_a_section():
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(main.commands)


def test_help_shows_the_sections_in_order():
    output = CliRunner().invoke(main, ["--help"]).output
    places = [output.index(f"\n{title}:\n") for title in SECTIONS]
    assert places == sorted(places)
    assert "\n  screen        Rank the unread records of a review, likely inclusions first.\n" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_summary_is_a_short_sentence_that_starts_with_a_verb(command):
    assert len(_summarise_help(command)) <= 70, _summarise_help(command)
    assert _summarise_help(command).split()[0] in VERBS, _summarise_help(command)
    assert _summarise_help(command).endswith(".")


@pytest.mark.parametrize("option", OPTIONS)
def test_help_of_an_option_is_no_fragment(option):
    assert option.help
    assert not is_fragment(option.help), option.help
    assert option.help.endswith((".", "].")), option.help
