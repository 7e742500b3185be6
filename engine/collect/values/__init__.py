"""Values of fields: names, ids, dates, notices, and what our own exports add."""
