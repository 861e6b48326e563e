"""Songs of other servers: their ids and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.retrieval.song_matching import SongDescription

if TYPE_CHECKING:
    from collections.abc import Iterable


LARGEST = 1e18
"""Durations from here on are no durations, in whatever unit."""


@dataclass(frozen=True, kw_only=True)
class KnownSong(SongDescription):
    """A song with the id by which a server knows it."""

    id: str


def song_text(value: object) -> str:
    """A text of JSON; empty where it is none."""
    return value if isinstance(value, str) else ""


def song_number(value: object) -> float:
    """A number of JSON from 0 to `LARGEST`; 0 where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        return 0.0
    return float(value)


def song_texts(values: Iterable[object]) -> tuple[str, ...]:
    """The texts among values of JSON, each once."""
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value))
