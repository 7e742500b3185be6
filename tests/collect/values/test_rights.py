import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collect.values.rights import split_rights

NOTICES = [
    "Copyright of Journal of X is the property of Y and its content may not be copied. See Z (1) for more.",
    "(PsycInfo Database Record (c) 2019 APA, all rights reserved)",
    "(PsycINFO Database Record (c) 2016 APA, all rights reserved (journal abstract))",
    "(PsycINFO Database Record \u00a9 2013 American Psychological Association.)",
    "\u00a9 2010 Orthopaedic Research Society. Published by Wiley Periodicals, Inc. J Orthop Res 28:1586\u20131599, 2010",
    "(C) 2019 Friends Science Publishers",
    "Copyright (C) 2000 Elsevier Science B.V.",
    "Copyright \u00a9 2017 John Wiley & Sons, Ltd.",
    "\u00a9 2019, \u00a9 2019 Taylor & Francis Group, LLC.",
    "\u00a9 2016 S. Karger AG, Basel.",
    "\u00a9 Springer-Verlag 2012.",
    "\u00c2\u00a9 2014 Elsevier Inc.",
    "\u00a9 The Author(s) 2019. Published by Press on behalf of X. All rights reserved. For permissions, please email: a@b",
]


@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("between", [" ", "\n"])
def test_a_notice_at_the_end_is_cut_off(notice: str, between: str) -> None:
    assert split_rights(f"Pain fell.{between}{notice}") == ("Pain fell.", notice)


def test_a_notice_at_the_beginning_is_cut_off() -> None:
    assert split_rights("\u00a9 2016 Elsevier Ltd.Background: Pain fell.") == (
        "Background: Pain fell.",
        "\u00a9 2016 Elsevier Ltd.",
    )


@pytest.mark.parametrize(
    "text",
    [
        "We used the NAMIC\u00a9 procedure. It worked.",
        "The test (\u00a9 2010 Smith) was used. Results were good.",
        "We studied. \u00a9 2010 Smith questionnaire was used. Good.",
        "Background. (c) 2019 was a good year. Pain fell.",
        "Copyright law and knees. Copyright of software protects it. Pain fell.",
        "Groups: (a) 2001, (b) 2002, (c) 2003 to 2005. Pain fell in all.",
        "\u00a9 2016 Smith. Pain fell.",
    ],
)
def test_text_that_is_no_notice_stays(text: str) -> None:
    assert split_rights(text) == (text, "")


@given(st.text("ab. \n()\u00a9c2019", max_size=80), st.sampled_from(["", *NOTICES]), st.text("ab. \n", max_size=20))
def test_no_word_is_lost_and_a_second_cut_finds_nothing_new(text: str, notice: str, after: str) -> None:
    whole = f"{text} {notice}{after}"
    body, rights = split_rights(whole)
    assert sorted("".join((body + rights).split())) == sorted("".join(whole.split()))
    if not rights:
        assert body == whole


@given(st.text(st.characters(exclude_characters="\u00a9"), max_size=200).filter(lambda text: "(" not in text))
def test_text_without_a_mark_is_unchanged(text: str) -> None:
    if "opyright" not in text:
        assert split_rights(text) == (text, "")
