"""Questions: read from files, checked, and resolved against a generation."""
