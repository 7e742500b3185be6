"""Commands that search an index, check searches, and write records to files."""
