"""Near-duplicates of a whole library: a recording twice, a cut, another version.

Vectors propose pairs, durations narrow them, and the sound decides: the outlines of both files are
aligned. What correlates is sure; what is close without it is likely another version, a cover or a
live recording. Tracks are grouped and shown with the evidence; nothing is ever deleted.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import AnalysisError
from indexer.listeners import Listeners
from indexer.outlines import Alignment, align
from recommender.lookup import same_name
from recommender.rerank import USUAL_COSINE, Percentiles, grouped, labelled, level, looks_same

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexer.catalog import Track
    from indexer.listeners import Outline
    from recommender.engine import Recommender

CANDIDATES = ((1.0, 0.88), (15.0, 0.93), (np.inf, 0.95))
"""Seconds that durations may differ by, and the cosine from which such a pair is a candidate."""
NAMED_COSINE = 0.8
"""The cosine from which two tracks of one artist and title are candidates."""
ALIKE_S = 0.2
"""Whatever loudness does to the model: seconds that durations may differ by ..."""
ALIKE_BRIGHTNESS = 0.1
"""... share that brightness may, with the same key, ..."""
ALIKE_COSINE = 0.5
"""... and the cosine from which such a pair is a candidate; 6 dB cost MusiCNN up to 0.3."""
_MOST_ALIKE = 2000
PARTNERS = 8
"""Candidates a track has at most, the closest."""
MOST_HEARD = 20_000
"""Files heard at most, those of the closest pairs: some two hours on one core."""
SURE_CORRELATION = 0.85
"""Outlines that correlate this well are of one recording ..."""
LIKELY_CORRELATION = 0.5
"""... and these share much: another mix, other words, a longer version."""
LIKELY_COSINE = 0.98
"""Tracks this close that do not align are likely versions if their tempo is the same ..."""
SAME_TEMPO = 0.04
"""... to within this share."""
BACKGROUND = 4000
"""Tracks that the usual cosine is measured on."""
_BLOCK = 1024


@dataclass(frozen=True)
class Evidence:
    """What speaks for two tracks being near-duplicates.

    Attributes
    ----------
    first, second : int
        Track ids.
    same_audio : bool
        The files hold the same encoded audio, bit for bit.
    alignment : Alignment or None
        Of their outlines; None where the same audio made it needless or a file could not be heard.
    sure : bool
        The same recording: same audio, or a correlation of at least `SURE_CORRELATION`.
    """

    first: int
    second: int
    cosine: float
    same_audio: bool
    same_name: bool
    alignment: Alignment | None
    sure: bool


@dataclass(frozen=True)
class Group:
    """Tracks that are near-duplicates of each other, by id, with the evidence that links them."""

    sure: bool
    tracks: tuple[Track, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Duplicates:
    """The near-duplicates of a library.

    Attributes
    ----------
    groups : tuple of Group
        The sure ones first, each kind in the order of their ids.
    tracks : int
        How many were compared.
    candidates : int
        Pairs that were looked into.
    heard : int
        Files that were listened to.
    not_heard : int
        Files that were not, because more than the limit were candidates.
    failures : tuple of (Track, str)
        Tracks whose files could not be heard, and why.
    """

    groups: tuple[Group, ...]
    tracks: int
    candidates: int
    heard: int
    not_heard: int
    failures: tuple[tuple[Track, str], ...]


@dataclass(frozen=True)
class Candidates:
    """Pairs of places, closest first: first < second, int64 (pairs,); cosines float32 (pairs,)."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    cosines: NDArray[np.float32]

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.first)


def find_duplicates(
    recommender: Recommender,
    *,
    most_heard: int = MOST_HEARD,
    workers: int = 0,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Duplicates:
    """Group the near-duplicates of a library, listening to the candidates.

    Parameters
    ----------
    most_heard : int
        Files to listen to at most; 0 tells from vectors, durations and names alone.
    workers : int
        Processes that listen; 0 means one for each processor.
    on_progress : callable
        Is told how many files were heard, of how many.

    Raises
    ------
    QueryError
        The catalog holds no tracks yet.
    WorkersFailed
    """
    ids = recommender.ids()
    vectors = recommender.vectors(ids)
    tracks = recommender.tracks(ids)
    names = labelled([same_name(track.artist, track.title) for track in tracks])
    sample = np.random.default_rng(0).permutation(len(ids))[:BACKGROUND]
    usual = Percentiles.from_vectors(vectors[sample]).median
    pairs = candidates(
        vectors,
        [track.duration_s for track in tracks],
        names,
        keys=labelled([track.key_name for track in tracks]),
        brightness_hz=[track.brightness_hz or np.nan for track in tracks],
        usual=usual,
    )
    same_audio = np.array(
        [
            tracks[one].recording_id == tracks[other].recording_id
            for one, other in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
        ],
        dtype=bool,
    )
    audible = _within(pairs, ~same_audio, most_heard)
    heard, failures = _listen(
        tracks, pairs.first[audible], pairs.second[audible], workers, on_progress
    )
    evidence = []
    for place in range(len(pairs)):
        one, other = int(pairs.first[place]), int(pairs.second[place])
        found = Evidence(
            first=tracks[one].id,
            second=tracks[other].id,
            cosine=round(float(pairs.cosines[place]), 4),
            same_audio=bool(same_audio[place]),
            same_name=bool(names[one] == names[other] >= 0),
            alignment=heard.get((one, other)),
            sure=bool(same_audio[place]) or _aligned(heard.get((one, other)), SURE_CORRELATION),
        )
        if found.sure or _is_likely(found, tracks[one], tracks[other], usual):
            evidence.append(found)
    all_places = np.union1d(pairs.first[~same_audio], pairs.second[~same_audio])
    listened = np.union1d(pairs.first[audible], pairs.second[audible])
    return Duplicates(
        groups=_groups({track.id: track for track in tracks}, evidence),
        tracks=len(tracks),
        candidates=len(pairs),
        heard=len(listened) - len(failures),
        not_heard=len(all_places) - len(listened),
        failures=tuple((tracks[place], why) for place, why in failures.items()),
    )


def candidates(
    vectors: ArrayLike,
    durations_s: ArrayLike,
    names: NDArray[np.int64],
    *,
    keys: NDArray[np.int64] | None = None,
    brightness_hz: ArrayLike | None = None,
    usual: float = USUAL_COSINE,
) -> Candidates:
    """Propose pairs that may be near-duplicates: `CANDIDATES`, the same name, the same measures.

    All pairs are compared, in blocks; a track keeps its `PARTNERS` closest. Models hear loudness,
    so that a louder copy can be far from its original: pairs of one key, brightness and duration
    are candidates too, beyond those.

    Parameters
    ----------
    vectors : float32 (n, dim)
        Unit length.
    durations_s : float (n,)
    names : int64 (n,)
        A number for each artist and title; negative where unknown.
    keys : int64 (n,), optional
        A number for each musical key; negative where unknown.
    brightness_hz : float (n,), optional
        NaN where unknown.
    usual : float
        The median cosine of random pairs.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    seconds = np.asarray(durations_s, dtype=np.float64)
    lowest = level(NAMED_COSINE, usual)
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    for start in range(0, len(rows), _BLOCK):
        cosines = rows[start : start + _BLOCK] @ rows[start:].T
        first, second = np.nonzero(np.triu(cosines >= lowest, 1))
        close = cosines[first, second]
        first, second = first + start, second + start
        apart = np.abs(seconds[first] - seconds[second])
        fits = (names[first] == names[second]) & (names[first] >= 0)
        for most_apart, cosine in CANDIDATES:
            fits |= (apart <= most_apart) & (close >= level(cosine, usual))
        found.append((first[fits], second[fits], close[fits]))
    if not found:
        empty = np.empty(0, np.int64)
        return Candidates(empty, empty, np.empty(0, np.float32))
    first, second, close = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = _closest(first, second, close)
    first, second, close = first[kept], second[kept], close[kept]
    if keys is not None and brightness_hz is not None:
        one, other = _measured_alike(seconds, keys, np.asarray(brightness_hz, dtype=np.float64))
        cosine = np.einsum("pd,pd->p", rows[one], rows[other])
        new = (cosine >= level(ALIKE_COSINE, usual)) & ~np.isin(
            one * len(rows) + other, first * len(rows) + second
        )
        first, second = np.concatenate([first, one[new]]), np.concatenate([second, other[new]])
        close = np.concatenate([close, cosine[new]])
        order = np.lexsort((second, first, -close))
        first, second, close = first[order], second[order], close[order]
    return Candidates(first, second, close)


def _measured_alike(
    seconds: NDArray[np.float64], keys: NDArray[np.int64], brightness: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of places, the first the smaller, of one key and about one duration and brightness."""
    order = np.argsort(seconds, kind="stable")
    found: list[NDArray[np.int64]] = [np.empty((2, 0), np.int64)]
    # Tracks next to each other by duration, then those with one between them, and so on.
    for step in range(1, min(len(order), _MOST_ALIKE)):
        one, other = order[:-step], order[step:]
        near = seconds[other] - seconds[one] <= ALIKE_S
        if not near.any():
            break
        near &= (keys[one] == keys[other]) & (keys[one] >= 0)
        near &= np.abs(brightness[one] - brightness[other]) <= ALIKE_BRIGHTNESS * brightness[one]
        found.append(np.sort(np.stack([one[near], other[near]]), axis=0))
    one, other = np.concatenate(found, axis=1)
    return one, other


def _closest(
    first: NDArray[np.int64], second: NDArray[np.int64], close: NDArray[np.float32]
) -> list[int]:
    """The pairs to keep, closest first: a track has `PARTNERS` partners, or is one of another."""
    order = np.lexsort((second, first, -close))
    kept = []
    count: Counter[int] = Counter()
    for place in order.tolist():
        one, other = int(first[place]), int(second[place])
        if count[one] < PARTNERS or count[other] < PARTNERS:
            kept.append(place)
            count[one] += 1
            count[other] += 1
    return kept


def _within(pairs: Candidates, wanted: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """The places of the closest wanted pairs that need no more than `most` tracks."""
    tracks: set[int] = set()
    kept = []
    for place in np.flatnonzero(wanted).tolist():
        more = tracks | {int(pairs.first[place]), int(pairs.second[place])}
        if len(more) > most:
            break
        tracks = more
        kept.append(place)
    return np.array(kept, dtype=np.int64)


def _listen(
    tracks: Sequence[Track],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    workers: int,
    on_progress: Callable[[int, int], None],
) -> tuple[dict[tuple[int, int], Alignment], dict[int, str]]:
    """Alignments of pairs of places, and why some places could not be heard."""
    partners: dict[int, list[int]] = defaultdict(list)
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        partners[one].append(other)
        partners[other].append(one)
    # Group after group, so that an outline is let go when its pairs are done.
    head = grouped(len(tracks), first, second)
    order = sorted(partners, key=lambda place: (head[place], place))
    outlines: dict[int, Outline] = {}
    alignments: dict[tuple[int, int], Alignment] = {}
    failures: dict[int, str] = {}
    if not order:
        return alignments, failures
    with Listeners(min(workers or os.cpu_count() or 1, len(order))) as listeners:
        heard = listeners.outlines(tracks[place].path for place in order)
        for number, (place, outline) in enumerate(zip(order, heard, strict=True)):
            on_progress(number, len(order))
            if isinstance(outline, AnalysisError):
                failures[place] = str(outline)
            else:
                outlines[place] = outline
            for partner in partners.pop(place):
                if partner in partners:
                    continue  # Not heard yet.
                pair = (min(place, partner), max(place, partner))
                if place in outlines and partner in outlines:
                    alignments[pair] = align(outlines[pair[0]], outlines[pair[1]])
            if number + 1 == len(order) or head[order[number + 1]] != head[place]:
                outlines.clear()
    on_progress(len(order), len(order))
    return alignments, failures


def _aligned(alignment: Alignment | None, correlation: float) -> bool:
    return alignment is not None and alignment.correlation >= correlation


def _is_likely(found: Evidence, one: Track, other: Track, usual: float) -> bool:
    """Whether what is not sure is likely a version, a cover, or a copy that cannot be heard."""
    if found.same_name or _aligned(found.alignment, LIKELY_CORRELATION):
        return True
    if found.alignment is None:
        apart = np.array([abs(one.duration_s - other.duration_s)])
        return bool(looks_same(np.array([found.cosine], np.float32), apart, usual=usual)[0])
    if one.tempo_bpm is None or other.tempo_bpm is None:
        return False
    same_tempo = abs(one.tempo_bpm - other.tempo_bpm) <= SAME_TEMPO * one.tempo_bpm
    return same_tempo and found.cosine >= level(LIKELY_COSINE, usual)


def _groups(tracks: dict[int, Track], evidence: Sequence[Evidence]) -> tuple[Group, ...]:
    place = {track_id: number for number, track_id in enumerate(tracks)}
    ids = list(tracks)

    def components(links: Sequence[Evidence]) -> NDArray[np.int64]:
        return grouped(
            len(ids), [place[one.first] for one in links], [place[one.second] for one in links]
        )

    recordings = components([one for one in evidence if one.sure])
    groups = []
    for sure in (True, False):
        links = [
            one
            for one in evidence
            if one.sure == sure
            # What is sure already needs no likelihood.
            and (sure or recordings[place[one.first]] != recordings[place[one.second]])
        ]
        heads = components(links)
        by_head: dict[int, list[Evidence]] = defaultdict(list)
        for link in links:
            by_head[int(heads[place[link.first]])].append(link)
        for _head, found in sorted(by_head.items()):
            members = sorted({one for link in found for one in (link.first, link.second)})
            groups.append(Group(sure, tuple(tracks[one] for one in members), tuple(found)))
    return tuple(groups)
