"""Decisions of reviewers: kept, read back, compared, hidden from others and exchanged with other tools."""
