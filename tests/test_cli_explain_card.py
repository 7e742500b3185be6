"""engine explain-card on the command line."""

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

import engine.cli.training.explain_card
from engine.cli import main
from tests.train.modelcard.cards import FITTED


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["explain-card", *map(str, args)])


def test_a_card_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(FITTED, encoding="utf-8")
    done = run(path)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    topics = [line for line in lines if line and not line.startswith(" ")]
    assert topics == [
        "Model",
        "Data",
        "Steps",
        "Learning rate and schedule",
        "Loss",
        "Settings",
        "Can it be repeated?",
    ]
    assert "  step 500 is epoch 1.6667: as the log says" in lines
    assert run(tmp_path).stdout == done.stdout


def test_one_json_object(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(FITTED, encoding="utf-8")
    done = run(tmp_path / "card.md", "--json")
    found = json.loads(done.stdout)
    assert (found["steps"]["total"], found["floor"]["at_most"], found["log"][0]["first_step"]) == (900, 0.25, 1)


def test_control_characters_of_a_card_do_not_reach_the_terminal(tmp_path: Path) -> None:
    text = FITTED.replace("#### Unnamed Dataset", "#### Data\x1b[31m\u202eset").replace(
        "256 tokens\n", "256 \x07tokens\n"
    )
    (tmp_path / "card.md").write_text(text, encoding="utf-8")
    for args in ((), ("--json",)):
        out = run(tmp_path / "card.md", *args).stdout
        assert "set" in out and not {"\x1b", "\x07", "\u202e"} & set(out)


def test_what_is_no_card_fails(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Recipes for cakes\n", encoding="utf-8")
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "is not a model card of sentence-transformers" in done.stderr and "Traceback" not in done.output
    assert run(tmp_path / "none.md").exit_code == 1 and run().exit_code == 2


def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text(FITTED, encoding="utf-8")
    heavy = ("torch", "transformers", "sentence_transformers", "faiss", "pyarrow", "tokenizers")
    code = (
        "import sys, engine.cli.training.explain_card; from engine.cli import main\n"
        f"main(['explain-card', {str(tmp_path / 'card.md')!r}], standalone_mode=False)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", engine.cli.training.explain_card.__name__
