"""Readers of tables: CSV and Excel."""
