"""Fixed texts whose vectors are kept in every manifest, to notice an encoder that is not the one it says."""

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
