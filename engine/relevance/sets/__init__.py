"""Judgments, runs and test sets."""
