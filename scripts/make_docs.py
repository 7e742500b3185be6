"""Write the pages in docs/reference/ from the code: commands from click, Python from docstrings, HTTP from OpenAPI.

python scripts/make_docs.py            write the pages
python scripts/make_docs.py --check    write nothing; exit 1 if a page is stale
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

import engine
from engine.cli.frame.group import SECTIONS, list_all_commands
from engine.encode.models.catalogue import FIGURES, MODELS, format_cost, format_figures, list_model_notes
from engine.references.values.places import format_omissions, format_places

if TYPE_CHECKING:
    from engine.serve.request.operations import Operation

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
WRITTEN = "<!-- Written by scripts/make_docs.py. -->\n"


def commands_page() -> str:
    """Return the reference of the command line: every command with its text, examples and options."""
    lines = [
        WRITTEN,
        "# Commands\n",
        "Every command has `-h` and `--help`. Square brackets name the default of an option, or where it comes from.\n",
    ]
    for title, names in SECTIONS.items():
        lines += [f"## {title}\n"]
        for name, command in list_all_commands():
            lines += command_lines(name, command) if name.split()[0] in names else []
    return "\n".join(lines)


def command_lines(name: str, command: click.Command) -> list[str]:
    """Return the section of one command."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    text = [example(p) if p.startswith("\b") else escaped(" ".join(p.split())) + "\n" for p in paragraphs]
    usage = " ".join(["engine", name, *command.collect_usage_pieces(click.Context(command))])
    return [f"### engine {name}\n", text[0], f"```text\n{usage}\n```\n", *text[1:], *option_table(command)]


def example(paragraph: str) -> str:
    """Return a paragraph that click leaves as it is, as a code block."""
    body = paragraph.removeprefix("\b").strip("\n")
    return f"```{'bash' if body.startswith(('engine', 'ENGINE')) else 'text'}\n{body}\n```\n"


def option_table(command: click.Command) -> list[str]:
    """Return the options of a command as a table."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    rows = [f"| {option_names(one)} | {cell(option_help(one))} |" for one in options]
    return ["| Option | Meaning |", "|---|---|", *rows, ""] if rows else []


def option_names(option: click.Option) -> str:
    """Return the names of an option and what stands behind it."""
    value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    if isinstance(option.type, click.Choice) and option.metavar is None and not option.is_flag:
        value = " " + "|".join(map(str, option.type.choices))
    names = f"`{', '.join(option.opts)}{value}`".replace("|", "\\|")
    return names + (f", `{', '.join(option.secondary_opts)}`" if option.secondary_opts else "")


def option_help(option: click.Option) -> str:
    """Return the help of an option, with its default where click shows one."""
    required = " Required." if option.required else ""
    default = f" Default: `{option.default}`." if option.show_default else ""
    return f"{option.help}{required}{default}"


def python_page() -> str:
    """Return the reference of the Python API: the public names of engine, from their docstrings."""
    lines = [
        WRITTEN,
        "# Python reference\n",
        "Import these names from `engine`. See the [Python guide](../python.md).\n",
    ]
    names = [name for name in engine.__all__ if not name.startswith("__")]
    objects = [(name, getattr(engine, name)) for name in names]
    for name, what in sorted(objects, key=lambda pair: inspect.isclass(pair[1])):
        lines += [f"## {name}\n"]
        if inspect.isfunction(what):
            lines += [signature_block(name, what), docstring(what)]
        elif dataclasses.is_dataclass(what):
            lines += [docstring(what), *field_table(what)]
        else:
            lines += [docstring(what), *(line for member in members(what) for line in member_lines(name, *member))]
    lines += [
        "## What these return\n",
        "These classes are not imported by name; methods and fields above return them.\n",
    ]
    for what in returned_classes([one for _, one in objects]):
        lines += [f"### {what.__name__}\n", docstring(what), *field_table(what)]
    return "\n".join(lines)


def returned_classes(public: list[Any]) -> list[Any]:
    """Return the dataclasses that public ones hold or return, in order of name, without the public ones."""
    waiting, seen = list(public), list(public)
    while waiting:
        owner = waiting.pop()
        for kind in types_of(owner):
            if kind not in seen and dataclasses.is_dataclass(kind) and kind.__module__.startswith("engine"):
                seen.append(kind)
                waiting.append(kind)
    return sorted(seen[len(public) :], key=lambda kind: str(kind.__name__))


def types_of(owner: Any) -> Iterator[Any]:
    """Yield the classes in the types of a dataclass's fields, or in what the methods of another class return."""
    if dataclasses.is_dataclass(owner):
        hints = list(get_type_hints(owner).values())
    elif inspect.isclass(owner):
        functions = [one.fget if isinstance(one, property) else one for _, one in members(owner)]
        hints = [get_type_hints(one, {**vars(sys.modules[owner.__module__])})["return"] for one in functions]
    else:
        hints = []
    while hints:
        hint = hints.pop()
        hints += get_args(hint)
        if inspect.isclass(hint):
            yield hint


def members(what: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class defines, in order."""
    for name, member in vars(what).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def member_lines(owner: str, name: str, member: Any) -> list[str]:
    """Return the section of one method or property."""
    if isinstance(member, property):
        return [f"### {owner}.{name}\n", f"```text\n{name}: {type_text(member.fget)}\n```\n", docstring(member)]
    return [f"### {owner}.{name}\n", signature_block(name, member), docstring(member)]


def type_text(function: Any) -> str:
    """Return the type that a function returns."""
    return inspect.formatannotation(inspect.signature(function).return_annotation).strip("'")


def signature_block(name: str, function: Callable[..., Any]) -> str:
    """Return a signature as a code block, one parameter per line where it is long."""
    signature = inspect.signature(function)
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature.replace(parameters=parameters)))
    if len(name + text) > 100:
        inside, _, result = text.removeprefix("(").rpartition(") -> ")
        inside = re.sub(r", (?=\*, |\w+: )", ",\n    ", inside).replace("*, ", "*,\n    ")
        text = f"(\n    {inside},\n) -> {result}"
    return f"```text\n{name}{text}\n```\n"


def docstring(what: Any) -> str:
    """Return a docstring as Markdown; the errors as a list."""
    text, _, raised = (inspect.getdoc(what) or "").partition("\n\nRaises:\n")
    errors = [line.strip() for line in re.sub(r"\n {5,}", " ", raised).splitlines() if line.strip()]
    listed = "\n\nRaises:\n\n" + "\n".join("- " + re.sub(r"^(\w+):", r"`\1`:", one) for one in errors) if errors else ""
    return escaped(text) + listed + "\n"


def field_table(what: Any) -> list[str]:
    """Return the fields of a dataclass as a table; their meaning is their description, or the comment behind each."""
    comments = dict(re.findall(r"^    (\w+): [^#\n]*#\s*(.+)$", inspect.getsource(what), re.M))
    rows = []
    for field in dataclasses.fields(what):
        kind = cell(f"`{field.type}`")
        option = field.metadata.get("option")
        meaning = option.help if option else comments.get(field.name, "")
        rows.append(f"| `{field.name}` | {kind} | {default_text(field)} | {cell(meaning)} |")
    return ["| Field | Type | Default | Meaning |", "|---|---|---|---|", *rows, ""]


def default_text(field: dataclasses.Field[Any]) -> str:
    """Return the default of a field as code, or that there is none."""
    if field.default is not dataclasses.MISSING:
        value = field.default.value if isinstance(field.default, Enum) else field.default
        return f"`{value!r}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{getattr(field.default_factory, '__name__', field.default_factory)}()`"
    return "required"


def http_page() -> str:
    """Return the reference of the HTTP API: the parameters of every address, from the OpenAPI document."""
    from engine.serve.api import openapi
    from engine.serve.app import OPERATIONS
    from engine.serve.review import handlers

    document = openapi.dump_document(openapi.OPERATIONS)
    lines = [WRITTEN, "# HTTP parameters\n", f"{document['info']['description']}\n"]
    lines += ["`/api/v1/openapi.json` says the same to programs, with the answers.\n"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += [f"## {method.upper()} {path}\n", f"{operation.get('summary', '')}\n"]
            lines += parameter_table(operation.get("parameters", []))
    for title, operations in (
        ("Pages and their data", [one for one in OPERATIONS if one not in openapi.OPERATIONS]),
        ("Pages of a review", handlers.OPERATIONS),
    ):
        lines += [f"## {title}\n", *page_table(operations)]
    return "\n".join(lines)


def page_table(operations: Sequence[Operation]) -> list[str]:
    """Return the addresses of pages as a table, with the names of their parameters and of the fields of their forms."""
    from engine.serve.request.parameters import SEARCH

    search = {one.name for one in SEARCH}
    rows = []
    for one in operations:
        names = [each.name for each in (*one.parameters, *one.fields)]
        shown = [f"`{name}`" for name in names if not search <= set(names) or name not in search]
        shown = ["those of a search", *shown] if search <= set(names) else shown
        rows.append(f"| {one.method} `{one.path}` | {', '.join(shown)} | {cell(one.summary)} |")
    return ["| Address | Parameters | Meaning |", "|---|---|---|", *rows, ""]


def parameter_table(parameters: list[dict[str, Any]]) -> list[str]:
    """Return the parameters of one address as a table."""
    rows = [f"| `{one['name']}` | {kind_text(one['schema'])} | {cell(one['description'])} |" for one in parameters]
    return ["| Parameter | Type | Meaning |", "|---|---|---|", *rows, ""] if rows else []


def kind_text(schema: dict[str, Any]) -> str:
    """Return the type of a parameter, its choices and its default."""
    several = schema.get("type") == "array"
    schema = schema.get("items", schema) if several else schema
    kind = ", ".join(f"`{one}`" for one in schema["enum"]) if "enum" in schema else str(schema.get("type", "string"))
    default = f"; default `{schema['default']}`" if "default" in schema else ""
    return f"{kind}{', may be repeated' if several else ''}{default}"


def settings_page() -> str:
    """Return the reference of index.toml: every key with its default, its limits and its environment variable."""
    from engine.options import SETTINGS

    rows = [
        f"| `{one.key}` | {cell(one.help)} | {cell(one.unset) or f'`{one.default}`'} | {setting_limits(one)} "
        f"| {f'`{one.variable}`' if one.variable else ''} |"
        for one in SETTINGS
    ]
    return "\n".join(
        [
            WRITTEN,
            "# Settings\n",
            "Each index has a file `index.toml`; `engine init` writes one with comments.",
            "`engine config NAME` shows the values in force. An option of a command takes precedence over the",
            "environment variable, and that over `index.toml`.\n",
            "A dot in a key names a table: `guard.max_deleted_share` is `max_deleted_share` below `[guard]`.",
            "The sources are listed as `[[sources]]`, each with a `path` and optionally a `format`,",
            "or with a [query](../nightly.md#queries): `pubmed` or `europepmc`.\n",
            "| Key | Meaning | Default | Values | Variable |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def setting_limits(option: Any) -> str:
    """Return the values that a setting may have."""
    if option.choices:
        return ", ".join(f"`{one}`" for one in option.choices)
    return f"{option.low:,g} to {option.high:,g}" if option.low is not None else ""


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return escaped(text).replace("|", "\\|")


def escaped(text: str) -> str:
    """Return a text in which Markdown finds no emphasis or HTML outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("*", "\\*").replace("<", "&lt;") for part in parts)


def exports_page() -> str:
    """Return the reference of the files of references: where each format puts the fields of a record."""
    return "\n".join(
        [
            WRITTEN,
            "# Files of references\n",
            "Where other programs find the fields of a record in each format with tags. `-`: the format has no place "
            "for the field. CSV, Excel, JSON and JSON lines have a column or key for every field.\n",
            format_places(),
            "\n## What readers leave out\n",
            "Everything else in a file comes into a field of the record, at least into `other_tags`, and from there "
            "into an export. Nothing is left out of formats that are not named here.\n",
            format_omissions(),
        ]
    )


def models_page() -> str:
    """Return the table of models that are worth knowing."""
    rows = [
        f"| {model.name} | {model.parameters} M | {model.dim} | {model.license} | {model.prompts} | "
        f"{format_cost(model)} | {' | '.join(format_figures(model))} | {'yes' if model.was_run else 'no'} |"
        for model in MODELS
    ]
    head = ["Model", "Size", "Dimensions", "License", "Prompts", "Cost", *FIGURES, "Run here"]
    advice = [
        f"- **{model.name}**: {cell(model.advice)}.{f' Options: `{model.options}`' if model.options else ''}"
        for model in MODELS
    ]
    return "\n".join(
        [
            WRITTEN,
            "# Models\n",
            "`engine models` prints the same. [Models and devices](../models.md) tells how to use one.\n",
            f"| {' | '.join(head)} |",
            f"|{'---|' * len(head)}",
            *rows,
            "",
            *(f"{escaped(note)}\n" for note in list_model_notes()),
            "## Advice\n",
            *advice,
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "python.md": python_page,
    "http.md": http_page,
    "settings.md": settings_page,
    "exports.md": exports_page,
    "models.md": models_page,
}


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="Write nothing; exit 1 if a page is stale.")
    only_check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make().rstrip("\n") + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not only_check:
                REFERENCE.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name} {'is stale: run python scripts/make_docs.py' if only_check else 'written'}")
    return 1 if stale and only_check else 0


if __name__ == "__main__":
    sys.exit(main())
