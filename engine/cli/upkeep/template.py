"""The index.toml of a new index, made from the descriptions of the settings."""

from __future__ import annotations

import textwrap

from engine.options import SETTINGS, SettingOption

_WIDTH = 120
_TABLES = {
    "guard": "A reindex that would delete or change more stops before it publishes (exit 7).\n"
    "To turn the guard off once: engine reindex {name} --allow-mass-change",
    "hybrid": "Used by searches by meaning and words, the default.",
    "rerank": "A second stage for every search: engine promote names a model here that helps.",
    "download": "Used by engine nightly only.",
}


def format_template(name: str, sources: tuple[str, ...], kind: str | None = None) -> str:
    """Return a commented index.toml.

    Args:
        name: name of the index.
        sources: absolute paths.
        kind: format of all sources; None: their content decides.
    """
    fixed = f'format = "{kind}"\n' if kind else ""
    quoted = ['"' + source.replace("\\", "\\\\").replace('"', '\\"') + '"' for source in sources]
    listed_sources = "\n".join(f"[[sources]]\npath = {source}\n{fixed}" for source in quoted) or _EXAMPLE_SOURCES
    top = "\n\n".join(_format_setting(option) for option in SETTINGS if "." not in option.key)
    tables = "\n\n".join(_format_table(table, name) for table in _TABLES)
    return HEAD.format(name=name, settings=top, sources=listed_sources) + f"{tables}\n"


def _format_setting(option: SettingOption) -> str:
    """Return a setting as a comment: its help, then its default."""
    choices = f" One of {', '.join(option.choices)}." if option.choices else ""
    unset = " None by default." if option.unset == "none" else ""
    comment = textwrap.fill(option.help + choices + unset, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    return f"{comment}\n# {option.key.rpartition('.')[2]} = {option.shown}"


def _format_table(table: str, name: str) -> str:
    """Return a table of index.toml with its settings."""
    comment = textwrap.indent(_TABLES[table].format(name=name), "# ")
    settings = (_format_setting(option) for option in SETTINGS if option.key.startswith(f"{table}."))
    return "\n".join((comment, f"[{table}]", *settings))


HEAD = """\
# Sources and settings of the index "{name}". `engine reindex {name}` and `engine nightly {name}` read this file.
# `engine config {name}` shows the settings in force. Settings behind a # are not set; each shows its default.

{settings}

# Sources, read in this order. path is a file, a folder (watched: each file in it is read once, subfolders too) or a
# glob pattern, relative to the folder of this file. The content decides the format, unless format = "RIS" sets one.
# In place of a path, a source may be a query that engine nightly fetches: pubmed = "gout[mh]" or europepmc = "gout".
{sources}
"""
_EXAMPLE_SOURCES = """\
# [[sources]]
# path = "updatefiles"
# [[sources]]
# path = "exports/*.ris"
# format = "RIS"
"""
