"""Index runs that a server starts, watches and stops, and the files that it takes for them."""
