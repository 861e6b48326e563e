"""Match the songs of another server with the catalog, and keep its ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recommender.players.song_ids.id_map import id_map_path, write_id_map
from recommender.retrieval.song_matching import TOLERANCE_S, matching_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import Track
    from recommender.players.song_ids.songs import KnownSong

EXAMPLES = 10
"""Songs without a track that a report names."""


@dataclass(frozen=True)
class IdImport:
    """What became of an import.

    Attributes
    ----------
    path : Path
        Where the ids are kept.
    songs, matched : int
        How many songs the server has, and how many of them are tracks of the catalog.
    tracks : int
        How many tracks have an id.
    tracks_without_id : int
        How many present tracks have none.
    unmatched : list of str
        Some of the songs without a track.
    """

    path: Path
    songs: int
    matched: int
    tracks: int
    tracks_without_id: int
    unmatched: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**vars(self), "path": str(self.path), "unmatched": list(self.unmatched)}


def import_ids(
    catalog: Catalog,
    songs: Iterable[KnownSong],
    *,
    on_song: Callable[[int], None] = lambda _done: None,
) -> IdImport:
    """Keep the ids of a server's songs, in place of those kept before.

    The same songs give the same file. Nothing is kept where no song is known.

    Raises
    ------
    IdMapError
        The file cannot be written.
    """
    copies: dict[str, list[int]] = {}
    unmatched: list[str] = []
    count = 0
    for song in songs:
        count += 1
        found = _copies(matching_tracks(catalog, song))
        if found:
            copies[song.id] = found
        elif len(unmatched) < EXAMPLES:
            unmatched.append(f"{', '.join(song.artists[:1])} - {song.title} ({song.id})")
        on_song(count)
    ids = _assigned(copies)
    path = id_map_path(catalog.path)
    if ids:
        write_id_map(path, ids, catalog_uuid=catalog.uuid)
    known = len(set(ids.values()))
    present = catalog.counts()["present"]
    return IdImport(path, count, len(ids), known, present - known, unmatched)


def _copies(found: list[Track]) -> list[int]:
    """The best track, then those that its album has of the same song; none where each is a guess.

    It is one where tracks fit that last very differently.
    """
    if not found:
        return []
    best, durations = found[0], [track.duration_s for track in found]
    if max(durations) - min(durations) > 2 * TOLERANCE_S + 0.04 * min(durations):
        return []
    return [
        track.id
        for track in found
        if track.album == best.album and abs(track.duration_s - best.duration_s) <= TOLERANCE_S
    ]


def _assigned(copies: dict[str, list[int]]) -> dict[str, int]:
    """The best track of each song; of songs that share one, the others get copies without a song.

    Copies have the same tags, and servers round durations, so one track is the best for all.
    """
    taken: set[int] = set()
    best = {found[0] for found in copies.values()}
    ids: dict[str, int] = {}
    for song, found in copies.items():
        free = (track for track in found if track not in best and track not in taken)
        ids[song] = next(free, found[0]) if found[0] in taken else found[0]
        taken.add(ids[song])
    return ids
