"""Playlists that players see: files in the library's folders, and stations."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.errors import UnknownTrack
from recommender.playlists.saved_lists import (
    SavedList,
    find_lists,
    paths_of,
    read_list,
    resolve_entries,
)
from recommender.playlists.station import Station
from recommender.retrieval.lookup import display_name, require_present
from recommender.retrieval.where import Where
from recommender.server.opensubsonic.library_tree import SONG
from recommender.server.opensubsonic.marks import taste
from recommender.server.opensubsonic.parameters import track_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.engine import Recommender
    from recommender.server.opensubsonic.library_tree import LibraryTree
    from recommender.server.opensubsonic.marks import Marks

SAVED, STATION = "pl-", "st-"
"""What ids of playlists in files and of stations begin with."""
STATIONS = 5
STATION_SONGS = 50
KEEP_S = 60.0
"""Seconds for which stations stay although tracks come in, and folders are not looked at ..."""
SHARE = 0.02
"""... or longer, so that no more than this part of the time is spent on it."""
KEPT_STATIONS = 32


@dataclass(frozen=True)
class ListOfSongs:
    """A playlist with its songs.

    Attributes
    ----------
    track_ids : tuple of int
    changed_at : float
        In seconds of Unix.
    """

    id: str
    name: str
    track_ids: tuple[int, ...]
    changed_at: float
    comment: str | None = None


@dataclass(frozen=True)
class _KeptStation:
    """The songs of a station, the seed first, and what they were chosen from."""

    songs: tuple[int, ...]
    disliked: frozenset[int]
    version: int
    made_at: float

    def suits(self, disliked: frozenset[int]) -> bool:
        """Whether none of its songs is disliked and no dislike has been taken back."""
        return self.disliked <= disliked and disliked.isdisjoint(self.songs[1:])


class KeptPlaylists:
    """The playlists of a library, kept until they may have changed. Threads may share one."""

    def __init__(
        self, recommender: Recommender, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recommender = recommender
        self._clock = clock
        self._lock = threading.Lock()
        self._lists: list[SavedList] = []
        self._looked_until = float("-inf")
        self._resolved: tuple[object, dict[str, ListOfSongs]] = None, {}
        self._making = threading.Lock()
        self._stations: dict[int, _KeptStation] = {}

    def saved(self) -> dict[str, ListOfSongs]:
        """Playlists in files that hold a song of the library, by id, in the order of paths."""
        with self._lock:
            if self._clock() >= self._looked_until:
                began = self._clock()
                found = map(read_list, find_lists(self._recommender.folders()))
                self._lists = [one for one in found if one is not None]
                spent = self._clock() - began
                self._looked_until = self._clock() + max(KEEP_S, spent / SHARE)
                self._resolved = None, {}
            change = self._recommender.changes().facets
            if self._resolved[0] != change:
                ids = self._recommender.ids_of_paths(paths_of(self._lists))
                found_lists = (_with_songs(one, ids) for one in self._lists)
                self._resolved = change, {one.id: one for one in found_lists if one.track_ids}
            return self._resolved[1]

    def stations(self, marks: Marks, tree: LibraryTree) -> list[ListOfSongs]:
        """Stations from the songs with the latest stars, and where these are few new albums."""
        seeds = [
            (mark.starred_at, track_id_of(item_id))
            for item_id, mark in marks.items()
            if item_id.startswith(SONG) and mark.starred_at is not None
        ]
        wanted = [track_id for _, track_id in sorted(seeds, reverse=True)]
        newest = sorted(tree.albums, key=lambda album: -album.added_at)[:STATIONS]
        wanted += [int(tree.album_songs(album)[0]) for album in newest]
        disliked = taste(marks, tree).disliked
        found: list[ListOfSongs] = []
        for track_id in dict.fromkeys(wanted):
            if len(found) == STATIONS:
                break
            # A song that has left the library, or is not embedded by a newer model yet.
            with suppress(UnknownTrack):
                found.append(self._station(track_id, disliked))
        return found

    def station(self, track_id: int, marks: Marks, tree: LibraryTree) -> ListOfSongs:
        """The station from a song: the song, and what follows it on a station.

        Raises
        ------
        UnknownTrack
        """
        return self._station(track_id, taste(marks, tree).disliked)

    def _station(self, track_id: int, disliked: frozenset[int]) -> ListOfSongs:
        track = require_present(self._recommender.track(track_id))
        songs = self._kept_songs(track_id, disliked)
        if songs is None:
            # One at a time: whoever asks for the same meanwhile waits for this one.
            with self._making:
                songs = self._kept_songs(track_id, disliked) or self._make(track_id, disliked)
        name = f"Station: {display_name(track)}"
        comment = "what sounds like this song, made anew as the library changes"
        return ListOfSongs(f"{STATION}{track_id}", name, songs, track.added_at, comment)

    def _kept_songs(self, track_id: int, disliked: frozenset[int]) -> tuple[int, ...] | None:
        """The songs of a station that need not be made anew."""
        kept = self._stations.get(track_id)
        if kept is None or not kept.suits(disliked):
            return None
        is_fresh = kept.version == self._recommender.version
        return kept.songs if is_fresh or self._clock() < kept.made_at + KEEP_S else None

    def _make(self, track_id: int, disliked: frozenset[int]) -> tuple[int, ...]:
        version, now = self._recommender.version, self._clock()
        where = Where(exclude=tuple(sorted(disliked))) if disliked else None
        station = Station(self._recommender, track_id, where=where)
        songs = (track_id, *(one.track.id for one in station.take(STATION_SONGS - 1)))
        self._stations.pop(track_id, None)
        while len(self._stations) >= KEPT_STATIONS:
            del self._stations[next(iter(self._stations))]
        self._stations[track_id] = _KeptStation(songs, disliked, version, now)
        return songs


def _with_songs(saved: SavedList, ids: dict[bytes, int]) -> ListOfSongs:
    digest = hashlib.blake2b(saved.path, digest_size=10).hexdigest()
    track_ids = tuple(resolve_entries(saved, ids))
    return ListOfSongs(f"{SAVED}{digest}", saved.title, track_ids, saved.changed_at)
