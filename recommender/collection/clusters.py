"""Groups of tracks that sound alike, found without labels, and named by what sets them apart.

*k-means* on the unit embeddings puts every track into one of k groups. Where k is not given, the
one with the best silhouette (Rousseeuw 1987) is taken, from about the fourth root of the library
upwards: silhouettes of music fall steadily, and two halves of a library say little about it.

*HDBSCAN* (Campello, Moulavi & Sander 2013) on the first 10 principal components finds dense
regions only, and leaves the tracks between them as noise. Of more than 20,000 tracks so many are
clustered, drawn at random; each other track joins the cluster of its nearest drawn one.

A cluster is named by its distinctive tags (`tag_profile`) and shown by its most central tracks. The
same library and seed give the same clusters under the same names, the largest first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from indexer.errors import InvalidOption
from indexer.vectors.unit_vectors import unit_mean
from recommender.collection.core_count import count_cores
from recommender.genres.tag_profile import GroupTag, characteristic_tags, library_tags
from recommender.retrieval.lookup import display_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.engine import Recommender
    from recommender.retrieval.where import Where

Vectors: TypeAlias = "NDArray[np.float32]"

METHODS = ("kmeans", "hdbscan")
MOST_CLUSTERS = 30
"""Largest k tried when k is chosen."""
NOISE = -1

_CENTRAL = 5
_TAGS = 8
_IN_A_NAME = 2
_SILHOUETTE_TRACKS = 2_000
_CHOICE_TRACKS = 5_000
_STARTS = 4
_COMPONENTS = 10
_BLOCK = 2_000
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
    vectors = recommender.vectors(ids)
    if count is not None and not 1 <= count <= len(ids):
        raise InvalidOption(f"{count} clusters of {len(ids)} tracks: ask for 1 to {len(ids)}")
    labels = (
        kmeans(vectors, count, random_state=random_state)
        if method == "kmeans"
        else hdbscan(vectors, random_state=random_state)
    )
    return Clusters(
        method,
        _describe_clusters(recommender, ids, vectors, labels),
        tuple(ids[labels == NOISE].tolist()),
        silhouette(vectors, labels, random_state=random_state),
    )


def kmeans(
    vectors: Vectors, count: int | None = None, *, random_state: int = 0
) -> NDArray[np.int64]:
    """Number of the cluster of each unit vector (n, dim), from 0; `count` by silhouette if None."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    count_cores()
    k = count or _best_count(vectors, random_state=random_state)
    with warnings.catch_warnings():
        # Fewer different tracks than clusters: some stay empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(k, n_init=_STARTS, random_state=random_state).fit(vectors)
    return np.asarray(model.labels_, dtype=np.int64)


def hdbscan(vectors: Vectors, *, most: int = 20_000, random_state: int = 0) -> NDArray[np.int64]:
    """Number of the cluster of each unit vector (n, dim), from 0; `NOISE` for those in none.

    The smallest cluster has a third of the root of n tracks, but at least 3. Of more than `most`
    vectors so many are clustered.
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA

    if len(vectors) < 4:
        return np.full(len(vectors), NOISE, dtype=np.int64)
    drawn = sample_rows(len(vectors), most, random_state=random_state)
    components = min(_COMPONENTS, len(drawn), vectors.shape[1])
    with np.errstate(invalid="ignore"):
        # Tracks that are all the same have no variance to divide by.
        reduction = PCA(components, random_state=random_state).fit(vectors[drawn])
    points = reduction.transform(vectors[drawn])
    smallest = max(3, int(len(drawn) ** 0.5 / 3))
    found: NDArray[np.int64] = HDBSCAN(
        min_cluster_size=smallest, min_samples=min(5, smallest), copy=True
    ).fit_predict(points)
    if len(drawn) == len(vectors):
        return found.astype(np.int64)
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(1, algorithm="kd_tree").fit(points, found)
    labels = [
        nearest.predict(reduction.transform(vectors[start : start + _BLOCK]))
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(labels).astype(np.int64)


def silhouette(
    vectors: Vectors, labels: NDArray[np.int64], *, random_state: int = 0
) -> float | None:
    """Mean silhouette over the tracks in clusters; None where it is not defined."""
    from sklearn.metrics import silhouette_score

    inside = np.flatnonzero(labels != NOISE)
    some = inside[sample_rows(len(inside), _SILHOUETTE_TRACKS, random_state=random_state)]
    if not 2 <= len(np.unique(labels[some])) < len(some):
        return None
    return round(float(silhouette_score(vectors[some], labels[some], metric="euclidean")), 4)


def _best_count(vectors: Vectors, *, random_state: int) -> int:
    some = vectors[sample_rows(len(vectors), _CHOICE_TRACKS, random_state=random_state)]
    least = max(2, round(len(vectors) ** 0.25))
    most = min(MOST_CLUSTERS, len(some) // 3)
    scores = {
        count: silhouette(
            some, kmeans(some, count, random_state=random_state), random_state=random_state
        )
        for count in range(least, most + 1)
    }
    known = {count: score for count, score in scores.items() if score is not None}
    return max(known, key=lambda count: known[count]) if known else 1


def sample_rows(count: int, most: int, *, random_state: int) -> NDArray[np.int64]:
    """At most `most` of `count` row numbers, drawn at random, ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(random_state).choice(count, most, replace=False))


def _describe_clusters(
    recommender: Recommender,
    ids: NDArray[np.int64],
    vectors: Vectors,
    labels: NDArray[np.int64],
) -> tuple[Cluster, ...]:
    background = library_tags(recommender)
    tag_names = recommender.model.tag_names
    groups = [np.flatnonzero(labels == number) for number in np.unique(labels[labels != NOISE])]
    # Equal sizes in the order of their first track, so that names stay.
    groups.sort(key=lambda rows: (-len(rows), rows[0]))
    taken: set[str] = set()
    found = []
    for number, rows in enumerate(groups, start=1):
        cosines = vectors[rows] @ unit_mean(vectors[rows])
        order = np.argsort(-cosines, kind="stable")
        tags = characteristic_tags(recommender.activations(ids[rows]), background, tag_names)
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
