import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.words import wording as module
from engine.corpus.words.wording import _MAX_STARS, _STOP_WORDS, _UNSTORABLE, Term, Wording, parse_wording


def written(terms: tuple[Term, ...]) -> list[str]:
    return [("title:" if term.in_title else "") + term.written for term in terms]


def read(text: str) -> tuple[list[str], list[str], list[str], str]:
    wording = parse_wording(text)
    return written(wording.plain), written(wording.required), written(wording.excluded), wording.text


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(module).attempted >= 3
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gout beer", (["gout", "beer"], [], [], "gout beer")),
        ('gout "uric acid" beer', (["gout", "beer"], ["uric acid"], [], "gout uric acid beer")),
        ("gout “uric acid”", (["gout"], ["uric acid"], [], "gout uric acid")),
        ("„uric acid“", ([], ["uric acid"], [], "uric acid")),
        ("«uric acid»", ([], ["uric acid"], [], "uric acid")),
        ("＂uric acid＂", ([], ["uric acid"], [], "uric acid")),
        ("+gout beer", (["beer"], ["gout"], [], "gout beer")),
        ('+"uric acid"', ([], ["uric acid"], [], "uric acid")),
        ('gout -beer -"red wine"', (["gout"], [], ["beer", "red wine"], "gout")),
        ("title:gout beer", (["beer"], ["title:gout"], [], "gout beer")),
        ('title:"uric acid" +title:gout', ([], ["title:uric acid", "title:gout"], [], "uric acid gout")),
        ("TITLE:gout -Title:beer", ([], ["title:gout"], ["title:beer"], "gout")),
        ('-title:"red wine" x', (["x"], [], ["title:red wine"], "x")),
        ("arthrit* +gou* -child* title:ther*", (["arthrit*"], ["gou*", "title:ther*"], ["child*"], "arthrit gou ther")),
        ('"rheumatoid arthrit*" (gout*),', (["gout*"], ["rheumatoid arthrit*"], [], "rheumatoid arthrit (gout),")),
        ("go* covid-1* *out abc-* *", (["go", "covid-1", "out", "abc"], [], [], "go* covid-1* *out abc-* *")),
        ("co-vidé* abc**", (["co-vidé*", "abc*"], [], [], "co-vidé abc")),
        ("covid-19 IL-2 TNF-α", (["covid-19", "IL-2", "TNF-α"], [], [], "covid-19 IL-2 TNF-α")),
    ],
)
def test_the_operators(text: str, expected: tuple[list[str], list[str], list[str], str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "plain", "encoded"),
    [
        ("p53 OR", ["p53"], "p53 OR"),
        ("gout AND beer NEAR(x, 5)", ["gout", "beer", "NEAR(x", "5"], "gout AND beer NEAR(x, 5)"),
        ("{title}: ^gout", ["title", "gout"], "{title}: ^gout"),
        ("abstract:gout", ["abstract:gout"], "abstract:gout"),
        ('"gout beer', ["gout", "beer"], '"gout beer'),
        ('5" or 6" tall', ["5", "6", "tall"], '5" or 6" tall'),
        ('gout"beer wine"', ['gout"beer', "wine"], 'gout"beer wine"'),
        ("- + gout", ["gout"], "- + gout"),
        ("Title: gout", ["gout"], "gout"),
        ('-title: gout -"" +\'\' title:"" -!!!', ["gout"], "gout"),
        ("gout\0\ud800 \udfffbeer", ["gout", "beer"], "gout beer"),
        ("😀 gout ½ !?", ["gout", "½"], "😀 gout ½ !?"),
        ("दर्द की", ["दर्द", "की"], "दर्द की"),
        ("  gout \n\t beer\u2003", ["gout", "beer"], "gout beer"),
        ("gout?! (beer)", ["gout", "beer"], "gout?! (beer)"),
        ("", [], ""),
        ("??? * (((", [], "??? * ((("),
    ],
)
def test_all_other_text_is_read_as_words(text: str, plain: list[str], encoded: str) -> None:
    assert read(text) == (plain, [], [], encoded)


def test_a_sign_before_another_is_part_of_the_word() -> None:
    assert read("--gout +-beer -+wine") == ([], ["beer"], ["gout", "wine"], "-beer")


def test_a_phrase_may_touch_its_neighbours() -> None:
    assert read('"uric acid","red wine"x') == (["red", 'wine"x'], ["uric acid"], [], 'uric acid ,"red wine"x')
    assert read('"uric acid""red wine"') == ([], ["uric acid", "red wine"], [], "uric acid red wine")
    assert read('"uric acid"beer') == (["beer"], ["uric acid"], [], "uric acid beer")


def test_stop_words_count_if_there_are_no_other_words() -> None:
    assert read("What is the treatment of gout") == (["treatment", "gout"], [], [], "What is the treatment of gout")
    assert read("The Who") == (["The", "Who"], [], [], "The Who")
    assert read('"the who" of the') == ([], ["the who"], [], "the who of the")
    assert read("+the -of with") == ([], ["the"], ["of"], "the with")
    assert read("the -gout")[0] == ["the"]
    assert read("thes* the")[0] == ["thes*"]
    assert {"the", "what", "does", "were"} <= _STOP_WORDS
    assert 60 <= len(_STOP_WORDS) <= 80


def test_wordings_with_words_and_with_constraints() -> None:
    assert not Wording((), (), (), "").has_words
    assert not parse_wording("-gout").has_words
    assert parse_wording("-gout").is_constrained
    assert parse_wording("gout").has_words
    assert not parse_wording("gout").is_constrained
    assert parse_wording("+gout").has_words
    assert parse_wording("+gout").is_constrained


def test_each_term_is_ranked_by_once() -> None:
    wording = parse_wording("beer gout Gout +GOUT title:gout gout* gout")
    assert written(wording.plain) == ["beer", "gout", "Gout", "gout*", "gout"]
    assert written(wording.wanted) == ["beer", "gout", "gout*", "title:gout"]


def test_a_long_text_is_read_to_its_thousandth_word_or_its_20000th_character() -> None:
    many = parse_wording(" ".join(f"w{n}" for n in range(5000)))
    assert written(many.plain) == [f"w{n}" for n in range(1000)]
    assert written(parse_wording("a-" * 5000).plain) == ["a-" * 999 + "a"]
    assert written(parse_wording("x" * 10**6).plain) == ["x" * 20_000]
    assert parse_wording("." * 20_000 + "gout").plain == ()
    assert written(parse_wording(" ".join(f"w{n}" for n in range(999)) + ' x"').plain)[-1] == "x"
    cut = parse_wording('"' + "gout " * 1000 + 'beer"')  # a phrase without an end is words
    assert (len(cut.plain), cut.required) == (1000, ())


def test_the_number_and_length_of_truncated_words_are_limited() -> None:
    wording = parse_wording(" ".join(f"word{n}x*" for n in range(_MAX_STARS + 2)))
    assert [term.prefix for term in wording.plain] == [True] * _MAX_STARS + [False] * 2
    assert [term.prefix for term in parse_wording("x" * 200 + "* " + "x" * 201 + "*").plain] == [True, False]


@given(st.text(st.characters(exclude_categories=())) | st.text('gout+-"“”* :title\0\ud800'))
def test_no_text_is_refused(text: str) -> None:
    wording = parse_wording(text)
    for term in wording.plain + wording.required + wording.excluded:
        assert any(unicodedata.category(character)[0] in "LN" for character in term.text)
        assert term.text in _UNSTORABLE.sub("", text)
    assert not set(wording.text) & {"\0", "\ud800"}
    wording.text.encode()


@given(st.lists(st.sampled_from(["gout", "the", "IL-2", "p<0.05,", "5", "α", "?", "(gout)", "AND", "x:y"])))
def test_a_text_without_operators_reaches_the_encoder_unchanged(words: list[str]) -> None:
    text = " ".join(words)
    assert parse_wording(text).text == text
    assert not parse_wording(text).is_constrained


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("What is known about how smoking affects flares in people with gout?", ["smoking", "flares", "gout"]),
        ("is there any evidence that diet matters in gout", ["diet", "matters", "gout"]),
        ("I would like to know what has been published about febuxostat", ["febuxostat"]),
        ("evidence-based medicine literature", ["evidence-based", "medicine", "literature"]),  # asks nothing
        ("known affected people", ["known", "affected", "people"]),
        ("what is known?", ["known"]),  # nothing else is left
        ("what is it?", ["what", "is", "it"]),
    ],
)
def test_words_that_only_ask_are_not_looked_for(text: str, plain: list[str]) -> None:
    found = parse_wording(text)
    assert [term.text for term in found.plain] == [word.rstrip("?") for word in plain]
    assert found.text == text, "the encoder gets the whole question"


def test_a_preferred_phrase_may_occur_and_a_required_one_must() -> None:
    text = 'does "what is known" or +"uric acid" or title:"red wine" help -"white wine"'
    wording = parse_wording(text, prefer_phrases=True)
    assert written(wording.plain) == ["what is known", "help"] and written(wording.phrases) == ["what is known"]
    assert written(wording.required) == ["uric acid", "title:red wine"] and written(wording.excluded) == ["white wine"]
    assert wording.text == "does what is known or uric acid or red wine help"
    strict = parse_wording(text)
    assert strict.phrases == () and written(strict.required) == ["what is known", "uric acid", "title:red wine"]
