"""Stage 2. In: Abstracts. Out: rows in SQLite, by id. The only stage that writes SQL.

Next: encode turns their texts into vectors. ``draft`` writes the database of the next generation: ``intake`` takes in
records, ``contributions`` what each source says of them, ``merge`` makes one record of it, ``deletions`` remembers what
PubMed deleted. ``store`` reads a published one: ``filters`` and ``where`` select records, ``keywords`` ranks them by
words, ``history`` and ``duplicates`` ask what changed and what looks alike.
"""

ROOMS = ("storage", "words", "selection", "merging")  # in data-flow order
