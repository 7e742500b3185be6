"""Stage 2. In: Abstracts. Out: rows in SQLite, by id. The only stage that writes SQL.

Next: encode turns their texts into vectors. ``draft`` writes the database of the next generation, ``store`` reads a
published one.
"""
