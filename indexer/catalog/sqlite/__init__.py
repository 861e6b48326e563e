"""A catalog in one SQLite file."""
