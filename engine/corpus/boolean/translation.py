"""Boolean searches drawn as a tree, and written in the languages of PubMed, Ovid and Embase.com."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from engine.corpus.boolean.matching import has_wildcard, list_branch
from engine.corpus.boolean.tags import WORD_FIELDS, Dialect, SearchField
from engine.corpus.boolean.tree import Expression, Kind, Line, Node, Search, SearchTerm
from engine.corpus.boolean.values import MANY, MAYBE, ONE, read_years

TARGETS = (Dialect.PUBMED, Dialect.OVID, Dialect.EMBASE)
_MAX_PAIRS = 50  # of words near each other that are written out for PubMed
_T, _A, _H, _K = SearchField.TITLE, SearchField.ABSTRACT, SearchField.HEADING_WORDS, SearchField.KEYWORDS
_BOTH, _ALL = frozenset((_T, _A)), frozenset((_T, _A, _H, _K))

# The tag of a dialect for a set of fields; {} stands for the term.
_WORD_TAGS: dict[Dialect, dict[frozenset[SearchField], str]] = {
    Dialect.PUBMED: {
        _BOTH: "{}[tiab]",
        frozenset((_T,)): "{}[ti]",
        frozenset((_A,)): "{}[ab]",
        frozenset((_K,)): "{}[ot]",
        frozenset((_T, _A, _K)): "({0}[tiab] OR {0}[ot])",
        _ALL: "{}[tw]",
    },
    Dialect.OVID: {
        _BOTH: "{}.ti,ab.",
        frozenset((_T,)): "{}.ti.",
        frozenset((_A,)): "{}.ab.",
        frozenset((_K,)): "{}.kf.",
        frozenset((_H,)): "{}.hw.",
        frozenset((_T, _A, _K)): "{}.ti,ab,kf.",
        _ALL: "{}.mp.",
    },
    Dialect.EMBASE: {
        _BOTH: "{}:ti,ab",
        frozenset((_T,)): "{}:ti",
        frozenset((_A,)): "{}:ab",
        frozenset((_K,)): "{}:kw",
        frozenset((_H,)): "{}:de",
        frozenset((_T, _A, _K)): "{}:ti,ab,kw",
        _ALL: "{}:ti,ab,kw,de",
    },
}
_NAME_TAGS: dict[SearchField, tuple[str, str, str]] = {
    SearchField.HEADING: ('"{}"[mh:noexp]', "{}/", "'{}'/de"),
    SearchField.EXPLODED: ('"{}"[mh]', "exp {}/", "'{}'/exp"),
    SearchField.TYPE: ('"{}"[pt]', "{}.pt.", "'{}':it"),
    SearchField.AUTHOR: ("{}[au]", "{}.au.", "'{}':au"),
    SearchField.FIRST_AUTHOR: ("{}[1au]", "{}.au.", "'{}':au"),
    SearchField.LAST_AUTHOR: ("{}[lastau]", "{}.au.", "'{}':au"),
    SearchField.JOURNAL: ('"{}"[ta]', '"{}".jn.', "'{}':jt"),
    SearchField.YEAR: ("{}[dp]", "{}.yr.", "[{}]/py"),
    SearchField.LANGUAGE: ("{}[la]", "{}.lg.", "[{}]/lim"),
    SearchField.PMID: ("{}[pmid]", "{}.ui.", "{}:ui"),
    SearchField.DOI: ("{}[doi]", "{}.do.", "{}:do"),
    SearchField.HAS_ABSTRACT: ("hasabstract", "has abstract.af.", "[abstracts]/lim"),
    SearchField.UNKNOWN: ("{}", "{}", "{}"),
}
_SIGNS: dict[Dialect, dict[str, str]] = {
    Dialect.PUBMED: {MANY: "*"},
    Dialect.OVID: {MANY: "*", MAYBE: "?", ONE: "#"},
    Dialect.EMBASE: {MANY: "*", MAYBE: "$", ONE: "?"},
}
_AWAY = {SearchField.FIRST_AUTHOR: "first authors", SearchField.LAST_AUTHOR: "last authors"}


@dataclass(frozen=True, slots=True)
class _Translation:
    """A search in one dialect."""

    dialect: Dialect
    lines: tuple[str, ...]  # in the order of the lines of the search
    notes: tuple[str, ...]  # for people: what the dialect can't say


def translate_search(search: Search, dialect: Dialect) -> _Translation:
    """Write a search in another dialect. Every group has parentheses, so that no order of operators is needed."""
    writer = _Writer(dialect)
    return _Translation(dialect, tuple(writer.write_line(line) for line in search.lines), tuple(writer.notes))


def draw_search(search: Search) -> str:
    """Return a search as trees for reading, a node a line."""
    parts = []
    for line in search.lines:
        head = f"line {line.number}: {line.text}\n" if search.is_numbered else ""
        parts.append(head + "\n".join(_draw_lines(line.expression)))
    return "\n".join(parts)


def list_search_fields(search: Search) -> list[dict[str, Any]]:
    """Return the lines of a search as dictionaries; the nodes of each in order, parts before wholes, by number."""
    return [
        {
            "number": line.number,
            "text": line.text,
            "nodes": [_list_node_fields(number, node) for number, node in enumerate(line.expression.nodes)],
        }
        for line in search.lines
    ]


def _list_node_fields(number: int, node: Node) -> dict[str, Any]:
    """Return a node as a dictionary."""
    found: dict[str, Any] = {"id": number, "kind": node.kind.value, "position": node.position}
    if node.term is not None:
        fields = [one.value for one in node.term.fields]
        return found | {"text": node.term.text, "words": list(node.term.words), "fields": fields, "tag": node.term.tag}
    if node.kind is Kind.LINE:
        return found | {"line": node.line}
    near = {"distance": node.distance, "ordered": node.ordered} if node.kind is Kind.NEAR else {}
    return found | {"parts": list(node.parts)} | near


def _draw_lines(expression: Expression) -> list[str]:
    """Return an expression with a node a line, parts indented below their whole."""
    found, stack = [], [(len(expression.nodes) - 1, 0)]
    while stack:
        number, depth = stack.pop()
        node = expression.nodes[number]
        found.append(f"{'  ' * min(depth, _MAX_INDENT)}{_describe_node(node)}")
        stack += [(part, depth + 1) for part in reversed(node.parts)]
    return found


_MAX_INDENT = 40


def _describe_node(node: Node) -> str:
    """Return a node in words."""
    if node.term is not None:
        fields = ", ".join(one.value for one in node.term.fields)
        words = " ".join(node.term.words)
        is_phrase = len(node.term.words) > 1 and node.term.is_textual
        text = f'"{words}"' if is_phrase else words if node.term.is_textual else node.term.text
        return f"{text}  in {fields}"
    if node.kind is Kind.LINE:
        return f"line {node.line}"
    if node.kind is Kind.NEAR:
        between = node.distance - 1
        order = "in this order" if node.ordered else "in any order"
        return f"NEAR, {order}, at most {between} other {'word' if between == 1 else 'words'} between"
    return node.kind.value


@dataclass(slots=True, eq=False)
class _Writer:
    """Writes lines in one dialect, and collects what it can't say."""

    dialect: Dialect
    notes: dict[str, None] = field(default_factory=dict)

    def write_line(self, line: Line) -> str:
        """Return a line."""
        expression = line.expression
        texts: dict[int, str] = {}
        inside: set[int] = set()
        for number, node in enumerate(expression.nodes):
            if node.kind is Kind.NEAR:
                inside |= set(list_branch(expression, number)[:-1])
        for number in range(len(expression.nodes)):
            if number not in inside:
                texts[number] = self.write_node(expression, number, texts)
        return texts[len(expression.nodes) - 1]

    def write_node(self, expression: Expression, number: int, texts: dict[int, str]) -> str:
        """Return a node; takes the texts of its parts out of `texts`."""
        node = expression.nodes[number]
        if node.term is not None:
            return self.write_term(node.term)
        if node.kind is Kind.LINE:
            return str(node.line) if self.dialect is Dialect.OVID else f"#{node.line}"
        if node.kind is Kind.NEAR:
            return self.write_near(expression, number)
        parts = [(expression.nodes[part], texts.pop(part)) for part in node.parts]
        if node.kind is Kind.NOT:
            return f"NOT {_bracket(*parts[0])}"
        if node.kind is Kind.OR:
            return self.join(" OR ", [_bracket(*part) for part in parts])
        wanted = [_bracket(*part) for part in parts if part[0].kind is not Kind.NOT]
        unwanted = [text for part, text in parts if part.kind is Kind.NOT]
        if not wanted:
            return self.join(" AND ", unwanted)
        whole = self.join(" AND ", wanted)
        if unwanted and len(wanted) > 1:
            whole = f"({whole})"
        return self.join(" ", [whole, *unwanted])

    def join(self, operator: str, parts: Sequence[str]) -> str:
        """Join parts by an operator, in lower case in Ovid."""
        return (operator.lower() if self.dialect is Dialect.OVID else operator).join(
            part.replace("NOT ", "not ", 1) if self.dialect is Dialect.OVID and part.startswith("NOT ") else part
            for part in parts
        )

    def write_term(self, term: SearchTerm) -> str:
        """Return a term with its field tag; several terms with OR if no tag holds all of its fields."""
        written = []
        words = WORD_FIELDS & set(term.fields)
        if words:
            written.append(self.choose_tag(words).format(self.write_words(term)))
        written += [self.write_name(term, one) for one in term.fields if one not in WORD_FIELDS]
        return written[0] if len(written) == 1 else f"({self.join(' OR ', written)})"

    def choose_tag(self, fields: frozenset[SearchField]) -> str:
        """Return the tag of a set of fields of words, with {} for the term."""
        tags = _WORD_TAGS[self.dialect]
        if fields in tags:
            return tags[fields]
        wider = min((known for known in tags if known >= fields), key=len, default=_ALL)
        names = ", ".join(sorted(one.value for one in fields))
        self.notes[f"{self.dialect.value} has no field tag for {names}, so a wider one stands here"] = None
        return tags[wider]

    def write_name(self, term: SearchTerm, one: SearchField) -> str:
        """Return a term that is a whole name."""
        pattern = _NAME_TAGS[one][TARGETS.index(self.dialect)]
        text = term.text.strip().strip("\"'")
        if one is SearchField.UNKNOWN:
            self.notes[f"{term.text[:60]} {term.tag}: written as it was, since its field is not known here"] = None
            return term.written
        if one in _AWAY and self.dialect is not Dialect.PUBMED:
            self.notes[f"{self.dialect.value} can't be asked for {_AWAY[one]} alone, so any author stands here"] = None
        if one in (SearchField.HEADING, SearchField.EXPLODED) and self.dialect is Dialect.EMBASE:
            self.notes["Embase has Emtree terms instead of MeSH headings. Check that each of them is there"] = None
        if one in (SearchField.HEADING, SearchField.EXPLODED) and self.dialect is Dialect.OVID:
            text = text[:1].upper() + text[1:]  # so that "and" in it is no operator
        if one is SearchField.YEAR:
            return self.write_years(text)
        return pattern.format(text)

    def write_years(self, text: str) -> str:
        """Return years of publication."""
        low, high = read_years(text) or (None, None)
        first, last = low or 1000, high or (3000 if self.dialect is Dialect.PUBMED else 2100)
        if self.dialect is Dialect.PUBMED:
            return f"{first}[dp]" if first == last else f"{first}:{last}[dp]"
        if self.dialect is Dialect.EMBASE:
            return f"[{first}-{last}]/py"
        if first == last:
            return f"{first}.yr."
        self.notes[f'Ovid takes a range of years as a limit on a line of its own: limit 1 to yr="{first} - {last}"'] = (
            None
        )
        return f"{first}:{last}.(sa_year)."

    def write_words(self, term: SearchTerm) -> str:
        """Return the words of a term, in quotation marks if they are a phrase."""
        signs = _SIGNS[self.dialect]
        text = "".join(signs.get(sign, "") if sign in (MANY, MAYBE, ONE) else sign for sign in self.combine_words(term))
        if len(term.words) == 1 and " " not in text:
            return text
        return f"'{text}'" if self.dialect is Dialect.EMBASE else f'"{text}"'

    def combine_words(self, term: SearchTerm) -> str:
        """Return the words of a term with the wildcards that the dialect has."""
        text = " ".join(term.words)
        if self.dialect is not Dialect.PUBMED or not (MAYBE in text or ONE in text):
            return text
        self.notes[f"PubMed has only the wildcard *, so {term.text[:60]} is truncated more widely"] = None
        return " ".join(self.widen_word(word) for word in term.words)

    @staticmethod
    def widen_word(word: str) -> str:
        """Return a word cut off at its first wildcard of one letter."""
        places = [word.index(sign) for sign in (MAYBE, ONE) if sign in word]
        return f"{word[: min(places)]}{MANY}" if places else word

    def write_near(self, expression: Expression, number: int) -> str:
        """Return words near each other."""
        node = expression.nodes[number]
        terms = [expression.nodes[one].term for one in list_branch(expression, number)]
        fields = frozenset.intersection(*(WORD_FIELDS & set(term.fields) for term in terms if term is not None))
        tag = self.choose_tag(fields or _BOTH)
        if self.dialect is Dialect.PUBMED:
            return self.write_proximity(expression, node, tag)
        return tag.format(f"({self.write_side(expression, number)})")

    def write_side(self, expression: Expression, number: int) -> str:
        """Return a node of a proximity without field tags."""
        texts: dict[int, str] = {}
        for one in list_branch(expression, number):
            node = expression.nodes[one]
            parts = [texts.pop(part) for part in node.parts]
            if node.term is not None:
                texts[one] = self.write_words(node.term)
            elif node.kind is Kind.OR:
                texts[one] = f"({self.join(' OR ', parts)})"
            else:
                if len(parts) > 2:
                    self.notes[
                        "more than two words near each other are written as a chain, which is nearly the same"
                    ] = None
                texts[one] = self.name_operator(node).join(parts)
                if one != number:
                    texts[one] = f"({texts[one]})"
        return texts[number]

    def name_operator(self, node: Node) -> str:
        """Return the operator of a proximity in Ovid or Embase."""
        if self.dialect is Dialect.EMBASE:
            return f" {'NEXT' if node.ordered else 'NEAR'}/{node.distance} "
        if node.ordered and node.distance > 1:
            self.notes["Ovid's adj finds words in any order, so NEXT is written as adj"] = None
        return " adj " if node.ordered and node.distance == 1 else f" adj{node.distance} "

    def write_proximity(self, expression: Expression, node: Node, tag: str) -> str:
        """Return words near each other as PubMed takes them: words without wildcards, in any order."""
        sides = [
            [
                expression.nodes[one].term
                for one in list_branch(expression, part)
                if expression.nodes[one].term is not None
            ]
            for part in node.parts
        ]
        terms = [term for side in sides for term in side if term is not None]
        is_plain = not any(has_wildcard(word) for term in terms for word in term.words)
        is_flat = all(expression.nodes[part].kind in (Kind.TERM, Kind.OR) for part in node.parts)
        pairs = [[term for term in pair if term is not None] for pair in product(*sides)] if is_flat else []
        if is_plain and 0 < len(pairs) <= _MAX_PAIRS and tag in ("{}[tiab]", "{}[ti]"):
            if node.ordered:
                self.notes["PubMed finds words near each other in any order"] = None
            name = tag[3:-1]
            written = [
                f'"{" ".join(" ".join(term.words) for term in pair)}"[{name}:~{node.distance - 1}]' for pair in pairs
            ]
            return written[0] if len(written) == 1 else f"({self.join(' OR ', written)})"
        self.notes["PubMed has no proximity with wildcards or groups like these, so AND stands for it"] = None
        groups = [
            " OR ".join(tag.format(self.write_words(term)) for term in side if term is not None) for side in sides
        ]
        return "(" + " AND ".join(f"({group})" if " OR " in group else group for group in groups) + ")"


def _bracket(node: Node, text: str) -> str:
    """Return the text of a node in parentheses, if it is a group."""
    return f"({text})" if node.kind in (Kind.AND, Kind.OR, Kind.NOT) else text
