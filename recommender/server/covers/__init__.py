"""Covers of tracks: the picture in a file's tags, or a tile coloured by how it sounds."""
