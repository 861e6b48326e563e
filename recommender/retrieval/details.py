"""All that the catalog knows of one track, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.catalog.records import Track

TOP_TAGS = 8
"""Strongest tags of a track that are shown."""


def track_details(track: Track, tags: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """A track with its tags, strongest first, as `soundalike show --json` prints it."""
    return {**asdict(track), "path": display_path(track.path), "tags": dict(tags[:TOP_TAGS])}
