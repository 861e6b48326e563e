"""A library in two dimensions: what sounds alike lies together.

The embeddings are reduced to 30 principal components and laid out by t-SNE (van der Maaten &
Hinton 2008; Barnes-Hut, 2014) from scikit-learn, begun from the first two components, so that also
far distances mean something (Kobak & Berens 2019). Of a large library `LANDMARKS` tracks drawn at
random are laid out, and each other track lies among the landmarks nearest to it, so that a library
of any size takes as long as one of `LANDMARKS` tracks and a matrix product. The map is turned so
that it fills a rectangle wider than it is high.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.collection.clusters import find_clusters, sample_rows
from recommender.collection.core_count import count_cores
from recommender.genres.labels import merge_spellings
from recommender.retrieval.lookup import count_noun, display_name
from recommender.retrieval.names import artist_key, split_genres

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender

KINDS = ("genre", "cluster", "artist")
"""What a map can be coloured by."""
LANDMARKS = 5_000
"""Tracks that t-SNE lays out."""
FEWEST = 3
"""Tracks that a map needs."""
NO_GROUP = -1

_COMPONENTS = 30
_PERPLEXITY = 30.0
_STEPS = 500
_NEAREST = 3
# Weights fall with this power of the distance: a track lies next to its nearest landmark, and not
# halfway between landmarks that are far apart.
_FALL = 16.0
_TURNS = np.radians(np.arange(0.0, 180.0, 3.0))


@dataclass(frozen=True, eq=False)
class Grouping:
    """Tracks by genre, cluster or artist.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    names : tuple of str
        Largest group first, equal ones by alphabet.
    group_of : int64 (n,)
        Index in `names` of each track's group; `NO_GROUP` where it has none.
    """

    kind: str
    names: tuple[str, ...]
    group_of: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tracks of each group."""
        return np.bincount(self.group_of[self.group_of >= 0], minlength=len(self.names))


@dataclass(frozen=True, eq=False)
class LibraryMap:
    """Coordinates of each track.

    Attributes
    ----------
    ids : int64 (n,)
    names : tuple of str
        Artist and title.
    xy : float32 (n, 2)
        From -1 to 1; the axes have no unit.
    grouping : Grouping
    landmarks : int
        How many tracks were laid out; the others lie among them.
    """

    ids: NDArray[np.int64]
    names: tuple[str, ...]
    xy: NDArray[np.float32]
    grouping: Grouping
    landmarks: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        groups = self.grouping
        return {
            "by": groups.kind,
            "landmarks": self.landmarks,
            "groups": [
                {"name": group, "tracks": int(size)}
                for group, size in zip(groups.names, groups.sizes, strict=True)
            ],
            "tracks": [
                {
                    "id": track_id,
                    "name": name,
                    "x": round(x, 4),
                    "y": round(y, 4),
                    "group": None if group < 0 else groups.names[group],
                }
                for track_id, name, (x, y), group in zip(
                    self.ids.tolist(),
                    self.names,
                    self.xy.tolist(),
                    groups.group_of.tolist(),
                    strict=True,
                )
            ],
        }


def map_library(
    recommender: Recommender, *, by: str | None = None, random_state: int = 0
) -> LibraryMap:
    """The map of a library.

    Parameters
    ----------
    by : str, optional
        One of `KINDS`; by default the genre where at least half of the tracks have one, else the
        cluster.
    random_state : int
        Of all that is random: the same library and seed give the same map.

    Raises
    ------
    InvalidOption
        `by` is not one of `KINDS`.
    QueryError
        The catalog holds fewer than `FEWEST` tracks.
    """
    if by is not None and by not in KINDS:
        raise InvalidOption(f"a map is not coloured by {by}: take {', '.join(KINDS)}")
    ids = recommender.ids()
    vectors = recommender.vectors(ids)
    if len(ids) < FEWEST:
        raise QueryError(
            f"the catalog holds {count_noun(len(ids), 'track')}: a map needs at least {FEWEST}"
        )
    tracks = recommender.tracks(ids)
    grouping = group_tracks(recommender, tracks, by or "genre", random_state=random_state)
    if by is None and 2 * (grouping.group_of >= 0).sum() < len(ids):
        grouping = group_tracks(recommender, tracks, "cluster", random_state=random_state)
    return LibraryMap(
        ids,
        tuple(display_name(track) for track in tracks),
        lay_out(vectors, random_state=random_state),
        grouping,
        min(len(ids), LANDMARKS),
    )


def group_tracks(
    recommender: Recommender, tracks: Sequence[Track], kind: str, *, random_state: int = 0
) -> Grouping:
    """The genre, cluster or artist of each of all tracks, in ascending order of their ids.

    Of a track with several genres the first counts.
    """
    if kind == "cluster":
        found = find_clusters(recommender, random_state=random_state)
        cluster_of = {track: one.name for one in found.clusters for track in one.ids}
        return _grouping(kind, [cluster_of.get(track.id, "") for track in tracks])
    if kind == "genre":
        genres = merge_spellings([split_genres(track.genre) for track in tracks])
        return _grouping(kind, [one[0] if one else "" for one in genres])
    keys = [artist_key(track.artist) or "" for track in tracks]
    spelling: dict[str, str] = {}
    for key, track in zip(keys, tracks, strict=True):
        spelling.setdefault(key, track.artist or "")
    return _grouping(kind, [spelling[key] if key else "" for key in keys])


def lay_out(
    vectors: NDArray[np.float32], *, landmarks: int = LANDMARKS, random_state: int = 0
) -> NDArray[np.float32]:
    """Coordinates between -1 and 1 of unit vectors, in which similar vectors are near.

    Parameters
    ----------
    vectors : float32 (n, dim), n at least 2
    landmarks : int
        Vectors that t-SNE lays out; of more so many are drawn.

    Returns
    -------
    float32 (n, 2)
        The first axis, x, spans at least as much as the second.
    """
    from sklearn.decomposition import PCA

    count = len(vectors)
    drawn = sample_rows(count, landmarks, random_state=random_state)
    components = min(_COMPONENTS, len(drawn), vectors.shape[1])
    with np.errstate(invalid="ignore"):
        # Tracks that are all the same have no variance to divide by.
        reduction = PCA(components, svd_solver="full").fit(vectors[drawn])
    points = reduction.transform(vectors).astype(np.float32)
    xy = np.empty((count, 2), dtype=np.float32)
    xy[drawn] = _tsne(points[drawn], random_state)
    others = np.setdiff1d(np.arange(count), drawn, assume_unique=True)
    if len(others):
        xy[others] = _interpolate(points[others], points[drawn], xy[drawn])
    xy = _turn(xy)
    xy -= (xy.max(axis=0) + xy.min(axis=0)) / 2
    return np.asarray(xy / max(float(np.abs(xy).max()), 1e-12), dtype=np.float32)


def _grouping(kind: str, labels: Sequence[str]) -> Grouping:
    counts = Counter(label for label in labels if label)
    names = sorted(counts, key=lambda label: (-counts[label], label.casefold(), label))
    number_of = {label: number for number, label in enumerate(names)}
    group_of = np.array([number_of.get(label, NO_GROUP) for label in labels], dtype=np.int64)
    return Grouping(kind, tuple(names), group_of)


def _tsne(points: NDArray[np.float32], random_state: int) -> NDArray[np.float32]:
    """Coordinates (n, 2) of landmarks (n, components)."""
    from sklearn.manifold import TSNE

    start = np.zeros((len(points), 2))
    flat = points[:, :2]
    start[:, : flat.shape[1]] = flat / max(float(flat.std()), 1e-6)
    # Tracks that are the same would never come apart.
    noise = np.random.default_rng(random_state).standard_normal(start.shape)
    start = 1e-4 * (start + 0.01 * noise)
    if len(points) < 10:
        return start.astype(np.float32)
    count_cores()
    found: NDArray[np.float32] = TSNE(
        perplexity=min(_PERPLEXITY, (len(points) - 1) / 3),
        init=start.astype(np.float32),
        max_iter=_STEPS,
        random_state=random_state,
    ).fit_transform(points)
    return found


def _interpolate(
    points: NDArray[np.float32], landmarks: NDArray[np.float32], xy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Coordinates of points among landmarks: the weighted mean of those of the nearest."""
    from sklearn.neighbors import KNeighborsRegressor

    def weigh(distances: NDArray[np.float32]) -> NDArray[np.float32]:
        apart = np.maximum(distances, 1e-5)
        return np.asarray((apart.min(axis=1, keepdims=True) / apart) ** _FALL)

    model = KNeighborsRegressor(_NEAREST, weights=weigh, algorithm="brute").fit(landmarks, xy)
    return np.asarray(model.predict(points), dtype=np.float32)


def _turn(xy: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map turned so that the rectangle around it is smallest, and not higher than wide."""
    cosines, sines = np.cos(_TURNS), np.sin(_TURNS)
    x = np.outer(xy[:, 0], cosines) - np.outer(xy[:, 1], sines)
    y = np.outer(xy[:, 0], sines) + np.outer(xy[:, 1], cosines)
    wide, high = np.ptp(x, axis=0), np.ptp(y, axis=0)
    best = int(np.where(wide >= high, wide * high, np.inf).argmin())
    return np.stack([x[:, best], y[:, best]], axis=1).astype(np.float32)
