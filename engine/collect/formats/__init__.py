"""Readers of the source file formats, one module each."""
