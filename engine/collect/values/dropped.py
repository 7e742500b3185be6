"""What readers leave out on purpose: the tags of each format that say nothing about the work."""

DROPPED: dict[str, frozenset[str]] = {
    "RIS": frozenset(),
    "MEDLINE": frozenset("OWN STAT SB DA DCOM LR EDAT MHDA CRDT CDAT CTDT DRDT PHST PUBM PST OTO PMCR JID".split()),
    "Web of Science": frozenset(),
    "BibTeX": frozenset(),
    "EndNote XML": frozenset("rec-number foreign-keys/key source-app database".split()),
    "PubMed XML": frozenset(),
    "OpenAlex": frozenset(),
    "JSONL": frozenset(),
    "CSV": frozenset(),
}
