"""Composes and plays the demo library: eight styles, three invented performers each."""

from .piece import SAMPLE_RATE, Piece
from .repertoire import STYLES, Commission, guest, library

__all__ = ["SAMPLE_RATE", "STYLES", "Commission", "Piece", "guest", "library"]
