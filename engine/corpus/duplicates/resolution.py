"""Recognition of decided records in a generation, whatever has happened to their ids since, and the reverse."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from engine.corpus.duplicates.likeness import find_family_name
from engine.corpus.duplicates.partition import Partition, divide
from engine.corpus.merging.base import Base
from engine.corpus.merging.merge import normalise_title
from engine.corpus.storage.journal import Decision, RecordIdentity, list_active
from engine.corpus.storage.store import Corpus
from engine.corpus.storage.values import bind_text, dump_json_array
from engine.corpus.words.folding import split_words
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import Term, Wording
from engine.identifiers import strip_doi, strip_doi_address, strip_pmid

_COLUMNS = "id, title, year, authors, pmid, doi"
# The records as they are without decisions: parts, and the records that have none.
_UNDECIDED = (
    f"(SELECT {_COLUMNS} FROM parts UNION ALL SELECT {_COLUMNS} FROM abstracts WHERE id NOT IN (SELECT id FROM parts))"
)
_BY_ID = (
    f"SELECT {_COLUMNS} FROM {_UNDECIDED} WHERE id IN"
    " (SELECT coalesce(part, doc_id) FROM contributions WHERE own_id = ?) ORDER BY id"
)
_BY_PMID, _BY_DOI = (
    f"SELECT {_COLUMNS} FROM parts WHERE {column} = ?1{collation}"
    f" UNION ALL SELECT {_COLUMNS} FROM abstracts WHERE {column} = ?1{collation}"
    " AND id NOT IN (SELECT id FROM parts) ORDER BY id"
    for column, collation in (("pmid", ""), ("doi", " COLLATE NOCASE"))
)
_ALL_BY_ID = (
    f"SELECT u.id, u.title, u.pmid, c.n FROM (SELECT DISTINCT coalesce(c.part, c.doc_id) AS id, v.key AS n"
    " FROM json_each(?) v CROSS JOIN contributions c ON c.own_id = v.value) c CROSS JOIN"
    f" {_UNDECIDED} u ON u.id = c.id"
)
_ALL_BY_PMID, _ALL_BY_DOI = (
    f"SELECT p.id, p.title, p.pmid, v.key FROM json_each(?1) v CROSS JOIN parts p ON p.{column} = v.value{collation}"
    f" UNION ALL SELECT a.id, a.title, a.pmid, v.key FROM json_each(?1) v CROSS JOIN abstracts a"
    f" ON a.{column} = v.value{collation} AND a.id NOT IN (SELECT id FROM parts)"
    for column, collation in (("pmid", ""), ("doi", " COLLATE NOCASE"))
)
_BY_IDS = f"SELECT {_COLUMNS} FROM {_UNDECIDED} WHERE id IN (SELECT value FROM json_each(?))"
_Key = tuple[str, int | None, str]  # words of the title, folded, year, family name of the first author


class IdentityFinder:
    """Finds records by their identity, in a draft or in a published corpus."""

    def __init__(
        self, source: sqlite3.Connection | Corpus, base: Base | None = None, words: Path | None = None
    ) -> None:
        """Prepare to find records.

        base: the published records that a draft continues; what is found among them is loaded into the draft.
        words: the folder of the words of a published corpus; without it, all titles are read when a record must be
        found by its title.
        """
        self.source = source
        self.base = base
        self.words = base.published.words if base else words
        self.by_text: dict[_Key, list[int]] | None = None  # read when first needed
        self.word_index: WordIndex | None = None  # opened when first needed

    def read(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return all rows of a query whose first column is the doc id of a record or part, by their first columns."""
        if isinstance(self.source, Corpus):
            return sorted(map(tuple, self.source.read_live(sql, *values)), key=itemgetter(0))
        if self.base:
            self.base.load_selected(sql, *values)
        return self.source.execute(sql, values).fetchall()

    def find(self, identity: RecordIdentity) -> int | None:
        """Return the doc id that a record has, or has as a part, without decisions; None if it is gone.

        Its PMID, or an id of its sources and its title, or its DOI and its title must be the same; failing that, title,
        year and first author, if only one record has them.
        """
        for sql, value in (
            *((_BY_ID, own_id) for own_id in identity.ids),
            *(((_BY_PMID, identity.pmid),) if identity.pmid else ()),
            *(((_BY_DOI, identity.doi),) if identity.doi else ()),
        ):
            for doc_id, title, _, _, pmid, _ in self.read(sql, value):
                if _is_recognised(identity, title, pmid):
                    return int(doc_id)
        return self._find_by_text(identity)

    def _find_by_text(self, identity: RecordIdentity) -> int | None:
        """Return the doc id of the only record with this title, year and first author; None otherwise."""
        key = _build_key(identity.title, identity.year, identity.author)
        alike = self.list_alike(key) if key[0] else []
        if self.base:
            self.base.load_ids(alike)
        return alike[0] if len(alike) == 1 else None

    def find_all(self, identities: Sequence[RecordIdentity]) -> list[int | None]:
        """Return what `find` returns for each identity, with a few queries for all of them together.

        Only a record that has to be found by its title is looked up by itself.
        """
        if not isinstance(self.source, Corpus):
            return [self.find(identity) for identity in identities]
        found: list[int | None] = [None] * len(identities)
        for sql, list_values in (
            (_ALL_BY_ID, attrgetter("ids")),
            (_ALL_BY_PMID, lambda each: (each.pmid,) if each.pmid else ()),
            (_ALL_BY_DOI, lambda each: (each.doi,) if each.doi else ()),
        ):
            left = {n: list_values(identities[n]) for n, doc_id in enumerate(found) if doc_id is None}
            asked = [value for values in left.values() for value in values]
            rows = self._read_together(sql, asked) if asked else {}
            for n, values in left.items():
                same = (
                    doc_id
                    for value in values
                    for doc_id, title, pmid in rows.get(value, ())
                    if _is_recognised(identities[n], title, pmid)
                )
                found[n] = next(same, None)
        pairs = zip(identities, found, strict=True)
        return [self._find_by_text(each) if doc_id is None else doc_id for each, doc_id in pairs]

    def _read_together(self, sql: str, values: Sequence[str]) -> dict[str, list[tuple[int, str, str | None]]]:
        """Return doc id, title and PMID of what has each of some values, by doc id; what nothing has is missing."""
        asked = list(dict.fromkeys(values))
        found: dict[str, list[tuple[int, str, str | None]]] = {}
        for doc_id, title, pmid, n in self.read(sql, dump_json_array([bind_text(value) for value in asked])):
            found.setdefault(asked[n], []).append((int(doc_id), title, pmid))
        return found

    def list_alike(self, key: _Key) -> list[int]:
        """Return the doc ids, ascending, of the records with this title, year and family name."""
        if self.by_text is None:
            self.by_text = {}
            for doc_id, found in self._read_keys():
                self.by_text.setdefault(found, []).append(doc_id)
        published = (doc_id for doc_id, found in self._read_published_keys(key[0]) if found == key)
        return sorted({*self.by_text.get(key, []), *published})

    def find_by_title(self, title: str, year: int | None) -> int | None:
        """Return the doc id of the only record with this title, of this year if both have one; None otherwise."""
        wanted = normalise_title(title)
        if not wanted:
            return None
        self.list_alike((wanted, year, ""))  # reads what must be read once
        keys = [(doc_id, key) for key, doc_ids in (self.by_text or {}).items() for doc_id in doc_ids]
        keys += self._read_published_keys(wanted)
        alike = {
            doc_id
            for doc_id, (found, of_year, _) in keys
            if found == wanted and (year is None or of_year is None or of_year == year)
        }
        return alike.pop() if len(alike) == 1 else None

    def _read_keys(self) -> Iterator[tuple[int, _Key]]:
        """Yield the records that can't be found by words: parts, and those of a draft; without words, all records."""
        sql = f"SELECT {_COLUMNS} FROM {_UNDECIDED}"
        if isinstance(self.source, Corpus):
            rows = self.source.read_live(f"SELECT {_COLUMNS} FROM parts" if self.words else sql)
        else:
            rows = self.source.execute(sql).fetchall()
        yield from map(_read_key, rows)
        if self.base and self.words is None:
            yield from map(_read_key, self.base.read_live(sql))

    def _read_published_keys(self, title: str) -> Iterator[tuple[int, _Key]]:
        """Yield the published records whose title has the words of this one, next to each other."""
        if self.words is None:
            return
        self.word_index = self.word_index or WordIndex(self.words)
        doc_ids = self.word_index.find_allowed(Wording((), (Term(title, in_title=True),), (), ""))
        if doc_ids is None or not len(doc_ids):
            return
        chosen = json.dumps(doc_ids.tolist())
        if isinstance(self.source, Corpus):
            yield from map(_read_key, self.source.read_live(_BY_IDS, chosen))
        elif self.base:
            yield from map(_read_key, self.source.execute(_BY_IDS, (chosen,)).fetchall())  # loaded meanwhile
            yield from map(_read_key, self.base.read_live(_BY_IDS, chosen))

    def divide(self, decisions: Sequence[Decision]) -> Partition:
        """Return what all decisions mean for the records that are there."""
        return divide(
            (decision.kind, [doc_id for each in decision.records if (doc_id := self.find(each)) is not None])
            for decision in list_active(decisions)
        )

    def read_joined(self) -> dict[int, int]:
        """Return part -> record, of the records that decisions join in this database."""
        return dict(self.read("SELECT id, joined FROM parts"))

    def identify(self, doc_id: int) -> RecordIdentity:
        """Return the identity of a record as it is without decisions."""
        _, title, year, authors, pmid, doi = self.read(f"SELECT {_COLUMNS} FROM {_UNDECIDED} WHERE id = ?", doc_id)[0]
        sql = (
            "SELECT coalesce(part, doc_id), own_id FROM contributions"
            " WHERE part = ?1 OR (part IS NULL AND doc_id = ?1) ORDER BY id"
        )
        own_ids = (own_id for _, own_id in self.read(sql, doc_id))
        return RecordIdentity(
            tuple(dict.fromkeys(own_ids)), pmid, doi, title, year, next(iter(json.loads(authors)), "")
        )

    def find_named(self, name: str) -> int | None:
        """Return the doc id that the record with this id, PMID or DOI has without decisions; None if there is none."""
        text = strip_doi_address(name)
        for sql, value in (
            *(
                (_BY_ID, own_id)
                for own_id in (name.strip(), text, f"PMID:{strip_pmid(name)}", f"DOI:{strip_doi(name)}")
            ),
            (_BY_PMID, strip_pmid(name)),
            (_BY_DOI, strip_doi(name)),
        ):
            if rows := self.read(sql, bind_text(value)):
                return int(rows[0][0])
        return None


def _is_recognised(identity: RecordIdentity, title: str, pmid: str | None) -> bool:
    """Return whether a record with the same id is the same work: same PMID, or the same title as far as known."""
    if identity.pmid and pmid:
        return identity.pmid == pmid
    titles = normalise_title(identity.title), normalise_title(title)
    return titles[0] == titles[1] or not all(titles)


def _read_key(row: Sequence[Any]) -> tuple[int, _Key]:
    """Return the doc id and the key of a row of _COLUMNS."""
    doc_id, title, year, authors, _, _ = row
    return int(doc_id), _build_key(title, year, next(iter(json.loads(authors)), ""))


def _build_key(title: str, year: int | None, author: str) -> _Key:
    """Return what two records of one work have in common if they have no id in common.

    The title is folded as words are, so that words find every title that is equal.
    """
    return " ".join(split_words(title)), year, find_family_name(author)
