"""Near-duplicates: whether two tracks are one recording, or one piece, without decoding them.

To a model a louder copy can be farther from its original than another song of the same band is.
Musical key, tempo, brightness and duration are what coders, loudness and cuts leave as they are;
where a wrong guess would hide music, all of them must agree.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.retrieval.library_statistics import REFERENCE_RANDOM_COSINE
from recommender.retrieval.names import name_key
from recommender.retrieval.seeds import Seed, descriptors_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexer.catalog.records import Track

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
SAME_NAME_COSINE = 0.85
"""Two tracks of one artist and title at least this close are taken for one piece."""
ALIKE_BRIGHTNESS = 0.05
"""What measures alike has one musical key, or none; brightness may differ by this share ..."""
ALIKE_TEMPO = 0.0115
"""... and tempo by this one, a step of its measure; or it is the double, or there is none."""
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class TrackFacts:
    """Durations, recordings, names and descriptors of tracks: arrays of one length.

    Attributes
    ----------
    durations_s : float64
        Seconds; NaN where unknown.
    recordings : int64
        Recording ids; negative where unknown.
    names, musical_keys : int64
        Equal numbers for one artist and title, or one musical key; negative where unknown.
    tempi_bpm, brightness_hz : float64
        NaN where unknown.
    """

    durations_s: NDArray[np.float64]
    recordings: NDArray[np.int64]
    names: NDArray[np.int64]
    musical_keys: NDArray[np.int64]
    tempi_bpm: NDArray[np.float64]
    brightness_hz: NDArray[np.float64]

    @classmethod
    def of(cls, ones: Sequence[Track | Seed]) -> TrackFacts:
        """The facts of tracks and seeds."""
        names = [
            one.name if isinstance(one, Seed) else name_key(one.artist, one.title) for one in ones
        ]
        measured = [
            one.descriptors if isinstance(one, Seed) else descriptors_of(one) for one in ones
        ]
        return cls(
            np.array([one.duration_s for one in ones], dtype=np.float64),
            np.array([one.recording_id for one in ones], dtype=np.int64),
            label_ids(names),
            label_ids([one and one.musical_key for one in measured]),
            np.array([one and one.tempo_bpm for one in measured], dtype=np.float64),
            np.array([one and one.brightness_hz for one in measured], dtype=np.float64),
        )

    def __len__(self) -> int:
        """Count the tracks."""
        return len(self.durations_s)

    def at(self, rows: Any) -> TrackFacts:
        """The facts of some rows: a number, a slice or an array of them."""
        return TrackFacts(*(getattr(self, field.name)[rows] for field in fields(self)))


def scaled_threshold(cosine: float, median_random_cosine: float) -> float:
    """A threshold measured at `REFERENCE_RANDOM_COSINE`, scaled to another background.

    Models differ in how close everything lies: what counts is the distance, 1 - cosine, as a share
    of the distance of two tracks drawn at random.
    """
    return 1.0 - (1.0 - cosine) * (1.0 - median_random_cosine) / (1.0 - REFERENCE_RANDOM_COSINE)


def lowest_threshold(median_random_cosine: float) -> float:
    """Lowest cosine at which two different recordings count as near-duplicates."""
    return min(
        scaled_threshold(COPY_COSINE, median_random_cosine),
        scaled_threshold(SAME_NAME_COSINE, median_random_cosine),
        SAME_COSINE,
    )


def have_others_near(
    vectors: NDArray[np.float32], recordings: Sequence[int], *, median_random_cosine: float
) -> NDArray[np.bool_]:
    """Which of some tracks can have a near-duplicate among them, without `TrackFacts`; (n,).

    Parameters
    ----------
    vectors : float32 (n, dim), unit length
    recordings : n ints
        Negative where unknown.
    """
    alike = vectors @ vectors.T >= lowest_threshold(median_random_cosine)
    found: NDArray[np.bool_] = alike.sum(axis=1) > 1
    known = [recording for recording in recordings if recording >= 0]
    if len(set(known)) < len(known):
        ids = np.array(recordings, dtype=np.int64)
        values, counts = np.unique(ids, return_counts=True)
        found |= np.isin(ids, values[(counts > 1) & (values >= 0)])
    return found


def measured_alike(one: TrackFacts, other: TrackFacts) -> NDArray[np.bool_]:
    """Whether musical key, tempo and brightness of pairs agree; not where one has no brightness."""
    octaves = np.log2(one.tempi_bpm / other.tempi_bpm)
    # An octave up or down is a common error of tempo, two are not.
    off = np.abs(octaves - np.clip(np.round(octaves), -1, 1))
    tempo = (off <= np.log2(1 + ALIKE_TEMPO)) | (
        np.isnan(one.tempi_bpm) & np.isnan(other.tempi_bpm)
    )
    apart = np.abs(one.brightness_hz - other.brightness_hz)
    bright = apart <= ALIKE_BRIGHTNESS * np.maximum(one.brightness_hz, other.brightness_hz)
    return np.asarray((one.musical_keys == other.musical_keys) & tempo & bright, dtype=np.bool_)


def is_same_recording(
    cosines: NDArray[np.float32], one: TrackFacts, other: TrackFacts, *, median_random_cosine: float
) -> NDArray[np.bool_]:
    """Whether pairs are one recording: the same audio twice, encoded again, louder, softer or cut.

    Parameters
    ----------
    cosines : float32, of any shape
    one, other : TrackFacts of this shape, or of one that broadcasts to it
    median_random_cosine : float
    """
    apart = np.abs(one.durations_s - other.durations_s)
    longer = np.maximum(one.durations_s, other.durations_s)
    same = (one.recordings == other.recordings) & (one.recordings >= 0)
    same |= (cosines >= scaled_threshold(SAME_COSINE, median_random_cosine)) & (
        apart <= SAME_DURATION_S
    )
    # Where everything is close, a copy can be as far as others are; its measures still tell.
    near = min(scaled_threshold(COPY_COSINE, median_random_cosine), SAME_COSINE)
    copy = (cosines >= near) & (apart <= COPY_DURATION_S)
    cut = (cosines >= scaled_threshold(CUT_COSINE, median_random_cosine)) & (
        apart <= np.minimum(CUT_S, CUT_SHARE * longer)
    )
    # Sounds without key and beat measure alike too easily.
    cut &= (one.musical_keys >= 0) & ~np.isnan(one.tempi_bpm)
    same |= (copy | cut) & measured_alike(one, other)
    return np.asarray(same, dtype=np.bool_)


def own_recordings(
    queries: Sequence[Track | Seed],
    tracks: Sequence[Track],
    rows: NDArray[np.int64],
    cosines: NDArray[np.float32],
    *,
    median_random_cosine: float,
) -> NDArray[np.bool_]:
    """Which neighbours of each query are its own recording.

    Parameters
    ----------
    rows : int64 (q, k)
        Rows in `tracks` of each query's neighbours.
    cosines : float32 (q, k)

    Returns
    -------
    bool (q, k)
    """
    recordings = np.array([track.recording_id for track in tracks], dtype=np.int64)
    own = np.array([query.recording_id for query in queries], dtype=np.int64)
    same = np.zeros(cosines.shape, dtype=np.bool_)
    # Most neighbours are not: the facts of a track are not gathered in vain.
    near = cosines >= lowest_threshold(median_random_cosine)
    of_query, of_neighbour = np.nonzero(near | (recordings[rows] == own[:, np.newaxis]))
    if len(of_query):
        used, positions = np.unique(rows[of_query, of_neighbour], return_inverse=True)
        facts = TrackFacts.of([*(tracks[row] for row in used.tolist()), *queries])
        same[of_query, of_neighbour] = is_same_recording(
            cosines[of_query, of_neighbour],
            facts.at(positions),
            facts.at(len(used) + of_query),
            median_random_cosine=median_random_cosine,
        )
    return same


def is_near_duplicate(
    cosines: NDArray[np.float32], one: TrackFacts, other: TrackFacts, *, median_random_cosine: float
) -> NDArray[np.bool_]:
    """Whether pairs are one recording, or close and of the same artist and title."""
    named = (one.names == other.names) & (one.names >= 0)
    named &= cosines >= scaled_threshold(SAME_NAME_COSINE, median_random_cosine)
    return np.asarray(
        named | is_same_recording(cosines, one, other, median_random_cosine=median_random_cosine),
        dtype=np.bool_,
    )


def group_heads(
    vectors: ArrayLike, facts: TrackFacts, *, median_random_cosine: float
) -> NDArray[np.int64]:
    """The first candidate of each one's group of near-duplicates.

    A near-duplicate of a near-duplicate belongs to the same group.

    Parameters
    ----------
    vectors : float32 (c, dim)
        Unit length, best candidate first.
    facts : TrackFacts (c,)
    median_random_cosine : float

    Returns
    -------
    int64 (c,)
        Its row for each candidate: the candidate's own where it is the first.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    pairs = [np.empty((2, 0), np.int64)]
    for start in range(0, len(rows), _BLOCK):
        cosines = rows[start : start + _BLOCK] @ rows[start:].T
        recording = facts.recordings[start:]
        known = (recording[: len(cosines), np.newaxis] == recording) & (recording >= 0)
        first, second = np.nonzero(
            np.triu(known | (cosines >= lowest_threshold(median_random_cosine)), 1)
        )
        close = cosines[first, second]
        first, second = first + start, second + start
        same = is_near_duplicate(
            close, facts.at(first), facts.at(second), median_random_cosine=median_random_cosine
        )
        pairs.append(np.stack([first[same], second[same]]))
    return connected_heads(len(rows), *np.concatenate(pairs, axis=1))


def label_ids(names: Sequence[Hashable | None]) -> NDArray[np.int64]:
    """A number for each distinct name, -1 for None."""
    number = {name: row for row, name in enumerate(names) if name is not None}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)


def connected_heads(count: int, first: ArrayLike, second: ArrayLike) -> NDArray[np.int64]:
    """First row of the connected component of each of `count` rows, given pairs of rows."""
    rows, columns = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    heads = np.arange(count)
    while True:
        # The head of each row's component points to the lower one of both, and all rows to theirs
        # (Zhang, Azad & Buluc 2020, "Parallel algorithms for finding connected components").
        ends = heads[rows], heads[columns]
        if np.array_equal(*ends):
            return heads
        lower = np.minimum(*ends)
        for end in ends:
            np.minimum.at(heads, end, lower)
        while not np.array_equal(nearer := heads[heads], heads):
            heads = nearer
