from pathlib import Path

from engine.collect.source import read_source
from engine.records.abstract import Abstract, Rejection, Remark

FILE = """\ufeffFN Clarivate Analytics Web of Science
VR 1.0
PT J
AU Beck, A
   Nunez, J
AF Beck, Ann
   Nunez, Jose
TI Interactions of the
   knee
SO CARTILAGE
LA English
DT Article; Retracted Publication
DE gait; hip
ID KNEE PAIN; LONG
   TERM
AB We used ER and
   PT scans,
twice.
CR Law CJ, 2003, J, DOI 10.1/cited
   Roe A, 2001, J
FU NIH
   [R01]
C1 [Beck, Ann] Clinic, Bern.
SN 0008543X
EI 1097-0142
BP 253
EP 258
VL 12
IS 3
PD AUG 12
PU PRESS
PI BERN
PY 2004
DI 10.1021/Own
UT WOS:000221807500019
PM 123
ER

PT J
SO NOTHING
ER

PT J
TI Last
UT WOS:000221807500020
EF
"""


def test_records_come_out_as_they_went_in(tmp_path: Path) -> None:
    (tmp_path / "source").write_text(FILE)
    assert list(read_source(tmp_path / "source")) == [
        Abstract(
            record_id="PMID:123",
            title="Interactions of the knee",
            abstract="We used ER and PT scans, twice.",
            year=2004,
            journal="CARTILAGE",
            authors=("Beck, Ann", "Nunez, Jose"),
            pmid="123",
            doi="10.1021/Own",
            publication_types=("Article", "Retracted Publication"),
            retracted=True,
            keywords=("gait", "hip", "KNEE PAIN", "LONG TERM"),
            languages=("English",),
            accessions=("WOS:000221807500019",),
            volume="12",
            issue="3",
            pages="253-258",
            issns=("0008-543X", "1097-0142"),
            published="2004-08-12",
            publisher="PRESS",
            place="BERN",
            affiliations=("[Beck, Ann] Clinic, Bern.",),
            cited_ids=("Law CJ, 2003, J, DOI 10.1/cited", "Roe A, 2001, J"),
            other_tags=("WoS FU: NIH [R01]", "WoS PD: AUG 12"),
        ),
        Rejection("source", "line 39", "neither title nor abstract, so there is nothing to search"),
        Remark("record without its last line (ER), may be incomplete", "line 43"),
        Abstract("WOS:000221807500020", "Last", "", accessions=("WOS:000221807500020",)),
    ]
