"""The map of an index: a point for each record, and regions."""
