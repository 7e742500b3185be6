"""Ranking of the records of a review for screening, and measures of the reading it saves."""
