"""Readers of JSON: one object a line, arrays, and the answers of services."""
