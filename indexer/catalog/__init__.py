"""The catalog: one SQLite file that holds every track, its embedding and its failures."""
