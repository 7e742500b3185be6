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
    "Copyright of J X is the property of Y & Sons and its content may not be copied or emailed (Copyright applies to all"
    " Abstracts.)",
    "COPYRIGHT OF J X IS THE PROPERTY OF Y.",
    "(PsycINFO Database Record (c) 2010 APA, all rights reserved).",
    "( PSYCINFO  Database Record ( c ) 2016 APA, All Rights Reserved )",
    "COPYRIGHT 2019 ELSEVIER LTD.",
    "(C)2019 Elsevier Ltd. ALL RIGHTS RESERVED.",
    "Crown Copyright \u00a9 2009.",
    "\u00a9 American Psychological Association.",
    "\u00a9 Association of Military Surgeons of the U.S. All rights reserved.",
    "\u00a9 W. S. Maney & Son Ltd 2014.",
    "\u00a9 INS. Published by Cambridge University Press, 2009.",
    "\u00a9 2022 Wolters Kluwer Health, Inc. and/or its subsidiaries. All rights reserved.",
    "\u00a9 2012 Elsevier Srl. Tutti i diritti riservati.",
    "\u00a9 2009 Wiley-VCH Verlag GmbH & Co. KGaA",
    "Depression and Anxiety \u00a9 2001 Wiley-Liss, Inc.",
    "This article is protected by copyright. All rights reserved.",
    "All rights reserved.",
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
    "notice",
    [
        "(PsycINFO Database Record (c) 2016 APA, all rights reserved)",
        "Copyright of J is the property of Y and may not be copied. No warranty is given. (Copyright applies to all"
        " Abstracts.)",
        "Copyright \u00a9 2019 Royal Society. All rights reserved.",
    ],
)
def test_a_notice_may_stand_before_the_text(notice: str) -> None:
    assert split_rights(f"{notice} Background: Pain fell.") == ("Background: Pain fell.", notice)


@pytest.mark.parametrize("notice", ["\u00a9 2013 Elsevier Inc.", "\u00a9 Copyright 2011 Press, Inc."])
def test_the_blank_or_the_full_stop_before_a_notice_may_be_missing(notice: str) -> None:
    between = "." if "2013" in notice else " "
    assert split_rights(f"Pain fell: NCT1{between}{notice}") == (f"Pain fell: NCT1{between}".strip(), notice)


@pytest.mark.parametrize(
    "text",
    [
        "Copyright of software is the property of its author. We asked 12 authors. Half knew.",
        "We asked who holds the copyright. All rights reserved for authors were lost. Pain fell.",
        "Consent was given (c) 2019 in all. Pain fell.",
        "Results. The \u00a9 sign was used in 2019. Pain fell.",
        "Depression and Anxiety \u00a9 2001 scores fell in all who used it.",
        "Aim. \u00a9 Smith. We measured pain.",
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
