"""Doubt about a question that finds nothing: that it is misspelt, or in another language than the records."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from engine.corpus.words.folding import get_stemmer, split_words
from engine.corpus.words.wordindex import WordIndex
from engine.query.ranks.evidence import count_edits

_LONG = 7  # letters of a word that is seldom one letter from another one by chance
_KNOWN = 10  # records that hold the word that may be meant
_RARE = 50  # in fewer than one record of so many, the words below stand by chance
_AT_LEAST = 2  # of them show a language
# Words that stand in most texts of a language and mean little in English ones, folded.
_LANGUAGES = {
    "Dutch": "het een van bij met voor naar wat zijn hoe op te niet worden",
    "French": "les des du une est dans pour sur avec chez quel quelle sont par aux et le la ou",
    "German": "der das und ist bei mit fur von eine einen einer zur zum welche wie nach oder nicht des dem den gibt",
    "Italian": "il gli della dei delle del nel nella nell per con che di un una sono quali la",
    "Polish": "jest przy dla oraz czy jak nie na",
    "Portuguese": "os das dos uma em por para com que qual sao da na",
    "Spanish": "el los las una del para con por en que cual como es la de",
    "Swedish, Danish or Norwegian": "och att som ar hos vid av med til og pa ikke det den et",
}


def find_doubt(words: WordIndex, text: str, missing: Sequence[str]) -> str:
    """Return why a question may have found nothing although there is something, as a clause; "" without a reason.

    missing: the words of the question that no record holds.
    """
    if language := _guess_language(words, text):
        return f"the question seems to be in {language}, and few records here are"
    if missing and _is_in_another_script(text):
        return "no record holds a word of this script"
    for word in missing:
        if near := _find_near_word(words, word):
            return f"no record holds {word}, which may be misspelt: {near}?"
    return ""


def _guess_language(words: WordIndex, text: str) -> str:
    """Return the language, other than that of the records, of a text; "" if there is no sign of one."""
    asked = set(split_words(text))
    rare = words.weigh_share(1 / _RARE)
    for language, common in _LANGUAGES.items():
        signs = asked & set(common.split())
        if sum(words.weigh_stem(get_stemmer().stem_word(sign)) > rare for sign in signs) >= _AT_LEAST:
            return language
    return ""


def _is_in_another_script(text: str) -> bool:
    """Return whether most letters of a text are neither Latin nor Greek."""
    letters = [character for character in text if character.isalpha()]
    others = [each for each in letters if not unicodedata.name(each, "LATIN").startswith(("LATIN", "GREEK", "MICRO"))]
    return len(others) > len(letters) / 2


def _find_near_word(words: WordIndex, word: str) -> str:
    """Return the most frequent word that differs from a long one in one letter, or two swapped; "" if there is none."""
    if len(word) < _LONG:
        return ""
    found = [pair for beginning in _list_beginnings(word) for pair in words.list_words(beginning)]
    near = [(n, other) for other, n in found if n >= _KNOWN and abs(len(other) - len(word)) <= 1]
    return next((other for _, other in sorted(near, reverse=True) if count_edits(word, other) == 1), "")


def _list_beginnings(word: str) -> Iterator[str]:
    """Yield how the word that is meant may begin: as this one, or with its second and third letter swapped."""
    yield word[:2]
    if word[2] != word[1]:
        yield word[0] + word[2]
