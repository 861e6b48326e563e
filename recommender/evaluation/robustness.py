"""Ranks of tracks among the neighbours of altered copies of their files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from indexer.analysis.pools import decoding_pool
from indexer.errors import AnalysisError
from indexer.vectors.half_precision import to_unit_float32
from recommender.evaluation.degradations import ENCODINGS, PLAIN, write_copies
from recommender.retrieval.lookup import display_name
from recommender.retrieval.near_duplicates import TrackFacts, is_same_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.analysis.sandbox import Sandbox
    from indexer.catalog.records import Track
    from recommender.engine import Recommender

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many are done and of how many."""

CROP_S = 30.0

_LOOK_AT = 100


@dataclass(frozen=True)
class Lookup:
    """One copy of a track, looked up in the library.

    Attributes
    ----------
    track : str
        The track's name.
    rank : int or None
        1 when the track is nearest to the copy; None when it is not among the nearest hundred.
        Other encodings of the track's recording do not count.
    cosine : float
        Between copy and track.
    instead : str
        The track that was nearest where it was another one, else "".
    """

    track: str
    rank: int | None
    cosine: float
    instead: str


@dataclass(frozen=True)
class Lookups:
    """Lookups of the copies of a sample of tracks.

    Attributes
    ----------
    crops : list of Lookup
        Of a part of each track: the first 30 s of every other track, the middle 30 s of the rest,
        or half of what is shorter than a minute.
    encodings : dict of str to list of Lookup
        Of the whole track encoded anew, by the kind of encoding.
    between : list of float
        Cosine of the two encodings of each track.
    failures : list of str
        Why tracks of the sample could not be analysed.
    """

    crops: list[Lookup] = field(default_factory=list)
    encodings: dict[str, list[Lookup]] = field(
        default_factory=lambda: {kind.name: [] for kind in ENCODINGS}
    )
    between: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def copy_lookups(
    recommender: Recommender, tracks: Sequence[Track], *, progress: Progress
) -> Lookups:
    """Write a crop and encodings of each track, in a worker, embed them and look them up.

    Raises
    ------
    ModelMissing, ModelMismatch
        The catalog's model is not on this machine.
    WorkersFailed
    """
    found = Lookups()
    with tempfile.TemporaryDirectory(prefix="soundalike-") as folder, decoding_pool() as pool:
        for number, track in enumerate(tracks):
            try:
                vectors = _embed_copies(
                    recommender, pool, track, Path(folder), middle=number % 2 == 1
                )
            except AnalysisError as error:
                found.failures.append(str(error))
            else:
                _add_lookups(recommender, track, vectors, found)
            progress("embedding copies of a sample", number + 1, len(tracks))
    return found


def _embed_copies(
    recommender: Recommender, pool: Sandbox[None], track: Track, folder: Path, *, middle: bool
) -> dict[str, NDArray[np.float32]]:
    """Unit embedding of each copy, by the name of its kind."""
    seconds = min(CROP_S, track.duration_s / 2)
    start_s = (track.duration_s - seconds) / 2 if middle else 0.0
    crop = partial(write_copies, folder=folder, kinds=(PLAIN,), start_s=start_s, seconds=seconds)
    whole = partial(write_copies, folder=folder, kinds=ENCODINGS)
    return {
        kind: _embed(recommender, path)
        for write in (crop, whole)
        for kind, path in pool.run(write, track.path).items()
    }


def _embed(recommender: Recommender, path: Path) -> NDArray[np.float32]:
    analysis = recommender.analyse(path)
    path.unlink()
    (vector,) = to_unit_float32(analysis.embedding[np.newaxis])
    return np.asarray(vector)


def _add_lookups(
    recommender: Recommender, track: Track, vectors: dict[str, NDArray[np.float32]], found: Lookups
) -> None:
    found.crops.append(_look_up(recommender, vectors[PLAIN.name], track))
    for kind in ENCODINGS:
        found.encodings[kind.name].append(_look_up(recommender, vectors[kind.name], track))
    one, other = (vectors[kind.name] for kind in ENCODINGS)
    found.between.append(float(one @ other))


def _look_up(recommender: Recommender, vector: NDArray[np.float32], track: Track) -> Lookup:
    (ids,), _ = recommender.nearest(vector[np.newaxis], _LOOK_AT)
    ids = ids[ids >= 0]
    own = recommender.vectors([track.id])[0]
    tracks = recommender.tracks(ids)
    facts = TrackFacts.of([*tracks, track])
    same = is_same_recording(
        recommender.vectors(ids) @ own,
        facts.at(slice(-1)),
        facts.at(-1),
        median_random_cosine=recommender.median_random_cosine,
    )
    ahead = []
    for near, other in zip(tracks, (~same).tolist(), strict=True):
        if near.id == track.id:
            break
        if other:
            ahead.append(near)
    rank = len(ahead) + 1 if track.id in ids else None
    instead = display_name(ahead[0]) if ahead else ""
    return Lookup(display_name(track), rank, float(own @ vector), instead)
