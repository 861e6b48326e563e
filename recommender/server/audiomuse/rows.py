"""Tracks as AudioMuse-AI's answers have them, by the ids of the server that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recommender.retrieval.lookup import display_title

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.catalog.records import Track
    from recommender.players.song_ids.id_map import IdMap

UNKNOWN = "unknown"
"""What stands for an album or artist that no tag names."""


def track_row(track: Track, item_id: str) -> dict[str, Any]:
    """A track by the id that the asking server has for it."""
    return {
        "item_id": item_id,
        "title": display_title(track),
        "author": track.artist or track.album_artist or UNKNOWN,
        "album": track.album or UNKNOWN,
        "album_artist": track.album_artist or UNKNOWN,
    }


def track_rows(found: Iterable[tuple[Track, float]], ids: IdMap) -> list[dict[str, Any]]:
    """Tracks with their distances, 0 the same and 1 the most different, those with an id alone."""
    return [
        {**track_row(track, item_id), "distance": distance}
        for track, distance in found
        if (item_id := ids.song_id(track.id)) is not None
    ]
