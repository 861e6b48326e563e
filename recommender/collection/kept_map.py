"""A map of a library that is kept beside its catalog and follows it.

Tracks that are new lie among the landmarks of the layout, those that are gone drop out, and nothing
else moves: a new layout is made when the model is another, or when the library has doubled or
halved since. Tracks are grouped by genre where at least half of them have one, else by cluster; a
new track joins the cluster whose centre is nearest.

The file (`catalog.db` -> `catalog.map`) is a cache: one that is missing, damaged or of another
catalog costs the time of a layout.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from indexer.errors import QueryError
from indexer.filesystem import atomic_write
from indexer.vectors.base import Stamp
from indexer.vectors.unit_vectors import unit_mean
from recommender.collection.clusters import find_clusters, sample_rows
from recommender.collection.layout import LANDMARKS, Components, Layout
from recommender.collection.library_map import FEWEST, group_tracks
from recommender.retrieval.lookup import count_noun
from recommender.retrieval.where import Where

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from recommender.engine import Recommender

MOST_GROUPS = 8
"""Groups that have a name: more colours cannot be told apart by everyone."""
NO_GROUP = 255
"""Number of the group of tracks in none of the named ones."""

log = logging.getLogger(__name__)

_MAGIC = b"SLKKEPT1"
_DIGEST_BYTES = 32
_BLOCK = 10_000
_MEMBERS = 400


@dataclass(frozen=True, eq=False)
class Groups:
    """Genres or clusters of the tracks of a map.

    Attributes
    ----------
    by : str
        "genre" or "cluster".
    names : tuple of str
        The largest group of the first map first; a name keeps its number.
    of_track : uint8 (n,)
        Index in `names` of each track's group, or `NO_GROUP`.
    centres : float32 (groups, dim)
        Unit vectors of the clusters; no rows for genres.
    """

    by: Literal["genre", "cluster"]
    names: tuple[str, ...]
    of_track: NDArray[np.uint8]
    centres: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class KeptMap:
    """Coordinates and groups of the tracks of a catalog, and what new tracks are placed by.

    Attributes
    ----------
    stamp : Stamp
        State of the catalog that it shows.
    laid_out : int
        Tracks of the library when its landmarks were laid out.
    components : Components
    layout : Layout
    ids : int64 (n,), ascending
    xy : float32 (n, 2)
        From -1 to 1.
    groups : Groups
    """

    stamp: Stamp
    laid_out: int
    components: Components
    layout: Layout
    ids: NDArray[np.int64]
    xy: NDArray[np.float32]
    groups: Groups

    def suits(self, stamp: Stamp) -> bool:
        """Whether it is of the catalog and model of a stamp."""
        return (self.stamp.catalog, self.stamp.model) == (stamp.catalog, stamp.model)

    def only(self, ids: NDArray[np.int64]) -> KeptMap:
        """The map without tracks other than these."""
        kept = np.isin(self.ids, ids)
        if kept.all():
            return self
        groups = replace(self.groups, of_track=self.groups.of_track[kept])
        return replace(self, ids=self.ids[kept], xy=self.xy[kept], groups=groups)

    @cached_property
    def version(self) -> int:
        """A number, below 2^32, of what the map shows: another one for another picture."""
        shown = zlib.crc32(self.ids.tobytes())
        for part in (self.xy.tobytes(), self.groups.of_track.tobytes()):
            shown = zlib.crc32(part, shown)
        return zlib.crc32(json.dumps(self.groups.names).encode(), shown)

    def centre(self, group: int) -> tuple[float, float]:
        """Where a group's tracks lie closest: the one of them whose nearest quarter is nearest."""
        members = self.xy[self.groups.of_track == group]
        some = members[:: max(1, len(members) // _MEMBERS)]
        apart = np.linalg.norm(some[:, np.newaxis] - some, axis=2)
        near = np.sort(apart, axis=1)[:, len(some) // 4]
        x, y = some[int(near.argmin())].tolist()
        return x, y


def map_path(catalog: Path) -> Path:
    """Path of the map that is kept of a catalog."""
    if catalog.suffix == ".db":
        return catalog.with_suffix(".map")
    return catalog.with_name(catalog.name + ".map")


def update_map(
    recommender: Recommender,
    kept: KeptMap | None = None,
    *,
    landmarks: int = LANDMARKS,
    random_state: int = 0,
) -> KeptMap:
    """The map of a library as it is now.

    Parameters
    ----------
    kept : KeptMap, optional
        An older one, whose tracks stay where they are as long as its layout is good enough.
    landmarks : int
        Tracks of a new layout that t-SNE lays out.
    random_state : int
        Of all that is random: the same library and seed give the same first map.

    Raises
    ------
    QueryError
        The catalog holds fewer than `FEWEST` tracks.
    UnknownTrack
        A track was removed meanwhile.
    """
    ids = recommender.ids()
    if len(ids) < FEWEST:
        raise QueryError(
            f"the catalog holds {count_noun(len(ids), 'track')}: a map needs at least {FEWEST}"
        )
    stamp = recommender.stamp
    if kept is None or not kept.suits(stamp) or not 0.5 < len(ids) / kept.laid_out < 2:
        kept = _new_map(recommender, ids, stamp, landmarks=landmarks, random_state=random_state)
        # A layout takes a while, in which tracks may have come and gone.
        stamp, ids = recommender.stamp, recommender.ids()
    new = np.setdiff1d(ids, kept.ids, assume_unique=True)
    added, _ = kept.layout.place(_points(recommender, new, kept.components))
    stays = np.isin(kept.ids, ids)
    every = np.concatenate([kept.ids[stays], new])
    order = np.argsort(every)
    xy = np.concatenate([kept.xy[stays], added])[order]
    groups = _group(recommender, ids, kept, random_state=random_state)
    return KeptMap(stamp, kept.laid_out, kept.components, kept.layout, every[order], xy, groups)


def _new_map(
    recommender: Recommender,
    ids: NDArray[np.int64],
    stamp: Stamp,
    *,
    landmarks: int,
    random_state: int,
) -> KeptMap:
    """A map of landmarks only, in no groups."""
    drawn = ids[sample_rows(len(ids), landmarks, random_state=random_state)]
    vectors = recommender.vectors(drawn)
    components = Components.of(vectors)
    layout = Layout.of(components.points(vectors), random_state=random_state)
    nothing = np.full(len(drawn), NO_GROUP, np.uint8)
    groups = Groups("genre", (), nothing, np.empty((0, vectors.shape[1]), np.float32))
    return KeptMap(stamp, len(ids), components, layout, drawn, layout.xy, groups)


def _points(
    recommender: Recommender, ids: NDArray[np.int64], components: Components
) -> NDArray[np.float32]:
    """Tracks in principal components, (len(ids), components), some at a time."""
    parts = [
        components.points(recommender.vectors(ids[start : start + _BLOCK]))
        for start in range(0, len(ids), _BLOCK)
    ]
    return np.concatenate([np.empty((0, len(components.axes)), np.float32), *parts])


def _group(
    recommender: Recommender, ids: NDArray[np.int64], kept: KeptMap, *, random_state: int
) -> Groups:
    """The groups of tracks: their genres, or the clusters of the map that is kept, or new ones."""
    genres = group_tracks(recommender, ids, "genre")
    none = np.empty((0, kept.components.axes.shape[1]), np.float32)
    if 2 * (genres.group_of >= 0).sum() >= len(ids):
        named = _keep_order(genres.names[:MOST_GROUPS], kept.groups.names)
        number_of = {name: number for number, name in enumerate(named)}
        # The last number is that of tracks without a genre: -1.
        numbers = [*(number_of.get(name, NO_GROUP) for name in genres.names), NO_GROUP]
        return Groups("genre", named, np.array(numbers, np.uint8)[genres.group_of], none)
    old = kept.groups
    if old.by == "genre":
        names, centres = _clusters(recommender, ids, random_state=random_state)
        old = Groups("cluster", names, np.empty(0, np.uint8), centres)
        kept_ids = np.empty(0, np.int64)
    else:
        kept_ids = kept.ids
    of_track = np.full(len(ids), NO_GROUP, np.uint8)
    known = np.isin(ids, kept_ids)
    of_track[known] = old.of_track[np.isin(kept_ids, ids)]
    for rows in np.array_split(np.flatnonzero(~known), -(-len(ids) // _BLOCK)):
        of_track[rows] = (recommender.vectors(ids[rows]) @ old.centres.T).argmax(axis=1)
    return Groups("cluster", old.names, of_track, old.centres)


def _keep_order(names: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each where it was before, so that it keeps its colour; new ones in the gaps."""
    fresh = [name for name in names if name not in before]
    kept = [name if name in names else fresh.pop(0) if fresh else None for name in before]
    return tuple(name for name in (*kept, *fresh) if name is not None)


def _clusters(
    recommender: Recommender, ids: NDArray[np.int64], *, random_state: int
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names and centres (clusters, dim) of clusters of up to `LANDMARKS` tracks."""
    drawn = ids[sample_rows(len(ids), LANDMARKS, random_state=random_state)]
    found = find_clusters(
        recommender,
        count=int(np.clip(len(drawn) ** 0.5 / 2, 1, MOST_GROUPS)),
        where=Where(among=tuple(drawn.tolist())),
        random_state=random_state,
    ).clusters
    centres = [unit_mean(recommender.vectors(one.ids)) for one in found]
    return tuple(one.name for one in found), np.array(centres, np.float32)


def encode_map(kept: KeptMap) -> bytes:
    """The content of a map's file: a checksum, and the arrays as an npz archive behind it."""
    groups = kept.groups
    facts = {
        "stamp": asdict(kept.stamp),
        "laid_out": kept.laid_out,
        "by": groups.by,
        "names": groups.names,
    }
    body = io.BytesIO()
    np.savez(
        body,
        allow_pickle=False,
        facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
        mean=kept.components.mean,
        axes=kept.components.axes,
        points=kept.layout.points,
        landmarks=kept.layout.xy,
        ids=kept.ids,
        xy=kept.xy,
        groups=groups.of_track,
        centres=groups.centres,
    )
    content = body.getvalue()
    return _MAGIC + _digest(content) + content


def decode_map(data: bytes) -> KeptMap:
    """The map that a file's content holds.

    Raises
    ------
    ValueError
        It is damaged, or no such file.
    """
    head = len(_MAGIC) + _DIGEST_BYTES
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : head] != _digest(data[head:]):
        raise ValueError("it is damaged or of another kind")
    try:
        with np.load(io.BytesIO(data[head:]), allow_pickle=False) as arrays:
            facts: dict[str, Any] = json.loads(arrays["facts"].tobytes())
            groups = Groups(facts["by"], tuple(facts["names"]), arrays["groups"], arrays["centres"])
            return KeptMap(
                Stamp(**facts["stamp"]),
                facts["laid_out"],
                Components(arrays["mean"], arrays["axes"]),
                Layout(arrays["points"], arrays["landmarks"]),
                arrays["ids"],
                arrays["xy"],
                groups,
            )
    except (KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"it has another format ({error})") from error


def read_map(path: Path) -> KeptMap | None:
    """The map in a file; None, with a warning, where it cannot be used, or where there is none."""
    try:
        return decode_map(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s cannot be used (%s): the map is made again", path, error)
        return None


def write_map(path: Path, kept: KeptMap) -> None:
    """Replace a map's file; one that cannot be written costs a warning, and a layout later."""
    try:
        with atomic_write(path) as file:
            file.write(encode_map(kept))
    except OSError as error:
        log.warning(
            "%s cannot be written (%s): the map is kept in memory only", path, error.strerror
        )


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
