"""Boolean searches built from known records: an AND of groups of synonyms that find them and little else.

Each search is judged by leaving every known record out once: it is built anew from the others, and either finds the one
left out or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from engine.arguments import check_ids, show_value
from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.translation import TARGETS, translate_search
from engine.corpus.boolean.tree import Search
from engine.corpus.storage.resolution import resolve_ids
from engine.deadline import CURRENT
from engine.errors import AbstractNotFoundError, EngineError, UsageError
from engine.phrases import pluralize
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import name_some
from engine.query.seeds.seedterms import Bits, SeedTerm, SeedTerms, WeighedTerm


@dataclass(frozen=True, slots=True)
class _Width:
    """How broad a search is."""

    price: float  # hits that a further term must be worth, as a share of the records of the index
    most_groups: int


_WIDTHS = {"narrow": _Width(0.01, 3), "middle": _Width(0.03, 3), "broad": _Width(0.1, 1)}
MAX_KNOWN = 200  # records that a search is built from
_MOST_TERMS = 6  # of a group
_NARROWER = 0.5  # share of the hits that a further group may leave
_COMMON = 0.1  # share of the records above which a term says nothing of a topic in a further group
_WANTED = 0.9  # share of the known records that a search should find without having seen them

_Groups = tuple[tuple[SeedTerm, ...], ...]


@dataclass(frozen=True, slots=True)
class _SuggestedSearch:
    """A Boolean search, and what it finds."""

    width: str  # of _WIDTHS
    groups: _Groups  # of each, a record has one term or more
    lines: dict[str, str]  # by language: PubMed, Ovid, Embase
    notes: tuple[str, ...]  # what a language can't say
    n_records: int  # of the index
    n_found: int  # of the known records
    n_found_unseen: int  # of the known records, each by the search built from the others


@dataclass(frozen=True, slots=True)
class SeedRecord:
    """A known record, and whether the best search finds it."""

    id: str
    title: str
    found: bool
    found_unseen: bool  # by the search built from the others
    reason: str = ""  # why it is not found, or not if unseen; "" if both find it


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Terms and searches that find known records."""

    generation: int
    n_records: int  # of the index
    terms: tuple[WeighedTerm, ...]  # best first
    searches: tuple[_SuggestedSearch, ...]  # from narrow to broad
    best: _SuggestedSearch  # the one with the fewest hits that finds nearly all known records unseen
    known: tuple[SeedRecord, ...]  # in the order given
    absent: tuple[str, ...]  # ids that are not in the index
    notes: tuple[str, ...]  # for people


def suggest_searches(snapshot: OpenGeneration, known: Sequence[str]) -> Suggestion:
    """Return the terms that tell known records from the rest, and Boolean searches built from them.

    Known records are given by record id, PMID or DOI; several ids of one record count once.

    Raises:
        UsageError: fewer than two of them are in the index, or too many; or they have no term in common that
            tells them from the others.
        AbstractNotFoundError: none is in the index.
    """
    doc_ids, absent, n_again = _resolve_known(snapshot, known)
    seeds = SeedTerms(snapshot, tuple(sorted(doc_ids)), snapshot.read_mesh_tree(), snapshot.manifest.counts.abstracts)
    terms = seeds.rank_terms(seeds.everyone)
    if not terms:
        raise UsageError(
            f"the {len(doc_ids):,} known records have no word, phrase or MeSH heading in common that tells them from "
            "the others in the index. Add more known records, or take them from one topic"
        )
    trials = [_try_width(seeds, width, terms) for width in _WIDTHS]
    best = _choose_trial(trials)
    notes = [f"{pluralize(n_again, 'known record')} given again under another id, counted once"] if n_again else []
    return Suggestion(
        generation=snapshot.manifest.generation,
        n_records=seeds.size,
        terms=tuple(terms),
        searches=tuple(trial.search for trial in trials),
        best=best.search,
        known=tuple(_judge_record(seeds, best, doc_id) for doc_id in doc_ids),
        absent=absent,
        notes=tuple(notes),
    )


def _resolve_known(snapshot: OpenGeneration, known: Sequence[str]) -> tuple[list[int], tuple[str, ...], int]:
    """Return the doc ids of known records in the order given, the ids without a record, and how many came again.

    Raises:
        UsageError: fewer than two of them are in the index, or too many.
        AbstractNotFoundError: none is in the index.
    """
    expected = "a list of two or more PMIDs, DOIs or record ids"
    given = list(dict.fromkeys(check_ids("known", known, expected)))
    if not given:
        raise UsageError(f"known is {show_value(known)}, expected {expected}")
    found = resolve_ids(snapshot.corpus, given)
    there = [doc_id for doc_id in found if doc_id is not None]
    absent = tuple(one for one, doc_id in zip(given, found, strict=True) if doc_id is None)
    if not there:
        raise AbstractNotFoundError(
            f"none of {pluralize(len(given), 'known record')} is in this index: {name_some(given)}. "
            f"Ids look like {snapshot.corpus.find_example_id()!r}; engine search shows them"
        )
    doc_ids = list(dict.fromkeys(there))
    if not 2 <= len(doc_ids) <= MAX_KNOWN:
        raise UsageError(
            f"{pluralize(len(doc_ids), 'known record')} in the index, expected 2 to {MAX_KNOWN}: a search is built "
            "from what several have in common"
        )
    return doc_ids, absent, len(there) - len(doc_ids)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A search of one width with the known records that it finds, by their number."""

    search: _SuggestedSearch
    found: Bits
    unseen: Bits
    missed_groups: dict[int, _Groups]  # of each record that is not found, the search that misses it


def _try_width(seeds: SeedTerms, width: str, terms: Sequence[WeighedTerm]) -> _Trial:
    """Build the search of a width, and leave every known record out once."""
    chosen = _WIDTHS[width]
    groups, inside = _build_groups(seeds, terms, seeds.everyone, chosen)
    found = _number_known(seeds, inside)
    unseen, missed = 0, {}
    for n, doc_id in enumerate(seeds.doc_ids):
        CURRENT.get().check()
        keep = seeds.everyone & ~(1 << n)
        others, hits = _build_groups(seeds, seeds.rank_terms(keep), keep, chosen)
        if hits >> doc_id & 1:
            unseen |= 1 << n
        else:
            missed[n] = groups if not found >> n & 1 else others
    search, notes, lines = _write_search(groups)
    n_records = len(seeds.snapshot.find_matches(search).doc_ids)
    suggested = _SuggestedSearch(width, groups, lines, notes, n_records, found.bit_count(), unseen.bit_count())
    return _Trial(suggested, found, unseen, missed)


def _choose_trial(trials: Sequence[_Trial]) -> _Trial:
    """Return the search with the fewest hits that finds nearly all known records unseen, or else the most of them."""
    wanted = min(
        max(trial.search.n_found_unseen for trial in trials),
        _WANTED * max(trial.found.bit_count() for trial in trials),
    )
    good = [trial for trial in trials if trial.search.n_found_unseen >= wanted]
    return min(good, key=lambda trial: (trial.search.n_records, -trial.search.n_found_unseen))


def _number_known(seeds: SeedTerms, inside: Bits) -> Bits:
    """Return the known records, by their number, that are in a set of records."""
    return sum(1 << n for n, doc_id in enumerate(seeds.doc_ids) if inside >> doc_id & 1)


def _build_groups(seeds: SeedTerms, terms: Sequence[WeighedTerm], keep: Bits, width: _Width) -> tuple[_Groups, Bits]:
    """Return groups of terms that cover the known records in `keep` with few hits, and the records that they find.

    Every group but the first halves the hits at least, and loses no known record. Without terms there are no groups and
    no records.
    """
    known = sum(1 << doc_id for n, doc_id in enumerate(seeds.doc_ids) if keep >> n & 1)
    groups: list[tuple[SeedTerm, ...]] = []
    inside: Bits | None = None  # None: all records
    while len(groups) < width.most_groups:
        used = [term for group in groups for term in group]
        usable = [
            one
            for one in terms
            if not any(one.term.is_related(term) for term in used)
            and (not used or one.n_records <= _COMMON * seeds.size)
        ]
        group, union = _choose_terms(usable, seeds.find_records, known, inside, width.price * seeds.size)
        if not group:
            break
        if inside is None:
            groups, inside, known = [group], union, known & union
            continue
        narrowed = inside & union
        if known & ~narrowed or narrowed.bit_count() > _NARROWER * inside.bit_count():
            break
        groups.append(group)
        inside = narrowed
    return tuple(groups), inside or 0


def _choose_terms(
    terms: Sequence[WeighedTerm], find: Callable[[SeedTerm], Bits], known: Bits, inside: Bits | None, price: float
) -> tuple[tuple[SeedTerm, ...], Bits]:
    """Return terms of which each known record has one, chosen greedily, and all records that have one.

    Each time, the term is taken that costs least for each further known record; of equals the first. It costs its
    further hits and a price, which is double for a term that is in no title and no heading. What no term covers, or
    would take too many of them, is left uncovered.
    """
    group: list[SeedTerm] = []
    union, todo = 0, known
    while todo and len(group) < _MOST_TERMS:
        best: tuple[float, SeedTerm, Bits] | None = None
        for one in terms:
            term, n_new = one.term, (find(one.term) & todo).bit_count()
            if not n_new:
                continue
            hits = find(term) & ~union if inside is None else find(term) & inside & ~union
            cost = (hits.bit_count() - n_new + price * (2 - one.n_titled / one.n_known)) / n_new
            if best is None or cost < best[0]:
                best = (cost, term, find(term))
        if best is None:
            break
        group.append(best[1])
        union |= best[2]
        todo &= ~best[2]
    return tuple(group), union


def _write_search(groups: _Groups) -> tuple[Search, tuple[str, ...], dict[str, str]]:
    """Return groups of terms as a search, what a language can't say, and the search in each language.

    Raises:
        EngineError: the search can't be read back.
    """
    written = [" OR ".join(term.written for term in group) for group in groups]
    text = " AND ".join(
        f"({one})" if len(group) > 1 and len(groups) > 1 else one for one, group in zip(written, groups, strict=True)
    )
    search = read_search(text)
    if search is None:
        raise EngineError(f"the search {text[:80]!r} was not read as a Boolean one. Report it with the known records")
    found = [translate_search(search, target) for target in TARGETS]
    notes = dict.fromkeys(note for one in found for note in one.notes)
    return search, tuple(notes), {one.dialect.value: "\n".join(one.lines) for one in found}


def _judge_record(seeds: SeedTerms, trial: _Trial, doc_id: int) -> SeedRecord:
    """Return whether the best search finds a known record, also unseen, and why not."""
    n = seeds.doc_ids.index(doc_id)
    record = seeds.records[doc_id]
    is_found, is_found_unseen = bool(trial.found >> n & 1), bool(trial.unseen >> n & 1)
    reason = "" if is_found_unseen else _explain_miss(seeds, trial.missed_groups[n], n)
    return SeedRecord(record.record_id, record.title, is_found, is_found_unseen, reason)


def _explain_miss(seeds: SeedTerms, groups: _Groups, n: int) -> str:
    """Return why a search does not find the n-th known record."""
    doc_id, keep = seeds.doc_ids[n], seeds.everyone & ~(1 << n)
    lacking = next((group for group in groups if not any(seeds.find_records(term) >> doc_id & 1 for term in group)), ())
    if not seeds.records[doc_id].abstract:
        return "no abstract in the index, so its words may be in the full text only"
    if not any(seeds.find_records(one.term) >> doc_id & 1 for one in seeds.rank_terms(keep)):
        return "no word or heading in common with the others"
    return f"has none of: {', '.join(term.text for term in lacking)}"


def list_suggestion_fields(found: Suggestion) -> dict[str, object]:
    """Return a suggestion as a dictionary for programs."""
    return {
        "generation": found.generation,
        "records": found.n_records,
        "terms": [
            {
                "term": one.term.text,
                "field": one.term.field,
                "known": one.n_known,
                "titles": one.n_titled,
                "records": one.n_records,
                "weight": one.weight,
            }
            for one in found.terms
        ],
        "best": found.best.width,
        "searches": [
            {
                "width": one.width,
                "records": one.n_records,
                "found": one.n_found,
                "found_unseen": one.n_found_unseen,
                "groups": [[term.written for term in group] for group in one.groups],
                "lines": one.lines,
                "notes": list(one.notes),
            }
            for one in found.searches
        ],
        "known": [asdict(one) for one in found.known],
        "absent": list(found.absent),
        "notes": list(found.notes),
    }
