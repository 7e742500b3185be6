"""The rows of the database, read."""
