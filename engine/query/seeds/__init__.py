"""Searches built from records that are known."""
