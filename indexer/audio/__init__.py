"""A file to windows of sound: containers, decoding, windows, tags."""
