"""Measures of rankings, and comparisons."""
