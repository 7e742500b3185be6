"""Reading of the database."""
