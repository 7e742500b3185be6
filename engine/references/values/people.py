"""Authors and editors as references name them: family name and initials, or the name of a group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.references.values.names import PARTICLES, SUFFIXES, is_group, list_named, parse_name

_INITIALS = re.compile(r"[A-Z]{2,4}")  # "JA": letters without full stops between them
_RANKS = {"II": "2nd", "III": "3rd", "IV": "4th"}  # as NLM writes the suffixes of names
_MOST_VANCOUVER = 6  # authors before "et al"; by ICMJE
_MOST_APA = 20  # authors that are all named; of more, the first 19 and the last
_N_INITIALS = 2  # that NLM writes of one person


@dataclass(frozen=True, slots=True)
class Person:
    """An author; a group, and a person with one name, has a family name alone."""

    family: str  # with the particles before it: "van de Schoot"
    initials: tuple[str, ...] = ()  # one for each given name: "J", "J-P"
    suffix: str = ""  # "Jr", "III"

    @property
    def vancouver(self) -> str:
        """The name as NLM writes it: "van de Schoot RJ", "Smith RM Jr"."""
        initials = "".join(self.initials).replace("-", "")[:_N_INITIALS]
        suffix = _RANKS.get(self.suffix, self.suffix)
        return " ".join(filter(None, (self.family, initials, suffix)))

    @property
    def apa(self) -> str:
        """The name with the family name first: "van de Schoot, R. J.", "Smith, R. M., Jr."."""
        suffix = f"{self.suffix}." if self.suffix in ("Jr", "Sr") else self.suffix
        return ", ".join(filter(None, (self.family, self._dotted, suffix)))

    @property
    def apa_editor(self) -> str:
        """The name with the initials first, as APA writes editors: "R. J. van de Schoot"."""
        return " ".join(filter(None, (self._dotted, self.family)))

    @property
    def _dotted(self) -> str:
        """The initials with full stops: "J.-P. A."."""
        return " ".join(f"{initial.replace('-', '.-')}." for initial in self.initials)


def read_people(authors: Sequence[str]) -> list[Person]:
    """Return the authors that are named, in order."""
    return [_read_person(author) for author in list_named(authors)]


def _read_person(author: str) -> Person:
    """Return an author's name in its parts; as parse_name does, it guesses the order of a name without a comma.

    >>> _read_person("Beethoven, Ludwig van"), _read_person("Smith RM Jr").suffix
    (Person(family='van Beethoven', initials=('L',), suffix=''), 'Jr')
    """
    author = " ".join(author.split())
    family, *rest = (part.strip() for part in parse_name(author).written.split(","))
    if is_group(author) or not any(rest) or len(rest) > 2:
        return Person(author)
    words, suffix = rest[0].split(), "".join(rest[1:])
    if not suffix and len(words) > 1 and words[-1] in SUFFIXES:
        suffix = words.pop()
    if not suffix and " " in family and family.split()[-1] in SUFFIXES:
        family, _, suffix = family.rpartition(" ")
    before: list[str] = []
    while len(words) > 1 and words[-1] in PARTICLES:
        before.insert(0, words.pop())
    return Person(" ".join((*before, family)), tuple(_list_initials(words)), suffix.rstrip("."))


def _list_initials(words: Sequence[str]) -> Iterator[str]:
    """Yield the initial of each given name, "J-P" for a double one.

    >>> list(_list_initials(["Jean-Pierre", "JA", "R.", "K.L."]))
    ['J-P', 'J', 'A', 'R', 'K', 'L']
    """
    for word in (part for each in words for part in each.split(".")):
        if _INITIALS.fullmatch(word):
            yield from word
        elif initials := [part[0].upper() for part in word.split("-") if part]:
            yield "-".join(initials)


def list_vancouver(people: Sequence[Person], most: int | None = _MOST_VANCOUVER) -> str:
    """Return the names in NLM's order and signs: a group stands after a semicolon; "et al" after the first six."""
    shown = people[:most]
    text = ""
    for before, person in zip((None, *shown), shown, strict=False):
        is_near = before is not None and before.initials and person.initials
        text += ("" if before is None else ", " if is_near else "; ") + person.vancouver
    return f"{text}, et al" if len(shown) < len(people) else text


def list_apa(people: Sequence[Person]) -> str:
    """Return the names with "&" before the last; of more than 20, the first 19 and the last after an ellipsis."""
    names = [person.apa for person in people]
    if len(names) > _MOST_APA:
        return f"{', '.join(names[: _MOST_APA - 1])}, . . . {names[-1]}"
    return f"{', '.join(names[:-1])}, & {names[-1]}" if len(names) > 1 else "".join(names)


def list_apa_editors(people: Sequence[Person]) -> str:
    """Return the editors of a book as they stand before its title: "B. Marlow & K. Okoro (Eds.)"."""
    names = [person.apa_editor for person in people]
    if len(names) > 2:
        names = [", ".join(names[:-1]) + ",", names[-1]]
    return f"{' & '.join(names)} ({'Ed.' if len(people) == 1 else 'Eds.'})" if people else ""
