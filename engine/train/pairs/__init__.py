"""Pairs of texts to train on: read from files or made from a corpus, and checked before a step is run."""
