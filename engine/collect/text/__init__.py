"""Files as lines of text, XML elements and plain text."""
