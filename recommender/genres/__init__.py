"""Genres from embeddings: labels, a classifier, what it gets wrong, and its guesses."""

from recommender.genres.classifier import GenreClassifier

__all__ = ["GenreClassifier"]
