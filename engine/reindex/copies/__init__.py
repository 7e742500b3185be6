"""Copies of an index: backups, and indexes restored from them."""
