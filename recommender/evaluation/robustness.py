"""Tracks of a library heard anew from their files, altered, and looked up in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from indexer.errors import AnalysisError
from indexer.vectors.half_precision import to_unit_float32
from recommender.evaluation.degradations import MP3, OPUS, PLAIN, read_sound, write_copy
from recommender.retrieval.lookup import display_name
from recommender.retrieval.near_duplicates import TrackFacts, is_same_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.engine import Recommender

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how many are done and of how many."""

CROP_S = 30.0
ENCODINGS = (MP3, OPUS)

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
    """What has become of a sample of tracks.

    Attributes
    ----------
    crops : list of Lookup
        Of a part of each track: the first 30 s of every other track, the middle 30 s of the rest,
        or half of what is shorter than a minute.
    encodings : dict of str to list of Lookup
        Of the whole track encoded anew, by the kind of encoding.
    between : list of float
        Cosine of the two encodings of each track.
    unheard : list of str
        Why tracks of the sample could not be heard.
    """

    crops: list[Lookup] = field(default_factory=list)
    encodings: dict[str, list[Lookup]] = field(
        default_factory=lambda: {kind.name: [] for kind in ENCODINGS}
    )
    between: list[float] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)


def copy_lookups(
    recommender: Recommender, tracks: Sequence[Track], *, progress: Progress
) -> Lookups:
    """Hear each track's crop and encodings, and look them up.

    Raises
    ------
    ModelMissing, ModelMismatch
        The catalog's model is not on this machine.
    """
    found = Lookups()
    with tempfile.TemporaryDirectory(prefix="soundalike-") as folder:
        for number, track in enumerate(tracks):
            try:
                _look_up_one(recommender, track, Path(folder), found, middle=number % 2 == 1)
            except AnalysisError as error:
                found.unheard.append(str(error))
            progress("hearing a sample anew", number + 1, len(tracks))
    return found


def _look_up_one(
    recommender: Recommender, track: Track, folder: Path, found: Lookups, *, middle: bool
) -> None:
    sound = read_sound(track.path)
    seconds = min(CROP_S, track.duration_s / 2)
    start_s = (track.duration_s - seconds) / 2 if middle else 0.0
    part = read_sound(track.path, start_s=start_s, seconds=seconds)
    heard = {
        kind.name: _heard(recommender, write_copy(folder, "copy", content, kind))
        for kind, content in ((PLAIN, part), *((kind, sound) for kind in ENCODINGS))
    }
    # Only now, so that a track is in all lists or in none.
    found.crops.append(_look_up(recommender, heard[PLAIN.name], track))
    for kind in ENCODINGS:
        found.encodings[kind.name].append(_look_up(recommender, heard[kind.name], track))
    one, other = (heard[kind.name] for kind in ENCODINGS)
    found.between.append(float(one @ other))


def _heard(recommender: Recommender, path: Path) -> NDArray[np.float32]:
    analysis = recommender.analyse(path)
    path.unlink()
    (vector,) = to_unit_float32(analysis.embedding[np.newaxis])
    return np.asarray(vector)


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
