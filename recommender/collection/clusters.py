"""Groups of tracks that sound alike, found without labels, and named by what sets them apart.

*k-means* on the unit embeddings puts every track into one of k groups. Where k is not given, the
one with the best silhouette (Rousseeuw 1987) is taken, from about the fourth root of the library
upwards: silhouettes of music fall steadily, and two halves of a library say little about it.

*HDBSCAN* (Campello, Moulavi & Sander 2013) on the first 10 principal components finds dense
regions only, and leaves the tracks between them as noise.

Of more than 20,000 tracks so many are clustered, drawn at random. Each other track joins the
cluster of the nearest centre, or with HDBSCAN of its nearest drawn one.

A cluster is named by its distinctive tags (`tag_profile`) and shown by its most central tracks. The
same library and seed give the same clusters under the same names, the largest first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from indexer.errors import InvalidOption
from indexer.vectors.unit_vectors import unit_rows
from recommender.collection.core_count import count_cores
from recommender.genres.tag_profile import GroupTag, characteristic_tags, library_tags, mean_tags
from recommender.retrieval.lookup import display_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from recommender.engine import Recommender
    from recommender.retrieval.where import Where

Vectors: TypeAlias = "NDArray[np.float32]"
Follow: TypeAlias = "Callable[[Vectors], NDArray[np.int64]]"
Method: TypeAlias = "Callable[..., tuple[NDArray[np.int64], Follow]]"

METHODS = ("kmeans", "hdbscan")
MOST_CLUSTERS = 30
"""Largest k tried when k is chosen."""
MOST_CLUSTERED = 20_000
"""Of more tracks so many are clustered, drawn at random, and the others follow them."""
NOISE = -1

_CENTRAL = 5
_TAGS = 8
_IN_A_NAME = 2
_SILHOUETTE_TRACKS = 2_000
_CHOICE_TRACKS = 5_000
_STARTS = 4
_COMPONENTS = 10
_TRACKS_A_CENTRE = 40
_BLOCK = 10_000
_STEM = 5


@dataclass(frozen=True)
class CentralTrack:
    """A track with the cosine between it and the centre of its cluster."""

    id: int
    name: str
    cosine: float


@dataclass(frozen=True)
class Cluster:
    """Tracks that sound alike.

    Attributes
    ----------
    number : int
        From 1, the largest cluster first.
    name : str
        Its most distinctive tags; no two clusters have the same.
    tags : tuple of GroupTag
        Most distinctive first.
    moods : tuple of GroupTag
        Those of its distinctive tags that name a mood.
    central : tuple of CentralTrack
    ids : tuple of int
        All its tracks, most central first.
    """

    number: int
    name: str
    tags: tuple[GroupTag, ...]
    moods: tuple[GroupTag, ...]
    central: tuple[CentralTrack, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Clusters:
    """The clusters of a library.

    Attributes
    ----------
    noise : tuple of int
        Tracks in none of them, ascending.
    silhouette : float or None
        Mean silhouette of the tracks in clusters, of up to 2,000; None of one cluster.
    """

    method: str
    clusters: tuple[Cluster, ...]
    noise: tuple[int, ...]
    silhouette: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def find_clusters(
    recommender: Recommender,
    *,
    method: str = "kmeans",
    count: int | None = None,
    where: Where | None = None,
    random_state: int = 0,
) -> Clusters:
    """Cluster the tracks of a library.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    count : int, optional
        How many clusters k-means shall make; without, chosen by silhouette.
    where : Where, optional
        Which tracks are clustered; their names still compare them with the whole library.

    Raises
    ------
    InvalidOption
        Another method, a count that HDBSCAN cannot take, fewer than 2, or more than tracks.
    QueryError
        The catalog holds no tracks.
    """
    if method not in METHODS:
        raise InvalidOption(f"there is no method {method}: take {' or '.join(METHODS)}")
    if method == "hdbscan" and count is not None:
        raise InvalidOption("HDBSCAN finds out itself how many clusters there are: leave count out")
    ids = recommender.ids(where)
    if count is not None and not 1 <= count <= len(ids):
        raise InvalidOption(f"{count} clusters of {len(ids)} tracks: ask for 1 to {len(ids)}")

    def vectors_of(rows: NDArray[np.int64]) -> Vectors:
        return recommender.vectors(ids[rows])

    labels = label_rows(
        vectors_of,
        len(ids),
        hdbscan if method == "hdbscan" else partial(kmeans, count=count, least=_least(len(ids))),
        most=max(MOST_CLUSTERED, _TRACKS_A_CENTRE * (count or 0)),
        random_state=random_state,
    )
    inside = np.flatnonzero(labels != NOISE)
    some = inside[sample_rows(len(inside), _SILHOUETTE_TRACKS, random_state=random_state)]
    return Clusters(
        method,
        _describe_clusters(recommender, ids, labels),
        tuple(ids[labels == NOISE].tolist()),
        silhouette(vectors_of(some), labels[some]),
    )


def label_rows(
    vectors_of: Callable[[NDArray[np.int64]], Vectors],
    count: int,
    method: Method,
    *,
    most: int = MOST_CLUSTERED,
    block: int = _BLOCK,
    random_state: int = 0,
) -> NDArray[np.int64]:
    """Number of the cluster of each row, from 0; `NOISE` for those in none.

    Parameters
    ----------
    vectors_of : function of row numbers
        Unit vectors (rows, dim).
    count : int
        How many rows there are.
    method : function of vectors
        `kmeans`, `hdbscan`.
    most : int
        Of more rows so many are clustered, and the others follow them.
    block : int
        Rows read at once where not all are clustered.
    """
    drawn = sample_rows(count, most, random_state=random_state)
    labels, follow = method(vectors_of(drawn), random_state=random_state)
    if len(drawn) == count:
        return labels
    rows = np.arange(count)
    return np.concatenate(
        [follow(vectors_of(rows[start : start + block])) for start in range(0, count, block)]
    )


def kmeans(
    vectors: Vectors, count: int | None = None, *, least: int = 0, random_state: int = 0
) -> tuple[NDArray[np.int64], Follow]:
    """Cluster unit vectors (n, dim) around `count` centres, by silhouette at least `least` if None.

    Returns
    -------
    int64 (n,), function of vectors
        Number of the cluster of each vector, from 0, and what numbers other vectors alike.
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    count_cores()
    k = count or _best_count(vectors, least or _least(len(vectors)), random_state=random_state)
    with warnings.catch_warnings():
        # Fewer different tracks than clusters: some stay empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(k, n_init=_STARTS, random_state=random_state).fit(vectors)

    def follow(others: Vectors) -> NDArray[np.int64]:
        return np.asarray(model.predict(others), dtype=np.int64)

    return np.asarray(model.labels_, dtype=np.int64), follow


def hdbscan(vectors: Vectors, *, random_state: int = 0) -> tuple[NDArray[np.int64], Follow]:
    """Cluster unit vectors (n, dim) where they are dense: as `kmeans`, `NOISE` for those in none.

    The smallest cluster has a third of the root of n tracks, but at least 3.
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier

    if len(vectors) < 4:
        noise = np.full(len(vectors), NOISE, dtype=np.int64)
        return noise, lambda others: np.full(len(others), NOISE, dtype=np.int64)
    components = min(_COMPONENTS, *vectors.shape)
    with np.errstate(invalid="ignore"):
        # Tracks that are all the same have no variance to divide by.
        reduction = PCA(components, random_state=random_state).fit(vectors)
    points = reduction.transform(vectors)
    smallest = max(3, int(len(vectors) ** 0.5 / 3))
    found: NDArray[np.int64] = HDBSCAN(
        min_cluster_size=smallest, min_samples=min(5, smallest), copy=True
    ).fit_predict(points)
    nearest = KNeighborsClassifier(1, algorithm="kd_tree").fit(points, found)

    def follow(others: Vectors) -> NDArray[np.int64]:
        return np.asarray(nearest.predict(reduction.transform(others)), dtype=np.int64)

    return found.astype(np.int64), follow


def silhouette(vectors: Vectors, labels: NDArray[np.int64]) -> float | None:
    """Mean silhouette of unit vectors (n, dim) in clusters; None where it is not defined."""
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    return round(float(silhouette_score(vectors, labels, metric="euclidean")), 4)


def _least(count: int) -> int:
    """Clusters of a library of so many tracks, at least."""
    fourth_root: int = round(count**0.25)
    return min(max(2, fourth_root), MOST_CLUSTERS)


def _best_count(vectors: Vectors, least: int, *, random_state: int) -> int:
    some = vectors[sample_rows(len(vectors), _CHOICE_TRACKS, random_state=random_state)]
    shown = sample_rows(len(some), _SILHOUETTE_TRACKS, random_state=random_state)
    scores: dict[int, float | None] = {
        count: silhouette(some[shown], kmeans(some, count, random_state=random_state)[0][shown])
        for count in range(least, min(MOST_CLUSTERS, len(some) // 3) + 1)
    }
    known = {count: score for count, score in scores.items() if score is not None}
    return max(known, key=lambda count: known[count]) if known else 1


def sample_rows(count: int, most: int, *, random_state: int) -> NDArray[np.int64]:
    """At most `most` of `count` row numbers, drawn at random, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(random_state).choice(count, most, replace=False))


def _describe_clusters(
    recommender: Recommender, ids: NDArray[np.int64], labels: NDArray[np.int64]
) -> tuple[Cluster, ...]:
    background = library_tags(recommender)
    tag_names = recommender.model.tag_names
    groups = [np.flatnonzero(labels == number) for number in np.unique(labels[labels != NOISE])]
    # Equal sizes in the order of their first track, so that names stay.
    groups.sort(key=lambda rows: (-len(rows), rows[0]))
    taken: set[str] = set()
    found = []
    for number, rows in enumerate(groups, start=1):
        cosines = _cosines_to_mean(recommender, ids[rows])
        order = np.argsort(-cosines, kind="stable")
        tags = characteristic_tags(mean_tags(recommender, ids[rows]), background, tag_names)
        central = order[:_CENTRAL]
        tracks = recommender.tracks(ids[rows[central]])
        found.append(
            Cluster(
                number,
                _name(tags, taken),
                tuple(tags[:_TAGS]),
                tuple(tag for tag in tags if tag.is_mood)[:_TAGS],
                tuple(
                    CentralTrack(track.id, display_name(track), round(float(cosine), 3))
                    for track, cosine in zip(tracks, cosines[central], strict=True)
                ),
                tuple(ids[rows[order]].tolist()),
            )
        )
    return tuple(found)


def _cosines_to_mean(recommender: Recommender, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Cosine between each of some tracks and the mean of all of them."""
    blocks = [ids[start : start + _BLOCK] for start in range(0, len(ids), _BLOCK)]
    total = sum(recommender.vectors(block).sum(axis=0, dtype=np.float64) for block in blocks)
    centre = unit_rows(np.atleast_2d(total / len(ids)))[0]
    return np.concatenate([recommender.vectors(block) @ centre for block in blocks])


def _name(tags: list[GroupTag], taken: set[str]) -> str:
    """Two tags, or more where a larger cluster has the same two; at last with a number."""
    words = _drop_shared_words([tag.tag for tag in tags]) or ["average"]
    least = min(_IN_A_NAME, len(words))
    options = [", ".join(words[:length]) for length in range(least, len(words) + 1)]
    options += [f"{', '.join(words[:_IN_A_NAME])} {number}" for number in range(1, len(taken) + 3)]
    fresh = next(option for option in options if option not in taken)
    taken.add(fresh)
    return fresh


def _drop_shared_words(words: list[str]) -> list[str]:
    """Tags that share no word with an earlier one: rock, but no indie rock."""
    kept: list[str] = []
    seen: set[str] = set()
    for words_of_tag, tag in ((word.casefold().split(), word) for word in words):
        stems = {word[:_STEM] for word in words_of_tag}
        if not stems & seen:
            kept.append(tag)
        seen |= stems
    return kept
