"""Filters: the records that may be hits."""
