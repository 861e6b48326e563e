"""A whole library: clusters, duplicates, survey, map coordinates, export."""
