"""The recommender: every question goes through it.

from recommender import Recommender

with Recommender.open("catalog.db") as recommender:
    print(recommender.similar_to_track("Artist - Title", 10).to_frame())
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from indexer.errors import (
    AnalysisError,
    BadVector,
    InvalidOption,
    ModelMismatch,
    QueryError,
    UnknownTrack,
)
from indexer.paths import shown
from indexer.track_status import TrackStatus
from indexer.vectors.half_precision import to_unit
from recommender.answers import Answer, Neighbour
from recommender.lookup import find_exactly, find_track, name, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis import TrackAnalysis
    from indexer.catalog import StoredModel, Track
    from indexer.library import Library
    from indexer.vectors.base import VectorIndex
    from indexer.workers import AnalysisPool

SAME_COSINE = 0.99
"""Two tracks at least this close ..."""
SAME_DURATION_S = 1.0
"""... and of durations no further apart than this are taken for one recording, encoded twice."""
NO_SEED = {
    TrackStatus.MISSING: "is missing: its file has vanished; index again when it is back",
    TrackStatus.FAILED: "has changed into a file that cannot be heard: see `soundalike failures`",
    TrackStatus.REMOVED: "was removed: `soundalike add FILE` brings it back",
}
MARGIN = 8
"""Candidates fetched beyond n, so that most questions need one search."""


class Recommender:
    """Answers "what sounds like this?" from a catalog. Made by `open`; also a context manager.

    It sees what a writer adds while it is open. Several threads may use one.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._pool: AnalysisPool | None = None
        self._pool_model = ""
        self._pool_lock = threading.Lock()

    @classmethod
    def open(cls, catalog: str | os.PathLike[str] = "catalog.db") -> Recommender:
        """Open a catalog that `soundalike index` has made.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew
        """
        from indexer.library import Library

        return cls(Library.open(catalog))

    def __enter__(self) -> Recommender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the catalog and end the worker that hears new files."""
        if self._pool is not None:
            self._pool.close(at_once=True)
            self._pool = None
        self._library.close()

    def __len__(self) -> int:
        """How many tracks can be answers."""
        self._library.refresh()
        return 0 if self._library.index is None else len(self._library.index)

    def track(self, query: SupportsIndex | str | bytes) -> Track:
        """The track that an id, key, path (bytes too) or part of "artist - title" means.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        return find_track(self._library.catalog, query)

    def knows(self, query: str) -> bool:
        """Whether a text names a track that can be a seed as id, key or path, not by words."""
        found = find_exactly(self._library.catalog, query)
        return found is not None and found.status == TrackStatus.PRESENT

    def tags(self, track: int | str) -> list[tuple[str, float]]:
        """The model's tags for a track with their probabilities, strongest first.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        model = self._library.catalog.active_model()
        found = self.track(track)
        if model is None:
            return []
        activations = self._library.catalog.activations(found.id, model.id)
        if activations is None:
            return []
        order = np.argsort(-activations, kind="stable")
        return [(model.tag_names[place], round(float(activations[place]), 4)) for place in order]

    def similar_to_track(
        self,
        track: SupportsIndex | str | bytes,
        n: int = 10,
        *,
        exclude: Iterable[int | str] = (),
        among: Iterable[int | str] | None = None,
        include_same: bool = False,
    ) -> Answer:
        """The n tracks that sound most like one of the catalog.

        Parameters
        ----------
        track : int or str
            What `Recommender.track` takes.
        exclude, among : ids or keys
            Tracks that may not be, and the only ones that may be, among the answers.
        include_same : bool
            Whether the seed itself and other encodings of its recording may be answers. The same
            recording has the same encoded audio, or a cosine of at least `SAME_COSINE` and a
            duration within `SAME_DURATION_S`.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, InvalidOption
        """
        n = _count(n)
        with self._ready() as (index, _model):
            seed = self.track(track)
            if seed.status != TrackStatus.PRESENT:
                raise UnknownTrack(
                    f"track {seed.id} ({name(seed)}) {NO_SEED[TrackStatus(seed.status)]}"
                )
            (ids,), (cosines,) = self._search(
                index,
                index.reconstruct(np.array([seed.id])),
                n,
                among=self._among(among),
                exclude=self._resolve(exclude),
                same_as=None if include_same else [(seed.recording_id, seed.duration_s)],
            )
            return self._answer(name(seed), ids, cosines)

    def similar_to_file(
        self,
        path: str | bytes | os.PathLike[str],
        n: int = 10,
        *,
        exclude: Iterable[int | str] = (),
        among: Iterable[int | str] | None = None,
        include_same: bool = False,
    ) -> Answer:
        """The n tracks that sound most like a file, which need not be in the catalog.

        The file is heard in a worker process under limits, started with the first call.

        Raises
        ------
        AnalysisError
            The file has no usable sound; the message says why.
        ModelMissing, ModelMismatch, InvalidOption
        """
        n = _count(n)
        heard = self.hear(path)
        assert heard.embedding is not None  # noqa: S101 - nothing was skipped
        recording = self._library.catalog.recording_id(heard.facts.audio_hash)
        with self._ready() as (index, _model):
            same = [(-1 if recording is None else recording, heard.facts.duration_s)]
            (ids,), (cosines,) = self._search(
                index,
                to_unit(heard.embedding[np.newaxis]),
                n,
                among=self._among(among),
                exclude=self._resolve(exclude),
                same_as=None if include_same else same,
            )
            return self._answer(shown(os.path.basename(os.fsencode(path))), ids, cosines)

    def similar_to_vector(
        self,
        vector: ArrayLike,
        n: int = 10,
        *,
        exclude: Iterable[int | str] = (),
        among: Iterable[int | str] | None = None,
    ) -> Answer:
        """The n tracks nearest to a vector (dim,) of the catalog's model, of any length.

        Raises
        ------
        BadVector
            It has another shape, no length, or NaN or infinity in it.
        InvalidOption
        """
        n = _count(n)
        with self._ready() as (index, model):
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
            (ids,), (cosines,) = self._search(
                index,
                (query / length).astype(np.float32)[np.newaxis],
                n,
                among=self._among(among),
                exclude=self._resolve(exclude),
            )
            return self._answer("a vector", ids, cosines)

    def neighbours(
        self,
        ids: Sequence[int] | NDArray[np.integer],
        n: int = 10,
        *,
        exclude: Iterable[int | str] = (),
        among: Iterable[int | str] | None = None,
        include_same: bool = False,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Neighbours of many tracks at once: arrays in, arrays out.

        Parameters
        ----------
        ids : int (q,)
            Track ids; each row is what `similar_to_track` answers for it.

        Returns
        -------
        ids : int64 (q, m), best first; -1 where a row has fewer than m = min(n, tracks)
        cosines : float32 (q, m); NaN where the id is -1

        Raises
        ------
        UnknownTrack
            Some ids are not in the catalog; the message lists up to five.
        InvalidOption
        """
        n = _count(n)
        with self._ready() as (index, _model):
            wanted = _as_ids(ids)
            _refuse_unknown(index, wanted)
            same: list[tuple[int, float]] | None = None
            if not include_same:
                of = self._library.catalog.recordings_of(wanted.tolist())
                same = [of[track_id] for track_id in wanted.tolist()]
            rows, scores = self._search(
                index,
                index.reconstruct(wanted),
                n,
                among=self._among(among),
                exclude=self._resolve(exclude),
                same_as=same,
            )
            found = np.full((len(wanted), min(n, len(index))), -1, dtype=np.int64)
            cosines = np.full(found.shape, np.nan, dtype=np.float32)
            for place, (row, score) in enumerate(zip(rows, scores, strict=True)):
                found[place, : len(row)], cosines[place, : len(row)] = row, score
            return found, cosines

    def vectors(self, ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """The unit embeddings (len(ids), dim) of tracks.

        Raises
        ------
        UnknownTrack
        """
        with self._ready() as (index, _model):
            wanted = _as_ids(ids)
            _refuse_unknown(index, wanted)
            return index.reconstruct(wanted)

    def ids(self) -> NDArray[np.int64]:
        """Ids of all tracks that can be answers, ascending."""
        self._library.refresh()
        index = self._library.index
        return np.empty(0, np.int64) if index is None else np.sort(index.ids())

    def tracks(self, ids: Sequence[int] | NDArray[np.integer]) -> list[Track]:
        """The tracks with these ids, in their order.

        Raises
        ------
        UnknownTrack
        """
        wanted = _as_ids(ids)
        found = self._library.catalog.tracks(wanted.tolist())
        _refuse(wanted[[track_id not in found for track_id in wanted.tolist()]])
        return [found[track_id] for track_id in wanted.tolist()]

    def activations(self, ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """Probability of each of `model.tag_names` for tracks, (len(ids), tags).

        Raises
        ------
        UnknownTrack
        """
        with self._ready() as (index, model):
            wanted = _as_ids(ids)
            _refuse_unknown(index, wanted)
            return self._library.catalog.activations_of(wanted.tolist(), model)

    @property
    def model(self) -> StoredModel:
        """The model that answers come from: its name, sizes and tag names.

        Raises
        ------
        QueryError
            The catalog holds no tracks yet.
        """
        with self._ready() as (_index, model):
            return model

    def hear(self, path: str | bytes | os.PathLike[str]) -> TrackAnalysis:
        """Analyse a file as `index` would, without storing anything.

        Raises
        ------
        AnalysisError, ModelMissing, ModelMismatch
        """
        from indexer.workers import Task

        model = self._library.catalog.active_model()
        if model is None:
            raise QueryError(_nothing_in(self._library))
        task = Task(os.path.abspath(os.fsencode(path)), windows=model.windows, skip_known=False)
        pool = self._workers(model)
        heard = pool.result(task, pool.submit(task))
        if isinstance(heard, AnalysisError):
            raise heard
        return heard

    def _workers(self, model: StoredModel) -> AnalysisPool:
        from indexer.model import model_info
        from indexer.workers import AnalysisPool

        with self._pool_lock:
            if self._pool is not None and self._pool_model != model.fingerprint:
                self._pool.close(at_once=True)
                self._pool = None
            if self._pool is None:
                if model_info(model.name).fingerprint != model.fingerprint:
                    raise ModelMismatch(
                        f"the model {model.name} on this machine is not the one that made "
                        f"{self._library.catalog.path}: index the library again with it"
                    )
                self._pool = AnalysisPool(model.name, model.fingerprint)
                self._pool_model = model.fingerprint
            return self._pool

    @contextmanager
    def _ready(self) -> Iterator[tuple[VectorIndex, StoredModel]]:
        """The index, up to date and held still, with its model."""
        with self._library.lock:
            self._library.refresh()
            index, model = self._library.index, self._library.model
            if index is None or model is None or len(index) == 0:
                raise QueryError(_nothing_in(self._library))
            yield index, model

    def _among(self, tracks: Iterable[int | str] | None) -> NDArray[np.int64] | None:
        return None if tracks is None else np.unique(self._resolve(tracks))

    def _resolve(self, tracks: Iterable[int | str]) -> NDArray[np.int64]:
        """Ids of ids and keys; those not in the catalog are left out, as a filter may be wide."""
        if isinstance(tracks, str | bytes):
            raise InvalidOption(f"{tracks!r} is one text: give a list of ids or keys")
        given = list(tracks)
        keys = [track for track in given if isinstance(track, str)]
        of_key = self._library.catalog.ids_of_keys(keys) if keys else {}
        ids = [of_key.get(t) if isinstance(t, str) else t for t in given]
        return _as_ids([track_id for track_id in ids if track_id is not None])

    def _search(
        self,
        index: VectorIndex,
        queries: NDArray[np.float32],
        n: int,
        *,
        among: NDArray[np.int64] | None,
        exclude: NDArray[np.int64],
        same_as: Sequence[tuple[int, float]] | None = None,
    ) -> tuple[list[NDArray[np.int64]], list[NDArray[np.float32]]]:
        """The n best of each row, without those that are the recording named in `same_as`."""
        rows: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(queries)
        scores: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(queries)
        limit = len(index) if among is None else len(among)
        if limit == 0:
            return rows, scores
        width = n + len(exclude) + (0 if same_as is None else MARGIN)
        open_rows = np.arange(len(queries))
        while len(open_rows):
            ids, cosines = index.search(queries[open_rows], min(width, limit), among=among)
            keep = ~np.isin(ids, exclude)
            if same_as is not None:
                keep &= ~self._same(ids, cosines, [same_as[place] for place in open_rows.tolist()])
            for place, row, score, kept in zip(open_rows, ids, cosines, keep, strict=True):
                rows[place], scores[place] = row[kept][:n], score[kept][:n]
            if width >= limit:
                break
            open_rows = open_rows[[len(rows[place]) < n for place in open_rows]]
            width *= 4
        return rows, scores

    def _same(
        self,
        ids: NDArray[np.int64],
        cosines: NDArray[np.float32],
        seeds: Sequence[tuple[int, float]],
    ) -> NDArray[np.bool_]:
        """Which answers (q, k) are the recording of their row's seed, encoded again or not."""
        of = self._library.catalog.recordings_of(np.unique(ids).tolist())
        facts = np.array([[of[i] for i in row] for row in ids.tolist()]).reshape(*ids.shape, 2)
        recording, duration = facts[..., 0], facts[..., 1]
        seed = np.array(seeds)[:, np.newaxis, :]
        near = cosines >= SAME_COSINE
        alike = near & (np.abs(duration - seed[..., 1]) <= SAME_DURATION_S)
        same: NDArray[np.bool_] = alike | (recording == seed[..., 0])
        return same

    def _answer(self, seed: str, ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> Answer:
        names = self._library.catalog.labels(ids.tolist())
        return Answer(
            seed,
            tuple(
                Neighbour(track_id, *names[track_id], float(cosine))
                for track_id, cosine in zip(ids.tolist(), cosines, strict=True)
            ),
        )


def _count(n: SupportsIndex) -> int:
    number = whole_number(n, "n")
    if number < 1:
        raise InvalidOption(f"n is {number}: ask for at least one neighbour")
    return number


def _as_ids(ids: Iterable[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidOption(f"ids must be one row of integers, not {array.dtype} {array.shape}")
    return array.astype(np.int64)


def _refuse_unknown(index: VectorIndex, ids: NDArray[np.int64]) -> None:
    _refuse(ids[~np.isin(ids, index.ids())])


def _refuse(unknown: NDArray[np.int64]) -> None:
    if len(unknown):
        some = ", ".join(str(track_id) for track_id in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UnknownTrack(f"no present track has the id {some}{more}")


def _nothing_in(library: Library) -> str:
    return f"{library.catalog.path} holds no tracks yet: run `soundalike index FOLDER`"
