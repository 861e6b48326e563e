"""A library in two dimensions: what sounds alike lies together.

`recommender.collection.layout` says how coordinates are found.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.collection.clusters import find_clusters
from recommender.collection.layout import LANDMARKS, lay_out
from recommender.genres.labels import genres_of, merge_spellings
from recommender.retrieval.lookup import count_noun, display_name
from recommender.retrieval.names import artist_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.engine import Recommender

KINDS = ("genre", "cluster", "artist")
"""What a map can be coloured by."""
FEWEST = 3
"""Tracks that a map needs."""
NO_GROUP = -1


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
    if len(ids) < FEWEST:
        raise QueryError(
            f"the catalog holds {count_noun(len(ids), 'track')}: a map needs at least {FEWEST}"
        )
    grouping = group_tracks(recommender, ids, by or "genre", random_state=random_state)
    if by is None and 2 * (grouping.group_of >= 0).sum() < len(ids):
        grouping = group_tracks(recommender, ids, "cluster", random_state=random_state)
    return LibraryMap(
        ids,
        tuple(display_name(track) for track in recommender.stream_tracks(ids)),
        lay_out(lambda rows: recommender.vectors(ids[rows]), len(ids), random_state=random_state),
        grouping,
        min(len(ids), LANDMARKS),
    )


def group_tracks(
    recommender: Recommender, ids: NDArray[np.int64], kind: str, *, random_state: int = 0
) -> Grouping:
    """The genre, cluster or artist of each of all tracks, whose ids are given ascending.

    Of a track with several genres the first counts.
    """
    if kind == "cluster":
        labels = [""] * len(ids)
        for one in find_clusters(recommender, random_state=random_state).clusters:
            for row in np.searchsorted(ids, one.ids).tolist():
                labels[row] = one.name
        return _grouping(kind, labels)
    tracks = recommender.stream_tracks(ids)
    if kind == "genre":
        genres = merge_spellings(genres_of(track.genre for track in tracks))
        return _grouping(kind, [one[0] if one else "" for one in genres])
    spelling: dict[str, str] = {"": ""}
    labels = [
        spelling.setdefault(artist_key(track.artist) or "", track.artist or "") for track in tracks
    ]
    return _grouping(kind, labels)


def _grouping(kind: str, labels: Sequence[str]) -> Grouping:
    counts = Counter(label for label in labels if label)
    names = sorted(counts, key=lambda label: (-counts[label], label.casefold(), label))
    number_of = {label: number for number, label in enumerate(names)}
    group_of = np.array([number_of.get(label, NO_GROUP) for label in labels], dtype=np.int64)
    return Grouping(kind, tuple(names), group_of)
