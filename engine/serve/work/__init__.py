"""Open indexes and the workers that answer."""
