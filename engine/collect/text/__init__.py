"""Lines, JSON objects, XML elements and plain text of source files."""
