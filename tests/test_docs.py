"""The documentation is true: its code blocks run on the sample and print what it shows, the commands, options and files
that it names exist, its reference is not stale, and it builds without a warning into pages that load nothing from other
hosts."""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from textwrap import dedent

import click
import pytest

from engine.cli import main
from engine.cli.frame.group import list_all_commands
from engine.collect.source import FORMATS
from engine.index.generations.folder import IndexFolder
from engine.options import FILTERS
from tests.conftest import ROOT, SAMPLE

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [
    ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "indexes/README.md", "scripts/README.md")
]
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
BLOCK = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^(?P=indent)```$',
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"`([^`\n]+)`")
OPTIONS = {"--help", "--version"} | {
    name for _, command in list_all_commands() for one in command.params for name in (*one.opts, *one.secondary_opts)
}
FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("engine", "scripts", "tests")
    for path in (ROOT / folder).rglob("*")
]
RUN = ("console", "python")
NOT_RUN = ("bash", "json", "text", "toml")  # of bash, what starts with engine is parsed all the same
MOST_WORDS = 900  # of the README


class Terminal(io.StringIO):
    """A screen that takes both streams; only standard output looks like a terminal, so that no progress bar is drawn."""

    def isatty(self) -> bool:
        return True


class Errors(io.StringIO):
    """Standard error of a screen."""

    def __init__(self, screen: Terminal) -> None:
        super().__init__()
        self.screen = screen

    def write(self, text: str) -> int:
        return self.screen.write(text)


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """Yield language, title and body of every code block of a page."""
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield found["language"], found["title"] or "", dedent(found["body"])


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block and the output below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def lines_not_run(page: Path) -> list[list[str]]:
    """Words of every line of the bash blocks of a page, without comments."""
    bodies = [body.replace("\\\n", " ") for language, _, body in blocks(page) if language == "bash"]
    return [shlex.split(line, comments=True) for body in bodies for line in body.splitlines()]


def commands_not_run(page: Path) -> list[list[str]]:
    """Words of every command of the engine in the bash blocks of a page, from the name of the command on."""
    return [words[words.index("engine") + 1 :] for words in lines_not_run(page) if "engine" in words]


def parse(name: str, *args: str) -> click.Context:
    """Read a command line as click does, without running the command."""
    parent = click.Context(main, info_name="engine", **main.context_settings)  # a command remembers its help options
    command = main.commands[name]
    if isinstance(command, click.Group):
        below, *rest = args
        return command.commands[below].make_context(f"{name} {below}", rest, parent=parent)
    return command.make_context(name, list(args), parent=parent)


def printed_by(command: str) -> str:
    """Run a command of the engine in this process and return what a person sees."""
    screen, args, code = Terminal(), shlex.split(command), None
    assert args[0] == "engine", command
    with redirect_stdout(screen), redirect_stderr(Errors(screen)):
        try:
            main(args[1:], prog_name="engine")
        except SystemExit as leaving:
            code = leaving.code
    text = click.unstyle(screen.getvalue())
    assert not code, f"{command}\n{text}"
    return text


def pattern_of(output: str) -> str:
    """Return the regular expression of a shown output: … is any text, a line of … alone any lines."""
    lines = [line.rstrip() for line in output.rstrip("\n").split("\n")]
    return "".join(
        r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r" *\n" for line in lines
    )


def is_as_shown(printed: str, shown: str) -> bool:
    """Whether an output is the one shown; an output that is not shown may be anything."""
    return not shown.strip() or re.fullmatch(pattern_of(shown), printed.rstrip("\n") + "\n") is not None


def test_any_text_stands_for_an_ellipsis() -> None:
    assert is_as_shown("1  0.337  a title\n2  x\nend\n", "1  0.…  a title\n…\nend\n")
    assert is_as_shown("a\n", "a\n…\n")
    assert not is_as_shown("a\nb\n", "a\n")
    assert not is_as_shown("a\n", "b\n…\n")


@pytest.fixture
def workplace(sample: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a clone in which scripts/quickstart has run."""
    here = tmp_path / "clone"
    target = here / "indexes" / "sample"
    shutil.copytree(sample.path, target, ignore=shutil.ignore_patterns("encoders"))
    shutil.copytree(sample.path / "encoders", target / "encoders", copy_function=os.link)
    (here / "engine").mkdir()
    (here / "engine" / "sample").symlink_to(SAMPLE)
    for name in ("ENGINE_INDEX", "ENGINE_INDEXES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(kind in RUN for kind, _, _ in blocks(page))], ids=lambda page: page.stem
)
def test_code_blocks_run_and_print_what_is_shown(page: Path, workplace: Path) -> None:
    names: dict[str, object] = {}
    for language, title, body in blocks(page):
        if title:
            (workplace / title).write_text(body, encoding="utf-8")
        elif language == "python":
            with redirect_stdout(io.StringIO()):
                exec(compile(body, page.name, "exec"), names)
        elif language == "console":
            for command, shown in commands(body):
                printed = printed_by(command)
                assert is_as_shown(printed, shown), f"$ {command}\n{printed}"


@pytest.mark.parametrize(
    "page",
    [page for page in (*PAGES, *REFERENCE) if commands_not_run(page)],
    ids=lambda page: f"{page.parent.name}-{page.stem}",
)
def test_commands_that_are_not_run_parse(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)  # the files need not be there
    refused = []
    for words in commands_not_run(page):
        try:
            assert (parse(*words).info_name or "").split() == words[
                : 1 + isinstance(main.commands[words[0]], click.Group)
            ]
        except click.UsageError as err:
            refused.append(f"engine {shlex.join(words)}: {err.format_message()}")
    assert not refused


def test_a_command_with_an_unknown_option_does_not_parse(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "1. In a list:\n\n   ```bash\n   ENGINE_INDEX=x engine search gout --yaer 2015-  # a note\n   ```\n"
    )
    (words,) = commands_not_run(page)
    assert words == ["search", "gout", "--yaer", "2015-"]
    with pytest.raises(click.NoSuchOption, match="No such option: --yaer|No such option '--yaer'"):
        parse(*words)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_commands_options_and_files_in_the_text_exist(page: Path) -> None:
    for code in INLINE.findall(page.read_text(encoding="utf-8")):
        first, *rest = code.split()
        if first == "engine" and rest and rest[0][0].isalpha():
            assert rest[0] in main.commands, code
        if first == "engine" or first.startswith("-"):
            unknown = {name for name in re.findall(r"(?<!\S)--[a-z-]+", code)} - OPTIONS
            assert not unknown, code
        for name in re.findall(r"(?<!\S)[\w/]+\.py(?!\S)|(?<!\S)(?:engine|scripts|tests)/[\w/]+(?!\S)", code):
            assert any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in FILES), code


def test_scripts_are_there_and_can_be_run_as_shown() -> None:
    lines = [
        words for page in (*PAGES, *OTHERS) for words in lines_not_run(page) if any("scripts/" in w for w in words)
    ]
    assert len(lines) >= 12
    for first, *rest in lines:
        if first == "python":
            assert (ROOT / rest[0]).is_file(), rest[0]
        else:
            assert os.access(ROOT / first, os.X_OK), f"{first}: write python {first}"


def test_every_filter_and_format_is_described() -> None:
    filters, sources = ((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("filters", "sources"))
    for option in FILTERS:
        for flag in (option.flags or (f"--{option.name.replace('_', '-')}",))[0].split("/"):
            assert f"`{flag}" in filters, flag
    for source_format in FORMATS:
        assert re.search(rf"^\|.*\b{source_format.name}\b.*\|$", sources, re.MULTILINE), source_format.name


def test_few_blocks_are_not_run() -> None:
    kinds = Counter(kind for page in PAGES for kind, title, _ in blocks(page) if not title)  # files with one are read
    assert set(kinds) <= {*RUN, *NOT_RUN}
    assert kinds["console"] >= 30
    assert kinds["python"] >= 8
    assert kinds["toml"] + kinds["json"] <= 6
    assert sum(len(commands_not_run(page)) for page in PAGES) >= 40


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= MOST_WORDS


def test_readme_leads_to_every_guide() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    guides = {page.name for page in (ROOT / "docs").glob("*.md")} - {
        "index.md",
        "package.md",
        "changelog.md",
        "contributing.md",
    }
    assert {name for name in guides if f"](docs/{name})" not in text} == set()


def test_reference_is_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_docs.py", "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_to_files_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_pages_build_without_a_warning_and_load_nothing_from_other_hosts(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("zensical.toml", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) > len(PAGES)
    for page in built:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"""<(?:script|img|iframe)[^>]+src=["']?(?:https?:)?//[^>]+""", text), page
        assert not re.findall(r"""<link[^>]+href=["']?(?:https?:)?//[^>]+""", text), page
