"""Configuration: the folder of indexes, the selected index and index.toml. Only this module reads the environment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import ConfigError, UsageError
from engine.options import BY_FIELD, FILTERS, MODES, SETTINGS, Filters, IndexSettings, Query, SettingOption
from engine.redaction import redact_url

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}  # Windows
_SERVICES = ("pubmed", "europepmc")  # that answer a query of index.toml
_HINT = "Make one with: engine index FILE -i NAME"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings in force: flag before environment before default."""

    indexes: Path  # folder that holds one folder per index
    index: str | None  # name of an index, None when nobody named one

    @staticmethod
    def load(indexes: str | None = None, index: str | None = None) -> Config:
        """Combine the flags with ENGINE_INDEXES and ENGINE_INDEX; empty strings count as not given."""
        folder = indexes or os.environ.get("ENGINE_INDEXES") or "indexes"
        return Config(Path(folder), index or os.environ.get("ENGINE_INDEX") or None)

    def list_names(self) -> list[str]:
        """List the names of the indexes in the folder, sorted; empty if there is no folder."""
        if not self.indexes.is_dir():
            return []
        folders = (path for path in self.indexes.iterdir() if _NAME.fullmatch(path.name))
        return sorted(p.name for p in folders if (p / "index.toml").exists() or any(p.glob("generations/*")))

    def select_index(self, name: str | None) -> Config:
        """Return this configuration with another index named; None keeps the current name."""
        return replace(self, index=name) if name else self

    def find_existing(self) -> Path:
        """Return the folder of the selected index: the named one, or the only one.

        Raises:
            ConfigError: no such index, or several and none was named.
            UsageError: the name is not a legal one.
        """
        names = self.list_names()
        if self.index is not None:
            check_name(self.index)
            if self.index not in names:
                raise ConfigError(
                    f"no index named {self.index!r} in {self.indexes}: found {list_names(names)}. {_HINT}"
                )
            return self.indexes / self.index
        if len(names) == 1:
            return self.indexes / names[0]
        if not names:
            raise ConfigError(f"{self.indexes} holds no index. {_HINT}")
        raise ConfigError(f"{self.indexes} holds several indexes: {list_names(names)}. Name one: -i {names[0]}")

    def find_target(self) -> Path:
        """Return the folder of the index to write: the named one, the only one, or a first one called "default".

        Raises:
            ConfigError: several indexes and none was named.
            UsageError: the name is not a legal one.
        """
        if self.index is None:
            return self.find_existing() if self.list_names() else self.indexes / "default"
        check_name(self.index)
        return self.indexes / self.index


@dataclass(frozen=True, slots=True)
class SourcePattern:
    """One entry under [[sources]] of index.toml."""

    path: str  # a file, a folder to watch, or a glob; relative to the folder of the index
    format: str | None = None  # forced; None: detected from the content of each file
    service: str | None = None  # that fills the folder with what it has for the query: one of _SERVICES
    query: str = ""
    url: str | None = None  # of the service, if it is not the usual one; it may hold a secret

    @staticmethod
    def of_query(service: str, query: str, url: str | None = None) -> SourcePattern:
        """Return the source of a query: a folder of its own, in the folder of the index."""
        digest = hashlib.sha256(query.encode("utf-8")).hexdigest()[:12]
        return SourcePattern(f"queries/{service}-{digest}", None, service, query, url)

    def describe(self) -> str:
        """Return the source as people write it: "updatefiles", "exports/*.ris (RIS)", "pubmed: gout[mh]"."""
        if self.service:
            return f"{self.service}: {self.query}"
        return f"{self.path} ({self.format})" if self.format else self.path


@dataclass(frozen=True, slots=True)
class SavedQuestion:
    """One entry under [[watch]] of index.toml: a question that is answered whenever records are new."""

    name: str
    query: Query
    most: int | None = None  # records reported at once; None: DEFAULT_MOST, and all for a Boolean search


DEFAULT_MOST = 20
# The keys of [[watch]] beside name and question, with the options that they set.
_WATCH_OPTIONS = {option.name: option for option in (BY_FIELD["mode"], BY_FIELD["min_score"], *FILTERS)}


@dataclass(frozen=True, slots=True)
class Settings(IndexSettings):
    """The settings in force for one index: flag before environment before index.toml before default."""

    file: Path  # index.toml, whether it is there or not
    sources: tuple[SourcePattern, ...] = ()
    watches: tuple[SavedQuestion, ...] = ()
    origins: tuple[tuple[str, str], ...] = ()  # where each value came from: "flag", a variable, the file, "default"

    @staticmethod
    def load(folder: Path, **flags: object) -> Settings:
        """Combine flags (None: not given), ENGINE_* variables and index.toml of an index folder.

        Raises:
            ConfigError: the file can't be read, is not TOML, or has an unknown key or an invalid value.
        """
        path = folder / "index.toml"
        content = _read_toml(path)
        values: dict[str, Any] = {
            "sources": _read_patterns(content, path),
            "watches": read_watches(content.get("watch", []), path),
        }
        origins = [("sources", str(path) if content.get("sources") else "default")]
        for option in SETTINGS:
            variable = option.variable
            found: tuple[object, str] | None = None
            if flags.get(option.field) is not None:
                found = flags[option.field], "flag"
            elif variable and os.environ.get(variable):
                found = os.environ[variable] if option.kind is str else _parse_number(os.environ[variable]), variable
            elif (given := _get_at(content, option.key)) is not None:
                found = given, str(path)
            if found is not None:
                values[option.field] = _check_value(*found, option)
            origins.append((option.field, found[1] if found else "default"))
        return Settings(file=path, **values, origins=tuple(origins))


def read_toml_text(path: Path) -> str:
    """Return the text of an index.toml with its line ends, without the mark with which Windows editors begin a file.

    It is empty if there is no file.

    Raises:
        ConfigError: it can't be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as err:
        raise ConfigError(f"{path} can't be read: {err.strerror}") from err
    except UnicodeDecodeError as err:  # as from PowerShell, or an old editor
        raise ConfigError(f"{path} is not UTF-8 (byte {err.start + 1}). Save it with the encoding UTF-8") from err


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """Return the content of an index.toml, whose path is for the message of an error.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise ConfigError(f"{path} is not TOML: {err}. Compare it with a fresh one: engine init example") from err


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the content of an index.toml; empty if there is no file.

    Raises:
        ConfigError: it can't be read, is not TOML, or has an unknown key.
    """
    content = parse_toml(read_toml_text(path), path)
    known = {option.key for option in SETTINGS} | {"sources", "watch"}
    tables = {k: v for k, v in content.items() if isinstance(v, dict) and k not in ("sources", "watch")}
    given = {f"{k}.{inner}" for k, v in tables.items() for inner in v}
    given |= {k for k, v in content.items() if not isinstance(v, dict)}
    if unknown := sorted(given - known):
        raise ConfigError(
            f"{path}: unknown key {unknown[0]!r}. Known keys: {', '.join(sorted(known))}. "
            "Keys without a dot go before the first [table]"
        )
    return content


def _get_at(content: Mapping[str, Any], key: str) -> object:
    """Return the value at "table.key", or None."""
    for part in key.split("."):
        content = content.get(part, {}) if isinstance(content, Mapping) else {}
    return None if content == {} else content


def _parse_number(text: str) -> object:
    """Return the number that a text spells, or the text itself if it is not a number."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _check_value(value: object, origin: str, option: SettingOption) -> object:
    """Return a value that a setting can have.

    Raises:
        ConfigError: of another type, or out of range.
    """
    kinds = (int, float) if option.kind is float else option.kind
    is_right = isinstance(value, kinds) and not isinstance(value, bool)
    if is_right and option.low is not None and option.high is not None:
        is_right = option.low <= float(str(value)) <= option.high
    if is_right and option.choices:
        is_right = value in option.choices + option.also
    if is_right:
        return value
    wanted = {str: "text", int: "a whole number", float: "a number"}[option.kind]
    wanted += f" from {option.low:g} to {option.high:g}" if option.low is not None else ""
    wanted = f"one of {', '.join(option.choices)}" if option.choices else wanted
    raise ConfigError(f"{option.key} is {value!r} ({origin}), expected {wanted}")


def _read_patterns(content: Mapping[str, Any], path: Path) -> tuple[SourcePattern, ...]:
    """Return the entries under [[sources]]; a plain text counts as a path.

    Raises:
        ConfigError: an entry is not valid.
    """
    entries = content.get("sources", [])
    if isinstance(entries, dict):
        raise ConfigError(f"{path}: [sources] is one table, expected a list of them: [[sources]], in two brackets")
    listed = entries if isinstance(entries, list) else [entries]
    return tuple(_read_pattern({"path": entry} if isinstance(entry, str) else entry, path) for entry in listed)


def _read_pattern(entry: object, path: Path) -> SourcePattern:
    """Return one entry under [[sources]]: a path, or the query for a service.

    Raises:
        ConfigError: the entry is not valid.
    """
    fields = entry if isinstance(entry, dict) and all(isinstance(value, str) for value in entry.values()) else {}
    service = next((name for name in _SERVICES if fields.get(name, "").strip()), None)
    if service and set(fields) <= {service, "url"}:
        return SourcePattern.of_query(service, fields[service].strip(), fields.get("url"))
    if fields.get("path") and set(fields) <= {"path", "format"}:
        return SourcePattern(**fields)
    shown = {key: redact_url(value) if key == "url" else value for key, value in fields.items()} or entry
    raise ConfigError(
        f"{path}: sources holds {shown!r}, expected path = 'FILE, FOLDER or GLOB' and maybe format, or the query for a "
        f"service: {' or '.join(f'{name} = …' for name in _SERVICES)}"
    )


def read_watches(entries: object, path: Path) -> tuple[SavedQuestion, ...]:
    """Return the entries under [[watch]].

    Raises:
        ConfigError: an entry is not valid, or two have one name.
    """
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: watch is not a list of tables, expected [[watch]], in two brackets")
    found = tuple(_read_watch(entry, path) for entry in entries)
    names = [watch.name for watch in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{path}: two [[watch]] have the name {twice[0]!r}, expected a name of its own for each")
    return found


def _read_watch(entry: object, path: Path) -> SavedQuestion:
    """Return one entry under [[watch]].

    Raises:
        ConfigError: no name or question, an unknown key, or an invalid value.
    """
    values = dict(entry) if isinstance(entry, Mapping) else {}
    name, question, most = values.pop("name", None), values.pop("question", ""), values.pop("top_k", None)
    if not isinstance(name, str) or not isinstance(question, str) or not question.strip():
        raise ConfigError(f"{path}: [[watch]] holds {entry!r}, expected name = 'NAME' and question = 'TEXT'")
    if unknown := sorted(set(values) - set(_WATCH_OPTIONS)):
        known = ", ".join(("name", "question", "top_k", *_WATCH_OPTIONS))
        raise ConfigError(f"{path}: the watch {name!r} has the unknown key {unknown[0]!r}. Known keys: {known}")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ConfigError(f"{path}: top_k of the watch {name!r} is {most!r}, expected a whole number from 1")
    try:
        check_name(name, "watch", "biosimilars")
        return SavedQuestion(name, _build_watch_query(question, values), most)
    except UsageError as err:
        raise ConfigError(f"{path}: the watch {name!r}: {err}") from err


def _build_watch_query(question: str, values: Mapping[str, Any]) -> Query:
    """Return the query of a watch; a filter that takes several values may have one as a text.

    Raises:
        UsageError: an invalid value.
    """
    fields: dict[str, Any] = {}
    for key, value in values.items():
        option = _WATCH_OPTIONS[key]
        fields[option.field] = [value] if option.kind.is_repeatable and isinstance(value, str) else value
    mode, least = fields.pop("mode", BY_FIELD["mode"].default), fields.pop("min_score", None)
    chosen = next((choice for choice in MODES if choice == mode), None)
    if chosen is None:
        raise UsageError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
    if least is not None and (isinstance(least, bool) or not isinstance(least, int | float)):
        raise UsageError(f"min_score is {least!r}, expected a number")
    return Query(question.strip(), mode=chosen, min_score=least, filters=Filters(**fields))


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder() -> Path | None:
    """Return the cache folder: ENGINE_CACHE, or abstract-engine in the user's cache folder.

    None if neither is set and there is no home folder.
    """
    if given := os.environ.get("ENGINE_CACHE"):
        return Path(given)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "abstract-engine")
    with contextlib.suppress(RuntimeError):
        return Path.home() / ".cache" / "abstract-engine"
    return None


def serve_token() -> str | None:
    """Return the access token that clients of a server must send: ENGINE_TOKEN."""
    return os.environ.get("ENGINE_TOKEN") or None


@dataclass(frozen=True, slots=True)
class _NcbiAccount:
    """How a user names themselves to NCBI. `repr` shows neither."""

    api_key: str = field(default="", repr=False)
    email: str = field(default="", repr=False)


def read_ncbi_account() -> _NcbiAccount:
    """Return the API key and the e-mail address of NCBI_API_KEY and NCBI_EMAIL; each may be empty."""
    key, email = (os.environ.get(name, "").strip() for name in ("NCBI_API_KEY", "NCBI_EMAIL"))
    return _NcbiAccount(key, email)


def forbid_telemetry() -> None:
    """Keep libraries from reporting home; call before importing them. What people search can be about patients.

    ONNX Runtime since 1.29 sends events to Microsoft by default; huggingface_hub adds a user agent; Haystack reports
    pipelines to PostHog; Ray sends what a cluster is used for.
    """
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def prepare_ray(*, loopback: bool) -> None:
    """Turn on the authentication of Ray with a token; call before importing Ray. With loopback, Ray stays on loopback.

    Raises:
        ConfigError: the environment holds no token.
    """
    if not (os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")):
        raise ConfigError(
            "the environment holds no token for the cluster, expected that of its nodes in RAY_AUTH_TOKEN or a file "
            "with it in RAY_AUTH_TOKEN_PATH. Make one with: openssl rand -hex 32"
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    if loopback:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # or Ray takes 127.0.0.1 for this machine's other address


def check_ray_node() -> None:
    """Refuse to work on a node of Ray that asks nobody for a token; call in a process of the node.

    Raises:
        ConfigError: the node was started without it.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise ConfigError(
            "a node of the cluster asks nobody for a token, so whoever reaches it can run any program on it. Start all "
            "nodes again with RAY_AUTH_MODE=token and the token in RAY_AUTH_TOKEN"
        )


def check_name(name: str, what: str = "index", example: str = "-i rheumatology") -> None:
    """Refuse a name that could leave the indexes folder or that some file system can't hold.

    what: kind of thing that is named, for the message.

    Raises:
        UsageError: the name is not a legal one.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        article = "an" if what[0] in "aeiou" else "a"
        raise UsageError(
            f"{name[:80]!r} can't be the name of {article} {what}: use 1 to 63 of a-z, 0-9, '-' and '_', "
            f"beginning with a letter or digit. For example: {example}"
        )


def list_names(names: list[str]) -> str:
    """Return names for a message: "a, b", or "none"."""
    return ", ".join(names) or "none"
