"""A catalog on a PostgreSQL server."""
