"""What a question starts from: seeds, and the query profile that several of them make.

A query profile says what to search for and how relevant a candidate is. Two strategies:

average
    Mean of the liked vectors, pushed away from the mean of the disliked ones (Rocchio 1971):
    q = unit(unit(mean L) - PUSH unit(mean D)), relevance(x) = q . x. For likes that belong
    together.
    What the listener likes in general, A, pulls: unit(mean L) becomes
    unit(unit(mean L) + PULL unit(mean A)).
best_score
    Each candidate by its nearest liked seed, less a part of its nearness to a disliked one:
    relevance(x) = max over l of l . x - PUSH max over d of d . x. Varied likes stay varied.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias, get_args

import numpy as np

from indexer.catalog.records import Track
from indexer.errors import BadVector, InvalidOption
from indexer.features.descriptors import Descriptors
from indexer.filesystem import display_path
from indexer.vectors.half_precision import inner_products, to_unit_float32
from indexer.vectors.unit_vectors import unit_rows
from recommender.retrieval.lookup import display_name, resolve
from recommender.retrieval.names import name_key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.reader import Catalog
    from recommender.retrieval.lookup import TrackOrFile
    from recommender.retrieval.snapshot import Snapshot

Strategy: TypeAlias = Literal["average", "best_score"]
SeedLike: TypeAlias = "TrackOrFile | ArrayLike | Track | AnalysedFile"
"""What can be a seed: what names a track or a file, a vector, a present track, an analysed file."""

PUSH = 0.5
"""How much a disliked sound counts against a liked one. Below 1, so that the same sound liked and
disliked still leads somewhere."""

PULL = 0.75
"""How much what is liked in general counts against what was asked for."""


@dataclass(frozen=True, eq=False)
class Seed:
    """One track, file or vector that a question starts from.

    Attributes
    ----------
    label : str
        Its name in answers and messages.
    vector : float32 (dim,), unit length
    recording_id : int
        -1 where the recording is not in the catalog.
    duration_s : float
        NaN of a vector.
    track : Track or None
        None where it is no track of the catalog.
    activations : float32 (tags,) or None
        Of a file; a track's are in the catalog.
    descriptors : Descriptors or None
        None of a vector.
    name : hashable
        Artist and title for comparing; None where one is not known.
    path : bytes or None
        Of its file; None of a vector.
    """

    label: str
    vector: NDArray[np.float32]
    recording_id: int = -1
    duration_s: float = float("nan")
    track: Track | None = None
    activations: NDArray[np.float32] | None = None
    descriptors: Descriptors | None = None
    name: Hashable | None = None
    path: bytes | None = None

    @property
    def identity(self) -> Hashable:
        """Equal for seeds that are the same sound."""
        return self.recording_id if self.recording_id >= 0 else self.vector.tobytes()


@dataclass(frozen=True, eq=False)
class AnalysedFile:
    """A file with its analysis by the catalog's model."""

    path: bytes
    analysis: TrackAnalysis


SeedSource: TypeAlias = "Track | AnalysedFile | NDArray[np.float64]"
"""What a seed is made of: a present track, an analysed file, or a vector (dim,) of any length."""


def seed_sources(
    catalog: Catalog,
    given: SeedLike | Iterable[SeedLike],
    analyse: Callable[[bytes], TrackAnalysis],
) -> list[SeedSource]:
    """What seeds are made of: one, or several in any mixture; `analyse` takes a file's path.

    Raises
    ------
    UnknownTrack, AmbiguousTrack, BadVector, InvalidOption
    """
    return [_seed_source(catalog, one, analyse) for one in _as_seed_list(given)]


def _seed_source(
    catalog: Catalog, given: Any, analyse: Callable[[bytes], TrackAnalysis]
) -> SeedSource:
    if isinstance(given, Track | AnalysedFile):
        return given
    if isinstance(given, np.ndarray | list | tuple):
        return as_vector(given)
    found = resolve(catalog, given)
    return AnalysedFile(found, analyse(found)) if isinstance(found, bytes) else found


def _as_seed_list(given: Any) -> list[Any]:
    """Seeds as a list: one id, text, path or vector is a list of one."""
    if isinstance(given, np.ndarray):
        one = given.ndim == 0 or (given.ndim == 1 and not np.issubdtype(given.dtype, np.integer))
        return [given] if one else list(given)
    if isinstance(given, str | bytes | os.PathLike | SupportsIndex | Track | AnalysedFile):
        return [given]
    try:
        return list(given)
    except TypeError as error:
        raise InvalidOption(f"{given!r} names no tracks, files or vectors") from error


def as_vector(given: ArrayLike) -> NDArray[np.float64]:
    """A row of numbers as an array.

    Raises
    ------
    BadVector
        It is not made of numbers.
    """
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadVector(f"the vector is not a row of numbers ({error})") from error


def make_seed(snapshot: Snapshot, source: SeedSource) -> Seed:
    """The seed of a track, a file or a vector, with what the catalog knows of its recording.

    Raises
    ------
    UnknownTrack
        The track has left the catalog.
    BadVector
        The vector has another shape, no length, or NaN or infinity in it.
    """
    if isinstance(source, AnalysedFile):
        return _seed_of_file(snapshot, source)
    if isinstance(source, np.ndarray):
        return _seed_of_vector(snapshot, source)
    return _seed_of_track(snapshot, source)


def _seed_of_track(snapshot: Snapshot, track: Track) -> Seed:
    (vector,) = snapshot.index.reconstruct(np.array([track.id]))
    return Seed(
        display_name(track),
        vector,
        recording_id=track.recording_id,
        duration_s=track.duration_s,
        track=track,
        descriptors=descriptors_of(track),
        name=name_key(track.artist, track.title),
        path=track.path,
    )


def _seed_of_file(snapshot: Snapshot, file: AnalysedFile) -> Seed:
    analysis = file.analysis
    recording_id = snapshot.catalog.recording_id(analysis.facts.audio_hash)
    return Seed(
        display_path(os.path.basename(file.path)),
        to_unit_float32(analysis.embedding[np.newaxis])[0],
        recording_id=-1 if recording_id is None else recording_id,
        duration_s=analysis.facts.duration_s,
        activations=analysis.activations.astype(np.float32),
        descriptors=analysis.descriptors,
        name=name_key(analysis.tags.artist, analysis.tags.title),
        path=file.path,
    )


def _seed_of_vector(snapshot: Snapshot, query: NDArray[np.float64]) -> Seed:
    dim = snapshot.model.dim
    if query.shape != (dim,):
        raise BadVector(f"the vector has shape {query.shape}, the catalog's model makes ({dim},)")
    length = np.linalg.norm(query)
    if not np.isfinite(length) or length == 0:
        raise BadVector("the vector has no direction: it is zero, or holds NaN or infinity")
    return Seed("a vector", (query / length).astype(np.float32))


@dataclass(frozen=True, eq=False)
class QueryProfile:
    """Liked and disliked seeds, what to search for and how relevant a candidate is.

    Attributes
    ----------
    liked, disliked : tuple of Seed
        Each sound once.
    queries : float32 (q, dim), unit length
        What to search for.
    toward : tuple of Seed
        What is liked in general: it may be an answer.
    """

    liked: tuple[Seed, ...]
    disliked: tuple[Seed, ...]
    strategy: Strategy
    queries: NDArray[np.float32]
    toward: tuple[Seed, ...] = ()

    @classmethod
    def of(
        cls,
        liked: Iterable[Seed],
        disliked: Iterable[Seed],
        strategy: Strategy,
        toward: Iterable[Seed] = (),
    ) -> QueryProfile:
        """The profile of seeds under a strategy.

        Raises
        ------
        InvalidOption
            Nothing is liked, something is both liked and disliked, the likes cancel each other
            out, there is no such strategy, or it is not the one that leans toward something.
        """
        if strategy not in get_args(Strategy):
            raise InvalidOption(
                f"there is no strategy {strategy!r}: choose {' or '.join(get_args(Strategy))}"
            )
        likes, dislikes = _each_once(liked), _each_once(disliked)
        if not likes:
            raise InvalidOption("nothing is liked: name at least one track, file or vector")
        for identity in likes.keys() & dislikes.keys():
            raise InvalidOption(f"{likes[identity].label} is both liked and disliked: choose one")
        wanted = np.stack([seed.vector for seed in likes.values()])
        if strategy == "average" and len(wanted) > 1:
            wanted = _unit_mean(wanted)
        pulling = tuple(_each_once(toward).values())
        if pulling:
            if strategy != "average":
                raise InvalidOption("what is liked in general goes with the strategy average only")
            wanted = pull_toward(wanted, np.stack([seed.vector for seed in pulling]))
        queries = wanted
        if dislikes:
            away = _unit_mean(np.stack([seed.vector for seed in dislikes.values()]))
            pushed = _unit(wanted - PUSH * away)
            # By best score the pushed queries only propose more candidates.
            queries = pushed if strategy == "average" else np.concatenate([wanted, pushed])
        return cls(tuple(likes.values()), tuple(dislikes.values()), strategy, queries, pulling)

    @property
    def is_plain(self) -> bool:
        """Whether relevance is nearness to the likes alone."""
        return not (self.disliked or self.toward)

    @property
    def label(self) -> str:
        """The labels of the seeds, such as "A - B + C - D - not E - F"."""
        liked = " + ".join(seed.label for seed in self.liked)
        return " - not ".join([liked, *(seed.label for seed in self.disliked)])

    def cosines(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of each of the vectors (c, dim) with each liked seed, (c, liked)."""
        return np.stack([inner_products(vectors, seed.vector) for seed in self.liked], axis=1)

    def nearest_liked(self, vectors: NDArray[np.float32]) -> list[Seed]:
        """The liked seed that each of the vectors (c, dim) is nearest to."""
        return [self.liked[row] for row in self.cosines(vectors).argmax(axis=1).tolist()]

    def compare(
        self, vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """How near the vectors (c, dim) of candidates are.

        Returns
        -------
        seed_cosines : float32 (c, liked)
            As `cosines`.
        cosines : float32 (c,)
            One for each candidate: the mean of its own, or with `best_score` the largest.
        relevance : float32 (c,)
            At most 1.
        """
        by_seed = self.cosines(vectors)
        combined: NDArray[np.float32] = (
            by_seed.mean(axis=1) if self.strategy == "average" else by_seed.max(axis=1)
        )
        return by_seed, combined, self._relevance(vectors, by_seed)

    def _relevance(
        self, vectors: NDArray[np.float32], cosines: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        if len(self.liked) == 1 and self.is_plain:
            return cosines[:, 0]
        if self.strategy == "average":
            return inner_products(vectors, self.queries[0])
        best: NDArray[np.float32] = cosines.max(axis=1)
        if self.disliked:
            worst = np.stack([inner_products(vectors, seed.vector) for seed in self.disliked]).max(
                axis=0
            )
            best = best - np.float32(PUSH) * worst
        return best


def pull_toward(
    wanted: NDArray[np.float32], toward: NDArray[np.float32], *, pull: float = PULL
) -> NDArray[np.float32]:
    """What is wanted, unit vectors (q, dim), pulled toward the mean of unit vectors (a, dim).

    Raises
    ------
    InvalidOption
        They cancel each other out.
    """
    return _unit(wanted + pull * _unit_mean(toward))


def descriptors_of(track: Track) -> Descriptors:
    """The descriptors of a track; unknown ones have the confidence 0."""
    return Descriptors(
        track.tempo_bpm,
        track.tempo_confidence or 0.0,
        track.musical_key,
        track.key_confidence or 0.0,
        track.loudness_lufs,
        track.brightness_hz,
    )


def _each_once(seeds: Iterable[Seed]) -> dict[Hashable, Seed]:
    return {seed.identity: seed for seed in seeds}


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = unit_rows(rows, shortest=1e-6)
    if not unit.any(axis=1).all():
        raise InvalidOption(
            "the seeds cancel each other out: leave some out, or take the strategy best_score"
        )
    return unit


def _unit_mean(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(rows.astype(np.float64).mean(axis=0, keepdims=True).astype(np.float32))
