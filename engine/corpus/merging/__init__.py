"""Several sources, one record."""
