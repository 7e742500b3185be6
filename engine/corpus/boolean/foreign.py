"""Operators and fields of other databases, and unfinished ones, which are read as words: each with what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.corpus.boolean.tags import Dialect, find_front_tag, find_tag
from engine.corpus.boolean.tokens import hide_quoted

_SMALL = r"(?:a|an|and|the|of|in|on|at|to|or|not|for|from|with|by|than|was|were|is|are|between)\b"
_OPERATOR = re.compile(
    r"(?<=[\w)\"'*\].]\s)(?:(?P<capital>XOR|ANDNOT|BUTNOT|AND/OR|SAME|WITH|UND|ODER|NICHT|OU|SAUF|OCH|NIET)"
    r"|(?P<mark>&&|\|\|?)"
    r"|(?P<slash>(?i:near|next|adj)\s?/(?:\s?[0-9]{1,3}|[nxk#])|(?i:pre|onear|within)\s?/\s?(?:[0-9]{1,3}|[nx#]))"
    r"|(?P<sentence>(?i:w|near|pre)/[spSP])"
    rf"|(?P<low>near|next)[0-9]{{1,2}}|(?P<word>near|Near|next|ET)|(?P<ebsco>[nw])1?[0-9])(?=\s+(?!{_SMALL})[\w(\"'*])"
)
_READ = re.compile(r"(?i:near|next|adj)\s?/\s?[0-9]+|(?i:pre)/[0-9]+")  # these are operators
_LITTLE = re.compile(_SMALL, re.IGNORECASE)
_CALL = re.compile(r"(?:^|[(\n]|\b(?:AND|OR|NOT)\s)[^\S\n]*+(?P<name>O?NEAR|NEXT|ADJ)[^\S\n]?\((?=[\w(\"'])")
_JOINED = re.compile(r"(?<=[a-z])\((?P<digits>[0-9]{1,2})?(?P<kind>[nwNW])\)(?=[a-z])")
_BRACKETS = re.compile(
    r"(?:^|[(\n]|\b(?:AND|OR|NOT)\s)[^\S\n]*+(?P<bracket>[\[{])(?!(?:or|and|OR|AND)\s+#?[0-9])(?!mh\s)"
    r"[^\[\]{}\n]{1,200}?\s(?:AND|OR|NOT|and|or|not)\s[^\[\]{}\n]{1,200}[\]}](?!\s*/)"
)
_GLUED = re.compile(
    r"(?<![\w*/|+&])(?:[*/|+&]+(?:AND|OR|NOT)(?![A-Za-z0-9/])|(?:AND(?!/OR)|OR|NOT)[*/|+&:]+(?![0-9]))"
    r"(?=[^\s#0-9])[^\s()\"]{0,40}"
    r"|(?<=[\w\])\"])[*+/|&,;]+(?:AND|OR|NOT)[*+/|&,;]+(?=\w)"
)  # an operator without blanks
_BEHIND = re.compile(
    r"AREA\[\w{1,40}\]|\b(?:TOPIC|TITLE|AUTHOR|ALL FIELDS):(?=\s\()"
    r"|(?<=\s)\((?:Topic|Title|Abstract|All Fields|Author Keywords|Languages|Document Types)\)"
)  # fields of ClinicalTrials.gov and Web of Science
_TITLE_CASE = re.compile(rf"(?<=[a-z)\"*]\s)(?:And|Or|Not)(?=\s+(?:[\"(]|(?!{_SMALL})[a-z]))")
_NAMES = (
    "ti|ab|abs|su|noft|tw|title|abstract|mh|kw|au|mesh|all|pd|yr|db|mj|topic|mainsubject|indexterms|chemname|auth|"
    "srctitle|subjarea|affil|srctype|title_abs|mesh_heading|pub_type"
)
_ELSEWHERE = "src|lang|pub_year|first_pdate|has_abstract|pub_type|title_abs|mesh_heading|db|mj|pt|instance|year_cluster"
_GROUPED = re.compile(
    rf"(?<![\w.*$?#-])(?P<field>{_NAMES}|{_NAMES.upper()}|(?i:(?:mesh|mjmesh|emb|mjemb|su|mainsubject|la|pt)(?:\.[a-z]+){{1,3}}))"
    r"(?P<sign>[:=]?)(?=[(\"](?!s\)))(?<!(?i:title):(?=\"))"
)
_APART = re.compile(r"^\s*(?:TI|AB|TX|TS|SU|MH|AU|KW)\s+(?=[(\"])")
_EQUALS = re.compile(r"^\s*(?:\(\s*)?(?:TI|AB|TS|TX|SO|AU|KW|SU)=(?=[a-z][\w*-]{2})")
_COLON = re.compile(
    r"(?<![\w:.*$?#\[-])(?P<field>(?i:ti|ab|tiab|tw|au|auth|author|abstract|ta|journal|mh|mesh|kw|su|year|language|la|"
    rf"{_ELSEWHERE})):(?=[\w\[])"
)
_EXPLODE = re.compile(
    r"(?:^|[(\n]|\b(?:AND|OR|NOT)\s)[^\S\n]*+(?P<field>exp|explode)[^\S\n]+(?P<word>[A-Za-z][\w-]+)(?![^()\n]{0,99}/)"
)
_OPEN = re.compile(r"(?<=\w)\[(?:(?i:tiab|ti|ab|tw|mh|mesh|pt|au))(?=\s*(?:$|[()]|(?:AND|OR|NOT)\b))")
_CODES = re.compile(r"(?<=[a-z*$?#)\"]{2})\.(?:tiab|[a-z]{2}(?:,[a-z]{2}){0,9})\.(?=\s*(?:$|\)|(?i:and|or|not)\b))")
_DISTANCE = re.compile(r"(?<=\")~[0-9]{1,2}(?!\w)")
_FUZZY = re.compile(r"(?<=[a-z]{3})~[0-9]?(?![\w~\]])")
_WEIGHT = re.compile(r"(?<=[a-z\"]{4})\^[0-9]{1,2}(?:\.[0-9]{1,2})?(?![\w.])")
_BRACES = re.compile(r"(?<=[\w\"*])\{(?P<field>(?i:tiab|ti|ab|tw|mh|mesh|pt|au))\}")
_LIMIT = re.compile(r"^\s*limit\s+#?(?P<line>[0-9]{1,5})\s+to\s", re.IGNORECASE)
_SINGLE = re.compile(r"(?<!\w)'(?P<words>\w[^'\n]{0,60}\s[^'\n]{0,60}\w)'(?!\w)")
_UNCLOSED = re.compile(r"(?<![^\s(+-])\"(?=\w)")
_STANDS_FOR = {"ANDNOT": "NOT", "BUTNOT": "NOT", "AND/OR": "OR", "&&": "AND", "||": "OR", "|": "OR"}
_STANDS_FOR |= {"UND": "AND", "ET": "AND", "OCH": "AND", "ODER": "OR", "OU": "OR"}
_STANDS_FOR |= dict.fromkeys(("NICHT", "NIET", "SAUF"), "NOT")
_READ_FIELDS = frozenset(("TI", "TITLE", "AB", "ABS", "ALL", "KW", "MH", "AU"))  # before a group in a search
_UNFINISHED = (  # each pattern with its note, and whether the note belongs to a Boolean search, too
    (_CALL, "{name} was read as a word. If it is an operator, write it between two words: hip NEAR/5 pain", True),
    (_EXPLODE, "{field} was read as a word. For a heading, write exp {word}/", True),
    (_OPEN, "{0} was read as a word, since it is not closed. For a field tag, write {0}]", True),
    (_CODES, "{0} was read as a word, since it is no field of Ovid. For title and abstract, write .ti,ab.", False),
    (_DISTANCE, '{0} was not read. For words near each other, write "hip pain"[tiab:{0}]', True),
    (_FUZZY, "{0} was not read. For other endings, write arthrit*", True),
    (_WEIGHT, "{0} was not read, since no word can count more than another", True),
    (_BRACES, "{0} was read as a word. If it is a field tag, write [{field}]", True),
    (_LIMIT, "limit was read as a word, since there is no line {line}. Give all lines of the search", False),
)
_IN_SEARCHES = (  # each pattern that is looked for in a Boolean search only, with its note
    (_BRACKETS, "{bracket} was not read as a parenthesis. To group words, write ( and )"),
    (_BEHIND, "{0} was read as a word. If it is a field, write a tag such as gout[tiab] or gout[ti] instead"),
    (_GLUED, "{0} was read as a word. For an operator, write a blank on each side of it"),
)
_SHORT = 5  # blanks of a question in which near may be an operator
_FARTHEST = 40  # characters on each side that are looked at for a word


def note_foreign(text: str, *, is_search: bool, dialect: Dialect = Dialect.PLAIN) -> Iterator[str]:
    """Yield a note for each operator or field that is read as a word, in a text with plain marks.

    is_search: whether the text is a Boolean search, not a plain question.

    >>> list(note_foreign("gout XOR pain", is_search=False))
    ['XOR was read as a word. If it is an operator, write (gout OR pain) NOT (gout AND pain)']
    """
    open_text = hide_quoted(text)
    for match in _OPERATOR.finditer(open_text):
        is_operator = dialect is Dialect.EMBASE and match["word"] in ("near", "Near", "next")
        if not is_operator and _is_unread(match, open_text, is_search=is_search):
            yield _note_operator(match, text)
    yield from _note_fields(open_text, is_search=is_search)
    yield from _note_unfinished(open_text, is_search=is_search)
    if not is_search:
        for match in _SINGLE.finditer(text):
            yield f'{match[0]} was read as words. For a phrase, write "{match["words"]}"'
        if open_text.count('"') % 2 and _UNCLOSED.search(open_text):
            yield "a quotation mark is not closed, so no phrase begins there. Close it, or leave it out"


def _is_unread(match: re.Match[str], text: str, *, is_search: bool) -> bool:
    """Return whether what looks like an operator stands between two words and is read as none."""
    words = _find_words(match, text)
    if match["capital"] and _LITTLE.fullmatch(words[0]):  # the SAME trial, OD and OU after
        return False
    if match["word"] == "next" and not is_search:
        return False
    if _READ.fullmatch(match[0]) or (is_search and match[0] in ("&&", "||")):
        return False
    if match["capital"] and all(word.isupper() for word in words):
        return False
    if match["word"] and not is_search and text.count(" ") > _SHORT:  # prose
        return False
    return not {"AND", "OR", "NOT"}.intersection(words)


def _note_operator(match: re.Match[str], text: str) -> str:
    """Return the note on an operator, with what to write."""
    left, right = _find_words(match, text)
    operator = match[0]
    if operator == "XOR":
        instead = f"({left} OR {right}) NOT ({left} AND {right})"
    elif operator in _STANDS_FOR:
        instead = f"{left} {_STANDS_FOR[operator]} {right}"
    else:
        instead = f"{left} {_name_nearness(match)} {right}"
    return f"{operator} was read as a word. If it is an operator, write {instead}"


def _name_nearness(match: re.Match[str]) -> str:
    """Return the proximity operator that another one stands for."""
    digits = re.sub(r"[^0-9]", "", match[0])
    if match["ebsco"]:
        return f"{'N' if match['ebsco'] == 'n' else 'PRE'}/{digits}"
    name = "NEXT" if match[0].lower().startswith(("next", "pre")) else "NEAR"
    return f"{name}/{digits or ('3' if match['slash'] else '10')}"  # 10 for those within a sentence or paragraph


def _find_words(match: re.Match[str], text: str) -> tuple[str, str]:
    """Return the words or phrases on both sides of a match, with their tags; (…) where there is another thing."""
    before = re.search(r"(\"[^\"\n]*\"\S*|[^\s()\"]+)\s$", text[max(0, match.start() - _FARTHEST) : match.start()])
    after = re.match(r"\s+(\"[^\"\n]*\"|[^\s()\"]+)", text[match.end() : match.end() + _FARTHEST])
    return before[1] if before else "(…)", after[1] if after else "(…)"


def _note_fields(text: str, *, is_search: bool) -> Iterator[str]:
    """Yield a note for each field before what is looked up, in a text without its quoted phrases."""
    found = [
        (match.start(), match[0].strip(), match["field"])
        for match in (*_GROUPED.finditer(text), *(_COLON.finditer(text) if is_search else ()))
        if not (is_search and match["field"] in _READ_FIELDS and ":" not in match[0])
    ]
    if not is_search:
        plain = (*_APART.finditer(text), *_EQUALS.finditer(text))
        found += [(match.start(), match[0].strip(" (\t\n"), match[0].strip(" (=\t\n")) for match in plain]
    for _, written, name in sorted(found):
        tag = find_front_tag(name.split(".")[0])
        if find_tag(Dialect.PUBMED, tag):
            yield f"{written} was read as a word. If it is a field, write its tag after the word, as in gout[{tag}]"
        else:
            yield f"{written} was read as a word. If it is a field, leave it out, or write a tag such as gout[tiab]"


def _note_unfinished(text: str, *, is_search: bool) -> Iterator[str]:
    """Yield a note for each mark, field tag, heading or limit that is not read; quoted phrases are hidden."""
    for match in _TITLE_CASE.finditer(text) if not is_search else ():
        yield f"{match[0]} was read as a word. If it is an operator, write {match[0].upper()}"
    for match in _JOINED.finditer(text):
        near = f"{'N' if match['kind'] in 'nN' else 'PRE'}/{match['digits'] or 0}"
        yield f"{match[0]} was read as a word. If it is an operator, write {near} between two blanks"
    for pattern, note in _IN_SEARCHES if is_search else ():
        for match in pattern.finditer(text):
            yield note.format(match[0].strip(), **match.groupdict())
    for pattern, note, is_named_in_search in _UNFINISHED:
        for match in pattern.finditer(text) if is_named_in_search or not is_search else ():
            yield note.format(match[0], **match.groupdict())
