"""Commands for the screening of a review."""
