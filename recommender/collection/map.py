"""A library in two dimensions: what sounds alike lies together.

The embeddings are reduced to 30 principal components and laid out by t-SNE (van der Maaten &
Hinton 2008; Barnes-Hut, 2014) from scikit-learn, begun from the first two components, so that also
far distances mean something (Kobak & Berens 2019). Of more than `LANDMARKS` tracks so many drawn
ones are laid out, and each other one is placed among those of them that it sounds most like, so
that a library of any size takes as long as one of `LANDMARKS` and a matrix product.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.collection.clusters import find_clusters
from recommender.genres.labels import artist_key, merge_spellings
from recommender.retrieval.genre_names import split_genres
from recommender.retrieval.lookup import count_noun, display_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.engine import Recommender

KINDS = ("genre", "cluster", "artist")
"""What a map can be coloured by."""
LANDMARKS = 5_000
FEWEST = 3
"""A map of fewer tracks says nothing."""
NO_GROUP = -1

_COMPONENTS = 30
_PERPLEXITY = 30.0
_STEPS = 500
_NEAREST = 3
# Weights fall with this power of the distance: a track lies next to the landmark that it is like,
# and not halfway between places that have nothing to do with each other.
_FALL = 16.0
_BLOCK = 2_000


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
        Place in `names` of each track's group; `NO_GROUP` where it has none.
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
    """Where each track lies.

    Attributes
    ----------
    ids : int64 (n,)
    names : tuple of str
    places : float32 (n, 2)
        From -1 to 1; the axes have no unit.
    grouping : Grouping
    landmarks : int
        How many tracks were laid out; the others were placed among them.
    """

    ids: NDArray[np.int64]
    names: tuple[str, ...]
    places: NDArray[np.float32]
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
                    "name": said,
                    "x": round(x, 4),
                    "y": round(y, 4),
                    "group": None if group < 0 else groups.names[group],
                }
                for track_id, said, (x, y), group in zip(
                    self.ids.tolist(),
                    self.names,
                    self.places.tolist(),
                    groups.group_of.tolist(),
                    strict=True,
                )
            ],
        }


def map_library(recommender: Recommender, *, by: str | None = None, seed: int = 0) -> LibraryMap:
    """Lay out all tracks of a library.

    Parameters
    ----------
    by : str, optional
        One of `KINDS`. Without, the genre where at least half of the tracks name one, else the
        cluster.
    seed : int
        The same library and seed give the same map.

    Raises
    ------
    InvalidOption
        There is no such kind.
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
    grouping = group_tracks(recommender, tracks, by or "genre", seed=seed)
    if by is None and 2 * (grouping.group_of >= 0).sum() < len(ids):
        grouping = group_tracks(recommender, tracks, "cluster", seed=seed)
    return LibraryMap(
        ids,
        tuple(display_name(track) for track in tracks),
        lay_out(vectors, seed=seed),
        grouping,
        min(len(ids), LANDMARKS),
    )


def group_tracks(
    recommender: Recommender, tracks: Sequence[Track], kind: str, *, seed: int = 0
) -> Grouping:
    """Group present tracks, in ascending order of their ids, by genre, cluster or artist.

    A track of several genres counts for the first one it names.
    """
    if kind == "cluster":
        found = find_clusters(recommender, seed=seed)
        cluster_of = {track: one.name for one in found.clusters for track in one.ids}
        return _grouping(kind, [cluster_of.get(track.id, "") for track in tracks])
    if kind == "genre":
        genres = merge_spellings([split_genres(track.genre) for track in tracks])
        return _grouping(kind, [one[0] if one else "" for one in genres])
    keys = [artist_key(track.artist) if track.artist else "" for track in tracks]
    said: dict[str, str] = {}
    for key, track in zip(keys, tracks, strict=True):
        said.setdefault(key, track.artist or "")
    return _grouping(kind, [said[key] if key else "" for key in keys])


def lay_out(vectors: NDArray[np.float32], *, seed: int = 0) -> NDArray[np.float32]:
    """Places (n, 2) between -1 and 1 of unit vectors (n, dim), n at least 2."""
    from sklearn.decomposition import PCA

    count = len(vectors)
    rng = np.random.default_rng(seed)
    drawn = np.arange(count)
    if count > LANDMARKS:
        drawn = np.sort(rng.choice(count, LANDMARKS, replace=False))
    components = min(_COMPONENTS, len(drawn), vectors.shape[1])
    with np.errstate(invalid="ignore"):
        # Tracks that are all the same have no variance to divide by.
        reduction = PCA(components, svd_solver="full").fit(vectors[drawn])
    points = reduction.transform(vectors).astype(np.float32)
    places = np.empty((count, 2), dtype=np.float32)
    places[drawn] = _tsne(points[drawn], rng, seed)
    others = np.setdiff1d(np.arange(count), drawn, assume_unique=True)
    for start in range(0, len(others), _BLOCK):
        block = others[start : start + _BLOCK]
        places[block] = _among(points[block], points[drawn], places[drawn])
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    return np.asarray(places / max(float(np.abs(places).max()), 1e-12), dtype=np.float32)


def _grouping(kind: str, labels: Sequence[str]) -> Grouping:
    counts = Counter(label for label in labels if label)
    names = sorted(counts, key=lambda label: (-counts[label], label.casefold(), label))
    place = {label: number for number, label in enumerate(names)}
    group_of = np.array([place.get(label, NO_GROUP) for label in labels], dtype=np.int64)
    return Grouping(kind, tuple(names), group_of)


def _tsne(points: NDArray[np.float32], rng: np.random.Generator, seed: int) -> NDArray[np.float32]:
    """Places (n, 2) of landmarks (n, components)."""
    from sklearn.manifold import TSNE

    start = np.zeros((len(points), 2))
    flat = points[:, :2]
    start[:, : flat.shape[1]] = flat / max(float(flat.std()), 1e-6)
    # Tracks that are the same would never come apart.
    start = 1e-4 * (start + 0.01 * rng.standard_normal(start.shape))
    if len(points) < 10:
        return start.astype(np.float32)
    found: NDArray[np.float32] = TSNE(
        perplexity=min(_PERPLEXITY, (len(points) - 1) / 3),
        init=start.astype(np.float32),
        max_iter=_STEPS,
        random_state=seed,
    ).fit_transform(points)
    return found


def _among(
    points: NDArray[np.float32], landmarks: NDArray[np.float32], places: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Where points lie among landmarks: mean of the nearest ones' places, the nearest counting."""
    squares = (
        (points**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * points @ landmarks.T
    )
    nearest = np.argpartition(squares, _NEAREST - 1, axis=1)[:, :_NEAREST]
    apart = np.maximum(np.take_along_axis(squares, nearest, axis=1), 1e-9)
    weights = (apart.min(axis=1, keepdims=True) / apart) ** (_FALL / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((places[nearest] * weights[..., None]).sum(axis=1), dtype=np.float32)
