"""A path from one track to another: exactly n steps, as even as the library allows.

The points that divide the great circle between the two embeddings into n equal arcs (Shoemake's
slerp, SIGGRAPH 1985) get the library's nearest tracks as candidates. The cheapest chain through
one candidate a point is found by dynamic programming (Viterbi), each survivor keeping what it has
used, so that no track, near-duplicate or, where it can be avoided, artist comes twice. Then one
entry at a time is exchanged as long as that lowers

    mean(step)^2 + EVENNESS variance(step)
        + mean(NEARNESS (distance to its point)^2 + PROGRESS (steps from where it should be)^2
               - STEERING (what words that steer add))

with step = 1 - cosine of neighbours: even steps, short ones, near the great circle, and onwards.
With words (see `recommender.retrieval.words.steering`), the candidates are those they choose.
Far from the great circle, where a small library has most of its tracks, even steps alone can be
had by going to and fro.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from indexer.errors import InvalidOption, QueryError, UnknownTrack
from indexer.filesystem import display_path
from recommender.playlists.playlist import Playlist, PlaylistCandidates, filter_label
from recommender.retrieval.lookup import count_noun, display_name, whole_number
from recommender.retrieval.near_duplicates import TrackFacts, group_heads, label_ids
from recommender.retrieval.words.steering import steering_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.retrieval.lookup import TrackOrFile
    from recommender.retrieval.where import Where
    from recommender.retrieval.words.steering import Texts
    from recommender.retrieval.words.vocabulary import Word

MAX_STEPS = 200
WIDTH = 64
"""Candidates for each point, at least; more where a path has more steps."""
EVENNESS = 15.0
"""The longest of 8 steps is 1.28 times the mean; at 50 1.20, but between tracks that are near
each other all of them are long then."""
NEARNESS = 0.1
PROGRESS = 0.2
"""Without it 16 % of 8 steps between tracks of a real library led back, with it 1 %."""
STEERING = 0.4
"""The largest, doubled from 0.05 on, that adds at most 0.05 to the evenness: 25 paths of 8 steps in
half of a development set, with "sad" and "energetic"."""
SAME_ARTIST = 1.0
"""What an artist's second track costs: more than any step, so that it comes only of need."""
_SWEEPS = 30


@dataclass(frozen=True)
class _Trellis:
    """The candidates that a path may go through, and what each costs by itself.

    Attributes
    ----------
    vectors : float32 (c, dim)
    groups, artists : int (c,)
        Near-duplicates, or tracks of one artist, have one number; -1 is an unknown artist.
    layers : list of int (m,)
        For each entry between the ends the rows of its candidates.
    costs : list of float64 (m,)
        For how far from the entry's point of the great circle each lies, how far before or after
        it, and how badly words fit it.
    start, end : int
        Rows of the ends.
    """

    vectors: NDArray[np.float32]
    groups: NDArray[np.int64]
    artists: NDArray[np.int64]
    layers: list[NDArray[np.int64]]
    costs: list[NDArray[np.float64]]
    start: int
    end: int


def path_between(
    recommender: Recommender,
    start: TrackOrFile,
    end: TrackOrFile,
    steps: SupportsIndex,
    *,
    where: Where | None = None,
    more: Texts = (),
    less: Texts = (),
) -> Playlist:
    """A playlist that leads from one track to another in even steps.

    Parameters
    ----------
    start, end : int, str, bytes or path
        Tracks, named by id, key, path or words; a filter does not bind them.
    steps : int
        8 steps go over 7 tracks between the two.
    where : Where, optional
        Which tracks may lie between.
    more, less : str or iterable of str
        Words that the tracks between are to fit more or less: "calmer", "piano".

    Returns
    -------
    Playlist
        steps + 1 entries; `Playlist.steps` and `evenness` say how even it is.

    Raises
    ------
    UnknownTrack
        An end is no present track of the catalog.
    AmbiguousTrack, InvalidOption
    QueryError
        The library, or what the filter keeps of it, has too few recordings between; or a word is
        not known.
    """
    count = whole_number(steps, "the number of steps")
    ends = [_end(recommender, one) for one in (start, end)]
    words = recommender.steering(more, less)
    title = steering_title(f"from {display_name(ends[0])} to {display_name(ends[1])}", words)
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
        between = recommender.explain_words(words, ends)
        return Playlist.along(title, ends, vectors[: count + 1], vectors[:1], words=between)
    points = slerp(vectors[0], vectors[1], np.arange(1, count) / count)
    kept = len(np.setdiff1d(recommender.ids(where), [one.id for one in ends]))
    width = WIDTH + 2 * count
    while True:
        candidates, trellis = _trellis(recommender, ends, vectors, points, width, where, words)
        rows = _cheapest_chain(trellis) if all(map(len, trellis.layers)) else None
        if rows is not None:
            rows = _smooth(trellis, rows)
            tracks = [candidates.tracks[row] for row in rows]
            shifts = recommender.explain_words(words, tracks)
            return Playlist.along(title, tracks, trellis.vectors[rows], vectors[:1], words=shifts)
        if width >= kept + len(ends):
            raise QueryError(
                f"a path of {count} steps goes over "
                f"{count_noun(count - 1, 'recording')} between its "
                f"ends, and {filter_label(where)} too few ({kept} tracks): take fewer steps"
            )
        width *= 4


def _end(recommender: Recommender, query: TrackOrFile) -> Track:
    found = recommender.resolve(query)
    if isinstance(found, bytes):
        raise UnknownTrack(
            f"{display_path(found)} is not in the catalog: `soundalike add` puts it in"
        )
    return found


def slerp(
    start: NDArray[np.float32], end: NDArray[np.float32], shares: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Unit vectors (n, dim) on the arc between two unit vectors (dim,), at shares (n,) of it.

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


def _trellis(
    recommender: Recommender,
    ends: Sequence[Track],
    vectors: NDArray[np.float32],
    points: NDArray[np.float32],
    width: int,
    where: Where | None,
    words: Sequence[Word],
) -> tuple[PlaylistCandidates, _Trellis]:
    found, cosines = recommender.nearest(points, width, where=where, words=words)
    ids = np.array([one.id for one in ends])
    usable = (found >= 0) & ~np.isin(found, ids)
    # The ends come first, so that a near-duplicate of an end has the end's row as its number.
    others = np.unique(found[usable])
    between = PlaylistCandidates.of(recommender, others)
    candidates = PlaylistCandidates(
        [*ends, *between.tracks], np.concatenate([vectors, between.vectors])
    )
    groups = group_heads(
        candidates.vectors,
        TrackFacts.of(candidates.tracks),
        median_random_cosine=recommender.median_random_cosine,
    )
    along, wanted = (_shares(some, *vectors) for some in (candidates.vectors, points))
    shifts = recommender.word_shifts(words, candidates.ids)
    steps = len(points) + 1
    layers, costs = [], []
    for row, cosine, use, share in zip(found, cosines, usable, wanted, strict=True):
        rows = np.searchsorted(others, row[use]) + len(ends)
        # Of several near-duplicates the nearest to the point stands for all.
        _, first = np.unique(groups[rows], return_index=True)
        first = first[~np.isin(groups[rows[first]], groups[: len(ends)])]
        first.sort()
        layers.append(rows[first])
        strayed = steps * (along[rows[first]] - share)
        costs.append(
            NEARNESS * (1 - cosine[use][first]) ** 2
            + PROGRESS * strayed**2
            - STEERING * shifts[rows[first]]
        )
    return candidates, _Trellis(
        candidates.vectors,
        groups,
        label_ids(candidates.artists),
        layers,
        costs,
        start=0,
        end=1,
    )


def _shares(
    vectors: NDArray[np.float32], start: NDArray[np.float32], end: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far along vectors (c, dim) lie, (c,): 0 at the start, 1 at the end.

    By the difference of the cosines to both; what is unlike both lies half way.
    """
    across = end - start
    length = float(across @ across)
    if length < 1e-6:
        return np.zeros(len(vectors), np.float32)
    return ((vectors @ across - start @ across) / length).astype(np.float32)


def _cheapest_chain(trellis: _Trellis) -> list[int] | None:
    """Rows of the cheapest chain, ends included; None when there is none."""
    last = np.array([trellis.start])
    cost = np.zeros(1)
    chains = np.array([[trellis.start]])
    for layer, own in zip(trellis.layers, trellis.costs, strict=True):
        total = cost[:, np.newaxis] + (1 - trellis.vectors[last] @ trellis.vectors[layer].T) ** 2
        total += own
        used = trellis.groups[chains]
        total[(used[:, :, np.newaxis] == trellis.groups[layer]).any(axis=1)] = np.inf
        total += SAME_ARTIST * _repeats(trellis, chains, layer)
        before = np.argmin(total, axis=0)
        cost = total[before, np.arange(len(layer))]
        alive = np.isfinite(cost)
        if not alive.any():
            return None
        last, cost = layer[alive], cost[alive]
        chains = np.column_stack([chains[before[alive]], last])
    final = cost + (1 - trellis.vectors[last] @ trellis.vectors[trellis.end]) ** 2
    return [*chains[np.argmin(final)].tolist(), trellis.end]


def _repeats(
    trellis: _Trellis, chains: NDArray[np.int64], layer: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which candidates (m,) are by an artist that a chain (w, n), or the end, has had, (w, m)."""
    had = np.column_stack(
        [trellis.artists[chains], np.full(len(chains), trellis.artists[trellis.end])]
    )
    artists = trellis.artists[layer]
    again: NDArray[np.bool_] = (had[:, :, np.newaxis] == artists).any(axis=1) & (artists >= 0)
    return again


def _smooth(trellis: _Trellis, rows: list[int]) -> list[int]:
    """Exchange entries one at a time, as long as that helps; the rows of the path."""
    path = np.array(rows)
    for _ in range(_SWEEPS):
        before = path.copy()
        for position, (layer, own) in enumerate(
            zip(trellis.layers, trellis.costs, strict=True), start=1
        ):
            others = np.delete(path, position)
            free = ~np.isin(trellis.groups[layer], trellis.groups[others])
            again = _repeats(trellis, others[np.newaxis], layer)[0]
            steps = 1 - np.einsum("nd,nd->n", trellis.vectors[path[:-1]], trellis.vectors[path[1:]])
            now = np.repeat(steps[np.newaxis].astype(np.float64), len(layer), axis=0)
            here = trellis.vectors[layer]
            now[:, position - 1] = 1 - here @ trellis.vectors[path[position - 1]]
            now[:, position] = 1 - here @ trellis.vectors[path[position + 1]]
            cost = now.mean(axis=1) ** 2 + EVENNESS * now.var(axis=1)
            cost += own / len(trellis.layers) + SAME_ARTIST * again
            cost[~free] = np.inf
            best = layer[np.argmin(cost)]
            (held,) = np.nonzero(layer == path[position])
            # Ties stay as they are, or two sweeps could exchange them for ever.
            if cost.min() < (cost[held[0]] if len(held) else np.inf) - 1e-12:
                path[position] = best
        if (path == before).all():
            break
    smoothed: list[int] = path.tolist()
    return smoothed
