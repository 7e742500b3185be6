"""Fixed texts whose vectors tell whether an encoder, or another way to run it, is the same one."""

import numpy as np

from engine.records.encoder import Vectors

# Least cosine of two vectors of a probe with the same weights, on two machines or in half precision and fp32.
SAME_COSINE = 0.9999

PROBES = (
    "Methotrexate in early rheumatoid arthritis.",
    "Dual-energy CT shows urate deposits in the first metatarsophalangeal joint.",
    "Does exercise help people with osteoarthritis of the knee?",
    "TNF-α and IL-6 in synovial fluid; p < 0.001, n = 42.",
    "Pulmonary hypertension.",
    "Quality of life of caregivers: a qualitative interview study in three hospitals over two years, "
    "with thematic analysis of transcripts and member checking.",
    "a",
    "The mitral valve was repaired in dogs under general anaesthesia.",
)

# Texts on which tokenizers may differ: case, accents, scripts, joined signs, long words, white space, odd code
# points, a text far beyond any limit.
TOKEN_PROBES = (
    *PROBES,
    "",
    " ",
    "\u200b",
    "\u00c5ngstr\u00f6m, Sj\u00f6gren\u2019s na\u00efve \ufb01brosis "
    "\u0130STANBUL \u00dfharp S\u0327 e\u0301 \u1e9b\u0323",
    "\u5173\u8282\u708e\u306e\u75db\u307f \ud55c\uad6d\uc5b4 \u0627\u0644\u062a\u0647\u0627\u0628 \u0e02\u0e49\u0e2d "
    "\u0917\u0920\u093f\u092f\u093e \U00020000\U0002f804",
    "IL-1\u03b2/TNF\u03b1 \u2265 2\u00d710\u207b\u00b3 \u00b5g\u00b7mL\u207b\u00b9 (95% CI: 1.2\u20133.4) "
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "a\u00a0b\u2009c\u3000d\u2028e\tf\r\ng \ufeffh \u00adi \u202ej\u202c \U0001f9b4\U0001f468\u200d\u2695\ufe0f",
    "pneumonoultramicroscopicsilicovolcanoconiosis" * 5,
    "x" * 101,
    "\ud7ff\ue000\ufffd\U0010ffff\x7f\x85",
    "knee pain, " * 700,
)

# Several thousand tokens, in texts from one word to more than any model reads.
CHECK_TEXTS = (
    *(" ".join((PROBES * 2)[start : start + n]) for start in range(len(PROBES)) for n in range(1, len(PROBES) + 1)),
    "knee pain, " * 700,
)


def find_difference(vectors: Vectors, expected: Vectors, *, mean: float = SAME_COSINE) -> str | None:
    """Describe how vectors (n, dim) differ from the expected ones; None if every cosine is high enough.

    mean: the least mean of the cosines.
    """
    cosines = np.einsum("ij,ij->i", vectors, expected)
    lowest, middle = float(cosines.min()), float(cosines.mean())
    if lowest >= SAME_COSINE and middle >= mean:  # False for NaN
        return None
    if not lowest >= SAME_COSINE:
        return f"its vectors differ from those in fp32: cosine {lowest:.6f}, expected {SAME_COSINE} or more"
    return f"its vectors differ from those in fp32: mean cosine {middle:.6f}, expected {mean} or more"
