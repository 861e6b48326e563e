"""Figures about a library, for its report.

What takes a comparison of all tracks with all is computed from at most `SAMPLE` tracks, drawn at
random.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.collection.clusters import sample_rows
from recommender.collection.duplicates import find_duplicates
from recommender.collection.histograms import Bars, Histogram, bars, durations, histogram, years
from recommender.collection.layout import LANDMARKS as MAPPED
from recommender.collection.layout import lay_out
from recommender.collection.library_map import FEWEST, Grouping, LibraryMap, group_tracks
from recommender.evaluation.metrics import Question, cosines, nearest, retrieval
from recommender.genres.tag_profile import GroupTag, characteristic_tags, library_tags, mean_tags
from recommender.retrieval.lookup import display_name
from recommender.retrieval.names import artist_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import Failure, Track
    from recommender.collection.duplicates import Group
    from recommender.engine import Recommender

SAMPLE = 4_000
"""Tracks that are compared with each other, and shown on the report's map, at most."""
K = 5
"""Neighbours that are looked at."""
FEWEST_OF_A_GENRE = 5
GENRES = 12
TAGS = 6
OUTLIERS = 12
_SILHOUETTE = 2_000
_TAGGED = ("title", "artist", "album", "genre", "year")


@dataclass(frozen=True)
class GenreTags:
    """A genre with the tags that set it apart from the library, most distinctive first."""

    genre: str
    tracks: int
    tags: tuple[GroupTag, ...]


@dataclass(frozen=True)
class GenreDistance:
    """How far a genre is from the others.

    Attributes
    ----------
    tracks : int
        Of those that were compared.
    precision : float or None
        Share of the `K` nearest of other artists that are of the genre; None where no other artist
        has any.
    chance : float or None
        What it would be in an order drawn at random.
    silhouette : float or None
        Mean over its tracks, -1 to 1; None where it is not defined.
    """

    genre: str
    tracks: int
    precision: float | None
    chance: float | None
    silhouette: float | None


@dataclass(frozen=True)
class Outlier:
    """A track that nothing is like."""

    id: int
    name: str
    cosine: float
    nearest: str


@dataclass(frozen=True, eq=False)
class Survey:
    """Figures about a library.

    Attributes
    ----------
    totals : dict
        tracks, recordings, artists, albums, duration_s, failures, missing.
    untagged : dict
        Tracks that name no title, artist, album, genre or year.
    separability : tuple of GenreDistance
        The most separable genre first; empty where there are not two genres.
    precision, chance : float or None
        Over all seeds.
    compared : int
        Tracks that outliers and separability are computed from.
    map : LibraryMap or None
        Of up to `SAMPLE` tracks, by genre; None of fewer than `FEWEST`.
    clusters : Grouping or None
        The clusters of the tracks on the map.
    duplicates : tuple of Group
    failures : tuple of Failure
    """

    model: str
    totals: dict[str, Any]
    untagged: dict[str, int]
    durations: Histogram
    tempi: Histogram
    years: Histogram
    formats: Bars
    genres: Bars
    keys: Bars
    genre_tags: tuple[GenreTags, ...]
    separability: tuple[GenreDistance, ...]
    precision: float | None
    chance: float | None
    compared: int
    map: LibraryMap | None
    clusters: Grouping | None
    outliers: tuple[Outlier, ...]
    duplicates: tuple[Group, ...]
    failures: tuple[Failure, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model,
            "totals": self.totals,
            "untagged": self.untagged,
            **{key: asdict(getattr(self, key)) for key in ("durations", "tempi", "years")},
            **{key: asdict(getattr(self, key)) for key in ("formats", "genres", "keys")},
            "genre_tags": [asdict(one) for one in self.genre_tags],
            "separability": {
                "precision_at_5": self.precision,
                "chance": self.chance,
                "compared": self.compared,
                "genres": [asdict(one) for one in self.separability],
            },
            "outliers": [asdict(one) for one in self.outliers],
            "duplicates": [
                {"sure": group.sure, "ids": [track.id for track in group.tracks]}
                for group in self.duplicates
            ],
            "failures": [
                {"reason": one.reason, "stage": one.stage, "message": one.message}
                for one in self.failures
            ],
        }


def survey(
    recommender: Recommender,
    catalog: str,
    *,
    random_state: int = 0,
    report: Callable[[str], None] = lambda _step: None,
) -> Survey:
    """Survey the library that a recommender answers from.

    Parameters
    ----------
    catalog : str
        The file that the recommender has opened; its failures and counts are read here.
    report : callable
        Called with what comes next.

    Raises
    ------
    QueryError
        The catalog holds no tracks.
    """
    from indexer.catalog.reader import Catalog

    model = recommender.model
    ids = recommender.ids()
    tally = _tally(recommender.stream_tracks(ids))
    opened = Catalog.open_for_reading(catalog)
    try:
        counts, failures = opened.counts(), opened.failures()
    finally:
        opened.close()
    genre = group_tracks(recommender, ids, "genre")
    report("comparing tracks")
    drawn = sample_rows(len(ids), SAMPLE, random_state=random_state)
    vectors = recommender.vectors(ids[drawn])
    some = recommender.tracks(ids[drawn])
    labels = _labels(genre, drawn)
    distances, precision, chance = _separability(vectors, labels, some, random_state=random_state)
    outliers = _outliers(some, vectors)
    report("grouping near-duplicates")
    duplicates = find_duplicates(recommender, most_files=0).groups if len(ids) > 1 else ()
    library_map, clusters = None, None
    if len(ids) >= FEWEST:
        report("clustering")
        whole = group_tracks(recommender, ids, "cluster", random_state=random_state)
        clusters = Grouping("cluster", whole.names, whole.group_of[drawn])
        report("drawing the map")
        library_map = LibraryMap(
            ids[drawn],
            tuple(display_name(track) for track in some),
            lay_out(vectors.__getitem__, len(vectors), random_state=random_state),
            Grouping("genre", genre.names, genre.group_of[drawn]),
            min(len(drawn), MAPPED),
        )
    return Survey(
        model=model.name,
        totals={
            "tracks": len(ids),
            "recordings": counts["recordings"],
            "artists": len(tally.artists),
            "albums": len(tally.albums),
            "duration_s": round(sum(tally.durations_s), 1),
            "failures": len(failures),
            "missing": counts["missing"],
        },
        untagged={field: tally.untagged[field] for field in _TAGGED},
        durations=durations(tally.durations_s),
        tempi=histogram(tally.tempi_bpm, np.arange(40.0, 221.0, 10.0)),
        years=years(tally.years),
        formats=bars(tally.formats, 8),
        genres=bars([one for one in _labels(genre, np.arange(len(ids))) if one], 15),
        keys=bars(tally.keys, 24),
        genre_tags=_genre_tags(recommender, ids, genre),
        separability=distances,
        precision=precision,
        chance=chance,
        compared=len(drawn),
        map=library_map,
        clusters=clusters,
        outliers=outliers,
        duplicates=duplicates,
        failures=tuple(failures),
    )


@dataclass
class _Tally:
    """What is counted of all tracks, none of which is kept."""

    artists: set[str] = field(default_factory=set)
    albums: set[tuple[str | None, str]] = field(default_factory=set)
    untagged: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    durations_s: list[float] = field(default_factory=list)
    tempi_bpm: list[float | None] = field(default_factory=list)
    years: list[int | None] = field(default_factory=list)


def _tally(tracks: Iterable[Track]) -> _Tally:
    found = _Tally()
    for track in tracks:
        if (artist := artist_of(track)) is not None:
            found.artists.add(artist)
        if track.album:
            found.albums.add((track.album_artist or track.artist, track.album))
        found.untagged.update(name for name in _TAGGED if getattr(track, name) is None)
        found.formats[f"{track.codec}, {track.sample_rate / 1000:g} kHz"] += 1
        if track.musical_key:
            found.keys[track.musical_key] += 1
        found.durations_s.append(track.duration_s)
        found.tempi_bpm.append(track.tempo_bpm)
        found.years.append(track.year)
    return found


def _labels(genre: Grouping, rows: NDArray[np.int64]) -> list[str]:
    groups = genre.group_of[rows].tolist()
    return [genre.names[group] if group >= 0 else "" for group in groups]


def _separability(
    vectors: NDArray[np.float32],
    labels: Sequence[str],
    tracks: Sequence[Track],
    *,
    random_state: int,
) -> tuple[tuple[GenreDistance, ...], float | None, float | None]:
    counts = Counter(label for label in labels if label)
    large = {label for label, count in counts.items() if count >= FEWEST_OF_A_GENRE}
    if len(large) < 2:
        return (), None, None
    wanted = [label if label in large else "" for label in labels]
    artists = [artist_of(track) or "" for track in tracks]
    scores = retrieval(cosines(vectors), {"genre": Question(wanted, artists)}, ks=(K,))["genre"]
    silhouettes = _silhouettes(vectors, wanted, random_state=random_state)
    seeds = np.array([wanted[row] for row in scores.seeds.tolist()], dtype=object)
    found = []
    for label in sorted(large):
        own = seeds == label
        known = bool(own.any())
        found.append(
            GenreDistance(
                label,
                counts[label],
                round(float(scores.values[own, 0].mean()), 4) if known else None,
                round(float(scores.chance[own].mean()), 4) if known else None,
                silhouettes.get(label),
            )
        )
    found.sort(key=lambda one: (-(one.precision or 0.0), one.genre))
    if len(scores) == 0:
        return tuple(found), None, None
    return (
        tuple(found),
        round(float(scores.means[0]), 4),
        round(float(scores.chance.mean()), 4),
    )


def _silhouettes(
    vectors: NDArray[np.float32], labels: Sequence[str], *, random_state: int
) -> dict[str, float]:
    from sklearn.metrics import silhouette_samples

    inside = np.flatnonzero([bool(label) for label in labels])
    inside = inside[sample_rows(len(inside), _SILHOUETTE, random_state=random_state)]
    names = np.array([labels[row] for row in inside.tolist()])
    if not 2 <= len(np.unique(names)) < len(names):
        return {}
    values = silhouette_samples(vectors[inside], names)
    return {str(one): round(float(values[names == one].mean()), 4) for one in np.unique(names)}


def _outliers(tracks: Sequence[Track], vectors: NDArray[np.float32]) -> tuple[Outlier, ...]:
    """Tracks whose nearest neighbours, of those given, are furthest away."""
    count = len(tracks)
    if count < 2 * FEWEST:
        return ()
    closest = nearest(cosines(vectors), count, K)
    mean = np.einsum("nd,nkd->n", vectors, vectors[closest]) / closest.shape[1]
    order = np.argsort(mean, kind="stable")[: min(OUTLIERS, count // 4)]
    return tuple(
        Outlier(
            tracks[row].id,
            display_name(tracks[row]),
            round(float(mean[row]), 4),
            display_name(tracks[closest[row, 0]]),
        )
        for row in order.tolist()
    )


def _genre_tags(
    recommender: Recommender, ids: NDArray[np.int64], genre: Grouping
) -> tuple[GenreTags, ...]:
    background = library_tags(recommender)
    names = recommender.model.tag_names
    found = []
    for number in range(min(GENRES, len(genre.names))):
        own = ids[genre.group_of == number]
        if len(own) < FEWEST:
            break
        tags = characteristic_tags(mean_tags(recommender, own), background, names)
        found.append(GenreTags(genre.names[number], len(own), tuple(tags[:TAGS])))
    return tuple(found)
