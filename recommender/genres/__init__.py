"""Genres from embeddings: labels, a classifier, its confusion matrix, its predictions."""

from recommender.genres.classifier import GenreClassifier

__all__ = ["GenreClassifier"]
