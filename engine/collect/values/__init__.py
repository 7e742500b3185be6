"""Field values: names, ids, dates, notices, and the additions of the engine's own exports."""
