"""A playlist of a given duration: tracks that sound like the seeds, in the order of a short tour.

Candidates are ranked by their cosine to the nearest seed and drawn with more or less variety, in
turns for each seed, until the duration is nearly reached; one addition or exchange then brings the
sum as near to it as it can. The order is a short open tour from the first seed: nearest neighbour,
then 2-opt (Croes, 1958), where two tracks of one artist in a row cost as much as a long step.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.playlists.playlist import Playlist, PlaylistCandidates, filter_label
from recommender.playlists.sampling import sample_from_best
from recommender.retrieval.lookup import count_noun, whole_number
from recommender.retrieval.near_duplicates import TrackFacts, group_heads, label_ids
from recommender.retrieval.words.steering import steering_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.engine import Recommender
    from recommender.retrieval.seeds import SeedLike
    from recommender.retrieval.where import Where
    from recommender.retrieval.words.steering import Texts
    from recommender.retrieval.words.vocabulary import Word

MAX_TRACKS = 1000
CLOSE = 0.01
"""No exchange is sought when the sum is within this part of the wish."""
SAME_ARTIST = 0.5
"""Added to the distance of two tracks of one artist."""
_SPARE = 3  # candidates a track of the playlist, at first
_TRACK_S = 180.0
_RESERVE = 100  # candidates looked through for a time shorter than any track so far
# Candidates a track of the playlist, and at least, that the exchange looks through: those farther
# down fit the time and not the seeds.
_OF_EACH, _AT_LEAST = 3, 10
_EXCHANGES = 200_000_000  # pairs that 2-opt looks at


def fill_playlist(
    recommender: Recommender,
    seeds: Sequence[SeedLike],
    duration_s: float,
    *,
    where: Where | None = None,
    more: Texts = (),
    less: Texts = (),
    per_artist: int = 3,
    variety: float = 0.1,
    random_seed: int = 0,
) -> Playlist:
    """A playlist of tracks that sound like the seeds and last a given time together.

    Parameters
    ----------
    recommender : Recommender
    seeds : one or more tracks, files or vectors, as `Recommender.seed` takes them
        Tracks that fit the filter and the time are part of the playlist.
    duration_s : float
        The tracks' sum is nearer to it than half a track is long, mostly within 1 %.
    where : Where, optional
        Which tracks may be part of it.
    more, less : str or iterable of str
        Words that the tracks are to fit more or less: "calmer", "piano".
    per_artist : int
        Tracks of one artist at most; those without an artist are not counted.
    variety : float
        0 takes the nearest tracks; more draws from farther around.
    random_seed : int
        The same one draws the same tracks.

    Returns
    -------
    Playlist
        Its note says so when too few tracks fit.

    Raises
    ------
    UnknownTrack, AmbiguousTrack, AnalysisError, BadVector, InvalidOption
    QueryError
        The filter keeps no track, or a word is not known.
    """
    if not 0 < duration_s < np.inf:
        raise InvalidOption(
            f"a playlist cannot last {duration_s} seconds: give a time, such as 45m"
        )
    if whole_number(per_artist, "tracks per artist") < 1:
        raise InvalidOption(f"{per_artist} tracks per artist leave nothing: allow at least one")
    if not 0 <= variety < np.inf:
        raise InvalidOption(f"variety is {variety}: it is 0 or more")
    if whole_number(random_seed, "the random seed") < 0:
        raise InvalidOption(f"the random seed is {random_seed}: it is 0 or more")
    found = [recommender.seed(seed) for seed in seeds]
    if not found:
        raise InvalidOption("a playlist needs something to sound like: name at least one seed")
    words = recommender.steering(more, less)
    kept = recommender.ids(where)
    if not len(kept):
        raise QueryError(f"{filter_label(where)} no track")
    starts = np.array([seed.vector for seed in found])
    own = [seed.track.id for seed in found if seed.track is not None]
    own = [track_id for track_id in dict.fromkeys(own) if track_id in kept]
    width = _SPARE * (int(duration_s / _TRACK_S / len(found)) + 16)
    while True:
        candidates = _candidates(recommender, starts, own, width, where, words)
        shifts = recommender.word_shifts(words, candidates.ids)
        scores = candidates.vectors @ starts.T + shifts[:, np.newaxis].astype(np.float32)
        order = _in_turns(scores, len(own), variety, np.random.default_rng(random_seed))
        filled = _fill(candidates, order, duration_s, per_artist, len(own))
        if filled.full or width >= len(kept):
            break
        width *= 4
    # From the first seed, or from what is nearest to it.
    nearness = candidates.vectors[filled.rows] @ starts[0]
    ranked = np.array(filled.rows)[np.argsort(-nearness, kind="stable")]
    artists = candidates.artists
    order_of_tour = tour(candidates.vectors[ranked], [artists[row] for row in ranked])
    rows: list[int] = ranked[order_of_tour].tolist()
    total = sum(candidates.tracks[row].duration_s for row in rows)
    note = None
    if not filled.full and total < (1 - CLOSE) * duration_s:
        held = f"{filter_label(where)} {count_noun(len(kept), 'track')}"
        note = f"only {total:.0f} of {duration_s:.0f} seconds: {held}"
        if filled.capped:
            note += f", of which at most {per_artist} of one artist leaves {filled.capped} out"
    tracks = [candidates.tracks[row] for row in rows]
    return Playlist.along(
        steering_title("sounds like " + ", ".join(seed.label for seed in found), words),
        tracks,
        candidates.vectors[rows],
        starts,
        note,
        recommender.explain_words(words, tracks),
    )


@dataclass(frozen=True)
class _Filled:
    """Rows chosen, whether they fill the time, and how many the cap per artist left out."""

    rows: list[int]
    full: bool
    capped: int


def _candidates(
    recommender: Recommender,
    starts: NDArray[np.float32],
    own: list[int],
    width: int,
    where: Where | None,
    words: Sequence[Word],
) -> PlaylistCandidates:
    """Tracks near the seeds, the seeds' own first; of near-duplicates the best only."""
    ids, cosines = recommender.nearest(starts, width, where=where, words=words)
    new = (ids >= 0) & ~np.isin(ids, own)
    shifts = recommender.word_shifts(words, ids[new]).astype(np.float32)
    order = np.argsort(-(cosines[new] + shifts), kind="stable")
    near = ids[new][order]
    _, first = np.unique(near, return_index=True)
    near = near[np.sort(first)]
    found = PlaylistCandidates.of(recommender, np.concatenate([np.array(own, np.int64), near]))
    heads = group_heads(
        found.vectors,
        TrackFacts.of(found.tracks),
        median_random_cosine=recommender.median_random_cosine,
    )
    rows = np.arange(len(heads))
    kept = np.flatnonzero((heads == rows) | (rows < len(own)))
    return PlaylistCandidates([found.tracks[row] for row in kept], found.vectors[kept])


def _in_turns(
    relevance: NDArray[np.float32], own: int, variety: float, rng: np.random.Generator
) -> list[int]:
    """Rows in the order they are taken: the seeds' own, then in turns those near each seed.

    Each candidate, of relevance (c, seeds), belongs to its nearest seed and is drawn among that
    seed's. In turns, or a seed that has many tracks close around it would leave the others nothing.
    """
    nearest, scores = relevance.argmax(axis=1), relevance.max(axis=1)
    turns: list[tuple[int, int, int]] = []
    for seed in range(relevance.shape[1]):
        (mine,) = np.nonzero(nearest == seed)
        mine = mine[mine >= own]
        order = mine[sample_from_best(scores[mine], variety, rng)].tolist()
        turns += [(turn, seed, row) for turn, row in enumerate(order)]
    return [*range(own), *(row for _, _, row in sorted(turns))]


def _fill(
    candidates: PlaylistCandidates, order: list[int], wish: float, per_artist: int, own: int
) -> _Filled:
    """Take tracks until less than a median one is left, then come as near to the wish as one can.

    Parameters
    ----------
    order : rows of candidates, the first `own` of them the seeds'
    wish : float
        Seconds.
    """
    seconds, artists = candidates.durations_s, candidates.artists
    median_s = float(np.median(seconds))
    chosen: list[int] = []
    reserve: list[int] = []
    counts: Counter[str] = Counter()
    left, capped = wish, 0
    for row in order:
        artist = artists[row]
        closing = left <= median_s or len(chosen) == MAX_TRACKS
        if artist is not None and counts[artist] >= per_artist:
            capped += 1
        elif seconds[row] <= left and (row < own or not closing):
            chosen.append(row)
            left -= float(seconds[row])
            counts.update([] if artist is None else [artist])
        elif row >= own:
            reserve.append(row)
        enough = max(_AT_LEAST, _OF_EACH * len(chosen)) if chosen else _RESERVE
        if closing and len(reserve) >= enough:
            break
    if reserve and left <= max(median_s, CLOSE * wish):
        _come_nearer(chosen, reserve, left, seconds, own=own, close=CLOSE * wish)
    return _Filled(chosen, left <= median_s, capped)


def _come_nearer(
    chosen: list[int],
    reserve: list[int],
    left: float,
    seconds: NDArray[np.float64],
    *,
    own: int,
    close: float,
) -> None:
    """Add one track of the reserve, or exchange one for it, so that less time is left or over."""
    out = [row for row in chosen if row >= own]
    freed = np.array([0.0, *seconds[out]])
    after = np.abs(left + freed[:, np.newaxis] - seconds[reserve])
    reached = after.min(axis=0)
    (enough,) = np.nonzero(reached <= close)
    # The best ranked of those that are near enough; else the one that comes nearest.
    new = int(enough[0] if len(enough) else np.argmin(reached))
    if chosen and (abs(left) <= close or reached[new] >= abs(left)):
        return
    old = int(np.argmin(after[:, new]))
    if old > 0:
        chosen.remove(out[old - 1])
    chosen.append(reserve[new])


def tour(vectors: NDArray[np.float32], artists: Sequence[str | None]) -> NDArray[np.int64]:
    """Rows of vectors (n, dim) in the order of a short open tour from the first.

    Two of one artist in a row count as `SAME_ARTIST` farther apart.
    """
    count = len(vectors)
    label = label_ids(artists)
    apart = 1 - vectors @ vectors.T
    apart += SAME_ARTIST * ((label[:, np.newaxis] == label) & (label >= 0))
    path = np.zeros(count, np.int64)
    left = np.ones(count, dtype=bool)
    for position in range(1, count):
        left[path[position - 1]] = False
        path[position] = np.argmin(np.where(left, apart[path[position - 1]], np.inf))
    if count < 3:
        return path
    # A bound for long playlists: each exchange looks at all pairs.
    for _ in range(min(10 * count, _EXCHANGES // count**2 + 1)):
        legs = apart[np.ix_(path, path)]
        ahead = np.append(np.diagonal(legs, 1), 0.0)
        # Reversing the positions i ... j exchanges the legs to i and from j for two others.
        beyond = np.column_stack([legs[:, 1:], np.zeros(count)])
        gain = ahead[:-1, np.newaxis] + ahead - legs[:-1] - beyond[1:]
        gain = np.where(np.tri(count - 1, count, dtype=bool), 0.0, gain)
        first, last = np.unravel_index(np.argmax(gain), gain.shape)
        if gain[first, last] < 1e-6:
            break
        path[first + 1 : last + 1] = path[first + 1 : last + 1][::-1].copy()
    return path
