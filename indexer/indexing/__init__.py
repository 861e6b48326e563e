"""Bringing a catalog up to date with files on disk: scan, worker processes, one writer."""
