"""Names of authors as reference managers want them: "Last, Fore"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

PARTICLES = set(
    "af al am bin da dal de del della den der des di dos du el ibn la le ten ter van vom von zu zum zur".split()
)
SUFFIXES = {"Jr", "Jr.", "Sr", "Sr.", "II", "III", "IV", "2nd", "3rd", "4th"}
_INITIALS = re.compile(r"[A-Z]{1,3}(?:-[A-Z])?")  # "Smith JA": the family name is written first
_GROUP = re.compile(
    r"\b(?:and|for|of|on|the|groups?|societ(?:y|ies)|committee|collaborat\w*|consortia|consortium|networks?"
    r"|investigators?|team|associations?|colleges?|initiative|stud(?:y|ies)|trials?|trialists|cent(?:re|er)s?"
    r"|institut\w*|universit\w*|foundation|registr(?:y|ies)|organi[sz]ation|agency|council|federation|board|panel"
    r"|task|force|program(?:me)?|project|alliance|academy|ministry|department|hospitals?|league|members?)\b|\d",
    re.IGNORECASE,
)
_MAX_WORDS = 6  # of a person's name
_NO_GIVEN = re.compile(r"(?:none|null|nan)\s+", re.IGNORECASE)  # what some sources write in place of a missing name
_NOBODY = re.compile(r"\W*(?:editors?|none|anonymous|anon|no authors? listed|et al|others)\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Name:
    """An author's name in the order of reference managers."""

    written: str  # "van de Schoot, Rens", or as it came
    # what was done: "f" Fore Last, "s" Fore Last Suffix, "i" Last Initials, each turned; "g" group; "-" left as it came
    form: str

    @property
    def is_turned(self) -> bool:
        """Whether it differs from the name as it came."""
        return self.form != "-"

    @property
    def short(self) -> str:
        """The name with initials, as MEDLINE writes it: "van de Schoot R"."""
        family, _, rest = self.written.partition(", ")
        fore, _, suffix = rest.partition(", ")
        if self.form == "i" or not fore:
            return " ".join(filter(None, (family, fore, suffix)))
        initials = "".join(part[0].upper() for part in re.split(r"[\s.-]+", fore) if part)
        return " ".join(filter(None, (family, initials, suffix)))


def parse_name(author: str) -> Name:
    """Return an author's name with the family name first.

    PubMed's XML gives "Rens van de Schoot", other sources "van de Schoot, Rens" or "Schoot R". Names of groups, and
    names whose order is unknown, are unchanged. The order of a name without a comma is a guess: its last word, with
    small words before it such as "van de", is taken for the family name, so of two family names only the second is.
    """
    words = author.split(" ")
    if "," in author or _GROUP.search(author) or not 1 < len(words) <= _MAX_WORDS or author != " ".join(author.split()):
        return Name(author, "-")
    suffix = words.pop() if len(words) > 2 and words[-1] in SUFFIXES else ""
    if _INITIALS.fullmatch(words[-1]):
        return Name(", ".join(filter(None, (" ".join(words[:-1]), words[-1], suffix))), "i")
    start = len(words) - 1
    while start > 0 and words[start - 1] in PARTICLES:
        start -= 1
    if start == 0:
        return Name(author, "-")
    family, fore = " ".join(words[start:]), " ".join(words[:start])
    return Name(", ".join(filter(None, (family, fore, suffix))), "s" if suffix else "f")


def parse_names(authors: Sequence[str]) -> list[Name]:
    """Return the names of all authors, in order."""
    return [parse_name(author) for author in authors]


def parse_cited_names(authors: Sequence[str]) -> list[Name]:
    """Return the names of all authors, a group with a comma at its end, by which reference managers know one."""
    return [Name(f"{author},", "g") if is_group(author) else parse_name(author) for author in authors]


def list_named(authors: Sequence[str]) -> list[str]:
    """Return the authors without those that name nobody, and without the "None" of a missing given name.

    >>> list_named(["None GaBI Journal Editor", "None Editor", "Anonymous", "Marlow J"])
    ['GaBI Journal Editor', 'Marlow J']
    """
    named = (_NO_GIVEN.sub("", author.strip(), count=1) for author in authors)
    return [name for name in named if name and not _NOBODY.fullmatch(name)]


def format_people(authors: Sequence[str], most: int | None = None) -> str:
    """Return the authors as text for people, whatever way their source writes names; "et al." after the first `most`.

    >>> format_people(["Gunn, Craig", "Jonathan Kay", "Okoro P", "Gout Study Group"], 3)
    'Gunn C, Kay J, Okoro P, et al.'
    """
    named = list_named(authors)
    short = [name if is_group(name) else parse_name(name).short for name in named[:most]]
    return ", ".join([*short, "et al."] if most is not None and len(named) > most else short)


def is_group(author: str) -> bool:
    """Return whether a name is that of a group rather than of a person, judged by its words."""
    return "," not in author and _GROUP.search(author) is not None
