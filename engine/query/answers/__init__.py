"""Answers: hits with reasons, counts and a verdict."""
