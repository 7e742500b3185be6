"""Read the card of a model, written by any version of sentence-transformers, and explain what it means."""
