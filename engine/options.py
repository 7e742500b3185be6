"""The options of a query and the settings of an index, each described once.

Each field of Query and Filters carries a description of itself. The options of the command line, the parameters of the
API and its OpenAPI document, the form and the chips of the page, the arguments of the MCP tools, the checks and the
methods paragraph are all made from these descriptions. To add a filter, add a field to Filters and its SQL to
corpus/selection/filters.py. Likewise each field of IndexSettings describes a key of index.toml.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from enum import StrEnum
from operator import index as index_of
from typing import Any, Literal, cast, get_args, get_type_hints

from engine.arguments import check_list, is_switch, show_value
from engine.errors import ConfigError, UsageError

_MAX_LENGTH = 10_000  # characters of one value of a filter
YEARS = re.compile(r"(?P<low>[0-9]{4})?\s*(?P<dash>[-\u2013])?\s*(?P<high>[0-9]{4})?")

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_RECALL = 0.99  # that a new approximate index must reach
_SMALL_INDEX = 50_000  # records; a smaller one is written as one segment …
_FEW_GENERATIONS = 8  # … if no more generations are kept, each of which would be a whole copy, and no node copies it
DEFAULT_WEIGHT = 0.6  # of the cosine in hybrid mode
SHORT, SHORT_WEIGHT = 3, 0.4  # words of a query that tell the encoder little, and the weight for them
_WEIGHTS = f"by the query: {DEFAULT_WEIGHT}, {SHORT_WEIGHT} for up to {SHORT} words, more where words find little"
NO_RERANKER = "none"  # in place of a model: no second stage, whatever index.toml says
_DEFAULT_RERANK_DEPTH = 50  # hits that the second stage orders anew
MAX_RERANK_DEPTH = 1_000
MAX_CHASE_DEPTH = 10  # steps from the known records
RERANK_PRECISIONS = ("fp32", "int8")
# Text recipes by their short names. The long one is part of every fingerprint: when the way a text is made changes,
# change its number.
RECIPE_NAMES = {"whole": "title. abstract/1", "passages": "passages 256/1"}

YearRange = tuple[int | None, int | None]  # first and last year, both included; None where open


# How abstracts are ranked: by the cosine of the vectors, by the BM25 of the words, or by both, fused.
Mode = Literal["semantic", "keyword", "hybrid"]
MODES: tuple[Mode, ...] = get_args(Mode)
DEFAULT_MODE: Mode = "hybrid"  # of a query with a text; examples alone hold no words, and are compared by meaning
SIMILAR_MODE: Mode = "semantic"  # where records are the question, with or without a text

# How hybrid mode merges the two rankings: by the sum of scores, each as a share of the best, or by reciprocal ranks.
Fusion = Literal["convex", "rrf"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
DEFAULT_FUSION: Fusion = "convex"

# How the map of a generation is laid out: not at all, along two principal components, or by neighbours (UMAP).
MapKind = Literal["none", "pca", "umap"]
_MAP_KINDS: tuple[MapKind, ...] = get_args(MapKind)
DEFAULT_MAP: MapKind = "pca"

# What hits are sorted by, and whether the order begins with the highest value: the newest, or names from A to Z.
RELEVANCE = "relevance"
_SORTS = {"year": True, "author": False, "journal": False, "added": True}
_SORT_CHOICES = (RELEVANCE, *(f"{field}{direction}" for field in _SORTS for direction in ("", ":asc", ":desc")))

# What records are counted by; a record counts once for each of its values.
_GROUPS = (
    "year",
    "journal",
    "type",
    "mesh",
    "keyword",
    "author",
    "first_author",
    "language",
    "database",
    "label",
    "source",
)


class ValueKind(StrEnum):
    """What an option takes."""

    TEXT = "text"
    NAMES = "names"  # several texts, alternatives
    YEARS = "years"  # several ranges, alternatives
    IDS = "ids"  # several record ids, PMIDs or DOIs
    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"  # on or off
    EITHER = "either"  # true or false, or not given
    CHOICE = "choice"

    @property
    def is_repeatable(self) -> bool:
        """Whether several values can be given."""
        return self in (ValueKind.NAMES, ValueKind.YEARS, ValueKind.IDS)


@dataclass(frozen=True, slots=True)
class QueryOption:
    """One option of a query, and how each interface names and explains it."""

    name: str  # in the API and the tools; the command line writes mesh_tree as --mesh-tree
    kind: ValueKind
    help: str
    low: float = -math.inf  # of a number
    high: float = math.inf
    choices: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()  # of the command line, where they are not --name
    metavar: str | None = None
    file_help: str = ""  # help of the command line, where that reads a list of ids from a file
    unset: str = ""  # what applies where the option is not given, for people
    chip: str = ""  # label of its chip on the page; no chip where empty
    chip_values: tuple[str, str] = ("", "")  # chip texts for false and true
    form_label: str = ""  # label of its field in the form of the page; no field of its own where empty
    form_choices: tuple[tuple[str, str], ...] = ()  # (value, text) of a list in the form
    placeholder: str = ""  # in the form
    words: tuple[str, ...] = ()  # after "limited to", {} for the values; two for false and true
    field: str = ""  # of Query or Filters
    default: Any = None


def _describe_field(default: Any, option: QueryOption | SettingOption) -> Any:
    """Return a dataclass field that carries the description of itself."""
    return field(default=default, metadata={"option": option})


def _list_options(owner: type) -> tuple[QueryOption, ...]:
    """Return the descriptions that the fields of a dataclass carry, in order."""
    return tuple(
        replace(each.metadata["option"], field=each.name, default=each.default)
        for each in fields(owner)
        if "option" in each.metadata
    )


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions on the records that are ranked. Values of one field are alternatives; all given fields must match.

    Names (journals, mesh, types, keywords) are compared whole, without regard to case; * stands for any characters.
    Lists become tuples, and years written as text become ranges: Filters(years=["2015-"]) has years ((2015, None),).

    Raises:
        UsageError: a single value instead of a list, a value of another type, blank or too long, or no range of years.
    """

    years: Sequence[YearRange | str] = _describe_field(
        (),
        QueryOption(
            "year",
            ValueKind.YEARS,
            "Publication years: 2015, 1998-2003, 2015- or -1990. Records without a year never match.",
            metavar="RANGE",
            chip="year",
            words=("publication years {}",),
        ),
    )
    journals: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "journal",
            ValueKind.NAMES,
            "Whole name of the journal; * for any characters.",
            metavar="NAME",
            chip="journal",
            form_label="Journal",
            words=("records of the journal {}",),
        ),
    )
    mesh: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "mesh",
            ValueKind.NAMES,
            "MeSH heading; * for any characters.",
            metavar="HEADING",
            chip="MeSH",
            form_label="MeSH heading",
            words=("records with the MeSH heading {}",),
        ),
    )
    mesh_trees: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "mesh_tree",
            ValueKind.NAMES,
            "MeSH heading or tree number, and all headings below it (needs mesh_tree in index.toml).",
            metavar="HEADING",
            chip="MeSH tree",
            words=("records with the MeSH heading, or any below it in the MeSH tree, {}",),
        ),
    )
    types: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "type",
            ValueKind.NAMES,
            "Publication type, such as Randomized Controlled Trial; * for any characters.",
            metavar="NAME",
            chip="type",
            form_label="Publication type",
            words=("records of the publication type {}",),
        ),
    )
    keywords: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "keyword",
            ValueKind.NAMES,
            "Keyword given by the authors or a database; * for any characters.",
            metavar="NAME",
            chip="keyword",
            words=("records with the keyword {}",),
        ),
    )
    authors: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "author",
            ValueKind.NAMES,
            "Beginnings of the words of an author's name, such as smith j.",
            metavar="NAME",
            chip="author",
            form_label="Author",
            placeholder="smith j",
            words=("records with an author named {}",),
        ),
    )
    languages: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "language",
            ValueKind.NAMES,
            "Language, as eng, en or English.",
            metavar="NAME",
            chip="language",
            words=("records in the language {}",),
        ),
    )
    sources: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "source",
            ValueKind.NAMES,
            "Name of the file or format that a record comes from; * for any characters.",
            metavar="NAME",
            chip="source",
            words=("records from the source {}",),
        ),
    )
    databases: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "database",
            ValueKind.NAMES,
            "Database that a record was exported from, such as Embase; * for any characters.",
            metavar="NAME",
            chip="database",
            words=("records of the database {}",),
        ),
    )
    labels: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "label",
            ValueKind.NAMES,
            "Label or tag that a user gave a record in another program; * for any characters.",
            metavar="NAME",
            chip="label",
            words=("records with the label {}",),
        ),
    )
    notes: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "note",
            ValueKind.NAMES,
            "Text that a note on a record contains.",
            metavar="TEXT",
            chip="note",
            words=("records with a note that contains {}",),
        ),
    )
    retracted: bool | None = _describe_field(
        None,
        QueryOption(
            "retracted",
            ValueKind.EITHER,
            "Keep only retracted records, or only the others.",
            flags=("--retracted/--not-retracted",),
            chip_values=("retracted hidden", "only retracted"),
            form_label="Retracted",
            form_choices=(("", "shown, flagged"), ("false", "hidden"), ("true", "nothing else")),
            words=("records that are not retracted", "retracted records"),
        ),
    )
    has_abstract: bool | None = _describe_field(
        None,
        QueryOption(
            "has_abstract",
            ValueKind.EITHER,
            "Keep only records with an abstract, or only those without.",
            flags=("--has-abstract/--no-abstract",),
            chip_values=("without an abstract", "with an abstract"),
            form_label="Abstract",
            form_choices=(("", "with or without"), ("true", "with"), ("false", "without")),
            words=("records without an abstract", "records with an abstract"),
        ),
    )
    has_fulltext: bool | None = _describe_field(
        None,
        QueryOption(
            "has_fulltext",
            ValueKind.EITHER,
            "Keep only records with a PMCID or an address of their full text, or only those without.",
            flags=("--has-fulltext/--no-fulltext",),
            chip_values=("without full text", "with full text"),
            words=("records without an address of the full text", "records with an address of the full text"),
        ),
    )
    ids: Sequence[str] | None = _describe_field(  # None: no list was given
        None,
        QueryOption(
            "ids",
            ValueKind.IDS,
            "Keep only these records: record ids, PMIDs or DOIs.",
            file_help="Keep only the records in a file: a list or table of ids, or an export such as RIS.",
            chip="only",
            words=("records of a list ({})",),
        ),
    )
    hide: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "hide",
            ValueKind.IDS,
            "Hide these records from the hits: record ids, PMIDs or DOIs.",
            file_help="Hide the records in a file of the same kinds from the hits.",
            chip="hidden",
            words=("records that are not in a list ({})",),
        ),
    )
    where: str = _describe_field(
        "",
        QueryOption(
            "where",
            ValueKind.TEXT,
            'Expression that a record must meet: year >= 2015 and not mesh = "Animals".',
            metavar="EXPR",
            chip="where",
            form_label="Condition",
            placeholder='year >= 2015 and not mesh = "Animals"',
            words=("records that meet the condition {}",),
        ),
    )

    def __post_init__(self) -> None:
        """Check every value, and replace lists by tuples.

        Raises:
            UsageError: an invalid value.
        """
        for option in FILTERS:
            object.__setattr__(self, option.field, _read_value(option, getattr(self, option.field)))

    @property
    def any(self) -> bool:
        """Whether anything is filtered."""
        return self != Filters()

    @property
    def year_ranges(self) -> tuple[YearRange, ...]:
        """The ranges of years."""
        return cast(tuple[YearRange, ...], self.years)


@dataclass(frozen=True, slots=True)
class Query:
    """One question to an index: a text, records as examples, or both."""

    text: str = _describe_field("", QueryOption("q", ValueKind.TEXT, "What to look for, in your own words."))
    like: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "like",
            ValueKind.IDS,
            "Find records like this one, by its id, PMID or DOI; the example itself is left out.",
            metavar="ID",
            chip="like",
        ),
    )
    unlike: Sequence[str] = _describe_field(
        (),
        QueryOption(
            "unlike",
            ValueKind.IDS,
            "Find records unlike this one, by its id, PMID or DOI.",
            metavar="ID",
            chip="unlike",
        ),
    )
    mode: Mode = _describe_field(
        DEFAULT_MODE,
        QueryOption(
            "mode",
            ValueKind.CHOICE,
            "Rank by meaning, by words, or by both.",
            choices=MODES,
        ),
    )
    filters: Filters = field(default_factory=Filters)
    top_k: int = _describe_field(
        10, QueryOption("n", ValueKind.INTEGER, "Maximum number of hits.", low=1, flags=("-n", "--top-k"))
    )
    offset: int = _describe_field(
        0, QueryOption("offset", ValueKind.INTEGER, "Number of hits to skip at the beginning.", low=0)
    )
    min_score: float | None = _describe_field(
        None,
        QueryOption(
            "min_score",
            ValueKind.NUMBER,
            "Leave out hits with a lower cosine.",
            low=-1,
            high=1,
            metavar="COSINE",
            chip="cosine at least",
        ),
    )
    weight: float | None = _describe_field(  # None: as index.toml says
        None,
        QueryOption(
            "weight",
            ValueKind.NUMBER,
            "Weight of the cosine in hybrid mode; the words have the rest.",
            low=0,
            high=1,
            metavar="0..1",
            unset=f"index.toml; {_WEIGHTS}",
        ),
    )
    fusion: Fusion | None = _describe_field(  # None: as index.toml says
        None,
        QueryOption(
            "fusion",
            ValueKind.CHOICE,
            "How hybrid mode merges the two rankings.",
            choices=FUSIONS,
            unset=f"index.toml; {DEFAULT_FUSION}",
        ),
    )
    diversify: float | None = _describe_field(  # from 0, by score alone, to 1, by difference from the hits above
        None,
        QueryOption(
            "diversify",
            ValueKind.NUMBER,
            "Prefer hits unlike those above them (MMR): 0 not at all, 1 as much as possible.",
            low=0,
            high=1,
            metavar="0..1",
            chip="diversity",
        ),
    )
    sort: str = _describe_field(
        RELEVANCE,
        QueryOption(
            "sort",
            ValueKind.CHOICE,
            "Order of the hits: relevance, year, author, journal or added. :asc or :desc after it sets the direction; "
            "year and added begin with the newest.",
            choices=_SORT_CHOICES,
            metavar="FIELD[:asc|:desc]",
            form_label="Sort by",
            form_choices=(
                ("", "relevance"),
                ("year", "year, newest first"),
                ("year:asc", "year, oldest first"),
                ("author", "first author"),
                ("journal", "journal"),
                ("added", "last added first"),
            ),
        ),
    )
    explain: bool = _describe_field(
        False,
        QueryOption(
            "explain", ValueKind.SWITCH, "Explain each hit: nearest sentences, words found, what the score means."
        ),
    )
    group_by: str | None = _describe_field(
        None,
        QueryOption(
            "group_by",
            ValueKind.CHOICE,
            "Count the records that qualify, and the hits among them, by this field.",
            choices=_GROUPS,
            form_label="Count by",
            form_choices=(("", "nothing"), *((field, field.replace("_", " ")) for field in _GROUPS)),
        ),
    )
    rerank: str | None = _describe_field(  # None: as index.toml says
        None,
        QueryOption(
            "rerank",
            ValueKind.TEXT,
            "Second stage: order the first hits anew by this cross-encoder, a folder or hub id; none for no second "
            "stage.",
            metavar="MODEL",
            unset="index.toml; none",
            chip="reranker",
        ),
    )
    rerank_depth: int | None = _describe_field(  # None: as index.toml says
        None,
        QueryOption(
            "rerank_depth",
            ValueKind.INTEGER,
            "Number of hits that the second stage orders anew.",
            low=1,
            high=MAX_RERANK_DEPTH,
            unset=f"index.toml; {_DEFAULT_RERANK_DEPTH}",
        ),
    )
    rerank_precision: str | None = _describe_field(  # None: as index.toml says
        None,
        QueryOption(
            "rerank_precision",
            ValueKind.CHOICE,
            "Precision of the reranker; int8 is faster and gives other scores.",
            choices=RERANK_PRECISIONS,
            unset=f"index.toml; {RERANK_PRECISIONS[0]}",
        ),
    )
    feedback: bool = _describe_field(
        False,
        QueryOption(
            "feedback",
            ValueKind.SWITCH,
            "Move the question towards the ten records nearest to it (Rocchio); for topics with many answers.",
            chip_values=("without feedback", "with feedback"),
        ),
    )


FILTERS = _list_options(Filters)
QUESTION = tuple(option for option in _list_options(Query) if option.field in ("text", "like", "unlike"))
RANKING = tuple(option for option in _list_options(Query) if option not in QUESTION)
SIMILAR_RANKING = tuple(replace(o, default=SIMILAR_MODE) if o.field == "mode" else o for o in RANKING)
BY_FIELD = {option.field: option for option in (*QUESTION, *RANKING, *FILTERS)}


def _read_value(option: QueryOption, value: Any) -> Any:
    """Return the checked value of a filter, with tuples for lists.

    Raises:
        UsageError: an invalid value.
    """
    if value is None:
        return option.default
    if option.kind is ValueKind.YEARS:
        return tuple(_read_range(option.field, span) for span in _list_items(option.field, value))
    if option.kind.is_repeatable:
        items = tuple(_list_items(option.field, value))
        for item in items:
            _check_text(option, item)
        return items
    if option.kind is ValueKind.EITHER:
        if not (is_switch(value) or (isinstance(value, int) and value in (0, 1))):
            raise UsageError(f"{option.field} is {show_value(value)}, expected True, False or None")
        return bool(value)
    if not isinstance(value, str):
        raise UsageError(f"{option.field} is {show_value(value)}, expected text")
    return value


def _list_items(name: str, value: Any) -> list[Any]:
    """Return the values of a list.

    Raises:
        UsageError: it is a single value.
    """
    if isinstance(value, str):
        raise UsageError(f"{name} is the single text {value[:60]!r}, expected a list of them: [{value[:60]!r}]")
    return check_list(name, value, f"a list: {_EXAMPLES.get(name, '[...]')}")


_EXAMPLES = {"years": '["2015-2020"] or [(2015, None)]'}


def _check_text(option: QueryOption, value: object) -> None:
    """Check one text of a filter.

    Raises:
        UsageError: another type, blank where a name is expected, or too long.
    """
    is_blank = isinstance(value, str) and option.kind is ValueKind.NAMES and not value.strip()
    if not isinstance(value, str) or is_blank or len(value) > _MAX_LENGTH:
        expected = f"text of 1 to {_MAX_LENGTH:,} characters"
        shown = value if isinstance(value, str) else show_value(value)
        raise UsageError(f"{option.field} holds {shown[:60]!r}, expected {expected}. Leave out what is blank")


def _read_range(name: str, span: object) -> YearRange:
    """Return a range of years given as text or as a pair.

    Raises:
        UsageError: it is neither, or ends before it begins.
    """
    if isinstance(span, str):
        return parse_years(span)
    if isinstance(span, Sequence) and len(span) == 2:
        first, last = (None if year is None else _read_year(name, year) for year in span)
        if first is None or last is None or first <= last:
            return first, last
    raise UsageError(f"{name} holds {show_value(span)}, expected {_PAIR}")


_PAIR = "text such as '2015-', or (first, last) with None for an open end: (1998, 2003)"


def _read_year(name: str, year: Any) -> int:
    """Return a year of a pair.

    Raises:
        UsageError: it is no whole number.
    """
    try:
        if not is_switch(year):
            return index_of(year)
    except TypeError:
        pass
    raise UsageError(f"{name} holds {show_value(year)}, expected {_PAIR}")


def parse_years(text: str) -> YearRange:
    """Return the range of years that a text stands for, both ends included.

    >>> parse_years("1998-2003"), parse_years("2015-"), parse_years("-1990"), parse_years("2001")
    ((1998, 2003), (2015, None), (None, 1990), (2001, 2001))

    Raises:
        UsageError: it is none, or ends before it begins.
    """
    found = YEARS.fullmatch(text.strip())
    low, dash, high = found.group("low", "dash", "high") if found else (None, None, None)
    if (low is None and high is None) or (low and high and (dash is None or low > high)):
        problem = "ends before it begins" if dash and low and high else "is not a range of years"
        raise UsageError(f"{text[:40]!r} {problem}, expected years of four digits: 2001, 1998-2003, 2015- or -1990")
    first, last = int(low) if low else None, int(high) if high else None
    return (first, last) if dash else (first or last, first or last)


def format_years(first: int | None, last: int | None) -> str:
    """Return a range of years as parse_years reads it.

    >>> format_years(2015, None), format_years(2001, 2001)
    ('2015-', '2001')
    """
    return str(first) if first == last else f"{first or ''}-{last or ''}"


def parse_duration(text: str, name: str) -> float:
    """Return the seconds of a duration; name: what it is, for the message.

    >>> parse_duration("90s", "x"), parse_duration("10m", "x"), parse_duration("2h", "x")
    (90.0, 600.0, 7200.0)

    Raises:
        ConfigError: it is no whole number with s, m or h.
    """
    match = re.fullmatch(r"([0-9]{1,6})([smh])", text)
    if match is None:
        raise ConfigError(f"{name} is {text[:40]!r}, expected a whole number with s, m or h, such as 10m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def parse_sort(sort: str) -> tuple[str, bool]:
    """Return the field that a sort other than relevance names, and whether its order descends.

    >>> parse_sort("year"), parse_sort("year:asc"), parse_sort("author")
    (('year', True), ('year', False), ('author', False))
    """
    field, _, direction = sort.partition(":")
    return field, direction == "desc" if direction else _SORTS[field]


def describe_unknown(name: str, known: Sequence[str]) -> str:
    """Return the message about an unknown parameter, with the nearest known one and all of them."""
    names = {option.field: option.name for option in BY_FIELD.values() if option.name in known}
    names |= {each: each for each in known}  # fields of the Python API, such as years, are recognised too
    near = get_close_matches(name[:80], names, 1)
    maybe = f" (did you mean {names[near[0]]}?)" if near else ""
    every = f"Known parameters: {', '.join(known)}" if known else "None is known here: leave it out"
    return f"unknown parameter {name[:80]!r}{maybe}. {every}"


@dataclass(frozen=True, slots=True)
class SettingOption:
    """One key of index.toml, and how it is explained."""

    key: str  # in index.toml, with its table: guard.max_deleted_share
    help: str
    shown: str  # value in a fresh index.toml, as TOML
    unset: str = ""  # what applies where nothing is set, for people
    low: float | None = None  # of a number
    high: float | None = None
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # accepted, but not offered
    flags: tuple[str, ...] = ()  # of the command line, where there is one
    in_environment: bool = False
    field: str = ""  # of IndexSettings
    kind: type = str
    default: Any = None

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it; None where there is none."""
        return f"ENGINE_{self.field.upper()}" if self.in_environment else None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """The settings of an index, as index.toml names them."""

    model: str | None = _describe_field(
        None,
        SettingOption(
            "model",
            "Model: a folder or a hub id, owner/name or owner/name@revision; `engine models` lists some.",
            f'"{DEFAULT_MODEL}"',
            f"the index's own; {DEFAULT_MODEL}",
            flags=("-m", "--model"),
            in_environment=True,
        ),
    )
    device: str = _describe_field(
        "auto",
        SettingOption(
            "device",
            "Device to encode on: mps is the GPU of a Mac.",
            '"auto"',
            "auto",
            choices=("auto", "cpu", "cuda", "mps"),
            flags=("--device",),
            in_environment=True,
        ),
    )
    precision: str | None = _describe_field(
        None,
        SettingOption(
            "precision",
            "Precision of the encoder: auto is the fastest with the vectors of fp32; int8 gives others (cosine 0.993).",
            '"auto"',
            "the index's own; auto",
            choices=("auto", "fp32", "int8"),
            flags=("--precision",),
            in_environment=True,
        ),
    )
    recipe: str | None = _describe_field(
        None,
        SettingOption(
            "recipe",
            "Text recipe: whole cuts long texts where the encoder stops reading; passages encodes all in parts.",
            '"whole"',
            "the index's own; whole",
            choices=tuple(RECIPE_NAMES),
            also=tuple(RECIPE_NAMES.values()),
            flags=("--recipe",),
        ),
    )
    template: str | None = _describe_field(
        None,
        SettingOption(
            "template",
            "Text of a record for the encoder, as its card says: {title}[SEP]{abstract} for MedCPT and SPECTER2.",
            '"{title}. {abstract}"',
            "the index's own; {title}. {abstract}",
            flags=("--template",),
        ),
    )
    query_prompt: str | None = _describe_field(
        None,
        SettingOption(
            "query_prompt",
            "Text put before every query, or the name of a prompt of the model; an empty text for none.",
            '"query: "',
            "the index's own; as encode_query of sentence-transformers",
            flags=("--query-prompt",),
        ),
    )
    document_prompt: str | None = _describe_field(
        None,
        SettingOption(
            "document_prompt",
            "Text put before every text of a record, or the name of a prompt of the model; an empty text for none.",
            '"passage: "',
            "the index's own; as encode_document of sentence-transformers",
            flags=("--document-prompt",),
        ),
    )
    query_model: str | None = _describe_field(
        None,
        SettingOption(
            "query_model",
            "Model that reads the queries, where a pair of models is published, as MedCPT: a folder or hub id.",
            '"ncbi/MedCPT-Query-Encoder"',
            "the index's own; the model",
            flags=("--query-model",),
        ),
    )
    pooling: str | None = _describe_field(
        None,
        SettingOption(
            "pooling",
            "How the vector of a text is made, for a plain Hugging Face model: mean, cls, max or lasttoken.",
            '"cls"',
            "the index's own; as modules.json says",
            flags=("--pooling",),
        ),
    )
    factory: str | None = _describe_field(
        None,
        SettingOption(
            "factory",
            "FAISS index type: by default exact below 1,000,000 abstracts, then IVF with exact scores.",
            '"auto"',
            "auto",
        ),
    )
    recall: float | None = _describe_field(
        None,
        SettingOption(
            "recall",
            "Share of the 10 nearest abstracts that an IVF index must find.",
            str(DEFAULT_RECALL),
            f"the index's own; {DEFAULT_RECALL}",
            low=0.5,
            high=1,
            flags=("--recall",),
        ),
    )
    map_kind: str | None = _describe_field(
        None,
        SettingOption(
            "map",
            "Map of the records: pca is quick; umap keeps more neighbours together and needs the extra [map].",
            f'"{DEFAULT_MAP}"',
            f"the index's own; {DEFAULT_MAP}",
            choices=_MAP_KINDS,
            flags=("--map",),
        ),
    )
    mesh_tree: str | None = _describe_field(
        None,
        SettingOption(
            "mesh_tree",
            "File of NLM's MeSH tree, needed for --mesh-tree; relative to this folder.",
            '"mtrees2026.bin"',
            "none",
        ),
    )
    keep_generations: int = _describe_field(
        3,
        SettingOption(
            "keep_generations",
            "Published generations to keep, the current one included.",
            "3",
            low=1,
            high=1000,
            in_environment=True,
        ),
    )
    one_segment_below: int | None = _describe_field(  # None: by the number of generations that are kept
        None,
        SettingOption(
            "one_segment_below",
            "Records below which an index is written as one segment; a larger one adds a segment for what changed.",
            str(_SMALL_INDEX),
            f"{_SMALL_INDEX}; 0 where more than {_FEW_GENERATIONS} generations are kept, or on a cluster",
            low=0,
            high=1_000_000_000,
        ),
    )
    publish_every: str | None = _describe_field(
        None,
        SettingOption(
            "publish_every",
            "Publish after whole files about this often (90s, 10m, 2h), so that the first ones can be searched soon.",
            '"10m"',
            "once, at the end",
            flags=("--publish-every",),
        ),
    )
    checkpoint_seconds: float = _describe_field(
        15.0,
        SettingOption(
            "checkpoint_seconds",
            "Seconds of encoding that a killed run may lose.",
            "15",
            low=0,
            high=3600,
            in_environment=True,
        ),
    )
    max_deleted_share: float = _describe_field(
        0.10,
        SettingOption(
            "guard.max_deleted_share",
            "Largest share of the records that a reindex may delete.",
            "0.10",
            low=0,
            high=1,
            in_environment=True,
        ),
    )
    max_changed_share: float = _describe_field(
        0.10,
        SettingOption(
            "guard.max_changed_share",
            "Largest share of the records that a reindex may change.",
            "0.10",
            low=0,
            high=1,
            in_environment=True,
        ),
    )
    hybrid_weight: float | None = _describe_field(  # None: by the query
        None,
        SettingOption(
            "hybrid.weight",
            "Weight of the cosine; the words have the rest.",
            str(DEFAULT_WEIGHT),
            _WEIGHTS,
            low=0,
            high=1,
        ),
    )
    hybrid_fusion: str = _describe_field(
        DEFAULT_FUSION,
        SettingOption(
            "hybrid.fusion",
            "convex: weighted sum of both scores, each as a share of the best; rrf: by ranks, without a weight.",
            f'"{DEFAULT_FUSION}"',
            choices=FUSIONS,
        ),
    )
    rerank_model: str | None = _describe_field(
        None,
        SettingOption(
            "rerank.model",
            "Cross-encoder that orders the first hits of every search anew: a folder or hub id.",
            '"cross-encoder/ms-marco-MiniLM-L6-v2"',
            "none",
        ),
    )
    rerank_depth: int = _describe_field(
        _DEFAULT_RERANK_DEPTH,
        SettingOption(
            "rerank.depth",
            "Number of hits that it orders anew.",
            str(_DEFAULT_RERANK_DEPTH),
            low=1,
            high=MAX_RERANK_DEPTH,
        ),
    )
    rerank_precision: str = _describe_field(
        RERANK_PRECISIONS[0],
        SettingOption(
            "rerank.precision",
            "Precision of the reranker; int8 is faster and gives other scores.",
            f'"{RERANK_PRECISIONS[0]}"',
            choices=RERANK_PRECISIONS,
        ),
    )
    download_url: str | None = _describe_field(
        None,
        SettingOption(
            "download.url",
            "Folder of PubMed's update files on a mirror.",
            '"https://ftp.ncbi.nlm.nih.gov/pubmed/updatefiles/"',
            "none",
        ),
    )
    download_folder: str | None = _describe_field(
        None,
        SettingOption(
            "download.folder",
            "Folder to keep them in, relative to this one; list it under sources too.",
            '"updatefiles"',
            "none",
        ),
    )
    backend: str = _describe_field(
        "local",
        SettingOption(
            "backend",
            "Where the index is encoded and searched: local is this machine, ray a cluster.",
            '"local"',
            "local",
            choices=("local", "ray"),
            in_environment=True,
        ),
    )
    ray_address: str | None = _describe_field(
        None,
        SettingOption(
            "ray.address",
            "Address of the head node of the cluster, HOST:PORT.",
            '"10.0.0.5:6379"',
            "a cluster of this machine",
            in_environment=True,
        ),
    )
    ray_copies: int = _describe_field(
        2,
        SettingOption(
            "ray.copies",
            "Number of nodes that hold each part of the index.",
            "2",
            low=1,
            high=16,
        ),
    )
    ray_storage: str | None = _describe_field(
        None,
        SettingOption(
            "ray.storage",
            "Where the nodes find the parts: path of the folder of the index on them, or address of an object store.",
            '"s3://bucket/rheumatology"',
            "the folder of the index, at the same path on all nodes",
        ),
    )
    ray_cache_gb: float = _describe_field(
        100.0,
        SettingOption(
            "ray.cache_gb",
            "Size in gigabytes to which each node copies parts from an object store.",
            "100",
            low=0.001,
            high=1e6,
        ),
    )

    @property
    def most_in_one_segment(self) -> int:
        """Records below which an index is written as one segment."""
        if self.one_segment_below is not None:
            return self.one_segment_below
        is_copied = self.keep_generations > _FEW_GENERATIONS or self.backend != "local"
        return 0 if is_copied else _SMALL_INDEX


def _list_settings(owner: type) -> tuple[SettingOption, ...]:
    """Return the descriptions of the settings, each with its type and default."""
    hints = get_type_hints(owner)
    settings = []
    for each in fields(owner):
        allowed = get_args(hints[each.name]) or (hints[each.name],)
        kind = next(kind for kind in (float, int, str) if kind in allowed)
        settings.append(replace(each.metadata["option"], field=each.name, kind=kind, default=each.default))
    return tuple(settings)


SETTINGS = _list_settings(IndexSettings)
