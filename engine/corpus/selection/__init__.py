"""Filters: which records may be hits."""
