"""Near-duplicates of a whole library: a recording twice, a cut, another mix.

Vectors and durations propose pairs, and the sound decides: the fingerprints of both files are
aligned. What correlates is sure; what correlates less, or hardly but has the same name, is likely.
Files that could not be decoded are judged by cosine, duration and name. Tracks are grouped and
shown with the evidence; nothing is ever deleted.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.analysis.pools import decoding_pool, fingerprint_file
from indexer.analysis.sandbox import worker_count
from indexer.errors import AnalysisError
from indexer.features.alignment import Alignment, align
from recommender.retrieval.names import name_key
from recommender.retrieval.near_duplicates import (
    TrackFacts,
    connected_heads,
    is_near_duplicate,
    scaled_threshold,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.analysis.pools import Fingerprint
    from indexer.catalog.records import Track
    from recommender.engine import Recommender

CANDIDATES = ((1.0, 0.75), (15.0, 0.85), (np.inf, 0.92))
"""Seconds that durations may differ by, and the cosine from which such a pair is a candidate."""
NAMED_COSINE = 0.7
"""The cosine from which two tracks of one artist and title are candidates."""
TIED_S = 0.2
"""Loudness and lossy coders change embeddings, but not durations: tracks so close are a tie ..."""
TIED_COSINE = 0.4
"""... and such a pair is a candidate from this cosine on."""
COMPARED_WHOLE = 50
"""Of so many tracks all pairs are candidates: the background cosine of a few tracks is unknown."""
PARTNERS = 8
"""Candidates a track has at most, the closest."""
MOST_FILES = 20_000
"""Files decoded at most, those of the closest pairs: some two hours on one core."""
SURE_CORRELATION = 0.85
"""Fingerprints that correlate this well are of one recording ..."""
LIKELY_CORRELATION = 0.6
"""... and these share much: another mix, other words, a longer take. Drones reach 0.57."""
NAMED_CORRELATION = 0.3
"""As `LIKELY_CORRELATION`, of one artist and title: unlike music stays below 0.15."""
_PART = 10_000


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
        Of their fingerprints; None where the audio is the same or a file could not be decoded.
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
    decoded : int
        Files that were decoded.
    not_decoded : int
        Files that were not, because more than the limit were candidates.
    failures : tuple of (Track, str)
        Tracks whose files could not be decoded, and why.
    """

    groups: tuple[Group, ...]
    tracks: int
    candidates: int
    decoded: int
    not_decoded: int
    failures: tuple[tuple[Track, str], ...]


@dataclass(frozen=True)
class CandidatePairs:
    """Pairs of rows, closest first: first < second, int64 (pairs,); cosines float32 (pairs,)."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    cosines: NDArray[np.float32]

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.first)

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> CandidatePairs:
        """The pairs at some rows."""
        return CandidatePairs(self.first[rows], self.second[rows], self.cosines[rows])


_NONE = CandidatePairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def find_duplicates(
    recommender: Recommender,
    *,
    most_files: int = MOST_FILES,
    workers: int = 0,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Duplicates:
    """Near-duplicates of a library, in groups; the candidates are decoded and aligned.

    Parameters
    ----------
    most_files : int
        Files to decode at most; 0 judges by vectors, durations and names alone.
    workers : int
        Processes that decode; 0 means one for each processor.
    on_progress : callable
        Called with how many files were decoded, of how many.

    Raises
    ------
    QueryError
        The catalog holds no tracks yet.
    WorkersFailed
    """
    ids = recommender.ids()
    facts = _stream_facts(recommender.stream_tracks(ids))
    median_random_cosine = recommender.median_random_cosine

    def vectors_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return recommender.vectors(ids[rows])

    pairs = (
        every_pair(recommender.vectors(ids))
        if len(ids) <= COMPARED_WHOLE
        else candidates(vectors_of, facts, median_random_cosine=median_random_cosine)
    )
    same_audio = facts.recordings[pairs.first] == facts.recordings[pairs.second]
    chosen = _within(pairs, ~same_audio, most_files)
    decoded = np.union1d(pairs.first[chosen], pairs.second[chosen])
    tracks = dict(zip(decoded.tolist(), recommender.tracks(ids[decoded]), strict=True))
    alignments, failures = _align_pairs(
        tracks, pairs.first[chosen], pairs.second[chosen], workers, on_progress
    )
    evidence = gather_evidence(
        ids, facts, pairs, alignments, median_random_cosine=median_random_cosine
    )
    all_rows = np.union1d(pairs.first[~same_audio], pairs.second[~same_audio])
    return Duplicates(
        groups=_groups(recommender, ids, evidence),
        tracks=len(ids),
        candidates=len(pairs),
        decoded=len(decoded) - len(failures),
        not_decoded=len(all_rows) - len(decoded),
        failures=tuple((tracks[row], why) for row, why in failures.items()),
    )


def _stream_facts(tracks: Iterable[Track]) -> TrackFacts:
    """What `TrackFacts.of` gives of tracks, none of which is kept."""
    columns: list[array[Any]] = [array(kind) for kind in "dqqqdd"]
    for track in tracks:
        values = (
            track.duration_s,
            track.recording_id,
            _number_of(name_key(track.artist, track.title)),
            _number_of(track.musical_key),
            np.nan if track.tempo_bpm is None else track.tempo_bpm,
            np.nan if track.brightness_hz is None else track.brightness_hz,
        )
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return TrackFacts(*(np.array(column) for column in columns))


def _number_of(name: Hashable | None) -> int:
    """A number that no two of some million names share, but for one chance in ten million."""
    return -1 if name is None else hash(name) & sys.maxsize


def gather_evidence(
    ids: NDArray[np.int64],
    facts: TrackFacts,
    pairs: CandidatePairs,
    alignments: Mapping[tuple[int, int], Alignment],
    *,
    median_random_cosine: float,
) -> list[Evidence]:
    """Evidence of those candidate pairs that are near-duplicates.

    Parameters
    ----------
    ids : int64 (n,)
        Of all tracks.
    facts : TrackFacts (n,)
    pairs : CandidatePairs
        Rows of `ids`.
    alignments : mapping of (int, int) to Alignment
        By pairs of rows; pairs without one are judged by cosine, duration and name.
    """
    first, second = facts.at(pairs.first), facts.at(pairs.second)
    same_audio = first.recordings == second.recordings
    same_name = (first.names == second.names) & (first.names >= 0)
    looks_alike = is_near_duplicate(
        pairs.cosines, first, second, median_random_cosine=median_random_cosine
    )
    evidence = []
    for row, (one, other) in enumerate(
        zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ):
        alignment = alignments.get((one, other))
        correlation = -1.0 if alignment is None else alignment.correlation
        sure = bool(same_audio[row]) or correlation >= SURE_CORRELATION
        needed = NAMED_CORRELATION if same_name[row] else LIKELY_CORRELATION
        if sure or (looks_alike[row] if alignment is None else correlation >= needed):
            evidence.append(
                Evidence(
                    int(ids[one]),
                    int(ids[other]),
                    round(float(pairs.cosines[row]), 4),
                    bool(same_audio[row]),
                    bool(same_name[row]),
                    alignment,
                    sure,
                )
            )
    return evidence


def candidates(
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    facts: TrackFacts,
    *,
    median_random_cosine: float,
    block: int = 4096,
    most_ties: int = 50_000,
    ties_compared: int = 20_000_000,
) -> CandidatePairs:
    """Pairs that may be near-duplicates by `CANDIDATES`, by name, or by ties of duration.

    All pairs are compared, in blocks; a track keeps its `PARTNERS` closest. Ties come on top of
    these.

    Parameters
    ----------
    vectors_of : function of row numbers
        Unit vectors (rows, dim), float32.
    facts : Facts (n,)
    median_random_cosine : float
        The median cosine of random pairs.
    block : int
        Rows that are compared with as many at once.
    most_ties : int
        Pairs that are candidates by their durations alone at most, those of one key first, then the
        closest: some minutes to align them.
    ties_compared : int
        Ties whose cosine is computed at most: in a library of excerpts all durations are equal.
    """
    blocks = [
        np.arange(start, min(start + block, len(facts))) for start in range(0, len(facts), block)
    ]
    lowest = scaled_threshold(
        min(NAMED_COSINE, *(cosine for _, cosine in CANDIDATES)), median_random_cosine
    )
    found = [_NONE]
    for upper, lower in combinations_with_replacement(range(len(blocks)), 2):
        if upper == lower:
            some = vectors_of(blocks[upper])
        cosines = some @ (some if upper == lower else vectors_of(blocks[lower])).T
        alike = cosines >= lowest
        first, second = np.nonzero(np.triu(alike, 1) if upper == lower else alike)
        close = cosines[first, second]
        first, second = blocks[upper][first], blocks[lower][second]
        one, other = facts.at(first), facts.at(second)
        apart = np.abs(one.durations_s - other.durations_s)
        fits = (one.names == other.names) & (one.names >= 0)
        fits &= close >= scaled_threshold(NAMED_COSINE, median_random_cosine)
        for most_apart, cosine in CANDIDATES:
            fits |= (apart <= most_apart) & (
                close >= scaled_threshold(cosine, median_random_cosine)
            )
        found.append(CandidatePairs(first[fits], second[fits], close[fits]))
    near = _concatenate(found)
    near = near.at(_closest(near))
    ties = _duration_ties(
        vectors_of,
        facts,
        scaled_threshold(TIED_COSINE, median_random_cosine),
        compared=ties_compared,
    )
    if len(ties) > most_ties:
        same_key = facts.musical_keys[ties.first] == facts.musical_keys[ties.second]
        ties = ties.at(np.argsort(~same_key, kind="stable")[:most_ties])
    count = len(facts)
    new = ~np.isin(ties.first * count + ties.second, near.first * count + near.second)
    return _concatenate([near, ties.at(new)])


def every_pair(vectors: NDArray[np.float32]) -> CandidatePairs:
    """All pairs of unit vectors (n, dim)."""
    first, second = np.triu_indices(len(vectors), 1)
    return _concatenate([CandidatePairs(first, second, (vectors @ vectors.T)[first, second])])


def _concatenate(parts: Sequence[CandidatePairs]) -> CandidatePairs:
    """All the pairs, closest first."""
    first, second = (np.concatenate([getattr(p, n) for p in parts]) for n in ("first", "second"))
    close = np.concatenate([part.cosines for part in parts])
    order = np.lexsort((second, first, -close))
    return CandidatePairs(first[order], second[order], close[order])


def _duration_ties(
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    facts: TrackFacts,
    lowest: float,
    *,
    compared: int,
) -> CandidatePairs:
    """Pairs of about one duration that are not far from each other."""
    order = np.argsort(facts.durations_s, kind="stable")
    seconds = facts.durations_s[order]
    # Tracks next to each other by duration, then those with one between them, and so on.
    steps = 0
    for step in range(1, len(order)):
        near = int(np.count_nonzero(seconds[step:] - seconds[:-step] <= TIED_S))
        compared -= near
        if near == 0 or compared < 0:
            break
        steps = step
    found = [_NONE]
    for start in range(0, len(order), _PART) if steps else ():
        own = order[start : start + _PART + steps]
        lengths, vectors = facts.durations_s[own], vectors_of(own)
        for step in range(1, steps + 1):
            apart = lengths[step:] - lengths[:-step]
            (close,) = np.nonzero(apart[:_PART] <= TIED_S)
            cosines = np.einsum("pd,pd->p", vectors[close], vectors[close + step])
            fits = cosines >= lowest
            first, second = np.sort([own[close[fits]], own[close[fits] + step]], axis=0)
            found.append(CandidatePairs(first, second, cosines[fits]))
    return _concatenate(found)


def _closest(pairs: CandidatePairs) -> NDArray[np.int64]:
    """Indices of the pairs to keep: a track has `PARTNERS` partners, or is one of another."""
    kept = []
    count: Counter[int] = Counter()
    for row, pair in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        if any(count[one] < PARTNERS for one in pair):
            kept.append(row)
            count.update(pair)
    return np.array(kept, dtype=np.int64)


def _within(pairs: CandidatePairs, wanted: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Indices of the closest wanted pairs that need no more than `most` tracks."""
    tracks: set[int] = set()
    kept = []
    for row in np.flatnonzero(wanted).tolist():
        more = tracks | {int(pairs.first[row]), int(pairs.second[row])}
        if len(more) > most:
            break
        tracks = more
        kept.append(row)
    return np.array(kept, dtype=np.int64)


def _align_pairs(
    tracks: Mapping[int, Track],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    workers: int,
    on_progress: Callable[[int, int], None],
) -> tuple[dict[tuple[int, int], Alignment], dict[int, str]]:
    """Alignments of pairs of tracks, by row, and why some files could not be decoded."""
    partners: dict[int, set[int]] = defaultdict(set)
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        partners[one].add(other)
        partners[other].add(one)
    # Group after group and by duration, so that a fingerprint is soon needed no more.
    head = connected_heads(max(partners, default=-1) + 1, first, second)
    order = sorted(partners, key=lambda row: (head[row], tracks[row].duration_s))
    fingerprints: dict[int, Fingerprint] = {}
    alignments: dict[tuple[int, int], Alignment] = {}
    failures: dict[int, str] = {}
    if not order:
        return alignments, failures
    with decoding_pool(worker_count(workers, len(order))) as pool:
        outcomes = pool.map(fingerprint_file, (tracks[row].path for row in order))
        for number, (row, outcome) in enumerate(zip(order, outcomes, strict=True)):
            on_progress(number, len(order))
            if isinstance(outcome, AnalysisError):
                failures[row] = str(outcome)
            else:
                fingerprints[row] = outcome
            for partner in partners[row] & (fingerprints.keys() | failures.keys()) - {row}:
                pair = (min(row, partner), max(row, partner))
                if row in fingerprints and partner in fingerprints:
                    alignments[pair] = align(fingerprints[pair[0]], fingerprints[pair[1]])
                for one, done in ((row, partner), (partner, row)):
                    partners[one].discard(done)
                    if not partners[one]:
                        fingerprints.pop(one, None)
    on_progress(len(order), len(order))
    return alignments, failures


def _groups(
    recommender: Recommender, ids: NDArray[np.int64], evidence: Sequence[Evidence]
) -> tuple[Group, ...]:
    members = np.unique([(one.first, one.second) for one in evidence]).astype(np.int64)
    tracks = dict(zip(members.tolist(), recommender.tracks(members), strict=True))
    row = dict(zip(members.tolist(), np.searchsorted(ids, members).tolist(), strict=True))

    def components(links: Sequence[Evidence]) -> NDArray[np.int64]:
        return connected_heads(
            len(ids), [row[one.first] for one in links], [row[one.second] for one in links]
        )

    recordings = components([one for one in evidence if one.sure])
    groups = []
    for sure in (True, False):
        links = [
            one
            for one in evidence
            if one.sure == sure
            # What is sure already needs no likelihood.
            and (sure or recordings[row[one.first]] != recordings[row[one.second]])
        ]
        heads = components(links)
        by_head: dict[int, list[Evidence]] = defaultdict(list)
        for link in links:
            by_head[int(heads[row[link.first]])].append(link)
        for _head, found in sorted(by_head.items()):
            own = sorted({one for link in found for one in (link.first, link.second)})
            groups.append(Group(sure, tuple(tracks[one] for one in own), tuple(found)))
    return tuple(groups)
