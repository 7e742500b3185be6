"""The field tags of PubMed, Ovid and Embase.com, and the fields of a record that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Dialect(StrEnum):
    """Whose search language an expression is written in."""

    PLAIN = "plain"  # operators and parentheses, without a field tag
    PUBMED = "PubMed"
    OVID = "Ovid"
    EMBASE = "Embase"

    @property
    def reads_left_to_right(self) -> bool:
        """Whether AND, OR and NOT bind alike. If not, NOT binds before AND, and AND before OR."""
        return self in (Dialect.PLAIN, Dialect.PUBMED)


class SearchField(StrEnum):
    """What a term is looked up in."""

    TITLE = "title"  # words, as are the next three
    ABSTRACT = "abstract"
    HEADING_WORDS = "words of MeSH headings"
    KEYWORDS = "words of keywords"
    HEADING = "MeSH heading"  # whole names from here on
    EXPLODED = "MeSH heading or one below it"
    TYPE = "publication type"
    AUTHOR = "author"
    FIRST_AUTHOR = "first author"
    LAST_AUTHOR = "last author"
    JOURNAL = "journal"
    YEAR = "publication year"
    LANGUAGE = "language"
    PMID = "PMID"
    DOI = "DOI"
    HAS_ABSTRACT = "whether there is an abstract"
    UNKNOWN = "a field that records here do not have"


_TEXT = (SearchField.TITLE, SearchField.ABSTRACT)
_WORDS = (*_TEXT, SearchField.HEADING_WORDS, SearchField.KEYWORDS)
DEFAULT_FIELDS = _TEXT  # of a term without a field tag
WORD_FIELDS = frozenset(_WORDS)


@dataclass(frozen=True, slots=True)
class Tag:
    """A field tag."""

    fields: tuple[SearchField, ...]
    note: str = ""  # how the field here differs from the one that is meant


_NO_MAJOR = "major topics are not marked here, so a major heading counts as any heading"
_NO_SUBHEADING = "subheadings are not stored here, so this is left out"
ANY_SUBHEADING = "subheadings are not stored here, so any subheading counts"
_TITLE, _ABSTRACT, _BOTH, _ALL = Tag((SearchField.TITLE,)), Tag((SearchField.ABSTRACT,)), Tag(_TEXT), Tag(_WORDS)
_KEYWORDS, _HEADING_WORDS = Tag((SearchField.KEYWORDS,)), Tag((SearchField.HEADING_WORDS,))
_HEADING, _EXPLODED = Tag((SearchField.HEADING,)), Tag((SearchField.EXPLODED,))
_MAJOR, _EXPLODED_MAJOR = Tag((SearchField.HEADING,), _NO_MAJOR), Tag((SearchField.EXPLODED,), _NO_MAJOR)
_TYPE, _AUTHOR, _JOURNAL = Tag((SearchField.TYPE,)), Tag((SearchField.AUTHOR,)), Tag((SearchField.JOURNAL,))
_YEAR, _LANGUAGE, _PMID, _DOI = (
    Tag((SearchField.YEAR,)),
    Tag((SearchField.LANGUAGE,)),
    Tag((SearchField.PMID,)),
    Tag((SearchField.DOI,)),
)
_EVERYWHERE = Tag(_WORDS, "all fields are title, abstract, MeSH headings and keywords here")


def _build_unknown(what: str) -> Tag:
    """Return the tag of a field that records don't have."""
    return Tag((SearchField.UNKNOWN,), f"{what} can't be searched here, so this is left out")


FILTER = _build_unknown("subsets and filters of PubMed")  # unless the filter is a language, a type, an age, …

# Each name of a tag in lower case; the first name of several is the one that is written.
_PUBMED: dict[str, Tag] = {
    **dict.fromkeys(("ti", "title"), _TITLE),
    **dict.fromkeys(("ab", "abstract"), _ABSTRACT),
    **dict.fromkeys(("tiab", "title/abstract"), _BOTH),
    **dict.fromkeys(("tw", "text", "text word", "text words"), _ALL),
    **dict.fromkeys(("all", "all fields"), _EVERYWHERE),
    **dict.fromkeys(("ot", "other term"), _KEYWORDS),
    **dict.fromkeys(("mh", "mesh", "mesh terms", "mesh term", "mh:exp", "mesh:exp", "mesh terms:exp"), _EXPLODED),
    **dict.fromkeys(("mh:noexp", "mesh:noexp", "mesh terms:noexp", "mesh term:noexp"), _HEADING),
    **dict.fromkeys(("majr", "mesh major topic"), _EXPLODED_MAJOR),
    **dict.fromkeys(("majr:noexp", "mesh major topic:noexp"), _MAJOR),
    **dict.fromkeys(("nm", "supplementary concept", "substance name"), _HEADING),
    **dict.fromkeys(("rn", "ec/rn number"), _build_unknown("registry numbers")),
    **dict.fromkeys(("sh", "mesh subheading", "subheading"), Tag((SearchField.UNKNOWN,), _NO_SUBHEADING)),
    **dict.fromkeys(("pt", "publication type", "ptyp"), _TYPE),
    **dict.fromkeys(("au", "author", "full author name", "fau"), _AUTHOR),
    **dict.fromkeys(("1au", "first author name", "author - first"), Tag((SearchField.FIRST_AUTHOR,))),
    **dict.fromkeys(("lastau", "last author name", "author - last"), Tag((SearchField.LAST_AUTHOR,))),
    **dict.fromkeys(("ta", "jour", "journal"), _JOURNAL),
    **dict.fromkeys(("dp", "pdat", "date - publication", "publication date", "ppdat", "epdat"), _YEAR),
    **dict.fromkeys(("la", "lang", "language"), _LANGUAGE),
    **dict.fromkeys(("pmid", "uid"), _PMID),
    **dict.fromkeys(("doi", "aid", "lid", "article identifier", "location id"), _DOI),
    **dict.fromkeys(("ad", "affl", "affiliation"), _build_unknown("affiliations")),
    **dict.fromkeys(("sb", "subset", "filter"), FILTER),
    **dict.fromkeys(
        ("edat", "crdt", "mhda", "lr", "date - entry", "date - create", "date - mesh", "date - modification"),
        _build_unknown("dates of entry and indexing"),
    ),
    **dict.fromkeys(
        ("vi", "volume", "ip", "issue", "pg", "pagination", "is", "issn", "gr", "grant number", "ir", "investigator",
         "ps", "personal name as subject", "cn", "corporate author", "pl", "place of publication", "tt",
         "transliterated title", "jid", "nlm unique id", "si", "secondary source id", "pa", "pharmacological action",
         "book", "pubn", "publisher", "ed", "editor", "cois", "auid", "author - identifier", "owner"),
        _build_unknown("this field"),
    ),
}  # fmt: skip
_OVID: dict[str, Tag] = {
    **dict.fromkeys(("ti", "m_titl", "to"), _TITLE),
    "ab": _ABSTRACT,
    "tw": _BOTH,
    "mp": _ALL,
    "af": _EVERYWHERE,
    **dict.fromkeys(("kw", "kf", "ot", "dq", "bt"), _KEYWORDS),
    **dict.fromkeys(("hw", "nm", "tn", "mf", "dv", "ox", "px", "rx"), _HEADING_WORDS),
    "sh": _HEADING,
    "pt": _TYPE,
    **dict.fromkeys(("au", "fa"), _AUTHOR),
    **dict.fromkeys(("jn", "jw", "ja", "jx"), _JOURNAL),
    **dict.fromkeys(("yr", "dp", "ep", "sa_year"), _YEAR),
    **dict.fromkeys(("la", "lg"), _LANGUAGE),
    **dict.fromkeys(("ui", "pm", "pmid"), _PMID),
    "do": _DOI,
    **dict.fromkeys(("rn", "fs", "xs"), _build_unknown("registry numbers and floating subheadings")),
    **dict.fromkeys(("ed", "ez", "da", "dc", "dt", "em", "rd", "up"), _build_unknown("dates of entry and indexing")),
    **dict.fromkeys(("in", "ia", "cp", "ci", "is", "vo", "ip", "pg", "an", "sb", "st", "gr", "nj"),
                    _build_unknown("this field")),
}  # fmt: skip
_EMBASE: dict[str, Tag] = {
    "ti": _TITLE,
    "ab": _ABSTRACT,
    "kw": _KEYWORDS,
    "de": _HEADING_WORDS,
    "tt": _TITLE,
    **dict.fromkeys(("it", "pt"), _TYPE),
    "au": _AUTHOR,
    **dict.fromkeys(("jt", "ta", "ja"), _JOURNAL),
    "py": _YEAR,
    "la": _LANGUAGE,
    "ui": _PMID,
    "do": _DOI,
    "all": _EVERYWHERE,
    "ff": _EVERYWHERE,
    **dict.fromkeys(("tn", "dn", "mn", "df", "cl", "ad", "ca", "is", "vi", "ip", "sp", "oa", "dtype", "lnk", "rn", "ca",
                     "cn", "ad", "dc", "pd", "sd", "ed", "id", "sb"), _build_unknown("this field")),
}  # fmt: skip
# Fields that other databases write before a word, in lower case, each with the tag of PubMed that stands for it.
_FRONT_TAGS: dict[str, str] = {
    "title": "ti",
    **dict.fromkeys(("abs", "abstract"), "ab"),
    "title-abs": "tiab",
    **dict.fromkeys(("title-abs-key", "ts", "tx", "all", "noft"), "tw"),
    **dict.fromkeys(("kw", "key", "ak", "authkey"), "ot"),
    **dict.fromkeys(("su", "mesh", "mjmesh", "emb", "mjemb", "mainsubject", "indexterms", "mj", "mesh_heading"), "mh"),
    "title_abs": "tiab",
    "topic": "tw",
    "pub_type": "pt",
    **dict.fromkeys(("author", "auth"), "au"),
    **dict.fromkeys(("so", "journal", "srctitle"), "ta"),
    **dict.fromkeys(("dt", "doctype"), "pt"),
    **dict.fromkeys(("py", "yr", "year", "pd", "pub_year", "first_pdate", "year_cluster"), "dp"),
    **dict.fromkeys(("language", "lang"), "la"),
}
_NAMES = {Dialect.PUBMED: _PUBMED, Dialect.OVID: _OVID, Dialect.EMBASE: _EMBASE}
HEADINGS: dict[str, Tag] = {
    "exp": _EXPLODED,
    "de": _HEADING,
    "br": _HEADING,
    "syn": _EXPLODED,
    "mj": _MAJOR,
    "exp/mj": _EXPLODED_MAJOR,
    "mj/exp": _EXPLODED_MAJOR,
    "major": _MAJOR,
}  # after the slash, on Embase.com
_DASHES = dict.fromkeys(range(0x2010, 0x2016), "-")
_NEAR_TAG = re.compile(r"(?P<name>.*?)\s*:?\s*~\s*(?P<n>[0-9]{1,4})")


def find_tag(dialect: Dialect, name: str) -> Tag | None:
    """Return the tag of a name, in any case; None if there is none. Names of Ovid and Embase may be a list of codes.

    >>> find_tag(Dialect.EMBASE, "ti,ab").fields
    (<SearchField.TITLE: 'title'>, <SearchField.ABSTRACT: 'abstract'>)
    """
    known = _NAMES[dialect]
    if dialect is Dialect.PUBMED:
        plain = re.sub(r"\s*[:/]\s*(?=(?:no)?exp)", ":", name.lower().translate(_DASHES))
        return known.get(" ".join(plain.split()))
    parts = [known.get(code.strip()) for code in name.lower().split(",")]
    found = [part for part in parts if part is not None]
    if not found or len(found) < len(parts):
        return None
    fields = dict.fromkeys(field for part in found for field in part.fields)
    notes = dict.fromkeys(part.note for part in found if part.note)
    if len(fields) > 1:
        fields.pop(SearchField.UNKNOWN, None)
    return Tag(tuple(fields), "; ".join(notes))


def find_front_tag(name: str) -> str:
    """Return the name of the tag of PubMed for a field before a word, in any case; the name itself if it is one.

    >>> find_front_tag("TS"), find_front_tag("TI")
    ('tw', 'ti')
    """
    return _FRONT_TAGS.get(name.lower(), name.lower())


def find_heading_tag(name: str) -> Tag | None:
    """Return the tag of a heading on Embase.com: exp, de/mj, exp/dm_dt with subheadings; None if there is none.

    >>> find_heading_tag("exp/mj/dm_dt,dm_th").fields
    (<SearchField.EXPLODED: 'MeSH heading or one below it'>,)
    """
    kind, _, links = name.lower().rpartition("/")
    if "_" not in links:
        return HEADINGS.get(name.lower())
    tag = HEADINGS.get(kind or "de")
    return tag and Tag(tag.fields, "; ".join(filter(None, (tag.note, ANY_SUBHEADING))))


def name_codes(name: str) -> Tag:
    """Return the tag of a list of codes of Ovid of which some or all are not known here."""
    found = {code.strip(): _OVID.get(code.strip()) for code in name.lower().split(",")}
    fields = dict.fromkeys(one for tag in found.values() if tag for one in tag.fields if one is not SearchField.UNKNOWN)
    away = ", ".join(code for code, tag in found.items() if tag is None or SearchField.UNKNOWN in tag.fields)
    outcome = "the other fields are searched" if fields else "this is left out"
    return Tag(tuple(fields) or (SearchField.UNKNOWN,), f"the field {away} can't be searched here, so {outcome}")


def find_nearness(name: str) -> tuple[str, int] | None:
    """Return the field and the number of words between of a proximity tag of PubMed, such as tiab:~3; or None."""
    match = _NEAR_TAG.fullmatch(name.strip())
    return (match["name"].strip(), int(match["n"])) if match else None


def suggest_tag(name: str) -> str:
    """Return the name of the tag of PubMed that is spelled most like a name; "" if none is."""
    near = get_close_matches(name.lower()[:60], _PUBMED, 1)
    return near[0] if near else ""


def list_names(dialect: Dialect) -> dict[str, Tag]:
    """Return the tags of a dialect by name."""
    return dict(_NAMES[dialect])
