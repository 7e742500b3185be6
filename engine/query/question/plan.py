"""A checked query against one generation: which records qualify, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.corpus.boolean.lookalikes import note_lookalikes
from engine.corpus.boolean.searchwording import build_wording
from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.tree import Search
from engine.corpus.words.wording import Term, Wording, parse_wording
from engine.encode.models.recipe import clean_text
from engine.errors import CorruptError, EncoderError, UnreadableQueryError, UsageError
from engine.options import Query
from engine.phrases import pluralize
from engine.query.opening.generation import OpenGeneration
from engine.query.question.hyphenation import join_divided_words
from engine.query.question.ordering import count_sorted
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

_IDS_NAMED = 3  # in a note
_PHRASES_NAMED = 5  # in notes
FED_BACK = 10  # nearest records that feedback uses
_SHORTEST = 1e-6  # length of a vector that has a direction


@dataclass(frozen=True, slots=True)
class Question:
    """A query, resolved against one generation."""

    query: Query
    wording: Wording  # the words of the text, used in keyword and hybrid mode
    text: str  # as the encoder gets it; "" if there are only examples
    among: DocIds | None  # records that may be hits, ascending; None: all but the examples
    like: tuple[int, ...]  # doc ids
    unlike: tuple[int, ...]
    notes: tuple[str, ...]
    is_search: bool = False  # whether the text is a Boolean search, which has restricted `among`
    n_sorted: int = 0  # of the best hits, at most; 0: the order is by relevance

    @property
    def examples(self) -> frozenset[int]:
        """The records given as examples, which are never hits."""
        return frozenset(self.like + self.unlike)


def read_question(
    snapshot: OpenGeneration, query: Query, only: DocIds | None = None, *, is_plain: bool = False
) -> Question:
    """Resolve a checked query against a generation; with only, hits are restricted to these doc ids (ascending).

    is_plain: the text is never a Boolean search, whatever words are in it.

    Raises:
        AbstractNotFoundError: an example is not in the index.
        UsageError: an invalid filter, or no word to search for.
        ConfigError: a filter by the MeSH tree without its file.
    """
    whole, joined = join_divided_words(query.text, lambda word: snapshot.get_words().count_records(Term(word)))
    if not is_plain and (search := read_search(whole)) is not None:
        return _read_search(snapshot, query, search, only, joined)
    is_hybrid = query.mode == "hybrid"
    wording = parse_wording(whole, prefer_phrases=is_hybrid)
    _check_words(query, wording)
    allowed = snapshot.get_words().find_allowed(wording) if is_hybrid else None
    likely = () if is_plain else note_lookalikes(whole)
    notes = (*joined, *likely, *(_note_words(snapshot, wording) if is_hybrid else ()))
    text = whole if query.mode == "semantic" else wording.text
    return _restrict(snapshot, Question(query, wording, clean_text(text), allowed, (), (), notes), only)


def _read_search(
    snapshot: OpenGeneration, query: Query, search: Search, only: DocIds | None, joined: Sequence[str]
) -> Question:
    """Resolve a query whose text is a Boolean search, which restricts the hits in every mode.

    joined: notes on words that the end of a line had divided.

    Raises:
        UsageError: nothing in it can be looked up, or it only says what to leave out.
    """
    wording, notes = build_wording(search, snapshot.get_words())
    if not wording.text and not query.like:
        raise UsageError(
            "the search only says what to leave out, so there is nothing to rank by. Add what to look for, as in: gout "
            "NOT child"
        )
    found = snapshot.find_matches(search)
    text = clean_text(wording.text)
    question = Question(query, wording, text, found.doc_ids, (), (), (*joined, *found.notes, *notes), is_search=True)
    return _restrict(snapshot, question, only)


def _restrict(snapshot: OpenGeneration, question: Question, only: DocIds | None) -> Question:
    """Return a question restricted by the filters of its query and, if given, to `only`, and with its examples."""
    query, among, notes = question.query, intersect_ids(only, question.among), question.notes
    like, unlike = _resolve_examples(snapshot, query.like), _resolve_examples(snapshot, query.unlike)
    if query.filters.any:
        found = snapshot.find_qualified(query.filters)
        among, notes = intersect_ids(among, found.doc_ids), (*notes, *found.notes, *note_unknown(found.unknown))
    if among is not None and (like or unlike):
        among = np.setdiff1d(among, np.array(like + unlike, np.int64))
    if query.feedback:
        notes = (
            *notes,
            *_note_feedback(snapshot.vectors.size - len(set(like + unlike)) if among is None else len(among)),
        )
    n_sorted = count_sorted(query, snapshot.vectors.size, is_search=question.is_search)
    return replace(question, among=among, like=like, unlike=unlike, notes=notes, n_sorted=n_sorted)


def _note_feedback(n_qualified: int) -> tuple[str, ...]:
    """Return the note on feedback; none if nothing qualifies, so that the question stays as it is."""
    if not n_qualified:
        return ()
    n = min(FED_BACK, n_qualified)
    nearest = f"the {n} records" if n > 1 else "the record"
    return (f"feedback: compared with the question and {nearest} nearest to it",)


def _check_words(query: Query, wording: Wording) -> None:
    """Refuse a query of which its mode can read nothing. Hybrid reads signs, such as an emoji, by meaning alone.

    Raises:
        UsageError: there is nothing to search for.
    """
    is_readable = wording.has_words or (query.mode == "hybrid" and wording.text)
    if query.mode != "semantic" and not is_readable:
        raise UsageError(f"the query {query.text[:60]!r} has no word to look for. Give one, or use --mode semantic")


def _note_words(snapshot: OpenGeneration, wording: Wording) -> Iterator[str]:
    """Yield what hybrid mode makes of a text without words, and of each phrase in quotation marks."""
    if not wording.has_words:
        yield "the query has no word that could be looked up, so records are ranked by meaning alone"
    phrases = list(dict.fromkeys(wording.phrases))
    for phrase in phrases[:_PHRASES_NAMED]:
        text, n = f'"{phrase.written[:80]}"', snapshot.get_words().count_records(phrase)
        holds = f"{pluralize(n, 'record')} {'holds' if n == 1 else 'hold'}"
        yield f"{holds} {text}, which is preferred but not required. To require it, write +{text}"
    if (more := len(phrases) - _PHRASES_NAMED) > 0:
        yield f"{pluralize(more, 'further phrase')} in quotation marks: preferred but not required"


def intersect_ids(one: DocIds | None, other: DocIds | None) -> DocIds | None:
    """Return the doc ids that are in both; None stands for all."""
    if one is None or other is None:
        return other if one is None else one
    return np.intersect1d(one, other, assume_unique=True)


def _resolve_examples(snapshot: OpenGeneration, record_ids: Sequence[str]) -> tuple[int, ...]:
    """Return the doc ids of examples, each once."""
    return tuple(dict.fromkeys(snapshot.corpus.find_doc_id(str(record_id)) for record_id in record_ids))


def note_unknown(unknown: tuple[str, ...]) -> tuple[str, ...]:
    """Return the note on listed ids that are not in the index."""
    if not unknown:
        return ()
    return (f"{pluralize(len(unknown), 'listed id')} not in this index: {name_some(unknown)}",)


def name_some(ids: Sequence[str], most: int = _IDS_NAMED) -> str:
    """Return the first of a list of ids as a text."""
    return ", ".join(one[:80] for one in ids[:most]) + (", …" if len(ids) > most else "")


def encode_texts(snapshot: OpenGeneration, texts: list[str]) -> tuple[Vectors, list[int]]:
    """Encode cleaned texts: vectors (n, dim), and the tokens of each beyond what the encoder reads.

    Raises:
        UnreadableQueryError: a text in which the encoder can read no word.
        EncoderError: a vector breaks the contract.
    """
    encoder = snapshot.get_encoder()
    from engine.encode.execution.encoder import WORDLESS, encode_checked  # `similar` must not pay for it

    checked = encode_checked(encoder, texts, as_query=True)
    if checked.refused:
        position, reason = checked.refused[0]
        refused = UnreadableQueryError if reason == WORDLESS else EncoderError
        raise refused(f"query {texts[position][:80]!r} can't be searched: {reason}. Put it in other words")
    vectors: Vectors = np.ascontiguousarray(checked.vectors)
    limit = encoder.identity.query_length
    return vectors, [max(0, int(n) - limit) for n in checked.n_tokens]


def encode_question(snapshot: OpenGeneration, question: Question) -> tuple[Vectors, tuple[str, ...]]:
    """Return the query vector (dim,), and the note on a text that is too long; loads no encoder without a text."""
    return encode_questions(snapshot, [question])[0]


def encode_questions(snapshot: OpenGeneration, questions: Sequence[Question]) -> list[tuple[Vectors, tuple[str, ...]]]:
    """Return the query vector (dim,) of each question, and the note on a text that is too long.

    Texts are encoded together; without any, no encoder is loaded.
    """
    texts = [question.text for question in questions if question.text]
    vectors, too_long = encode_texts(snapshot, texts) if texts else ((), [])
    encoded = zip(vectors, too_long, strict=True)
    found: list[tuple[Vectors, tuple[str, ...]]] = []
    for question in questions:
        vector, excess = next(encoded) if question.text else (None, 0)
        found.append((_combine_examples(snapshot, question, vector), note_cut("query is", excess)))
    return found


def note_cut(what: str, n_tokens: int) -> tuple[str, ...]:
    """Return the note on a text of which the encoder does not read the last tokens, if any; what: "query is"."""
    if not n_tokens:
        return ()
    return (f"the {what} longer than the encoder reads: the last {pluralize(n_tokens, 'token')} had no effect",)


def _combine_examples(snapshot: OpenGeneration, question: Question, text: Vectors | None) -> Vectors:
    """Combine the vectors of the text (dim,), of the examples and of feedback into the query vector (dim,)."""
    if not question.examples and text is not None:
        vector = text
    else:
        vector = _mix_examples(text, _get_vectors(snapshot, question.like), _get_vectors(snapshot, question.unlike))
    return _add_feedback(snapshot, question, vector) if question.query.feedback else vector


def _add_feedback(snapshot: OpenGeneration, question: Question, vector: Vectors) -> Vectors:
    """Move a query vector (dim,) towards the mean of the nearest records that qualify, fewer if fewer do."""
    if question.among is not None:
        found = snapshot.vectors.search_among(vector[None], question.among, FED_BACK)[0]
    else:
        found = snapshot.vectors.search(vector[None], FED_BACK + len(question.examples))[0]
    nearest = [doc_id for doc_id, _ in found if doc_id not in question.examples][:FED_BACK]
    if not nearest:
        return vector
    total = vector.astype(np.float64) + _get_vectors(snapshot, tuple(nearest)).mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    return vector if length < _SHORTEST else np.asarray(total / length, np.float32)


def _get_vectors(snapshot: OpenGeneration, doc_ids: tuple[int, ...]) -> Vectors:
    """Return the stored vectors (n, dim), one per record.

    Raises:
        CorruptError: a record has none.
    """
    vectors, wanted = snapshot.vectors, np.array(doc_ids, np.int64)
    if (lost := wanted[~vectors.has_ids(wanted)]).size:
        raise CorruptError(f"{vectors.path} has no vector for id {lost[0]}. Run: engine verify --deep")
    return vectors.get_points(wanted)


# Manning, Raghavan & Schütze, Introduction to Information Retrieval (2008), 9.1.1: "reasonable values".
ALPHA, BETA, GAMMA = 1.0, 0.75, 0.15  # of the text, of the mean of the examples, of the mean of the counter-examples


def _mix_examples(text: Vectors | None, like: Vectors, unlike: Vectors) -> Vectors:
    """Return ALPHA * text + BETA * mean(like) - GAMMA * mean(unlike), scaled to unit length: float32 (dim,).

    text is (dim,) or None; like (p, dim) and unlike (n, dim) may be empty. One example alone gives its own vector.

    Raises:
        UsageError: what is left has no direction.
    """
    if text is None and len(like) == 1 and not len(unlike):
        return np.array(like[0])
    total = np.zeros(like.shape[1]) if text is None else ALPHA * text.astype(np.float64)
    if len(like):
        total = total + BETA * like.mean(axis=0, dtype=np.float64)
    if len(unlike):
        total = total - GAMMA * unlike.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    if length < _SHORTEST:
        raise UsageError("the examples cancel each other out, so there is nothing to search for. Name other ones")
    vector: Vectors = (total / length).astype(np.float32)
    return vector
