"""Segments and generations on disk: found, checked, opened and published."""
