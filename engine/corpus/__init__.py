"""Stage 2. In: Abstracts. Out: rows in SQLite, by id. The only stage that writes SQL.

Next: encode turns their texts into vectors. ``draft`` writes the database of the next generation: ``intake`` takes in
records, ``base`` loads the published ones that a run meets, ``contributions`` stores each source's version of a record,
``merge`` combines them, ``deletions`` stores what PubMed deleted. ``store`` reads the databases of a published
generation: ``filters`` and ``where`` select records, ``boolean`` reads and answers searches of PubMed, Ovid and Embase,
``keywords`` ranks by words, ``history`` lists changes and ``duplicates`` finds records that look alike.
``storage.journal`` keeps what people decide.
"""

ROOMS = ("storage", "words", "selection", "boolean", "merging", "duplicates")  # in data-flow order
