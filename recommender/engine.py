"""The recommender: every question goes through it.

from recommender import Ranking, Recommender, Where

with Recommender.open("catalog.db") as recommender:
    print(recommender.similar_to_track("Artist - Title", 10).to_frame())
    print(recommender.similar_to_tracks([17, "so what"], [4], where=Where(genre=("jazz",))))
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from indexer.errors import InvalidOption, QueryError, UnknownTrack
from indexer.vectors.base import checked_vectors
from recommender.retrieval.candidates import Own, nearest_but_same, table
from recommender.retrieval.lookup import find_track, whole_number
from recommender.retrieval.on_demand import Hearing
from recommender.retrieval.ranking import PLAIN
from recommender.retrieval.retriever import Answering
from recommender.retrieval.seeds import QueryProfile, Seeds, as_seed_list, empty_catalog_message

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray

    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.reader import StoredModel, Track
    from indexer.library import Library
    from indexer.vectors.base import VectorIndex
    from recommender.retrieval.answers import Answer, Explain, MatchingWindows
    from recommender.retrieval.ranking import Ranking
    from recommender.retrieval.seeds import Seed, SeedLike, Strategy
    from recommender.retrieval.where import Where


class Recommender:
    """Answers "what sounds like this?" from a catalog. Made by `open`; also a context manager.

    It sees what a writer adds while it is open. Several threads may use one.

    Every question takes a `where`, the tracks that may be answers, and those that make an `Answer`
    take a `ranking`, how it is made of the candidates. A filter that keeps nothing gives an empty
    answer whose note says so.
    """

    def __init__(self, library: Library) -> None:
        # SQLAlchemy comes with the first catalog, not with the import.
        from recommender.retrieval.filters import Filters

        self._library = library
        self._hearing = Hearing(library)
        self._seeds = Seeds(library, self._hearing.hear)
        self._filters = Filters(library)
        self._answering = Answering(library)

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
        self._hearing.close()
        self._library.close()

    def __len__(self) -> int:
        """How many tracks can be answers."""
        self._library.refresh()
        return 0 if self._library.index is None else len(self._library.index)

    def similar_to_tracks(
        self,
        liked: SeedLike | Iterable[SeedLike],
        disliked: SeedLike | Iterable[SeedLike] = (),
        n: int = 10,
        *,
        strategy: Strategy = "average",
        where: Where | None = None,
        ranking: Ranking | None = None,
        include_same: bool = False,
        why: Explain = False,
    ) -> Answer:
        """The n tracks that sound most like what is liked, and not like what is disliked.

        Parameters
        ----------
        liked, disliked : seeds, in any mixture
            Tracks (id, key, words: what `track` takes), files (a path, in the catalog or not) and
            vectors (dim,) of the catalog's model. The same sound counts once.
        strategy : {"average", "best_score"}
            `average` looks around the mean of the likes: q = unit(unit(mean L) - 0.5 unit(mean D)),
            relevance(x) = q . x. `best_score` takes each candidate by its nearest like:
            relevance(x) = max_l l . x - 0.5 max_d d . x. See `recommender.retrieval.seeds`.
        where : Where, optional
            Which tracks may be answers. The seeds need not be among them.
        ranking : Ranking, optional
            Diversity, caps per artist and album, versions folded or not, least score.
        include_same : bool
            Whether the seeds themselves and other encodings of their recordings may be answers.
            How they are told is said in `recommender.retrieval.near_duplicates`.
        why : bool or "windows"
            Whether each neighbour says what it has in common with the seed; "windows": also which
            seconds of both sound most alike, for which both are heard again (some 0.2 s a track).

        Raises
        ------
        UnknownTrack, AmbiguousTrack, BadVector
            Of a seed.
        AnalysisError, ModelMissing, ModelMismatch
            A file has no usable sound, or cannot be heard.
        InvalidOption
            Nothing is liked, something is liked and disliked, or an option makes no sense.
        """
        n = _count(n)
        taste = QueryProfile.of(
            [self._seeds.of(one) for one in as_seed_list(liked)],
            [self._seeds.of(one) for one in as_seed_list(disliked)],
            strategy,
        )
        return self._similar(taste, n, where, ranking, include_same=include_same, why=why)

    def similar_to_track(
        self,
        track: SupportsIndex | str | bytes,
        n: int = 10,
        *,
        where: Where | None = None,
        ranking: Ranking | None = None,
        include_same: bool = False,
        why: Explain = False,
    ) -> Answer:
        """The n tracks that sound most like one of the catalog; see `similar_to_tracks`.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, InvalidOption
        """
        n = _count(n)
        taste = _alone(self._seeds.of_track(track))
        return self._similar(taste, n, where, ranking, include_same=include_same, why=why)

    def similar_to_file(
        self,
        path: str | bytes | os.PathLike[str],
        n: int = 10,
        *,
        where: Where | None = None,
        ranking: Ranking | None = None,
        include_same: bool = False,
        why: Explain = False,
    ) -> Answer:
        """The n tracks that sound most like a file, which need not be in the catalog.

        The file is heard in a worker process under limits, started with the first call. Otherwise
        as `similar_to_tracks`.

        Raises
        ------
        AnalysisError
            The file has no usable sound; the message says why.
        ModelMissing, ModelMismatch, InvalidOption
        """
        n = _count(n)
        taste = _alone(self._seeds.of_file(path))
        return self._similar(taste, n, where, ranking, include_same=include_same, why=why)

    def similar_to_vector(
        self,
        vector: ArrayLike,
        n: int = 10,
        *,
        where: Where | None = None,
        ranking: Ranking | None = None,
        why: Explain = False,
    ) -> Answer:
        """The n tracks nearest to a vector (dim,) of the catalog's model, of any length.

        Raises
        ------
        BadVector
            It has another shape, no length, or NaN or infinity in it.
        InvalidOption
        """
        n = _count(n)
        taste = _alone(self._seeds.of_vector(vector))
        return self._similar(taste, n, where, ranking, include_same=False, why=why)

    def neighbours(
        self,
        ids: Sequence[int] | NDArray[np.integer],
        n: int = 10,
        *,
        where: Where | None = None,
        include_same: bool = False,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Neighbours of many tracks at once: arrays in, arrays out, versions not folded.

        Parameters
        ----------
        ids : int (q,)
            Track ids; each row is what `similar_to_track` answers for it with
            `Ranking(collapse=False)`.

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
            own: Own | None = None
            if not include_same:
                own = Own(self.tracks(wanted), self._answering.median_random_cosine)
            found = nearest_but_same(
                self._library, index.reconstruct(wanted), n, self._filters.kept(where), own
            )
            return table(*found, width=min(n, len(index)))

    def nearest(
        self, vectors: NDArray[np.float32], k: int, *, where: Where | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The tracks nearest to vectors: plain candidates, with seeds and copies among them.

        Parameters
        ----------
        vectors : float32 (q, dim)
            Unit length, of the catalog's model.

        Returns
        -------
        ids : int64 (q, k'), best first; k' is the smaller of k and what the filter keeps
        cosines : float32 (q, k')

        Raises
        ------
        BadVector
            A vector has another shape, is not finite or not of unit length.
        InvalidOption
        """
        k = _count(k)
        with self._ready() as (index, _model):
            kept = self._filters.kept(where)
            found = nearest_but_same(self._library, checked_vectors(vectors, index.dim), k, kept)
            return table(*found, width=min(k, kept.count))

    def ids(self, where: Where | None = None) -> NDArray[np.int64]:
        """Ids of the tracks that can be answers, or of those a filter keeps, ascending.

        Raises
        ------
        InvalidOption
            The filter names a tag that the model does not have.
        """
        with self._library.lock:
            self._library.refresh()
            if self._library.index is None:
                return np.empty(0, np.int64)
            kept = self._filters.kept(where)
            ids = self._library.index.ids() if kept.subset is None else kept.subset.ids
            return np.setdiff1d(ids, kept.excluded, assume_unique=True)

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

    def track(self, query: SupportsIndex | str | bytes) -> Track:
        """The track that an id, key, path (bytes too) or part of "artist - title" means.

        Raises
        ------
        UnknownTrack, AmbiguousTrack
        """
        return find_track(self._library.catalog, query)

    def ids_of_keys(self, keys: Sequence[str]) -> dict[str, int]:
        """Ids of the tracks with exactly these keys; unknown keys are left out."""
        return self._library.catalog.ids_of_keys(keys)

    def knows(self, query: str) -> bool:
        """Whether a text names a track that can be a seed as id, key or path, not by words."""
        return self._seeds.knows(query)

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

    @property
    def median_random_cosine(self) -> float:
        """The median cosine of random pairs of tracks: what levels of likeness count from.

        Raises
        ------
        QueryError
            The catalog holds no tracks yet.
        """
        with self._ready():
            return self._answering.median_random_cosine

    def hear(self, path: str | bytes | os.PathLike[str]) -> TrackAnalysis:
        """Analyse a file as `index` would, without storing anything.

        Raises
        ------
        AnalysisError, ModelMissing, ModelMismatch
        """
        return self._hearing.hear(path)

    def matching_windows(
        self, first: SupportsIndex | str | bytes, second: SupportsIndex | str | bytes
    ) -> MatchingWindows:
        """The stretches of two tracks that sound most alike; hears both again, some seconds.

        Raises
        ------
        UnknownTrack, AmbiguousTrack, AnalysisError, ModelMissing, ModelMismatch
        """
        return self._hearing.matching_windows(self.track(first).path, self.track(second).path)

    def _similar(
        self,
        taste: QueryProfile,
        n: int,
        where: Where | None,
        ranking: Ranking | None,
        *,
        include_same: bool,
        why: Explain,
    ) -> Answer:
        with self._ready():
            kept = self._filters.kept(where)
            answer = self._answering.answer(
                taste, n, kept, ranking or PLAIN, include_same=include_same, why=bool(why)
            )
        return self._with_windows(answer, taste) if why == "windows" and len(answer) else answer

    def _with_windows(self, answer: Answer, taste: QueryProfile) -> Answer:
        """The answer with the windows in which each neighbour and its nearest seed match best."""
        ids = [one.id for one in answer]
        nearest = taste.cosines(self.vectors(ids)).argmax(axis=1).tolist()
        paths = [track.path for track in self.tracks(ids)]
        found = self._hearing.matching_pairs(
            [(taste.liked[seed].path, path) for seed, path in zip(nearest, paths, strict=True)]
        )
        return answer.with_windows(found)

    @contextmanager
    def _ready(self) -> Iterator[tuple[VectorIndex, StoredModel]]:
        """The index, up to date and held still, with its model."""
        with self._library.lock:
            self._library.refresh()
            index, model = self._library.index, self._library.model
            if index is None or model is None or len(index) == 0:
                raise QueryError(empty_catalog_message(self._library))
            yield index, model


def _alone(seed: Seed) -> QueryProfile:
    return QueryProfile.of([seed], [], "average")


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
