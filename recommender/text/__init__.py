"""Texts to music: search by words, lyrics."""
