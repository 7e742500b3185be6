"""What a reranker learns from: a text, the document that belongs to it, and documents that rank near it but don't."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.encode.models.recipe import clean_text
from engine.errors import UsageError
from engine.options import Query
from engine.progress import Progress
from engine.query.index import Index
from engine.records.abstract import Abstract
from engine.records.answer import Hit
from engine.relevance.sets.holdout import DEV, hash_position
from engine.relevance.sets.sections import extract_body, find_objective_and_conclusion
from engine.train.pairs.corpuspairs import CorpusPairs, TextPair

_DEPTH = 40  # hits of the hybrid ranking that negatives are drawn from
_SKIPPED = 3  # the very first are most often relevant too, though nobody marked them
_AT_ONCE = 128  # queries


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """A text with documents: the first belongs to it, the others do not."""

    anchor: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RankedGroups:
    """The groups of a corpus."""

    train: tuple[RankedGroup, ...]
    dev: tuple[RankedGroup, ...]  # of publications held out for choosing settings
    n_pairs: int  # pairs that there were to choose from
    n_held_out: int  # records that were not used, since promotion tests with them
    n_short: int  # chosen pairs with too few hits for their negatives, left out


def mine_groups(
    index: Index, pairs: CorpusPairs, n_pairs: int, n_negatives: int, seed: int, progress: Progress
) -> RankedGroups:
    """Choose pairs by chance, and give each the same number of negatives from the hybrid ranking of its first text.

    A title is compared with the bodies of other records, a conclusion with their objectives, so that a document does
    not give itself away by its kind. Records held out for tests are never negatives. Pairs of one kind are in the order
    of the corpus.

    Raises:
        UsageError: no negatives are wanted.
    """
    if n_negatives < 1:
        raise UsageError("a reranker learns from documents that don't belong to a text: --negatives 1 or more")
    chance = random.Random(seed)
    share = n_pairs / max(1, len(pairs.titles) + len(pairs.conclusions))
    chosen = [_choose(part, round(share * len(part)), chance) for part in (pairs.titles, pairs.conclusions)]
    groups: list[RankedGroup] = []
    for part, is_titles in zip(chosen, (True, False), strict=True):
        groups += _mine(index, part, n_negatives, chance, progress, is_titles=is_titles)
    dev = _mine(index, _choose(pairs.dev, 200, chance), n_negatives, chance, progress, is_titles=True)
    n_short = sum(map(len, chosen)) - len(groups)
    n_all = len(pairs.titles) + len(pairs.conclusions)
    return RankedGroups(tuple(groups), tuple(dev), n_all, pairs.n_held_out, n_short)


def _choose(pairs: Sequence[TextPair], n: int, chance: random.Random) -> list[TextPair]:
    """Choose n pairs, or all if there are fewer, and keep their order."""
    places = sorted(chance.sample(range(len(pairs)), min(n, len(pairs))))
    return [pairs[place] for place in places]


def _mine(
    index: Index,
    pairs: Sequence[TextPair],
    n_negatives: int,
    chance: random.Random,
    progress: Progress,
    *,
    is_titles: bool,
) -> list[RankedGroup]:
    """Return a group for each pair that has enough negatives, in the order of the pairs."""
    groups = []
    for start in range(0, len(pairs), _AT_ONCE):
        page = pairs[start : start + _AT_ONCE]
        queries = [Query(_say_plainly(anchor), mode="hybrid", top_k=_DEPTH, rerank="none") for anchor, _ in page]
        for (anchor, positive), answer in zip(page, index.ask_batch(queries), strict=True):
            found = list(dict.fromkeys(_list_documents(answer.hits, is_titles=is_titles)))
            others = [text for text in found[_SKIPPED:] if text != positive]
            if len(others) >= n_negatives:
                groups.append(RankedGroup(anchor, (positive, *chance.sample(others, n_negatives))))
        progress("mining hard negatives", start + len(page), len(pairs))
    return groups


def _say_plainly(text: str) -> str:
    """Return a text without the signs that keyword search reads as operators."""
    return " ".join(word for word in (one.strip("+-:*()[]\"'") for one in text.replace(":", " ").split()) if word)


def _list_documents(hits: Iterable[Hit], *, is_titles: bool) -> Iterable[str]:
    """Yield the document of each hit, of the same kind as the positive; records held out for tests are left out."""
    for hit in hits:
        record = Abstract(hit.id, hit.title, hit.abstract)
        if hash_position(record) < DEV:
            continue
        parts = None if is_titles else find_objective_and_conclusion(hit.abstract)
        text = clean_text(extract_body(record)) if is_titles else clean_text(parts[0] if parts else "")
        if text:
            yield text
