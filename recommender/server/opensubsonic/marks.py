"""Stars and ratings, as answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Mark:
    """What the listener thinks of a song, an album or an artist.

    Attributes
    ----------
    starred_at : float or None
        Unix time of the star; None: it has none.
    rating : int or None
        From 1 to 5.
    """

    starred_at: float | None = None
    rating: int | None = None


Marks: TypeAlias = Mapping[str, Mark]
"""Marks by the id of what they are of, as clients know it."""
