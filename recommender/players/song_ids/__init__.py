"""Ids by which another server knows the tracks of the catalog: read from it, matched and kept."""
