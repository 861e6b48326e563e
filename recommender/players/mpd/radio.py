"""A station without end that goes on from whatever the listener has chosen last."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.errors import AnalysisError, ModelError, ModelMismatch, QueryError, UnknownTrack
from indexer.filesystem import display_path
from recommender.playlists.station import Station, refuse_both
from recommender.retrieval.lookup import require_present
from recommender.retrieval.seeds import AnalysedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.retrieval.where import Where

REMEMBERED = 2_000
"""Songs played last that do not come again, as long as the library has others."""


@dataclass(frozen=True)
class StationOptions:
    """How stations are made; see `Station`.

    Attributes
    ----------
    liked, disliked : tuple of int
        Ids of tracks that every station is drawn towards, or pushed away from.
    """

    liked: tuple[int, ...] = ()
    disliked: tuple[int, ...] = ()
    where: Where | None = None
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    tie: float = 0.7
    variety: float = 0.1
    artist_gap: int = 5
    random_seed: int = 0


class Radio:
    """Tracks one after another, by stations that share what was played and what is disliked.

    Parameters
    ----------
    recommender : Recommender
    options : StationOptions
    say : function of str
        Given a sentence whenever there is something that the listener should know.

    Raises
    ------
    InvalidOption
        The options both like and dislike a track.
    """

    def __init__(
        self, recommender: Recommender, options: StationOptions, say: Callable[[str], object]
    ) -> None:
        refuse_both(*map(recommender.tracks, (options.liked, options.disliked)))
        self._recommender, self._options, self._say = recommender, options, say
        self._station: Station | None = None
        self._seed: int | AnalysedFile | None = None
        self._wanted: bytes | None = None  # a seed to be
        self._at_hand: Track | None = None  # drawn, but not played yet
        self._has_ended = False
        self._played: deque[int] = deque(maxlen=REMEMBERED)
        self._since_seed = 0  # so many of them, the last ones, are part of the drift
        self._passed: set[int] = set()
        self._disliked = set(options.disliked)

    def track_at(self, path: bytes | None) -> Track | None:
        """The present track of a file; None where the catalog has none."""
        if path is None:
            return None
        try:
            return require_present(self._recommender.track(path))
        except UnknownTrack:
            return None

    def follow(self, path: bytes) -> None:
        """Go on from the song in a file, from the next track that is asked for."""
        self._wanted = path

    def add_played(self, tracks: Sequence[Track]) -> None:
        """Keep tracks that the queue holds or held from coming again, oldest first."""
        played = set(self._played)
        ids = [track.id for track in tracks if track.id not in played]
        self._played.extend(ids)
        self._since_seed += len(ids)
        at_hand = self._at_hand
        if at_hand is not None and at_hand.id in ids:
            self._at_hand = None
        if self._station is not None:
            self._station.add_played([i for i in ids if at_hand is None or i != at_hand.id])

    def dislike(self, track: Track) -> None:
        """Push what comes away from a track, which never comes again."""
        self._disliked.add(track.id)
        if self._at_hand is not None:
            self._drop_at_hand()  # it may be like the track
        elif self._station is not None:
            self._station.dislike(track)

    def pass_over(self, tracks: Iterable[Track]) -> None:
        """Never give tracks that the player does not know."""
        ids = [track.id for track in tracks]
        self._passed.update(ids)
        if self._at_hand is not None and self._at_hand.id in self._passed:
            self._at_hand = None
        if self._station is not None:
            self._station.pass_over(ids)

    def pass_over_where(self, unknown: Callable[[Track], bool]) -> int:
        """Never give those of all tracks that a function finds; returns how many they are."""
        tracks = self._recommender.stream_tracks(self._recommender.ids())
        found = [track for track in tracks if unknown(track)]
        self.pass_over(found)
        return len(found)

    def prepare(self) -> None:
        """Draw the next track now, so that it is at hand when it is asked for."""
        if self._station is not None and self._wanted is None:
            self.next_track()

    def is_at_hand(self, track: Track) -> bool:
        """Whether a track still is the next one, and was not put into the queue meanwhile."""
        at_hand = self._at_hand
        return self._wanted is None and at_hand is not None and at_hand.id == track.id

    def retry_passed(self) -> None:
        """Try tracks again that were passed over."""
        if self._passed:
            self._passed.clear()
            self._station = None

    def next_track(self) -> Track | None:
        """The track to play next; None while there is none, after a sentence on why.

        It stays the next one until it is played or passed over, something is disliked, or the
        listener chooses another song. When nothing else is left, what was played longest ago comes
        again.
        """
        try:
            if self._wanted is not None:
                self._seed = self._seed_at(self._wanted) or self._seed
                self._wanted, self._since_seed = None, 0
                self._drop_at_hand()
            if self._seed is None:
                return None
            if self._at_hand is not None:
                self._refresh_at_hand(self._at_hand)
            if self._at_hand is None:
                self._at_hand = self._draw(self._seed)
        except QueryError as error:
            self._say(f"{error}")
            self._at_hand = self._station = self._seed = None
        return self._at_hand

    def _refresh_at_hand(self, track: Track) -> None:
        """Take it as the catalog has it by now: moved or removed, perhaps."""
        try:
            self._at_hand = require_present(self._recommender.track(track.id))
        except UnknownTrack:
            self._drop_at_hand()

    def _drop_at_hand(self) -> None:
        # A station never gives again what it drew: one that begins anew does.
        self._at_hand = self._station = None

    def _draw(self, seed: int | AnalysedFile) -> Track | None:
        while True:
            if self._station is None:
                self._station = self._begin(seed)
            entry = next(self._station, None)
            if entry is not None:
                self._has_ended = False
                return entry.track
            if not self._played:
                if not self._has_ended:
                    self._say(f"no song can follow: {self._station.ended}")
                self._has_ended = True
                return None
            for _ in range(max(1, len(self._played) // 2)):
                self._played.popleft()
            self._station = None

    def _begin(self, seed: int | AnalysedFile) -> Station:
        options = self._options
        station = Station(
            self._recommender,
            seed,
            where=options.where,
            more=options.more,
            less=options.less,
            tie=options.tie,
            variety=options.variety,
            artist_gap=options.artist_gap,
            random_seed=options.random_seed + len(self._played),
        )
        # What was played before the seed was chosen belongs to another mood, perhaps.
        played, before = list(self._played), max(0, len(self._played) - self._since_seed)
        station.add_played([i for i in played[:before] if i != seed], drift=False)
        station.add_played([i for i in played[before:] if i != seed])
        station.pass_over(self._passed)
        present = set(self._recommender.ids().tolist()) - {seed}
        for track in present & set(options.liked):
            station.like(track)
        self._disliked &= present
        for track in self._disliked:
            station.dislike(track)
        return station

    def _seed_at(self, path: bytes) -> int | AnalysedFile | None:
        """The track of a file, or its analysis where the catalog does not hold it."""
        track = self.track_at(path)
        if track is not None:
            return track.id
        name = display_path(os.path.basename(path))
        if not os.access(path, os.R_OK) or not os.path.isfile(path):
            self._say_unknown(f"{name} is not in the catalog and cannot be read here")
            return None
        try:
            return AnalysedFile(path, self._recommender.analyse(path))
        except (AnalysisError, ModelError, ModelMismatch) as error:
            self._say_unknown(f"{name} is not in the catalog ({error})")
            return None

    def _say_unknown(self, why: str) -> None:
        goes_on = "waiting for the next song" if self._seed is None else "the station goes on"
        self._say(f"{why}: {goes_on}")
