"""What was asked: tracks, files and vectors, liked and disliked, turned into one taste.

A taste says what to search for and how relevant a candidate is. Two strategies:

average
    Mean of the liked vectors, pushed away from the mean of the disliked ones (Rocchio 1971):
    q = unit(unit(mean L) - PUSH unit(mean D)), relevance(x) = q . x. For likes that belong
    together.
best_score
    Each candidate by its nearest liked seed, less a part of its nearness to a disliked one:
    relevance(x) = max over l of l . x - PUSH max over d of d . x. A varied taste stays varied.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias, get_args

import numpy as np

from indexer.catalog.status import TrackStatus
from indexer.errors import BadVector, InvalidOption, QueryError, UnknownTrack
from indexer.features.descriptors import Descriptors
from indexer.filesystem import display_path
from indexer.vectors.half_precision import scores, to_unit_float32
from indexer.vectors.unit_vectors import unit_rows
from recommender.retrieval.lookup import (
    display_name,
    find_by_path,
    find_exactly,
    find_track,
    name_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.reader import Track
    from indexer.library import Library

Strategy: TypeAlias = Literal["average", "best_score"]
SeedLike: TypeAlias = "SupportsIndex | str | bytes | os.PathLike[str] | ArrayLike"
"""What can be liked: an id, key or words; a file's path; a vector."""

PUSH = 0.5
"""How much a disliked sound counts against a liked one. Below 1, so that the same sound liked and
disliked still leads somewhere."""
NO_SEED = {
    TrackStatus.MISSING: "is missing: its file has vanished; index again when it is back",
    TrackStatus.FAILED: "has changed into a file that cannot be heard: see `soundalike failures`",
    TrackStatus.REMOVED: "was removed: `soundalike add FILE` brings it back",
}


@dataclass(frozen=True, eq=False)
class Seed:
    """One thing that was liked or disliked.

    Attributes
    ----------
    said : str
        What it is, in words.
    vector : float32 (dim,), unit length
    recording : int
        -1 where it is not in the catalog.
    duration_s : float
        NaN of a vector.
    track : Track or None
        None where it is not in the catalog.
    activations : float32 (tags,), or None where the catalog holds them, or nobody
    descriptors : Descriptors or None
    name : hashable
        Artist and title for comparing; None where it does not say both.
    path : bytes or None
        Of its file; None of a vector.
    """

    said: str
    vector: NDArray[np.float32]
    recording: int = -1
    duration_s: float = float("nan")
    track: Track | None = None
    activations: NDArray[np.float32] | None = None
    descriptors: Descriptors | None = None
    name: Hashable | None = None
    path: bytes | None = None

    @property
    def identity(self) -> Hashable:
        """Equal for seeds that are the same sound."""
        return self.recording if self.recording >= 0 else self.vector.tobytes()


class Seeds:
    """Turns what people and programs write into seeds.

    Parameters
    ----------
    library : Library
        Refreshed here, under its lock.
    hear : function of a path
        Analyses a file that is not in the catalog.
    """

    def __init__(
        self, library: Library, hear: Callable[[str | bytes | os.PathLike[str]], TrackAnalysis]
    ) -> None:
        self._library = library
        self._hear = hear

    def of(self, given: SeedLike) -> Seed:
        """The seed that an id, key, words, path or vector means.

        Text is a track of the catalog first and then the path of any file.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, BadVector, AnalysisError
        """
        catalog = self._library.catalog
        if isinstance(given, str):
            if os.path.isfile(given) and not self.knows(given):
                return self.of_file(given)
            return self.of_track(given)
        if isinstance(given, bytes | os.PathLike):
            found = find_by_path(catalog, os.path.abspath(os.fsencode(given)))
            if found is not None and found.status == TrackStatus.PRESENT:
                return self._of_found(found)
            return self.of_file(given)
        if isinstance(given, np.ndarray | list | tuple):
            return self.of_vector(given)
        return self.of_track(given)  # type: ignore[arg-type]  # what is no id is refused there

    def knows(self, text: str) -> bool:
        """Whether a text names a track that can be a seed as id, key or path, not by words."""
        found = find_exactly(self._library.catalog, text)
        return found is not None and found.status == TrackStatus.PRESENT

    def of_track(self, query: SupportsIndex | str | bytes) -> Seed:
        """The seed of a track of the catalog.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        return self._of_found(find_track(self._library.catalog, query))

    def of_file(self, path: str | bytes | os.PathLike[str]) -> Seed:
        """The seed of a file, heard now.

        Raises
        ------
        AnalysisError, ModelMissing, ModelMismatch
        """
        heard = self._hear(path)
        assert heard.embedding is not None  # noqa: S101 - nothing was skipped
        assert heard.activations is not None  # noqa: S101 - likewise
        recording = self._library.catalog.recording_id(heard.facts.audio_hash)
        return Seed(
            display_path(os.path.basename(os.fsencode(path))),
            to_unit_float32(heard.embedding[np.newaxis])[0],
            recording=-1 if recording is None else recording,
            duration_s=heard.facts.duration_s,
            activations=heard.activations.astype(np.float32),
            descriptors=heard.descriptors,
            name=name_key(heard.tags.artist, heard.tags.title),
            path=os.path.abspath(os.fsencode(path)),
        )

    def of_vector(self, vector: ArrayLike) -> Seed:
        """The seed of a vector (dim,) of the catalog's model, of any length.

        Raises
        ------
        BadVector
            It has another shape, no length, or NaN or infinity in it.
        """
        with self._library.lock:
            self._library.refresh()
            model = self._library.model
        if model is None:
            raise QueryError(empty_catalog_message(self._library))
        try:
            query = np.asarray(vector, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise BadVector(f"the vector is not a row of numbers ({error})") from error
        if query.shape != (model.dim,):
            raise BadVector(
                f"the vector has shape {query.shape}, the catalog's model makes ({model.dim},)"
            )
        length = np.linalg.norm(query)
        if not np.isfinite(length) or length == 0:
            raise BadVector("the vector has no direction: it is zero, or holds NaN or infinity")
        return Seed("a vector", (query / length).astype(np.float32))

    def _of_found(self, track: Track) -> Seed:
        if track.status != TrackStatus.PRESENT:
            raise UnknownTrack(
                f"track {track.id} ({display_name(track)}) {NO_SEED[TrackStatus(track.status)]}"
            )
        with self._library.lock:
            self._library.refresh()
            index = self._library.index
            if index is None:
                raise QueryError(empty_catalog_message(self._library))
            (vector,) = index.reconstruct(np.array([track.id]))
        return Seed(
            display_name(track),
            vector,
            recording=track.recording_id,
            duration_s=track.duration_s,
            track=track,
            descriptors=descriptors_of(track),
            name=name_key(track.artist, track.title),
            path=track.path,
        )


@dataclass(frozen=True, eq=False)
class QueryProfile:
    """Liked and disliked seeds, and how candidates are measured by them.

    Attributes
    ----------
    liked, disliked : tuple of Seed
        Each sound once.
    queries : float32 (q, dim), unit length
        What to search for.
    """

    liked: tuple[Seed, ...]
    disliked: tuple[Seed, ...]
    strategy: Strategy
    queries: NDArray[np.float32]

    @classmethod
    def of(
        cls, liked: Iterable[Seed], disliked: Iterable[Seed], strategy: Strategy
    ) -> QueryProfile:
        """Mix seeds by a strategy.

        Raises
        ------
        InvalidOption
            Nothing is liked, something is both liked and disliked, the likes cancel each other
            out, or there is no such strategy.
        """
        if strategy not in get_args(Strategy):
            raise InvalidOption(
                f"there is no strategy {strategy!r}: choose {' or '.join(get_args(Strategy))}"
            )
        likes, dislikes = _each_once(liked), _each_once(disliked)
        if not likes:
            raise InvalidOption("nothing is liked: name at least one track, file or vector")
        for identity in likes.keys() & dislikes.keys():
            raise InvalidOption(f"{likes[identity].said} is both liked and disliked: choose one")
        wanted = np.stack([seed.vector for seed in likes.values()])
        if strategy == "average" and len(wanted) > 1:
            wanted = _unit_mean(wanted)
        queries = wanted
        if dislikes:
            away = _unit_mean(np.stack([seed.vector for seed in dislikes.values()]))
            pushed = _unit(wanted - PUSH * away)
            # By best score the pushed queries only propose more candidates.
            queries = pushed if strategy == "average" else np.concatenate([wanted, pushed])
        return cls(tuple(likes.values()), tuple(dislikes.values()), strategy, queries)

    @property
    def said(self) -> str:
        """What was asked for, in words."""
        liked = " + ".join(seed.said for seed in self.liked)
        return " - not ".join([liked, *(seed.said for seed in self.disliked)])

    def cosines(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of each of the vectors (c, dim) with each liked seed, (c, liked)."""
        return np.stack([scores(vectors, seed.vector) for seed in self.liked], axis=1)

    def relevance(
        self, vectors: NDArray[np.float32], cosines: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """How relevant vectors (c, dim) of these `cosines` are, (c,); at most 1."""
        if len(self.liked) == 1 and not self.disliked:
            return cosines[:, 0]
        if self.strategy == "average":
            return scores(vectors, self.queries[0])
        best: NDArray[np.float32] = cosines.max(axis=1)
        if self.disliked:
            worst = np.stack([scores(vectors, seed.vector) for seed in self.disliked]).max(axis=0)
            best = best - np.float32(PUSH) * worst
        return best

    def likeness(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosine to tell of each candidate: with its nearest seed, or the mean of all, (c,)."""
        likeness: NDArray[np.float32] = (
            cosines.mean(axis=1) if self.strategy == "average" else cosines.max(axis=1)
        )
        return likeness


def descriptors_of(track: Track) -> Descriptors:
    """A track's descriptors; unknown ones with no confidence."""
    return Descriptors(
        track.tempo_bpm,
        track.tempo_confidence or 0.0,
        track.musical_key,
        track.key_confidence or 0.0,
        track.loudness_lufs,
        track.brightness_hz,
    )


def empty_catalog_message(library: Library) -> str:
    """The sentence about a catalog that holds no tracks."""
    return f"{library.catalog.path} holds no tracks yet: run `soundalike index FOLDER`"


def as_seed_list(given: Any) -> list[Any]:
    """What was liked, as a list: one id, text, path or vector is a list of one."""
    if isinstance(given, np.ndarray):
        one = given.ndim == 0 or (given.ndim == 1 and not np.issubdtype(given.dtype, np.integer))
        return [given] if one else list(given)
    if isinstance(given, str | bytes | os.PathLike | SupportsIndex):
        return [given]
    try:
        return list(given)
    except TypeError as error:
        raise InvalidOption(f"{given!r} names no tracks, files or vectors") from error


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
