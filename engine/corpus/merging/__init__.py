"""Merging of several sources into one record."""
