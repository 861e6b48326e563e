"""Paths for players, which ask for a number of songs and take fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.errors import QueryError
from recommender.playlists.path import MAX_STEPS, path_between

if TYPE_CHECKING:
    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.playlists.playlist import Playlist
    from recommender.retrieval.where import Where


def path_of_at_most(
    recommender: Recommender,
    start: Track,
    end: Track,
    count: int,
    *,
    where: Where | None = None,
) -> Playlist:
    """A path of `count` tracks, both ends among them; of fewer where the library is too small.

    Parameters
    ----------
    start, end : Track
        Two different ones.
    count : int
        2 or more.

    Raises
    ------
    QueryError
    """
    steps = min(count, MAX_STEPS + 1, max(2, len(recommender))) - 1
    while True:
        try:
            return path_between(recommender, start.id, end.id, steps, where=where)
        except QueryError:
            if steps == 1:
                raise
            steps = max(1, steps // 2)
