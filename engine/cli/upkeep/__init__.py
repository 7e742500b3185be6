"""Commands that make, update, show and repair an index."""
