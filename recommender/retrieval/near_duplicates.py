"""Versions: whether two tracks are one recording, or one piece, told without hearing them.

What coders, loudness and cuts leave alone tells copies apart from other music: to a model a louder
copy can be farther from its original than another song of the same band, but key, tempo, brightness
and duration stay. Where a wrong guess would hide music, all of them must agree.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.retrieval.lookup import same_name
from recommender.retrieval.rerank import USUAL_COSINE
from recommender.retrieval.seeds import Seed, descriptors_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexer.catalog.reader import Track

SAME_COSINE = 0.985
"""Two tracks at least this close ..."""
SAME_DURATION_S = 1.0
"""... and of durations no further apart than this are taken for one recording, encoded twice."""
COPY_COSINE = 0.85
"""Two tracks that measure alike, at least this close ..."""
COPY_DURATION_S = 0.2
"""... and of durations no further apart than this: a louder, softer or badly encoded copy."""
CUT_COSINE = 0.93
"""Two tracks that measure alike and have a key and a tempo, at least this close ..."""
CUT_S = 15.0
"""... and of durations no further apart than this ..."""
CUT_SHARE = 0.25
"""... and this share of the longer: one is taken for a cut of the other."""
VERSION_COSINE = 0.85
"""Two tracks of one artist and title at least this close are taken for versions of one piece."""
ALIKE_BRIGHTNESS = 0.05
"""What measures alike has one key, or none; brightness may differ by this share ..."""
ALIKE_TEMPO = 0.0115
"""... and tempo by this one, a step of its measure; or it is the double, or there is none."""
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of tracks beside their vectors: arrays of one length.

    Attributes
    ----------
    durations_s : float64
        Seconds; NaN where unknown.
    recordings : int64
        Recording ids; negative where unknown.
    names, keys : int64
        Equal numbers for one artist and title, or one musical key; negative where unknown.
    tempi_bpm, brightness_hz : float64
        NaN where unknown.
    """

    durations_s: NDArray[np.float64]
    recordings: NDArray[np.int64]
    names: NDArray[np.int64]
    keys: NDArray[np.int64]
    tempi_bpm: NDArray[np.float64]
    brightness_hz: NDArray[np.float64]

    @classmethod
    def of(cls, ones: Sequence[Track | Seed]) -> Facts:
        """What is known of tracks and seeds."""
        measured = [
            one.descriptors if isinstance(one, Seed) else descriptors_of(one) for one in ones
        ]
        return cls(
            np.array([one.duration_s for one in ones], dtype=np.float64),
            np.array(
                [one.recording if isinstance(one, Seed) else one.recording_id for one in ones],
                dtype=np.int64,
            ),
            labelled(
                [
                    one.name if isinstance(one, Seed) else same_name(one.artist, one.title)
                    for one in ones
                ]
            ),
            labelled([one and one.key for one in measured]),
            np.array([one and one.tempo_bpm for one in measured], dtype=np.float64),
            np.array([one and one.brightness_hz for one in measured], dtype=np.float64),
        )

    def __len__(self) -> int:
        """Count the tracks."""
        return len(self.durations_s)

    def at(self, places: Any) -> Facts:
        """Those at places: a number, a slice or an array of them."""
        return Facts(*(getattr(self, field.name)[places] for field in fields(self)))


def level(cosine: float, usual: float) -> float:
    """What a cosine, measured where random pairs have `USUAL_COSINE`, is where they have `usual`.

    Models differ in how close everything lies: what counts is the distance, 1 - cosine, as a share
    of the distance of two tracks drawn at random.
    """
    return 1.0 - (1.0 - cosine) * (1.0 - usual) / (1.0 - USUAL_COSINE)


def lowest(usual: float) -> float:
    """The cosine below which nothing but the same file twice is taken for a version."""
    return min(level(COPY_COSINE, usual), level(VERSION_COSINE, usual), SAME_COSINE)


def all_apart(vectors: NDArray[np.float32], recordings: Sequence[int], *, usual: float) -> bool:
    """Whether no two of some tracks can be versions of each other, told without `Facts`.

    Parameters
    ----------
    vectors : float32 (n, dim), unit length
    recordings : n ints
        Negative where unknown.
    """
    known = [recording for recording in recordings if recording >= 0]
    if len(set(known)) < len(known):
        return False
    alike = vectors @ vectors.T >= lowest(usual)
    return int(alike.sum()) <= len(vectors)


def measured_alike(one: Facts, other: Facts) -> NDArray[np.bool_]:
    """Whether key, tempo and brightness of pairs agree; not where brightness is unknown."""
    octaves = np.log2(one.tempi_bpm / other.tempi_bpm)
    # An octave up or down is a usual error of tempo, two are not.
    off = np.abs(octaves - np.clip(np.round(octaves), -1, 1))
    tempo = (off <= np.log2(1 + ALIKE_TEMPO)) | (
        np.isnan(one.tempi_bpm) & np.isnan(other.tempi_bpm)
    )
    apart = np.abs(one.brightness_hz - other.brightness_hz)
    bright = apart <= ALIKE_BRIGHTNESS * np.maximum(one.brightness_hz, other.brightness_hz)
    return np.asarray((one.keys == other.keys) & tempo & bright, dtype=np.bool_)


def one_recording(
    cosines: NDArray[np.float32], one: Facts, other: Facts, *, usual: float
) -> NDArray[np.bool_]:
    """Whether pairs are one recording: the same file twice, encoded again, louder, softer or cut.

    Parameters
    ----------
    cosines : float32, of any shape
    one, other : Facts of this shape, or of one that it is stretched to
    usual : float
        The median cosine of random pairs.
    """
    apart = np.abs(one.durations_s - other.durations_s)
    longer = np.maximum(one.durations_s, other.durations_s)
    same = (one.recordings == other.recordings) & (one.recordings >= 0)
    same |= (cosines >= level(SAME_COSINE, usual)) & (apart <= SAME_DURATION_S)
    # Where everything is close, a copy can be as far as others are; its measures still tell.
    near = min(level(COPY_COSINE, usual), SAME_COSINE)
    copy = (cosines >= near) & (apart <= COPY_DURATION_S)
    cut = (cosines >= level(CUT_COSINE, usual)) & (apart <= np.minimum(CUT_S, CUT_SHARE * longer))
    # Sounds without key and beat measure alike too easily.
    cut &= (one.keys >= 0) & ~np.isnan(one.tempi_bpm)
    same |= (copy | cut) & measured_alike(one, other)
    return np.asarray(same, dtype=np.bool_)


def one_piece(
    cosines: NDArray[np.float32], one: Facts, other: Facts, *, usual: float
) -> NDArray[np.bool_]:
    """Whether pairs are `one_recording`, or versions: close, with the same artist and title."""
    named = (one.names == other.names) & (one.names >= 0)
    named &= cosines >= level(VERSION_COSINE, usual)
    return np.asarray(named | one_recording(cosines, one, other, usual=usual), dtype=np.bool_)


def collapse(vectors: ArrayLike, facts: Facts, *, usual: float) -> NDArray[np.int64]:
    """Tell which candidates are `one_piece` with an earlier one.

    What is a version of a version belongs to the same group.

    Parameters
    ----------
    vectors : float32 (c, dim)
        Unit length, best candidate first.
    facts : Facts (c,)
    usual : float
        The median cosine of random pairs.

    Returns
    -------
    int64 (c,)
        For each candidate the place of the first of its group: its own if it represents itself.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    pairs = [np.empty((2, 0), np.int64)]
    for start in range(0, len(rows), _BLOCK):
        cosines = rows[start : start + _BLOCK] @ rows[start:].T
        recording = facts.recordings[start:]
        known = (recording[: len(cosines), np.newaxis] == recording) & (recording >= 0)
        first, second = np.nonzero(np.triu(known | (cosines >= lowest(usual)), 1))
        close = cosines[first, second]
        first, second = first + start, second + start
        same = one_piece(close, facts.at(first), facts.at(second), usual=usual)
        pairs.append(np.stack([first[same], second[same]]))
    return grouped(len(rows), *np.concatenate(pairs, axis=1))


def labelled(names: Sequence[Hashable | None]) -> NDArray[np.int64]:
    """A number for each distinct name, -1 for None."""
    number = {name: place for place, name in enumerate(names) if name is not None}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)


def grouped(count: int, first: ArrayLike, second: ArrayLike) -> NDArray[np.int64]:
    """Connected components of pairs of places: for each of `count` places its group's first."""
    head = list(range(count))

    def find(place: int) -> int:
        while head[place] != place:
            head[place] = head[head[place]]
            place = head[place]
        return place

    for one, other in zip(np.asarray(first).tolist(), np.asarray(second).tolist(), strict=True):
        low, high = sorted((find(one), find(other)))
        head[high] = low
    return np.array([find(place) for place in range(count)], dtype=np.int64)
