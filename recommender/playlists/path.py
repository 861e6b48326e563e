"""A path from one track to another: exactly n steps, as even as the library allows.

The points that divide the great circle between the two embeddings into n equal arcs (Shoemake's
slerp, SIGGRAPH 1985) get the library's nearest tracks as candidates. The cheapest chain through
one candidate a point is found by dynamic programming (Viterbi), each survivor keeping what it has
used, so that no track, copy or, where it can be avoided, artist comes twice. Then one stop at a
time is exchanged as long as that lowers

    mean(stride)^2 + EVENNESS variance(stride)
        + mean(NEARNESS (distance to its point)^2 + PROGRESS (strides from where it should be)^2)

with stride = 1 - cosine of neighbours: even strides, short ones, near the direct way, and onwards.
Far from the direct way, where a small library has most of its tracks, even strides alone can be had
by going to and fro.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.playlists.playlist import Playlist, PlaylistCandidates, present, seed_label
from recommender.retrieval.lookup import count_noun, display_name, whole_number
from recommender.retrieval.near_duplicates import TrackFacts, group_heads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.engine import Recommender
    from recommender.retrieval.where import Where

MAX_STEPS = 200
WIDTH = 64
"""Candidates for each point, at least; more where a path has more steps."""
EVENNESS = 15.0
"""The longest of 8 strides is 1.28 times the mean; at 50 1.20, but between tracks that are near
each other all of them are long then."""
NEARNESS = 0.1
PROGRESS = 0.2
"""Without it 16 % of 8 strides between tracks of a real library led back, with it 1 %."""
SAME_ARTIST = 1.0
"""What an artist's second track costs: more than any stride, so that it comes only of need."""
_SWEEPS = 30


@dataclass(frozen=True)
class _Field:
    """What a path may go through.

    Attributes
    ----------
    vectors : float32 (c, dim)
    copies, artists : int (c,)
        Tracks of one number are copies, or of one artist; -1 is an artist that nobody knows.
    layers : list of int (m,)
        For each stop between the ends the places of its candidates.
    costs : list of float64 (m,)
        What each costs by itself: for how far from the stop's point of the great circle it lies,
        and how far before or after it.
    start, end : int
        Places of the ends.
    """

    vectors: NDArray[np.float32]
    copies: NDArray[np.int64]
    artists: NDArray[np.int64]
    layers: list[NDArray[np.int64]]
    costs: list[NDArray[np.float64]]
    start: int
    end: int


def path_between(
    recommender: Recommender,
    start: SupportsIndex | str | bytes,
    end: SupportsIndex | str | bytes,
    steps: SupportsIndex,
    *,
    where: Where | None = None,
) -> Playlist:
    """The tracks that lead from one to another in even strides.

    Parameters
    ----------
    start, end : int, str or bytes
        Tracks, as `Recommender.track` takes them; a filter does not bind them.
    steps : int
        How many strides: 8 steps go over 7 tracks between the two.
    where : Where, optional
        Which tracks may lie between.

    Returns
    -------
    Journey
        steps + 1 stops; `strides` and `evenness` say how well it went.

    Raises
    ------
    UnknownTrack, AmbiguousTrack, InvalidOption
    QueryError
        The library, or what the filter keeps of it, has too few recordings between.
    """
    count = whole_number(steps, "the number of steps")
    ends = [present(recommender.track(one)) for one in (start, end)]
    title = f"from {display_name(ends[0])} to {display_name(ends[1])}"
    if ends[0].id == ends[1].id:
        if count != 0:
            raise InvalidOption(
                f"the path begins and ends at track {ends[0].id} ({display_name(ends[0])}): "
                "`soundalike station` plays what is around it"
            )
    elif not 1 <= count <= MAX_STEPS:
        raise InvalidOption(
            f"{count} steps were asked for from one track to another: take 1 to {MAX_STEPS}"
        )
    vectors = recommender.vectors([one.id for one in ends])
    if count < 2:
        ends = ends[: count + 1]
        return Playlist.along(title, ends, vectors[: count + 1], vectors[:1])
    points = slerp(vectors[0], vectors[1], np.arange(1, count) / count)
    kept = len(np.setdiff1d(recommender.ids(where), [one.id for one in ends]))
    width = WIDTH + 2 * count
    while True:
        candidates, field = _field(recommender, ends, vectors, points, width, where)
        places = _chain(field) if all(map(len, field.layers)) else None
        if places is not None:
            places = _smoothed(field, places)
            tracks = [candidates.tracks[place] for place in places]
            return Playlist.along(title, tracks, field.vectors[places], vectors[:1])
        if width >= kept + len(ends):
            raise QueryError(
                f"a path of {count} steps goes over "
                f"{count_noun(count - 1, 'recording')} between its "
                f"ends, and {seed_label(where)} too few ({kept} tracks): take fewer steps"
            )
        width *= 4


def slerp(
    start: NDArray[np.float32], end: NDArray[np.float32], shares: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Unit vectors (n, dim) that divide the arc between two of them (dim,) at shares of it.

    Vectors that point the same way have no arc; opposite ones have many, and one is taken.
    """
    one, other = start.astype(np.float64), end.astype(np.float64)
    cosine = float(np.clip(one @ other, -1.0, 1.0))
    across = other - cosine * one
    if np.linalg.norm(across) < 1e-6:
        across = np.zeros_like(one)
        across[np.argmin(np.abs(one))] = 1.0
        across -= (across @ one) * one
    across /= np.linalg.norm(across)
    angles = np.arccos(cosine) * shares[:, np.newaxis]
    arc: NDArray[np.float64] = np.cos(angles) * one + np.sin(angles) * across
    return arc.astype(np.float32)


def _field(
    recommender: Recommender,
    ends: Sequence[Track],
    vectors: NDArray[np.float32],
    points: NDArray[np.float32],
    width: int,
    where: Where | None,
) -> tuple[PlaylistCandidates, _Field]:
    found, cosines = recommender.nearest(points, width, where=where)
    ids = np.array([one.id for one in ends])
    usable = (found >= 0) & ~np.isin(found, ids)
    # The ends come first, so that a copy of an end has the end's place as its number.
    others = np.unique(found[usable])
    between = PlaylistCandidates.of(recommender, others)
    candidates = PlaylistCandidates(
        [*ends, *between.tracks], np.concatenate([vectors, between.vectors])
    )
    names = candidates.artists
    numbers = {artist: number for number, artist in enumerate(dict.fromkeys(names)) if artist}
    copies = group_heads(
        candidates.vectors,
        TrackFacts.of(candidates.tracks),
        median_random_cosine=recommender.median_random_cosine,
    )
    along, wanted = (_shares(some, *vectors) for some in (candidates.vectors, points))
    steps = len(points) + 1
    layers, costs = [], []
    for row, cosine, use, share in zip(found, cosines, usable, wanted, strict=True):
        places = np.searchsorted(others, row[use]) + len(ends)
        # Of several copies the nearest to the point stands for all.
        _, first = np.unique(copies[places], return_index=True)
        first = first[~np.isin(copies[places[first]], copies[: len(ends)])]
        first.sort()
        layers.append(places[first])
        strayed = steps * (along[places[first]] - share)
        costs.append(NEARNESS * (1 - cosine[use][first]) ** 2 + PROGRESS * strayed**2)
    return candidates, _Field(
        candidates.vectors,
        copies,
        np.array([numbers[artist] if artist else -1 for artist in names]),
        layers,
        costs,
        start=0,
        end=1,
    )


def _shares(
    vectors: NDArray[np.float32], start: NDArray[np.float32], end: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far vectors (c, dim) have left the start for the end: 0 there, 1 here.

    By the difference of the two cosines. What is unlike both is half way.
    """
    across = end - start
    length = float(across @ across)
    if length < 1e-6:
        return np.zeros(len(vectors), np.float32)
    return ((vectors @ across - start @ across) / length).astype(np.float32)


def _chain(field: _Field) -> list[int] | None:
    """Places of the cheapest chain of stops, ends included; None when there is none."""
    last = np.array([field.start])
    cost = np.zeros(1)
    ways = np.array([[field.start]])
    for layer, own in zip(field.layers, field.costs, strict=True):
        total = cost[:, np.newaxis] + (1 - field.vectors[last] @ field.vectors[layer].T) ** 2
        total += own
        used = field.copies[ways]
        total[(used[:, :, np.newaxis] == field.copies[layer]).any(axis=1)] = np.inf
        total += SAME_ARTIST * _repeats(field, ways, layer)
        before = np.argmin(total, axis=0)
        cost = total[before, np.arange(len(layer))]
        alive = np.isfinite(cost)
        if not alive.any():
            return None
        last, cost = layer[alive], cost[alive]
        ways = np.column_stack([ways[before[alive]], last])
    final = cost + (1 - field.vectors[last] @ field.vectors[field.end]) ** 2
    return [*ways[np.argmin(final)].tolist(), field.end]


def _repeats(field: _Field, ways: NDArray[np.int64], layer: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which candidates (m,) are by an artist that a way (w, n), or the end, has had: (w, m)."""
    had = np.column_stack([field.artists[ways], np.full(len(ways), field.artists[field.end])])
    artists = field.artists[layer]
    again: NDArray[np.bool_] = (had[:, :, np.newaxis] == artists).any(axis=1) & (artists >= 0)
    return again


def _smoothed(field: _Field, places: list[int]) -> list[int]:
    """Exchange stops one at a time, as long as that helps."""
    way = np.array(places)
    for _ in range(_SWEEPS):
        before = way.copy()
        for stop, (layer, own) in enumerate(zip(field.layers, field.costs, strict=True), start=1):
            others = np.delete(way, stop)
            free = ~np.isin(field.copies[layer], field.copies[others])
            again = _repeats(field, others[np.newaxis], layer)[0]
            strides = 1 - np.einsum("nd,nd->n", field.vectors[way[:-1]], field.vectors[way[1:]])
            now = np.repeat(strides[np.newaxis].astype(np.float64), len(layer), axis=0)
            here = field.vectors[layer]
            now[:, stop - 1] = 1 - here @ field.vectors[way[stop - 1]]
            now[:, stop] = 1 - here @ field.vectors[way[stop + 1]]
            cost = now.mean(axis=1) ** 2 + EVENNESS * now.var(axis=1)
            cost += own / len(field.layers) + SAME_ARTIST * again
            cost[~free] = np.inf
            best = layer[np.argmin(cost)]
            (held,) = np.nonzero(layer == way[stop])
            # Ties stay as they are, or two sweeps could exchange them for ever.
            if cost.min() < (cost[held[0]] if len(held) else np.inf) - 1e-12:
                way[stop] = best
        if (way == before).all():
            break
    smoothed: list[int] = way.tolist()
    return smoothed
