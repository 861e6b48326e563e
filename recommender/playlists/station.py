"""An endless station: tracks that drift slowly around a seed and follow likes, dislikes and skips.

Each step looks for tracks near a target and draws one of the nearest. With the seed s, the tracks
v_1 ... v_t played so far, p the pace and u(x) = x / |x|:

    drift   d = u((1 - p)^t s + sum of p (1 - p)^(t - i) v_i)       an exponential average
    anchor  a = u(s + m / (1 + m) mean of the m liked tracks)
    target    = u(tie a + (1 - tie) u(d) - PUSH w / (1 + w) mean of the disliked, weighted)

where w is the sum of the dislikes' weights: 1 each, `SKIP` for a skip. What was disliked or skipped
is no part of the drift. The share `tie` of the seed keeps the average, a random walk without it,
near the seed; the rest of it lets the walk leave the seed's nearest tracks.
A candidate's score is its cosine to the target, less what it is nearer to a disliked track than the
anchor is (times that dislike's weight), plus what words that steer add (see
`recommender.retrieval.words.steering`). One of the `POOL` nearest is drawn (see `sampling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

import numpy as np

from indexer.catalog.records import Track
from indexer.errors import InvalidOption, QueryError
from indexer.vectors.unit_vectors import unit_rows
from recommender.playlists.history import PlayHistory
from recommender.playlists.playlist import (
    Entry,
    Playlist,
    PlaylistCandidates,
    filter_label,
)
from recommender.playlists.sampling import sample_from_best
from recommender.retrieval.lookup import (
    count_noun,
    display_name,
    require_present,
    result_count,
    whole_number,
)
from recommender.retrieval.where import Where
from recommender.retrieval.words.steering import as_texts, steering_title

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.engine import Recommender
    from recommender.retrieval.seeds import SeedLike
    from recommender.retrieval.words.steering import Texts

    TrackLike: TypeAlias = Track | SupportsIndex | str | bytes

POOL = 48
"""Candidates that a step draws from."""
REACH = 1024
"""Tracks, nearest first, that are looked through for an artist not played lately."""
PACE = 0.25
"""Weight of the newest track in the drift; the last eight weigh nine tenths."""
PUSH = 0.8
"""How far dislikes, all together, can move the target: this part of a unit vector. On 1,291 real
tracks the ten after a dislike are 0.12 less like it, and 0.03 less like the seed; with 0.4 it is
0.06 and 0.01, too little to notice, and with 1.2 three dislikes leave the seed altogether."""
SKIP = 0.25
"""What a skip counts, of a dislike."""
_REMEMBERED = 40  # tracks that the drift is computed from: older ones weigh less than 1e-5
_FORMAT = 1


def refuse_both(liked: Iterable[Track], disliked: Iterable[Track]) -> None:
    """Say so where a track is liked and disliked at once.

    Raises
    ------
    InvalidOption
    """
    likes = {track.id for track in liked}
    for track in disliked:
        if track.id in likes:
            raise InvalidOption(f"{display_name(track)} is both liked and disliked: choose one")


class Station(Iterator[Entry]):
    """Tracks one after another, never one twice, until the library has no more.

    Not to be shared by threads. It ends with `StopIteration`; `ended` then says why, and more can
    come once tracks are added.

    Parameters
    ----------
    recommender : Recommender
    seed : id, key, words, path or vector (dim,)
        A track, a file or a vector, as `Recommender.seed` takes it. It is not played itself.
    where : Where, optional
        Which tracks may be played.
    more, less : str or iterable of str
        Words that the tracks are to fit more or less: "calmer", "piano".
    tie : float
        Share of the seed in every step's target, 0 to 1.
    variety : float
        0 or more: 0 plays the nearest track, 1 draws almost evenly from `POOL`.
    artist_gap : int
        How many tracks lie between two of one artist. When the nearest `REACH` hold no other, the
        artist played longest ago comes. Tracks without an artist are not counted.
    random_seed : int
        The same one draws the same tracks.

    Raises
    ------
    UnknownTrack, AmbiguousTrack, AnalysisError, BadVector, InvalidOption
    QueryError
        A word is not known.
    """

    def __init__(
        self,
        recommender: Recommender,
        seed: SeedLike,
        *,
        where: Where | None = None,
        more: Texts = (),
        less: Texts = (),
        tie: float = 0.7,
        variety: float = 0.1,
        artist_gap: int = 5,
        random_seed: int = 0,
    ) -> None:
        if not 0 <= tie <= 1:
            raise InvalidOption(f"the tie to the seed is {tie}: it is from 0 to 1")
        if not 0 <= variety < np.inf:
            raise InvalidOption(f"variety is {variety}: it is 0 or more")
        if whole_number(artist_gap, "the artist gap") < 0:
            raise InvalidOption(f"the artist gap is {artist_gap}: it is 0 or more")
        if whole_number(random_seed, "the random seed") < 0:
            raise InvalidOption(f"the random seed is {random_seed}: it is 0 or more")
        self.seed = recommender.seed(seed)
        self.ended: str | None = None
        self._recommender = recommender
        self._where = where
        self._tie, self._variety = float(tie), float(variety)
        self._artist_gap, self._random_seed = int(artist_gap), int(random_seed)
        self._history = PlayHistory(self.seed)
        self._played: list[int] = []
        self._passed: set[int] = set()  # near-duplicates of what was played
        self._liked: dict[int, NDArray[np.float32]] = {}
        self._disliked: dict[int, tuple[float, NDArray[np.float32]]] = {}
        self._width = POOL
        self._drift_after = 0  # so many played first are no part of the drift
        self.steer(more=more, less=less)

    @property
    def played_ids(self) -> tuple[int, ...]:
        """Ids of the tracks played so far, oldest first."""
        return tuple(self._played)

    def steer(self, *, more: Texts = (), less: Texts = ()) -> None:
        """From now on, play what fits words more or less; none end that.

        Raises
        ------
        QueryError, InvalidOption
        """
        self._more, self._less = as_texts(more), as_texts(less)
        self._words = self._recommender.steering(self._more, self._less)

    def lean(self, liked: Iterable[TrackLike] = (), disliked: Iterable[TrackLike] = ()) -> None:
        """Draw the station towards tracks and push it away from others, as said in one breath.

        Raises
        ------
        InvalidOption
            A track is both.
        """
        toward, away = [self._find(track) for track in liked], [self._find(t) for t in disliked]
        refuse_both(toward, away)
        for track in toward:
            self.like(track)
        for track in away:
            self.dislike(track)

    def like(self, track: TrackLike) -> None:
        """Draw the station towards a track, which is no longer disliked if it was."""
        found = self._find(track)
        self._disliked.pop(found.id, None)
        self._liked[found.id] = self._recommender.vectors([found.id])[0]

    def dislike(self, track: TrackLike) -> None:
        """Push the station away from a track, which is never played."""
        self._push_away(self._find(track), 1.0)

    def skip(self, track: TrackLike) -> None:
        """Push the station a little away from a track; a dislike stays a dislike."""
        found = self._find(track)
        if self._disliked.get(found.id, (0.0, None))[0] < SKIP:
            self._push_away(found, SKIP)

    def pass_over(self, ids: Iterable[int]) -> None:
        """Never play the tracks with these ids, as what was played elsewhere."""
        self._passed.update(ids)

    def add_played(self, ids: Sequence[int], *, drift: bool = True) -> None:
        """Take tracks that were played elsewhere for played, oldest first.

        None of them comes again, and the artist gap counts them; with `drift`, the drift too.
        Tracks that have left the catalog are forgotten.
        """
        self._played += ids
        present = set(self._recommender.ids().tolist())
        kept = np.array([i for i in ids if i in present], dtype=np.int64)
        known = PlaylistCandidates.of(self._recommender, kept)
        for track, vector in zip(known.tracks, known.vectors, strict=True):
            self._history.add(track, vector)
        if not drift:
            self._drift_after = len(self._history)

    def __next__(self) -> Entry:
        chosen = self._choose(self._target())
        if chosen is None:
            self.ended = self._end_reason()
            raise StopIteration
        self.ended = None
        track, vector = chosen
        before = self._history.last
        self._played.append(track.id)
        self._history.add(track, vector)
        return Entry(
            track,
            to_seed=float(vector @ self.seed.vector),
            to_previous=None if before is None else float(vector @ before),
            words=self._recommender.explain_words(self._words, [track])[0],
        )

    def take(self, count: SupportsIndex) -> Playlist:
        """The next tracks as a playlist, fewer when the station ends; its note says so.

        Raises
        ------
        InvalidOption
        """
        number = result_count(count)
        entries = tuple(islice(self, number))
        note = None
        if len(entries) < number:
            note = f"{len(entries)} of {number} tracks: {self.ended}"
        title = steering_title(f"a station from {self.seed.label}", self._words)
        return Playlist(title, entries, note)

    def to_json(self) -> dict[str, Any]:
        """The state of the station as plain values, from which `from_json` goes on."""
        track = self.seed.track
        return {
            "format": _FORMAT,
            "seed": self.seed.vector.tolist() if track is None else track.id,
            "label": self.seed.label,
            "where": None if self._where is None else asdict(self._where),
            "more": self._more,
            "less": self._less,
            "tie": self._tie,
            "variety": self._variety,
            "artist_gap": self._artist_gap,
            "random_seed": self._random_seed,
            "played": list(self._played),
            "passed_over": sorted(self._passed),
            "liked": list(self._liked),
            "disliked": {str(track_id): weight for track_id, (weight, _) in self._disliked.items()},
            "width": self._width,
            "drift_after": self._drift_after,
        }

    @classmethod
    def from_json(cls, recommender: Recommender, state: dict[str, Any]) -> Station:
        """A station that goes on where `to_json` was called.

        Tracks that have left the catalog since are forgotten.

        Raises
        ------
        InvalidOption
            The state is not one of `to_json`.
        QueryError
            A word that steers is no longer known.
        UnknownTrack
            The seed has left the catalog.
        BadVector
            The seed was a file or a vector, and the catalog's model has changed since.
        """
        try:
            if state["format"] != _FORMAT:
                raise InvalidOption(f"the state of a station has the format {state['format']}")
            seed = state["seed"]
            station = cls(
                recommender,
                np.array(seed, dtype=np.float32) if isinstance(seed, list) else int(seed),
                where=None if state["where"] is None else Where(**_frozen(state["where"])),
                more=state["more"],
                less=state["less"],
                tie=state["tie"],
                variety=state["variety"],
                artist_gap=state["artist_gap"],
                random_seed=state["random_seed"],
            )
            station.seed = replace(station.seed, label=str(state["label"]))
            weights = {int(track): float(weight) for track, weight in state["disliked"].items()}
            played, liked = [int(i) for i in state["played"]], [int(i) for i in state["liked"]]
            station._passed = {int(track) for track in state["passed_over"]}
            drift_after = max(0, int(state.get("drift_after", 0)))
            station._width = max(POOL, int(state["width"]))
        except QueryError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidOption(
                f"that is no state of a station ({type(error).__name__}: {error}): "
                "give what to_json returned"
            ) from error
        station._restore(played, drift_after, liked, weights)
        return station

    def _restore(
        self, played: list[int], drift_after: int, liked: list[int], disliked: dict[int, float]
    ) -> None:
        self.add_played(played)
        self._drift_after = min(drift_after, len(self._history))
        present = set(self._recommender.ids().tolist())
        for track_id in liked:
            if track_id in present:
                self.like(track_id)
        for track_id, weight in disliked.items():
            if track_id in present:
                self._push_away(self._find(track_id), weight)

    def _find(self, track: TrackLike) -> Track:
        found = track if isinstance(track, Track) else self._recommender.track(track)
        return require_present(found)

    def _push_away(self, track: Track, weight: float) -> None:
        self._liked.pop(track.id, None)
        self._disliked[track.id] = weight, self._recommender.vectors([track.id])[0]

    def _anchor(self) -> NDArray[np.float32]:
        if not self._liked:
            return self.seed.vector
        count = len(self._liked)
        mean = np.mean(list(self._liked.values()), axis=0)
        return _unit(self.seed.vector + count / (1 + count) * mean, self.seed.vector)

    def _drift(self) -> NDArray[np.float32]:
        total, left = np.zeros_like(self.seed.vector), 1.0
        count = min(_REMEMBERED, len(self._history) - self._drift_after)
        for track_id, vector in self._history.latest(count):
            if track_id not in self._disliked:
                total += left * PACE * vector
                left *= 1 - PACE
        return _unit(total + left * self.seed.vector, self.seed.vector)

    def _target(self) -> NDArray[np.float32]:
        anchor = self._anchor()
        mixed = self._tie * anchor + (1 - self._tie) * self._drift()
        if self._disliked:
            weights = np.array([weight for weight, _ in self._disliked.values()])
            vectors = np.array([vector for _, vector in self._disliked.values()])
            total = weights.sum()
            mixed = mixed - PUSH * total / (1 + total) * (weights @ vectors / total)
        return _unit(mixed, anchor)

    def _scores(
        self, candidates: PlaylistCandidates, target: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        vectors = candidates.vectors
        scores: NDArray[np.float32] = vectors @ target
        if self._words:
            shifts = self._recommender.word_shifts(self._words, candidates.ids)
            scores = scores + shifts.astype(np.float32)
        if self._disliked:
            disliked = np.array([vector for _, vector in self._disliked.values()])
            weights = np.array([weight for weight, _ in self._disliked.values()], np.float32)
            nearer = vectors @ disliked.T - disliked @ self._anchor()
            scores = scores - (weights * np.maximum(nearer, 0.0)).max(axis=1)
        return scores

    def _nearest_left(self, target: NDArray[np.float32]) -> Iterator[PlaylistCandidates]:
        """What has not been played, `POOL` tracks at a time, best by target and words first."""
        gone = {*self._history.ids, *self._passed, *self._disliked}
        while True:
            (found,), _ = self._recommender.nearest(
                target[np.newaxis], self._width, where=self._where, words=self._words
            )
            # Words choose anew among more.
            fresh = np.array([i for i in found.tolist() if i not in gone and i >= 0], np.int64)
            everything = len(found) < self._width
            while len(fresh) and (everything or len(fresh) >= POOL):
                ids, fresh = fresh[:POOL], fresh[POOL:]
                gone.update(ids.tolist())
                yield PlaylistCandidates.of(self._recommender, ids)
            if everything:
                return
            self._width *= 2

    def _choose(self, target: NDArray[np.float32]) -> tuple[Track, NDArray[np.float32]] | None:
        """The track to play, with its vector; None when nothing is left."""
        seen, other_artist = 0, None
        for candidates in self._nearest_left(target):
            rng = np.random.default_rng([self._random_seed, len(self._played)])
            order = sample_from_best(self._scores(candidates, target), self._variety, rng)
            since = np.array([self._history.since(artist) for artist in candidates.artists])
            spaced = since[order] >= self._artist_gap
            chosen = self._first_new(candidates, order[spaced])
            if chosen is not None:
                return chosen
            if other_artist is None:
                longest_ago = order[np.argsort(-since[order], kind="stable")]
                other_artist = self._first_new(candidates, longest_ago)
            seen += len(candidates)
            if seen >= REACH and other_artist is not None:
                break
        return other_artist

    def _first_new(
        self, candidates: PlaylistCandidates, order: NDArray[np.int64]
    ) -> tuple[Track, NDArray[np.float32]] | None:
        median_random_cosine = self._recommender.median_random_cosine
        for row in order.tolist():
            track, vector = candidates.tracks[row], candidates.vectors[row]
            if track.id in self._passed:
                continue
            if not self._history.holds(track, vector, median_random_cosine=median_random_cosine):
                return track, vector
            self._passed.add(track.id)
        return None

    def _end_reason(self) -> str:
        kept = len(self._recommender.ids(self._where))
        if not kept:
            return f"{filter_label(self._where)} no track"
        fit = filter_label(self._where)
        reasons = [f"{len(self._played)} played"]
        if self._passed:
            reasons.append(f"{len(self._passed)} passed over as near-duplicates of those")
        if self._disliked:
            reasons.append(f"{len(self._disliked)} disliked or skipped")
        if self.seed.track is not None:
            reasons.append("the seed is not played")
        return (
            f"nothing is left of the {count_noun(kept, 'track')} that {fit} ({', '.join(reasons)})"
        )


def _unit(vector: NDArray[Any], otherwise: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector (dim,) at unit length, or another one where it is too short to have a direction."""
    unit = unit_rows(vector[np.newaxis], shortest=1e-6)[0]
    return unit if unit.any() else otherwise


def _frozen(value: Any) -> Any:
    """JSON's lists as the tuples of a `Where`."""
    if isinstance(value, dict):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
