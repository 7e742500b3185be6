import gzip
import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.encode.texts.sentences import _LONGEST, split_sentences
from tests.conftest import examples

# What abstracts are made of, in pieces on which rules may stumble over each other.
PIECES = st.sampled_from(
    "We In the E. coli J. Smith et al. e.g. vs. Fig. No. 5 P < .05 0.001 ). (n=3) METHODS: RESULTS Results. 1. iv. A. B "
    "patients mg/kg U.S. i.v. ? ! … .. . ; , \n \r\n \u2028 \t \x1f \u3000 。 関節 «Sí» “no” [1,2] .The .RA μ İ ß \u0301 \u200b".split(
        " "
    )
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=40).flatmap(
    lambda parts: st.sampled_from(["", " ", "  "]).map(lambda gap: gap.join(parts))
)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "We asked 12 runners.| None had pain.| All ran on.",
        "Is it safe?| Yes!| We think so.",
        "Pain fell (P < .05).| Function rose by 0.05 points, or 0. 05 in odd print.",
        "The rate was 3.5%.| 25 patients died.",
        "It was “good.”| It was better.",
        "We did it (see Fig. 2).| He did not (so he said).",
        "Drugs, e.g. TNF inhibitors, i.e. The usual ones, were given vs. Placebo in St. Louis by Dr. Jones, cf. Table 1.",
        "About approx. 30 Danes, No. 5 among them, see Fig. 3, Eqs. 4 to 6 and Eqs./Figs. 7.",
        "Is it effective?| No.| We found nothing.",
        "As Smith et al. Lancet 2017 and Jones et al. (2018) say, it is.",
        "This was shown by Smith et al.| We repeat it.",
        "J. Smith, J. A. Jones and C. Wu met S. aureus, E. coli and Candida spp. in 1990.",
        "Levels of vitamin D.| A total of 5.| The dose of 5 g/L.| Bones broke.",
        "Given i.v. Methotrexate helps in the U.S. Food and drugs in the U.S.| We agree.",
        "Doses of 5 mg vs. 10 mg approx. 3 times a day q.i.d. were given.",
        "Aims: To see.| METHODS: We looked.| RESULTS: P = .01.| CONCLUSIONS: It is so.",
        "Results. We looked.| Conclusion . It is so.",
        "1. First this.| 2. Then that.| (a). More of it.| IV. And this.",
        "It fell in 24 patients| METHODS: We looked| PATIENTS AND METHODS: All of them.",
        "The MAIN RESULTS: are these.",
        "It was measured.|Patients improved (P < 0.001).|BMP-4 rose in the study.|RESULTS: good in CT-P13.|A total of 5.",
        "Registered at www.ClinicalTrials.gov (NCT01234567).| Approved as IR.IAU.REC.13 and CT.GOV by none.",
        "It was seen.| mRNA levels fell in vitro.| p38 rose (see 5).| α-Synuclein too.",
        "This is odd (so to speak.) and goes on... and on? and TNF-? and more… and more.",
        "It is known.[1,2]| It is not known .| levels fell.",
        "関節が痛い。|痛くない！|なぜ",
        "¿Duele?| «Sí.»| Mucho.",
        "First line|\nsecond line|\r\n\n Third.",
        "METHODS:\nWe looked.|\n***\n7.\nIt was there.",
        "Nothing but a heading:",
        "...",
    ],
)
def test_sentences_end_at_the_bars(text: str) -> None:
    assert split(text.replace("|", "")) == [part.strip() for part in text.split("|")]


def test_a_text_in_lower_case_has_sentences_too() -> None:
    text = "free fatty acids . levels of e. coli in 10 cases. a correlation was seen in vitamin d. the end."
    assert split(text) == [
        "free fatty acids .",
        "levels of e. coli in 10 cases.",
        "a correlation was seen in vitamin d.",
        "the end.",
    ]


def test_a_lower_case_word_after_an_abbreviation_goes_on() -> None:
    text = "We saw Staph. aureus at temp. below 5 after 3 min. of i.v. infusion. eGFP was there."
    assert split(text) == [text[: -len(" eGFP was there.")], "eGFP was there."]


def test_a_very_long_sentence_is_parted_near_its_middle() -> None:
    half = "knee " * 100
    for mark in ";,":
        assert split(f"{half}pain{mark} {half}pain.") == [f"{half}pain{mark}", f"{half}pain."]
    one, two, three = ("knee " * n + "pain" for n in (95, 25, 80))
    assert split(f"{one}; {two}; {three}") == [f"{one};", f"{two}; {three}"]
    assert split(f"knee; {half}{half}end") == [f"knee; {half}{half}end"]  # no place near the middle
    assert split("a, " * 200) == [("a, " * 200).strip()]  # not too long


@pytest.mark.parametrize("blank", ["", " ", "\n\t\u3000"])
def test_a_blank_text_has_none(blank: str) -> None:
    assert split_sentences(blank) == []


@examples(4)
@given(TEXTS)
@example("x" * 700 + "; " + "y" * 700)
@example(". . .\n. .")
def test_spans_are_in_order_trimmed_and_hold_all_that_is_not_white_space(text: str) -> None:
    last, held = 0, ""
    for start, end in split_sentences(text):
        assert last <= start < end <= len(text)
        assert not text[last:start].strip()
        assert text[start:end] == text[start:end].strip()
        last, held = end, held + text[start:end]
    assert not text[last:].strip()
    assert "".join(held.split()) == "".join(text.split())


@given(TEXTS, TEXTS)
def test_an_empty_line_parts_what_is_no_heading(before: str, after: str) -> None:
    above = f"It {before} so it is now"  # in lower case alone, what follows would count
    assert split_sentences(f"{above}\n\n{after}")[: len(split_sentences(above))] == split_sentences(above)


@pytest.mark.parametrize("hostile", [".", ". ", "a.", "(", '."', "A. ", "1. ", "RESULTS: ", " \t", "a: ", "x"])
@pytest.mark.parametrize("last", ["", "x"])
def test_no_text_takes_long(hostile: str, last: str) -> None:
    started = time.process_time()
    split_sentences(hostile * (100_000 // len(hostile)) + last)
    assert time.process_time() - started < 5


def test_real_abstracts_have_sentences_of_a_usual_length(shared: Path) -> None:
    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        abstracts = [json.loads(line)["abstract"] for line in file]
    found = [text[start:end] for text in abstracts for start, end in split_sentences(text)]
    lengths = sorted(map(len, found))
    assert 120 < lengths[len(lengths) // 2] < 180
    assert lengths[-1] <= _LONGEST
    assert sum(text[0].islower() for text in found) < 0.005 * len(found)
    assert sum(len(text) < 20 for text in found) < 0.005 * len(found)
